import Checkpoint
import MySQLClient
import MySQLCore
import Rules
import Runtime
import Synchronization
import TestServers
import Testing

@testable import Snapshot

/// Servers that all tests of this module share; each test uses schemas and a task of its own.
enum SharedServers {
    private static let started = Mutex<[String: Task<TestServer, any Error>]>([:])

    static func source(_ family: TestServer.Family) async throws -> TestServer {
        try await server(family, "source")
    }

    static func target(_ family: TestServer.Family) async throws -> TestServer {
        try await server(family, "target")
    }

    private static func server(
        _ family: TestServer.Family, _ role: String
    ) async throws -> TestServer {
        let task = started.withLock { started in
            let key = "\(family.rawValue)-\(role)"
            if let task = started[key] { return task }
            let task = Task { try await TestServer.start(family, name: role) }
            started[key] = task
            return task
        }
        return try await task.value
    }
}

/// One migration of one schema from one server to another.
struct CopyFixture {
    let source: TestServer
    let target: TestServer
    let schema: String
    var configuration: SnapshotConfiguration
    let progress = SnapshotProgress()

    /// - Parameters:
    ///   - source: a server of the test's own instead of the shared one.
    ///   - meta: a meta schema of the test's own instead of the shared one.
    init(
        _ schema: String, from: TestServer.Family = .mariadb, to: TestServer.Family = .mariadb,
        source own: TestServer? = nil, meta: String = "skein_meta", _ statements: String
    ) async throws {
        if let own { source = own } else { source = try await SharedServers.source(from) }
        target = try await SharedServers.target(to)
        self.schema = schema
        configuration = SnapshotConfiguration(
            source: Self.options(source), target: Self.options(target),
            meta: MetaSchema(name: meta), key: SubtaskKey(task: schema, source: "test"),
            origin: Origin(server: ServerUUID(high: 1, low: 2), life: 3))
        configuration.pairs = 3
        let quoted = quoteIdentifier(schema)
        try source.sql(
            "DROP DATABASE IF EXISTS \(quoted); CREATE DATABASE \(quoted); USE \(quoted);")
        try target.sql("DROP DATABASE IF EXISTS \(quoted)")
        try source.sql("USE \(quoted);\n\(statements)")
        let connection = try Connection(configuration.target)
        try configuration.meta.prepare(connection)
        for table in ["subtask", "lane", "chunk", "snapshot", "object", "shape"] {
            try connection.execute("DELETE FROM \(meta).\(table) WHERE task='\(schema)'")
        }
        let session = try TargetSession(configuration.target, role: .coordinator)
        _ = try Takeover(meta: configuration.meta, key: configuration.key)
            .create(session, identity: [1], rules: [1])
    }

    static func options(_ server: TestServer) -> ConnectionOptions {
        ConnectionOptions(
            host: "127.0.0.1", port: server.port, user: TestServer.user,
            password: Password(TestServer.password))
    }

    func plan(exact: Set<TableName> = []) throws -> SnapshotPlan {
        let pattern = try #require(TablePattern("\(quoteIdentifier(schema)).*"))
        return try SnapshotPlan.read(
            Connection(configuration.source), TableMapping(TableSelection(tables: [pattern])),
            needsExactView: exact)
    }

    @discardableResult
    func copy(exact: Set<TableName> = []) async throws -> SnapshotResult {
        let engine = SnapshotEngine(
            configuration: configuration, plan: try plan(exact: exact), progress: progress)
        return try await engine.run(epoch: .next, token: RunToken(randomToken()))
    }

    func table(_ name: String) -> TableName { TableName(schema: schema, name: name) }

    /// Every row of a table on both servers as sorted text, each value in hexadecimal.
    func rows(_ name: String) throws -> (source: [String], target: [String]) {
        let connection = try Connection(configuration.source)
        guard let shape = try SchemaReader(connection).shape(of: table(name)) else {
            throw SnapshotError.tableMissing(table(name))
        }
        let values = shape.columns.map { column in
            let quoted = quoteIdentifier(column.name)
            switch column.type.kind {
            case .float, .double: return "IFNULL(\(quoted)*1e0,'NULL')"
            case .enum, .set, .bit: return "IFNULL(HEX(\(quoted)+0),'NULL')"
            case .json: return "IFNULL(HEX(CAST(\(quoted) AS CHAR)),'NULL')"
            case .vector: return "IFNULL(HEX(\(quoted)),'NULL')"
            case _ where column.type.isText || column.type.isBinary || column.type.isGeometry:
                return "IFNULL(HEX(\(quoted)),'NULL')"
            default: return "IFNULL(CAST(\(quoted) AS CHAR),'NULL')"
            }
        }
        let query =
            "SET time_zone='+00:00'; SELECT CONCAT_WS(',', \(values.joined(separator: ","))) "
            + "FROM \(quoteIdentifier(name))"
        func read(_ server: TestServer) throws -> [String] {
            try server.sql(query, database: schema).split(separator: "\n").map(String.init).sorted()
        }
        return (try read(source), try read(target))
    }

    /// Whether both servers hold the same rows, each as often.
    func agree(_ name: String) throws -> Bool {
        let (a, b) = try rows(name)
        return a == b
    }

    /// Chunk rows of a table.
    func chunks(_ name: String) throws -> [ChunkRecord] {
        try CopyLedger(meta: configuration.meta, key: configuration.key)
            .chunks(Connection(configuration.target)).filter { $0.table == table(name) }
    }
}
