internal import MySQLCore
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

/// What the relay log of a source's own worker holds of what subtasks need: in its newest folder,
/// which it goes on with.
public struct RelayHolding: Sendable, Hashable, Codable {
    /// The server of the folder, as folders name it.
    public var server: String
    /// The newest file.
    public var last: String
    /// The oldest file of the folder that each subtask may have to read again, by its task.
    public var needs: [String: String]

    /// Describes what is held.
    public init(server: String, last: String, needs: [String: String]) {
        self.server = server
        self.last = last
        self.needs = needs
    }

    /// What a relay log holds; `nil` when it has no file.
    init?(_ log: RelayLog) {
        guard let shelf = log.contents.last(where: { !$0.files.isEmpty }),
            let last = shelf.files.last?.name
        else { return nil }
        let needs = log.needs.filter { $0.value.folder == shelf.folder }
        self.init(
            server: shelf.folder.server, last: last, needs: needs.mapValues { $0.file })
    }

    /// Whether nothing else need be kept for a task that needs a file and all that follow. A task
    /// that has noted a later file has gone on since; one that has noted an older one finds there
    /// what it needs when the folder reaches that far.
    func covers(_ task: String, from file: String, of server: String) -> Bool {
        guard server == self.server, let noted = needs[task] else { return false }
        func place(_ file: String) -> BinlogPosition { BinlogPosition(file: file, offset: 4) }
        return max(place(noted), place(file)) <= place(last)
    }
}

/// What a worker must know of a source whose relay log it may have, and that it neither runs nor
/// copies.
public struct RelayRestOrder: Sendable {
    /// Reads how its relay log is kept.
    public var settings: @Sendable () throws -> SourceSettings
    /// The tasks that may read it one day; `nil`: that is not known.
    public var tasks: Set<String>?
    /// Those of them that it is not certain of, since records of theirs can't be read.
    public var unreadTasks: Set<String> = []
    /// What the worker that runs the source has of its binlog; `nil` without one.
    public var holding: RelayHolding?

    /// Makes an order.
    public init(
        settings: @Sendable @escaping () throws -> SourceSettings, tasks: Set<String>?,
        holding: RelayHolding? = nil
    ) {
        self.settings = settings
        self.tasks = tasks
        self.holding = holding
    }

    /// Of a source that was removed.
    static let removed = RelayRestOrder(
        settings: { throw WorkerError.noRelay(source: "") }, tasks: [])
    /// Of one of which nothing was said.
    static let unknown = RelayRestOrder(
        settings: { throw WorkerError.noRelay(source: "") }, tasks: nil)
}
