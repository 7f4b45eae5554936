internal import Foundation
internal import Glibc
public import Logging
internal import Runtime
internal import Synchronization

/// A worker's own member of the store: an etcd process that is started again when it ends or hangs,
/// and that ends with this process, whatever ends that.
public final class EtcdServer: Sendable {
    /// What the member is doing.
    public enum Condition: Sendable, Hashable {
        /// It is not running: it was not started, is about to be again, or has ended.
        case down
        /// It runs and has not answered yet.
        case starting
        /// It answers.
        case up(MemberStatus)
    }

    private struct State {
        var condition = Condition.down
        var process: SupervisedProcess?
        var starts = 0
        /// Whether the member has ever had data, or must have: a member that once had some, and has
        /// none, is not started.
        var hadData = false
        /// What ``EtcdServer/join(through:within:)`` has added to the cluster.
        var added: MemberID?
    }

    /// How the member runs.
    public let settings: EtcdServerSettings
    private let log: Logger
    private let state = Mutex(State())

    /// Makes a member that is not running.
    public init(_ settings: EtcdServerSettings, log: Logger) {
        self.settings = settings
        self.log = log
    }

    /// Whether Debian's etcd is on this machine.
    public static var isInstalled: Bool { access(EtcdServerSettings.debianProgram, X_OK) == 0 }

    /// Whether the program that runs the member can be started.
    public var isProgramThere: Bool { access(settings.program, X_OK) == 0 }

    /// What the member is doing.
    public var condition: Condition { state.withLock { $0.condition } }
    /// The process that runs now.
    public var pid: Int32? { state.withLock { $0.process?.pid } }
    /// How often it was started.
    public var starts: Int { state.withLock { $0.starts } }

    /// Whether the folder holds the data of a member. A member never starts without its data under
    /// its old number: it might vote twice in one election.
    public var hasData: Bool {
        // As the program looks: to it a folder without a log is a member that never was.
        do {
            let files = try FileManager.default.contentsOfDirectory(
                atPath: settings.dataFolder + "/member/wal")
            return files.contains { $0.hasSuffix(".wal") }
        } catch let error as CocoaError
            where error.code == .fileReadNoSuchFile || error.code == .fileNoSuchFile
        {
            return false
        } catch {
            // What can't be read just now may be whole: it is not put aside, and not replaced.
            return true
        }
    }

    /// What was added to the cluster for this member and has not begun yet: it may be started.
    var unbegun: MemberID? {
        get { state.withLock { $0.hadData ? nil : $0.added } }
        set { state.withLock { $0.added = newValue } }
    }

    /// Puts the data aside, of a member that was removed from its cluster, or what is left of them.
    /// What is started next is another member.
    public func discardData() throws {
        state.withLock { $0.hadData = false }
        let old = settings.dataFolder + ".removed"
        let files = FileManager.default
        do {
            try? files.removeItem(atPath: old)
            if files.fileExists(atPath: settings.dataFolder) {
                try files.moveItem(atPath: settings.dataFolder, toPath: old)
            }
        } catch {
            throw MetadataError(.file, "cannot put \(settings.dataFolder) aside: \(error)")
        }
    }

    /// Runs the member until the task is cancelled, and then ends it: with SIGTERM, so that it hands
    /// its leadership over, and with SIGKILL after `stopTimeout`.
    ///
    /// - Parameter formation: what a member without data does. With data it goes on in any case.
    /// - Throws: `MetadataError` with code `file` when the folder cannot be used, `process` when
    ///   the program cannot be started at all, or has not joined after a few tries: the members that
    ///   it was given may be others by now. `dataLost` when the member once had data, and has none.
    public func run(_ formation: EtcdFormation) async throws {
        try makeFolders()
        var backoff = Backoff(first: .milliseconds(100), limit: .seconds(10))
        var tries = 0
        while true {
            let started = ContinuousClock.now
            let next = try formationNow(formation)
            if case .joining = next {
                tries += 1
                if tries > Self.joinTries {
                    throw MetadataError(.process, "etcd has not joined: \(lastLines())")
                }
            }
            let process = try await start(next)
            let hung = await supervise(process)
            let isThere = hasData
            state.withLock { state in
                if isThere { state.hadData = true }
                state.condition = .down
                state.process = nil
            }
            try Task.checkCancellation()
            log.warning(
                "etcd has ended and is started again",
                metadata: ["hung": "\(hung)", "log": "\(lastLines())"])
            if started.duration(to: .now) > .seconds(60) { backoff.reset() }
            try await Task.sleep(for: backoff.delay())
        }
    }

    /// How often the program is started with the same members to join.
    private static let joinTries = 3

    /// What the member does that is started now.
    private func formationNow(_ formation: EtcdFormation) throws -> EtcdFormation {
        if hasData {
            state.withLock { $0.hadData = true }
            return .existing
        }
        var isExpected = state.withLock { $0.hadData }
        if case .existing = formation { isExpected = true }
        // The program would form a cluster of its own, or vote again where it has voted.
        guard !isExpected else {
            throw MetadataError(
                .dataLost,
                "the data of this worker's member of the store are gone from "
                    + "\(settings.dataFolder); it is not started without them")
        }
        return formation
    }

    private func makeFolders() throws {
        let attributes: [FileAttributeKey: Any] = [.posixPermissions: 0o700]
        for folder in [settings.folder, settings.dataFolder] {
            do {
                try FileManager.default.createDirectory(
                    atPath: folder, withIntermediateDirectories: true, attributes: attributes)
            } catch {
                throw MetadataError(.file, "cannot make \(folder): \(error)")
            }
        }
    }

    private func start(_ formation: EtcdFormation) async throws -> SupervisedProcess {
        // The program would take its options from our environment too.
        let process = try await SupervisedProcess(
            program: settings.program, arguments: settings.arguments(formation),
            environment: ["PATH=/usr/bin:/bin"], output: settings.logFile)
        state.withLock { state in
            state.process = process
            state.condition = .starting
            state.starts += 1
        }
        return process
    }

    /// Returns when the process has ended: by itself, because it did not answer and was killed, or
    /// because the task is cancelled.
    ///
    /// - Returns: whether it was killed for not answering.
    private func supervise(_ process: SupervisedProcess) async -> Bool {
        await withTaskGroup(of: Bool.self) { group in
            group.addTask {
                _ = await process.ended()
                return false
            }
            group.addTask {
                do {
                    try await self.watchOver(process)
                } catch {
                    // Cancelled, or its client could not be made.
                    await process.stop(patience: self.settings.stopTimeout)
                    return false
                }
                process.send(SIGKILL)
                return true
            }
            var hung = false
            while let wasKilled = await group.next() {
                hung = hung || wasKilled
                // Either is followed by the other: the one that watches ends with the process.
                group.cancelAll()
            }
            return hung
        }
    }

    /// Returns when the member has not answered for too long.
    private func watchOver(_ process: SupervisedProcess) async throws {
        var patience = EtcdClient.Patience()
        patience.attempt = settings.probeTimeout
        let client = try EtcdClient(
            endpoints: [settings.clientEndpoint], tls: settings.tls, patience: patience)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await client.run() }
            group.addTask { try await self.probe(client) }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    private func probe(_ client: EtcdClient) async throws {
        let start = ContinuousClock.now
        var misses = 0
        while true {
            do {
                let status = try await client.status(of: settings.clientEndpoint)
                misses = 0
                // Who answers may be somebody else at our port: that there are data, they say.
                let isThere = hasData
                state.withLock { state in
                    state.condition = .up(status)
                    if isThere { state.hadData = true }
                }
                limitLog()
            } catch is MetadataError {
                if case .up = condition {
                    misses += 1
                } else if start.duration(to: .now) > settings.startTimeout {
                    misses = settings.probeMisses
                }
                if misses >= settings.probeMisses { return }
            }
            // A member that starts is asked more often.
            if case .up = condition {
                try await Task.sleep(for: settings.probeInterval)
            } else {
                try await Task.sleep(for: min(settings.probeInterval, .milliseconds(50)))
            }
        }
    }

    /// What the program writes is for looking into what went wrong just now. It appends, so the
    /// file can be emptied while it runs.
    private func limitLog() {
        var status = stat()
        let limit = 16 << 20
        if stat(settings.logFile, &status) == 0, status.st_size > limit {
            truncate(settings.logFile, 0)
        }
    }

    /// The end of what the program has written.
    private func lastLines() -> String {
        guard let file = FileHandle(forReadingAtPath: settings.logFile) else { return "" }
        defer { try? file.close() }
        let size = (try? file.seekToEnd()) ?? 0
        try? file.seek(toOffset: size > 2000 ? size - 2000 : 0)
        let text = String(decoding: (try? file.readToEnd()) ?? Data(), as: UTF8.self)
        return text.split(separator: "\n").suffix(3).joined(separator: "\n")
    }
}
