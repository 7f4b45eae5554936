internal import Checkpoint
internal import DumpFiles
internal import MySQLClient
internal import MySQLCore
internal import MySQLSyntax
internal import Rules
internal import Synchronization

/// A file of rows that is to be loaded, from where earlier runs have come to.
struct LoadJob: Sendable {
    let table: TableName
    let file: DumpFileName
    let bytes: UInt64
    /// Number of the file among the table's, from 1.
    let number: Int
    /// The offset behind the newest row that is on the target, in the unpacked file.
    let begun: UInt64
    /// Rows up to there.
    let rows: UInt64
    /// Whether rows of this table can be taken back.
    let isTransactional: Bool
    /// Columns whose values may be ENUM's invalid member, in a table made by this load.
    let enums: Set<String>
    /// The table's name in the dump, where it is another one.
    var source: TableName?
    /// Columns that a route fills, with their values.
    var filled: [ConstantColumn] = []
    /// Columns of rows in files that name none; empty where they are not known.
    var columns: [String] = []
    /// Whether rows must name their columns: other tables come there too, or the table has them in
    /// another order than the dump's.
    var namesColumns = false
    /// A column of the table that can be written; `nil` where none is known.
    var unchanged: String?

    /// The columns that rows of a list are written to, for an INSERT.
    ///
    /// - Parameter list: the file's, in parentheses; empty where it has none.
    func insertColumns(_ list: String) throws -> String {
        guard !filled.isEmpty || namesColumns && list.isEmpty else { return list }
        var list = list
        if list.isEmpty {
            guard !columns.isEmpty else {
                throw DumpFileError(
                    "it does not name the columns of its rows, and the dump does not define the "
                        + "table: a route that fills a column, or merges "
                        + "tables, needs the one or the other")
            }
            list = "(\(columns.map { quoteIdentifier($0) }.joined(separator: ",")))"
        }
        guard !filled.isEmpty else { return list }
        let added = filled.map { quoteIdentifier($0.name) }.joined(separator: ",")
        return "(\(added),\(list.dropFirst())"
    }

    /// What stands before a row's own values: `(` and the filled ones; empty where there are none.
    var rowHead: String {
        filled.isEmpty ? "" : "(" + filled.map { "\(utf8Literal($0.value))," }.joined()
    }
}

/// What the lanes of a run share.
final class LoadWork: Sendable {
    private let left: Mutex<[LoadJob]>
    let context: SyntaxContext
    let directory: DumpDirectory
    let timeZone: String?
    /// Tables with values that depend on the time zone.
    let zoned: Set<TableName>

    /// - Parameter jobs: in the order in which they are begun.
    init(
        _ jobs: [LoadJob], context: SyntaxContext, directory: DumpDirectory, timeZone: String?,
        zoned: Set<TableName>
    ) {
        left = Mutex(jobs.reversed())
        self.context = context
        self.directory = directory
        self.timeZone = timeZone
        self.zoned = zoned
    }

    func next() -> LoadJob? { left.withLock { $0.popLast() } }
}

/// Loads files over one connection, some rows at a time: each INSERT is a transaction of its own,
/// which also records how far the file has come.
struct LoadLane {
    let session: TargetSession
    let fence: Fence
    let ledger: CopyLedger
    let progress: TransferProgress
    private let duplicates: LoadConfiguration.Duplicates
    private let reading: ReadingSession
    private let statementBytes: Int

    /// - Parameter pause: how long nothing comes over the session while files are read.
    init(
        session: TargetSession, fence: Fence, ledger: CopyLedger, progress: TransferProgress,
        duplicates: LoadConfiguration.Duplicates = .error, pause: Duration = .seconds(5)
    ) {
        self.duplicates = duplicates
        self.session = session
        self.fence = fence
        self.ledger = ledger
        self.progress = progress
        reading = ReadingSession(session.connection, pause: pause)
        statementBytes = min(1 << 20, session.maxPacket / 2)
    }

    private var target: Connection { session.connection }

    /// Loads what is left of a file.
    func load(_ job: LoadJob, _ work: LoadWork) throws {
        do {
            try loadRows(job, work)
        } catch let error as DumpFileError {
            throw error.inFile(job.file.text)
        } catch let error as RowTooLong {
            throw SnapshotError.rowTooLarge(
                job.table, bytes: error.bytes, limit: session.maxPacket)
        }
    }

    private func loadRows(_ job: LoadJob, _ work: LoadWork) throws {
        let content = try work.directory.content(of: job.file)
        let reader = RowFileReader(
            table: (job.source ?? job.table).name, context: work.context,
            rowLimit: session.maxPacket,
            more: { [reading] out in
                // No statement is under way while rows are read.
                try reading.keepOpen()
                return try content(&out)
            })
        var part = Part(job: job, duplicates)
        var hasRow = try skip(reader, job)
        var generation = -1
        while hasRow {
            try Task.checkCancellation()
            if reader.generation != generation {
                generation = reader.generation
                part.mode = try use(reader.settings, job, work)
                let list = try job.insertColumns(String(decoding: reader.columns, as: UTF8.self))
                let verb = duplicates == .replace ? "REPLACE" : "INSERT"
                part.head = "\(verb) INTO \(job.table.quoted) \(list) VALUES "
            }
            hasRow = try collect(reader, &part)
            try write(&part, isLast: false)
        }
        // Also of a file without rows: nothing of it is looked at again.
        part.sql.removeAll()
        part.batch = 0
        try write(&part, isLast: true)
        progress.update { $0.filesDone += 1 }
    }

    /// What is loaded in one transaction, and what has been.
    private struct Part: ~Copyable {
        let job: LoadJob
        var head = ""
        /// What stands behind the rows.
        let tail: String
        /// What is put before a row's own values, in the place of its parenthesis.
        let rowHead: String
        /// The file's `sql_mode`, without what makes it strict.
        var mode = ""
        var sql = ByteBuffer(capacity: 1 << 16)
        /// Rows of it.
        var batch: UInt64 = 0
        /// The offset behind its last row.
        var end: UInt64
        /// Rows of the file up to there.
        var rows: UInt64

        init(job: LoadJob, _ duplicates: LoadConfiguration.Duplicates) {
            self.job = job
            // Not IGNORE, which passes over any other error too.
            let name = duplicates == .ignore ? job.unchanged.map { quoteIdentifier($0) } : nil
            tail = name.map { " ON DUPLICATE KEY UPDATE \($0)=\($0)" } ?? ""
            rowHead = job.rowHead
            end = job.begun
            rows = job.rows
        }
    }

    /// Passes over what is on the target already.
    ///
    /// - Returns: whether there is a row behind it, which the reader is at.
    private func skip(_ reader: RowFileReader, _ job: LoadJob) throws -> Bool {
        var rows: UInt64 = 0
        var isExact = job.begun == 0
        while try reader.next() {
            if reader.offset > job.begun {
                guard isExact, rows == job.rows else { break }
                return true
            }
            rows += 1
            isExact = reader.offset == job.begun
        }
        guard isExact, rows == job.rows else {
            throw DumpFileError("it is not the file that the load began with")
        }
        return false
    }

    /// Collects rows from the reader's on, of the same kind, until there are enough for an INSERT.
    ///
    /// - Returns: whether there is a row behind them, which the reader is at.
    private func collect(_ reader: RowFileReader, _ part: inout Part) throws -> Bool {
        let generation = reader.generation
        defer { part.sql.append(part.tail) }
        part.sql.removeAll()
        part.sql.shrink(to: statementBytes + (1 << 16))
        part.sql.append(part.head)
        part.batch = 0
        // An ENUM's invalid member is warned about, and a server remembers so many warnings.
        let limit: UInt64 = part.job.enums.isEmpty ? .max : 10_000
        let fits = session.maxPacket - 1024
        repeat {
            let needed = reader.rowBytes + part.rowHead.utf8.count + 1
            if part.batch > 0, part.sql.count + needed > fits { return true }
            guard part.sql.count + needed <= fits else {
                throw SnapshotError.rowTooLarge(
                    part.job.table, bytes: reader.rowBytes, limit: session.maxPacket)
            }
            if part.batch > 0 { part.sql.append(UInt8(ascii: ",")) }
            if part.rowHead.isEmpty {
                reader.appendRow(to: &part.sql)
            } else {
                part.sql.append(part.rowHead)
                reader.appendRow(to: &part.sql, isOpen: true)
            }
            part.batch += 1
            part.rows += 1
            part.end = reader.offset
            guard try reader.next() else { return false }
        } while part.sql.count < statementBytes && part.batch < limit
            && reader.generation == generation
        return true
    }

    /// Takes over a file's settings. Of `sql_mode` only what changes the meaning of text: values
    /// that do not fit are errors, whatever the dump's session thought of them.
    ///
    /// - Returns: the mode, without what makes it strict.
    private func use(
        _ settings: DumpFileSettings, _ job: LoadJob, _ work: LoadWork
    ) throws -> String {
        guard let zone = settings.timeZone ?? work.timeZone ?? defaultZone(job, work) else {
            throw DumpFileError(
                "it does not say which time zone its TIMESTAMP values are in; give it by "
                    + "--time-zone (+00:00 for UTC)")
        }
        try target.execute("SET NAMES \(quoteIdentifier(settings.charset))")
        try target.execute(
            "SET SESSION time_zone=\(utf8Literal(zone)), max_error_count=65535")
        var mode = TargetSession.lenientMode
        if settings.mode.contains(.ansiQuotes) { mode += ",ANSI_QUOTES" }
        if settings.mode.contains(.noBackslashEscapes) { mode += ",NO_BACKSLASH_ESCAPES" }
        return mode
    }

    private func defaultZone(_ job: LoadJob, _ work: LoadWork) -> String? {
        work.zoned.contains(job.table) ? nil : "+00:00"
    }

    /// Writes the collected rows, and how far that is, in one transaction; tries again where the
    /// server asks for that.
    private func write(_ part: inout Part, isLast: Bool) throws {
        let job = part.job
        let record = ChunkRecord(
            table: job.table, chunk: job.number, snapshot: 0,
            from: [job.file.text, String(job.bytes)] + LoadPlan.recorded(job.filled),
            to: [String(part.end), isLast ? "done" : "part"], rows: part.rows)
        let recorded = try ledger.progressStatement(record)
        var tries = 0
        var isStrict = true
        while true {
            do {
                try transaction(part, recorded, isStrict: isStrict)
                break
            } catch let error as MySQLError where error.retry == .transaction && tries < 20 {
                guard job.isTransactional else {
                    throw SnapshotError.startsOver(
                        [job.table], detail: "its engine can't take rows back")
                }
                tries += 1
            } catch let error as MySQLError
                where error.code == 1265 && isStrict && !job.enums.isEmpty && job.isTransactional
            {
                isStrict = false
            } catch let error as MySQLError where error.isRowError {
                throw SnapshotError.rowsChanged(
                    job.table, detail: "\(job.file.text): \(error.description)")
            } catch let error as WarnedRows {
                throw SnapshotError.rowsChanged(
                    job.table, detail: "\(job.file.text): \(error.detail)")
            }
        }
        let (rows, bytes) = (part.batch, UInt64(part.sql.count))
        progress.update {
            $0.rows += rows
            $0.bytes += bytes
        }
    }

    private func transaction(
        _ part: borrowing Part, _ recorded: String, isStrict: Bool
    ) throws {
        do {
            // A packet each: the session takes no more at once.
            try target.execute("START TRANSACTION")
            try fence.run(target, done: [])
            if part.batch > 0 { try insert(part, isStrict: isStrict) }
            guard try target.execute(recorded) > 0 else {
                throw CheckpointError.inconsistent(detail: "a file's row was not written")
            }
            try target.execute("COMMIT")
        } catch let error as MySQLError where error.isConnectionLost {
            throw error
        } catch {
            try target.execute("ROLLBACK")
            throw error
        }
    }

    private func insert(_ part: borrowing Part, isStrict: Bool) throws {
        // In every transaction: one that failed may have left the other mode behind.
        try target.execute(
            "SET SESSION sql_mode='\(isStrict ? "STRICT_ALL_TABLES," : "")\(part.mode)'")
        var answer: StatementReply?
        try target.execute(part.sql) { answer = $0 }
        guard let reply = answer else { throw WarnedRows(detail: "the server gave no answer") }
        if !isStrict {
            try requireEnumsOnly(reply, part.job)
        } else if reply.warnings > 0 {
            throw WarnedRows(
                detail: "\(reply.warnings) warnings \(try target.warnings())")
        }
        // A row that stays counts as none, or as one; one that takes others' place as more.
        let isCounted =
            switch duplicates {
            case .error: reply.affectedRows == part.batch
            case .replace: reply.affectedRows >= part.batch
            case .ignore: reply.affectedRows <= part.batch
            }
        guard isCounted else {
            throw WarnedRows(detail: "\(part.batch) rows sent, \(reply.affectedRows) written")
        }
    }

    /// The invalid member of an ENUM can be written by a session that is not strict alone; nothing
    /// else may be amiss there.
    private func requireEnumsOnly(_ reply: StatementReply, _ job: LoadJob) throws {
        guard reply.warnings > 0 else { return }
        let texts = try target.rows("SHOW WARNINGS")
        let allowed = job.enums.map { "'\($0)'" }
        let areEnums = texts.allSatisfy { row in
            row[1] == "1265" && allowed.contains { (row[2] ?? "").contains($0) }
        }
        guard areEnums, texts.count == Int(reply.warnings) else {
            throw WarnedRows(
                detail: "\(reply.warnings) warnings \(texts.prefix(3).map { $0[2] ?? "" })")
        }
    }
}
