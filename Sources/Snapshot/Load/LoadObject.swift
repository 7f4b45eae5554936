internal import Checkpoint
internal import DumpFiles
internal import MySQLClient
internal import MySQLCore

/// A view, routine, trigger or event of a dump: created when all rows are there.
struct LoadObject: Sendable {
    enum Kind: String, Sendable {
        case view, procedure, function, trigger, event

        init?(_ kind: CreatedObject.Kind) {
            self.init(rawValue: kind.rawValue)
        }

        var stored: StoredObject.Kind {
            switch self {
            case .view: .view
            case .procedure: .procedure
            case .function: .function
            case .trigger: .trigger
            case .event: .event
            }
        }

        /// What is created earlier comes first: routines may be called by views, and triggers and
        /// events act on all of it.
        var rank: Int {
            switch self {
            case .function: 0
            case .procedure: 1
            case .view: 2
            case .trigger: 3
            case .event: 4
            }
        }
    }

    var kind: Kind
    var name: TableName
    var statement: String
    var settings: DumpFileSettings
    var file: String
    /// The table of a trigger.
    var table: TableName?

    /// Whether the target has one of its kind and name.
    func exists(on target: Connection) throws -> Bool {
        let schema = utf8Literal(name.schema)
        let name = utf8Literal(name.name)
        let query =
            switch kind {
            case .view:
                "SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA=\(schema) "
                    + "AND TABLE_NAME=\(name)"
            case .procedure, .function:
                "SELECT 1 FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA=\(schema) "
                    + "AND ROUTINE_NAME=\(name) AND ROUTINE_TYPE='\(kind.rawValue.uppercased())'"
            case .trigger:
                "SELECT 1 FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA=\(schema) "
                    + "AND TRIGGER_NAME=\(name)"
            case .event:
                "SELECT 1 FROM information_schema.EVENTS WHERE EVENT_SCHEMA=\(schema) "
                    + "AND EVENT_NAME=\(name)"
            }
        return try !target.rows(query).isEmpty
    }

    /// Creates it under the settings of its file; the session's own are not restored. What the file
    /// says nothing of is as the target's server has it.
    func create(on target: Connection) throws {
        let charset = settings.charset == "binary" ? "utf8mb4" : settings.charset
        try target.execute("SET NAMES \(quoteIdentifier(charset))")
        if let collation = settings.collation {
            do throws(MySQLError) {
                try target.execute("SET collation_connection=\(utf8Literal(collation))")
            } catch {
                // One that the target has not: then the charset's own is as near as it gets.
                if error.isConnectionLost { throw error }
            }
        }
        try target.execute("USE \(quoteIdentifier(name.schema))")
        let mode = settings.modeText.map { utf8Literal($0) } ?? "@@GLOBAL.sql_mode"
        let zone = settings.timeZone.map { utf8Literal($0) } ?? "@@GLOBAL.time_zone"
        try target.execute(
            "SET SESSION foreign_key_checks=0, sql_mode=\(mode), time_zone=\(zone)")
        try target.execute(statement)
    }

    /// Errors that another object, which is not there yet, can be the reason of: a missing table,
    /// database, column or routine, and a view over something missing.
    static let needsAnother: Set<UInt32> = [1146, 1049, 1054, 1305, 1356]
}
