internal import MySQLClient
internal import MySQLCore
internal import Rules
internal import Runtime
internal import Settings

/// The tables that a verification compares.
struct TableList: Sendable {
    /// What was found.
    struct Found: Sendable {
        /// Tables of the source, each with its counterpart's name.
        var pairs: [(source: TableName, target: TableName)]
        /// Selected tables that only the target has.
        var onlyOnTarget: [TableName]
    }

    let settings: MigrationSettings

    /// Reads the names from both servers.
    ///
    /// - Throws: an ``OperatorError`` when nothing is selected, and the servers' errors.
    func read() async throws -> Found {
        let settings = settings
        let (ours, theirs) = try await withThread("tables") {
            (
                try Self.names(settings.source, settings.selection),
                try Self.names(settings.target, settings.selection)
            )
        }
        guard !ours.isEmpty else {
            throw OperatorError(
                code: "verify.nothing", message: "no table of the source is selected",
                place: settings.source.server, recovery: .never,
                action: "check --tables, and that the source user may see them")
        }
        return Found(
            pairs: ours.sorted().map { ($0, $0) }, onlyOnTarget: theirs.subtracting(ours).sorted())
    }

    private static func names(
        _ server: ConnectionOptions, _ selection: TableSelection
    ) throws -> Set<TableName> {
        let connection = try Connection(server)
        try connection.liftTimeLimit()
        let reader = SchemaReader(connection)
        var out: Set<TableName> = []
        for schema in try reader.schemas() where selection.mayHold(schema: schema) {
            out.formUnion(
                try reader.tables(in: schema).map(\.name).filter { selection.selects($0) })
        }
        return out
    }
}
