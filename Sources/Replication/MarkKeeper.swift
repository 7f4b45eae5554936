internal import Checkpoint
internal import MySQLBinlog
internal import MySQLCore
internal import Synchronization

/// The transactions above the low-water mark in the order of the stream, and how far the mark may
/// move: over the longest prefix that the target holds.
final class MarkKeeper: Sendable {
    /// Where the mark may move.
    struct Advance {
        var mark: SourcePosition
        var carried: AppliedSet
        var tail: Tail?
        var shapes: [(TableName, TableShape?)]
        var objects: [ObjectChange]
        var ordinal: UInt64
        /// How many groups the mark passes.
        var count: Int
        /// The digest of all of this run's that it holds.
        var own: UInt64
    }

    private struct Entry {
        var end: GroupEnd
        /// Filtered, empty, or applied by an earlier run: counts as committed.
        var isPassed: Bool
        /// Statements have no part in digests.
        var isStatement: Bool
        var shapes: [(TableName, TableShape?)]
        var objects: [ObjectChange]
    }

    /// A place in the binlog of one server life.
    private struct Place {
        var origin: Origin
        var binlog: BinlogPosition
    }

    private struct State {
        var mark: SourcePosition
        /// The digest is as the subtask's row has it (``Coordinator/write(mark:carried:tail:shapes:objects:)``).
        var carried: AppliedSet
        var entries: [Entry] = []
        /// Entries before this index are behind the mark; removed now and then.
        var first = 0
        /// What the stream's transactions are digested as, and the digest of those of them that
        /// this run has applied and the mark holds.
        var digests: (stream: UInt64, own: UInt64) = (0, 0)
        /// The server life that the stream's places belong to.
        var origin: Origin
        /// What the mark holds is being read again: places before its end say nothing.
        var isReadingAgain: Bool
        /// Where the stream is, behind the last group.
        var streamEnd: Place
        var tail: Tail?
        /// The mark was durable at least once with these values.
        var written: BinlogPosition
        /// Transactions that lanes have committed since the mark was asked to move.
        var committed = 0
        /// XA transactions that were prepared in this stream, until the mark has passed their
        /// decision: where their groups start, and where their decisions end.
        var prepared: [XATransactionID: (start: BinlogPosition, decided: BinlogPosition?)] = [:]
    }

    /// Transactions per move of the mark under load. Each move costs the target two transactions;
    /// each transaction above the mark a byte or two in every commit.
    private static let stride = 1024

    private let state: Mutex<State>

    init(mark: SourcePosition, carried: AppliedSet, tail: Tail?) {
        state = Mutex(
            State(
                mark: mark, carried: carried, origin: mark.origin, isReadingAgain: false,
                streamEnd: Place(origin: mark.origin, binlog: mark.binlog), tail: tail,
                written: mark.binlog))
    }

    /// Where reading must begin again after a restart, or where the oldest XA transaction was
    /// prepared that may still be committed: nothing before it is needed.
    var needed: (origin: Origin, position: BinlogPosition) {
        state.withLock { state in
            var position = state.tail?.start ?? state.mark.binlog
            guard state.mark.origin == state.origin else { return (state.mark.origin, position) }
            for entry in state.prepared.values { position = min(position, entry.start) }
            return (state.mark.origin, position)
        }
    }

    /// Notes an XA transaction's prepare, or its decision.
    func note(_ change: PreparedTransactions.Change) {
        state.withLock { state in
            switch change {
            case .prepared(let xid, let start):
                // A name can be used again before the mark has passed its last decision.
                let oldest = state.prepared[xid].map { min($0.start, start) } ?? start
                state.prepared[xid] = (oldest, nil)
            case .decided(let xid, let end): state.prepared[xid]?.decided = end
            }
        }
    }

    /// The stream begins. After a failover its places belong to another server, and so does the
    /// mark as soon as it moves.
    ///
    /// - Parameters:
    ///   - readsAgain: whether it begins with what the mark holds.
    ///   - digests: what the stream's transactions are digested as.
    func begin(origin: Origin, readsAgain: Bool, digests: UInt64 = 0) {
        state.withLock { state in
            state.origin = origin
            state.isReadingAgain = readsAgain
            state.digests.stream = digests
            if state.carried.identities.isEmpty {
                state.carried.digest = AppliedDigest(stream: digests)
            } else if state.carried.digest?.stream != digests {
                // Of two streams nothing can be said.
                state.carried.digest = nil
            }
        }
    }

    /// Notes a group, in the order of the stream.
    ///
    /// - Returns: the groups above the mark.
    @discardableResult
    func append(
        _ end: GroupEnd, isPassed: Bool, isStatement: Bool = false,
        shapes: [(TableName, TableShape?)] = [], objects: [ObjectChange] = []
    ) -> Int {
        state.withLock { state in
            state.entries.append(
                Entry(
                    end: end, isPassed: isPassed, isStatement: isStatement, shapes: shapes,
                    objects: objects))
            // What the mark holds is read again, which may lie in an older file.
            if !state.mark.contains(end.identity) {
                state.isReadingAgain = false
                state.streamEnd = Place(origin: state.origin, binlog: end.end)
            } else if end.identity == state.tail?.identity {
                state.isReadingAgain = false
            }
            return state.entries.count - state.first
        }
    }

    /// Events that belong to no group have moved the stream's end.
    func streamMoved(to position: BinlogPosition) {
        state.withLock { state in
            let end = state.streamEnd
            // Behind the newest transaction the rest of its file is read again too.
            let isHeld =
                state.origin == state.mark.origin && position < state.mark.binlog
            guard !state.isReadingAgain, !isHeld,
                end.binlog < position || end.binlog.file != position.file
                    || end.origin != state.origin
            else { return }
            state.streamEnd = Place(origin: state.origin, binlog: position)
        }
    }

    /// Notes that a lane has committed; whether the mark should move now.
    func isMarkDue(committed count: Int) -> Bool {
        state.withLock { state in
            state.committed += count
            guard state.committed >= Self.stride else { return false }
            state.committed = 0
            return true
        }
    }

    /// Groups above the mark.
    var count: Int { state.withLock { $0.entries.count - $0.first } }

    /// The mark, and where the stream is.
    var positions: (mark: SourcePosition, stream: BinlogPosition) {
        state.withLock { ($0.mark, $0.streamEnd.binlog) }
    }

    /// Computes how far the mark may move, given what lanes hold as read back from the target;
    /// `nil` when nowhere.
    func advance(over done: [IdentitySet]) -> Advance? {
        state.withLock { state in
            var next = state.first
            var mark = state.mark
            var carried = state.carried
            var own = state.digests.own
            var tail = state.tail
            var shapes: [(TableName, TableShape?)] = []
            var objects: [ObjectChange] = []
            while next < state.entries.count {
                let entry = state.entries[next]
                let identity = entry.end.identity
                let isCarried = carried.identities.contains(identity)
                guard
                    entry.isPassed || isCarried
                        || done.contains(where: { $0.contains(identity) })
                else { break }
                carried.identities.remove(identity)
                if isCarried || !entry.isPassed, !entry.isStatement {
                    carried.digest?.sum &-= entry.end.digest
                    if !isCarried { own &+= entry.end.digest }
                }
                if !mark.contains(identity) {
                    mark.include(identity)
                    mark.origin = state.origin
                    mark.binlog = entry.end.end
                }
                tail = Tail(entry.end)
                shapes += entry.shapes
                objects += entry.objects
                next += 1
            }
            // Of what was not known nothing is left.
            if carried.identities.isEmpty, carried.digest == nil {
                carried.digest = AppliedDigest(sum: 0 &- own, stream: state.digests.stream)
            }
            if next == state.entries.count {
                mark.origin = state.streamEnd.origin
                mark.binlog = state.streamEnd.binlog
            }
            if next == state.first, mark.origin.server != state.mark.origin.server {
                // The newest transaction lies in the other server's files.
                tail = nil
            }
            let count = next - state.first
            guard count > 0 || mark.binlog != state.written else { return nil }
            let ordinal = count > 0 ? state.entries[next - 1].end.ordinal : 0
            return Advance(
                mark: mark, carried: carried, tail: tail, shapes: shapes, objects: objects,
                ordinal: ordinal, count: count, own: own)
        }
    }

    /// The mark is durable at `advance`.
    func didWrite(_ advance: Advance) {
        state.withLock { state in
            precondition(advance.count <= state.entries.count - state.first)
            state.mark = advance.mark
            state.carried = advance.carried
            state.digests.own = advance.own
            state.tail = advance.tail
            state.written = advance.mark.binlog
            if !state.prepared.isEmpty, state.mark.origin == state.origin {
                let mark = state.mark.binlog
                state.prepared = state.prepared.filter { _, entry in
                    entry.decided.map { mark < $0 } ?? true
                }
            }
            state.first += advance.count
            if state.first > 4096 || state.first == state.entries.count {
                state.entries.removeSubrange(0..<state.first)
                state.first = 0
            }
        }
    }

    /// A carried transaction that was passed over in the stream without being met: the oldest one
    /// that the source's stream no longer can bring. For checks only.
    var carried: IdentitySet { state.withLock { $0.carried.identities } }
}

/// The newest transaction in the mark: where it is, and a digest of its events, to recognise a
/// source that lost it and wrote another in its place.
struct Tail: Sendable, Hashable {
    var start: BinlogPosition
    var identity: TransactionIdentity
    var digest: UInt64

    init(_ end: GroupEnd) {
        start = end.start
        identity = end.identity
        digest = end.digest
    }
}

extension Tail {
    // tail := 1 offset(8, little-endian) digest(8) fileBytes(2) file identity set of one

    var encoded: [UInt8] {
        var out: [UInt8] = [1]
        for i in 0..<8 { out.append(UInt8(truncatingIfNeeded: start.offset >> (8 * UInt64(i)))) }
        for i in 0..<8 { out.append(UInt8(truncatingIfNeeded: digest >> (8 * UInt64(i)))) }
        let file = Array(start.file.utf8)
        out.append(UInt8(truncatingIfNeeded: file.count))
        out.append(UInt8(truncatingIfNeeded: file.count >> 8))
        out += file
        var set = IdentitySet()
        set.insert(identity)
        return out + set.encoded
    }

    /// Reads the encoding; `nil` for an empty one, or one that can't be read.
    init?(encoded bytes: [UInt8]) {
        guard bytes.count >= 19, bytes[0] == 1 else { return nil }
        func number(_ at: Int) -> UInt64 {
            (0..<8).reduce(0) { $0 | UInt64(bytes[at + $1]) << (8 * UInt64($1)) }
        }
        let length = Int(bytes[17]) | Int(bytes[18]) << 8
        guard bytes.count >= 19 + length,
            let set = try? IdentitySet(encoded: Array(bytes[(19 + length)...])),
            let identity = set.identities.first
        else { return nil }
        start = BinlogPosition(
            file: String(decoding: bytes[19..<(19 + length)], as: UTF8.self), offset: number(1))
        digest = number(9)
        self.identity = identity
    }
}
