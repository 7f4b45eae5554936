internal import Checkpoint
internal import MySQLClient
internal import MySQLCore
internal import Replication
internal import Rules
internal import Settings

/// Everything that checks look at, read once.
struct CheckContext {
    let settings: MigrationSettings
    let source: ServerFacts
    let target: ServerFacts
    /// The selected tables of the source.
    let sourceTables: TableFacts
    /// What the target has under the same names.
    let targetTables: TableFacts
    /// The phase that an earlier run of this migration reached; `nil` for a new one.
    let resumedPhase: String?

    /// - Parameter arriving: tables that come into a migration that has begun, which alone are
    ///   looked at, as before a first start; `nil` for all that are selected.
    init(
        _ settings: MigrationSettings, source: Connection, target: Connection,
        arriving: Set<TableName>? = nil
    ) throws {
        var settings = settings
        try settings.settleNames(source)
        try settings.settleZone(target)
        self.settings = settings
        self.source = try ServerFacts(source)
        self.target = try ServerFacts(target)
        let mapping = settings.mapping
        let sourceTables = try TableFacts(
            source, mayHold: { mapping.mayHold(schema: $0) },
            selects: { mapping.selects($0) && arriving?.contains($0) ?? true })
        self.sourceTables = sourceTables
        if mapping.movesTables {
            var sources: [TableName: TableName] = [:]
            for table in sourceTables.tables {
                sources[try mapping.target(of: table.name)] = table.name
            }
            targetTables = try TableFacts(target: target, sources)
        } else {
            targetTables = try TableFacts(
                target, mayHold: { mapping.mayHold(schema: $0) },
                selects: { mapping.selects($0) },
                only: Set(sourceTables.tables.map(\.name)))
        }
        resumedPhase = arriving == nil ? try Self.phase(settings, target) : nil
    }

    /// Whether an earlier run is continued, so that tables on the target are its own.
    var isResuming: Bool {
        resumedPhase != nil && resumedPhase != "start" && !settings.fresh
    }

    /// Whether any selected table was found.
    var hasTables: Bool { !sourceTables.tables.isEmpty }

    /// Selected tables without a key that names rows.
    var keylessTables: [TableName] {
        sourceTables.shapes.values.filter { $0.identifyingKey == nil }.map(\.name).sorted()
    }

    /// Selected tables that must be copied at one exact position: those without a key, and groups
    /// of tables whose cascades the binlog does not carry.
    var exactTables: [TableName] {
        let shapes = sourceTables.shapes.values.sorted { $0.name < $1.name }
        return Set(keylessTables).union(ForeignKeys.cascadeGroups(shapes)).sorted()
    }

    /// The selected tables by their names on the target.
    func targetNames() throws -> Set<TableName> {
        Set(try sourceTables.tables.map { try settings.mapping.target(of: $0.name) })
    }

    /// Bytes of all selected tables, by the source's estimate.
    var bytes: UInt64 { sourceTables.tables.reduce(0) { $0 + $1.bytes } }

    /// A list of schemas for SQL, `nil` when there is none.
    static func list(_ names: some Collection<String>) -> String? {
        names.isEmpty ? nil : names.map { utf8Literal($0) }.joined(separator: ",")
    }

    private static func phase(
        _ settings: MigrationSettings, _ target: Connection
    ) throws -> String? {
        let key = SubtaskKey(
            task: settings.name, source: settings.sourceID ?? settings.source.server)
        do {
            return try Takeover(meta: MetaSchema(name: settings.metaSchema), key: key)
                .peek(target)?.phase
        } catch let error as MySQLError
            where [MySQLErrorCode.noSuchTable, MySQLErrorCode.unknownDatabase, 1142, 1044]
            .contains(error.code)
        {
            return nil
        }
    }
}

/// A few names out of many: `a, b, c and 17 more`.
func someNames<T: CustomStringConvertible>(_ items: [T], limit: Int = 5) -> String {
    let shown = items.prefix(limit).map(\.description).joined(separator: ", ")
    return items.count > limit ? "\(shown) and \(items.count - limit) more" : shown
}

/// `1 table`, `3 tables`.
func counted(_ n: Int, _ noun: String) -> String { n == 1 ? "1 \(noun)" : "\(n) \(noun)s" }
