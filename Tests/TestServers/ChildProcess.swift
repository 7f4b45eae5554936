import Glibc

/// Starts programs that end when this process ends, whatever ends it.
///
/// A child's parent-death signal is sent when the *thread* that started it ends, and threads of a
/// pool come and go. All children are therefore started by one thread that never ends.
enum ChildProcess {
    /// What a program that has ended left behind.
    struct Outcome {
        /// The exit code, or the negative number of the signal that ended it.
        let status: Int32
        let output: [UInt8]
        let errors: [UInt8]

        var outputText: String { String(decoding: output, as: UTF8.self) }
        var errorText: String { String(decoding: errors, as: UTF8.self) }
    }

    /// Whom a program runs as: database servers refuse to run as root.
    enum User { case ourselves, serverUser }

    /// Starts a program. It has its own session, so that a terminal's Ctrl-C does not reach it, and
    /// none of our file descriptors but the three given.
    ///
    /// - Returns: its process id.
    static func spawn(
        _ arguments: [String], as user: User, input: Int32, output: Int32, errors: Int32
    ) throws -> pid_t {
        var command = ["setpriv"]
        if user == .serverUser, geteuid() == 0 {
            command += ["--reuid=mysql", "--regid=mysql", "--clear-groups"]
        }
        command += ["--pdeathsig", "KILL", "--"] + arguments
        return try SpawnThread.shared.spawn(command, input: input, output: output, errors: errors)
    }

    /// Runs a program to its end; blocks the caller.
    static func run(
        _ arguments: [String], as user: User = .ourselves, input: String = ""
    ) throws -> Outcome {
        // Files instead of pipes: a pipe that nobody empties would stop the program.
        let files = try (0..<3).map { _ in try temporaryFile() }
        defer { for file in files { close(file) } }
        var text = input
        try text.withUTF8 { try write($0, to: files[0]) }
        lseek(files[0], 0, SEEK_SET)
        let pid = try spawn(
            arguments, as: user, input: files[0], output: files[1], errors: files[2])
        let status = wait(for: pid)
        return Outcome(
            status: status, output: contents(of: files[1]), errors: contents(of: files[2]))
    }

    /// Waits until a child has ended.
    ///
    /// - Returns: its exit code, or the negative number of the signal that ended it.
    static func wait(for pid: pid_t) -> Int32 {
        var status: Int32 = 0
        while waitpid(pid, &status, 0) == -1 {
            if errno != EINTR { return -1 }
        }
        return exitStatus(status)
    }

    /// The exit status of a child that has ended, nil while it runs. Collects it: ask once.
    static func ended(_ pid: pid_t) -> Int32? {
        var status: Int32 = 0
        let result = waitpid(pid, &status, WNOHANG)
        if result == 0 { return nil }
        return result == pid ? exitStatus(status) : -1
    }

    private static func exitStatus(_ status: Int32) -> Int32 {
        let signal = status & 0x7f
        return signal == 0 ? (status >> 8) & 0xff : -signal
    }

    /// A file without a name, gone when it is closed.
    private static func temporaryFile() throws -> Int32 {
        var name = Array("/tmp/skein-XXXXXX".utf8CString)
        let file = mkstemp(&name)
        guard file >= 0 else { throw TestServerError.system("open a temporary file", errno) }
        _ = fcntl(file, F_SETFD, FD_CLOEXEC)
        unlink(name)
        return file
    }

    private static func write(_ bytes: UnsafeBufferPointer<UInt8>, to file: Int32) throws {
        var rest = UnsafeRawBufferPointer(bytes)
        while !rest.isEmpty {
            let count = Glibc.write(file, rest.baseAddress, rest.count)
            guard count > 0 else { throw TestServerError.system("write a temporary file", errno) }
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
    }

    private static func contents(of file: Int32) -> [UInt8] {
        let size = Int(lseek(file, 0, SEEK_END))
        lseek(file, 0, SEEK_SET)
        return [UInt8](unsafeUninitializedCapacity: max(size, 0)) { buffer, count in
            while count < size {
                let got = read(file, buffer.baseAddress.map { $0 + count }, size - count)
                guard got > 0 else { return }
                count += got
            }
        }
    }
}
