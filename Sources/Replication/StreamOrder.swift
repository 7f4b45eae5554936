internal import MySQLCore

/// What the order of a stream proves: that the source still has every transaction that earlier
/// runs have applied above the mark, and that its GTIDs name one transaction each.
struct StreamOrder {
    /// Transactions above the mark that the target holds and the stream has not brought yet.
    private var unmet: IdentitySet
    /// The digest of those; `nil` where it is not known.
    private var digest: UInt64?
    /// The newest sequence number of each of MariaDB's domains.
    private var newest: [UInt32: UInt64] = [:]

    /// The newest transaction in the mark, which the stream may begin with.
    private var tail: TransactionIdentity?

    /// - Parameters:
    ///   - carried: what earlier runs have applied above the mark. A digest is that of events of
    ///     this very stream.
    ///   - mark: where the stream begins.
    ///   - tail: the transaction that it begins with, where that is in the mark already.
    init(carried: AppliedSet, after mark: SourcePosition, tail: TransactionIdentity?) {
        unmet = carried.identities
        digest = carried.digest?.sum
        self.tail = tail
        // A number that the mark has passed would be taken for applied, whoever wrote it.
        if case .mariadb(let position) = mark.gtids {
            newest = position.last.mapValues(\.sequence)
        }
    }

    /// Notes a transaction, in the order of the stream.
    ///
    /// - Parameter events: the digest of its events; `nil` for a statement, which has no part in
    ///   what is compared.
    /// - Throws: ``ReplicationError/lostTransaction(_:)`` when an applied one would have come
    ///   before it; ``ReplicationError/otherTransactions(upTo:)`` when all applied ones have
    ///   come by their names, and are not what the target has;
    ///   ``ReplicationError/unsupported(_:detail:)`` when MariaDB's sequence numbers do not grow.
    mutating func pass(
        _ identity: TransactionIdentity, at position: SourcePosition, events: UInt64? = nil
    ) throws(ReplicationError) {
        if case .mariadb(let domain, _) = identity.stream, tail.take() != identity {
            if let last = newest[domain], identity.number <= last {
                throw .unsupported(
                    position,
                    detail: "GTID \(identity) comes after number \(last) of its domain: the "
                        + "source's GTIDs are out of order, which gtid_strict_mode=ON prevents")
            }
            newest[domain] = identity.number
        }
        guard !unmet.isEmpty else { return }
        if unmet.contains(identity) {
            unmet.remove(identity)
            if let events { digest = digest.map { $0 &- events } }
            guard !unmet.isEmpty || (digest ?? 0) == 0 else {
                throw .otherTransactions(upTo: position)
            }
        }
        // A MySQL source is asked for them before its stream begins, and may bring them in
        // another order.
        for (stream, numbers) in unmet.members {
            guard let first = numbers.intervals.first?.lowerBound,
                Self.isBefore(stream, first, identity)
            else { continue }
            throw .lostTransaction(TransactionIdentity(stream: stream, number: first))
        }
    }

    /// Whether a transaction must come before another one in every stream.
    private static func isBefore(
        _ stream: IdentityStream, _ number: UInt64, _ other: TransactionIdentity
    ) -> Bool {
        switch (stream, other.stream) {
        case (.mariadb(let a, _), .mariadb(let b, _)): return a == b && number <= other.number
        case (.file(let origin, let file), .file(let otherOrigin, let otherFile)):
            return origin == otherOrigin
                && BinlogPosition(file: file, offset: number)
                    < BinlogPosition(file: otherFile, offset: other.number)
        default: return false
        }
    }
}
