internal import Synchronization

/// A row that differed when it was last looked at.
struct PendingRow: Sendable {
    /// The table's index.
    let table: Int
    /// Its key, as one of the sides has it.
    let key: RowKey
    /// The range in which a side was found to have it.
    let range: KeyRange
    /// What the source has had since the first look; `nil` stands for no row. If the target is
    /// found to have any of these, it follows, only later.
    private(set) var witnessed: [RowDigest?]
    /// When the first look that was meant for this row found it to differ.
    private(set) var first: ContinuousClock.Instant?
    /// Since when neither side has changed.
    private(set) var since: ContinuousClock.Instant?
    /// Looks with the same result in a row.
    private(set) var looks = 0
    /// What the last look found.
    private(set) var last: (source: Found?, target: Found?)?
    /// Whether its range still had the key at the last look, though no side found a row by it: then
    /// a row is there of which nothing is known.
    private(set) var isOutOfReach = false

    /// A row as a look found it.
    struct Found: Sendable, Equatable {
        let key: RowKey
        let digest: RowDigest
    }

    init(table: Int, key: RowKey, range: KeyRange, source: RowDigest?) {
        self.table = table
        self.key = key
        self.range = range
        witnessed = [source]
    }

    /// Makes one that was looked at by somebody else: what the source had then is not known.
    init(table: Int, key: RowKey) {
        self.table = table
        self.key = key
        range = KeyRange()
        witnessed = []
    }

    /// Takes in a look.
    ///
    /// - Parameter isOutOfReach: whether the row's range has its key though neither side finds it.
    /// - Returns: whether the target has what the source has, or had.
    mutating func look(
        source: Found?, target: Found?, isOutOfReach: Bool = false,
        at now: ContinuousClock.Instant
    ) -> Bool {
        if isOutOfReach {
            first = first ?? now
            if self.isOutOfReach {
                looks += 1
            } else {
                looks = 1
                since = now
            }
            (self.isOutOfReach, last) = (true, nil)
            return false
        }
        self.isOutOfReach = false
        if !witnessed.contains(source?.digest) {
            witnessed.append(source?.digest)
            if witnessed.count > 16 { witnessed.removeFirst() }
        }
        if witnessed.contains(target?.digest) { return true }
        first = first ?? now
        if let last, last.source == source, last.target == target {
            looks += 1
        } else {
            looks = 1
            since = now
        }
        last = (source, target)
        return false
    }
}

/// The rows of all tables that differed when last looked at.
final class PendingRows: Sendable {
    private let rows = Mutex<(rows: [PendingRow], bytes: Int)>(([], 0))
    /// Beyond this many bytes, rows must be decided before more chunks are compared.
    let byteLimit: Int

    init(byteLimit: Int) { self.byteLimit = byteLimit }

    /// Adds rows.
    func add(_ more: [PendingRow]) {
        rows.withLock { state in
            state.rows += more
            state.bytes += more.reduce(0) { $0 + $1.key.byteCount + 160 }
        }
    }

    /// Takes all rows out.
    func takeAll() -> [PendingRow] {
        rows.withLock { state in
            defer { state = ([], 0) }
            return state.rows
        }
    }

    /// How many rows there are.
    var count: Int { rows.withLock { $0.rows.count } }
    /// Whether there are too many.
    var isFull: Bool { rows.withLock { $0.bytes > byteLimit } }
}
