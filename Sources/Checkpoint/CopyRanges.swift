public import MySQLClient
public import MySQLCore

/// Between which positions the rows of a copied table lie.
public struct CopyRange: Sendable, Hashable {
    /// Everything at or before it is in every row that was copied.
    public var low: SourcePosition
    /// No copied row holds anything beyond it.
    public var high: SourcePosition

    /// Makes a range.
    public init(low: SourcePosition, high: SourcePosition) {
        self.low = low
        self.high = high
    }

    /// The smallest range that holds both.
    ///
    /// - Throws: ``CheckpointError/inconsistent(detail:)`` when the two lie in binlogs that can't
    ///   be compared.
    public func union(_ other: CopyRange) throws(CheckpointError) -> CopyRange {
        CopyRange(
            low: try low.lower(other.low), high: try high.higher(other.high))
    }

    /// Whether everything up to the mark is beyond what any row of it can hold.
    public func isPassed(by mark: SourcePosition) -> Bool {
        let isSame = mark.origin.server == high.origin.server
        switch (mark.gtids, high.gtids) {
        case (.none, .none): return isSame && mark.binlog >= high.binlog
        case (.mysql(let done), .mysql(let high)): return done.isSuperset(of: high)
        // Numbers of MariaDB need not rise.
        default: return mark.gtids.holds(high.gtids) && (!isSame || mark.binlog >= high.binlog)
        }
    }
}

extension SourcePosition {
    /// What both positions hold: GTIDs of both sets, and the earlier place of the binlog.
    public func lower(_ other: SourcePosition) throws(CheckpointError) -> SourcePosition {
        try requireComparable(other)
        let gtids: GTIDState =
            switch (gtids, other.gtids) {
            case (.mysql(let a), .mysql(let b)): .mysql(a.intersection(b))
            case (.mariadb(let a), .mariadb(let b)): .mariadb(a.merged(b, keeping: .earlier))
            default: .none
            }
        return SourcePosition(
            origin: binlog <= other.binlog ? origin : other.origin,
            binlog: min(binlog, other.binlog), gtids: gtids)
    }

    /// What one of the positions holds: GTIDs of either set, and the later place of the binlog.
    public func higher(_ other: SourcePosition) throws(CheckpointError) -> SourcePosition {
        try requireComparable(other)
        let gtids: GTIDState
        switch (self.gtids, other.gtids) {
        case (.mysql(var a), .mysql(let b)):
            a.formUnion(b)
            gtids = .mysql(a)
        case (.mariadb(let a), .mariadb(let b)):
            gtids = .mariadb(a.merged(b, keeping: .later))
        default:
            gtids = .none
        }
        return SourcePosition(
            origin: binlog >= other.binlog ? origin : other.origin,
            binlog: max(binlog, other.binlog), gtids: gtids)
    }

    private func requireComparable(_ other: SourcePosition) throws(CheckpointError) {
        guard origin.server == other.origin.server else {
            throw .inconsistent(
                detail: "parts of the copy were read from different servers; start over (--fresh)")
        }
    }
}

extension MariaDBGTIDPosition {
    fileprivate enum Kept { case earlier, later }

    /// Per domain the earlier or the later GTID; a domain that one position lacks is before its
    /// first transaction there.
    fileprivate func merged(_ other: MariaDBGTIDPosition, keeping kept: Kept) -> MariaDBGTIDPosition
    {
        var out = MariaDBGTIDPosition()
        for domain in Set(last.keys).union(other.last.keys) {
            switch (last[domain], other.last[domain]) {
            case (let a?, let b?):
                out.last[domain] = (a.sequence <= b.sequence) == (kept == .earlier) ? a : b
            case (let a?, nil), (nil, let a?):
                if kept == .later { out.last[domain] = a }
            case (nil, nil): break
            }
        }
        return out
    }
}

extension CopyLedger {
    /// Per table, between which positions its rows lie: lowest low and highest high over the
    /// snapshots of its chunks. For the hand-over to replication, also after a restart.
    public func ranges(_ connection: Connection) throws -> [TableName: CopyRange] {
        try Self.ranges(snapshots: snapshots(connection), chunks: chunks(connection))
    }

    /// The same of records that were read before.
    public static func ranges(
        snapshots: [SnapshotRecord], chunks: [ChunkRecord]
    ) throws -> [TableName: CopyRange] {
        var used: [TableName: Set<Int>] = [:]
        for chunk in chunks { used[chunk.table, default: []].insert(chunk.snapshot) }
        let byID = Dictionary(snapshots.map { ($0.id, $0) }, uniquingKeysWith: { a, _ in a })
        var out: [TableName: CopyRange] = [:]
        for (table, ids) in used {
            for id in ids {
                guard let record = byID[id] else {
                    throw CheckpointError.inconsistent(
                        detail: "\(table) was copied in snapshot \(id), which is not recorded")
                }
                guard let high = record.high else {
                    throw CheckpointError.inconsistent(detail: "snapshot \(id) has no end")
                }
                let range = CopyRange(low: record.low, high: high)
                out[table] = try out[table].map { try $0.union(range) } ?? range
            }
        }
        return out
    }
}
