/// A set of unsigned numbers kept as sorted, disjoint, non-adjacent closed intervals.
public struct IntervalSet: Sendable, Hashable {
    /// The intervals in ascending order.
    public private(set) var intervals: [ClosedRange<UInt64>] = []

    /// The empty set.
    public init() {}

    /// A set of one interval.
    public init(_ range: ClosedRange<UInt64>) { intervals = [range] }

    /// Whether the set has no member.
    public var isEmpty: Bool { intervals.isEmpty }

    /// The number of members.
    public var count: UInt64 {
        intervals.reduce(0) { $0 &+ ($1.upperBound - $1.lowerBound) &+ 1 }
    }

    /// Index of the first interval whose upper bound is at least `n`.
    private func lowerIndex(_ n: UInt64) -> Int {
        var lo = 0
        var hi = intervals.count
        while lo < hi {
            let mid = (lo + hi) / 2
            if intervals[mid].upperBound < n { lo = mid + 1 } else { hi = mid }
        }
        return lo
    }

    /// Whether `n` is a member. O(log n).
    public func contains(_ n: UInt64) -> Bool {
        let i = lowerIndex(n)
        return i < intervals.count && intervals[i].lowerBound <= n
    }

    /// Whether every member of `other` is a member here.
    public func isSuperset(of other: IntervalSet) -> Bool {
        other.intervals.allSatisfy { r in
            let i = lowerIndex(r.lowerBound)
            return i < intervals.count && intervals[i].lowerBound <= r.lowerBound
                && intervals[i].upperBound >= r.upperBound
        }
    }

    /// Adds one member. Appending at the end, the usual case, is O(1).
    public mutating func insert(_ n: UInt64) { insert(n...n) }

    /// Adds all members of a closed range.
    public mutating func insert(_ r: ClosedRange<UInt64>) {
        if let last = intervals.last, last.upperBound < .max,
            r.lowerBound == last.upperBound + 1
        {
            intervals[intervals.count - 1] = last.lowerBound...r.upperBound
            return
        }
        if intervals.last.map({ $0.upperBound < r.lowerBound }) ?? true {
            intervals.append(r)
            return
        }
        // Intervals that touch or overlap r, neighbours included, become one.
        var low = r.lowerBound
        var high = r.upperBound
        let start = lowerIndex(low == 0 ? 0 : low - 1)
        var end = start
        while end < intervals.count,
            intervals[end].lowerBound <= (high == .max ? high : high + 1)
        {
            low = min(low, intervals[end].lowerBound)
            high = max(high, intervals[end].upperBound)
            end += 1
        }
        intervals.replaceSubrange(start..<end, with: CollectionOfOne(low...high))
    }

    /// Adds all members of another set.
    public mutating func formUnion(_ other: IntervalSet) {
        for r in other.intervals { insert(r) }
    }

    /// Removes all members of a closed range.
    public mutating func remove(_ r: ClosedRange<UInt64>) {
        let start = lowerIndex(r.lowerBound)
        var end = start
        var kept: [ClosedRange<UInt64>] = []
        while end < intervals.count, intervals[end].lowerBound <= r.upperBound {
            let i = intervals[end]
            if i.lowerBound < r.lowerBound { kept.append(i.lowerBound...(r.lowerBound - 1)) }
            if i.upperBound > r.upperBound { kept.append((r.upperBound + 1)...i.upperBound) }
            end += 1
        }
        intervals.replaceSubrange(start..<end, with: kept)
    }

    /// Removes all members of another set.
    public mutating func subtract(_ other: IntervalSet) {
        for r in other.intervals { remove(r) }
    }

    /// The members of both sets.
    public func intersection(_ other: IntervalSet) -> IntervalSet {
        var out = IntervalSet()
        var i = 0
        var j = 0
        while i < intervals.count, j < other.intervals.count {
            let a = intervals[i]
            let b = other.intervals[j]
            let low = max(a.lowerBound, b.lowerBound)
            let high = min(a.upperBound, b.upperBound)
            if low <= high { out.intervals.append(low...high) }
            if a.upperBound < b.upperBound { i += 1 } else { j += 1 }
        }
        return out
    }
}
