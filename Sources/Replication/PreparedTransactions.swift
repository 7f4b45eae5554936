internal import MySQLBinlog
internal import MySQLCore
internal import MySQLSyntax
internal import Stream

/// XA transactions that were prepared in this stream and are not decided yet.
///
/// Their rows come with XA PREPARE and take effect with XA COMMIT, which is another group with
/// another identity, any time later. The mark passes the prepare; the decision's identity is what
/// the target holds. Rows that are not here any more when the decision comes (a new run, too many
/// bytes, plans made anew) are read again from the source's binlog (``PreparedSearch``).
struct PreparedTransactions: ~Copyable {
    struct Entry {
        /// Where its group starts.
        let start: BinlogPosition
        /// Its rows; `nil` when they are to be read again.
        let transaction: SourceTransaction?
    }

    /// What relays must know, who keep what is undecided.
    enum Change: Hashable {
        /// Prepared by the group that starts there.
        case prepared(XATransactionID, start: BinlogPosition)
        /// Decided by the group that ends there.
        case decided(XATransactionID, end: BinlogPosition)
    }

    private var entries: [XATransactionID: Entry] = [:]
    private var changes: [Change] = []
    private var bytes = 0
    private let bytesLimit: Int

    /// - Parameter bytesLimit: bytes of events that all of them may keep.
    init(bytesLimit: Int) { self.bytesLimit = bytesLimit }

    /// Keeps a transaction whose prepare has been read.
    mutating func prepare(
        _ xid: XATransactionID, _ transaction: SourceTransaction?, start: BinlogPosition
    ) {
        _ = take(xid)
        changes.append(.prepared(xid, start: start))
        guard let transaction, bytes + transaction.bytes <= bytesLimit else {
            entries[xid] = Entry(start: start, transaction: nil)
            return
        }
        bytes += transaction.bytes
        entries[xid] = Entry(start: start, transaction: transaction)
    }

    /// Hands out a transaction that is being decided by a group that ends there.
    mutating func decide(_ xid: XATransactionID, end: BinlogPosition) -> Entry? {
        changes.append(.decided(xid, end: end))
        return take(xid)
    }

    /// What has changed since the last call.
    mutating func takeChanges() -> [Change] {
        if changes.isEmpty { return [] }
        defer { changes = [] }
        return changes
    }

    private mutating func take(_ xid: XATransactionID) -> Entry? {
        guard let entry = entries.removeValue(forKey: xid) else { return nil }
        bytes -= entry.transaction?.bytes ?? 0
        return entry
    }
}

extension SourceTransaction {
    /// The same rows in memory of their own, for long keeping: an event of a hundred bytes would
    /// keep a whole chunk.
    func detached() -> SourceTransaction {
        let copy = SourceTransaction(ordinal: ordinal, identity: identity)
        copy.committedMicroseconds = committedMicroseconds
        copy.sources = ContiguousArray(sources.map { $0.detached() })
        copy.rows = rows
        copy.keys = keys
        // The events themselves, and what scheduling and rendering need for each change.
        copy.bytes = sources.reduce(0) { $0 + $1.length } + rows.count * 256 + keys.count * 128
        return copy
    }

    /// The same rows under the identity of the group that decides them, as far as they count at
    /// its place in the stream. `nil` when a table's plan is another one now.
    func decided(by end: GroupEnd, _ catalog: TableCatalog) -> SourceTransaction? {
        let out = SourceTransaction(ordinal: end.ordinal, identity: end.identity)
        out.committedMicroseconds = committedMicroseconds
        var places: [Int32] = []
        for source in sources {
            guard catalog.isCurrent(source.plan) else { return nil }
            let use = catalog.use(of: source.plan.shape.name)
            places.append(use == .skip ? -1 : Int32(out.sources.count))
            if use != .skip {
                // What the copy would have left out is loose in its range, too. What another tool may
                // have applied when it was prepared it may have applied wherever it is decided.
                let isSafe =
                    catalog.isSafe || catalog.isAdopting && source.meeting == .converge
                let isLoose = source.plan.isLoose && source.meeting == .loose
                out.sources.append(
                    source.met(
                        as: use == .converge && !isLoose
                            ? .converge : source.plan.usualMeeting(isSafe: isSafe),
                        leavingForeignKeys: catalog.leavesForeignKeys(of: source.plan.shape.name)))
            }
        }
        for var row in rows where places[Int(row.source)] >= 0 {
            row.source = places[Int(row.source)]
            out.rows.append(row)
        }
        out.keys = keys
        out.bytes = bytes
        return out
    }
}

extension RowSource {
    fileprivate func detached() -> RowSource {
        let own = EventChunk(inner: bytes, of: chunk.file, position: 0, end: 0)
        return RowSource(
            chunk: own, offset: 0, length: length, map: map, plan: plan, before: before,
            after: after, ignoresForeignKeys: ignoresForeignKeys, meeting: meeting,
            hasDifferences: hasDifferences)
    }

    /// The same rows, which meet the target's in another way.
    func met(as meeting: Meeting, leavingForeignKeys: Bool = false) -> RowSource {
        RowSource(
            chunk: chunk, offset: offset, length: length, map: map, plan: plan, before: before,
            after: after, ignoresForeignKeys: ignoresForeignKeys || leavingForeignKeys,
            meeting: meeting, hasDifferences: hasDifferences)
    }
}

extension QueryEvent {
    /// What the statement does to an XA transaction; `nil` for any other statement.
    var xaControl: TransactionControl? {
        guard sql.count > 3, sql[2] == UInt8(ascii: " "),
            sql[0] | 0x20 == UInt8(ascii: "x"), sql[1] | 0x20 == UInt8(ascii: "a")
        else { return nil }
        let statement = try? parseStatement(
            sql, context: SyntaxContext(version: ServerVersion("8.0.30")))
        guard case .transactionControl(let control) = statement?.classification else { return nil }
        return control
    }
}

extension XATransactionID {
    /// The name as a statement writes it.
    init(_ xid: XID) {
        self.init(
            formatID: UInt32(truncatingIfNeeded: xid.format), globalTransaction: xid.globalID,
            branch: xid.branch)
    }

    /// For messages, as XA RECOVER shows it.
    var text: String {
        func hex(_ bytes: [UInt8]) -> String { hexLiteral(bytes).uppercased() }
        return "\(hex(globalTransaction)),\(hex(branch)),\(formatID)"
    }
}
