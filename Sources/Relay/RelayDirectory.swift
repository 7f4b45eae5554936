internal import Glibc
internal import MySQLCore

/// A relay log's folder on disk: which folders and files there are, and the small files beside
/// them. Knows nothing of events.
///
///     <path>/server-uuid.index            names of the folders below, one a line, oldest first
///     <path>/<server>.<6 digits>/         one for each server that was the upstream
///         <binlog file>                   byte for byte the server's own
///         relay.meta                      how far it was written when it was last saved
///     <path>/skein/index/<folder>/<file>  where transactions are in a closed file; can be lost
///     <path>/skein/needs/<name>           the oldest file that a subtask still needs
///     <path>/skein/lock                   held by the process that writes
struct RelayDirectory: Sendable, Hashable {
    let path: String

    static let magic: [UInt8] = [0xFE, 0x62, 0x69, 0x6E]

    /// The folders, oldest first.
    func folders() -> [RelayFolder] {
        guard let text = Folder.text(path + "/server-uuid.index") else { return [] }
        return text.split(separator: "\n").compactMap { line in
            let name = line.filter { $0 != "\r" && $0 != " " }
            return RelayFolder(name)
        }.filter { Folder.exists(path + "/\($0)") }.sorted()
    }

    /// Binlog files of a folder, oldest first.
    func files(_ folder: RelayFolder) -> [String] {
        Folder.names(path + "/\(folder)").filter { name in
            guard let dot = name.lastIndex(of: "."), dot != name.startIndex else { return false }
            let digits = name[name.index(after: dot)...]
            return digits.count >= 6 && digits.allSatisfy(\.isWholeNumber)
        }.sorted {
            BinlogPosition(file: $0, offset: 0) < BinlogPosition(file: $1, offset: 0)
        }
    }

    func file(_ folder: RelayFolder, _ name: String) -> String { path + "/\(folder)/\(name)" }

    /// Adds a folder to the index, and makes it.
    func add(_ folder: RelayFolder) throws(RelayError) {
        try Folder.make(path + "/\(folder)")
        try writeIndex(folders().filter { $0 != folder } + [folder])
    }

    /// Removes a folder that holds no binlog file any more.
    func remove(_ folder: RelayFolder) throws(RelayError) {
        try writeIndex(folders().filter { $0 != folder })
        try Folder.remove(path + "/\(folder)/relay.meta")
        Folder.removeEmpty(path + "/\(folder)")
        Folder.removeEmpty(path + "/skein/index/\(folder)")
    }

    private func writeIndex(_ folders: [RelayFolder]) throws(RelayError) {
        let text = folders.sorted().map { "\($0)\n" }.joined()
        try Folder.replace(path + "/server-uuid.index", Array(text.utf8))
    }

    // MARK: relay.meta

    func meta(_ folder: RelayFolder) -> RelayMeta? {
        Folder.text(path + "/\(folder)/relay.meta").flatMap { RelayMeta(text: $0) }
    }

    func write(_ meta: RelayMeta, _ folder: RelayFolder) throws(RelayError) {
        try Folder.replace(path + "/\(folder)/relay.meta", Array(meta.text.utf8))
    }

    /// Names this boot of the machine; `nil` where it can't be known.
    static var boot: String? {
        guard let file = try? OpenFile("/proc/sys/kernel/random/boot_id", O_RDONLY),
            let bytes = try? file.bytes(64, at: 0)
        else { return nil }
        return String(decoding: bytes.filter { $0 > 32 }, as: UTF8.self)
    }

    // MARK: indexes

    func indexPath(_ folder: RelayFolder, _ file: String) -> String {
        path + "/skein/index/\(folder)/\(file)"
    }

    // MARK: needs

    /// What each subtask needs: the oldest file that it may have to read again.
    func needs() -> [String: (folder: RelayFolder, file: String)] {
        var out: [String: (folder: RelayFolder, file: String)] = [:]
        for name in Folder.names(path + "/skein/needs") where !name.hasSuffix(".tmp") {
            let lines = Folder.text(path + "/skein/needs/\(name)")?.split(separator: "\n") ?? []
            guard lines.count == 2, let folder = RelayFolder(lines[0]) else { continue }
            out[name] = (folder, String(lines[1]))
        }
        return out
    }

    func setNeed(
        _ name: String, _ folder: RelayFolder, _ file: String
    ) throws(RelayError) {
        try Folder.make(path + "/skein/needs")
        try Folder.replace(
            path + "/skein/needs/\(Self.safe(name))", Array("\(folder)\n\(file)\n".utf8))
    }

    func removeNeed(_ name: String) throws(RelayError) {
        try Folder.remove(path + "/skein/needs/\(Self.safe(name))")
    }

    /// A name that can be a file's.
    static func safe(_ name: String) -> String {
        let kept = name.utf8.map { c -> UInt8 in
            switch c {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
                c
            default: UInt8(ascii: "_")
            }
        }
        return String(decoding: kept.prefix(120), as: UTF8.self)
    }

    // MARK: the writer's lock

    /// Takes the lock of the one process that writes; it is free when that ends, however it ends.
    func lock() throws(RelayError) -> OpenFile {
        try Folder.make(path + "/skein")
        let file = try OpenFile(path + "/skein/lock", O_RDWR | O_CREAT)
        if flock(file.descriptor, LOCK_EX | LOCK_NB) != 0 { throw .inUse(path: path) }
        return file
    }

    /// Whether some process writes.
    var isLocked: Bool {
        guard let file = try? OpenFile(path + "/skein/lock", O_RDONLY) else { return false }
        if flock(file.descriptor, LOCK_SH | LOCK_NB) != 0 { return true }
        flock(file.descriptor, LOCK_UN)
        return false
    }
}
