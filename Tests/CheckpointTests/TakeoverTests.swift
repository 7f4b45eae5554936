import Foundation
import MySQLClient
import MySQLCore
import Synchronization
import TestServers
import Testing

@testable import Checkpoint

/// Runs something that blocks on a thread of its own.
private func aside<R: Sendable>(_ body: @escaping @Sendable () -> R) async -> R {
    await withCheckedContinuation { continuation in
        Thread.detachNewThread { continuation.resume(returning: body()) }
    }
}

@Suite("Taking a subtask over")
struct TakeoverTests {
    @Test(
        "a takeover writes a new token, and inherits what lanes did above the mark",
        arguments: Servers.families)
    func inherits(family: TestServer.Family) async throws {
        let subtask = try await Subtask(family, "inherits")
        #expect(try subtask.peek()?.epoch == 0)
        let first = try subtask.take(1, lanes: 3)
        #expect(first.epoch == 1 && first.carried.isEmpty && first.lowWater == nil)
        #expect(first.identity == [1, 2] && first.rules == [3] && first.phase == "copy")
        for (lane, done) in [Subtask.set(1, 4), Subtask.set(2), Subtask.set(6)].enumerated() {
            let session = try subtask.session(lane)
            try subtask.begin(session, subtask.fence(1, lane: lane), done: done, row: lane)
            try session.connection.execute("COMMIT")
        }
        let coordinator = try subtask.coordinator(1)
        #expect(try coordinator.readDone() == [Subtask.set(1, 4), Subtask.set(2), Subtask.set(6)])
        try coordinator.write(mark: Subtask.position(2), carried: AppliedSet(), tail: [9])
        // Fewer lanes than before: nothing of the others is forgotten.
        let second = try subtask.take(2, lanes: 1)
        #expect(second.epoch == 2 && second.run == subtask.token(2))
        #expect(second.lowWater == Subtask.position(2) && second.tail == [9])
        #expect(second.carried == Subtask.set(4, 6))
        #expect(try subtask.coordinator(2).readDone() == [IdentitySet()])
        #expect(try subtask.peek()?.carried == Subtask.set(4, 6))
        #expect(try subtask.take(3).carried == Subtask.set(4, 6))
    }

    @Test("an old run's fence and mark match nothing", arguments: Servers.families)
    func fenced(family: TestServer.Family) async throws {
        let subtask = try await Subtask(family, "fenced")
        try subtask.take(1)
        let session = try subtask.session()
        let stale = try subtask.coordinator(1)
        try stale.write(mark: Subtask.position(3), carried: AppliedSet(), tail: [])
        try subtask.take(2)
        #expect(throws: CheckpointError.self) {
            try subtask.begin(session, subtask.fence(1), done: Subtask.set(9), row: 1)
        }
        try session.connection.execute("ROLLBACK")
        #expect(throws: CheckpointError.self) {
            try stale.write(mark: Subtask.position(2), carried: AppliedSet(), tail: [])
        }
        #expect(throws: CheckpointError.self) { try stale.setPhase("finished") }
        #expect(throws: CheckpointError.self) { try stale.beat() }
        #expect(try stale.readDone().isEmpty)
        let state = try #require(try subtask.peek())
        #expect(state.lowWater == Subtask.position(3) && state.phase == "copy")
        #expect(try subtask.rows() == [])
    }

    @Test(
        "a fence that waits while the subtask is taken over matches nothing",
        arguments: Servers.families)
    func waitingFence(family: TestServer.Family) async throws {
        let subtask = try await Subtask(family, "waiting")
        try subtask.take(1)
        // The statements of a takeover, held open before their commit.
        let taking = try subtask.session(5)
        try taking.connection.execute(
            """
            START TRANSACTION;
            SELECT * FROM \(subtask.meta.table("lane")) WHERE \(subtask.key.condition) FOR UPDATE;
            DELETE FROM \(subtask.meta.table("lane")) WHERE \(subtask.key.condition);
            INSERT INTO \(subtask.meta.table("lane")) (task, source, lane, run, commits, done) \
            VALUES (\(subtask.key.values),0,\(subtask.token(2).literal),0,'')
            """)
        let isFenced = Mutex<Bool?>(nil)
        async let waiting: Void = aside {
            let fenced: Bool
            do {
                let session = try subtask.session()
                try subtask.begin(session, subtask.fence(1), done: Subtask.set(1), row: 1)
                fenced = false
            } catch {
                fenced = error is CheckpointError
            }
            isFenced.withLock { $0 = fenced }
        }
        try await Task.sleep(for: .milliseconds(500))
        #expect(isFenced.withLock { $0 } == nil)
        try taking.connection.execute("COMMIT")
        await waiting
        #expect(isFenced.withLock { $0 } == true)
        #expect(try subtask.rows() == [])
    }

    @Test(
        "what lanes have committed and the mark has not passed keeps its digest",
        arguments: Servers.families)
    func digests(family: TestServer.Family) async throws {
        let subtask = try await Subtask(family, "digests")
        func write(_ lane: Int, _ token: UInt8, _ done: AppliedSet) throws {
            let session = try subtask.session(lane)
            try session.connection.execute("START TRANSACTION")
            try subtask.fence(token, lane: lane).run(session.connection, done: done.encoded)
            try session.connection.execute("COMMIT")
        }
        func digest(_ sum: UInt64, _ stream: UInt64 = 7) -> AppliedDigest {
            AppliedDigest(sum: sum, stream: stream)
        }
        #expect(try subtask.take(1).carriedDigest == AppliedDigest())
        try subtask.coordinator(1).beginFollowing(
            from: Subtask.position(0), consistentFrom: Subtask.position(0), shapes: [])
        // 1 has digest 10, 2 has 20 and so on; the first lane has forgotten 1.
        try write(0, 1, AppliedSet(Subtask.set(3), digest: digest(40)))
        try write(1, 1, AppliedSet(Subtask.set(2, 5), digest: digest(70)))
        try subtask.coordinator(1).write(
            mark: Subtask.position(2),
            carried: AppliedSet(IdentitySet(), digest: digest(0 &- 30)), tail: [])
        var state = try subtask.take(2)
        #expect(state.carried == Subtask.set(3, 5) && state.carriedDigest == digest(80))
        #expect(try subtask.peek()?.carriedDigest == digest(80))
        // Another run goes on from there.
        try write(1, 2, AppliedSet(Subtask.set(6), digest: digest(60)))
        state = try subtask.take(3)
        #expect(state.carried == Subtask.set(3, 5, 6) && state.carriedDigest == digest(140))
        // Of another server's events nothing is known together with these.
        try write(0, 3, AppliedSet(Subtask.set(7), digest: digest(70, 8)))
        state = try subtask.take(4)
        #expect(state.carried == Subtask.set(3, 5, 6, 7) && state.carriedDigest == nil)
        #expect(try subtask.take(5).carriedDigest == nil)
        try subtask.coordinator(5).write(
            mark: Subtask.position(7), carried: AppliedSet(), tail: [])
        #expect(try subtask.take(6).carriedDigest == AppliedDigest())
    }

    @Test("epochs decide who may take over", arguments: Servers.families)
    func epochs(family: TestServer.Family) async throws {
        let subtask = try await Subtask(family, "epochs")
        #expect(try subtask.take(1, .binding(5)).epoch == 5)
        #expect(try subtask.take(2, .binding(5)).epoch == 5)
        #expect(throws: CheckpointError.self) { try subtask.take(3, .binding(4)) }
        #expect(try subtask.take(4, .next).epoch == 6)
        #expect(try subtask.take(5, .keep(6, own: [subtask.token(4)])).epoch == 6)
        // Somebody else's run of the same epoch.
        #expect(throws: CheckpointError.self) {
            try subtask.take(6, .keep(6, own: [subtask.token(4)]))
        }
        #expect(throws: CheckpointError.self) {
            try subtask.take(6, .keep(5, own: [subtask.token(5)]))
        }
        // Who was refused has changed nothing.
        #expect(try subtask.peek()?.run == subtask.token(5))
        let session = try subtask.session()
        try subtask.begin(session, subtask.fence(5), done: IdentitySet(), row: 1)
        try session.connection.execute("COMMIT")
        #expect(try subtask.rows() == [1])
    }

    @Test("a subtask without a row is refused, and nothing is created", arguments: Servers.families)
    func missing(family: TestServer.Family) async throws {
        let subtask = try await Subtask(family, "missing")
        let other = Takeover(
            meta: subtask.meta, key: SubtaskKey(task: "another", source: "source"))
        let session = try TargetSession(subtask.options, role: .coordinator)
        let error = #expect(throws: CheckpointError.self) {
            try other.take(session, token: subtask.token(1), epoch: .next, lanes: 1)
        }
        guard case .missing = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(try other.peek(session.connection) == nil)
        #expect(try other.create(session, identity: [], rules: []))
        #expect(try !other.create(session, identity: [7], rules: []))
        #expect(try other.peek(session.connection)?.identity == [])
    }

    @Test(
        "a takeover waits for a commit in flight, and has what it did", arguments: Servers.families)
    func commitInFlight(family: TestServer.Family) async throws {
        let subtask = try await Subtask(family, "flight")
        try subtask.take(1)
        let session = try subtask.session()
        try subtask.begin(session, subtask.fence(1), done: Subtask.set(7), row: 1)
        async let state = aside { try? subtask.take(2) }
        try await Task.sleep(for: .milliseconds(500))
        #expect(try subtask.peek()?.run == subtask.token(1))
        try session.connection.execute("COMMIT")
        #expect(await state?.carried == Subtask.set(7))
        #expect(try subtask.rows() == [1])
    }

    @Test(
        "a frozen owner that holds its row's lock is ended, and its rows are undone",
        arguments: Servers.families)
    func frozenOwner(family: TestServer.Family) async throws {
        let subtask = try await Subtask(family, "frozen")
        try subtask.take(1)
        let frozen = try subtask.session()
        try frozen.holdLock(subtask.token(1))
        try subtask.begin(frozen, subtask.fence(1), done: Subtask.set(7), row: 1)
        let bystander = try subtask.session(1)
        let session = try TargetSession(subtask.options, role: .coordinator)
        try session.connection.execute("SET innodb_lock_wait_timeout=1")
        let takeover = Takeover(meta: subtask.meta, key: subtask.key)
        let error = #expect(throws: MySQLError.self) {
            try takeover.take(session, token: subtask.token(2), epoch: .next, lanes: 2)
        }
        #expect(error?.code == MySQLErrorCode.lockWaitTimeout)
        var taken: SubtaskState?
        for _ in 0..<10 where taken == nil {
            taken = try? takeover.take(session, token: subtask.token(3), epoch: .next, lanes: 2)
        }
        #expect(taken?.carried == IdentitySet())
        #expect(try subtask.rows() == [])
        let lost = #expect(throws: MySQLError.self) { try frozen.connection.execute("COMMIT") }
        #expect(lost?.isConnectionLost == true)
        try bystander.connection.ping()
    }

    @Test("an owner's session that still works is not ended", arguments: Servers.families)
    func workingOwner(family: TestServer.Family) async throws {
        let subtask = try await Subtask(family, "working")
        try subtask.take(1)
        let working = try subtask.session()
        try working.holdLock(subtask.token(1))
        try subtask.begin(working, subtask.fence(1), done: Subtask.set(7), row: 1)
        let session = try TargetSession(subtask.options, role: .coordinator)
        try session.connection.execute("SET innodb_lock_wait_timeout=1")
        let connection = Mutex(working)
        async let slept = aside {
            connection.withLock { try? $0.connection.value("SELECT SLEEP(4)") } != nil
        }
        try await Task.sleep(for: .milliseconds(200))
        #expect(throws: MySQLError.self) {
            try Takeover(meta: subtask.meta, key: subtask.key).take(
                session, token: subtask.token(2), epoch: .next, lanes: 2)
        }
        #expect(await slept)
        _ = try connection.withLock { try $0.connection.execute("COMMIT") }
        #expect(try subtask.take(3).carried == Subtask.set(7))
    }

    @Test(
        "a COMMIT that the server runs after its client is gone is either in the takeover or nothing",
        arguments: Servers.families)
    func lateCommit(family: TestServer.Family) async throws {
        let subtask = try await Subtask(family, "late")
        try subtask.take(1)
        let proxy = try FaultProxy(to: subtask.server)
        defer { proxy.close() }
        let session = try subtask.session(proxy: proxy)
        try session.holdLock(subtask.token(1))
        try subtask.begin(session, subtask.fence(1), done: Subtask.set(7), row: 1)
        let held = proxy.holdNext(.toServer, matching: "COMMIT")
        #expect(throws: MySQLError.self) { try session.connection.execute("COMMIT") }
        try await held.caught()
        async let taken = aside { try? subtask.take(2) }
        try await Task.sleep(for: .milliseconds(300))
        held.deliver()
        let state = try #require(await taken)
        #expect(state.carried == Subtask.set(7))
        #expect(try subtask.rows() == [1])
    }

    @Test(
        "a packet that the server runs after a takeover changes nothing (V1, V4)",
        arguments: Servers.families)
    func latePacket(family: TestServer.Family) async throws {
        let subtask = try await Subtask(family, "packet")
        try subtask.take(1, .binding(1))
        let proxy = try FaultProxy(to: subtask.server)
        defer { proxy.close() }
        let session = try subtask.session(proxy: proxy)
        // As a lane sends it: fence and rows in one packet, COMMIT only after the replies.
        var sql = ByteBuffer(capacity: 256)
        sql.append("START TRANSACTION;")
        subtask.fence(1).append(to: &sql, done: Subtask.set(7).encoded)
        sql.append(";INSERT INTO \(subtask.data).t VALUES (1)")
        let held = proxy.holdNext(.toServer, matching: "START TRANSACTION;UPDATE")
        #expect(throws: MySQLError.self) { try session.connection.execute(sql) { _ in } }
        try await held.caught()
        // The same epoch, another token: as after kill -9 and a restart.
        let state = try subtask.take(2, .binding(1))
        #expect(state.carried.isEmpty)
        let again = try subtask.session()
        try subtask.begin(again, subtask.fence(2), done: Subtask.set(7), row: 1)
        try again.connection.execute("COMMIT")
        held.deliver()
        #expect(try await Subtask.eventually { proxy.connections == 0 })
        try await Task.sleep(for: .milliseconds(100))
        #expect(try subtask.rows() == [1])
        #expect(try subtask.take(3, .binding(1)).carried == Subtask.set(7))
    }

    @Test(
        "a mark that the server runs late does not bring it back (V7)", arguments: Servers.families)
    func lateMark(family: TestServer.Family) async throws {
        let subtask = try await Subtask(family, "latemark")
        try subtask.take(1)
        let proxy = try FaultProxy(to: subtask.server)
        defer { proxy.close() }
        let session = try TargetSession(
            Servers.plain(subtask.server, proxy), role: .coordinator)
        let coordinator = Coordinator(
            session: session, meta: subtask.meta, key: subtask.key, token: subtask.token(1))
        let held = proxy.holdNext(.toServer, matching: "SET low_water=")
        #expect(throws: MySQLError.self) {
            try coordinator.write(
                mark: Subtask.position(1), carried: AppliedSet(), tail: [])
        }
        try await held.caught()
        try subtask.take(2)
        try subtask.coordinator(2).write(
            mark: Subtask.position(5), carried: AppliedSet(), tail: [])
        held.deliver()
        #expect(try await Subtask.eventually { proxy.connections == 0 })
        #expect(try subtask.peek()?.lowWater == Subtask.position(5))
    }

    @Test(
        "a silent session is ended by the server, and its locks are free (V8)",
        arguments: Servers.families)
    func silentOwner(family: TestServer.Family) async throws {
        let subtask = try await Subtask(family, "silent")
        try subtask.take(1)
        let silent = try subtask.session()
        // As long as it takes by itself; `settings` says that it is 30 s elsewhere.
        try silent.connection.execute("SET wait_timeout=2")
        try subtask.begin(silent, subtask.fence(1), done: Subtask.set(7), row: 1)
        // It holds no named lock, so that nobody can find it and end it.
        let taken = await aside {
            for _ in 0..<60 {
                if let state = try? subtask.take(2) { return state as SubtaskState? }
            }
            return nil
        }
        #expect(taken?.carried == IdentitySet())
        #expect(try subtask.rows() == [])
        let lost = #expect(throws: MySQLError.self) { try silent.connection.execute("COMMIT") }
        #expect(lost?.isConnectionLost == true)
    }

    @Test(
        "connections of one run that reached two servers end it before its takeover (T1)",
        arguments: Servers.families)
    func twoServers(family: TestServer.Family) async throws {
        let subtask = try await Subtask(family, "twoservers")
        try await TestServer.with(family, name: "other") { other in
            let proxy = try FaultProxy(to: subtask.server)
            defer { proxy.close() }
            let lane = try subtask.session(proxy: proxy)
            proxy.forward(to: other)
            let coordinator = try TargetSession(
                Servers.plain(subtask.server, proxy), role: .coordinator)
            let barrier = RunBarrier(lanes: 1)
            async let arrived: Void = { _ = try? await barrier.arrive(lane) }()
            await #expect(throws: CheckpointError.self) {
                try await barrier.allOpen(coordinator)
            }
            barrier.publish(.failure(CancellationError()))
            await arrived
            // Also what is no lane there, as the session of a load that runs definitions.
            let near = try TargetSession(subtask.options, role: .coordinator)
            let far = coordinator.server
            let alone = RunBarrier(lanes: 0)
            await #expect(throws: CheckpointError.self) {
                try await alone.allOpen(near, besides: [far])
            }
            try await alone.allOpen(near, besides: [near.server])
        }
    }

    @Test("a server is known again over a slow connection", arguments: Servers.families)
    func slowIdentity(family: TestServer.Family) async throws {
        let server = try await Servers.shared(family)
        let proxy = try FaultProxy(to: server)
        defer { proxy.close() }
        let near = try ServerIdentity(Connection(Servers.plain(server)))
        let connection = try Connection(Servers.plain(server, proxy))
        proxy.setDelay(.seconds(3))
        let far = try ServerIdentity(connection)
        #expect(far.isSame(as: near))
        #expect(far.started == near.started)
        #expect(near.started > 0)
    }
}
