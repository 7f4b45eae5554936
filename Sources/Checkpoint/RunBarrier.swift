internal import MySQLClient
internal import Synchronization

/// Where the connections of a run meet: each is opened on its own thread, and only when all are
/// open, to one server, the coordinator takes over and hands out the token.
public final class RunBarrier: Sendable {
    private struct State {
        var arrived = 0
        var servers: [ServerIdentity] = []
        var outcome: Result<SubtaskState, any Error>?
        var waitingLanes: [CheckedContinuation<SubtaskState, any Error>] = []
        var waitingCoordinator: CheckedContinuation<Void, any Error>?
    }
    private let expected: Int
    private let state = Mutex(State())

    /// Makes a barrier for `lanes` sessions and one coordinator.
    public init(lanes: Int) { expected = lanes }

    /// Called by each lane's session when it is open; returns after the takeover, holding the
    /// run's named lock.
    ///
    /// - Throws: what ended the takeover.
    public func arrive(_ session: TargetSession) async throws -> SubtaskState {
        let server = session.server
        let taken = try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation {
                (waiter: CheckedContinuation<SubtaskState, any Error>) in
                let resume: (() -> Void)? = state.withLock { state in
                    state.arrived += 1
                    state.servers.append(server)
                    if let outcome = state.outcome { return { waiter.resume(with: outcome) } }
                    state.waitingLanes.append(waiter)
                    guard state.arrived == expected, let c = state.waitingCoordinator else {
                        return nil
                    }
                    state.waitingCoordinator = nil
                    return { c.resume() }
                }
                resume?()
            }
        } onCancel: {
            publish(.failure(CancellationError()))
        }
        try session.holdLock(taken.run)
        return taken
    }

    /// Called by the coordinator: waits until all lanes are open.
    ///
    /// - Parameter more: what further sessions of the run have reached, that are no lanes here.
    /// - Throws: ``CheckpointError/differentServers(detail:)``.
    public func allOpen(
        _ session: TargetSession, besides more: [ServerIdentity] = []
    ) async throws {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation {
                (waiter: CheckedContinuation<Void, any Error>) in
                let resume: (() -> Void)? = state.withLock { state in
                    if case .failure(let error) = state.outcome {
                        return { waiter.resume(throwing: error) }
                    }
                    if state.arrived >= expected { return { waiter.resume() } }
                    state.waitingCoordinator = waiter
                    return nil
                }
                resume?()
            }
        } onCancel: {
            publish(.failure(CancellationError()))
        }
        let others = state.withLock { $0.servers } + more
        if let other = others.first(where: { !$0.isSame(as: session.server) }) {
            throw CheckpointError.differentServers(
                detail: other.name == session.server.name
                    ? "\(other) before and after a restart"
                    : "\(session.server) and \(other)")
        }
    }

    /// Ends the wait of all lanes, with the state after the takeover or with what prevented it.
    public func publish(_ outcome: Result<SubtaskState, any Error>) {
        let (lanes, coordinator) = state.withLock { state in
            if state.outcome == nil { state.outcome = outcome }
            defer {
                state.waitingLanes = []
                state.waitingCoordinator = nil
            }
            return (state.waitingLanes, state.waitingCoordinator)
        }
        for lane in lanes { lane.resume(with: outcome) }
        if let coordinator {
            switch outcome {
            case .success: coordinator.resume()
            case .failure(let error): coordinator.resume(throwing: error)
            }
        }
    }
}
