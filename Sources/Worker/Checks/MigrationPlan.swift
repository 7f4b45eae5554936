internal import Checkpoint
public import MySQLClient
public import MySQLCore
public import Settings

/// What a migration would do, found out without writing anything: for `--dry-run`.
public struct MigrationPlan: Sendable, Hashable, Codable {
    /// What is done with a table of the target.
    public enum Action: String, Sendable, Hashable, Codable {
        /// It is created.
        case create
        /// It exists and is used.
        case use
        /// It is dropped and created.
        case replace
        /// An earlier run works on it already.
        case resume = "continue"
    }

    /// One table.
    public struct Table: Sendable, Hashable, Codable {
        /// The table.
        public var name: TableName
        /// Rows by the source's estimate; can be off by half.
        public var estimatedRows: UInt64
        /// Bytes of rows by the source's estimate.
        public var estimatedBytes: UInt64
        /// What is done with it.
        public var action: Action
        /// Whether its rows are named by a key; others take longer.
        public var hasKey: Bool
    }

    /// The source, `MySQL 9.7.4 at host:port`.
    public var source: String
    /// The target, likewise.
    public var target: String
    /// The phase that an earlier run of this migration has reached, `nil` for a new one.
    public var resumedPhase: String?
    /// Schemas that are created.
    public var createdSchemas: [String]
    /// The tables, sorted by name.
    public var tables: [Table]
    /// How read views get their positions, in words.
    public var readViews: String
    /// Folder of the relay log, `nil` for none.
    public var relayFolder: String?
    /// Views, routines, triggers and events of the selected schemas, as `3 views`.
    public var objects: [String]

    /// Makes the plan; the connections are only read from.
    ///
    /// - Throws: ``MySQLError``.
    public init(
        settings: MigrationSettings, source: Connection, target: Connection
    ) throws {
        let context = try CheckContext(settings, source: source, target: target)
        self.source = "\(context.source.title) at \(settings.source.server)"
        self.target = "\(context.target.title) at \(settings.target.server)"
        resumedPhase = context.isResuming ? context.resumedPhase : nil
        let selected = Set(context.sourceTables.tables.map(\.name.schema))
        createdSchemas = selected.subtracting(try SchemaReader(target).schemas()).sorted()
        let present = Set(context.targetTables.tables.map(\.name))
        tables = context.sourceTables.tables.map { entry in
            let action: Action =
                context.isResuming
                ? .resume
                : settings.mode == .incremental
                    ? .use
                    : !present.contains(entry.name)
                        ? .create : settings.fresh ? .replace : .use
            return Table(
                name: entry.name, estimatedRows: entry.rows, estimatedBytes: entry.bytes,
                action: action,
                hasKey: context.sourceTables.shapes[entry.name]?.identifyingKey != nil)
        }
        readViews =
            settings.mode == .incremental
            ? "none: no rows are copied" : ReadViewMethod(context).rawValue
        relayFolder = settings.keepsRelay ? MigrationRelay.folder(settings) : nil
        objects = try Self.objects(context)
    }

    private static func objects(_ context: CheckContext) throws(MySQLError) -> [String] {
        guard let list = CheckContext.list(context.sourceTables.schemas) else { return [] }
        var out: [String] = []
        for (noun, table, column) in [
            ("view", "VIEWS", "TABLE_SCHEMA"), ("routine", "ROUTINES", "ROUTINE_SCHEMA"),
            ("trigger", "TRIGGERS", "TRIGGER_SCHEMA"), ("event", "EVENTS", "EVENT_SCHEMA"),
        ] {
            let count = try context.source.connection.value(
                "SELECT COUNT(*) FROM information_schema.\(table) WHERE \(column) IN (\(list))")
            if let n = count.flatMap({ Int($0) }), n > 0 { out.append(counted(n, noun)) }
        }
        return out
    }
}
