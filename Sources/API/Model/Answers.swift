public import Settings
public import Worker

/// A list of things, with their number.
public struct ListAnswer<Element: Codable & Sendable>: Codable, Sendable {
    /// How many there are.
    public var total: Int
    /// The things, in the order of their names.
    public var data: [Element]

    /// Wraps a list.
    public init(_ data: [Element]) {
        self.data = data
        total = data.count
    }
}

/// A source, as it is wanted and where it is.
public struct SourceAnswer: Codable, Sendable, Hashable {
    /// The source's name.
    public var sourceName: String
    /// Whether it is to have a worker.
    public var enable: Bool
    /// The worker that it is bound to; `nil`: none.
    public var worker: String?
    /// The binding's epoch.
    public var epoch: Int64?
    /// The workers that keep its relay log.
    public var relayWorkers: [String]
    /// The tasks that read from it.
    public var taskNameList: [String]
    /// Its settings, without the password.
    public var settings: JSONValue?
    /// The revision of the settings: for `If-Match`.
    public var revision: Int64
    /// What its workers say, when that was asked for.
    public var statusList: [SourceStatusAnswer]?
}

/// What one worker says of a source.
public struct SourceStatusAnswer: Codable, Sendable, Hashable {
    /// The source.
    public var sourceName: String
    /// The worker.
    public var workerName: String
    /// Whether the source is bound to it.
    public var isBound: Bool
    /// Its relay log on this worker.
    public var relay: MigrationStatus.Relay?
    /// Why the worker's word is missing.
    public var errorMsg: String?
}

/// What pre-checks say of a task on one source.
public struct CheckAnswer: Codable, Sendable, Hashable {
    /// The source.
    public var sourceName: String
    /// The worker that has looked.
    public var workerName: String
    /// Whether nothing stands against the task on this source.
    public var isPassed: Bool
    /// What each check has found.
    public var results: [CheckResult]
    /// Why there are no results.
    public var error: SubtaskError?
}

/// Where a worker reaches the cluster's store.
public struct StoreAnswer: Codable, Sendable, Hashable {
    /// Members of the store, as `host:port`, the best first.
    public var endpointList: [String]
}

/// A task as it is wanted.
public struct TaskAnswer: Codable, Sendable, Hashable {
    /// The task's name.
    public var name: String
    /// Its sources.
    public var sourceNameList: [String]
    /// What its subtasks are to do.
    public var stages: [StageAnswer]
    /// Its settings, without the password.
    public var settings: JSONValue?
    /// The revision of the settings: for `If-Match`.
    public var revision: Int64
    /// What its workers say, when that was asked for.
    public var statusList: [SubtaskAnswer]?
}

/// What a subtask is to do.
public struct StageAnswer: Codable, Sendable, Hashable {
    /// The source.
    public var sourceName: String
    /// `running`, `paused` or `stopped`.
    public var stage: String
}

/// One task on one source: what it is to do, and what its worker says that it does.
public struct SubtaskAnswer: Codable, Sendable, Hashable {
    /// The task.
    public var name: String
    /// The source.
    public var sourceName: String
    /// What it is to do: `running`, `paused` or `stopped`.
    public var wanted: String
    /// The worker that it is bound to.
    public var workerName: String?
    /// What it does: a stage of its worker's word, or `Unknown`.
    public var stage: String
    /// The part of the work that it is in.
    public var unit: String?
    /// All that the worker says.
    public var status: SubtaskStatus?
    /// Why the worker's word is missing.
    public var errorMsg: String?
}

/// A worker.
public struct WorkerAnswer: Codable, Sendable, Hashable {
    /// The worker's name.
    public var name: String
    /// Where it serves the API; `nil`: it is not there.
    public var addr: String?
    /// Whether it leads the cluster.
    public var isLeader: Bool
    /// `alive`, `draining`, `leaving` or `gone`.
    public var state: String
    /// The sources that are bound to it.
    public var boundSourceNameList: [String]
    /// The sources whose relay log it keeps.
    public var relaySourceNameList: [String]
    /// Whether it answered within a second, when that was asked for.
    public var isReachable: Bool?
    /// Why it did not answer.
    public var errorMsg: String?
}

/// The cluster as a whole.
public struct ClusterAnswer: Codable, Sendable, Hashable {
    /// A member of the metadata store.
    public struct Voter: Codable, Sendable, Hashable {
        /// The worker's name.
        public var name: String
        /// Whether it has no vote yet.
        public var isLearner: Bool
    }
    /// The worker that leads; `nil`: none.
    public var leader: String?
    /// The worker that answers.
    public var answeredBy: String
    /// Its version.
    public var version: String
    /// Whether the metadata store accepts changes.
    public var isStoreAvailable: Bool
    /// The newest change of the cluster's state that the worker knows.
    public var revision: Int64
    /// The workers.
    public var workers: [WorkerAnswer]
    /// The members of the metadata store, as far as one of them answers.
    public var voters: [Voter]
    /// How many sources there are.
    public var sourceCount: Int
    /// How many of them have no worker although they should.
    public var unboundSourceCount: Int
    /// How many tasks there are.
    public var taskCount: Int
    /// Keys of the store that this worker does not understand.
    public var unreadableKeys: [String]
}

/// That a change was made.
public struct DoneAnswer: Codable, Sendable, Hashable {
    /// What was changed.
    public var message: String
    /// Bytes that were freed, where there are some to free.
    public var freedBytes: UInt64?

    init(_ message: String, freedBytes: UInt64? = nil) {
        self.message = message
        self.freedBytes = freedBytes
    }
}

// MARK: Requests

/// Which of a task's sources a request is for.
public struct SourceListRequest: Codable, Sendable, Hashable {
    /// The sources; `nil`: all of the task's.
    public var sourceNameList: [String]?

    /// Names sources.
    public init(sourceNameList: [String]?) { self.sourceNameList = sourceNameList }
}

/// Where a source is to be moved.
public struct TransferRequest: Codable, Sendable, Hashable {
    /// The worker.
    public var workerName: String

    /// Names a worker.
    public init(workerName: String) { self.workerName = workerName }
}

/// Which worker is to keep a copy of a relay log, or no more.
public struct RelayRequest: Codable, Sendable, Hashable {
    /// The worker; `nil` means the one that runs the source.
    public var workerName: String?

    /// Names a worker, or none.
    public init(workerName: String? = nil) { self.workerName = workerName }
}

/// Which files of a relay log are to be removed.
public struct RelayPurgeRequest: Codable, Sendable, Hashable {
    /// The first binlog file that stays.
    public var relayBinlogName: String
    /// Also files that a subtask still needs.
    public var force: Bool?

    /// Names the first file that stays.
    public init(relayBinlogName: String, force: Bool? = nil) {
        self.relayBinlogName = relayBinlogName
        self.force = force
    }
}

/// What is to be done about the statement that subtasks have stopped at.
public struct DecisionRequest: Codable, Sendable, Hashable {
    /// `skip`, `replace`, `inject` or `revert`.
    public var decision: String
    /// DDL statements of `replace` and `inject`, with the source's names of tables.
    public var statements: [String]?
    /// The sources; `nil`: the only one that a statement has stopped.
    public var sourceNameList: [String]?
    /// Where the statement is that is meant, as it was shown; `nil`: whichever it is now.
    public var position: String?

    /// Makes a decision.
    public init(
        decision: String, statements: [String]? = nil, sourceNameList: [String]? = nil,
        position: String? = nil
    ) {
        self.decision = decision
        self.statements = statements
        self.sourceNameList = sourceNameList
        self.position = position
    }
}

/// Which shape a table is to have.
public struct ShapeSettingRequest: Codable, Sendable, Hashable {
    /// The table's schema on the source.
    public var schemaName: String
    /// The table's name on the source.
    public var tableName: String
    /// One CREATE TABLE statement.
    public var sqlContent: String?
    /// `source` or `target`: as the table is there now.
    public var from: String?
    /// That the target has the table's rows as of the checkpoint's position: to be said of a table
    /// whose shape the checkpoint does not hold.
    public var rowsAreThere: Bool?
    /// Where the checkpoint was when the shape was chosen, as it was shown; `nil`: wherever it is.
    public var position: String?

    /// Names a table, and where its shape comes from.
    public init(
        schemaName: String, tableName: String, sqlContent: String?, from: String?,
        rowsAreThere: Bool?, position: String? = nil
    ) {
        self.schemaName = schemaName
        self.tableName = tableName
        self.sqlContent = sqlContent
        self.from = from
        self.rowsAreThere = rowsAreThere
        self.position = position
    }
}
