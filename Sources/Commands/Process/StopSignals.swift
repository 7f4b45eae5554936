internal import Glibc
internal import Synchronization

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

    /// Blocks the signals everywhere and waits for them on a thread of its own. Call it before
    /// any other thread runs: threads inherit what is blocked.
    func listen() {
        var set = sigset_t()
        sigemptyset(&set)
        sigaddset(&set, SIGINT)
        sigaddset(&set, SIGTERM)
        pthread_sigmask(SIG_BLOCK, &set, nil)
        signal(SIGPIPE, SIG_IGN)
        var thread = pthread_t()
        let created = pthread_create(
            &thread, nil,
            { _ in
                var set = sigset_t()
                sigemptyset(&set)
                sigaddset(&set, SIGINT)
                sigaddset(&set, SIGTERM)
                while true {
                    var number: Int32 = 0
                    if sigwait(&set, &number) == 0 { StopSignals.shared.arrived(number) }
                }
            }, nil)
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
