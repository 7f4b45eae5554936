internal import Replication
public import Runtime

/// What the engines of a subtask measure, over all its runs on this worker.
final class EngineMeasures: Sendable {
    let replication = ReplicationMeasures()
    let chunk = DurationHistogram()
}

/// How long the steps of a subtask take, and how much of it waits, since it was started on this
/// worker: for metrics.
public struct SubtaskMeasures: Sendable {
    /// The task.
    public var task: String
    /// The source.
    public var source: String
    /// Target transactions, from the first statement to the answer to COMMIT.
    public var commit = DurationHistogram().reading
    /// From a transaction's commit on the source to that on the target.
    public var lag = DurationHistogram().reading
    /// DDL statements on the target.
    public var ddl = DurationHistogram().reading
    /// Chunks of the copy.
    public var chunk = DurationHistogram().reading
    /// Bytes of transactions that were read and are not applied.
    public var queueBytes = 0
    /// The bytes from which on nothing more is read; 0 while nothing is.
    public var queueLimitBytes = 0

    /// Describes a subtask of which nothing was measured.
    public init(task: String, source: String) {
        self.task = task
        self.source = source
    }

    init(task: String, source: String, _ engines: EngineMeasures) {
        self.init(task: task, source: source)
        commit = engines.replication.commit.reading
        lag = engines.replication.lag.reading
        ddl = engines.replication.ddl.reading
        chunk = engines.chunk.reading
        let queue = engines.replication.queue
        queueBytes = queue.bytes
        queueLimitBytes = queue.limitBytes
    }
}
