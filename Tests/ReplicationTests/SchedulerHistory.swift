import MySQLCore
import Runtime

@testable import Replication

/// What a transaction does with keys: the slow obvious form of a conflict.
struct Uses: CustomStringConvertible {
    var reads: Set<Int> = []
    var writes: Set<Int> = []

    /// Whether the order of two transactions matters.
    func conflicts(_ other: Uses) -> Bool {
        !writes.isDisjoint(with: other.writes) || !writes.isDisjoint(with: other.reads)
            || !reads.isDisjoint(with: other.writes)
    }

    var description: String {
        (reads.sorted().map { "r\($0)" } + writes.sorted().map { "w\($0)" })
            .joined(separator: " ")
    }

    func transaction(_ ordinal: Int, bytes: Int) -> SourceTransaction {
        let transaction = SourceTransaction(
            ordinal: UInt64(ordinal + 1),
            identity: TransactionIdentity(
                stream: .mariadb(domain: 0, server: 1), number: UInt64(ordinal + 1)))
        for key in reads.sorted() {
            transaction.keys.append(KeyUse(Self.hash(key), writes: false))
        }
        for key in writes.sorted() {
            transaction.keys.append(KeyUse(Self.hash(key), writes: true))
        }
        transaction.bytes = bytes
        return transaction
    }

    private static func hash(_ key: Int) -> UInt64 { UInt64(key + 1) << 8 }
}

/// Plays a history through a scheduler with lanes that take and commit batches in an order that a
/// seed decides, and says what is wrong.
struct Play {
    var history: [Uses]
    var lanes = 2
    var batchLimit = 3
    var byteLimit = 1 << 20
    var bytes = 100
    var seed: UInt64

    /// What was found; empty when everything holds.
    func run() async throws -> [String] {
        var random = SplitMix(seed)
        var problems: [String] = []
        let scheduler = Scheduler(lanes: lanes, batchLimit: batchLimit, byteLimit: byteLimit)
        var added = 0
        var committed: Set<Int> = []
        var running: [(lane: Int, batch: Batch, ordinals: [Int])] = []
        var mustWait = false

        func take(_ lane: Int) async throws {
            guard case .batch(let batch) = try await scheduler.now(lane: lane) else { return }
            let ordinals = batch.transactions.map { Int($0.ordinal) - 1 }
            if ordinals.isEmpty { problems.append("an empty batch") }
            if ordinals.count > batchLimit {
                problems.append("a batch of \(ordinals.count), the limit is \(batchLimit)")
            }
            for (place, later) in ordinals.enumerated() {
                let before = Set(ordinals[..<place])
                for earlier in 0..<later where history[earlier].conflicts(history[later]) {
                    if !committed.contains(earlier), !before.contains(earlier) {
                        problems.append("\(later + 1) runs before \(earlier + 1)")
                    }
                }
            }
            running.append((lane, batch, ordinals))
        }

        func commit(_ index: Int) {
            let (_, batch, ordinals) = running.remove(at: index)
            for ordinal in ordinals where !committed.insert(ordinal).inserted {
                problems.append("\(ordinal + 1) is committed twice")
            }
            scheduler.committed(batch)
        }

        while committed.count < history.count {
            if scheduler.pendingTransactions * 2 < 4 * lanes * batchLimit { mustWait = false }
            let idle = (0..<lanes).filter { lane in !running.contains { $0.lane == lane } }
            switch random.below(4) {
            case 0 where !running.isEmpty: commit(random.below(running.count))
            case 1 where !idle.isEmpty: try await take(idle[random.below(idle.count)])
            case 2: if !mustWait { scheduler.setDry(random.oneIn(2)) }
            default:
                guard added < history.count, !mustWait else {
                    scheduler.setDry(true)
                    for lane in idle { try await take(lane) }
                    if running.isEmpty {
                        problems.append("nothing runs, \(committed.count) are committed")
                        return problems
                    }
                    continue
                }
                mustWait = try scheduler.add(history[added].transaction(added, bytes: bytes))
                added += 1
                if scheduler.pendingTransactions > 4 * lanes * batchLimit {
                    problems.append("\(scheduler.pendingTransactions) are pending")
                }
            }
        }
        try await scheduler.drain()
        if scheduler.pendingTransactions != 0 { problems.append("something is pending") }
        return problems
    }
}

extension Scheduler {
    /// What a lane would get without waiting; `.ping` for nothing.
    func now(lane: Int) async throws -> Work {
        let ended = Latch()
        return try await withThrowingTaskGroup(of: Work?.self) { group in
            group.addTask {
                defer { ended.set() }
                return try await self.next(lane: lane)
            }
            while !ended.isSet {
                self.pingLanes()
                await Task.yield()
            }
            return try await group.next()! ?? .ping
        }
    }
}
