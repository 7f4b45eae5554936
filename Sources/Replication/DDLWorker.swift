internal import Checkpoint
internal import MySQLBinlog
internal import MySQLClient
internal import MySQLCore
internal import Rules
internal import Runtime

/// A DDL statement as it is sent to the target.
struct DDLRequest: Sendable {
    var identity: TransactionIdentity
    /// The statement's bytes, in the event's client character set.
    var sql: [UInt8]
    var defaultSchema: String?
    /// Session settings of the query event, as assignments.
    var settings: [String]
    /// All tables that the statement names.
    var tables: [TableName]
    var existAfter: [TableName]
    var goneAfter: [TableName]
    var isIdempotent: Bool
    /// Objects without rows (views, routines): a refusal is a warning.
    var mayFail: Bool
    /// Rows of the same transaction follow.
    var isOpening = false
    /// A schema of the target that goes: its views and routines go with it, as far as they are
    /// migrated. They go first: while the tables are there, all of it is run again after a crash.
    var emptiedSchema: (name: String, mapping: TableMapping)?
}

/// What a run found of its predecessor's last statement.
struct DDLRecovery: Sendable, Hashable {
    /// A statement that has run, and is marked now.
    var applied: TransactionIdentity?
    /// A statement that has run, whose rows are still to come.
    var opened: TransactionIdentity?
}

/// What came of a request.
struct DDLOutcome: Sendable {
    /// Shapes on the target afterwards, of tables that exist.
    var shapes: [TableName: TableShape]
    /// Why the target refused, where that is only a warning.
    var warning: String?
}

/// Runs DDL on the run's DDL connection: lock, intent, statement, mark. Lives on a thread of its
/// own, since a statement may take hours.
final class DDLWorker {
    enum Message: Sendable {
        case run(DDLRequest, Reply<DDLOutcome>)
        /// Asks for tables as they are on the target; those that don't exist are missing.
        case shapes([TableName], Reply<[TableName: TableShape]>)
        /// The rows behind an opening statement are committed.
        case close(Reply<Void>)
        case ping
        case end
    }

    private let session: TargetSession
    private let ledger: DDLLedger
    private let marks: MarkBoard
    private let times: DurationHistogram
    private var knownMark: UInt64 = 0

    /// - Parameter times: how long statements take.
    init(
        session: TargetSession, ledger: DDLLedger, marks: MarkBoard,
        times: DurationHistogram = DurationHistogram()
    ) {
        self.session = session
        self.ledger = ledger
        self.marks = marks
        self.times = times
    }

    /// Serves requests until the end.
    func run(_ mailbox: Mailbox<Message>) async throws {
        while true {
            switch try await mailbox.next() {
            case .end: return
            case .ping: try session.connection.ping()
            case .shapes(let tables, let reply):
                do {
                    let shapes = try SchemaReader(session.connection).shapes(of: tables)
                    try session.connection.execute("COMMIT")
                    reply.resolve(.success(shapes))
                } catch {
                    reply.resolve(.failure(error))
                    throw error
                }
            case .run(let request, let reply):
                let start = ContinuousClock.now
                do {
                    let outcome = try perform(request)
                    times.record(since: start)
                    reply.resolve(.success(outcome))
                } catch {
                    reply.resolve(.failure(error))
                    throw error
                }
            case .close(let reply):
                do {
                    reply.resolve(.success(try ledger.abandon()))
                } catch {
                    reply.resolve(.failure(error))
                    throw error
                }
            }
        }
    }

    /// Settles what an earlier run left: a statement that has run is marked, one that has not is
    /// forgotten, since the stream brings it again.
    ///
    /// - Parameter state: what the takeover found.
    func recover(_ state: SubtaskState) throws -> DDLRecovery {
        try ledger.lock()
        defer { try? ledger.unlock() }
        guard let intent = try ledger.read() else { return DDLRecovery() }
        if intent.step == .opened {
            let isMarked =
                state.carried.contains(intent.identity)
                || state.lowWater?.contains(intent.identity) == true
            guard isMarked else { return DDLRecovery(opened: intent.identity) }
            try ledger.abandon()
            return DDLRecovery()
        }
        var now: [TableName: TableTrace] = [:]
        for table in intent.before.keys { now[table] = try ledger.trace(table) }
        if now == intent.before {
            let hasIDs = now.values.contains { $0.tableID != nil }
            let changesNothingVisible =
                Set(intent.existAfter).isSubset(
                    of: Set(now.keys.filter { now[$0]?.definition != nil }))
                && intent.goneAfter.allSatisfy { now[$0]?.definition == nil }
            if hasIDs || intent.isIdempotent || !changesNothingVisible {
                try ledger.abandon()
                return DDLRecovery()
            }
            throw ReplicationError.undecidedDDL(
                statement: intent.statement,
                detail: "the tables look the same before and after it, and the user of the target "
                    + "lacks PROCESS, which shows table ids")
        }
        let fits =
            intent.existAfter.allSatisfy { now[$0]?.definition != nil }
            && intent.goneAfter.allSatisfy { now[$0]?.definition == nil }
        guard fits else {
            throw ReplicationError.undecidedDDL(
                statement: intent.statement,
                detail: "its tables are neither as before it nor as after it; "
                    + "bring them to one of both by hand")
        }
        if intent.step == .opening {
            try ledger.noteOpened()
            return DDLRecovery(opened: intent.identity)
        }
        try ledger.complete(intent.identity)
        return DDLRecovery(applied: intent.identity)
    }

    private func perform(_ request: DDLRequest) throws -> DDLOutcome {
        if let mark = marks.newer(than: &knownMark) { ledger.forget(heldBy: mark) }
        try ledger.lock()
        var before: [TableName: TableTrace] = [:]
        for table in request.tables { before[table] = try ledger.trace(table) }
        let text = String(decoding: request.sql, as: UTF8.self)
        let shown = withoutSecrets(text)
        try ledger.record(
            DDLIntent(
                identity: request.identity, step: request.isOpening ? .opening : .whole,
                statement: shown, before: before,
                existAfter: request.existAfter, goneAfter: request.goneAfter,
                isIdempotent: request.isIdempotent))
        var warning: String?
        do throws(MySQLError) {
            try send(request)
        } catch {
            // A lost connection leaves it open whether it has run; recovery finds out.
            if error.isConnectionLost { throw error }
            // Somebody holds the table, or the disk is full: it has not run, and can later.
            guard error.retry == .no else {
                try ledger.abandon()
                throw error
            }
            // The server repeats part of the statement in its words.
            let words = shown == text ? error.description : "ERROR \(error.code)"
            if !request.mayFail {
                try ledger.abandon()
                throw ReplicationError.refused(
                    request.tables.first,
                    detail: "\(words). The statement: \(Self.shortened(shown))")
            }
            warning = words
        }
        if request.isOpening {
            try ledger.noteOpened()
        } else {
            try ledger.complete(request.identity)
        }
        try ledger.unlock()
        let shapes = try SchemaReader(session.connection).shapes(of: request.existAfter)
        try session.connection.execute("COMMIT")
        return DDLOutcome(shapes: shapes, warning: warning)
    }

    /// Applies the statement's context and sends it, once.
    private func send(_ request: DDLRequest) throws(MySQLError) {
        let connection = session.connection
        if let schema = request.defaultSchema, !schema.isEmpty {
            do throws(MySQLError) {
                try connection.execute("USE \(quoteIdentifier(schema))")
            } catch  where error.code == MySQLErrorCode.unknownDatabase {
                // The statement names its schemas itself, or is refused below.
            }
        }
        // In another session the statement might mean something else: all or nothing.
        for setting in request.settings where try !isSetAlready(setting) {
            try connection.execute("SET SESSION \(setting)")
        }
        // What the source's session may have allowed; some servers want a privilege for it.
        do throws(MySQLError) {
            try connection.execute("SET SESSION innodb_strict_mode=0")
        } catch {
            if error.isConnectionLost { throw error }
        }
        var sql = ByteBuffer(capacity: request.sql.count)
        sql.append(request.sql)
        // MariaDB's EXCHANGE PARTITION waits for itself in a session without autocommit.
        try connection.execute("SET SESSION autocommit=1")
        // The ledger's statements come next, which no mode of the event may change.
        defer {
            _ = try? connection.execute("SET NAMES utf8mb4")
            _ = try? connection.execute("SET SESSION sql_mode='STRICT_ALL_TABLES'")
            _ = try? connection.execute("SET SESSION autocommit=0")
        }
        if let schema = request.emptiedSchema { try dropObjects(of: schema) }
        if sql.count > 0 { try connection.execute(sql) { _ in } }
    }

    private func dropObjects(
        of schema: (name: String, mapping: TableMapping)
    ) throws(MySQLError) {
        let name = utf8Literal(schema.name)
        let found = try session.connection.rows(
            "SELECT 'VIEW', TABLE_NAME FROM information_schema.VIEWS WHERE TABLE_SCHEMA=\(name) "
                + "UNION ALL SELECT ROUTINE_TYPE, ROUTINE_NAME FROM information_schema.ROUTINES "
                + "WHERE ROUTINE_SCHEMA=\(name) AND ROUTINE_TYPE IN ('PROCEDURE','FUNCTION')")
        for row in found {
            let object = TableName(schema: schema.name, name: row[1] ?? "")
            guard schema.mapping.keeps(object: object) else { continue }
            do throws(MySQLError) {
                try session.connection.execute("DROP \(row[0] ?? "") IF EXISTS \(object.quoted)")
            } catch {
                // Somebody else's, which this user may not drop.
                if error.isConnectionLost { throw error }
            }
        }
    }

    /// Whether a setting needs a privilege on some servers and is as it should be already.
    private func isSetAlready(_ setting: String) throws(MySQLError) -> Bool {
        let name = "explicit_defaults_for_timestamp"
        guard setting.hasPrefix(name) else { return false }
        let value = try session.connection.value("SELECT @@SESSION.\(name)")
        return value.map { "\(name)=\($0)" } == setting
    }

    private static func shortened(_ sql: String) -> String {
        sql.count > 300 ? sql.prefix(300) + " .." : sql
    }
}
