internal import Glibc
internal import Settings
internal import Synchronization

/// The file of `--fix-sql`: one statement a line. It holds values of rows, so only its owner may
/// read it.
final class FixFile: Sendable {
    private let descriptor: Int32
    private let path: String
    private let lock = Mutex(())

    /// Creates the file, or empties it.
    init(path: String) throws(SettingsError) {
        self.path = path
        descriptor = open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0o600)
        // What an earlier file of this name allowed others does not count.
        guard descriptor >= 0, fchmod(descriptor, 0o600) == 0, ftruncate(descriptor, 0) == 0 else {
            throw SettingsError(
                "the file for --fix-sql can't be written: \(String(cString: strerror(errno)))",
                file: path)
        }
    }

    deinit { close(descriptor) }

    /// Writes one statement, which ends with its own semicolon.
    ///
    /// - Throws: an ``OperatorError`` when the disk is full or the file is gone.
    func append(_ statement: String) throws {
        let isWritten = lock.withLock { _ in writeAll(statement + "\n", to: descriptor) }
        guard isWritten else {
            throw OperatorError(
                code: "verify.fix-file", message: "the file for --fix-sql can't be written",
                place: path, recovery: .never, action: "make room on its disk")
        }
    }
}
