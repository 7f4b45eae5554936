internal import Synchronization

/// A queue with one reader: small requests between tasks. Not for data: it has no bound.
public final class Mailbox<Element: Sendable>: Sendable {
    private struct State {
        var queue: [Element] = []
        var waiter: CheckedContinuation<Element, any Error>?
        var failure: (any Error)?
    }
    private let state = Mutex(State())

    /// Makes an empty mailbox.
    public init() {}

    /// Adds a request.
    public func send(_ element: Element) {
        let waiter = state.withLock { state -> CheckedContinuation<Element, any Error>? in
            if let waiter = state.waiter {
                state.waiter = nil
                return waiter
            }
            state.queue.append(element)
            return nil
        }
        waiter?.resume(returning: element)
    }

    /// Adds a request unless one is waiting already: for requests that are all the same.
    public func nudge(_ element: Element) {
        if state.withLock({ $0.queue.isEmpty }) { send(element) }
    }

    /// Ends every wait, now and later, with an error.
    public func fail(_ error: any Error) {
        let waiter = state.withLock { state in
            if state.failure == nil { state.failure = error }
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume(throwing: error)
    }

    /// The next request, in order.
    ///
    /// - Throws: what ``fail(_:)`` said, or `CancellationError`.
    public func next() async throws -> Element {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let now = state.withLock { state -> (() -> Void)? in
                    if let failure = state.failure {
                        return { continuation.resume(throwing: failure) }
                    }
                    if !state.queue.isEmpty {
                        let element = state.queue.removeFirst()
                        return { continuation.resume(returning: element) }
                    }
                    state.waiter = continuation
                    return nil
                }
                now?()
            }
        } onCancel: {
            fail(CancellationError())
        }
    }
}

/// The answer to one request.
public final class Reply<Value: Sendable>: Sendable {
    private struct State {
        var result: Result<Value, any Error>?
        var waiter: CheckedContinuation<Value, any Error>?
    }
    private let state = Mutex(State())

    /// Makes an open reply.
    public init() {}

    /// Answers; later answers count for nothing.
    public func resolve(_ result: Result<Value, any Error>) {
        let waiter = state.withLock { state -> CheckedContinuation<Value, any Error>? in
            guard state.result == nil else { return nil }
            state.result = result
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume(with: result)
    }

    /// The answer.
    public func value() async throws -> Value {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let known = state.withLock { state -> Result<Value, any Error>? in
                    if let result = state.result { return result }
                    state.waiter = continuation
                    return nil
                }
                if let known { continuation.resume(with: known) }
            }
        } onCancel: {
            resolve(.failure(CancellationError()))
        }
    }
}
