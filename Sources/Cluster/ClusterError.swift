internal import Glibc

/// What a worker is told that cannot take part.
public enum ClusterError: Error, Sendable, Hashable, CustomStringConvertible {
    /// Another worker that is alive has the name.
    case nameInUse(String, by: String)
    /// The data folder belongs to a worker of another cluster than the one that was found.
    case otherCluster(folder: String)
    /// The data folder belongs to a cluster whose store is empty, or another one.
    case storeIsEmpty(folder: String)
    /// The worker has another key of the passwords in the store than the cluster.
    case otherKey
    /// The worker was in a cluster, and knows nobody of it any more.
    case nobodyToJoin(folder: String)
    /// Another process uses the data folder.
    case folderInUse(String)
    /// The data folder belongs to a worker of another name.
    case otherName(String, folder: String)
    /// The data folder can't be used.
    case folder(String, detail: String)

    /// A record in the store can't be read: a newer version wrote it, or it is damaged.
    case unreadable(String)
    /// The worker can't listen at its address.
    case address(String, errno: Int32)

    /// Stable, for programs.
    public var code: String {
        switch self {
        case .nameInUse: "cluster.name"
        case .otherCluster, .storeIsEmpty: "cluster.other"
        case .otherKey: "cluster.key"
        case .nobodyToJoin: "cluster.join"
        case .address: "cluster.address"
        case .unreadable: "cluster.record"
        case .folderInUse, .otherName, .folder: "cluster.folder"
        }
    }

    /// One sentence.
    public var description: String {
        switch self {
        case .nameInUse(let name, let address):
            "the name '\(name)' is in use by the worker at \(address): every worker needs its own"
        case .otherCluster(let folder):
            "\(folder) belongs to a worker of another cluster: join that one, or give an empty "
                + "data folder"
        case .storeIsEmpty(let folder):
            "\(folder) belongs to a worker of another cluster than the store, which knows of none: "
                + "check the endpoints, or give an empty data folder"
        case .otherKey:
            "this worker has another key than the one that the cluster's passwords are encrypted "
                + "with: copy the key file (secret.key) of a worker that is in the cluster, and "
                + "name the copy by --key-file"
        case .nobodyToJoin(let folder):
            "\(folder) belongs to a worker that has no store of its own: name a worker that is "
                + "alive by --join"
        case .folderInUse(let folder): "\(folder) is in use by another process"
        case .otherName(let name, let folder):
            "\(folder) belongs to the worker '\(name)': a worker keeps its name"
        case .unreadable(let key):
            "the store's '\(key)' can't be read: a newer version of Skein wrote it, or it is damaged"
        case .address(let address, let code):
            "can't listen at \(address): \(unsafe String(cString: strerror(code)))"
        case .folder(let folder, let detail): "\(folder) can't be used: \(detail)"
        }
    }
}
