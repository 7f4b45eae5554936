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
///     <path>/skein/requests/              what other processes ask the one that writes to remove
///     <path>/skein/lost/                  what was cut because the source has lost it, or is damaged
///     <path>/skein/aside-since            when the log was first opened with some of that
///     <path>/skein/lock                   held by the process that writes
struct RelayDirectory: Sendable, Hashable {
    let path: String

    static let magic: [UInt8] = [0xFE, 0x62, 0x69, 0x6E]

    /// The folders, oldest first.
    ///
    /// - Throws: when that can't be read, because there are too many open files perhaps: to take it
    ///   for none would be to forget what is there.
    func folders() throws(RelayError) -> [RelayFolder] {
        guard let bytes = try Folder.contents(path + "/server-uuid.index") else { return [] }
        var out: [RelayFolder] = []
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
            guard let folder = RelayFolder(line.filter { $0 != "\r" && $0 != " " }) else {
                continue
            }
            if try Folder.length(path + "/\(folder)") != nil { out.append(folder) }
        }
        return out.sorted()
    }

    /// Binlog files of a folder, oldest first.
    ///
    /// - Throws: as ``folders()`` does.
    func files(_ folder: RelayFolder) throws(RelayError) -> [String] {
        try Folder.list(path + "/\(folder)").filter { name in
            guard let dot = name.lastIndex(of: "."), dot != name.startIndex else { return false }
            let digits = name[name.index(after: dot)...]
            return digits.count >= 6 && digits.allSatisfy(\.isWholeNumber)
        }.sorted {
            BinlogPosition(file: $0, offset: 0) < BinlogPosition(file: $1, offset: 0)
        }
    }

    func file(_ folder: RelayFolder, _ name: String) -> String { path + "/\(folder)/\(name)" }

    /// Adds a folder to the index, and makes it. Both are on the disk when this returns: events that
    /// somebody has read may be gone at the source when the machine has lost its power.
    func add(_ folder: RelayFolder) throws(RelayError) {
        try Folder.make(path + "/\(folder)")
        // In this order: what the index names is there.
        try Folder.sync(path)
        try writeIndex(try folders().filter { $0 != folder } + [folder])
        try Folder.sync(path)
    }

    /// Removes a folder that holds no binlog file any more.
    func remove(_ folder: RelayFolder) throws(RelayError) {
        try writeIndex(try folders().filter { $0 != folder })
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

    /// Why ``meta(_:)`` is `nil`, when there is one all the same.
    func metaProblem(_ folder: RelayFolder) -> RelayError? {
        let path = path + "/\(folder)/relay.meta"
        do throws(RelayError) {
            guard let bytes = try Folder.contents(path),
                RelayMeta(text: String(decoding: bytes, as: UTF8.self)) == nil
            else { return nil }
            return .damaged(
                path: path, offset: 0, detail: "it does not say how far the log is written")
        } catch {
            return error
        }
    }

    func write(_ meta: RelayMeta, _ folder: RelayFolder) throws(RelayError) {
        try Folder.replace(path + "/\(folder)/relay.meta", Array(meta.text.utf8))
    }

    /// Names this boot of the machine; `nil` where it can't be known.
    ///
    /// - Throws: when the machine lacks files or memory for a moment: that is no other boot.
    static func currentBoot() throws(RelayError) -> String? {
        do throws(RelayError) {
            let file = try OpenFile("/proc/sys/kernel/random/boot_id", O_RDONLY)
            return String(decoding: try file.bytes(64, at: 0).filter { $0 > 32 }, as: UTF8.self)
        } catch {
            if error.isMomentary { throw error }
            return nil
        }
    }

    // MARK: indexes

    func indexPath(_ folder: RelayFolder, _ file: String) -> String {
        path + "/skein/index/\(folder)/\(file)"
    }

    // MARK: needs

    /// What each subtask needs: the oldest file that it may have to read again, as far as that can
    /// be read.
    func needs() -> [String: (folder: RelayFolder, file: String)] {
        (try? noted())?.files ?? [:]
    }

    /// Who has noted a need, also one that can't be read.
    ///
    /// - Throws: when that can't be read: it does not say that nobody has.
    func needers() throws(RelayError) -> Set<String> {
        Set(try notes().map { taskName($0) })
    }

    /// Whose note a file is. Where its name can't say so, what is in it does; the file's name where
    /// that can't be read.
    private func taskName(_ note: String) -> String {
        guard note.utf8.contains(Self.shortMark),
            let bytes = try? Folder.contents(path + "/skein/needs/\(note)"),
            let line = Self.lines(bytes).dropFirst(2).first
        else { return Self.decoded(note) }
        return Self.decoded(String(line))
    }

    /// The files that needs are noted in.
    private func notes() throws(RelayError) -> [String] {
        try Folder.list(path + "/skein/needs").filter { !$0.hasSuffix(".tmp") }
    }

    /// The same as ``needs()``, with those whose notes can't be read, each for itself: what one does
    /// not say is no reason to keep nothing for the others, nor to stop.
    ///
    /// - Throws: when nothing can be said of any of them, or one can't be read for a moment only,
    ///   because there are too many open files perhaps.
    func noted() throws(RelayError) -> NotedNeeds {
        var out = NotedNeeds()
        for name in try notes() {
            do throws(RelayError) {
                // Without one it was forgotten just now.
                if let need = try note(name) { out.files[taskName(name)] = need }
            } catch {
                if error.isMomentary { throw error }
                out.unread[taskName(name)] = error
            }
        }
        return out
    }

    /// What one subtask needs; `nil`: nothing.
    ///
    /// - Throws: when what it has noted can't be read, or is damaged.
    func need(of name: String) throws(RelayError) -> (folder: RelayFolder, file: String)? {
        try note(Self.encoded(name))
    }

    private func note(_ name: String) throws(RelayError) -> (folder: RelayFolder, file: String)? {
        let note = path + "/skein/needs/\(name)"
        guard let bytes = try Folder.contents(note) else { return nil }
        guard let need = Self.need(Self.lines(bytes)) else {
            throw .damaged(
                path: note, offset: 0, detail: "it does not say which file a task needs")
        }
        return need
    }

    private static func lines(_ bytes: [UInt8]) -> [Substring] {
        String(decoding: bytes, as: UTF8.self).split(separator: "\n")
    }

    private static func need(_ lines: [Substring]) -> (folder: RelayFolder, file: String)? {
        guard 2...3 ~= lines.count, let folder = RelayFolder(lines[0]) else { return nil }
        return (folder, String(lines[1]))
    }

    func setNeed(
        _ name: String, _ folder: RelayFolder, _ file: String
    ) throws(RelayError) {
        try Folder.make(path + "/skein/needs")
        let note = Self.encoded(name)
        var text = "\(folder)\n\(file)\n"
        if note.utf8.contains(Self.shortMark) { text += Self.escaped(name) + "\n" }
        try Folder.replace(path + "/skein/needs/\(note)", Array(text.utf8))
    }

    func removeNeed(_ name: String) throws(RelayError) {
        try Folder.remove(path + "/skein/needs/\(Self.encoded(name))")
        // What a very long one is called whose note can't be read.
        if name.utf8.contains(Self.shortMark) { _ = try removeNeed(shownAs: name) }
    }

    /// The same by the name that ``needers()`` gives, which of a very long one, whose note can't be
    /// read, is another.
    ///
    /// - Returns: whether there was a note.
    func removeNeed(shownAs name: String) throws(RelayError) -> Bool {
        let found = try notes().filter { taskName($0) == name }
        for note in found { try Folder.remove(path + "/skein/needs/\(note)") }
        return !found.isEmpty
    }

    /// What stands before the digest that is the end of a very long name, and in no other: `~`.
    private static let shortMark = UInt8(ascii: "~")

    /// A subtask's name as a file's: other bytes than letters, digits, `-` and `_` as `%xx`. Of a very
    /// long one the end is a digest of all of it, and the whole name is in the file.
    static func encoded(_ name: String) -> String {
        let out = escaped(name)
        guard out.utf8.count > 200 else { return out }
        return out.prefix(160) + "~"
            + Digest.digest(text: name).prefix(8).map { String($0, radix: 16) }
            .joined()
    }

    private static func escaped(_ name: String) -> String {
        var out = ""
        for byte in name.utf8 {
            if isPlain(byte) {
                out.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                let digits = String(byte, radix: 16)
                out += (byte < 16 ? "%0" : "%") + digits
            }
        }
        return out
    }

    /// The name that a file's stands for; a very long one is not to be had again.
    static func decoded(_ file: String) -> String {
        var bytes: [UInt8] = []
        var rest = Array(file.utf8)[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%"), rest.count >= 2,
                let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
            {
                rest = rest.dropFirst(2)
                bytes.append(value)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
            true
        default: false
        }
    }

    /// Whether a name that a server or a peer has sent can be that of a binlog file, and of nothing
    /// outside of the folder: a base name, a dot, digits.
    static func isFileName(_ name: String) -> Bool {
        guard name.utf8.count <= 255, let dot = name.lastIndex(of: "."), dot != name.startIndex,
            name.first != ".", !name.utf8.contains(where: { $0 == UInt8(ascii: "/") || $0 < 32 })
        else { return false }
        let digits = name[name.index(after: dot)...]
        return !digits.isEmpty && digits.utf8.allSatisfy { (48...57).contains($0) }
    }

    // MARK: the writer's lock

    /// Whether it was ever written by this program; others take no lock.
    var isOurs: Bool { Folder.exists(path + "/skein/lock") }

    /// Takes the lock of the one process that writes; it is free when that ends, however it ends.
    func lock() throws(RelayError) -> OpenFile {
        // Who only looks whether it is free has it for a moment, and so has a child process of who
        // gave it back just now, until it runs its own program.
        for _ in 0..<Self.looks {
            if let file = try lockIfFree() { return file }
            usleep(10_000)
        }
        throw .inUse(path: path)
    }

    /// How often a lock is tried for, a hundredth of a second apart.
    private static let looks = 20

    /// The same; `nil` when somebody else has it.
    func lockIfFree() throws(RelayError) -> OpenFile? {
        try Folder.make(path + "/skein")
        let file = try OpenFile(path + "/skein/lock", O_RDWR | O_CREAT)
        return flock(file.descriptor, LOCK_EX | LOCK_NB) == 0 ? file : nil
    }

    /// Why it can't be said whether some process writes; `nil` when it can.
    var lockProblem: RelayError? {
        do throws(RelayError) {
            _ = try OpenFile(path + "/skein/lock", O_RDONLY)
            return nil
        } catch {
            if case .system(_, _, let code) = error, code == ENOENT { return nil }
            return error
        }
    }

    /// Whether some process writes.
    var isLocked: Bool {
        guard let file = try? OpenFile(path + "/skein/lock", O_RDONLY) else { return false }
        if flock(file.descriptor, LOCK_SH | LOCK_NB) != 0 { return true }
        flock(file.descriptor, LOCK_UN)
        return false
    }
}
