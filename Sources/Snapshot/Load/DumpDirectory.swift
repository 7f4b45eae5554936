internal import DumpFiles
internal import Foundation
internal import Glibc
internal import MySQLSyntax

/// The directory of a dump, to be read.
struct DumpDirectory: Sendable {
    let path: String

    /// A file's whole path.
    func path(_ name: String) -> String { path.hasSuffix("/") ? path + name : "\(path)/\(name)" }

    /// The names of all files.
    func names() throws -> [String] {
        guard let stream = unsafe opendir(path) else {
            guard errno != ENOENT else {
                throw DumpFileError(
                    "there is no such directory here; what a task loads must be on the worker that "
                        + "has its source (\"workers\" of the source says which may)", file: path)
            }
            throw DumpFileError(
                "the directory can't be read: \(errorText(errno))", file: path)
        }
        defer { unsafe closedir(stream) }
        var out: [String] = []
        while let entry = unsafe readdir(stream) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                unsafe pointer.withMemoryRebound(to: CChar.self, capacity: 256) {
                    unsafe String(cString: $0)
                }
            }
            if name != ".", name != ".." { out.append(name) }
        }
        // The dump's fingerprint depends on the order, which must be the same in every run.
        return out.sorted { $0 == $1 ? $0.utf8.lexicographicallyPrecedes($1.utf8) : $0 < $1 }
    }

    /// A file's size in bytes.
    func size(_ name: String) throws -> UInt64 {
        var status = stat()
        guard unsafe stat(path(name), &status) == 0 else { throw failure(name) }
        return UInt64(max(0, status.st_size))
    }

    /// A small file's text.
    func text(_ name: String) throws -> String {
        let file = try open(name)
        var out: [UInt8] = []
        while let more = try file.next() {
            out += more
            guard out.count <= 64 << 20 else {
                throw DumpFileError("it is larger than any of its kind", file: name)
            }
        }
        return String(decoding: out, as: UTF8.self)
    }

    /// Hands on a file's lines, without their ends and the empty ones, for as long as the call says
    /// to go on. The last one may have no end.
    func lines(_ name: String, _ take: ([UInt8]) throws -> Bool) throws {
        let file = try open(name)
        var line: [UInt8] = []
        while let more = try file.next() {
            var rest = more[...]
            while let end = rest.firstIndex(of: 0x0A) {
                line += rest[..<end]
                if !line.isEmpty {
                    guard try take(line) else { return }
                    line.removeAll()
                }
                rest = rest[(end + 1)...]
            }
            line += rest
            guard line.count <= 64 << 20 else {
                throw DumpFileError("a line is longer than any of its kind", file: name)
            }
        }
        if !line.isEmpty { _ = try take(line) }
    }

    /// The unpacked bytes of a file, as readers ask for them.
    func content(of file: DumpFileName) throws -> (inout [UInt8]) throws -> Bool {
        let raw = try open(file.text)
        let unpacker = try Decompressor(file.compression) { try raw.next() }
        return { out in try unpacker.fill(&out) }
    }

    /// The statements of a file of definitions, each with the settings that it was made under.
    func statements(
        of file: DumpFileName, _ context: SyntaxContext
    ) throws -> [DumpStatement] {
        let hasBodies = file.kind == .routines || file.kind == .triggers
        do {
            let reader = StatementFileReader(
                hasBodies: hasBodies, context: context, more: try content(of: file))
            var out: [DumpStatement] = []
            while let text = try reader.next() {
                guard let object = CreatedObject(text, reader.currentContext) else {
                    throw DumpFileError(
                        "a statement creates nothing that a load knows of: it begins with "
                            + "\"\(String(decoding: text.prefix(24), as: UTF8.self))\"")
                }
                out.append(
                    DumpStatement(
                        object: object, text: String(decoding: text, as: UTF8.self),
                        settings: reader.settings))
            }
            return out
        } catch let error as DumpFileError {
            throw error.inFile(file.text)
        }
    }

    private func open(_ name: String) throws -> RawFile {
        let descriptor = unsafe Glibc.open(path(name), O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure(name) }
        return RawFile(descriptor, name)
    }

    private func failure(_ name: String) -> DumpFileError {
        DumpFileError("it can't be read: \(errorText(errno))", file: name)
    }
}

/// A statement of a file of definitions.
struct DumpStatement: Sendable {
    var object: CreatedObject
    var text: String
    var settings: DumpFileSettings
}

/// An open file, read from its start to its end.
final class RawFile {
    private let descriptor: Int32
    private let name: String

    init(_ descriptor: Int32, _ name: String) {
        self.descriptor = descriptor
        self.name = name
    }

    deinit { close(descriptor) }

    /// The next bytes; `nil` at the end.
    func next() throws -> [UInt8]? {
        var failed: Int32 = 0
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: 1 << 17) { buffer, count in
            var got = 0
            repeat {
                got = unsafe read(descriptor, buffer.baseAddress, buffer.count)
            } while got < 0 && errno == EINTR
            if got < 0 { failed = errno }
            count = max(0, got)
        }
        guard failed == 0 else {
            throw DumpFileError(
                "it can't be read: \(errorText(failed))", file: name)
        }
        return bytes.isEmpty ? nil : bytes
    }
}

/// What the system says about one of its error numbers.
func errorText(_ number: Int32) -> String { unsafe String(cString: strerror(number)) }
