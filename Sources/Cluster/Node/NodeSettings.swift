public import Metadata
public import Settings

/// How a worker takes part in a cluster.
public struct NodeSettings: Sendable {
    /// The store that the cluster's workers share.
    public enum Store: Sendable {
        /// Members that the first workers bring along.
        case own(OwnStore)
        /// A store that somebody else runs.
        case given([EtcdEndpoint])
    }

    /// The store that the first workers bring along.
    public struct OwnStore: Sendable {
        /// Where this worker's member accepts clients, when it has one.
        public var clientEndpoint: EtcdEndpoint
        /// Where it talks to other members.
        public var peerEndpoint: EtcdEndpoint
        /// The address to listen on; `nil`: the one that others are told.
        public var listenHost: String?
        /// How many workers vote.
        public var voters = 3
        /// How long a voter may be gone until another worker takes its place.
        public var voterTimeout = Duration.seconds(600)
        /// Members of the store of the cluster to join; empty: a cluster of one is formed, unless
        /// the worker is in one already.
        public var join: [EtcdEndpoint] = []
        /// Asks the workers that are to be joined where members of the store are: they need not
        /// have one themselves.
        public var locate: (@Sendable () async -> [EtcdEndpoint])?
        /// The store's program; `nil` for Debian's.
        public var program: String?
        /// Further options of the program.
        public var options: [String] = []

        /// Describes the store of a cluster.
        public init(clientEndpoint: EtcdEndpoint, peerEndpoint: EtcdEndpoint) {
            self.clientEndpoint = clientEndpoint
            self.peerEndpoint = peerEndpoint
        }
    }

    /// The worker's name.
    public var name: String
    /// Its data folder.
    public var dataFolder: String
    /// Where other workers, and clients, reach its API.
    public var address: String
    /// Where it serves its relay logs to other workers; `nil`: it does not.
    public var relayAddress: String?
    /// Reads a source's settings out of its name and their text; `nil`: no copies of relay logs are
    /// kept here.
    public var readSource: (@Sendable (String, String) throws -> SourceSettings)?
    /// Where it listens only to show that it lives; `nil` when the API is served there.
    public var presence: EtcdEndpoint?
    /// What tells the key of the cluster's passwords from another; `nil`: it is not compared.
    public var keyFingerprint: String?
    /// The certificates that workers and members of the store show each other; nil: what they say
    /// is not encrypted.
    public var tls: EtcdTLS?
    /// The cluster's store.
    public var store: Store
    /// Makes a subtask's settings of the records of its source and its task.
    public var read: @Sendable (SubtaskRecords) throws -> MigrationSettings

    /// Describes a worker.
    public init(
        name: String, dataFolder: String, address: String, store: Store,
        read: @Sendable @escaping (SubtaskRecords) throws -> MigrationSettings
    ) {
        self.name = name
        self.dataFolder = dataFolder
        self.address = address
        self.store = store
        self.read = read
    }
}

/// What the store keeps for one subtask, as text.
public struct SubtaskRecords: Sendable, Hashable {
    /// The task.
    public var task: String
    /// The source.
    public var source: String
    /// The settings of the task.
    public var taskSettings: String
    /// The settings of the source.
    public var sourceSettings: String
}
