import MySQLClient
import MySQLCore
import TestServers

@testable import Checkpoint

/// One subtask in a meta schema of its own on a shared server, with a table that fenced
/// transactions write.
struct Subtask {
    let server: TestServer
    let options: ConnectionOptions
    let meta: MetaSchema
    let key = SubtaskKey(task: "task ' \u{e9}", source: "source")

    init(_ family: TestServer.Family, _ name: String) async throws {
        server = try await Servers.shared(family)
        options = Servers.plain(server)
        meta = MetaSchema(name: "meta_\(name)")
        try server.sql(
            """
            DROP DATABASE IF EXISTS meta_\(name); DROP DATABASE IF EXISTS data_\(name);
            CREATE DATABASE data_\(name); CREATE TABLE data_\(name).t (n INT NOT NULL);
            """)
        data = "data_\(name)"
        let session = try TargetSession(options, role: .coordinator)
        try meta.prepare(session.connection)
        _ = try Takeover(meta: meta, key: key).create(session, identity: [1, 2], rules: [3])
    }

    /// The schema of the data.
    let data: String

    /// The subtask's `n`-th token; no other subtask has it.
    func token(_ n: UInt8) -> RunToken {
        RunToken([n] + Digest.digest(text: data).prefix(15))
    }

    static func identity(_ n: Int) -> TransactionIdentity {
        TransactionIdentity(stream: .mariadb(domain: 0, server: 1), number: UInt64(n))
    }

    static func set(_ numbers: Int...) -> IdentitySet {
        var set = IdentitySet()
        for n in numbers { set.insert(identity(n)) }
        return set
    }

    /// A position behind transaction `n`.
    static func position(_ n: Int) -> SourcePosition {
        var gtids = MariaDBGTIDPosition()
        gtids.last[0] = MariaDBGTID(domain: 0, server: 1, sequence: UInt64(n))
        return SourcePosition(
            origin: Origin(server: ServerUUID(high: 0, low: 1), life: 2),
            binlog: BinlogPosition(file: "bin.000001", offset: UInt64(n * 100)),
            gtids: .mariadb(gtids))
    }

    func session(_ lane: Int = 0, proxy: FaultProxy? = nil) throws -> TargetSession {
        let session = try TargetSession(
            proxy.map { Servers.plain(server, $0) } ?? options, role: .lane(lane))
        // On a busy machine a test may be away for longer than a lane ever is.
        try session.connection.execute("SET SESSION wait_timeout=900")
        return session
    }

    @discardableResult
    func take(_ n: UInt8, _ policy: EpochPolicy = .next, lanes: Int = 2) throws -> SubtaskState {
        let session = try TargetSession(options, role: .coordinator)
        return try Takeover(meta: meta, key: key).take(
            session, token: token(n), epoch: policy, lanes: lanes)
    }

    func fence(_ n: UInt8, lane: Int = 0) -> Fence {
        Fence(meta: meta, key: key, lane: lane, token: token(n))
    }

    /// Sends fence and a row, as a lane does; the transaction stays open.
    func begin(_ session: TargetSession, _ fence: Fence, done: IdentitySet, row: Int) throws {
        try session.connection.execute("START TRANSACTION")
        try fence.run(session.connection, done: done.encoded)
        try session.connection.execute("INSERT INTO \(data).t VALUES (\(row))")
    }

    func coordinator(_ n: UInt8) throws -> Coordinator {
        Coordinator(
            session: try TargetSession(options, role: .coordinator), meta: meta, key: key,
            token: token(n))
    }

    /// The rows of the data.
    func rows() throws -> [Int] {
        try server.sql("SELECT n FROM \(data).t ORDER BY n").split(separator: "\n")
            .compactMap { Int($0) }
    }

    func peek() throws -> SubtaskState? {
        try Takeover(meta: meta, key: key).peek(try Connection(options))
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
