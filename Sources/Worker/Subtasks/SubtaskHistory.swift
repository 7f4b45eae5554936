/// What must be known of a subtask wherever it runs next, beside its checkpoint in the target.
public struct SubtaskHistory: Sendable, Hashable, Codable {
    /// How a subtask has reached its goal.
    public struct Finish: Sendable, Hashable, Codable {
        /// The position up to which everything is applied; `nil` when the target alone knows it.
        public var position: String?
        /// When, in seconds since 1970.
        public var time: Double

        /// Describes a finish.
        public init(position: String?, time: Double) {
            self.position = position
            self.time = time
        }
    }

    /// Where a dump was begun: its files are on one worker, unless somebody moves them.
    public struct DumpPlace: Sendable, Hashable, Codable {
        /// What the directory was given, to be known by.
        public var token: String
        /// The worker.
        public var worker: String
        /// The directory there.
        public var directory: String

        /// Describes a place.
        public init(token: String, worker: String, directory: String) {
            self.token = token
            self.worker = worker
            self.directory = directory
        }
    }

    /// Whether it has ever begun: from then on a checkpoint that is not in the target is lost, and
    /// not one that was never made.
    public var isStarted = false
    /// Its goal was reached: it does not run before somebody asks for that.
    public var finish: Finish?
    /// The epoch in the target, when that was found to be greater than the binding's: whoever asks
    /// for the subtask to go on means to take it over.
    public var fencedBy: Int64?
    /// Where its dump is; `nil` before it was begun, and of all that dump nothing.
    public var dump: DumpPlace?

    /// Makes the history of a subtask that was never started.
    public init() {}
}

/// What a worker adds to a subtask's history.
public enum SubtaskEvent: Sendable, Hashable {
    /// Its checkpoint exists; nothing is copied yet.
    case started
    /// Its dump has a directory; nothing is in it yet.
    case dumping(SubtaskHistory.DumpPlace)
    /// Its goal is reached, and what was applied is durable in the target.
    case finished(SubtaskHistory.Finish)
    /// The target holds a greater epoch than the binding's.
    case fenced(by: Int64)
}

/// Where a subtask's history is kept: outside the worker that runs it.
public protocol SubtaskJournal: Sendable {
    /// Adds an event, on condition that the order that this journal came with still counts: the
    /// binding and the request are the newest ones.
    ///
    /// - Returns: whether it does; then the event is durable.
    /// - Throws: when that can't be said now.
    func record(_ event: SubtaskEvent) async throws -> Bool
}
