internal import Glibc

/// The words of an error number.
func systemMessage(_ code: Int32) -> String {
    var buffer = [CChar](repeating: 0, count: 128)
    guard unsafe strerror_r(code, &buffer, buffer.count) == 0 else { return "error \(code)" }
    let bytes = buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
    return String(decoding: bytes, as: UTF8.self)
}

/// What has become durable, for tests: nobody else can see that a sync is missing, or comes late.
enum Durability {
    /// Told of the path of each file and folder, when it is on the disk.
    @TaskLocal static var recorder: (@Sendable (String) -> Void)?
}

/// An open file. Its owner is one task at a time.
final class OpenFile {
    let path: String
    let descriptor: Int32

    /// Opens a file.
    init(_ path: String, _ flags: Int32) throws(RelayError) {
        self.path = path
        // What is made holds rows: for its owner alone, and never through somebody's link.
        let flags = flags & O_CREAT == 0 ? flags : flags | O_NOFOLLOW
        descriptor = unsafe open(path, flags | O_CLOEXEC, 0o600)
        if descriptor < 0 { throw .system("open", path: path, errno: errno) }
    }

    deinit { close(descriptor) }

    /// Bytes in the file.
    var size: UInt64 {
        var status = stat()
        return unsafe fstat(descriptor, &status) == 0 ? UInt64(status.st_size) : 0
    }

    /// Reads until the buffer is full or the file ends.
    func read(
        _ buffer: UnsafeMutableRawBufferPointer, at offset: UInt64
    ) throws(RelayError) -> Int {
        var done = 0
        while done < buffer.count {
            let got = unsafe pread(
                descriptor, buffer.baseAddress! + done, buffer.count - done,
                Int(offset) + done)
            if got < 0 {
                if errno == EINTR { continue }
                throw .system("read", path: path, errno: errno)
            }
            if got == 0 { break }
            done += got
        }
        return done
    }

    /// Bytes of the file; fewer where it ends.
    func bytes(_ count: Int, at offset: UInt64) throws(RelayError) -> [UInt8] {
        var out = [UInt8](repeating: 0, count: count)
        var failure: RelayError?
        var got = 0
        unsafe out.withUnsafeMutableBytes { buffer in
            do throws(RelayError) {
                got = try unsafe read(buffer, at: offset)
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        out.removeLast(count - got)
        return out
    }

    /// Writes all bytes at an offset.
    ///
    /// - Parameter done: bytes that have been written, also when it fails half-way.
    func write(
        _ bytes: UnsafeRawBufferPointer, at offset: UInt64, done: inout Int
    ) throws(RelayError) {
        while done < bytes.count {
            let put = unsafe pwrite(
                descriptor, bytes.baseAddress! + done, bytes.count - done, Int(offset) + done)
            if put < 0 {
                if errno == EINTR { continue }
                throw .system("write", path: path, errno: errno)
            }
            done += put
        }
    }

    /// Makes what was written durable.
    func sync() throws(RelayError) {
        if fdatasync(descriptor) != 0 { throw .system("sync", path: path, errno: errno) }
        Durability.recorder?(path)
    }

    /// Makes durable, of a folder that is open, which files and folders it has.
    func syncNames() throws(RelayError) {
        // Not every file system can; those that can't have no better way.
        if fsync(descriptor) != 0, errno != EINVAL {
            throw .system("sync", path: path, errno: errno)
        }
        Durability.recorder?(path)
    }

    /// Cuts the file.
    func truncate(to size: UInt64) throws(RelayError) {
        if ftruncate(descriptor, Int(size)) != 0 {
            throw .system("cut", path: path, errno: errno)
        }
    }
}

/// Folders and small files.
enum Folder {
    /// Names in a folder; empty when there is none, or it can't be read.
    static func names(_ path: String) -> [String] { (try? list(path)) ?? [] }

    /// Names in a folder; empty when there is none.
    static func list(_ path: String) throws(RelayError) -> [String] {
        guard let folder = unsafe opendir(path) else {
            if errno == ENOENT { return [] }
            throw .system("read", path: path, errno: errno)
        }
        defer { unsafe closedir(folder) }
        var out: [String] = []
        while true {
            // The end of the folder and a failure look alike, but for this.
            errno = 0
            guard let entry = unsafe readdir(folder) else {
                let code = errno
                if code != 0 { throw .system("read", path: path, errno: code) }
                return out
            }
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                unsafe pointer.withMemoryRebound(to: CChar.self, capacity: 256) {
                    unsafe String(cString: $0)
                }
            }
            if name != ".", name != ".." { out.append(name) }
        }
    }

    /// Makes a folder and those above it.
    static func make(_ path: String) throws(RelayError) {
        var status = stat()
        if unsafe stat(path, &status) == 0 { return }
        if let slash = path.lastIndex(of: "/"), slash != path.startIndex {
            try make(String(path[..<slash]))
        }
        if unsafe mkdir(path, 0o700) != 0, errno != EEXIST {
            throw .system("make folder", path: path, errno: errno)
        }
    }

    /// Makes durable which files and folders one has.
    static func sync(_ path: String) throws(RelayError) {
        try OpenFile(path, O_RDONLY | O_DIRECTORY).syncNames()
    }

    /// Whether something is there.
    static func exists(_ path: String) -> Bool { unsafe access(path, F_OK) == 0 }

    /// Bytes of a file or folder; `nil` when there is none. What can't be looked at is not gone.
    static func length(_ path: String) throws(RelayError) -> UInt64? {
        var status = stat()
        if unsafe stat(path, &status) == 0 { return UInt64(status.st_size) }
        let code = errno
        if code == ENOENT || code == ENOTDIR { return nil }
        throw .system("look at", path: path, errno: code)
    }

    /// A small file's bytes; `nil` when there is none.
    static func contents(_ path: String) throws(RelayError) -> [UInt8]? {
        let file: OpenFile
        do throws(RelayError) {
            file = try OpenFile(path, O_RDONLY)
        } catch {
            if case .system(_, _, let code) = error, code == ENOENT { return nil }
            throw error
        }
        // Something else than a file may say that it has no bytes; to read it tells.
        return try file.bytes(Int(min(max(file.size, 4096), 256 << 20)), at: 0)
    }

    /// Whether a plain file is there.
    static func isFile(_ path: String) -> Bool {
        var status = stat()
        return unsafe lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
    }

    /// Whether a folder is there, and no link to one.
    static func isFolder(_ path: String) -> Bool {
        var status = stat()
        return unsafe lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    /// Why it can't be said whether something is there; `nil` when it can.
    static func obstacle(_ path: String) -> RelayError? {
        var status = stat()
        if unsafe lstat(path, &status) == 0 { return nil }
        let code = errno
        if code == ENOENT || code == ENOTDIR { return nil }
        return RelayError.system("look at", path: path, errno: code)
    }

    /// Bytes of a plain file; 0 of anything else.
    static func size(_ path: String) -> UInt64 {
        var status = stat()
        guard unsafe lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return 0 }
        return UInt64(status.st_size)
    }

    /// When a file was changed, seconds since 1970.
    static func changed(_ path: String) -> Int64 {
        var status = stat()
        return unsafe stat(path, &status) == 0 ? Int64(status.st_mtim.tv_sec) : 0
    }

    /// Removes a file, if it is there.
    static func remove(_ path: String) throws(RelayError) {
        if unsafe unlink(path) != 0, errno != ENOENT {
            throw .system("remove", path: path, errno: errno)
        }
    }

    /// Gives a file another name on the same disk.
    static func move(_ path: String, to other: String) throws(RelayError) {
        if unsafe rename(path, other) != 0 {
            throw .system("rename", path: path, errno: errno)
        }
    }

    /// Removes an empty folder; keeps one that is not.
    static func removeEmpty(_ path: String) { _ = unsafe rmdir(path) }

    /// A small file's bytes; `nil` when it can't be read.
    static func read(_ path: String) -> [UInt8]? {
        guard let file = try? OpenFile(path, O_RDONLY) else { return nil }
        let size = file.size
        guard size <= 256 << 20 else { return nil }
        return try? file.bytes(Int(size), at: 0)
    }

    /// A small file's text.
    static func text(_ path: String) -> String? {
        read(path).map { String(decoding: $0, as: UTF8.self) }
    }

    /// Puts a small file in place of another, whole or not at all.
    static func replace(_ path: String, _ bytes: [UInt8]) throws(RelayError) {
        let partial = path + ".tmp"
        do {
            let file = try OpenFile(partial, O_WRONLY | O_CREAT | O_TRUNC)
            var failure: RelayError?
            var done = 0
            unsafe bytes.withUnsafeBytes { buffer in
                do throws(RelayError) {
                    try unsafe file.write(buffer, at: 0, done: &done)
                } catch {
                    failure = error
                }
            }
            if let failure { throw failure }
            try file.sync()
        }
        if unsafe rename(partial, path) != 0 {
            throw .system("rename", path: partial, errno: errno)
        }
    }

    /// Free bytes, for this user, of the disk that a path is on.
    static func freeBytes(_ path: String) -> UInt64 {
        var status = statvfs()
        guard unsafe statvfs(path, &status) == 0 else { return .max }
        return UInt64(status.f_bavail) * UInt64(status.f_frsize)
    }
}
