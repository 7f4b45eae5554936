internal import MySQLBinlog
internal import MySQLCore
internal import Stream

/// One row event of a transaction, and what is needed to read its rows in place.
struct RowSource: Sendable {
    let chunk: EventChunk
    /// Where the event is in the chunk, checksum left out.
    let offset: Int
    let length: Int
    let map: TableMap
    let plan: TablePlan
    let before: RowsEvent.Columns
    let after: RowsEvent.Columns
    /// The event ran with `foreign_key_checks=0`, or all that foreign keys did is logged.
    let ignoresForeignKeys: Bool
    /// How its rows meet those of the target.
    let meeting: Meeting
    /// After images may hold differences of JSON values instead of the values.
    let hasDifferences: Bool

    /// The event's bytes.
    @inline(__always)
    var bytes: RawSpan {
        @_lifetime(borrow self)
        borrowing get {
            let span = chunk.bytes.extracting(offset..<(offset + length))
            return unsafe _overrideLifetime(span, borrowing: self)
        }
    }
}

/// How changes of rows meet the rows of the target.
enum Meeting: Int32, Sendable {
    /// The target's rows are as the images before; every count is known.
    case exact
    /// The table is still between the lowest and the highest position of its copy: rows become
    /// what the images after are, whatever is there.
    case converge
    /// Rules leave out some of the table's changes: a row that is not there stays away, one that
    /// is becomes the image after.
    case loose
}

extension RowSource {
    /// Whether a column of an after image is a difference from the before image.
    @inline(__always)
    func isDifference(_ column: Int, _ images: RowImages) -> Bool {
        guard hasDifferences, map.columns[column].type == .json else { return false }
        let index = map.columns[..<column].reduce(0) { $0 + ($1.type == .json ? 1 : 0) }
        return images.isDifference(jsonColumn: index, in: bytes)
    }
}

/// One change of one row.
struct RowChange: Sendable {
    /// Index into the transaction's ``SourceTransaction/sources``.
    var source: Int32
    var images: RowImages
    /// What identifies the row before and after: the value of a whole-number key, else a hash.
    var beforeKey: UInt64
    var afterKey: UInt64

    var isInsert: Bool { images.beforeOffset < 0 }
    var isDelete: Bool { images.afterOffset < 0 }
}

/// A transaction of the source, ready to be scheduled. Immutable once it has been handed over.
final class SourceTransaction: @unchecked Sendable {
    // SAFETY: filled by the assembler's thread alone, and only read after it was passed on through
    // the scheduler's lock.

    /// Its place in this run's stream, from 1.
    let ordinal: UInt64
    let identity: TransactionIdentity
    /// When it was committed on the source, microseconds since 1970; whole seconds where the
    /// source says no more.
    var committedMicroseconds: Int64 = 0
    var sources: ContiguousArray<RowSource> = []
    var rows: ContiguousArray<RowChange> = []
    var keys: ContiguousArray<KeyUse> = []
    /// Whether it keeps its place by itself: it waits for all before it, and all behind it wait.
    var isAlone = false
    /// Bytes of events that it keeps alive.
    var bytes = 0
    /// Of all its events, filled when it is complete.
    var digest = AppliedDigest()

    init(ordinal: UInt64, identity: TransactionIdentity) {
        self.ordinal = ordinal
        self.identity = identity
    }
}

/// The end of one group of events: a source transaction, a statement of its own, or nothing that
/// matters here.
struct GroupEnd: Sendable {
    let ordinal: UInt64
    let identity: TransactionIdentity
    /// Where its first event starts.
    let start: BinlogPosition
    /// Where the next group starts.
    let end: BinlogPosition
    /// Digest of its events' bytes.
    let digest: UInt64
}
