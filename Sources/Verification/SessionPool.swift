internal import MySQLClient
internal import Synchronization

/// A connection to either server, used by one worker at a time.
struct SessionPair: Sendable {
    let source: Session
    let target: Session

    func on(_ side: Side) -> Session { side == .source ? source : target }

    /// Asks both servers at once.
    func both<R: Sendable>(
        _ body: @Sendable @escaping (Session) async throws -> R
    ) async throws -> (source: R, target: R) {
        async let a = body(source)
        async let b = body(target)
        return try await (a, b)
    }
}

/// The pairs of all workers.
final class SessionPool: Sendable {
    private let all: [SessionPair]
    private let free: Mutex<[SessionPair]>

    /// Makes `count` pairs; they connect when first used.
    init(
        source: ConnectionOptions, target: ConnectionOptions, count: Int, patience: Duration
    ) {
        all = (0..<count).map { _ in
            SessionPair(
                source: Session(.source, source, patience: patience),
                target: Session(.target, target, patience: patience))
        }
        free = Mutex(all)
    }

    /// How many pairs there are.
    var count: Int { all.count }

    /// Runs `body` with a pair that nobody else uses. The caller sees to it that no more than
    /// ``count`` do so at once.
    func use<R: Sendable>(
        _ body: (SessionPair) async throws -> R
    ) async throws -> R {
        let pair = free.withLock { $0.removeLast() }
        defer { free.withLock { $0.append(pair) } }
        return try await body(pair)
    }

    /// Closes all connections.
    func close() async {
        for pair in all {
            await pair.source.close()
            await pair.target.close()
        }
    }
}
