/// Runs `body`, and `companion` beside it until `body` has ended: the companion is then cancelled
/// and awaited, so that its last words come before what follows.
func alongside<R: Sendable>(
    _ companion: @escaping @Sendable () async -> Void, _ body: @Sendable () async throws -> R
) async throws -> R {
    try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { await companion() }
        let result: Result<R, any Error>
        do {
            result = .success(try await body())
        } catch {
            result = .failure(error)
        }
        group.cancelAll()
        while try await group.next() != nil {}
        return try result.get()
    }
}

/// The speed of one counter over the last ten seconds.
struct SlidingRate: Sendable {
    private var samples: [(time: UInt64, value: UInt64)] = []

    /// Takes the counter at a time in nanoseconds.
    mutating func add(_ value: UInt64, at time: UInt64) {
        if let last = samples.last, last.value > value { samples.removeAll() }
        samples.append((time, value))
        while samples.count > 2, time - samples[1].time >= 10_000_000_000 {
            samples.removeFirst()
        }
    }

    /// Counts a second.
    var perSecond: Double {
        guard let first = samples.first, let last = samples.last, last.time > first.time else {
            return 0
        }
        return Double(last.value - first.value) * 1e9 / Double(last.time - first.time)
    }
}
