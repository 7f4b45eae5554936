import Foundation
import Glibc
import Synchronization

@testable import TestServers

/// A run of the product, or of a program beside it: the binary that was built beside the test bundle.
final class SkeinProcess: Sendable {
    /// How a run ended.
    struct Outcome: Sendable {
        /// The exit code, or the negative number of the signal that ended it.
        let status: Int32
        /// Standard output, then standard error.
        let text: String
    }

    /// Its process id.
    let pid: pid_t
    private let program: String
    private let output: Int32
    private let errors: Int32
    private let state = Mutex<(ended: Int32?, peak: Int)>((nil, 0))

    /// The product's binary.
    static let binary: String = {
        let link = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let runner = link ?? ""
        let beside = runner.split(separator: "/").dropLast().reduce("") { $0 + "/" + $1 } + "/skein"
        if access(beside, X_OK) == 0 { return beside }
        return Repository.folder + "/.build/debug/skein"
    }()

    /// Starts the product with these arguments.
    ///
    /// - Parameters:
    ///   - environment: variables over the usual ones (the passwords of test users).
    ///   - prefix: a program that runs it in its own place, and what that is told.
    ///   - program: what is started; by default the product.
    init(
        _ arguments: [String], environment: [String: String] = [:], prefix: [String] = [],
        program: String = SkeinProcess.binary
    ) throws {
        self.program = program.split(separator: "/").last.map(String.init) ?? program
        output = try Self.makeFile()
        errors = try Self.makeFile()
        let input = open("/dev/null", O_RDONLY | O_CLOEXEC)
        defer { close(input) }
        var variables = [
            "SKEIN_SOURCE_PASSWORD": TestServer.password,
            "SKEIN_TARGET_PASSWORD": TestServer.password,
        ]
        variables.merge(environment) { _, new in new }
        let command =
            ["env"] + variables.map { "\($0.key)=\($0.value)" }.sorted() + prefix
            + [program] + arguments
        pid = try ChildProcess.spawn(
            command, as: .ourselves, input: input, output: output, errors: errors)
    }

    deinit {
        if state.withLock({ $0.ended }) == nil {
            Glibc.kill(pid, SIGKILL)
            _ = ChildProcess.wait(for: pid)
        }
        close(output)
        close(errors)
    }

    /// The exit status, `nil` while it runs.
    var status: Int32? {
        state.withLock { state in
            if state.ended == nil { state.ended = ChildProcess.ended(pid) }
            return state.ended
        }
    }

    /// All that it printed until now.
    var text: String { Self.contents(of: output) + Self.contents(of: errors) }

    /// The last of what it printed, on each of its two outputs: for a report of a failure.
    private var lastLines: String {
        [output, errors].map { Self.contents(of: $0).split(separator: "\n").suffix(12) }
            .joined().joined(separator: "\n")
    }

    /// What its threads do: their names, states, and where the kernel lets them wait.
    private var threads: String {
        let folder = "/proc/\(pid)/task"
        let tasks = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return tasks.sorted().map { task in
            let stat = Self.kernelText("\(folder)/\(task)/stat").split(separator: " ")
            let wait = Self.kernelText("\(folder)/\(task)/wchan")
            return "\(stat.prefix(3).joined(separator: " ")) \(wait)"
        }.joined(separator: "\n")
    }

    private static func kernelText(_ path: String) -> String {
        (try? String(decoding: Data(contentsOf: URL(filePath: path)), as: UTF8.self)) ?? ""
    }

    /// Sends a signal.
    func signal(_ number: Int32) {
        state.withLock { state in
            guard state.ended == nil else { return }
            Glibc.kill(pid, number)
        }
    }

    /// Ends it at once (SIGKILL) and waits until it is gone.
    ///
    /// - Returns: whether it was still running.
    @discardableResult
    func kill() -> Bool {
        state.withLock { state in
            guard state.ended == nil else { return false }
            Glibc.kill(pid, SIGKILL)
            state.ended = ChildProcess.wait(for: pid)
            return state.ended == -SIGKILL
        }
    }

    /// Waits until it ends by itself.
    ///
    /// - Throws: `Overdue` with what it printed when it runs for longer; it is killed then.
    func end(within limit: Duration = .seconds(180)) async throws -> Outcome {
        try await waiting(limit, for: "skein to end") { self.status != nil }
        return Outcome(status: status ?? -1, text: text)
    }

    /// Waits until something holds, while it runs.
    ///
    /// - Throws: `Overdue` when it does not come true in time, or the process ends before.
    func waiting(
        _ limit: Duration = .seconds(120), for what: String, _ condition: () throws -> Bool
    ) async throws {
        let deadline = ContinuousClock.now + limit
        while !(try condition()) {
            samplePeak()
            guard ContinuousClock.now < deadline else {
                let threads = threads
                kill()
                throw Overdue(
                    "waited \(limit) for \(what); \(program) printed at last:\n\(lastLines)\n"
                        + "and its threads were:\n\(threads)")
            }
            if status != nil, !(try condition()) {
                throw Overdue("waited for \(what), but skein ended (\(status!)):\n\(text)")
            }
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    /// Peak resident memory in bytes, as far as it was looked at while waiting.
    var peakBytes: Int { state.withLock { $0.peak } }

    private func samplePeak() {
        guard let file = fopen("/proc/\(pid)/status", "r") else { return }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 256)
        while fgets(&line, 256, file) != nil {
            let bytes = line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
            let text = String(decoding: bytes, as: UTF8.self)
            guard text.hasPrefix("VmHWM:") else { continue }
            let kibibytes = Int(text.filter(\.isNumber)) ?? 0
            state.withLock { $0.peak = max($0.peak, kibibytes << 10) }
        }
    }

    private static func makeFile() throws -> Int32 {
        var name = Array("/tmp/skein-XXXXXX".utf8CString)
        let file = mkstemp(&name)
        guard file >= 0 else { throw Overdue("no temporary file: \(errno)") }
        _ = fcntl(file, F_SETFD, FD_CLOEXEC)
        unlink(name)
        return file
    }

    private static func contents(of file: Int32) -> String {
        var status = stat()
        fstat(file, &status)
        let size = Int(status.st_size)
        let bytes = [UInt8](unsafeUninitializedCapacity: max(1, size)) { buffer, count in
            count = max(0, pread(file, buffer.baseAddress, size, 0))
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// Something did not come in time, or a run ended in another way than the test needs.
struct Overdue: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
