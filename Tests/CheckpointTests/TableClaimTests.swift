import MySQLClient
import MySQLCore
import TestServers
import Testing

@testable import Checkpoint

@Suite("Tables that loads write to")
struct TableClaimTests {
    private static func table(_ name: String) -> TableName { TableName(schema: "s", name: name) }

    @Test(
        "one load has a table until it neither runs nor has rows in it",
        arguments: Servers.families)
    func claims(family: TestServer.Family) async throws {
        let subtask = try await Subtask(family, "claims")
        let meta = subtask.meta
        let connection = try Connection(subtask.options)
        let (a, b, c) = (Self.table("a"), Self.table("b"), Self.table("c"))
        func key(_ name: String) -> SubtaskKey { SubtaskKey(task: name, source: "dump") }
        /// Begins a run that lives as long as the session.
        func begin(_ name: String, _ n: UInt8) throws -> (TargetSession, Coordinator) {
            let session = try TargetSession(subtask.options, role: .coordinator)
            try session.connection.execute("SET SESSION wait_timeout=900")
            let takeover = Takeover(meta: meta, key: key(name))
            _ = try takeover.create(session, identity: [1], rules: [], phase: "load")
            try session.holdLock(subtask.token(n))
            _ = try takeover.take(session, token: subtask.token(n), epoch: .next, lanes: 1)
            let coordinator = Coordinator(
                session: session, meta: meta, key: key(name), token: subtask.token(n))
            return (session, coordinator)
        }
        func claim(
            _ name: String, _ coordinator: Coordinator, _ tables: [TableName],
            filled: Set<TableName> = []
        ) throws -> TableClaims.Outcome {
            try TableClaims(meta: meta, key: key(name)).claim(tables, by: coordinator) {
                !filled.contains($0)
            }
        }
        func recorded(_ name: String) throws -> Set<TableName> {
            let chunks = try CopyLedger(meta: meta, key: key(name)).chunks(connection)
            let made = try StoredObjects(meta: meta, key: key(name)).read(connection)
            return Set(chunks.map(\.table) + made.map(\.name))
        }
        let (session, one) = try begin("one", 1)
        #expect(try claim("one", one, [a, b]) == .taken(from: []))
        #expect(try claim("one", one, [b, a]) == .unchanged)
        let ledger = CopyLedger(meta: meta, key: key("one"))
        let objects = StoredObjects(meta: meta, key: key("one"))
        try objects.write(
            try [a, b].map {
                try ledger.insertStatement(
                    ChunkRecord(table: $0, chunk: 1, snapshot: 0, from: nil, to: nil, rows: 2))
            } + [objects.storeStatement(StoredObject(kind: .table, name: a, definition: [1]))],
            by: one)
        let (_, two) = try begin("two", 2)
        // It runs, rows or not; and nothing of what was asked for is claimed.
        let running = TableClaims.Outcome.held(b, by: key("one"), isRunning: true)
        #expect(try claim("two", two, [c, b]) == running)
        #expect(try claim("one", one, [c]) == .taken(from: []))
        // It has ended, and has left rows.
        let id = session.connection.id
        try connection.execute("KILL \(id)")
        let lock = subtask.token(1).lockName("c")
        let deadline = ContinuousClock.now + .seconds(60)
        while try connection.value("SELECT IS_USED_LOCK(\(lock))") != nil {
            try #require(ContinuousClock.now < deadline)
            try await Task.sleep(for: .milliseconds(10))
        }
        let filled = TableClaims.Outcome.held(b, by: key("one"), isRunning: false)
        #expect(try claim("two", two, [a, b], filled: [b]) == filled)
        #expect(try recorded("one") == [a, b])
        // The table was emptied, or dropped.
        #expect(try claim("two", two, [b], filled: [a]) == .taken(from: [key("one")]))
        // A definition of the former holder's may be under way, however often it begins again.
        #expect(try claim("two", two, [b]) == .taken(from: [key("one")]))
        try TableClaims(meta: meta, key: key("two")).settle([b], by: two)
        #expect(try claim("two", two, [b]) == .unchanged)
        #expect(try recorded("one") == [a])
        // What is left of its run can't commit any more.
        let lane = try subtask.session()
        #expect(throws: CheckpointError.self) {
            try Fence(meta: meta, key: key("one"), lane: 0, token: subtask.token(1)).run(
                lane.connection, done: [])
        }
        try lane.connection.execute("ROLLBACK")
        let (_, later) = try begin("one", 3)
        #expect(try claim("one", later, [a, c]) == .unchanged)
        let theirs = TableClaims.Outcome.held(b, by: key("two"), isRunning: true)
        #expect(try claim("one", later, [a, b]) == theirs)
        // Forgotten, it has none.
        try two.forget()
        #expect(try claim("one", later, [a, b], filled: [b]) == .taken(from: [key("two")]))
    }

    @Test("sources of a task share a table once one has begun it", arguments: Servers.families)
    func sharing(family: TestServer.Family) async throws {
        let subtask = try await Subtask(family, "shared")
        let meta = subtask.meta
        let connection = try Connection(subtask.options)
        let (a, b) = (Self.table("a"), Self.table("b"))
        func key(_ name: String) -> SubtaskKey {
            let parts = name.split(separator: "/").map(String.init)
            return SubtaskKey(task: parts[0], source: parts[1])
        }
        func begin(_ name: String, _ n: UInt8) throws -> (TargetSession, Coordinator) {
            let session = try TargetSession(subtask.options, role: .coordinator)
            try session.connection.execute("SET SESSION wait_timeout=900")
            let takeover = Takeover(meta: meta, key: key(name))
            _ = try takeover.create(session, identity: [1], rules: [], phase: "load")
            try session.holdLock(subtask.token(n))
            _ = try takeover.take(session, token: subtask.token(n), epoch: .next, lanes: 1)
            return (
                session,
                Coordinator(
                    session: session, meta: meta, key: key(name), token: subtask.token(n))
            )
        }
        func claim(
            _ name: String, _ coordinator: Coordinator, mayShare: Bool = true,
            filled: Set<TableName> = [], tables: [TableName]? = nil
        ) throws -> TableClaims.Outcome {
            try TableClaims(meta: meta, key: key(name)).claim(
                tables ?? [a], by: coordinator, mayShare: { _ in mayShare },
                isEmpty: { !filled.contains($0) })
        }
        func shares(_ name: String) throws -> TableClaims.Sharing? {
            try TableClaims(meta: meta, key: key(name)).sharing([a, b], connection)[a]
        }
        func record(_ name: String, _ coordinator: Coordinator) throws {
            let objects = StoredObjects(meta: meta, key: key(name))
            try objects.write(
                [
                    objects.storeStatement(
                        StoredObject(
                            kind: .table, name: a, definition: [TableClaims.madeMark]))
                ], by: coordinator)
        }
        func end(_ session: TargetSession, _ n: UInt8) async throws {
            try connection.execute("KILL \(session.connection.id)")
            let lock = subtask.token(n).lockName("c")
            let deadline = ContinuousClock.now + .seconds(60)
            while try connection.value("SELECT IS_USED_LOCK(\(lock))") != nil {
                try #require(ContinuousClock.now < deadline)
                try await Task.sleep(for: .milliseconds(10))
            }
        }
        let (first, one) = try begin("t/one", 1)
        let (second, two) = try begin("t/two", 2)
        #expect(try claim("t/one", one, tables: [a, b]) == .taken(from: []))
        // It runs, and has not said that the table is its own.
        #expect(try claim("t/two", two) == .undecided(a, by: key("t/one")))
        #expect(try shares("t/two") == nil)
        try record("t/one", one)
        #expect(try shares("t/two") == .init(others: [key("t/one")], isJoined: false))
        let alone = TableClaims.Outcome.held(a, by: key("t/one"), isRunning: true)
        #expect(try claim("t/two", two, mayShare: false) == alone)
        #expect(try claim("t/two", two) == .taken(from: []))
        #expect(try claim("t/two", two) == .unchanged)
        #expect(try shares("t/two") == .init(others: [key("t/one")], isJoined: true))
        // It has a claim, and has begun nothing.
        #expect(try shares("t/one") == nil)
        try record("t/two", two)
        #expect(try shares("t/one") == .init(others: [key("t/two")], isJoined: true))
        try TableClaims(meta: meta, key: key("t/two")).settle([a], by: two)
        #expect(try shares("t/one")?.others == [key("t/two")])
        #expect(try claim("t/one", one, tables: [a, b]) == .unchanged)
        // Another task has it only when all of them have ended and left it empty.
        let (_, other) = try begin("u/one", 3)
        try await end(first, 1)
        let held = TableClaims.Outcome.held(a, by: key("t/two"), isRunning: true)
        #expect(try claim("u/one", other) == held)
        try await end(second, 2)
        let filled = try claim("u/one", other, filled: [a])
        #expect(filled == .held(a, by: key("t/one"), isRunning: false))
        let both = [key("t/one"), key("t/two")]
        #expect(try claim("u/one", other) == .taken(from: both))
        for (name, n) in [("t/one", UInt8(1)), ("t/two", 2)] {
            #expect(try StoredObjects(meta: meta, key: key(name)).read(connection).isEmpty)
            let lane = try subtask.session()
            #expect(throws: CheckpointError.self) {
                try Fence(meta: meta, key: key(name), lane: 0, token: subtask.token(n)).run(
                    lane.connection, done: [])
            }
            try lane.connection.execute("ROLLBACK")
        }
        #expect(try shares("t/one") == nil)
        // What has ended before it has begun the table leaves it to another source alone.
        let (third, late) = try begin("t/one", 4)
        try other.forget()
        #expect(try claim("t/one", late) == .taken(from: [key("t/two"), key("u/one")]))
        try await end(third, 4)
        let (_, more) = try begin("t/two", 5)
        #expect(try claim("t/two", more) == .taken(from: [key("t/one"), key("u/one")]))
        #expect(try shares("t/two") == nil)
    }
}
