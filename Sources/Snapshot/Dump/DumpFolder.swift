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
///     {"format":1,"position":"<hex>","options":"..","token":".."}
///     {"schema":"..","name":"..","files":{"db.t-schema.sql":120,..},"rows":5}
final class DumpFolder: Sendable {
    let path: String
    private let journal: Mutex<Int32>
    /// Files that are whole, with their sizes, but for the journal.
    private let whole = Mutex<[String: UInt64]>([:])
    /// The directory, locked for as long as this is open: two dumps in it would remove each other's
    /// files.
    private let held: Int32
    /// Of the task that owns the directory; `nil` when none does.
    private(set) var token: String? {
        get { owner.withLock { $0 } }
        set { owner.withLock { $0 = newValue } }
    }
    private let owner = Mutex<String?>(nil)

    static let journalName = ".skein-dump"
    static let partialSuffix = ".partial"

    private struct Head: Codable {
        var format: Int
        var position: String
        var options: String
        var token: String?
    }

    /// What an earlier try has left.
    struct Earlier: Sendable {
        var position: SourcePosition
        var tables: [DumpedTable]
    }

    /// Opens the directory, and makes it where it is not there.
    ///
    /// - Throws: `DumpFileError` when it holds a dump that is whole, or files of somebody else's, or
    ///   when another process makes one in it.
    init(_ path: String) throws {
        self.path = path
        journal = Mutex(-1)
        let made = unsafe mkdir(path, 0o750)
        let reason = errno
        let descriptor = unsafe Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        let number = made != 0 && reason != EEXIST ? reason : errno
        held = descriptor
        guard descriptor >= 0 else { throw failure("", number) }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            guard errno == EWOULDBLOCK else { throw failure("", errno) }
            throw DumpFileError(
                "another skein dump or task writes to it: give another directory, or end that one",
                file: path)
        }
        let names = try directory.names()
        if names.contains(DumpMetadata.fileName) {
            throw DumpFileError(
                "it holds a whole dump already: give another directory", file: path)
        }
        let isOurs = names.contains(Self.journalName)
        if let other = names.first(where: { !isOurs || !Self.isOwn($0) }) {
            throw DumpFileError(
                "it is not empty (\(other)), and no dump of skein's that was interrupted: give "
                    + "another directory", file: path)
        }
        if isOurs { token = Self.token(inJournal: try directory.text(Self.journalName)) }
    }

    deinit {
        journal.withLock { if $0 >= 0 { close($0) } }
        if held >= 0 { close(held) }
    }

    private var directory: DumpDirectory { DumpDirectory(path: path) }

    private static func isOwn(_ name: String) -> Bool {
        name == journalName || name.hasSuffix(partialSuffix) || DumpFileName(name) != nil
    }

    /// The token in a journal's text; `nil` when it has none.
    static func token(inJournal text: String) -> String? {
        guard let first = text.split(separator: "\n").first,
            let head = try? JSONDecoder().decode(Head.self, from: Data(first.utf8))
        else { return nil }
        return head.token
    }

    /// Makes the directory a task's; what an earlier try has left stays.
    func take(_ token: String) throws {
        var lines: [String] = []
        if try directory.names().contains(Self.journalName) {
            lines = try directory.text(Self.journalName).split(separator: "\n").map { String($0) }
        }
        // No dump is made with these options: where there is no head, nothing of it is kept.
        var head = Head(format: 1, position: "", options: "")
        if let first = lines.first,
            let known = try? JSONDecoder().decode(Head.self, from: Data(first.utf8))
        {
            head = known
        } else {
            lines = []
        }
        head.token = token
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        let first = String(decoding: try encoder.encode(head), as: UTF8.self)
        let text = ([first] + lines.dropFirst()).map { $0 + "\n" }.joined()
        try write(Self.journalName, text)
        self.token = token
    }

    /// What an earlier try with the same options has left; `nil` when nothing can be used of it.
    func earlier(options: String) throws -> Earlier? {
        guard try directory.names().contains(Self.journalName) else { return nil }
        let lines = try directory.text(Self.journalName)
            .split(separator: "\n", omittingEmptySubsequences: true)
        guard let first = lines.first,
            let head = try? JSONDecoder().decode(Head.self, from: Data(first.utf8)),
            head.format == 1, head.options == options,
            let position = try? SourcePosition(encoded: Self.bytes(hex: head.position))
        else { return nil }
        var tables: [DumpedTable] = []
        for line in lines.dropFirst() {
            // The last one may have been cut off.
            guard let table = try? JSONDecoder().decode(DumpedTable.self, from: Data(line.utf8))
            else { break }
            let isWhole = table.files.allSatisfy { name, size in
                (try? directory.size(name)) == size
            }
            if isWhole { tables.append(table) }
        }
        return Earlier(position: position, tables: tables)
    }

    /// Begins a try: records its place and what is kept, and removes all else.
    func begin(at position: SourcePosition, options: String, keeping kept: [DumpedTable]) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        let head = Head(
            format: 1, position: String(hexLiteral(position.encoded).dropFirst(2).dropLast()),
            options: options, token: token)
        var text = String(decoding: try encoder.encode(head), as: UTF8.self) + "\n"
        for table in kept {
            text += String(decoding: try encoder.encode(table), as: UTF8.self) + "\n"
        }
        // Before anything goes: what is left without its line is removed by the next try.
        try write(Self.journalName, text)
        let names = Set(kept.flatMap(\.files.keys))
        whole.withLock { all in
            all = [:]
            for table in kept { all.merge(table.files) { $1 } }
        }
        for name in try directory.names()
        where name != Self.journalName && !names.contains(name) && Self.isOwn(name) {
            unsafe unlink(directory.path(name))
        }
        let descriptor = unsafe Glibc.open(
            directory.path(Self.journalName), O_WRONLY | O_APPEND | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure(Self.journalName, errno) }
        journal.withLock { old in
            if old >= 0 { close(old) }
            old = descriptor
        }
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

    /// Ends the dump: with this file it is whole.
    ///
    /// - Throws: `DumpFileError` when a file is not there any more as it was written.
    func finish(_ metadata: DumpMetadata) throws {
        for (name, size) in whole.withLock({ $0 }) where (try? directory.size(name)) != size {
            throw DumpFileError(
                "somebody has removed or changed it while the dump was made; the same command "
                    + "makes it again", file: name)
        }
        try write(DumpMetadata.fileName, metadata.text)
        // Its owner has to find out whose the dump is.
        if token == nil { unsafe unlink(directory.path(Self.journalName)) }
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
    private var descriptor: Int32
    private var packed = ByteBuffer(capacity: 1 << 17)
    private var bytes: UInt64 = 0

    init(_ folder: DumpFolder, _ name: String, _ compression: DumpCompression) throws {
        self.folder = folder
        self.name = name + compression.suffix
        packer = try Compressor(compression)
        let path = folder.path(self.name) + DumpFolder.partialSuffix
        // Rows are nobody else's business.
        descriptor = unsafe Glibc.open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o640)
        guard descriptor >= 0 else { throw folder.failure(self.name, errno) }
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

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
        let path = folder.path(name)
        guard unsafe rename(path + DumpFolder.partialSuffix, path) == 0 else {
            throw folder.failure(name, errno)
        }
        try folder.syncNames()
        folder.note(name, bytes)
        return bytes
    }
}
