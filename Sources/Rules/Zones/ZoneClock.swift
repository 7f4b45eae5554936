/// How far a time zone's clocks are ahead of UTC, at every instant.
///
/// All changes of the clocks are in one list, so that a row's value costs a search in it and no
/// memory.
public struct ZoneClock: Sendable {
    /// Clocks that always show UTC.
    public static let utc = ZoneClock(offset: 0)
    /// Seconds that no clock is further from UTC than.
    static let farthest: Int64 = 26 * 3600
    /// Changes before this one are not kept: TIMESTAMP begins in 1970, and local times that are no
    /// instant behind that have no number of seconds.
    private static let earliest: Int64 = -2 * 86_400

    /// Instants at which clocks change, in seconds since 1970, growing.
    private(set) var changes: [Int64] = []
    /// Seconds ahead of UTC: before the first change, and from each change on.
    private(set) var offsets: [Int64]
    /// The same as the first of ``offsets``, told without a look at lists.
    private var first: Int64
    private var isFixed = true

    /// Clocks that are always as far from UTC.
    public init(offset: Int) {
        first = Int64(offset)
        offsets = [first]
    }

    /// Adds a change behind those that there are.
    mutating func change(at instant: Int64, to offset: Int64) {
        if instant <= Self.earliest {
            first = offset
            offsets = [offset]
            return
        }
        // A second change at the same moment takes the place of the first.
        if changes.last == instant {
            changes.removeLast()
            offsets.removeLast()
        }
        if offsets.last != offset {
            changes.append(instant)
            offsets.append(offset)
        }
        isFixed = changes.isEmpty
    }

    /// Whether the clocks always show UTC.
    public var isUTC: Bool { isFixed && first == 0 }

    /// Seconds to add to UTC at an instant, in seconds since 1970.
    public func offset(at instant: Int64) -> Int64 {
        isFixed ? first : offsets[range(at: instant)]
    }

    /// The instant at which the clocks show a time, in seconds since 1970 as if they were UTC's.
    ///
    /// As the servers have it (`TIME_to_gmt_sec` of both): a time that comes twice, when clocks are
    /// set back, is the first; one that never comes is the instant at which they are set forward.
    public func instant(ofLocal local: Int64) -> Int64 {
        if isFixed { return local - first }
        // What ends before this instant shows only times before that one.
        var i = range(at: local - Self.farthest)
        while i < changes.count, local - offsets[i] >= changes[i] { i += 1 }
        let instant = local - offsets[i]
        return i > 0 ? max(instant, changes[i - 1]) : instant
    }

    /// How many changes there are until an instant.
    func range(at instant: Int64) -> Int {
        var low = 0
        var high = changes.count
        while low < high {
            let middle = (low + high) / 2
            if changes[middle] <= instant { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
