/// Waiting times between tries: they double from `first` up to `limit`, and each is varied at
/// random by a quarter so that many waiters don't come back at once.
public struct Backoff: Sendable {
    /// The first waiting time.
    public let first: Duration
    /// The longest waiting time.
    public let limit: Duration
    private var next: Duration

    /// Makes a backoff at its start.
    public init(first: Duration = .milliseconds(100), limit: Duration = .seconds(15)) {
        self.first = first
        self.limit = limit
        next = first
    }

    /// The time to wait now; the following one is longer.
    public mutating func delay(using random: inout some RandomNumberGenerator) -> Duration {
        let now = next
        next = min(next * 2, limit)
        return now * Double.random(in: 0.75...1.25, using: &random)
    }

    /// The time to wait now, with the system's random numbers.
    public mutating func delay() -> Duration {
        var random = SystemRandomNumberGenerator()
        return delay(using: &random)
    }

    /// Starts over, after a success.
    public mutating func reset() { next = first }
}
