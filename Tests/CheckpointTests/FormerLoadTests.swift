import MySQLClient
import MySQLCore
import TestServers
import Testing

@testable import Checkpoint

@Suite("Loads beside others that run")
struct FormerLoadTests {
    @Test(
        "a run of a former holder that is at work is not ended, one that is over is",
        arguments: Servers.families)
    func former(family: TestServer.Family) async throws {
        let subtask = try await Subtask(family, "former")
        try subtask.take(1)
        let its = try TargetSession(subtask.options, role: .ddl(1))
        try its.connection.execute("SET SESSION wait_timeout=900")
        try its.holdLock(subtask.token(1))
        try DDLLock(session: its, meta: subtask.meta, key: subtask.key).take()
        let other = try TargetSession(subtask.options, role: .ddl(1))
        try other.connection.execute("SET SESSION wait_timeout=900")
        let lock = DDLLock(session: other, meta: subtask.meta, key: subtask.key)
        try lock.awaitEndedRuns()
        #expect(try its.connection.value("SELECT 1") == "1")
        try its.connection.execute("COMMIT")
        // Another run takes over, and has not come to the lock yet.
        try subtask.take(2)
        try lock.awaitEndedRuns()
        #expect(throws: MySQLError.self) { try its.connection.value("SELECT 1") }
        // It has not kept what it waited for.
        let next = try TargetSession(subtask.options, role: .ddl(1))
        #expect(
            try next.connection.value("SELECT IS_USED_LOCK(\(lock.name)) IS NULL") == "1")
    }

    @Test(
        "a load that is at work and has no claims, as of an earlier version, is waited for",
        arguments: Servers.families)
    func silent(family: TestServer.Family) async throws {
        let subtask = try await Subtask(family, "silent")
        let meta = subtask.meta
        func key(_ name: String) -> SubtaskKey { SubtaskKey(task: name, source: "dump") }
        /// Begins a run that lives as long as its coordinator.
        func begin(_ name: String, _ n: UInt8) throws -> Coordinator {
            let session = try TargetSession(subtask.options, role: .coordinator)
            try session.connection.execute("SET SESSION wait_timeout=900")
            let takeover = Takeover(meta: meta, key: key(name))
            _ = try takeover.create(session, identity: [1], rules: [], phase: "load")
            try session.holdLock(subtask.token(n))
            _ = try takeover.take(session, token: subtask.token(n), epoch: .next, lanes: 1)
            return Coordinator(
                session: session, meta: meta, key: key(name), token: subtask.token(n))
        }
        func claim(_ coordinator: Coordinator, _ table: String) throws -> TableClaims.Outcome {
            try TableClaims(meta: meta, key: key("young")).claim(
                [TableName(schema: "s", name: table)], by: coordinator
            ) { _ in true }
        }
        let old = try begin("old", 1)
        let young = try begin("young", 2)
        // It has recorded nothing: it may be one of this version that has not come to its claims.
        #expect(try claim(young, "a") == .taken(from: []))
        let made = StoredObject(
            kind: .table, name: TableName(schema: "s", name: "t"),
            definition: Array("s.t-schema.sql".utf8))
        let objects = StoredObjects(meta: meta, key: key("old"))
        // One of a dump without tables has nothing to claim.
        let view = StoredObject(
            kind: .view, name: TableName(schema: "s", name: "v"), definition: [1])
        try objects.write([objects.storeStatement(view)], by: old)
        #expect(try claim(young, "a2") == .taken(from: []))
        try objects.write([objects.storeStatement(made)], by: old)
        #expect(try claim(young, "b") == .silent(by: key("old")))
        // What it has had before stays its own.
        #expect(try claim(young, "a") == .unchanged)
        // With claims it says on which tables it works.
        let claims = TableClaims(meta: meta, key: key("old"))
        let its = TableName(schema: "s", name: "t")
        let late = try claims.claim([its], by: old) { _ in true }
        #expect(late == .taken(from: []))
        #expect(try claim(young, "b") == .taken(from: []))
    }

    @Test("a load without claims that has ended is in nobody's way", arguments: Servers.families)
    func silentAndOver(family: TestServer.Family) async throws {
        let subtask = try await Subtask(family, "silent_over")
        let meta = subtask.meta
        let session = try TargetSession(subtask.options, role: .coordinator)
        try session.connection.execute("SET SESSION wait_timeout=900")
        let old = SubtaskKey(task: "old", source: "dump")
        _ = try Takeover(meta: meta, key: old).create(
            session, identity: [1], rules: [], phase: "load")
        let takeover = Takeover(meta: meta, key: old)
        _ = try takeover.take(session, token: subtask.token(3), epoch: .next, lanes: 1)
        let objects = StoredObjects(meta: meta, key: old)
        let coordinator = Coordinator(
            session: session, meta: meta, key: old, token: subtask.token(3))
        let table = TableName(schema: "s", name: "t")
        let made = StoredObject(kind: .table, name: table, definition: [1])
        try objects.write([objects.storeStatement(made)], by: coordinator)
        // No session holds the lock of its run.
        try subtask.take(4)
        let claims = TableClaims(meta: meta, key: subtask.key)
        let outcome = try claims.claim([table], by: subtask.coordinator(4)) { _ in true }
        #expect(outcome == .taken(from: []))
    }
}
