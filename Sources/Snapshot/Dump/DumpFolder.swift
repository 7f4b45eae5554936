internal import DumpFiles
internal import Foundation
internal import Glibc
internal import MySQLCore
internal import Synchronization

/// A table that is whole in the directory.
struct DumpedTable: Codable, Sendable {
    var schema: String
    var name: String
    /// Its files with their sizes.
    var files: [String: UInt64]
    var rows: UInt64

    var table: TableName { TableName(schema: schema, name: name) }
}

/// The directory of a dump that is being made.
///
/// A file has its name only when it is whole and on the disk. Which tables are whole, and of which
/// place of the source's binlog, is in a file of lines that goes when `metadata` has come, unless a
/// task owns the directory, which its token says:
///
///     {"format":1,"position":"<hex>","options":"..","token":"..","run":"..","rules":".."}
///     {"schema":"..","name":"..","files":{"db.t-schema.sql":120,..},"rows":5}
///
/// One process at a time has the directory, by a lock that some shared file systems keep to one
/// machine. So each run names itself in the first line, and looks that it still stands there before
/// a file gets its name: who has come later has removed what it did not keep.
final class DumpFolder: Sendable {
    let path: String
    private let journal: Mutex<Int32>
    /// Files that are whole, with their sizes, but for the journal.
    private let whole = Mutex<[String: UInt64]>([:])
    /// The lock, held for as long as this is open: two dumps in the directory would remove each
    /// other's files. A file, because file servers pass on locks of nothing else.
    private let held = Mutex<Int32>(-1)
    /// What this run is called, as no other one is.
    let run: String
    /// The run that the journal must name: the last one that was there, then this one.
    private let known = Mutex<String?>(nil)
    /// Of the task that owns the directory; `nil` when none does.
    private(set) var token: String? {
        get { owner.withLock { $0 } }
        set { owner.withLock { $0 = newValue } }
    }
    private let owner = Mutex<String?>(nil)

    static let journalName = ".skein-dump"
    static let lockName = ".skein-dump.lock"
    static let partialSuffix = ".partial"
    /// Bytes of a run's name.
    static let runLength = 8

    /// The first line of the journal.
    struct Head: Codable {
        var format: Int
        var position: String
        var options: String
        var token: String?
        /// The run that wrote it.
        var run: String?
        /// A digest of the rules that choose what is dumped.
        var rules: String?
    }

    /// Who opens a directory.
    enum Claimant: Sendable, Hashable {
        /// Who is going to look whose it is.
        case anybody
        /// The task with this token; `nil` for no task.
        case owner(String?)
    }

    /// What an earlier try has left.
    struct Earlier: Sendable {
        var position: SourcePosition
        var tables: [DumpedTable]
    }

    /// Opens the directory, and makes it where it is not there.
    ///
    /// - Parameters:
    ///   - claimant: whose it must be, where a dump has been begun in it.
    ///   - locking: whether others are kept out; not where a lock does not reach them.
    /// - Throws: `DumpFileError` when it holds a dump that is whole, or files of somebody else's, or
    ///   when another process makes one in it.
    init(_ path: String, for claimant: Claimant, locking: Bool = true) throws {
        self.path = path
        let number = String(UInt64.random(in: 0..<2_821_109_907_456), radix: 36)  // 36 to the 8th
        run = String(repeating: "0", count: Self.runLength - number.utf8.count) + number
        journal = Mutex(-1)
        let made = unsafe mkdir(path, 0o750)
        let reason = errno
        if made != 0, reason != EEXIST, unsafe access(path, F_OK) != 0 {
            throw failure("", reason)
        }
        // Nothing is made in a directory of somebody else's.
        try requireOwn(directory.names())
        if locking {
            try lock()
            try requireOwn(directory.names())
        }
        let head = try Self.head(in: directory)
        token = head?.token
        known.withLock { $0 = head?.run }
        guard case .owner(let wanted) = claimant, wanted != token else { return }
        throw DumpFileError(
            wanted == nil
                ? "a task has begun a dump in it: give another directory"
                : "the dump in it is not the one that the task has begun: somebody has changed it "
                    + "meanwhile", file: path)
    }

    private func lock() throws {
        let descriptor = unsafe Glibc.open(
            directory.path(Self.lockName), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0o640)
        guard descriptor >= 0 else { throw failure(Self.lockName, errno) }
        held.withLock { $0 = descriptor }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            guard errno == EWOULDBLOCK else { throw failure(Self.lockName, errno) }
            throw DumpFileError.inUse(path)
        }
    }

    /// Refuses a directory with a dump that is whole, or with files that are no dump's of skein's.
    private func requireOwn(_ names: [String]) throws {
        if names.contains(DumpMetadata.fileName) {
            throw DumpFileError(
                "it holds a whole dump already: give another directory", file: path)
        }
        let isBegun = names.contains(Self.journalName)
        let other = names.first { isBegun ? !Self.isOwn($0) : !Self.isFirst($0) }
        if let other {
            throw DumpFileError(
                "it is not empty (\(other)), and no dump of skein's that was interrupted: give "
                    + "another directory", file: path)
        }
    }

    deinit {
        journal.withLock { if $0 >= 0 { close($0) } }
        held.withLock { descriptor in
            guard descriptor >= 0 else { return }
            // A child process has it, too, until it runs its own program.
            flock(descriptor, LOCK_UN)
            close(descriptor)
        }
    }

    private var directory: DumpDirectory { DumpDirectory(path: path) }

    /// The first line of a directory's journal; `nil` when there is none.
    static func head(in directory: DumpDirectory) throws -> Head? {
        guard unsafe access(directory.path(journalName), F_OK) == 0 || errno != ENOENT else {
            return nil
        }
        var head: Head?
        try directory.lines(journalName) { line in
            head = try? JSONDecoder().decode(Head.self, from: Data(line))
            return false
        }
        return head
    }

    /// Makes sure that nobody has begun another run here. A lock would do, if it reached all who
    /// share the directory; what comes between this and the next step is what is left of that.
    fileprivate func requireRun() throws {
        let known = known.withLock { $0 }
        guard try Self.head(in: directory)?.run == known else {
            throw DumpFileError(
                "another process has begun a dump in it meanwhile, or has removed its journal "
                    + "(\(Self.journalName))", file: path)
        }
    }

    /// Makes the directory a task's; what an earlier try has left stays.
    func take(_ token: String) throws {
        // No dump is made with these options: where there is no head, nothing of it is kept.
        var head =
            try Self.head(in: directory) ?? Head(format: 1, position: "", options: "")
        head.token = token
        var tables: [DumpedTable] = []
        if !head.options.isEmpty { tables = try recorded() }
        try write(head, tables)
        self.token = token
    }

    /// Writes the journal anew, as this run's.
    private func write(_ head: Head, _ tables: [DumpedTable]) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        var head = head
        head.run = run
        var text = String(decoding: try encoder.encode(head), as: UTF8.self) + "\n"
        for table in tables {
            text += String(decoding: try encoder.encode(table), as: UTF8.self) + "\n"
        }
        try write(Self.journalName, text)
        known.withLock { $0 = run }
    }

    /// The tables that the journal names.
    private func recorded() throws -> [DumpedTable] {
        var tables: [DumpedTable] = []
        var isHead = true
        try directory.lines(Self.journalName) { line in
            if isHead {
                isHead = false
                return true
            }
            // The last one may have been cut off.
            guard let table = try? JSONDecoder().decode(DumpedTable.self, from: Data(line))
            else { return false }
            tables.append(table)
            return true
        }
        return tables
    }

    /// What an earlier try with the same options has left; `nil` when nothing can be used of it.
    func earlier(options: String) throws -> Earlier? {
        guard let head = try Self.head(in: directory),
            head.format == 1, head.options == options,
            let position = try? SourcePosition(encoded: Self.bytes(hex: head.position))
        else { return nil }
        let tables = try recorded().filter { table in
            table.files.allSatisfy { name, size in (try? directory.size(name)) == size }
        }
        return Earlier(position: position, tables: tables)
    }

    /// Begins a try: records its place and what is kept, and removes all else.
    ///
    /// - Parameter rules: a digest of the rules that choose what is dumped.
    /// - Throws: `DumpFileError` when the directory has a file that is no dump's of skein's; then
    ///   nothing is removed.
    func begin(
        at position: SourcePosition, options: String, rules: String?, keeping kept: [DumpedTable]
    ) throws {
        try requireOwn(directory.names())
        // Before anything goes: what is left without its line is removed by the next try.
        try write(
            Head(
                format: 1, position: String(hexLiteral(position.encoded).dropFirst(2).dropLast()),
                options: options, token: token, rules: rules), kept)
        let names = Set(kept.flatMap(\.files.keys))
        whole.withLock { all in
            all = [:]
            for table in kept { all.merge(table.files) { $1 } }
        }
        let left = try directory.names()
        try requireOwn(left)
        for name in left
        where name != Self.journalName && name != Self.lockName && !names.contains(name) {
            guard unsafe unlink(directory.path(name)) == 0 || errno == ENOENT else {
                throw failure(name, errno)
            }
        }
        let descriptor = unsafe Glibc.open(
            directory.path(Self.journalName), O_WRONLY | O_APPEND | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure(Self.journalName, errno) }
        journal.withLock { old in
            if old >= 0 { close(old) }
            old = descriptor
        }
        // It is this run's that was opened.
        try requireRun()
    }

    /// Records that a table is whole; all its files have their names.
    func record(_ table: DumpedTable) throws {
        let line = Array(try JSONEncoder().encode(table)) + [0x0A]
        try journal.withLock { descriptor in
            try Self.writeAll(line, to: descriptor, name: Self.journalName)
            guard fsync(descriptor) == 0 else { throw failure(Self.journalName, errno) }
        }
    }

    /// A file has its name now.
    fileprivate func note(_ name: String, _ size: UInt64) {
        // The journal grows.
        if name != Self.journalName { whole.withLock { $0[name] = size } }
    }

    /// Ends the dump: with this text in the last of its files it is whole.
    ///
    /// - Throws: `DumpFileError` when a file is not there any more as it was written.
    func finish(_ metadata: String) throws {
        for (name, size) in whole.withLock({ $0 }) where (try? directory.size(name)) != size {
            throw DumpFileError(
                "somebody has removed or changed it while the dump was made; the same command "
                    + "makes it again", file: name)
        }
        // What an earlier run's process has begun meanwhile, and not ended, is no part of the dump:
        // whoever loads it would refuse it.
        for name in try directory.names()
        where name.hasSuffix(Self.partialSuffix) && Self.isOwn(name) {
            guard unsafe unlink(directory.path(name)) == 0 || errno == ENOENT else {
                throw failure(name, errno)
            }
        }
        try write(DumpMetadata.fileName, metadata)
        // Its owner has to find out whose the dump is.
        guard token == nil else { return }
        unsafe unlink(directory.path(Self.journalName))
        // Who gets another lock now sees that the dump is whole.
        unsafe unlink(directory.path(Self.lockName))
    }

    /// Writes a small file, whole or not at all.
    func write(_ name: String, _ text: String) throws {
        let file = try FileInMaking(self, name, .none)
        var bytes = ByteBuffer()
        bytes.append(text)
        try file.append(bytes.bytes)
        _ = try file.finish()
    }

    func path(_ name: String) -> String { directory.path(name) }

    fileprivate func syncNames() throws {
        let descriptor = unsafe Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure("", errno) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw failure("", errno) }
    }

    fileprivate func failure(_ name: String, _ number: Int32) -> DumpFileError {
        DumpFileError(
            "it can't be written: \(errorText(number))", file: name.isEmpty ? path : name)
    }

    fileprivate static func writeAll(_ bytes: [UInt8], to descriptor: Int32, name: String) throws {
        try unsafe bytes.withUnsafeBytes { try unsafe writeAll($0, to: descriptor, name: name) }
    }

    fileprivate static func writeAll(
        _ bytes: UnsafeRawBufferPointer, to descriptor: Int32, name: String
    ) throws {
        var done = 0
        while done < bytes.count {
            let n = unsafe Glibc.write(
                descriptor, bytes.baseAddress.map { unsafe $0 + done }, bytes.count - done)
            if n < 0, errno == EINTR { continue }
            guard n > 0 else {
                throw DumpFileError("it can't be written: \(errorText(errno))", file: name)
            }
            done += n
        }
    }

    private static func bytes(hex: String) -> [UInt8] {
        var out: [UInt8] = []
        var high: UInt8?
        for c in hex.utf8 {
            guard let digit = Character(UnicodeScalar(c)).hexDigitValue.map({ UInt8($0) }) else {
                return []
            }
            if let h = high {
                out.append(h << 4 | digit)
                high = nil
            } else {
                high = digit
            }
        }
        return out
    }
}

/// A file under another name until it is whole.
final class FileInMaking {
    /// The name that it will have.
    let name: String
    private let folder: DumpFolder
    private let packer: Compressor
    /// Its path until then, which is no other run's.
    private let partial: String
    private var isWhole = false
    private var descriptor: Int32
    private var packed = ByteBuffer(capacity: 1 << 17)
    private var bytes: UInt64 = 0

    init(_ folder: DumpFolder, _ name: String, _ compression: DumpCompression) throws {
        self.folder = folder
        self.name = name + compression.suffix
        packer = try Compressor(compression)
        partial = "\(folder.path(self.name)).\(folder.run)\(DumpFolder.partialSuffix)"
        // Of this run too, where it has failed; and never what somebody else's link leads to.
        unsafe unlink(partial)
        // Rows are nobody else's business.
        descriptor = unsafe Glibc.open(
            partial, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o640)
        guard descriptor >= 0 else { throw folder.failure(self.name, errno) }
    }

    deinit {
        if descriptor >= 0 { close(descriptor) }
        // Of a run that is no longer the last one it would stay in the other one's dump.
        if !isWhole { unsafe unlink(partial) }
    }

    func append(_ span: RawSpan) throws {
        try packer.append(span, to: &packed)
        if packed.count >= 1 << 16 { try flush() }
    }

    private func flush() throws {
        try unsafe packed.withBytes {
            try unsafe DumpFolder.writeAll($0, to: descriptor, name: name)
        }
        bytes += UInt64(packed.count)
        packed.removeAll()
        packed.shrink(to: 1 << 20)
    }

    /// Makes the file durable and gives it its name.
    ///
    /// - Returns: its size.
    func finish() throws -> UInt64 {
        try packer.finish(&packed)
        try flush()
        guard fsync(descriptor) == 0 else { throw folder.failure(name, errno) }
        close(descriptor)
        descriptor = -1
        try folder.requireRun()
        guard unsafe rename(partial, folder.path(name)) == 0 else {
            throw folder.failure(name, errno)
        }
        isWhole = true
        try folder.syncNames()
        folder.note(name, bytes)
        return bytes
    }
}
