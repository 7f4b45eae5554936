public import Checkpoint
public import MySQLClient
public import MySQLCore

/// What of the source counts at the switch-over. It is read as a whole before the target is
/// touched: sessions that prove a run are ended by the server when they are silent.
public struct SwitchOverSource: Sendable {
    /// Triggers of migrated tables, and events.
    let waiting: [SourceObject]
    /// Views and routines: kind, schema and name.
    let objects: Set<[String]>
    /// Of what the target has refused, the source's definitions; none of what it has dropped.
    let definitions: [StaleObject.ID: SourceObject]
    /// Which definitions were asked for.
    private let asked: Set<StaleObject.ID>
    /// The next values of AUTO_INCREMENT columns.
    let counters: [TableName: UInt64]

    /// Reads it.
    ///
    /// - Parameters:
    ///   - isSelected: whether a table (of a trigger), an event, view or routine is migrated.
    ///   - isLeftOut: whether a trigger is not, although its table is.
    ///   - stale: views and routines that the target need not have as the source has them.
    /// - Throws: `MySQLError`, ``SnapshotError``.
    public init(
        _ source: Connection, where isSelected: (TableName) -> Bool,
        exceptTriggers isLeftOut: (TableName) -> Bool = { _ in false },
        definitionsOf stale: [StaleObject] = []
    ) throws {
        waiting = try WaitingObjects.read(
            source, where: isSelected, exceptTriggers: isLeftOut)
        objects = try Self.objects(source).filter {
            !SystemSchemas.contains($0[1])
                && isSelected(TableName(schema: $0[1], name: $0[2]))
        }
        counters = try Self.counters(source)
        asked = Set(stale.map(\.id))
        var definitions: [StaleObject.ID: SourceObject] = [:]
        for object in stale {
            switch try ObjectDefinition(object.id, on: source) {
            case .absent: continue
            case .shown(let definition): definitions[object.id] = definition
            case .hidden:
                let kind = object.id.kind.rawValue
                _ = try WaitingObjects.definition(nil, kind, object.id.name)
            }
        }
        self.definitions = definitions
    }

    /// Whether the source's definitions of all these were read.
    public func covers(_ stale: [StaleObject]) -> Bool {
        stale.allSatisfy { asked.contains($0.id) }
    }

    static func objects(_ connection: Connection) throws -> Set<[String]> {
        Set(
            try connection.rows(
                "SELECT 'VIEW', TABLE_SCHEMA, TABLE_NAME FROM information_schema.VIEWS UNION ALL "
                    + "SELECT ROUTINE_TYPE, ROUTINE_SCHEMA, ROUTINE_NAME "
                    + "FROM information_schema.ROUTINES"
            ).map { $0.map { $0 ?? "" } })
    }

    static func counters(_ connection: Connection) throws -> [TableName: UInt64] {
        if connection.family == .mysql, connection.serverVersion.isAtLeast(8) {
            // Else the answer is a day old.
            try connection.execute("SET SESSION information_schema_stats_expiry=0")
        }
        var out: [TableName: UInt64] = [:]
        for row in try connection.rows(
            "SELECT TABLE_SCHEMA, TABLE_NAME, AUTO_INCREMENT FROM information_schema.TABLES "
                + "WHERE AUTO_INCREMENT IS NOT NULL")
        {
            out[TableName(schema: row[0] ?? "", name: row[1] ?? "")] = row[2].flatMap { UInt64($0) }
        }
        return out
    }
}
