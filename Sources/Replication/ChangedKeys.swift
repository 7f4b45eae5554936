internal import MySQLBinlog
public import MySQLClient
public import MySQLCore
internal import MySQLSyntax
internal import Runtime
internal import Stream

/// Rows that a stretch of a source's binlog may have changed, by their keys.
public struct ChangedKeys: Sendable {
    /// The key of a table's rows.
    public struct Key: Sendable {
        /// The table as the source has it.
        public var shape: TableShape
        /// The key's columns, by their places in the shape.
        public var columns: [Int]

        /// Makes one.
        public init(shape: TableShape, columns: [Int]) {
            self.shape = shape
            self.columns = columns
        }
    }

    /// Rows by table, each as SQL literals of its key's columns; no text of the source is in them but
    /// as hexadecimal digits.
    public internal(set) var rows: [TableName: Set<[String]>] = [:]
    /// How many there are.
    public internal(set) var count = 0
    /// Changes of rows whose key could not be told: the table had another shape, or its key was not
    /// logged.
    public internal(set) var untold: UInt64 = 0
    /// Tables of which it is not known whether, and by which key, rows are wanted. Nothing is here of
    /// them, nor of what comes behind the first of them: it is read again.
    public internal(set) var unknown: Set<TableName> = []
    /// Whether there were statements that may have changed tables.
    public internal(set) var hasStatements = false
    /// Whether rows were written by another shape than the one that is known.
    public internal(set) var hasOtherShapes = false
    /// Whether the place that was wanted is reached.
    public internal(set) var isComplete = false
}

/// Reads from a source's binlog which rows were changed, on a thread and connections of its own.
///
/// It follows nothing: what is read ends where its user says, and at the latest where the binlog does.
/// Rows of a prepared XA transaction come when that is decided.
public actor ChangeReader {
    private let source: ConnectionOptions
    private let server: ServerUUID
    private let executor = ThreadExecutor(name: "changes")
    /// Behind the last transaction that was read.
    private var position: BinlogPosition
    private var walk: BinlogWalk?
    private var state = ReadState()
    private var held = HeldKeys()

    /// The thread that it lives on.
    public nonisolated var unownedExecutor: UnownedSerialExecutor {
        unsafe executor.asUnownedSerialExecutor()
    }

    /// Makes a reader; nothing is connected yet.
    ///
    /// - Parameters:
    ///   - position: where a transaction begins, or a file.
    ///   - server: the server whose position it is.
    public init(_ source: ConnectionOptions, from position: BinlogPosition, of server: ServerUUID) {
        self.source = source
        self.server = server
        self.position = position
    }

    /// Ends the thread. Nothing may be asked afterwards.
    public nonisolated func close() async {
        await leave()
        executor.stop()
    }

    private func leave() { walk = nil }

    /// From where on all must be read again by another reader, so that nothing is missed.
    public var needed: BinlogPosition { held.first.map { min($0, position) } ?? position }

    /// Reads on.
    ///
    /// - Parameters:
    ///   - end: where to end: behind a transaction.
    ///   - limit: rows from which on it pauses; another call goes on.
    ///   - keys: the tables whose rows are wanted.
    ///   - others: tables whose rows are not.
    ///   - stopsAtStatements: whether to end behind a statement that may have changed tables.
    /// - Throws: `MySQLError`, also where the source has that part of its binlog no more;
    ///   `StreamError.upstreamChanged` when another server answers; `BinlogError`;
    ///   `CancellationError`. Another call reads the same again.
    public func read(
        to end: BinlogPosition, limit: Int, keys: [TableName: ChangedKeys.Key],
        others: Set<TableName>, stopsAtStatements: Bool
    ) async throws -> ChangedKeys {
        let interruption = Interruption()
        let before = (position: position, held: held)
        return try await withTaskCancellationHandler {
            do {
                // What does not mention `self` would run, and block, on the cooperative pool.
                return try self.readNow(
                    to: end, limit, keys, others, stopsAtStatements, interruption)
            } catch {
                // Nobody has got what was found.
                (position, held) = before
                walk = nil
                try Task.checkCancellation()
                throw error
            }
        } onCancel: {
            interruption.interrupt()
        }
    }

    private func readNow(
        to end: BinlogPosition, _ limit: Int, _ keys: [TableName: ChangedKeys.Key],
        _ others: Set<TableName>, _ stopsAtStatements: Bool, _ interruption: Interruption
    ) throws -> ChangedKeys {
        state.begin(keys, others, at: position)
        guard position < end || walk != nil else {
            state.found.isComplete = true
            return state.found
        }
        let walk = try self.walk ?? open(interruption)
        self.walk = nil
        let start = position
        let isPaused = try walk.run(
            event: { header, body in
                guard walk.position <= end else { return false }
                // Of a file that had to be read from its start.
                guard walk.position > start else { return true }
                try state.take(header, body, walk.family, &held)
                return true
            },
            group: { group in
                // Behind a table that is not known nothing counts.
                guard state.found.unknown.isEmpty else {
                    return group.end < end && state.found.unknown.count < ReadState.unknownLimit
                }
                state.endGroup()
                if group.end > position { position = group.end }
                state.place = position
                return position < end && !(stopsAtStatements && state.found.hasStatements)
            },
            isPaused: { state.found.unknown.isEmpty && state.pending >= limit })
        if isPaused {
            state.handOut()
            self.walk = walk
            return state.found
        }
        let isStopped = stopsAtStatements && state.found.hasStatements && position < end
        if state.found.unknown.isEmpty, !isStopped {
            // The last place may be behind what belongs to no transaction.
            if !walk.isInside, walk.position > position, walk.position <= end {
                position = walk.position
            }
            state.found.isComplete = true
        }
        return state.found
    }

    private func open(_ interruption: Interruption) throws -> BinlogWalk {
        let session = SourceSession(try Connection(source))
        guard try session.serverName() == server else { throw StreamError.upstreamChanged }
        state.forgetMaps()
        // The protocol has 32 bits for an offset.
        let place =
            position.offset <= UInt64(UInt32.max)
            ? position : BinlogPosition(file: position.file, offset: 4)
        return try BinlogWalk(source, from: .position(place), interruption: interruption)
    }
}

/// Rows of XA transactions that are prepared and not decided.
private struct HeldKeys {
    struct Transaction {
        var rows: [TableName: Set<[String]>]
        var count: Int
        /// Where its group begins, or an earlier place.
        var place: BinlogPosition
    }
    private var transactions: [XATransactionID: Transaction] = [:]
    private var count = 0

    /// Rows that are kept at most.
    private static let limit = 200_000

    var first: BinlogPosition? { transactions.values.map(\.place).min() }

    /// - Returns: whether there was room.
    mutating func hold(_ id: XATransactionID, _ transaction: Transaction) -> Bool {
        guard count + transaction.count <= Self.limit else { return false }
        _ = take(id)
        transactions[id] = transaction
        count += transaction.count
        return true
    }

    mutating func take(_ id: XATransactionID) -> Transaction? {
        guard let found = transactions.removeValue(forKey: id) else { return nil }
        count -= found.count
        return found
    }
}

/// What is known in the middle of a walk.
private struct ReadState {
    private struct Mapped {
        let map: TableMap
        let key: ChangedKeys.Key?
        /// The columns' forms, in the key's order.
        let forms: [KeyForm]
        /// Whether its rows are wanted, and can't be read.
        let isUntold: Bool
    }

    static let unknownLimit = 500

    var found = ChangedKeys()
    /// Rows of the transaction that is being read.
    private var open: [TableName: Set<[String]>] = [:]
    private var openCount = 0
    /// Rows of it that were handed out.
    private var handedOut = 0
    private var maps: [UInt64: Mapped] = [:]
    private var keys: [TableName: ChangedKeys.Key] = [:]
    private var others: Set<TableName> = []
    private var values: [ColumnValue] = []
    /// Where the transaction begins that is being read, or an earlier place.
    var place = BinlogPosition(file: "", offset: 4)

    /// Rows that were found and not handed out.
    var pending: Int { found.count + openCount }

    mutating func begin(
        _ keys: [TableName: ChangedKeys.Key], _ others: Set<TableName>, at place: BinlogPosition
    ) {
        found = ChangedKeys()
        self.place = place
        self.keys = keys
        self.others = others
    }

    mutating func forgetMaps() {
        maps = [:]
        (open, openCount, handedOut) = ([:], 0, 0)
    }

    /// Rows of a transaction that has not ended are among those that are found.
    mutating func handOut() {
        handedOut += openCount
        merge(open)
        (open, openCount) = ([:], 0)
    }

    mutating func endGroup() {
        merge(open)
        (open, openCount, handedOut) = ([:], 0, 0)
    }

    private mutating func merge(_ rows: [TableName: Set<[String]>]) {
        for (table, rows) in rows {
            let before = found.rows[table]?.count ?? 0
            found.rows[table, default: []].formUnion(rows)
            found.count += (found.rows[table]?.count ?? 0) - before
        }
    }

    mutating func take(
        _ header: EventHeader, _ body: RawSpan, _ family: ServerFamily, _ held: inout HeldKeys
    ) throws {
        switch header.type {
        case .formatDescription: maps = [:]
        case .tableMap: try take(map: body, family)
        case .writeRows, .updateRows, .deleteRows, .writeRowsV1, .updateRowsV1, .deleteRowsV1,
            .partialUpdateRows:
            try take(rows: body)
        case .query: try take(query: body, &held)
        case .xaPrepare:
            let prepare = try XAPrepareEvent(body)
            if !prepare.isOnePhase { hold(prepare.xid, &held) }
        case .transactionPayload:
            var reader = try PayloadReader(body, limit: 1 << 30)
            var inner = ByteBuffer(capacity: 1 << 16)
            while try reader.next(in: body, into: &inner) {
                try take(EventHeader(inner.bytes), inner.bytes, family, &held)
            }
        default:
            if header.type.isCompressed {
                let bytes = try EventType.decompressed(body, limit: 1 << 30)
                let inner = unsafe bytes.span.bytes
                return try take(EventHeader(inner), inner, family, &held)
            }
            try header.type.checkSupported(flags: header.flags)
        }
    }

    private mutating func hold(_ id: XATransactionID, _ held: inout HeldKeys) {
        guard found.unknown.isEmpty else { return }
        // What was looked at before it was decided says nothing.
        found.untold &+= UInt64(handedOut)
        let isHeld =
            openCount == 0
            || held.hold(id, .init(rows: open, count: openCount, place: place))
        if !isHeld { found.untold &+= UInt64(openCount) }
        (open, openCount, handedOut) = ([:], 0, 0)
    }

    private mutating func take(query body: RawSpan, _ held: inout HeldKeys) throws {
        if try QueryEvent.isStatement(body, "BEGIN") { return }
        if try QueryEvent.isStatement(body, "COMMIT") { return }
        if try QueryEvent.isStatement(body, "ROLLBACK") { return }
        let query = try QueryEvent(body)
        switch query.control {
        case .xaCommit(let xid, _):
            guard found.unknown.isEmpty, let it = held.take(XATransactionID(xid)) else { return }
            merge(it.rows)
        case .xaRollback(let xid): if found.unknown.isEmpty { _ = held.take(XATransactionID(xid)) }
        case .some: break
        case nil: found.hasStatements = true
        }
    }

    // MARK: rows

    private mutating func take(map body: RawSpan, _ family: ServerFamily) throws {
        let map = try TableMap(body, family: family)
        let name = TableName(schema: map.schema, name: map.table)
        guard let key = keys[name] else {
            if !others.contains(name) { found.unknown.insert(name) }
            maps[map.tableID] = Mapped(map: map, key: nil, forms: [], isUntold: false)
            return
        }
        let isFit = TableMapFit(map, family: family).difference(from: key.shape) == nil
        if !isFit { found.hasOtherShapes = true }
        maps[map.tableID] = Mapped(
            map: map, key: isFit ? key : nil,
            forms: key.columns.map { KeyForm(key.shape.columns[$0]) }, isUntold: !isFit)
    }

    private mutating func take(rows body: RawSpan) throws {
        guard found.unknown.isEmpty else { return }
        var rows = try RowsEvent(body)
        guard !rows.isDummy, let mapped = maps[rows.tableID] else { return }
        guard let key = mapped.key else {
            guard mapped.isUntold else { return }
            while try rows.next(in: body, map: mapped.map) != nil { found.untold &+= 1 }
            return
        }
        var scratch = ByteBuffer(capacity: 256)
        while let images = try rows.next(in: body, map: mapped.map) {
            let hasBefore = images.beforeOffset >= 0
            if hasBefore {
                let isTold = try add(
                    images.beforeOffset, rows.before, body, key, mapped, &scratch)
                if !isTold { found.untold &+= 1 }
            }
            guard images.afterOffset >= 0 else { continue }
            let isTold = try add(images.afterOffset, rows.after, body, key, mapped, &scratch)
            // An update that does not log the key has not changed it.
            if !isTold, !hasBefore { found.untold &+= 1 }
        }
    }

    /// - Returns: whether the image has the key.
    private mutating func add(
        _ offset: Int32, _ columns: RowsEvent.Columns, _ body: RawSpan, _ key: ChangedKeys.Key,
        _ mapped: Mapped, _ scratch: inout ByteBuffer
    ) throws -> Bool {
        let last = (key.columns.max() ?? -1) + 1
        try mapped.map.locate(
            imageAt: offset, columns: columns, in: body, into: &values, upTo: last)
        var literals: [String] = []
        literals.reserveCapacity(key.columns.count)
        for (column, form) in zip(key.columns, mapped.forms) {
            guard values[column].hasValue else { return false }
            literals.append(
                try form.literal(body, values[column], mapped.map.columns[column], &scratch))
        }
        if open[key.shape.name, default: []].insert(literals).inserted { openCount += 1 }
        return true
    }
}

extension QueryEvent {
    /// What the statement does to a transaction; `nil` for any other one.
    fileprivate var control: TransactionControl? {
        if let xaControl { return xaControl }
        // Others are short; their words are all that has to be known.
        guard sql.count <= 400 else { return nil }
        let statement = try? parseStatement(
            sql, context: SyntaxContext(version: ServerVersion("8.0.30")))
        guard case .transactionControl(let control) = statement?.classification else { return nil }
        return control
    }
}

/// How the value of a key's column becomes a literal, which finds it on both sides.
private struct KeyForm {
    private let column: ColumnPlan
    /// What stands before the digits of a text; `nil` for other values.
    private let introducer: String?
    private let isBytes: Bool
    private let padding: Int

    init(_ shape: ColumnShape) {
        column = ColumnPlan(shape)
        introducer = shape.type.isText ? "_\(shape.charset ?? "utf8mb4") " : nil
        isBytes = shape.type.isBinary
        padding = shape.type.kind == .binary ? shape.type.length ?? 1 : 0
    }

    func literal(
        _ event: RawSpan, _ value: ColumnValue, _ layout: ColumnLayout,
        _ scratch: inout ByteBuffer
    ) throws(BinlogError) -> String {
        scratch.removeAll()
        guard introducer != nil || isBytes else {
            try column.append(event, value, layout, to: &scratch)
            return scratch.text
        }
        try layout.appendText(event, value, isUnsigned: false, into: &scratch)
        // The binlog leaves zero bytes at the end out.
        while scratch.count < padding { scratch.append(0) }
        var digits = ByteBuffer(capacity: scratch.count * 2)
        digits.appendHex(scratch.bytes)
        return "\(introducer ?? "")x'\(digits.text)'"
    }
}

extension ByteBuffer {
    fileprivate var text: String {
        unsafe withBytes { unsafe String(decoding: $0, as: UTF8.self) }
    }
}
