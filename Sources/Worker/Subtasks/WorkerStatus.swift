public import Settings

/// What a worker does, for the API, the command line and metrics.
public struct WorkerStatus: Sendable, Hashable, Codable {
    /// The worker's name.
    public var name: String
    /// Its subtasks, by task and source.
    public var subtasks: [SubtaskStatus] = []
    /// The relay logs that it keeps.
    public var relays: [RelayStatus] = []

    /// Makes the status of a worker that does nothing.
    public init(name: String) { self.name = name }
}

/// One task on one source, as its worker sees it.
public struct SubtaskStatus: Sendable, Hashable, Codable {
    /// What the subtask does; the words are DM's.
    public enum Stage: String, Sendable, Hashable, Codable {
        /// It has a worker, and has not begun.
        case new = "New"
        /// It works, or waits for something that can pass by itself.
        case running = "Running"
        /// It saves what it did, and is about to be paused.
        case pausing = "Pausing"
        /// It waits to be resumed: because of a request, or of the error that `error` tells.
        case paused = "Paused"
        /// It was ended by a request.
        case stopped = "Stopped"
        /// It has reached its goal.
        case finished = "Finished"
    }

    /// The part of the work.
    public enum Unit: String, Sendable, Hashable, Codable {
        case check = "Check"
        case copy = "Copy"
        case follow = "Sync"
        case verify = "Verify"
        case dump = "Dump"
        case load = "Load"
    }

    /// The task.
    public var task: String
    /// The source.
    public var source: String
    /// What it does.
    public var stage: Stage
    /// The part of the work that it is in.
    public var unit: Unit
    /// The epoch of the binding that it runs under.
    public var epoch: Int64
    /// Progress, rates' counters, positions, and what is waited for; `nil` before the first try.
    public var progress: MigrationStatus?
    /// What ended the last try, until a try goes well.
    public var error: SubtaskError?
    /// How often it was tried since it was last well.
    public var attempts = 0
    /// The newest comparison of its tables that was asked for on this worker.
    public var verification: SubtaskVerification?

    /// Describes a subtask.
    public init(task: String, source: String, stage: Stage, unit: Unit, epoch: Int64) {
        self.task = task
        self.source = source
        self.stage = stage
        self.unit = unit
        self.epoch = epoch
    }
}

/// An error that a person may have to resolve.
public struct SubtaskError: Sendable, Hashable, Codable {
    /// Stable, for programs: `binlog-purged`, say.
    public var code: String
    /// What happened, with the place.
    public var message: String
    /// What to do; `nil` when nothing has to be done.
    public var remedy: String?
    /// Whether it can pass by itself, and is tried again.
    public var isRetryable: Bool
    /// When, in seconds since 1970.
    public var time: Double
    /// Where in the binlog, if there.
    public var position: String?

    /// Describes an error.
    public init(
        code: String, message: String, remedy: String?, isRetryable: Bool, time: Double,
        position: String? = nil
    ) {
        self.code = code
        self.message = message
        self.remedy = remedy
        self.isRetryable = isRetryable
        self.time = time
        self.position = position
    }
}

/// A source's relay log on a worker.
public struct RelayStatus: Sendable, Hashable, Codable {
    /// The source.
    public var source: String
    /// State, size and position.
    public var log: MigrationStatus.Relay

    /// Describes a relay log.
    public init(source: String, log: MigrationStatus.Relay) {
        self.source = source
        self.log = log
    }
}

/// What a removal of a relay log's files has come to.
public struct RelayPurge: Sendable, Hashable {
    /// How many bytes it has freed.
    public var freedBytes: UInt64
    /// The log's first file now; a file that is read or needed can stand before the one that was
    /// asked for.
    public var firstFile: String?

    /// Describes one.
    public init(freedBytes: UInt64, firstFile: String?) {
        self.freedBytes = freedBytes
        self.firstFile = firstFile
    }
}

/// What the API asks the worker that it runs in.
public protocol WorkerControl: Sendable {
    /// What the worker does now; answers at once.
    func status() -> WorkerStatus
    /// How long the steps of its subtasks take; answers at once.
    func measures() -> [SubtaskMeasures]
    /// Removes files of a source's relay log.
    ///
    /// - Parameters:
    ///   - file: the first binlog file that stays.
    ///   - inUse: also files that a subtask still needs.
    /// - Throws: when the worker keeps no relay log of the source, the file is unknown, or not even
    ///   the first one before it can go.
    func purgeRelay(of source: String, before file: String, inUse: Bool) async throws -> RelayPurge
    /// Looks whether a task could run on a source, from this worker. Nothing is written.
    func check(_ settings: MigrationSettings, source: String) async -> SourceCheck
    /// Compares a subtask's tables now, in the background; the status tells of it.
    func verify(task: String, source: String) async throws
    /// Shows the statement that a subtask has stopped at, or decides about it. Any worker can.
    ///
    /// - Parameter position: of the statement that is meant, as it was shown; `nil`: whichever it is.
    /// - Throws: ``CheckpointRefusal``.
    func statement(
        _ request: StatementRequest, at position: String?, _ settings: MigrationSettings
    ) async throws -> SubtaskStatement
    /// Shows table shapes of a subtask's checkpoint, or sets one. Any worker can.
    ///
    /// - Parameter position: where the checkpoint was when the shape was chosen, as it was shown;
    ///   `nil`: wherever it is.
    /// - Throws: ``CheckpointRefusal``.
    func shapes(
        _ request: ShapeRequest, at position: String?, _ settings: MigrationSettings
    ) async throws -> SubtaskShapes
}
