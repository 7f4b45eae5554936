internal import MySQLBinlog
internal import MySQLCore
internal import MySQLSyntax
internal import Rules
internal import Stream

/// Turns events into source transactions. A state machine without I/O: events in, outputs out.
struct TransactionAssembler: ~Copyable {
    enum Output {
        case none
        /// A transaction with rows of migrated tables.
        case transaction(SourceTransaction, GroupEnd)
        /// Part of a transaction that is too large to be held: it has to be applied now, alone, in
        /// a target transaction that stays open.
        case part(SourceTransaction)
        /// The last part of such a transaction: the target transaction may commit.
        case lastPart(SourceTransaction, GroupEnd)
        /// The source rolled such a transaction back.
        case abandoned(GroupEnd)
        /// A group that changes nothing here, or is applied already.
        case passed(GroupEnd)
        /// A statement that is not rows.
        case statement(QueryEvent, GroupEnd, isApplied: Bool)
        /// A statement that begins a group whose rows follow: CREATE TABLE .. SELECT. What its
        /// group's end says is not known yet.
        case opening(QueryEvent, GroupEnd, isApplied: Bool)
        /// An XA transaction is committed whose rows are not here; its group starts at the place,
        /// where that is known.
        case recall(XATransactionID, start: BinlogPosition?, GroupEnd)
    }

    struct Group {
        var transaction: SourceTransaction
        var start: BinlogPosition
        var digest: UInt64 = 0
        /// Ends with its next statement.
        var isStandalone = false
        /// Its rows count for nothing: the target has them already, or what they mean is decided
        /// elsewhere.
        var isApplied = false
        /// The target has it already.
        var isHeld = false
        /// BEGIN was seen, or is implied.
        var isOpen = false
        /// Parts of it were handed out.
        var isStreamed = false
        /// Its savepoints, and what had come before them; of those before the last part nothing is
        /// known any more.
        var savepoints: [(name: String, rows: Int, sources: Int)] = []
        /// It announces a statement that another group brings, or takes that back.
        var isAnnouncement = false
        /// It is an XA transaction up to its prepare.
        var xid: XATransactionID?
        /// It can't be kept until its decision: too large, or of tables that have changed.
        var isDropped = false
    }

    var group: Group?
    private var ordinal: UInt64 = 0
    let catalog: TableCatalog
    private let applied: AppliedState
    private var origin: Origin
    private var file = ""
    private var values: [ColumnValue] = []
    private var oldValues: [ColumnValue] = []
    private var scratch = ByteBuffer(capacity: 256)
    /// Keys of which an image has lacked values (`binlog_row_image` is not FULL): whoever uses
    /// values of theirs also reads them as a whole, which those images write.
    private(set) var partialKeys: Set<UInt64> = []
    /// Some of them were used otherwise by transactions that may not be committed yet.
    private var hasNewPartialKeys = false
    /// The newest chunk that was counted; not kept alive for its bytes, but so that no other one
    /// gets its address.
    private var countedChunk: EventChunk?
    private let bytesLimit: Int
    /// A compressed transaction that is being unpacked, event by event.
    private var payload: OpenPayload?
    var prepared: PreparedTransactions
    private let requiresFullImages: Bool
    /// Only this XA transaction is wanted, in the name of its decision.
    let recalling: (xid: XATransactionID, decision: GroupEnd)?

    /// - Parameters:
    ///   - bytesLimit: transactions beyond it are handed out in parts.
    ///   - recalling: an XA transaction that is read again at its decision; nothing else comes out.
    ///   - requiresFullImages: whether rows that lack columns are an error.
    init(
        catalog: TableCatalog, applied: AppliedState, origin: Origin, bytesLimit: Int,
        recalling: (xid: XATransactionID, decision: GroupEnd)? = nil,
        requiresFullImages: Bool = true
    ) {
        self.requiresFullImages = requiresFullImages
        self.recalling = recalling
        prepared = PreparedTransactions(bytesLimit: bytesLimit)
        self.catalog = catalog
        self.applied = applied
        self.origin = origin
        self.bytesLimit = bytesLimit
    }

    /// Whether the stream is between two groups.
    var isBetweenGroups: Bool { group == nil }

    /// Whether ``resume()`` has to be called before the next event.
    var isUnpacking: Bool { payload != nil }

    private final class OpenPayload {
        var reader: PayloadReader
        var plain = ByteBuffer(capacity: 1 << 16)
        let chunk: EventChunk
        let entry: EventChunk.Entry

        init(_ chunk: EventChunk, _ entry: EventChunk.Entry) throws {
            reader = try PayloadReader(chunk.event(entry), limit: 1 << 30)
            self.chunk = chunk
            self.entry = entry
        }
    }

    /// Goes on with a compressed transaction; `nil` when none is being unpacked. To be called after
    /// every event until it is.
    mutating func resume() throws -> Output? {
        guard let open = payload else { return nil }
        let source = open.chunk
        let event = source.event(open.entry)
        while try open.reader.next(in: event, into: &open.plain) {
            let inner = EventChunk(
                inner: open.plain.bytes, of: file, position: open.entry.position,
                end: open.entry.endPosition)
            let output = try consume(inner.event(inner.entries[0]), inner, 0, open.entry)
            if case .none = output { continue }
            return output
        }
        payload = nil
        return nil
    }

    /// XA transactions that were prepared or decided since the last call.
    mutating func takePreparedChanges() -> [PreparedTransactions.Change] { prepared.takeChanges() }

    /// Takes the next event.
    mutating func consume(_ chunk: EventChunk, _ entry: EventChunk.Entry) throws -> Output {
        file = chunk.file
        let event = chunk.event(entry)
        return try consume(event, chunk, entry.offset, entry)
    }

    private mutating func consume(
        _ event: RawSpan, _ chunk: EventChunk, _ offset: Int, _ entry: EventChunk.Entry
    ) throws -> Output {
        let header = try EventHeader(event)
        if group != nil, header.logPosition != 0 || !header.flags.contains(.artificial) {
            group!.digest = Digest.combine(group!.digest, Digest.hash(event, seed: 11))
        }
        switch header.type {
        case .tableMap:
            // Of a group that is applied: the table may have another shape by now.
            if group?.isApplied == true { break }
            let isPrepared = group?.xid != nil && recalling == nil
            let isKnown = try catalog.note(
                event, position: position(entry.position), keepsSkipped: isPrepared)
            if !isKnown { dropPrepared() }
        case .writeRows, .updateRows, .deleteRows, .writeRowsV1, .updateRowsV1, .deleteRowsV1,
            .partialUpdateRows:
            try rows(event, chunk, offset)
            return part()
        case .xid:
            return try end(entry)
        case .query:
            return try query(event, header, entry)
        case .mariadbGTID:
            let gtid = try MariaDBGTIDEvent(event)
            try begin(gtid.identity, header, entry, event)
            group!.isStandalone = gtid.flags.contains(.standalone)
            group!.isOpen = !group!.isStandalone
            // ALTER TABLE in two phases: it counts where it is committed, with its text again.
            switch gtid.alterPhase {
            case .start, .rollback: group!.isAnnouncement = true
            case .none, .commit: break
            }
            if gtid.flags.contains(.preparedXA), let xid = gtid.xid { beginXA(xid) }
        case .gtid, .taggedGTID, .anonymousGTID:
            let gtid = try GTIDEvent(event)
            // Where the checkpoint knows no GTIDs, the mark would never hold one: gtid_mode was
            // not ON when it began.
            let identity = applied.lowWater.gtids == .none ? nil : gtid.identity
            try begin(identity ?? fileIdentity(entry), header, entry, event)
            if gtid.immediateCommitMicroseconds > 0 {
                group!.transaction.committedMicroseconds = Int64(gtid.immediateCommitMicroseconds)
            }
        case .formatDescription:
            catalog.forgetMaps()
        case .transactionPayload:
            payload = try OpenPayload(chunk, entry)
        case .executeLoadQuery:
            if group?.isApplied != true { try refuseLoad(QueryEvent(event), entry) }
        case .xaPrepare:
            let prepare = try XAPrepareEvent(event)
            return try prepare.isOnePhase ? endOnePhase(entry) : endXA(prepare.xid, entry)
        default:
            if header.type.isCompressed { return try inflate(event, entry) }
            try header.type.checkSupported(flags: header.flags)
            if case .statement = header.type.treatment(flags: header.flags), group != nil {
                break  // belongs to a statement, which decides
            }
        }
        return .none
    }

    // MARK: groups

    func position(_ offset: UInt64) -> SourcePosition {
        SourcePosition(
            origin: origin, binlog: BinlogPosition(file: file, offset: offset), gtids: .none)
    }

    private func fileIdentity(_ entry: EventChunk.Entry) -> TransactionIdentity {
        TransactionIdentity(stream: .file(origin, file: file), number: entry.position)
    }

    private mutating func begin(
        _ identity: TransactionIdentity, _ header: EventHeader, _ entry: EventChunk.Entry,
        _ event: RawSpan
    ) throws {
        guard group == nil else {
            throw ReplicationError.unsupported(
                position(entry.position), detail: "a transaction begins inside another")
        }
        ordinal += 1
        let decision = recalling?.decision
        let isHeld = applied.contains(identity)
        let transaction = SourceTransaction(
            ordinal: decision?.ordinal ?? ordinal, identity: decision?.identity ?? identity)
        transaction.committedMicroseconds = Int64(header.timestamp) * 1_000_000
        group = Group(
            transaction: transaction,
            start: BinlogPosition(file: file, offset: entry.position),
            digest: Digest.hash(event, seed: 11),
            isApplied: recalling != nil || isHeld, isHeld: isHeld)
        catalog.beginTransaction(
            transaction.identity, at: group?.start, of: origin.server,
            isRecalled: recalling != nil)
    }

    func groupEnd(_ group: Group, _ entry: EventChunk.Entry) -> GroupEnd {
        GroupEnd(
            ordinal: group.transaction.ordinal, identity: group.transaction.identity,
            start: group.start, end: BinlogPosition(file: file, offset: entry.endPosition),
            digest: group.digest)
    }

    mutating func end(_ entry: EventChunk.Entry) throws -> Output {
        guard let group = group.take() else {
            throw ReplicationError.unsupported(
                position(entry.position), detail: "a commit without a transaction")
        }
        let end = groupEnd(group, entry)
        if group.isStreamed { return .lastPart(group.transaction, end) }
        if group.isApplied || group.transaction.rows.isEmpty { return .passed(end) }
        return .transaction(group.transaction, end)
    }

    /// A group of a source without GTIDs. Where there are some, its first event was missed: under a
    /// name of its own it would be applied once more.
    private mutating func beginWithoutGTID(
        _ header: EventHeader, _ entry: EventChunk.Entry, _ event: RawSpan
    ) throws {
        guard applied.lowWater.gtids == .none else {
            throw ReplicationError.unsupported(
                position(entry.position), detail: "a transaction without its first event")
        }
        try begin(fileIdentity(entry), header, entry, event)
    }

    private mutating func query(
        _ event: RawSpan, _ header: EventHeader, _ entry: EventChunk.Entry
    ) throws -> Output {
        if try QueryEvent.isStatement(event, "BEGIN") {
            if group == nil { try beginWithoutGTID(header, entry, event) }
            group!.isOpen = true
            return .none
        }
        if try QueryEvent.isStatement(event, "COMMIT") { return try end(entry) }
        let query = try QueryEvent(event)
        if group == nil { try beginWithoutGTID(header, entry, event) }
        if let control = query.xaControl { return try xa(control, entry) }
        if group!.isOpen {
            let context = catalog.session.context(of: query)
            let statement = try? parseStatement(query.sql, context: context)
            if case .transactionControl(let control) = statement?.classification {
                switch control {
                case .savepoint(let name):
                    setSavepoint(name)
                    return .none
                case .rollbackTo(let name):
                    try rollBack(to: name, entry)
                    return .none
                case .release, .begin: return .none
                case .commit: return try end(entry)
                case .rollback:
                    // What ends in ROLLBACK changed no transactional table.
                    let ended = group.take()!
                    let end = groupEnd(ended, entry)
                    return ended.isStreamed ? .abandoned(end) : .passed(end)
                default: break
                }
            }
            if let ddl = statement?.ddl, recalling == nil {
                if ddl.isTemporary { return .none }
                if case .createTable = ddl, group!.transaction.rows.isEmpty, !group!.isStreamed {
                    return .opening(query, groupEnd(group!, entry), isApplied: group!.isApplied)
                }
            }
            if case .dml = statement?.classification, let tables = statement?.tables,
                !tables.isEmpty, !tables.contains(where: { catalog.mapping.selects($0.name) })
            {
                return .none
            }
            throw ReplicationError.unsupported(
                position(entry.position),
                detail: "a transaction holds a statement instead of rows: set binlog_format=ROW on "
                    + "the source, let all sessions reconnect, then start over with --fresh")
        }
        let ended = group.take()!
        if ended.isAnnouncement { return .passed(groupEnd(ended, entry)) }
        return .statement(query, groupEnd(ended, entry), isApplied: ended.isApplied)
    }

    /// Hands out what has been gathered of a transaction when it exceeds the limit.
    private mutating func part() -> Output {
        guard var open = group, open.transaction.bytes >= bytesLimit,
            !open.transaction.rows.isEmpty
        else { return .none }
        if open.xid != nil, recalling == nil {
            dropPrepared()
            return .none
        }
        let full = open.transaction
        let rest = SourceTransaction(ordinal: full.ordinal, identity: full.identity)
        rest.committedMicroseconds = full.committedMicroseconds
        open.transaction = rest
        open.isStreamed = true
        open.savepoints = []
        group = open
        return .part(full)
    }

    // MARK: rows

    private mutating func rows(_ event: RawSpan, _ chunk: EventChunk, _ offset: Int) throws {
        guard let group else {
            throw BinlogError(.malformed, nil, at: 0, "rows outside of a transaction")
        }
        if group.isApplied { return }
        var rows = try RowsEvent(event)
        if rows.isDummy { return }
        // What an XA transaction's rows mean is decided with it.
        guard let table = try catalog.table(rows.tableID),
            table.use != .skip || (group.xid != nil && recalling == nil)
        else { return }
        let plan = table.plan
        let filter = table.filter
        if let filter,
            try filter.leavesOut(
                rows.kind, at: SourcePosition(origin: origin, binlog: group.start, gtids: .none))
        {
            return
        }
        let looksAtRows = filter?.looksAtRows(rows.kind) == true
        if !rows.before.isFull || !rows.after.isFull, requiresFullImages,
            rows.kind == .insert || table.use != .exact || plan.isLoose
                || catalog.isSafe && plan.canConverge || group.xid != nil
        {
            try requireWhole(rows, plan, event)
        }
        // In the range of a copy rows that it has left out are like those that filters have.
        let divides =
            plan.isLoose && table.use != .exact && rows.kind != .insert && rows.kind != .delete
        let meeting: Meeting =
            switch table.use {
            case .exact: plan.usualMeeting(isSafe: catalog.isSafe)
            case .converge: .converge
            case .skip: .exact
            }
        let source = RowSource(
            chunk: chunk, offset: offset, length: event.byteCount, map: table.map, plan: plan,
            before: rows.before, after: rows.after,
            ignoresForeignKeys: !rows.flags.isDisjoint(
                with: [.noForeignKeyChecks, .sqlForeignKeys])
                || (group.xid == nil || recalling != nil)
                    && catalog.leavesForeignKeys(of: plan.shape.name),
            meeting: meeting, hasDifferences: rows.kind == .partialUpdate)
        var sources: (met: Int32, loose: Int32) = (-1, -1)
        let first = (rows: group.transaction.rows.count, keys: group.transaction.keys.count)
        var fires = rows.kind == .delete || plan.actingColumns == nil && rows.kind != .insert
        while let images = try rows.next(in: event, map: table.map) {
            if looksAtRows, let filter,
                try isLeftOut(by: filter, images, rows, event, table.map)
            {
                continue
            }
            let number: Int32
            if divides, let filter,
                try copyLeavesOut(by: filter, images, rows, event, table.map)
            {
                if sources.loose < 0 {
                    sources.loose = Int32(group.transaction.sources.count)
                    group.transaction.sources.append(source.met(as: .loose))
                }
                number = sources.loose
            } else {
                if sources.met < 0 {
                    sources.met = Int32(group.transaction.sources.count)
                    group.transaction.sources.append(source)
                }
                number = sources.met
            }
            var change = RowChange(source: number, images: images, beforeKey: 0, afterKey: 0)
            if images.beforeOffset >= 0 {
                try table.map.locate(
                    imageAt: images.beforeOffset, columns: rows.before, in: event, into: &values)
                change.beforeKey = key(event, plan, rows, group.transaction)
            }
            if images.afterOffset >= 0 {
                try table.map.locate(
                    imageAt: images.afterOffset, columns: rows.after, in: event, into: &values)
                change.afterKey = key(event, plan, rows, group.transaction)
            }
            if !fires, !plan.updateUses.isEmpty, let acting = plan.actingColumns,
                images.beforeOffset >= 0
            {
                try table.map.locate(
                    imageAt: images.beforeOffset, columns: rows.before, in: event,
                    into: &oldValues)
                fires = acting.contains { column in
                    !values[column].isAbsent
                        && !BatchRenderer.isEqual(event, oldValues[column], event, values[column])
                }
            }
            group.transaction.rows.append(change)
        }
        // Of an event of which nothing stays nothing is kept.
        guard group.transaction.rows.count > first.rows else { return }
        count(chunk, group.transaction, from: first)
        // An update that leaves what children refer to fires nothing.
        if fires {
            group.transaction.keys.append(
                contentsOf: rows.kind == .delete ? plan.deleteUses : plan.updateUses)
        }
    }

    private mutating func isLeftOut(
        by filter: RowFilter, _ images: RowImages, _ rows: RowsEvent, _ event: RawSpan,
        _ map: TableMap
    ) throws -> Bool {
        // What is not left out is located as a whole by whoever uses it.
        let limits = filter.columnLimits(rows.kind)
        if images.afterOffset >= 0 {
            try map.locate(
                imageAt: images.afterOffset, columns: rows.after, in: event, into: &values,
                upTo: limits.after)
        }
        guard images.beforeOffset >= 0 else {
            return try filter.leavesOut(rows.kind, event, before: values, after: values, map)
        }
        try map.locate(
            imageAt: images.beforeOffset, columns: rows.before, in: event, into: &oldValues,
            upTo: limits.before)
        return try filter.leavesOut(rows.kind, event, before: oldValues, after: values, map)
    }

    /// Whether a copy at the moment before an update would have left its row out.
    private mutating func copyLeavesOut(
        by filter: RowFilter, _ images: RowImages, _ rows: RowsEvent, _ event: RawSpan,
        _ map: TableMap
    ) throws -> Bool {
        guard filter.looksAtRows(.insert), images.beforeOffset >= 0 else { return false }
        try map.locate(
            imageAt: images.beforeOffset, columns: rows.before, in: event, into: &oldValues,
            upTo: filter.columnLimits(.insert).after)
        return try filter.leavesOut(.insert, event, before: oldValues, after: oldValues, map)
    }

    /// A row that is inserted, or replaced while its table converges, would lose the columns that
    /// its images lack. Changes of rows that are there need no more than what identifies them.
    private func requireWhole(
        _ rows: RowsEvent, _ plan: TablePlan, _ event: RawSpan
    ) throws {
        let missing = plan.columns.indices.first { column in
            plan.columns[column].isWritten
                && (rows.kind != .insert && !rows.before.contains(column, in: event)
                    || rows.kind != .delete && !rows.after.contains(column, in: event))
        }
        guard let missing, let group else { return }
        let name = plan.shape.columns[missing].name
        throw ReplicationError.unsupported(
            SourcePosition(origin: origin, binlog: group.start, gtids: .none),
            detail: "row images of \(plan.shape.name) are not full (column \(name) is missing): "
                + "set binlog_row_image=FULL on the source, let all sessions reconnect, then start "
                + "over with --fresh")
    }

    /// Counts what an event's rows keep in memory: their chunk, which lives as long as any row in
    /// it and is counted with the first, and what scheduling and rendering need for each row and
    /// key.
    private mutating func count(
        _ chunk: EventChunk, _ transaction: SourceTransaction, from first: (rows: Int, keys: Int)
    ) {
        if chunk !== countedChunk {
            countedChunk = chunk
            transaction.bytes += chunk.allocatedBytes
        }
        transaction.bytes +=
            (transaction.rows.count - first.rows) * Self.rowBytes
            + (transaction.keys.count - first.keys) * Self.keyBytes
    }

    /// A change (40), its slot in the renderer (48) and in its index.
    private static let rowBytes = 144
    /// A key (16), its entry in the scheduler's table, which is half empty at most times.
    private static let keyBytes = 80

    /// Notes what the located image uses, and returns what identifies its row.
    @inline(__always)
    private mutating func key(
        _ event: RawSpan, _ plan: TablePlan, _ rows: RowsEvent, _ transaction: SourceTransaction
    ) -> UInt64 {
        let changed = rows.kind == .update || rows.kind == .partialUpdate ? rows.after : nil
        for key in plan.keys {
            let told = key.use(event, values, changed: changed, &scratch) { use in
                if transaction.keys.last != use { transaction.keys.append(use) }
            }
            if told == .lack {
                noteLack(key, transaction)
            } else if !partialKeys.isEmpty, told == .values, partialKeys.contains(key.seed) {
                transaction.keys.append(KeyUse(key.seed, writes: false))
            }
        }
        if let column = plan.integerKey {
            let value = values[column]
            guard value.hasValue else { return 0 }
            var bits: UInt64 = 0
            for i in 0..<min(8, Int(value.length)) {
                let byte = unsafe event.unsafeLoad(
                    fromByteOffset: Int(value.offset) + i, as: UInt8.self)
                bits |= UInt64(byte) << (8 * UInt64(i))
            }
            return bits
        }
        var hash = plan.seed
        for column in plan.identity where values[column].hasValue {
            hash = Digest.combine(
                hash, Digest.hash(ColumnPlan.slice(event, values[column]), seed: 5))
        }
        return hash
    }

    /// Those that come from now on read the key as a whole; those that have come did not.
    private mutating func noteLack(_ key: KeyPlan, _ transaction: SourceTransaction) {
        if partialKeys.insert(key.seed).inserted { hasNewPartialKeys = true }
        if hasNewPartialKeys { transaction.isAlone = true }
    }

    /// All that was handed out so far is committed.
    mutating func noteCommitted() { hasNewPartialKeys = false }

    // MARK: compressed events

    private mutating func inflate(
        _ event: RawSpan, _ entry: EventChunk.Entry
    ) throws -> Output {
        let plain = try EventType.decompressed(event, limit: 1 << 30)
        let inner = EventChunk(
            inner: unsafe plain.span.bytes, of: file, position: entry.position,
            end: entry.endPosition)
        return try consume(inner.event(inner.entries[0]), inner, 0, entry)
    }
}
