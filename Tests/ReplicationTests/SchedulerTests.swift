import MySQLCore
import Runtime
import Testing

@testable import Replication

@Suite("The scheduler")
struct SchedulerTests {
    /// All transactions over two keys: each uses one or both, and reads or writes it.
    private static let overTwoKeys: [Uses] = [
        Uses(reads: [0]), Uses(writes: [0]), Uses(reads: [1]), Uses(writes: [1]),
        Uses(reads: [0, 1]), Uses(reads: [0], writes: [1]), Uses(reads: [1], writes: [0]),
        Uses(writes: [0, 1]),
    ]

    @Test(
        "no transaction overtakes one that it conflicts with, in all histories of four over two keys",
        arguments: [1, 2, 4])
    func allSmallHistories(batchLimit: Int) async throws {
        let kinds = Self.overTwoKeys
        for number in 0..<4096 {
            let history = (0..<4).map { kinds[number >> (3 * $0) & 7] }
            let play = Play(
                history: history, lanes: 1 + number % 3, batchLimit: batchLimit,
                seed: UInt64(number) &* 31 &+ UInt64(batchLimit))
            let problems = try await play.run()
            guard problems.isEmpty else {
                Issue.record("history \(history), seed \(play.seed): \(problems)")
                return
            }
        }
    }

    @Test("no transaction overtakes one that it conflicts with, in long random histories")
    func randomHistories() async throws {
        for seed: UInt64 in 1...150 {
            var random = SplitMix(seed)
            let keys = 2 + random.below(8)
            let history = (0..<(20 + random.below(60))).map { _ in
                var uses = Uses()
                for _ in 0...random.below(4) {
                    let key = random.below(keys)
                    if random.oneIn(2) { uses.writes.insert(key) } else { uses.reads.insert(key) }
                }
                return uses
            }
            let play = Play(
                history: history, lanes: 1 + random.below(4), batchLimit: 1 + random.below(8),
                byteLimit: 300 + random.below(10_000), bytes: 1 + random.below(200),
                seed: seed &+ 1000)
            let problems = try await play.run()
            guard problems.isEmpty else {
                Issue.record("seed \(seed): \(problems)")
                return
            }
        }
    }

    @Test("transactions without common keys run on several lanes at once")
    func parallel() async throws {
        let scheduler = Scheduler(lanes: 3, batchLimit: 1, byteLimit: 1 << 20)
        for i in 0..<3 { _ = try scheduler.add(Uses(writes: [i]).transaction(i, bytes: 1)) }
        for lane in 0..<3 {
            guard case .batch(let batch) = try await scheduler.now(lane: lane) else {
                Issue.record("lane \(lane) got nothing")
                return
            }
            #expect(batch.transactions.count == 1)
        }
    }

    @Test("open batches wait for more while there is more to read, and go when it is dry")
    func dryness() async throws {
        let scheduler = Scheduler(lanes: 1, batchLimit: 8, byteLimit: 1 << 20)
        scheduler.setDry(false)
        _ = try scheduler.add(Uses(writes: [1]).transaction(0, bytes: 1))
        _ = try scheduler.add(Uses(writes: [1]).transaction(1, bytes: 1))
        guard case .ping = try await scheduler.now(lane: 0) else {
            Issue.record("a batch went although more was there")
            return
        }
        scheduler.setDry(true)
        guard case .batch(let batch) = try await scheduler.now(lane: 0) else {
            Issue.record("nothing went")
            return
        }
        #expect(batch.transactions.map(\.ordinal) == [1, 2])
    }

    @Test("a reader waits while too much is pending, and goes on when half of it is committed")
    func room() async throws {
        let scheduler = Scheduler(lanes: 1, batchLimit: 2, byteLimit: 1 << 20)
        var full = false
        var added = 0
        while !full {
            full = try scheduler.add(Uses(writes: [added]).transaction(added, bytes: 1))
            added += 1
        }
        #expect(added == 4)
        let isThere = Latch()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                try await scheduler.waitForRoom()
                isThere.set()
            }
            var committed = 0
            while committed < added {
                guard case .batch(let batch) = try await scheduler.now(lane: 0) else { continue }
                committed += batch.transactions.count
                if committed <= 2 { #expect(!isThere.isSet) }
                scheduler.committed(batch)
                if committed > 2 { break }
            }
            try await group.waitForAll()
        }
        #expect(isThere.isSet)
    }

    @Test("batches are smaller where most transactions conflict, unless that does not help")
    func limits() {
        var limit = BatchLimit(most: 192, lanes: 4)
        func add(_ count: Int, conflicting share: Int) {
            for i in 0..<count { limit.add(conflicts: i % 100 < share) }
        }
        add(2048, conflicting: 40)
        #expect(limit.value == 192)
        add(256, conflicting: 80)
        #expect(limit.value == 96)
        add(2560, conflicting: 80)
        #expect(limit.value == 32)
        // Two run at a time.
        for _ in 0..<100 { limit.commit(beside: 1) }
        add(2560, conflicting: 30)
        #expect(limit.value == 32)
        add(2560, conflicting: 5)
        #expect(limit.value == 192)
        // All of them change one row.
        add(2560, conflicting: 100)
        for _ in 0..<64 { limit.commit(beside: 0) }
        #expect(limit.value == 192)
        add(10_240, conflicting: 100)
        #expect(limit.value == 192)
        add(102_400, conflicting: 100)
        #expect(limit.value == 32)
        var small = BatchLimit(most: 3, lanes: 1)
        for _ in 0..<1024 { small.add(conflicts: true) }
        #expect(small.value == 3)
    }

    @Test("a scheduler holds fewer transactions where they conflict")
    func conflicts() async throws {
        let scheduler = Scheduler(lanes: 4, batchLimit: 192, byteLimit: 1 << 30)
        for i in 0..<512 { _ = try scheduler.add(Uses(writes: [7]).transaction(i, bytes: 1)) }
        #expect(scheduler.currentLimit == 48)
        guard case .batch(let batch) = try await scheduler.now(lane: 0) else {
            Issue.record("nothing runs")
            return
        }
        #expect(batch.transactions.count == 192)
        scheduler.committed(batch)
        guard case .batch(let next) = try await scheduler.now(lane: 0) else {
            Issue.record("nothing runs")
            return
        }
        #expect(next.transactions.count < 192)
    }

    @Test("bytes that wait are limited, too")
    func bytes() throws {
        let scheduler = Scheduler(lanes: 1, batchLimit: 100, byteLimit: 1000)
        #expect(try !scheduler.add(Uses(writes: [1]).transaction(0, bytes: 999)))
        #expect(try scheduler.add(Uses(writes: [2]).transaction(1, bytes: 1)))
    }

    @Test("drain returns when everything is committed, not before")
    func drains() async throws {
        let scheduler = Scheduler(lanes: 1, batchLimit: 8, byteLimit: 1 << 20)
        try await scheduler.drain()
        scheduler.setDry(false)
        _ = try scheduler.add(Uses(writes: [1]).transaction(0, bytes: 1))
        let isDrained = Latch()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                try await scheduler.drain()
                isDrained.set()
            }
            var taken: Batch?
            while taken == nil {
                if case .batch(let batch) = try await scheduler.now(lane: 0) { taken = batch }
            }
            #expect(!isDrained.isSet)
            if let taken { scheduler.committed(taken) }
            try await group.waitForAll()
        }
        #expect(scheduler.pendingTransactions == 0)
    }

    @Test("parts of a large transaction go to one lane, one after the other")
    func parts() async throws {
        let scheduler = Scheduler(lanes: 2, batchLimit: 8, byteLimit: 1 << 20)
        let transaction = Uses(writes: [1]).transaction(0, bytes: 1)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                for (n, end) in [StreamedPart.End.none, .none, .commit].enumerated() {
                    try await scheduler.apply(
                        StreamedPart(transaction: transaction, isFirst: n == 0, end: end))
                }
            }
            var seen: [Bool] = []
            while seen.count < 3 {
                guard case .ping = try await scheduler.now(lane: 1) else {
                    Issue.record("another lane got a part")
                    return
                }
                switch try await scheduler.now(lane: Scheduler.streamingLane) {
                case .part(let part):
                    seen.append(part.isFirst)
                    scheduler.partDone()
                default: continue
                }
            }
            #expect(seen == [true, false, false])
            try await group.waitForAll()
        }
    }

    private struct Stopped: Error {}

    @Test("a failure ends every wait, now and later")
    func failure() async throws {
        let scheduler = Scheduler(lanes: 2, batchLimit: 1, byteLimit: 1 << 20)
        var n = 0
        while !(try scheduler.add(Uses(writes: [0]).transaction(n, bytes: 1))) { n += 1 }
        guard case .batch = try await scheduler.now(lane: 0) else {
            Issue.record("nothing to run")
            return
        }
        await withTaskGroup(of: Bool.self) { group in
            func ends(_ wait: @escaping @Sendable () async throws -> Void) {
                group.addTask {
                    do {
                        try await wait()
                        return false
                    } catch {
                        return error is Stopped
                    }
                }
            }
            ends { try await scheduler.waitForRoom() }
            ends { try await scheduler.drain() }
            ends { _ = try await scheduler.next(lane: 1) }
            group.addTask {
                try? await Task.sleep(for: .milliseconds(20))
                scheduler.fail(Stopped())
                return true
            }
            for await ended in group { #expect(ended) }
        }
        #expect(throws: Stopped.self) {
            try scheduler.add(Uses(writes: [0]).transaction(99, bytes: 1))
        }
        await #expect(throws: Stopped.self) { try await scheduler.drain() }
        await #expect(throws: Stopped.self) { try await scheduler.waitForRoom() }
        await #expect(throws: Stopped.self) { _ = try await scheduler.next(lane: 0) }
    }

    @Test("lanes end when nothing is left")
    func ends() async throws {
        let scheduler = Scheduler(lanes: 2, batchLimit: 1, byteLimit: 1 << 20)
        _ = try scheduler.add(Uses(writes: [0]).transaction(0, bytes: 1))
        guard case .batch(let batch) = try await scheduler.now(lane: 0) else {
            Issue.record("nothing to run")
            return
        }
        scheduler.end()
        guard case .ping = try await scheduler.now(lane: 1) else {
            Issue.record("a lane ended although a batch ran")
            return
        }
        scheduler.committed(batch)
        for lane in 0..<2 {
            guard case .end = try await scheduler.next(lane: lane) else {
                Issue.record("lane \(lane) did not end")
                return
            }
        }
    }

    @Test("a cancelled wait ends")
    func cancellation() async throws {
        let scheduler = Scheduler(lanes: 1, batchLimit: 1, byteLimit: 1 << 20)
        let waiting = Task { _ = try await scheduler.next(lane: 0) }
        waiting.cancel()
        await #expect(throws: CancellationError.self) { try await waiting.value }
    }
}
