/// A set of transaction identities: what lanes record in `done`, and takeovers in `carried`.
public struct IdentitySet: Sendable, Hashable {
    /// The numbers of each stream; no entry is empty.
    public private(set) var members: [IdentityStream: IntervalSet] = [:]

    /// The empty set.
    public init() {}

    /// Whether there is no member.
    public var isEmpty: Bool { members.isEmpty }

    /// The number of members.
    public var count: UInt64 { members.values.reduce(0) { $0 + $1.count } }

    /// Whether the identity is a member.
    public func contains(_ identity: TransactionIdentity) -> Bool {
        members[identity.stream]?.contains(identity.number) ?? false
    }

    /// Adds one identity.
    public mutating func insert(_ identity: TransactionIdentity) {
        members[identity.stream, default: IntervalSet()].insert(identity.number)
    }

    /// Adds numbers of one stream. An empty set adds nothing.
    public mutating func insert(_ stream: IdentityStream, _ numbers: IntervalSet) {
        guard !numbers.isEmpty else { return }
        members[stream, default: IntervalSet()].formUnion(numbers)
    }

    /// Removes one identity.
    public mutating func remove(_ identity: TransactionIdentity) {
        guard var set = members[identity.stream] else { return }
        set.remove(identity.number...identity.number)
        members[identity.stream] = set.isEmpty ? nil : set
    }

    /// Adds all members of another set.
    public mutating func formUnion(_ other: IdentitySet) {
        for (stream, set) in other.members { insert(stream, set) }
    }

    /// Every member in an arbitrary but stable order. Sets are small: at most the cap of
    /// transactions above the low-water mark.
    public var identities: [TransactionIdentity] {
        members.sorted { $0.key < $1.key }.flatMap { stream, set in
            set.intervals.flatMap { r in
                r.map { TransactionIdentity(stream: stream, number: $0) }
            }
        }
    }

    /// Removes the members that a position holds.
    public mutating func subtract(heldBy position: SourcePosition) {
        for identity in identities where position.contains(identity) { remove(identity) }
    }
}
