import Foundation
import Glibc
import Synchronization

/// The temporary folder of this process's servers. It goes when the process ends; what a killed
/// process left behind, the next one removes.
final class RunFolder: Sendable {
    private static let prefix = "skein-servers-"
    private static let parent = "/tmp"

    /// Made on first use.
    static let shared = RunFolder()

    let path: String
    private let counter = Atomic<Int>(0)
    private let pids = Mutex<Set<pid_t>>([])

    private init() {
        Self.removeAbandoned()
        var template = Array("\(Self.parent)/\(Self.prefix)XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { preconditionFailure("no folder in \(Self.parent)") }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        chmod(path, 0o755)
        // Held as long as we live: whoever gets this lock knows that we are gone.
        let lock = open(path + "/lock", O_CREAT | O_RDWR | O_CLOEXEC, 0o600)
        flock(lock, LOCK_EX)
        atexit { RunFolder.shared.remove() }
    }

    /// A new folder in it, which belongs to the user that servers run as.
    func newFolder(_ name: String) throws -> String {
        let number = counter.wrappingAdd(1, ordering: .relaxed).newValue
        let plain = name.filter { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-") }
        let folder = "\(path)/\(number)-\(plain.prefix(20))"
        try Self.makeFolder(folder)
        return folder
    }

    static func makeFolder(_ folder: String) throws {
        guard mkdir(folder, 0o755) == 0 else {
            throw TestServerError.system("make \(folder)", errno)
        }
        if geteuid() == 0 {
            guard let user = getpwnam("mysql") else {
                throw TestServerError("no user 'mysql': run scripts/setup test")
            }
            chown(folder, user.pointee.pw_uid, user.pointee.pw_gid)
        }
    }

    /// Servers that must have ended before the folder can go.
    func started(_ pid: pid_t) { pids.withLock { _ = $0.insert(pid) } }
    func ended(_ pid: pid_t) { pids.withLock { _ = $0.remove(pid) } }

    private func remove() {
        for pid in pids.withLock({ $0 }) {
            Glibc.kill(pid, SIGKILL)
            _ = ChildProcess.wait(for: pid)
        }
        try? FileManager.default.removeItem(atPath: path)
    }

    private static func removeAbandoned() {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: parent)) ?? []
        for name in names where name.hasPrefix(prefix) {
            let folder = "\(parent)/\(name)"
            var status = stat()
            guard lstat(folder, &status) == 0, status.st_uid == geteuid() else { continue }
            let lock = open(folder + "/lock", O_RDWR | O_CLOEXEC)
            // Without a lock file the folder is being made just now.
            guard lock >= 0 else { continue }
            defer { close(lock) }
            if flock(lock, LOCK_EX | LOCK_NB) == 0 {
                try? FileManager.default.removeItem(atPath: folder)
            }
        }
    }
}
