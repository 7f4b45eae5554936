internal import Checkpoint
internal import MySQLClient
internal import MySQLCore
internal import Rules

/// What a table's copy needs over and over.
struct TableTools: Sendable {
    let shape: TableShape
    let order: KeyOrder?
    let form: TableForm
    /// The form that holds ENUM's invalid member, for tables with ENUM columns.
    let enumForm: TableForm?
    /// Whether it is needed from the start: as a text the invalid member is empty, and where a
    /// member is, too, no server finds anything wrong with that.
    let needsEnumForm: Bool
    /// Under which condition a row is copied, as SQL for the source; `nil` for all rows.
    let condition: String?
    /// Rows a chunk aims at.
    let chunkRows: Int

    init(_ table: PlannedTable, target: ServerFamily, _ configuration: SnapshotConfiguration) {
        shape = table.shape
        condition = table.condition
        order = KeyOrder(table.shape, ignored: table.ignoredKeys)
        form = TableForm(table.shape, table.route, target: target)
        let hasEnum = table.shape.columns.contains {
            $0.type.kind == .enum && $0.generation == nil
        }
        enumForm =
            hasEnum
            ? TableForm(table.shape, table.route, target: target, enumsByIndex: true) : nil
        needsEnumForm = table.shape.columns.contains {
            $0.type.kind == .enum && $0.generation == nil
                && $0.type.elements.contains { $0.allSatisfy { $0 == " " } }
        }
        var rows = configuration.chunkRows
        if table.estimatedRows > 0 {
            let average = max(1, Int(table.estimatedBytes / table.estimatedRows))
            rows = min(rows, configuration.chunkBytes / average)
        }
        chunkRows = max(rows, 1)
    }

    /// The form in which rows are read.
    func form(enums: Bool) -> TableForm { enums ? enumForm ?? form : form }

    /// The query for a part's rows.
    func query(_ form: TableForm, from lower: [String]?, to upper: [String]?) -> String {
        var conditions = condition.map { ["(\($0))"] } ?? []
        guard let order else {
            let filter = conditions.first.map { " WHERE \($0)" } ?? ""
            return "SELECT \(form.selected) FROM \(shape.name.quoted)\(filter)"
        }
        if let range = order.condition(after: lower, upTo: upper) {
            conditions.append(conditions.isEmpty ? range : "(\(range))")
        }
        let condition =
            conditions.isEmpty ? "" : " WHERE \(conditions.joined(separator: " AND "))"
        return "SELECT \(form.selected) FROM \(order.from)\(condition) ORDER BY \(order.order)"
    }
}

/// Copies parts of tables over one pair of connections, each part in one fenced target
/// transaction together with the row that says so.
struct TableCopier {
    let source: Connection
    let session: TargetSession
    let fence: Fence
    let ledger: CopyLedger
    let usesLoadData: Bool
    let idle: IdleSession
    /// Throws when a table is not the one that the copy began with. Asked when all rows of a part
    /// are read, and before it commits.
    let requireSame: @Sendable (TableName) async throws -> Void
    /// Bytes that an INSERT aims at.
    private let statementBytes: Int

    init(
        source: Connection, session: TargetSession, fence: Fence, ledger: CopyLedger,
        usesLoadData: Bool, idle: IdleSession,
        requireSame: @escaping @Sendable (TableName) async throws -> Void
    ) {
        self.source = source
        self.session = session
        self.fence = fence
        self.ledger = ledger
        self.usesLoadData = usesLoadData
        self.idle = idle
        self.requireSame = requireSame
        statementBytes = min(1 << 20, session.maxPacket / 2)
    }

    private var target: Connection { session.connection }

    /// What a part came to.
    struct Outcome {
        var rows: UInt64 = 0
        var bytes: UInt64 = 0
    }

    /// The end of the chunk that begins behind `lower`, `nil` when it is the last.
    func boundary(_ tools: TableTools, after lower: [String]?) throws -> [String]? {
        guard let order = tools.order else { return nil }
        var found: [String]?
        do {
            try source.forEachRow(order.boundaryQuery(after: lower, rows: tools.chunkRows)) { row in
                found = order.literals(row)
            }
        } catch {
            throw translate(SourceFailure(error: error), tools.shape.name)
        }
        return found
    }

    /// Copies one chunk, by `LOAD DATA` where it can be.
    ///
    /// With `innodb_autoinc_lock_mode` 0 or 1 (MariaDB's default) `LOAD DATA` holds the table's
    /// AUTO-INC lock to its end, so that pairs on one table go one after the other; an INSERT of
    /// known rows does not, and costs a third more of the target's time. A table that several
    /// pairs share is therefore written by INSERT.
    ///
    /// A deadlock makes it try again, an odd ENUM value in another form, and a row that is refused
    /// in a way that replaces, if by now the table is read in several snapshots: a unique value
    /// may have moved between rows from one to the next.
    func copy(
        _ job: ChunkJob, _ tools: TableTools, snapshot: Int, mustReplace: () -> Bool
    ) async throws -> Outcome {
        var enums = tools.needsEnumForm
        var form = tools.form(enums: enums)
        var replaces = job.replaces
        var tries = 0
        while true {
            do {
                let asValues = enums || !mayLoad(tools) || job.isShared
                let query = tools.query(form, from: job.from, to: job.to)
                let (cursor, stream) = try read(query, form, asValues: asValues)
                defer { cursor.finish() }
                return try await transaction(tools.shape.name) {
                    try write(stream, form, replaces, asValues: asValues, .max, enums: enums)
                    return ChunkRecord(
                        table: tools.shape.name, chunk: job.number, snapshot: snapshot,
                        from: job.from, to: job.to, rows: stream.rows)
                } outcome: {
                    Outcome(rows: stream.rows, bytes: stream.bytes)
                }
            } catch let error as MySQLError where error.retry == .transaction && tries < 20 {
                tries += 1
            } catch  where !replaces && isAboutRows(error) && mustReplace() {
                replaces = true
            } catch  where !enums && tools.enumForm != nil && isAboutValues(error) {
                enums = true
                form = tools.enumForm!
            } catch {
                throw translate(error, tools.shape.name)
            }
        }
    }

    /// Copies a table without key: one SELECT, several target transactions when it is large.
    ///
    /// - Parameter onPart: called after each commit.
    func copyWhole(
        _ tools: TableTools, snapshot: Int, partBytes: Int, onPart: (Outcome) -> Void
    ) async throws {
        let name = tools.shape.name
        var enums = tools.needsEnumForm
        var form = tools.form(enums: enums)
        var asValues = enums || !mayLoad(tools)
        while true {
            var parts = 0
            do {
                let query = tools.query(form, from: nil, to: nil)
                let (cursor, stream) = try read(query, form, asValues: asValues)
                defer { cursor.finish() }
                repeat {
                    let before = (stream.rows, stream.bytes)
                    let outcome = try await transaction(name) {
                        try write(stream, form, false, asValues: asValues, partBytes, enums: enums)
                        return ChunkRecord(
                            table: name, chunk: parts, snapshot: snapshot,
                            from: parts == 0 ? nil : ["\(parts)"],
                            to: stream.hasRow ? ["\(parts + 1)"] : nil,
                            rows: stream.rows - before.0)
                    } outcome: {
                        Outcome(rows: stream.rows - before.0, bytes: stream.bytes - before.1)
                    }
                    parts += 1
                    onPart(outcome)
                } while stream.hasRow
                return
            } catch let error as MySQLError where error.retry == .transaction && parts == 0 {
                continue
            } catch  where !enums && tools.enumForm != nil && parts == 0 && isAboutValues(error) {
                enums = true
                asValues = true
                form = tools.enumForm!
            } catch let error as MySQLError where error.retry == .transaction {
                throw SnapshotError.startsOver(
                    [name], detail: "a lock was not to be had in the middle of a table without key")
            } catch  where !enums && tools.enumForm != nil && isAboutValues(error) {
                throw SnapshotError.startsOver(
                    [name], detail: "an ENUM holds its invalid member")
            } catch {
                throw translate(error, name)
            }
        }
    }

    /// Where a filter leaves rows out the source may think long between two others, and a LOAD that
    /// is fed nothing for 30 s ends; a session between two statements can be kept open.
    private func mayLoad(_ tools: TableTools) -> Bool { usesLoadData && tools.condition == nil }

    /// Sends a query, and waits for its first row.
    private func read(
        _ query: String, _ form: TableForm, asValues: Bool
    ) throws -> (ResultCursor, RowStream) {
        try idle.during {
            let cursor: ResultCursor
            do throws(MySQLError) {
                cursor = try source.open(query)
            } catch {
                throw SourceFailure(error: error)
            }
            return (cursor, try RowStream(cursor, form, asValues: asValues))
        }
    }

    /// A fenced transaction: fence first, then `body`, then the chunk's row, all replies read, and
    /// COMMIT alone. The view's transaction holds the table meanwhile.
    private func transaction(
        _ table: TableName, _ body: () throws -> ChunkRecord, outcome: () -> Outcome
    ) async throws -> Outcome {
        var head = ByteBuffer(capacity: 512)
        head.append("START TRANSACTION;" as StaticString)
        fence.append(to: &head, done: [])
        var matched: UInt64 = 0
        do {
            try target.execute(head) { matched = $0.affectedRows }
            try Fence.require(matched)
            let record = try body()
            try await requireSame(table)
            guard try target.execute(ledger.insertStatement(record)) == 1 else {
                throw CheckpointError.inconsistent(detail: "a chunk's row was not written")
            }
            try target.execute("COMMIT")
        } catch let error as MySQLError where error.isConnectionLost {
            throw error
        } catch {
            try target.execute("ROLLBACK")
            try target.execute("SET SESSION sql_mode='\(TargetSession.strictMode)'")
            throw error
        }
        return outcome()
    }

    private func write(
        _ stream: RowStream, _ form: TableForm, _ replaces: Bool, asValues: Bool, _ limit: Int,
        enums: Bool
    ) throws {
        guard stream.hasRow else { return }
        if asValues {
            try insert(stream, form, replaces, limit, enums: enums)
        } else {
            try load(stream, form, replaces, limit)
        }
    }

    private func load(
        _ stream: RowStream, _ form: TableForm, _ replaces: Bool, _ limit: Int
    ) throws {
        let start = (rows: stream.rows, bytes: stream.bytes)
        let reply = try target.load(form.loadStatement(replaces: replaces)) { out in
            let left = limit - Int(stream.bytes - start.bytes)
            guard left > 0, stream.hasRow else { return false }
            return try stream.fill(&out, bytes: min(left, 1 << 15)) > 0
        }
        let sent = stream.rows - start.rows
        let affected = replaces ? reply.affectedRows >= sent : reply.affectedRows == sent
        guard reply.warnings == 0, reply.skipped == 0, reply.records == sent, affected else {
            let texts = try target.warnings()
            throw WarnedRows(
                detail: "\(sent) rows sent, \(reply.records) read, \(reply.affectedRows) written, "
                    + "\(reply.skipped) left out, \(reply.warnings) warnings \(texts)")
        }
    }

    /// Writes rows by multi-row INSERT.
    ///
    /// ENUM's invalid member can't be written in strict mode, by no form; without it the server
    /// warns once for each, and just as many warnings as there are such values are required.
    private func insert(
        _ stream: RowStream, _ form: TableForm, _ replaces: Bool, _ limit: Int, enums: Bool
    ) throws {
        let start = stream.bytes
        let head = form.insertHead(replaces: replaces)
        var sql = ByteBuffer(capacity: statementBytes + (1 << 16))
        if enums { try target.execute("SET SESSION sql_mode='\(TargetSession.lenientMode)'") }
        while stream.hasRow, Int(stream.bytes - start) < limit {
            sql.removeAll()
            sql.append(head)
            guard stream.nextRowBytes + sql.count < session.maxPacket else {
                throw SnapshotError.rowTooLarge(
                    form.table, bytes: stream.nextRowBytes, limit: session.maxPacket)
            }
            let odd = stream.invalidEnums
            let rows = try idle.during {
                try stream.fill(
                    &sql, bytes: statementBytes, maxRows: enums ? 1000 : .max,
                    limit: session.maxPacket - 1024)
            }
            var reply: StatementReply?
            try target.execute(sql) { reply = $0 }
            guard let reply, Int(reply.warnings) == stream.invalidEnums - odd,
                replaces ? reply.affectedRows >= UInt64(rows) : reply.affectedRows == UInt64(rows)
            else {
                throw WarnedRows(
                    detail: "\(rows) rows sent, \(reply?.affectedRows ?? 0) written, "
                        + "\(reply?.warnings ?? 0) warnings \(try target.warnings())")
            }
            sql.shrink(to: statementBytes + (1 << 16))
        }
        if enums { try target.execute("SET SESSION sql_mode='\(TargetSession.strictMode)'") }
    }

    /// Whether the target took values amiss, which ENUM's invalid member is a reason for.
    private func isAboutValues(_ error: any Error) -> Bool {
        error is WarnedRows || (error as? MySQLError)?.code == 1265
    }

    /// Whether the target refused rows, which a value that another row has is a reason for.
    private func isAboutRows(_ error: any Error) -> Bool {
        error is WarnedRows || (error as? MySQLError)?.code == MySQLErrorCode.duplicateEntry
    }

    private func translate(_ error: any Error, _ table: TableName) -> any Error {
        switch error {
        case let failure as SourceFailure:
            switch failure.error.code {
            case MySQLErrorCode.tableDefinitionChanged, 1054: SnapshotError.tableChanged(table)
            case MySQLErrorCode.noSuchTable, MySQLErrorCode.unknownDatabase:
                SnapshotError.tableChanged(table)
            default: failure.error
            }
        case let warned as WarnedRows:
            SnapshotError.rowsChanged(table, detail: warned.detail)
        case let error as MySQLError where error.isRowError:
            SnapshotError.rowsChanged(table, detail: error.description)
        default: error
        }
    }
}

/// The target wrote something else than was sent, or warned about it.
struct WarnedRows: Error {
    let detail: String
}

extension MySQLError {
    /// Whether the server refused a row's values, as opposed to the statement or the session.
    var isRowError: Bool {
        switch code {
        case 1048, 1062, 1264, 1265, 1292, 1366, 1406, 3144, 3140, 4025, 3819, 1416: true
        default: false
        }
    }
}
