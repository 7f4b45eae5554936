internal import Glibc

/// A worker's data folder: who the worker is, and which cluster it belongs to.
///
/// | file | what it holds |
/// |---|---|
/// | `lock` | locked as long as the worker's process lives, stopped or not |
/// | `name` | the worker's name |
/// | `identity` | a random token that tells this worker from others of its name |
/// | `cluster` | the cluster's random token; there from the moment on at which it is known |
/// | `endpoints` | where the store was last reached, one per line |
/// | `store/` | the worker's own member of the store, if it has one |
/// | `secret.key` | the key of the passwords in the store, unless it is elsewhere |
/// | `relay/` | relay logs, one folder for each source |
///
/// A file is written beside and renamed, both on disk before the call returns: it is whole or not
/// there.
public final class DataFolder: Sendable {
    let path: String
    let identity: String
    /// Locked by us; closed, and so unlocked, with the process.
    private let lock: Int32

    /// Opens a folder, made when it does not exist, for the worker of a name.
    init(_ path: String, worker: String) throws(ClusterError) {
        self.path = path
        try Self.make(path)
        lock = unsafe open(path + "/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard lock >= 0 else { throw .folder(path, detail: Self.message(errno)) }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            close(lock)
            throw .folderInUse(path)
        }
        if let name = try Self.read(path + "/name"), name != worker {
            throw .otherName(name, folder: path)
        }
        if let known = try Self.read(path + "/identity") {
            identity = known
        } else {
            identity = Self.randomName()
            try Self.write(identity, path + "/identity")
        }
        try Self.write(worker, path + "/name")
    }

    deinit {
        // A child process has it, too, until it runs its own program.
        flock(lock, LOCK_UN)
        close(lock)
    }

    /// Makes a folder and those above it, for its owner alone, where they do not exist.
    public static func make(_ path: String) throws(ClusterError) {
        var made = path.hasPrefix("/") ? "" : "."
        for part in path.split(separator: "/") {
            made += "/" + part
            guard unsafe mkdir(made, 0o700) == 0 || errno == EEXIST else {
                throw .folder(path, detail: message(errno))
            }
        }
    }

    /// The cluster's token, `nil` when the worker was in none yet.
    func cluster() throws(ClusterError) -> String? { try Self.read(path + "/cluster") }

    func setCluster(_ token: String) throws(ClusterError) {
        try Self.write(token, path + "/cluster")
    }

    /// Where the store was last reached.
    func endpoints() throws(ClusterError) -> [String] {
        try Self.read(path + "/endpoints")?.split(separator: "\n").map(String.init) ?? []
    }

    func setEndpoints(_ endpoints: [String]) throws(ClusterError) {
        try Self.write(endpoints.joined(separator: "\n"), path + "/endpoints")
    }

    /// A name that nothing else has.
    static func randomName() -> String {
        var random = SystemRandomNumberGenerator()
        return (0..<4).map { _ in
            let digits = String(random.next() as UInt32, radix: 16)
            return String(repeating: "0", count: 8 - digits.count) + digits
        }.joined()
    }

    // MARK: files

    private static func message(_ code: Int32) -> String {
        unsafe String(cString: strerror(code))
    }

    private static func read(_ file: String) throws(ClusterError) -> String? {
        let descriptor = unsafe open(file, O_RDONLY | O_CLOEXEC)
        if descriptor < 0 {
            if errno == ENOENT { return nil }
            throw .folder(file, detail: message(errno))
        }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 64 << 10)
        let count = unsafe Glibc.read(descriptor, &bytes, bytes.count)
        guard count >= 0 else { throw .folder(file, detail: message(errno)) }
        var text = String(decoding: bytes[..<count], as: UTF8.self)
        if text.hasSuffix("\n") { text.removeLast() }
        guard !text.isEmpty else { throw .folder(file, detail: "it is empty") }
        return text
    }

    private static func write(_ text: String, _ file: String) throws(ClusterError) {
        let draft = file + ".new"
        let bytes = Array((text + "\n").utf8)
        let descriptor = unsafe open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .folder(draft, detail: message(errno)) }
        let isWritten =
            unsafe Glibc.write(descriptor, bytes, bytes.count) == bytes.count
            && fsync(descriptor) == 0
        let code = errno
        close(descriptor)
        guard isWritten else { throw .folder(draft, detail: message(code)) }
        guard unsafe rename(draft, file) == 0 else { throw .folder(file, detail: message(errno)) }
        let end = file.lastIndex(of: "/") ?? file.startIndex
        let folder = unsafe open(String(file[..<end]), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { throw .folder(file, detail: message(errno)) }
        defer { close(folder) }
        guard fsync(folder) == 0 else { throw .folder(file, detail: message(errno)) }
    }
}
