internal import Checkpoint
internal import Foundation
internal import MySQLClient
internal import MySQLCore

/// A view, routine, trigger or event: its definition and the session settings that it was made
/// under, which are part of its meaning.
struct SourceObject: Sendable, Codable {
    enum Kind: String, Sendable, Codable { case view, procedure, function, trigger, event }

    var kind: Kind
    var name: TableName
    /// The statement that creates it, definer included.
    var statement: String
    var sqlMode: String?
    var collation: String?
    /// The character set of the client that has made it; only of what comes back where it was.
    var charset: String?
    var timeZone: String?
    /// Place among the triggers of one table, event and time.
    var order = 0
    /// When a trigger fires: its table, time and statement; with several statements several.
    var moments: [String]?
    /// Whether an event runs on the source.
    var isEnabled: Bool?
    /// Whether the target had an event before this migration, which then only enables it.
    var wasThere: Bool?

    /// What the meta schema calls its kind.
    var storedKind: StoredObject.Kind {
        switch kind {
        case .view: .view
        case .procedure: .procedure
        case .function: .function
        case .trigger: .trigger
        case .event: .event
        }
    }

    /// For the meta schema.
    func stored() throws -> StoredObject {
        StoredObject(
            kind: storedKind, name: name, definition: Array(try JSONEncoder().encode(self)))
    }

    /// From the meta schema.
    init(_ stored: StoredObject) throws {
        self = try JSONDecoder().decode(SourceObject.self, from: Data(stored.definition))
    }

    init(
        _ kind: Kind, _ name: TableName, _ statement: String, row: [String: String?],
        order: Int = 0
    ) {
        self.kind = kind
        self.name = name
        self.statement = statement
        sqlMode = row["sql_mode"] ?? nil
        collation = row["collation_connection"] ?? nil
        timeZone = row["time_zone"] ?? nil
        self.order = order
    }

    /// Creates it, under its settings. The session's own are not restored.
    ///
    /// - Parameter asItWas: on the server that it was read from, so that it tells the same of it
    ///   again, word by word.
    func create(on target: Connection, asItWas: Bool = false) throws {
        var settings = ["foreign_key_checks=0"]
        if let sqlMode {
            settings.append("sql_mode=\(utf8Literal(try mode(sqlMode, for: target.family)))")
        }
        try target.execute("SET NAMES utf8mb4")
        try target.execute("USE \(quoteIdentifier(name.schema))")
        try target.execute("SET SESSION \(settings.joined(separator: ", "))")
        if let collation, asItWas || collation.hasPrefix("utf8mb4") {
            try Self.assign("collation_connection=\(utf8Literal(collation))", on: target)
        }
        if asItWas {
            if let sqlMode { try Self.assign("sql_mode=\(utf8Literal(sqlMode))", on: target) }
            // The text is sent in UTF-8.
            let isUTF8 = charset?.hasPrefix("utf8") == true
            if let charset, isUTF8 || statement.utf8.allSatisfy({ $0 < 0x80 }) {
                try Self.assign("character_set_client=\(utf8Literal(charset))", on: target)
            }
        }
        defer { if asItWas { _ = try? target.execute("SET NAMES utf8mb4") } }
        if let timeZone {
            try target.execute("SET SESSION time_zone=\(utf8Literal(timeZone))")
        }
        defer { _ = try? target.execute("SET SESSION time_zone='+00:00'") }
        try target.execute(statement)
    }

    /// Sets what the server may not know.
    private static func assign(_ assignment: String, on target: Connection) throws(MySQLError) {
        do throws(MySQLError) {
            try target.execute("SET SESSION \(assignment)")
        } catch {
            if error.isConnectionLost { throw error }
        }
    }

    /// Modes that one family lacks and that change nothing for objects of the other.
    private static let droppable: [ServerFamily: Set<String>] = [
        .mysql: [
            "NO_AUTO_CREATE_USER", "NO_KEY_OPTIONS", "NO_TABLE_OPTIONS", "NO_FIELD_OPTIONS",
            "TIME_ROUND_FRACTIONAL", "IGNORE_BAD_TABLE_OPTIONS", "SIMULTANEOUS_ASSIGNMENT",
        ],
        .mariadb: ["TIME_TRUNCATE_FRACTIONAL"],
    ]

    private func mode(_ text: String, for family: ServerFamily) throws -> String {
        let modes = text.split(separator: ",").map(String.init)
        if family == .mysql, modes.contains("ORACLE") {
            throw SnapshotError.unsupported(
                object: "\(kind.rawValue) \(name)",
                detail: "it is written in MariaDB's Oracle mode, which MySQL has not; "
                    + "leave it out")
        }
        let dropped = Self.droppable[family] ?? []
        return modes.filter { !dropped.contains($0) }.joined(separator: ",")
    }
}
