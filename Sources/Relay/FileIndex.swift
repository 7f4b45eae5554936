internal import MySQLBinlog
internal import MySQLCore

// The index of a closed file, as stored. All numbers are little-endian.
//
//     "SKIX" version(1 byte = 1)
//     u64 size of the binlog file
//     u64 end of its last whole transaction, u64 start of it
//     u8  how its events end
//     blob: the position before the file, as checkpoints encode it
//     u32 segments; each: u64 offset of its first transaction, blob: identities in it
//     u64 XXH3 of everything before
//     blob := u32 length, bytes
//
// It can be lost or wrong at any time: it is then made again from the file.

/// Where transactions are in one file: a sparse index by GTID and by position.
struct FileIndex: Sendable, Hashable {
    /// A run of transactions.
    struct Segment: Sendable, Hashable {
        /// Where the first of them starts.
        var offset: UInt64
        /// Their GTIDs; empty where there are none.
        var identities: IdentitySet
    }

    /// Bytes of a segment at least: what is scanned at most to find a transaction.
    static let stride: UInt64 = 2 << 20

    /// How the file's events end.
    var checksum = ChecksumAlgorithm.none
    /// What all files before hold.
    var previous = GTIDState.none
    /// The transactions, in order.
    var segments: [Segment] = []
    /// The end of the last whole transaction, or of an event between transactions behind it.
    var end: UInt64 = 4
    /// The start of the newest whole transaction; 4 when there is none.
    var newest: UInt64 = 4

    /// The GTIDs of everything up to the end of the file.
    var gtids: GTIDState {
        var state = previous
        for segment in segments { state.formUnion(segment.identities) }
        return state
    }
}

/// Makes an index of events as they come.
struct IndexBuilder: Sendable {
    private(set) var index = FileIndex()
    private(set) var tracker = GroupTracker()
    private var groupStart: UInt64 = 4
    private var stream: IdentityStream?
    private var low: UInt64 = 0
    private var high: UInt64 = 0
    private var pending: TransactionIdentity?

    /// The index, with everything that was taken.
    mutating func finished() -> FileIndex {
        flush()
        return index
    }

    /// The same, without ending anything.
    var current: FileIndex {
        var copy = self
        return copy.finished()
    }

    /// Takes the next event of the file, without its checksum.
    mutating func take(
        _ type: EventType, _ event: RawSpan, at position: UInt64, end: UInt64
    ) {
        let step = tracker.take(type, event)
        switch step {
        case .inside: break
        case .begins:
            groupStart = position
            startSegment(at: position)
            pending = GroupTracker.identity(of: event, type)
        case .ends:
            close(at: end)
        case .single:
            groupStart = position
            startSegment(at: position)
            pending = nil
            close(at: end)
        case .outside:
            if !tracker.isInside { index.end = end }
            head(type, event)
        }
    }

    private mutating func startSegment(at position: UInt64) {
        if let last = index.segments.last, position - last.offset < FileIndex.stride { return }
        flush()
        index.segments.append(FileIndex.Segment(offset: position, identities: IdentitySet()))
    }

    private mutating func close(at end: UInt64) {
        index.end = end
        index.newest = groupStart
        guard let identity = pending.take() else { return }
        if identity.stream == stream, high < .max, identity.number == high + 1 {
            high = identity.number
            return
        }
        flush()
        stream = identity.stream
        low = identity.number
        high = identity.number
    }

    private mutating func flush() {
        guard let stream = stream.take(), let last = index.segments.indices.last else { return }
        index.segments[last].identities.insert(stream, IntervalSet(low...high))
    }

    private mutating func head(_ type: EventType, _ event: RawSpan) {
        switch type {
        case .previousGTIDs:
            if let list = try? PreviousGTIDsEvent(event) { index.previous = .mysql(list.gtids) }
        case .gtidList:
            if let list = try? GTIDListEvent(event) { index.previous = .mariadb(list.position) }
        default: break
        }
    }

    /// How events of the file end, as its first event says.
    mutating func setChecksum(_ checksum: ChecksumAlgorithm) { index.checksum = checksum }
}

extension GTIDState {
    /// Adds transactions.
    mutating func formUnion(_ identities: IdentitySet) {
        guard !identities.isEmpty else { return }
        for (stream, numbers) in identities.members {
            switch (stream, self) {
            case (.mysql(let uuid, let tag), .mysql(var set)):
                self = .none
                for range in numbers.intervals { set.insert(.init(uuid: uuid, tag: tag), range) }
                self = .mysql(set)
            case (.mariadb(let domain, let server), .mariadb(var position)):
                guard let last = numbers.intervals.last?.upperBound else { continue }
                if (position.last[domain]?.sequence ?? 0) <= last {
                    position.last[domain] = MariaDBGTID(
                        domain: domain, server: server, sequence: last)
                }
                self = .mariadb(position)
            default: break
            }
        }
    }

    /// Adds what another state holds.
    mutating func formUnion(_ other: GTIDState) {
        switch (self, other) {
        case (.mysql(var set), .mysql(let more)):
            self = .none
            set.formUnion(more)
            self = .mysql(set)
        case (.mariadb(var position), .mariadb(let more)):
            for gtid in more.last.values where !position.contains(gtid) {
                position.last[gtid.domain] = gtid
            }
            self = .mariadb(position)
        default: break
        }
    }

    /// Whether all transactions are in it.
    func isSuperset(of identities: IdentitySet) -> Bool {
        identities.members.allSatisfy { stream, numbers in
            switch (stream, self) {
            case (.mysql(let uuid, let tag), .mysql(let set)):
                return set.members[.init(uuid: uuid, tag: tag)]?.isSuperset(of: numbers) ?? false
            case (.mariadb(let domain, _), .mariadb(let position)):
                let last = numbers.intervals.last?.upperBound ?? 0
                return (position.last[domain]?.sequence ?? 0) >= last
            default: return false
            }
        }
    }

    /// Whether everything that another state holds is in it.
    func isSuperset(of other: GTIDState) -> Bool {
        switch (self, other) {
        case (_, .none): return true
        case (.mysql(let set), .mysql(let wanted)): return set.isSuperset(of: wanted)
        case (.mariadb(let position), .mariadb(let wanted)):
            return wanted.last.values.allSatisfy { position.contains($0) }
        default: return false
        }
    }

    /// Whether a transaction is in it.
    func contains(_ identity: TransactionIdentity) -> Bool {
        switch (identity.stream, self) {
        case (.mysql(let uuid, let tag), .mysql(let set)):
            return set.contains(.init(uuid: uuid, tag: tag), identity.number)
        case (.mariadb(let domain, let server), .mariadb(let position)):
            return position.contains(
                MariaDBGTID(domain: domain, server: server, sequence: identity.number))
        default: return false
        }
    }
}
