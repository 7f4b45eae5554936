import Foundation
import MySQLClient
import MySQLCore
import TestServers
import Testing

@testable import Checkpoint

@Suite("DDL that must run once")
struct DDLTests {
    private static let lane = 2

    private func ledger(
        _ subtask: Subtask, _ n: UInt8, proxy: FaultProxy? = nil
    ) throws -> (TargetSession, DDLLedger) {
        let options = proxy.map { Servers.plain(subtask.server, $0) } ?? subtask.options
        let session = try TargetSession(options, role: .ddl(Self.lane))
        // On a busy machine a test may be away for longer than a run ever is.
        try session.connection.execute("SET SESSION wait_timeout=900")
        let ledger = DDLLedger(
            session: session, meta: subtask.meta, key: subtask.key, lane: Self.lane,
            token: subtask.token(n))
        return (session, ledger)
    }

    private func intent(_ ledger: DDLLedger, _ subtask: Subtask, _ n: Int) throws -> DDLIntent {
        let table = TableName(schema: subtask.data, name: "t")
        return DDLIntent(
            identity: Subtask.identity(n), step: .whole, statement: "ALTER TABLE t ADD c\u{e9} INT",
            before: [table: try ledger.trace(table)], existAfter: [table],
            goneAfter: [TableName(schema: subtask.data, name: "gone")], isIdempotent: false)
    }

    @Test(
        "an intent outlives its run, and is cleared together with its mark (D2, D6)",
        arguments: Servers.families)
    func intents(family: TestServer.Family) async throws {
        let subtask = try await Subtask(family, "intents")
        try subtask.take(1, lanes: 3)
        let (_, first) = try ledger(subtask, 1)
        #expect(try first.read() == nil)
        let intent = try intent(first, subtask, 5)
        try first.record(intent)
        #expect(try first.read() == intent)
        // At most one.
        #expect(throws: MySQLError.self) { try first.record(intent) }
        try subtask.take(2, lanes: 3)
        // The old run neither clears nor marks it.
        #expect(throws: CheckpointError.self) { try first.complete(intent.identity) }
        #expect(throws: CheckpointError.self) { try first.abandon() }
        let (_, second) = try ledger(subtask, 2)
        #expect(try second.read() == intent)
        try second.complete(intent.identity)
        #expect(try second.read() == nil)
        #expect(try subtask.coordinator(2).readDone().last == Subtask.set(5))
        try second.record(try self.intent(second, subtask, 6))
        try second.abandon()
        #expect(try second.read() == nil)
        #expect(try subtask.take(3, lanes: 3).carried == Subtask.set(5))
    }

    @Test("what a mark holds leaves the list of what was done", arguments: Servers.families)
    func forgets(family: TestServer.Family) async throws {
        let subtask = try await Subtask(family, "forgets")
        try subtask.take(1, lanes: 3)
        let (_, ledger) = try ledger(subtask, 1)
        for n in 1...3 { try ledger.complete(Subtask.identity(n)) }
        ledger.forget(heldBy: Subtask.position(2))
        try ledger.complete(Subtask.identity(4))
        #expect(try subtask.coordinator(1).readDone().last == Subtask.set(3, 4))
    }

    @Test("traces tell what has happened to a table", arguments: Servers.families)
    func traces(family: TestServer.Family) async throws {
        let subtask = try await Subtask(family, "traces")
        try subtask.take(1, lanes: 3)
        let (session, ledger) = try ledger(subtask, 1)
        let a = TableName(schema: subtask.data, name: "a")
        let b = TableName(schema: subtask.data, name: "b")
        let connection = session.connection
        func run(_ sql: String) throws { try connection.execute("USE \(subtask.data); \(sql)") }
        #expect(try ledger.trace(a) == TableTrace())
        #expect(try ledger.trace(TableName(schema: "nowhere", name: "a")) == TableTrace())
        try run("CREATE TABLE a (id INT AUTO_INCREMENT PRIMARY KEY); CREATE TABLE b LIKE a")
        let before = try (ledger.trace(a), ledger.trace(b))
        #expect(before.0.tableID != nil && before.0.definition != nil)
        #expect(before.0.tableID != before.1.tableID)
        // Rows and their numbers change nothing.
        try run("INSERT INTO a VALUES (NULL),(NULL); COMMIT")
        #expect(try ledger.trace(a) == before.0)
        // A swap of equal tables shows in their ids (D3).
        try run("RENAME TABLE a TO x, b TO a, x TO b")
        #expect(try ledger.trace(a).tableID == before.1.tableID)
        #expect(try ledger.trace(b).tableID == before.0.tableID)
        // TRUNCATE gives another id, with the same definition (D4).
        try run("TRUNCATE TABLE b")
        let truncated = try ledger.trace(b)
        #expect(truncated != before.0 && truncated.tableID != before.0.tableID)
        // Changes in place show in the definition.
        try run("ALTER TABLE b COMMENT='new'")
        #expect(try ledger.trace(b) != truncated)
    }

    @Test("the lock of an idle session is taken by ending it", arguments: Servers.families)
    func idleHolder(family: TestServer.Family) async throws {
        let subtask = try await Subtask(family, "idle")
        try subtask.take(1, lanes: 3)
        let (session, first) = try ledger(subtask, 1)
        try first.lock()
        let (_, second) = try ledger(subtask, 1)
        try second.lock()
        #expect(throws: MySQLError.self) { try session.connection.ping() }
        try second.unlock()
        let (_, third) = try ledger(subtask, 1)
        try third.lock()
    }

    @Test(
        "a statement that still runs for a dead client keeps the lock until it ends (D1)",
        arguments: Servers.families)
    func runningStatement(family: TestServer.Family) async throws {
        let subtask = try await Subtask(family, "running")
        try subtask.take(1, lanes: 3)
        let proxy = try FaultProxy(to: subtask.server)
        defer { proxy.close() }
        let (session, old) = try ledger(subtask, 1, proxy: proxy)
        try old.lock()
        // The statement is sent, its client is gone, and the server is slow: a row of the table is
        // being read, and TRUNCATE waits for that.
        let blocker = try subtask.session(1)
        try blocker.connection.execute(
            "INSERT INTO \(subtask.data).t VALUES (1); SELECT * FROM \(subtask.data).t")
        let held = proxy.holdNext(.toServer, matching: "TRUNCATE")
        #expect(throws: MySQLError.self) {
            try session.connection.execute("TRUNCATE TABLE \(subtask.data).t")
        }
        try await held.caught()
        held.deliver()
        #expect(
            try await Subtask.eventually {
                try subtask.server.sql(
                    "SELECT COUNT(*) FROM information_schema.PROCESSLIST "
                        + "WHERE INFO LIKE 'TRUNCATE TABLE \(subtask.data).%' AND STATE LIKE '%metadata lock%'"
                ) == "1\n"
            })
        try subtask.take(2, lanes: 3)
        let id = blocker.connection.id
        Thread.detachNewThread { [subtask] in
            Thread.sleep(forTimeInterval: 2)
            _ = try? subtask.server.sql("KILL \(id)")
        }
        let (next, new) = try ledger(subtask, 2)
        try new.lock()
        // It has ended: done on MySQL; MariaDB gives a wait up when its client is gone.
        #expect(
            try subtask.server.sql(
                "SELECT COUNT(*) FROM information_schema.PROCESSLIST "
                    + "WHERE INFO LIKE 'TRUNCATE TABLE \(subtask.data).%'") == "0\n")
        // Everything of the old run is over: what is written now stays.
        try next.connection.execute("INSERT INTO \(subtask.data).t VALUES (3); COMMIT")
        try await Task.sleep(for: .milliseconds(300))
        #expect(try subtask.rows() == [3])
    }
}
