internal import Glibc

/// What is wrong with a relay log.
public enum RelayError: Error, Sendable, Hashable, CustomStringConvertible {
    /// A file or folder can't be read or written.
    case system(String, path: String, errno: Int32)
    /// Another process writes to the folder.
    case inUse(path: String)
    /// A file holds something else than was written.
    case damaged(path: String, offset: UInt64, detail: String)
    /// Events that a reader needs are neither here nor upstream.
    case missing(String, asked: String)
    /// The folder is not a relay log, or not one that can be continued.
    case unusable(path: String, detail: String)
    /// A file must not be removed.
    case needed(file: String, by: String)
    /// Another worker, whose relay log is to be read, can't be reached, or does not answer.
    case unreachable(peer: String, detail: String)
    /// Another worker's relay log is not of the server that is to be read.
    case otherServer(peer: String, detail: String)

    /// Whether the machine lacked something for a moment, files that may be open, memory or room on
    /// its disk: what could not be read or written is neither gone nor damaged.
    public var isMomentary: Bool {
        guard case .system(_, _, let code) = self else { return false }
        return [EMFILE, ENFILE, ENOMEM, EAGAIN, EINTR, ENOSPC, EDQUOT].contains(code)
    }

    /// Whether there was no room on the disk, or no more of it is allowed.
    var isFullDisk: Bool {
        guard case .system(_, _, let code) = self else { return false }
        return code == ENOSPC || code == EDQUOT
    }

    /// One sentence, with what to do.
    public var description: String {
        switch self {
        case .system(let what, let path, let code):
            "\(what) \(path): \(systemMessage(code))"
        case .inUse(let path):
            "the relay log \(path) is written by another process"
        case .damaged(let path, let offset, let detail):
            "\(path) is damaged at offset \(offset): \(detail)"
        case .missing(let what, let asked):
            "\(what) is not there any more; asked: \(asked)"
        case .unusable(let path, let detail):
            "the relay log \(path) can't be used: \(detail)"
        case .needed(let file, let who):
            "\(file) is still needed by \(who); --force removes it all the same"
        case .unreachable(let peer, let detail):
            "the relay log of \(peer) can't be reached: \(detail)"
        case .otherServer(let peer, let detail):
            "the relay log of \(peer) is of another server: \(detail)"
        }
    }
}
