import Checkpoint
import MySQLBinlog
import MySQLClient
import MySQLCore
import MySQLSyntax
import Rules
import Runtime
import Stream
import Synchronization
import TestServers
import Testing

@testable import Replication

/// Servers that the tests of this module share; each test uses schemas of its own.
enum Servers {
    private static let started = Mutex<[TestServer.Family: Task<TestServer, any Error>]>([:])

    /// Families whose servers can run here.
    static let families = TestServer.Family.allCases.filter { TestServer.isAvailable($0) }

    static func shared(_ family: TestServer.Family) async throws -> TestServer {
        let task = started.withLock { started in
            if let task = started[family] { return task }
            let task = Task { try await TestServer.start(family, name: "shared") }
            started[family] = task
            return task
        }
        return try await task.value
    }
}

/// A subtask on a real target, and lanes that apply events made by hand: what the server does
/// with a lane's packets, and the lane with its answers.
///
/// The tables are `t (id, v)` with a primary key, `uniq (id, u)` with a second unique key, and
/// `twins (a, b)` without any; all columns are INT.
struct TargetRig {
    let server: TestServer
    let options: ConnectionOptions
    let meta: MetaSchema
    /// The schema of the tables.
    let schema: String
    let key: SubtaskKey

    private static let tables = ["t": ["id", "v"], "uniq": ["id", "u"], "twins": ["a", "b"]]
    private static let numbers = ["t": 5, "uniq": 6, "twins": 7]

    init(_ family: TestServer.Family, _ name: String) async throws {
        server = try await Servers.shared(family)
        options = Self.options(server.port)
        meta = MetaSchema(name: "meta_\(name)")
        schema = "data_\(name)"
        key = SubtaskKey(task: name, source: "source")
        try server.sql(
            """
            DROP DATABASE IF EXISTS \(meta.name); DROP DATABASE IF EXISTS \(schema);
            CREATE DATABASE \(schema); USE \(schema);
            CREATE TABLE t (id INT PRIMARY KEY, v INT);
            CREATE TABLE uniq (id INT PRIMARY KEY, u INT UNIQUE);
            CREATE TABLE twins (a INT, b INT);
            """)
        let session = try TargetSession(options, role: .coordinator)
        try meta.prepare(session.connection)
        _ = try Takeover(meta: meta, key: key).create(session, identity: [1], rules: [1])
    }

    static func options(_ port: UInt16) -> ConnectionOptions {
        var options = ConnectionOptions(
            port: port, user: TestServer.user, password: Password(TestServer.password))
        options.tls.mode = .disabled
        return options
    }

    // MARK: the run

    func token(_ n: UInt8) -> RunToken {
        RunToken([n] + Digest.digest(text: schema).prefix(15))
    }

    @discardableResult
    func take(_ n: UInt8, lanes: Int = 2) throws -> SubtaskState {
        let session = try TargetSession(options, role: .coordinator)
        return try Takeover(meta: meta, key: key).take(
            session, token: token(n), epoch: .next, lanes: lanes)
    }

    func session(_ proxy: FaultProxy? = nil, lane: Int = 0) throws -> TargetSession {
        let session = try TargetSession(
            proxy.map { Self.options($0.port) } ?? options, role: .lane(lane))
        // On a busy machine a test may be away for longer than a lane ever is.
        try session.connection.execute("SET SESSION wait_timeout=900")
        return session
    }

    /// What lane rows of a run hold, and what earlier ones left.
    func done(_ n: UInt8) throws -> IdentitySet {
        let coordinator = Coordinator(
            session: try TargetSession(options, role: .coordinator), meta: meta, key: key,
            token: token(n))
        var out = IdentitySet()
        for set in try coordinator.readDone() { out.formUnion(set) }
        return out
    }

    /// Applies transactions on a lane of its own thread, in batches as they come, and waits.
    func apply(
        _ transactions: [SourceTransaction], token n: UInt8, _ session: TargetSession? = nil,
        marks: MarkBoard = MarkBoard(), progress: ReplicationProgress = ReplicationProgress()
    ) async throws {
        let scheduler = Scheduler(lanes: 1, batchLimit: 100, byteLimit: 1 << 26)
        scheduler.setDry(false)
        for transaction in transactions { _ = try scheduler.add(transaction) }
        scheduler.end()
        try await run(scheduler, n, session, marks, progress)
    }

    /// Runs lane 0 until the scheduler ends.
    func run(
        _ scheduler: Scheduler, _ n: UInt8, _ session: TargetSession? = nil,
        _ marks: MarkBoard = MarkBoard(), _ progress: ReplicationProgress = ReplicationProgress()
    ) async throws {
        let held = Handed(try session ?? self.session())
        let thread = ThreadExecutor(name: "lane")
        defer { thread.stop() }
        let fence = Fence(meta: meta, key: key, lane: 0, token: token(n))
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask(executorPreference: thread) {
                let lane = Lane(
                    number: 0, session: held.session, fence: fence, scheduler: scheduler,
                    shared: marks, progress: progress, didCommit: { _ in })
                try await lane.run()
            }
            try await group.waitForAll()
        }
    }

    private struct Handed: @unchecked Sendable {
        // SAFETY: the session is used by the lane's thread alone while the lane runs.
        let session: TargetSession
        init(_ session: TargetSession) { self.session = session }
    }

    // MARK: events

    /// Source transactions of these changes, one of each entry; their numbers go on from `first`.
    ///
    /// - Parameters:
    ///   - converging: as in the range of the tables' copy.
    ///   - rules: what of them is left out.
    func transactions(
        _ changes: [[(table: String, change: EventWriter.Change)]], first: Int = 1,
        converging: Bool = false, rules: SourceRules? = nil
    ) throws -> [SourceTransaction] {
        var writer = EventWriter()
        for (i, transaction) in changes.enumerated() {
            writer.gtid(first + i)
            writer.query("BEGIN")
            for (table, change) in transaction {
                let number = Self.numbers[table] ?? 0
                writer.tableMap(number, schema, table, columns: 2)
                writer.rows(number, [change], columns: 2)
            }
            writer.xid()
        }
        let low = Self.position(0)
        let window = CopyRange(low: low, high: Self.position(converging ? 1 << 40 : 0))
        let names = Self.tables.keys.map { TableName(schema: schema, name: $0) }
        var assembler = TransactionAssembler(
            catalog: try catalog(
                Dictionary(uniqueKeysWithValues: names.map { ($0, window) }), rules: rules),
            applied: AppliedState(lowWater: low, carried: IdentitySet()),
            origin: low.origin, bytesLimit: 1 << 30)
        var out: [SourceTransaction] = []
        for chunk in writer.chunks() {
            if case .transaction(let transaction, _) = try assembler.consume(
                chunk, chunk.entries[0])
            {
                out.append(transaction)
            }
        }
        return out
    }

    func catalog(
        _ windows: [TableName: CopyRange] = [:], rules: SourceRules? = nil
    ) throws -> TableCatalog {
        var state = SchemaState()
        for (table, columns) in Self.tables {
            let name = TableName(schema: schema, name: table)
            func key(_ name: String, _ column: String) -> KeyShape {
                KeyShape(name: name, parts: [KeyPart(column: column)], isUnique: true)
            }
            state.tables[name] = TableShape(
                name: name,
                columns: columns.map {
                    ColumnShape(name: $0, type: ColumnType(.int), isNullable: $0 != "id")
                },
                keys: table == "twins"
                    ? [] : [key("PRIMARY", "id")] + (table == "uniq" ? [key("u", "u")] : []))
        }
        return TableCatalog(
            sourceVersion: ServerVersion("8.0.30"),
            mapping: try rules.map { try TableMapping($0) }
                ?? TableMapping(
                    TableSelection(tables: [try #require(TablePattern("\(schema).*"))])),
            state: state, windows: windows, consistentFrom: nil,
            notedDefaults: StoredDefaults(storing: state.schemas))
    }

    static func identity(_ n: Int) -> TransactionIdentity {
        TransactionIdentity(stream: .mysql(EventWriter.uuid, tag: ""), number: UInt64(n))
    }

    static func set(_ numbers: Int...) -> IdentitySet {
        var set = IdentitySet()
        for n in numbers { set.insert(identity(n)) }
        return set
    }

    /// A position behind transaction `n`.
    static func position(_ n: Int) -> SourcePosition {
        var set = MySQLGTIDSet()
        if n > 0 { set.insert(.init(uuid: EventWriter.uuid, tag: ""), 1...UInt64(n)) }
        return SourcePosition(
            origin: Origin(server: EventWriter.uuid, life: 1),
            binlog: BinlogPosition(file: "bin.000001", offset: UInt64(4 + n)), gtids: .mysql(set))
    }

    // MARK: looking

    /// The rows of a table, as `1,2;3,4`.
    func rows(_ table: String) throws -> String {
        let columns = Self.tables[table] ?? []
        return try server.sql(
            "SELECT \(columns.joined(separator: ",")) FROM \(table) ORDER BY 1, 2",
            database: schema
        ).split(separator: "\n").map { $0.replacing("\t", with: ",") }.joined(separator: ";")
    }

    /// Waits until something holds; false after ten seconds.
    static func eventually(_ condition: () throws -> Bool) async throws -> Bool {
        for _ in 0..<500 {
            if try condition() { return true }
            try await Task.sleep(for: .milliseconds(20))
        }
        return false
    }
}
