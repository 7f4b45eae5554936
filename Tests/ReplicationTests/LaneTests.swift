import Checkpoint
import MySQLClient
import MySQLCore
import Rules
import Runtime
import Synchronization
import TestServers
import Testing

@testable import Replication

/// What lanes send, what servers make of it, and what lanes make of the answers. A batch of few
/// rows goes in one packet, COMMIT included, with a guard behind each statement; a larger one
/// sends COMMIT alone after all replies. Both must keep the same promises.
@Suite("Lanes on real servers")
struct LaneTests {
    /// Rows of a batch for either way of sending it.
    static let sizes = [1, 40]

    static let cases = Servers.families.flatMap { family in sizes.map { (family, $0) } }

    private func inserts(_ rig: TargetRig, _ count: Int) throws -> [SourceTransaction] {
        try rig.transactions([(1...count).map { ("t", .insert([$0, $0])) }])
    }

    @Test("what a lane whose token is gone sends changes nothing (V3, V10)", arguments: cases)
    func staleToken(family: TestServer.Family, rows: Int) async throws {
        let rig = try await TargetRig(family, "stale\(rows)")
        try rig.take(1)
        let session = try rig.session()
        try rig.take(2)
        let transactions = try inserts(rig, rows)
        await #expect(throws: CheckpointError.self) {
            try await rig.apply(transactions, token: 1, session)
        }
        #expect(try rig.rows("t") == "")
        #expect(try rig.take(3).carried.isEmpty)
    }

    @Test(
        "a lane whose token is gone says so, also where its rows are refused, since others came",
        arguments: cases)
    func staleRows(family: TestServer.Family, rows: Int) async throws {
        let rig = try await TargetRig(family, "refused\(rows)")
        try rig.take(1)
        let session = try rig.session()
        try rig.take(2)
        try await rig.apply(try inserts(rig, rows), token: 2)
        await #expect(throws: CheckpointError.self) {
            try await rig.apply(try inserts(rig, rows), token: 1, session)
        }
        #expect(try rig.rows("t").split(separator: ";").count == rows)
    }

    @Test(
        "a packet with its COMMIT that arrives after a takeover changes nothing, before it counts",
        arguments: Servers.families, [false, true])
    func lateWhole(family: TestServer.Family, isInTime: Bool) async throws {
        let rig = try await TargetRig(family, "latewhole\(isInTime)")
        try rig.take(1)
        let proxy = try FaultProxy(to: rig.server)
        defer { proxy.close() }
        let session = try rig.session(proxy)
        let transactions = try inserts(rig, 1)
        let held = proxy.holdNext(.toServer, matching: "INSERT INTO `\(rig.schema)`")
        await #expect {
            try await rig.apply(transactions, token: 1, session)
        } throws: {
            ($0 as? MySQLError)?.isConnectionLost == true
        }
        try await held.caught()
        if isInTime {
            held.deliver()
            #expect(try await TargetRig.eventually { try rig.rows("t") == "1,1" })
            #expect(try rig.take(2).carried == TargetRig.set(1))
        } else {
            #expect(try rig.take(2).carried.isEmpty)
            try await rig.apply(transactions, token: 2)
            held.deliver()
            #expect(try await TargetRig.eventually { proxy.connections == 0 })
            #expect(try rig.take(3).carried == TargetRig.set(1))
        }
        #expect(try rig.rows("t") == "1,1")
    }

    @Test("a fence that fails takes its whole transaction with it (V9)", arguments: cases)
    func lockedFence(family: TestServer.Family, rows: Int) async throws {
        let rig = try await TargetRig(family, "locked\(rows)")
        try rig.take(1)
        let blocker = try rig.session(lane: 9)
        try blocker.connection.execute(
            "SELECT * FROM \(TableName(schema: rig.meta.name, name: "lane").quoted) FOR UPDATE")
        let session = try rig.session()
        try session.connection.execute("SET innodb_lock_wait_timeout=1")
        let progress = ReplicationProgress()
        let transactions = try inserts(rig, rows)
        async let applied: Void = rig.apply(transactions, token: 1, session, progress: progress)
        #expect(try await TargetRig.eventually { progress.snapshot.retries >= 2 })
        #expect(try rig.rows("t") == "")
        try blocker.connection.execute("ROLLBACK")
        try await applied
        #expect(try rig.rows("t").split(separator: ";").count == rows)
        #expect(try rig.done(1) == TargetRig.set(1))
    }

    @Test("a deadlock undoes fence and rows, and both come again", arguments: cases)
    func deadlock(family: TestServer.Family, rows: Int) async throws {
        let rig = try await TargetRig(family, "deadlock\(rows)")
        try rig.take(1)
        try rig.server.sql("INSERT INTO t VALUES (1000, 0)", database: rig.schema)
        let other = try rig.session(lane: 9).connection
        // It has changed more rows: the lane is the one to give way.
        try other.execute("USE \(rig.schema); SELECT * FROM t WHERE id=1000 FOR UPDATE")
        for n in 0..<100 { try other.execute("INSERT INTO twins VALUES (\(n),0)") }
        let progress = ReplicationProgress()
        let transactions = try rig.transactions([
            (1...rows).map { ("t", .insert([$0, $0])) } + [("t", .update([1000, 0], [1000, 7]))]
        ])
        async let applied: Void = rig.apply(transactions, token: 1, progress: progress)
        #expect(
            try await TargetRig.eventually {
                try rig.server.sql(
                    "SELECT COUNT(*) FROM information_schema.innodb_trx "
                        + "WHERE trx_state='LOCK WAIT' AND trx_query LIKE '%\(rig.schema)%'"
                ) == "1\n"
            })
        let row = TableName(schema: rig.meta.name, name: "lane").quoted
        try other.execute("UPDATE \(row) SET commits=commits+1")
        #expect(try await TargetRig.eventually { progress.snapshot.retries >= 1 })
        #expect(try rig.rows("t") == "1000,0")
        try other.execute("ROLLBACK")
        try await applied
        #expect(try rig.rows("t").split(separator: ";").count == rows + 1)
        #expect(try rig.rows("t").hasSuffix("1000,7"))
        #expect(try rig.done(1) == TargetRig.set(1))
    }

    @Test("a count that is not the source's stops everything before its COMMIT", arguments: cases)
    func wrongCount(family: TestServer.Family, rows: Int) async throws {
        let rig = try await TargetRig(family, "count\(rows)")
        try rig.take(1)
        let transactions = try rig.transactions([
            (1...rows).map { ("t", .insert([$0, $0])) } + [("t", .delete([77, 7]))]
        ])
        await #expect(throws: ReplicationError.self) {
            try await rig.apply(transactions, token: 1)
        }
        #expect(try rig.rows("t") == "")
        #expect(try rig.done(1).isEmpty)
    }

    @Test("a session that the server has ended is a lost connection", arguments: Servers.families)
    func endedSession(family: TestServer.Family) async throws {
        let rig = try await TargetRig(family, "ended")
        try rig.take(1)
        let session = try rig.session()
        try session.connection.execute("SET wait_timeout=1")
        let id = session.connection.id
        #expect(
            try await TargetRig.eventually {
                try rig.server.sql(
                    "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE ID=\(id)") == "0\n"
            })
        let transactions = try inserts(rig, 1)
        await #expect {
            try await rig.apply(transactions, token: 1, session)
        } throws: {
            ($0 as? MySQLError)?.isConnectionLost == true
                && ($0 as? MySQLError)?.retry == .connection
        }
        #expect(try rig.rows("t") == "")
    }

    @Test(
        "a lane leaves out what a mark holds, and not before the mark is published (V6)",
        arguments: Servers.families)
    func forgets(family: TestServer.Family) async throws {
        let rig = try await TargetRig(family, "forgets")
        try rig.take(1)
        let marks = MarkBoard()
        let scheduler = Scheduler(lanes: 1, batchLimit: 1, byteLimit: 1 << 26)
        async let running: Void = rig.run(scheduler, 1, nil, marks)
        func add(_ n: Int) async throws {
            for transaction in try rig.transactions([[("t", .insert([n, n]))]], first: n) {
                _ = try scheduler.add(transaction)
            }
            try await scheduler.drain()
        }
        for n in 1...3 { try await add(n) }
        #expect(try rig.done(1) == TargetRig.set(1, 2, 3))
        marks.publish(TargetRig.position(2))
        #expect(try rig.done(1) == TargetRig.set(1, 2, 3))
        try await add(4)
        #expect(try rig.done(1) == TargetRig.set(3, 4))
        scheduler.end()
        try await running
    }

    // MARK: transactions that come in parts

    @Test(
        "nothing of a transaction in parts is seen before its end (H2)", arguments: Servers.families
    )
    func parts(family: TestServer.Family) async throws {
        let rig = try await TargetRig(family, "parts")
        try rig.take(1)
        let scheduler = Scheduler(lanes: 1, batchLimit: 10, byteLimit: 1 << 26)
        async let running: Void = rig.run(scheduler, 1)
        func part(_ n: Int, _ row: Int, isFirst: Bool, _ end: StreamedPart.End) async throws {
            let part = try rig.transactions([[("t", .insert([row, n]))]], first: n)[0]
            try await scheduler.apply(
                StreamedPart(transaction: part, isFirst: isFirst, end: end))
        }
        try await part(1, 1, isFirst: true, .none)
        try await part(1, 2, isFirst: false, .none)
        #expect(try rig.rows("t") == "")
        #expect(try rig.done(1).isEmpty)
        try await part(1, 3, isFirst: false, .commit)
        #expect(try rig.rows("t") == "1,1;2,1;3,1")
        #expect(try rig.done(1) == TargetRig.set(1))
        // The source rolled this one back.
        try await part(2, 4, isFirst: true, .none)
        try await part(2, 5, isFirst: false, .rollback)
        try await part(3, 6, isFirst: true, .commit)
        #expect(try rig.rows("t") == "1,1;2,1;3,1;6,3")
        #expect(try rig.done(1) == TargetRig.set(1, 3))
        scheduler.end()
        try await running
    }

    @Test("parts of a transaction are gone with their connection", arguments: Servers.families)
    func lostParts(family: TestServer.Family) async throws {
        let rig = try await TargetRig(family, "lostparts")
        try rig.take(1)
        let proxy = try FaultProxy(to: rig.server)
        defer { proxy.close() }
        let scheduler = Scheduler(lanes: 1, batchLimit: 10, byteLimit: 1 << 26)
        let session = try rig.session(proxy)
        async let running: Void = rig.run(scheduler, 1, session)
        let first = try rig.transactions([[("t", .insert([1, 1]))]])[0]
        let second = try rig.transactions([[("t", .insert([2, 1]))]])[0]
        try await scheduler.apply(StreamedPart(transaction: first, isFirst: true, end: .none))
        proxy.cut()
        async let lost: Void = scheduler.apply(
            StreamedPart(transaction: second, isFirst: false, end: .commit))
        do {
            try await running
            Issue.record("the lane went on")
        } catch let error as MySQLError {
            #expect(error.isConnectionLost)
        }
        scheduler.fail(CancellationError())
        _ = try? await lost
        #expect(try await TargetRig.eventually { try rig.take(2).carried.isEmpty })
        #expect(try rig.rows("t") == "")
    }

    // MARK: the range of a copy

    @Test(
        "events that a later view has seen converge (F2, F3)", arguments: Servers.families)
    func converges(family: TestServer.Family) async throws {
        let rig = try await TargetRig(family, "converges")
        try rig.take(1)
        // What views between the transactions below hold: row 1 has changed, row 2 has its value.
        try rig.server.sql(
            "INSERT INTO uniq VALUES (1,20),(2,10); INSERT INTO t VALUES (5,5)",
            database: rig.schema)
        let transactions = try rig.transactions(
            [
                [("uniq", .insert([1, 10]))],
                [("uniq", .update([1, 10], [1, 20]))],
                [("uniq", .insert([2, 10]))],
                [("t", .insert([4, 4])), ("t", .delete([5, 5])), ("t", .delete([6, 6]))],
            ], converging: true)
        try await rig.apply([transactions[0]], token: 1)
        #expect(try rig.rows("uniq") == "1,10")
        try await rig.apply(Array(transactions.dropFirst()), token: 1)
        #expect(try rig.rows("uniq") == "1,20;2,10")
        #expect(try rig.rows("t") == "4,4")
    }

    // MARK: the gate

    @Test(
        "nothing is applied before the copy has ended, for the first time or again (F4, F5)",
        arguments: Servers.families, [false, true])
    func gate(family: TestServer.Family, isAgain: Bool) async throws {
        let rig = try await TargetRig(family, "gate\(isAgain)")
        if isAgain {
            try rig.take(1)
            let coordinator = Coordinator(
                session: try TargetSession(rig.options, role: .coordinator), meta: rig.meta,
                key: rig.key, token: rig.token(1))
            try coordinator.beginFollowing(
                from: TargetRig.position(1), consistentFrom: TargetRig.position(1), shapes: [])
            try coordinator.copyAgain(TableName(schema: rig.schema, name: "t"))
        }
        let engine = ReplicationEngine(
            ReplicationConfiguration(
                source: rig.options, target: rig.options,
                tables: TableMapping(TableSelection(tables: [])), meta: rig.meta, key: rig.key,
                serverID: 77),
            progress: ReplicationProgress())
        await #expect {
            try await engine.run(epoch: .next, token: rig.token(2)) { _ in }
        } throws: {
            if case CheckpointError.inconsistent = $0 { true } else { false }
        }
    }
}
