public import Settings

/// What a worker is to do for one source: what its binding says.
public struct SourceOrder: Sendable {
    /// The epoch of the binding.
    public var epoch: Int64
    /// Its subtasks, by the task's name.
    public var subtasks: [String: SubtaskOrder]
    /// The other workers that keep its relay log.
    public var holders: [RelayHolder] = []
    /// Tasks that may have a subtask here although records of theirs can't be read: what they need
    /// of the relay log stays.
    public var unreadTasks: Set<String> = []

    /// Makes an order.
    public init(epoch: Int64, subtasks: [String: SubtaskOrder]) {
        self.epoch = epoch
        self.subtasks = subtasks
    }
}

/// What is wanted of one subtask.
public struct SubtaskOrder: Sendable {
    /// The stage that it is to be in.
    public enum Wanted: Sendable, Hashable {
        /// Run until its goal is reached.
        case running
        /// Stay, with its checkpoint.
        case paused
        /// End.
        case stopped
    }

    /// The stage that it is to be in.
    public var wanted: Wanted
    /// Its settings, or why they can't be used.
    public var settings: Result<MigrationSettings, any Error>
    /// Grows when the settings are changed: it then runs with the new ones.
    public var settingsRevision: Int64
    /// Grows with every request: a subtask that an error has ended is then tried again.
    public var requestRevision: Int64
    /// What is known of its earlier runs.
    public var history = SubtaskHistory()
    /// Where its history goes on; `nil`: nowhere.
    public var journal: (any SubtaskJournal)?

    /// Makes an order.
    public init(
        wanted: Wanted, settings: Result<MigrationSettings, any Error>, settingsRevision: Int64,
        requestRevision: Int64
    ) {
        self.wanted = wanted
        self.settings = settings
        self.settingsRevision = settingsRevision
        self.requestRevision = requestRevision
    }

    /// What it does with files; `nil` for a migration.
    var files: FileTransfer? { (try? settings.get())?.files }
}

/// What runs a worker's sources. A test may take the place of the engines.
public protocol SourceHost: WorkerControl {
    /// Runs what was ordered last until the task is cancelled, and then ends all at once: what has
    /// begun is taken up again from the checkpoints.
    func run() async
    /// Says what is to run, and of which sources copies of the relay log are to be kept, by the
    /// source's name; what is not named is drained, and ends.
    func order(_ orders: [String: SourceOrder], copies: [String: RelayCopyOrder])
    /// Says what is to be known of relay logs that nothing runs and nothing copies, by the source's
    /// name: of all sources that there are.
    func keep(_ rests: [String: RelayRestOrder]?)
    /// The sources of which something still runs.
    var activeSources: Set<String> { get }
    /// What the relay logs of sources that run here hold of what subtasks need.
    var relayHoldings: [String: RelayHolding] { get }
    /// The sources whose relay logs are here, also where one is not open just now: it is between
    /// two hands, and who asks for it then asks again.
    var keptRelays: Set<String> { get }
}

extension SourceHost {
    /// Nothing is kept of sources that are elsewhere.
    public func keep(_ rests: [String: RelayRestOrder]?) {}
    /// No relay log is kept.
    public var relayHoldings: [String: RelayHolding] { [:] }
    /// There are no checkpoints.
    public func statement(
        _ request: StatementRequest, at position: String?, _ settings: MigrationSettings
    ) async throws -> SubtaskStatement {
        throw CheckpointRefusal(.missing, "this worker has no engines")
    }
    /// There are no checkpoints.
    public func shapes(
        _ request: ShapeRequest, at position: String?, _ settings: MigrationSettings
    ) async throws -> SubtaskShapes {
        throw CheckpointRefusal(.missing, "this worker has no engines")
    }
}
