internal import Glibc
internal import Synchronization

/// Where the signal handler writes to.
// SAFETY: written once by `listen()`, before any handler that reads it is installed; a whole
// Int32 with a constant initial value, so that a handler may read it at any moment.
private nonisolated(unsafe) var signalPipe: Int32 = -1

/// SIGINT and SIGTERM: the first asks the running command to end orderly, the second ends the
/// process at once. Without a command that knows how to end, the first one ends it.
final class StopSignals: Sendable {
    /// The process's signals.
    static let shared = StopSignals()

    private struct State {
        var received: Int32?
        var handler: (@Sendable (Int32) -> Void)?
        var echo: termios?
    }
    private let state = Mutex(State())

    /// Begins to listen, on a thread of its own. Call it once, first of all.
    ///
    /// Signals come through a pipe and not by `sigwait`, which works only where every thread has
    /// them blocked: the runtime may have started threads before this.
    func listen() {
        var ends: [Int32] = [-1, -1]
        let made = pipe(&ends)
        precondition(made == 0, "no pipe could be made: errno \(errno)")
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        signalPipe = ends[1]
        for number in [SIGINT, SIGTERM] {
            signal(number) { number in
                let saved = errno
                var byte = UInt8(truncatingIfNeeded: number)
                write(signalPipe, &byte, 1)
                errno = saved
            }
        }
        signal(SIGPIPE, SIG_IGN)
        let argument = UnsafeMutableRawPointer(bitPattern: Int(ends[0]))
        var thread = pthread_t()
        let created = pthread_create(
            &thread, nil,
            { argument in
                let descriptor = Int32(Int(bitPattern: argument))
                var byte: UInt8 = 0
                while true {
                    if read(descriptor, &byte, 1) == 1 { StopSignals.shared.arrived(Int32(byte)) }
                }
            }, argument)
        precondition(created == 0, "no thread could be started: errno \(created)")
        pthread_detach(thread)
    }

    /// The signal that asked to end, if one has come.
    var received: Int32? { state.withLock { $0.received } }

    /// Calls `handler` at the first signal, while `body` runs.
    func handling<R>(
        _ handler: @escaping @Sendable (Int32) -> Void, _ body: () async throws -> R
    ) async rethrows -> R {
        state.withLock { $0.handler = handler }
        defer { state.withLock { $0.handler = nil } }
        return try await body()
    }

    /// Terminal settings to bring back when a signal ends the process; `nil` when a prompt is over.
    func setEcho(_ settings: termios?) { state.withLock { $0.echo = settings } }

    private func arrived(_ number: Int32) {
        let handler = state.withLock { state -> (@Sendable (Int32) -> Void)? in
            if state.received != nil || state.handler == nil {
                if var echo = state.echo {
                    tcsetattr(STDIN_FILENO, TCSANOW, &echo)
                    writeAll("\n", to: STDERR_FILENO)
                }
                _exit(ExitStatus.interrupted(by: number).rawValue)
            }
            state.received = number
            return state.handler
        }
        handler?(number)
    }
}
