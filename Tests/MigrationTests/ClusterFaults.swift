import Cluster
import Foundation
import Glibc
import Metadata
import MySQLClient
import Synchronization
import TestServers

/// What can happen to a worker.
enum Fault: String, CaseIterable, Sendable {
    /// kill -9 of the worker that leads.
    case leaderKilled
    /// kill -9 of the worker that runs a source.
    case ownerKilled
    /// kill -9 of the store's member of the worker that leads.
    case storeKilled
    /// A machine is lost: kill -9 of a worker, and its folder, its member's data and its relay logs
    /// with it, are gone. Another one comes under its name.
    case machineLost
    /// The worker that runs a source is stopped for longer than its lease, and goes on.
    case ownerStopped
    /// The store's member of the worker that runs a source is stopped for a while, and goes on.
    case storeStopped
    /// The target's network takes nothing from a source's worker any more, or answers nothing, or
    /// both; then its connections are reset.
    case targetCut

    static func rounds(_ count: Int, _ dice: inout Dice) -> [Fault] {
        (0..<count).map { _ in allCases[Int(dice.roll(allCases.count))] }
    }

    /// - Parameter target: the network before the source's target.
    func happen(
        to cluster: ClusterTrial, source: String, target: FaultProxy, _ dice: inout Dice
    ) async throws {
        switch self {
        case .storeStopped:
            guard let owner = try await cluster.owner(source) else { throw Overdue("no owner") }
            try await cluster.eventually("a member of the store") { owner.etcd != nil }
            guard let etcd = owner.etcd else { return }
            kill(etcd, SIGSTOP)
            try await Task.sleep(for: .milliseconds(500 + 100 * Int(dice.roll(60))))
            kill(etcd, SIGCONT)
        case .targetCut:
            switch dice.roll(3) {
            case 0: target.freeze(.toServer)
            case 1: target.freeze(.toClient)
            default: target.freeze(.toServer, .toClient)
            }
            try await Task.sleep(for: .milliseconds(100 * Int(dice.roll(40))))
            target.cut()
            target.resume()
        case .leaderKilled:
            guard let leader = try await cluster.leader() else { throw Overdue("nobody leads") }
            try await restart(leader, cluster)
        case .ownerKilled:
            guard let owner = try await cluster.owner(source) else { throw Overdue("no owner") }
            try await restart(owner, cluster)
        case .machineLost:
            let lost = cluster.workers[Int(dice.roll(cluster.workers.count))]
            let others = cluster.workers.filter { $0.name != lost.name }
            try await restart(lost, cluster, join: others[Int(dice.roll(others.count))])
            try await cluster.eventually("three workers vote again") {
                let members = try await cluster.client.members()
                return members.count { !$0.isLearner && $0.hasStarted } == 3
            }
        case .storeKilled:
            guard let leader = try await cluster.leader() else { throw Overdue("nobody leads") }
            // It may have been killed just before.
            try await cluster.eventually("a member of the store") { leader.etcd != nil }
            if let etcd = leader.etcd { kill(etcd, SIGKILL) }
        case .ownerStopped:
            guard let owner = try await cluster.owner(source) else { throw Overdue("no owner") }
            let epoch = try await cluster.cluster().bindings[source]?.record.epoch ?? 0
            owner.process?.signal(SIGSTOP)
            defer { owner.process?.signal(SIGCONT) }
            try await cluster.eventually("somebody else runs \(source)") {
                let binding = try await cluster.cluster().bindings[source]?.record
                return binding?.worker != owner.name && (binding?.epoch ?? 0) > epoch
            }
            try await Task.sleep(for: .seconds(1))
        }
    }

    /// Kills a worker, and starts it again once its sources run elsewhere.
    ///
    /// - Parameter join: it has lost all that it knew, and joins this one.
    private func restart(
        _ worker: ServeProcess, _ cluster: ClusterTrial, join: ServeProcess? = nil
    ) async throws {
        worker.kill()
        try await cluster.eventually("the sources of \(worker.name) run elsewhere") {
            try await cluster.cluster().bindings.values.allSatisfy {
                $0.record.worker != worker.name && $0.record.worker != nil
            }
        }
        if join != nil { try FileManager.default.removeItem(atPath: worker.folder) }
        try worker.start(join: join)
    }
}

/// Writes to a source all the time, and notes the longest time for which nothing of it arrived.
final class Beats: Sendable {
    private let task: Task<Duration, any Error>

    init(_ trial: Trial) {
        let isOver = Box()
        over = isOver
        task = Task.detached {
            let (source, target) = (
                try trial.source.connect(trial.schema), try trial.target.connect(trial.schema)
            )
            // Behind all markers, and behind those of an earlier one.
            var beat = UInt64(1) << 62 + UInt64(Date().timeIntervalSince1970 * 1e6)
            var last = ""
            var since = ContinuousClock.now
            var longest = Duration.zero
            while !isOver.value.withLock({ $0 }) {
                beat += 1
                try source.execute("INSERT INTO marker VALUES (\(beat))")
                let newest = try target.value("SELECT MAX(id) FROM marker") ?? ""
                let now = ContinuousClock.now
                if newest != last {
                    if !last.isEmpty { longest = max(longest, since.duration(to: now)) }
                    (last, since) = (newest, now)
                }
                try await Task.sleep(for: .milliseconds(3))
            }
            return longest
        }
    }

    private final class Box: Sendable { let value = Mutex(false) }
    private let over: Box

    /// Ends it.
    ///
    /// - Returns: the longest time without anything new on the target.
    func stop() async throws -> Duration {
        over.value.withLock { $0 = true }
        return try await task.value
    }
}

extension LocalState {
    /// Whether there is such a file.
    func holds(_ file: String) -> Bool { access(path + "/" + file, F_OK) == 0 }
}
