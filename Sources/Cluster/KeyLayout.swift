/// The keys of the cluster's state in the store. docs/cluster.md describes who writes which.
///
/// Names of sources, tasks and workers are parts of keys, so they have no slash.
public enum KeyLayout {
    /// Before all keys. The number changes when older workers would misread them.
    public static let root = "skein/1/"

    /// Workers that are alive: each goes with its worker's lease.
    public static let sessions = root + "sessions/"
    /// Workers that are to be emptied.
    public static let drains = root + "drains/"
    /// Candidates for the leader.
    public static let leader = root + "leader/"
    /// Sources.
    public static let sources = root + "sources/"
    /// Tasks.
    public static let tasks = root + "tasks/"
    /// What each subtask is to do: `stages/<task>/<source>`.
    public static let stages = root + "stages/"
    /// What is known of each subtask's earlier runs: `history/<task>/<source>`.
    public static let histories = root + "history/"
    /// Which worker runs each source, and the epoch.
    public static let bindings = root + "bindings/"
    /// Who keeps a source's relay log: `relays/<source>/<worker>`.
    public static let relays = root + "relays/"
    /// The cluster's random token.
    public static let cluster = root + "cluster"
    /// Tells whether a worker has the key that the cluster's passwords are encrypted with.
    public static let secretKey = root + "secret-key"
    /// Workers that have, or are to have, a member of the store.
    public static let voters = root + "voters/"

    /// The key of a worker's session.
    public static func session(_ worker: String) -> String { sessions + worker }
    /// The key that says that a worker is to be emptied.
    public static func drain(_ worker: String) -> String { drains + worker }
    /// The key that says that a worker is to have a member of the store.
    public static func voter(_ worker: String) -> String { voters + worker }
    /// The key of a source.
    public static func source(_ source: String) -> String { sources + source }
    /// The key of a task.
    public static func task(_ task: String) -> String { tasks + task }
    /// The key of a subtask's stage.
    public static func stage(task: String, source: String) -> String {
        "\(stages)\(task)/\(source)"
    }
    /// The key of a subtask's history.
    public static func history(task: String, source: String) -> String {
        "\(histories)\(task)/\(source)"
    }
    /// The key of a source's binding.
    public static func binding(_ source: String) -> String { bindings + source }
    /// The key that says that a worker keeps a source's relay log.
    public static func relay(source: String, worker: String) -> String {
        "\(relays)\(source)/\(worker)"
    }
}
