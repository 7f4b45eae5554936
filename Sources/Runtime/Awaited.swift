internal import Synchronization

/// A value that one task gives and others wait for.
public final class Awaited<Value: Sendable>: Sendable {
    private let outcome = Mutex<Result<Value, any Error>?>(nil)
    private let latch = Latch()

    /// Makes one without a value.
    public init() {}

    /// Gives the value, or says why there is none; only the first call counts.
    public func give(_ result: Result<Value, any Error>) {
        outcome.withLock { if $0 == nil { $0 = result } }
        latch.set()
    }

    /// Whether the value, or why there is none, is there.
    public var isGiven: Bool { latch.isSet }

    /// The value, when it is there.
    ///
    /// - Parameter meanwhile: called every ten seconds of waiting, on the waiting task: keeps
    ///   server sessions alive.
    /// - Throws: what the giver said, what `meanwhile` throws, or `CancellationError`.
    public func value(meanwhile: () throws -> Void) async throws -> Value {
        while !(await latch.wait(upTo: .seconds(10))) {
            try Task.checkCancellation()
            try meanwhile()
        }
        try Task.checkCancellation()
        return try outcome.withLock { $0 }!.get()
    }
}

extension Latch {
    /// Waits until the latch is set, but not longer than `limit`.
    ///
    /// - Returns: whether it is set.
    public func wait(upTo limit: Duration) async -> Bool {
        if isSet { return true }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.wait() }
            group.addTask { try? await Task.sleep(for: limit) }
            await group.next()
            group.cancelAll()
        }
        return isSet
    }
}
