internal import CSpawn
internal import Glibc
internal import Synchronization

/// A child process that ends when this process ends, even at kill -9.
///
/// The kernel's parent-death signal is sent when the *thread* that started the child ends, so each
/// child has a thread of its own that starts it, waits for its end, and ends.
final class SupervisedProcess: Sendable {
    /// How a child has ended.
    enum Ending: Sendable, Equatable {
        case exited(Int32)
        case killed(signal: Int32)
    }

    private struct State {
        /// As long as the child is not collected, so that its number cannot mean another process.
        var pid: pid_t?
        var ending: Ending?
        var waiters: [CheckedContinuation<Ending, Never>] = []
    }
    private let state = Mutex(State())

    /// Starts a program.
    ///
    /// - Parameters:
    ///   - output: the file that its standard output and error are appended to.
    /// - Throws: `MetadataError` with code `process` when it cannot be started.
    init(
        program: String, arguments: [String], environment: [String], output: String
    ) async throws {
        let started = await withCheckedContinuation { continuation in
            let start = Start(
                owner: self, program: program, arguments: [program] + arguments,
                environment: environment, output: output, continuation: continuation)
            let argument = Unmanaged.passRetained(start)
            var thread = pthread_t()
            let created = pthread_create(
                &thread, nil,
                { argument in
                    guard let argument else { return nil }
                    Unmanaged<Start>.fromOpaque(argument).takeRetainedValue().run()
                    return nil
                }, argument.toOpaque())
            if created == 0 {
                pthread_detach(thread)
            } else {
                // There are too many threads now: that passes, and must not end the worker.
                argument.release()
                continuation.resume(returning: -created)
            }
        }
        if started < 0 {
            throw MetadataError(
                .process, "cannot start \(program): \(String(cString: strerror(-started)))")
        }
    }

    /// The process id, nil when it has ended.
    var pid: pid_t? { state.withLock { $0.pid } }

    /// Sends a signal; nothing happens when the child has ended.
    func send(_ signal: Int32) {
        state.withLock { if let pid = $0.pid { _ = kill(pid, signal) } }
    }

    /// Returns when the child has ended; cancelling the task does not shorten that.
    func ended() async -> Ending {
        await withCheckedContinuation { continuation in
            let ending = state.withLock { state -> Ending? in
                if state.ending == nil { state.waiters.append(continuation) }
                return state.ending
            }
            if let ending { continuation.resume(returning: ending) }
        }
    }

    /// Asks the child to end, and after `patience` makes it end. Returns when it is gone; cancelling
    /// the task does not shorten that.
    func stop(patience: Duration) async {
        send(SIGTERM)
        // A task of its own, so that it is patient also when the caller is cancelled.
        let deadline = Task {
            try await Task.sleep(for: patience)
            send(SIGKILL)
        }
        _ = await ended()
        deadline.cancel()
    }

    private func began(_ pid: pid_t) { state.withLock { $0.pid = pid } }

    /// Waits for the child on its own thread.
    private func collect(_ pid: pid_t) {
        var information = siginfo_t()
        while waitid(P_PID, id_t(pid), &information, WEXITED | WNOWAIT) != 0, errno == EINTR {}
        let waiters = state.withLock { state in
            var status: Int32 = 0
            waitpid(pid, &status, 0)
            let signal = status & 0x7f
            let ending: Ending =
                signal == 0 ? .exited((status >> 8) & 0xff) : .killed(signal: signal)
            state.pid = nil
            state.ending = ending
            defer { state.waiters = [] }
            return state.waiters.map { ($0, ending) }
        }
        for (waiter, ending) in waiters { waiter.resume(returning: ending) }
    }

    /// What the child's thread needs.
    private final class Start: Sendable {
        let owner: SupervisedProcess
        let program: String
        let arguments: [String]
        let environment: [String]
        let output: String
        let continuation: CheckedContinuation<pid_t, Never>

        init(
            owner: SupervisedProcess, program: String, arguments: [String], environment: [String],
            output: String, continuation: CheckedContinuation<pid_t, Never>
        ) {
            self.owner = owner
            self.program = program
            self.arguments = arguments
            self.environment = environment
            self.output = output
            self.continuation = continuation
        }

        func run() {
            let file = open(output, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
            guard file >= 0 else {
                continuation.resume(returning: -errno)
                return
            }
            let pid = withCStrings(arguments) { arguments in
                withCStrings(environment) { cspawn_start(program, arguments, $0, file) }
            }
            close(file)
            if pid > 0 { owner.began(pid) }
            continuation.resume(returning: pid)
            if pid > 0 { owner.collect(pid) }
        }

        private func withCStrings<Result>(
            _ strings: [String],
            _ body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Result
        ) -> Result {
            var pointers: [UnsafeMutablePointer<CChar>?] = strings.map { strdup($0) }
            pointers.append(nil)
            defer { for pointer in pointers { free(pointer) } }
            return body(&pointers)
        }
    }
}
