public import Relay
public import Settings

/// Another worker's relay log, once there is a connection: ``run()`` keeps that.
public protocol RelayConnection: RelayPeer {
    /// Keeps the connection until the task is cancelled.
    func run() async throws
}

/// How workers give each other what their relay logs hold.
public protocol RelayExchange: Sendable {
    /// Lets other workers read a source's relay log.
    func serve(_ log: RelayLog, as source: String)
    /// Ends that.
    func withdraw(_ source: String)
    /// Another worker's relay log of a source; nothing is connected yet.
    ///
    /// - Throws: when the address can't be used.
    func connection(to address: String, source: String) throws -> any RelayConnection
}

/// Another worker that keeps a source's relay log.
public struct RelayHolder: Sendable, Hashable {
    /// The worker's name.
    public var worker: String
    /// Where it serves relay logs.
    public var address: String

    /// Names a worker.
    public init(worker: String, address: String) {
        self.worker = worker
        self.address = address
    }
}

/// That a worker is to keep a copy of a source's relay log.
public struct RelayCopyOrder: Sendable {
    /// The source and how its relay log is kept, or why that can't be read.
    public var settings: Result<SourceSettings, any Error>
    /// Grows when the settings are changed.
    public var settingsRevision: Int64
    /// The worker that runs the source, whose relay log is copied.
    public var original: RelayHolder

    /// Makes an order.
    public init(
        settings: Result<SourceSettings, any Error>, settingsRevision: Int64, original: RelayHolder
    ) {
        self.settings = settings
        self.settingsRevision = settingsRevision
        self.original = original
    }

    /// Whether a copy that was begun for another order can go on under this one.
    func continues(_ other: RelayCopyOrder) -> Bool {
        settingsRevision == other.settingsRevision && original == other.original
    }
}
