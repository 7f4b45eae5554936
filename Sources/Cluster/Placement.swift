/// A source as placement sees it.
public struct PlacedSource: Sendable, Hashable {
    /// The source's name.
    public let name: String
    /// The workers that may run it; nil: any.
    public let allowedWorkers: Set<String>?

    /// Describes a source that wants a worker.
    public init(name: String, allowedWorkers: Set<String>? = nil) {
        self.name = name
        self.allowedWorkers = allowedWorkers
    }
}

/// A live worker as placement sees it.
public struct PlacedWorker: Sendable, Hashable {
    /// The worker's name.
    public let name: String
    /// Whether it is about to leave: it keeps nothing and gets nothing.
    public let isDraining: Bool

    /// Describes a worker that is alive.
    public init(name: String, isDraining: Bool = false) {
        self.name = name
        self.isDraining = isDraining
    }
}

/// Decides which worker runs each source: a pure function of what is wanted and what is there.
///
/// * A source gets one worker that is alive, allowed for it and not draining. It gets none only when
///   there is no such worker; it is then missing in the result.
/// * A source that has such a worker keeps it, unless the load has to be balanced.
/// * A source without one goes to the holder of its relay log that runs the fewest sources; if no
///   holder qualifies, to whichever worker runs the fewest.
/// * Then loads are balanced. As long as a chain of moves (a source from a to b, another from b to
///   c, ..) shortens the load of its first worker, and the last one has at least two sources less
///   than the first, the shortest such chain is made. In a chain, sources that some qualified worker
///   holds relay logs of move between holders only. Off its holders such a source is moved by itself,
///   when the difference is three or more.
/// * The order of the arguments' elements has no influence, and the result, given as `bindings`, is
///   its own result.
///
/// Without relay logs the loads are as even as the allowed workers let them be (the sum of their
/// squares is the smallest possible), and when every worker is allowed for every source, no
/// assignment that is as even moves fewer sources.
///
/// - Parameters:
///   - sources: all that want a worker; of two with one name the first counts.
///   - workers: those that are alive.
///   - bindings: the worker that each source has now, by the source's name.
///   - relays: the workers that keep a source's relay log, by the source's name.
///   - balancing: whether running sources may be moved to balance loads. Without, only sources that
///     have no qualified worker are touched: for the first moments after a worker has gone, which
///     may be restarting.
/// - Returns: a worker's name for each source's name.
public func place(
    sources: [PlacedSource], workers: [PlacedWorker], bindings: [String: String] = [:],
    relays: [String: Set<String>] = [:], balancing: Bool = true
) -> [String: String] {
    var board = PlacementBoard(
        sources: sources, workers: workers, bindings: bindings, relays: relays)
    board.settle()
    if balancing { board.balance() }
    return board.bindings
}
