internal import Checkpoint
internal import MySQLBinlog
internal import MySQLClient
internal import MySQLCore
internal import Rules
internal import Runtime

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
        /// Tables that are merged with others are these now.
        case note([NotedTable], areNew: Bool, Reply<Void>)
        /// A statement stops the subtask.
        case stop(StoppedStatement, Reply<Void>)
        /// The rows behind an opening statement are committed.
        case close(Reply<Void>)
        case ping
        case end
    }

    let session: TargetSession
    let ledger: DDLLedger
    private let marks: MarkBoard
    private let times: DurationHistogram
    /// Tables of the target that the rules may lead tables of other sources to, and what these do.
    let shared: (mapping: TableMapping, others: OtherSources)?
    /// What is told of merged tables, and by whom.
    let tables: MergedTables
    let source: String
    /// Whether statements on merged tables are followed, by all sources of the task.
    let followsMerged: Bool
    private var knownMark: UInt64 = 0
    /// A statement of which an earlier run has run the parts before this one.
    private var begun: (identity: TransactionIdentity, part: DDLPartNumber)?
    /// A statement on a merged table that an earlier run was ended in: it may have run, or not.
    private(set) var repeated: TransactionIdentity?

    /// - Parameters:
    ///   - times: how long statements take.
    ///   - shared: where the task has other sources, which tables they may write to.
    ///   - followsMerged: whether all of them follow statements on merged tables.
    init(
        session: TargetSession, ledger: DDLLedger, marks: MarkBoard, tables: MergedTables,
        source: String, times: DurationHistogram = DurationHistogram(),
        shared: (mapping: TableMapping, others: OtherSources)? = nil, followsMerged: Bool = false
    ) {
        self.shared = shared
        self.followsMerged = followsMerged
        self.tables = tables
        self.source = source
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
            case .note(let tables, let areNew, let reply):
                do {
                    reply.resolve(.success(try note(tables, areNew: areNew)))
                } catch {
                    reply.resolve(.failure(error))
                    throw error
                }
            case .stop(let statement, let reply):
                do {
                    reply.resolve(.success(try ledger.note(statement)))
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
        if intent.step == .between {
            begun = (intent.identity, intent.part)
            return DDLRecovery()
        }
        if intent.isRepeatable { repeated = intent.identity }
        guard try !intent.isRepeatable && hasRun(intent) else {
            try forget(intent.part, of: intent.identity)
            if intent.part.index > 0 { begun = (intent.identity, intent.part) }
            return DDLRecovery()
        }
        if intent.step == .opening {
            try ledger.noteOpened()
            return DDLRecovery(opened: intent.identity)
        }
        if let next = intent.part.next {
            try ledger.await(next, of: intent.identity)
            begun = (intent.identity, next)
            return DDLRecovery()
        }
        try ledger.complete(intent.identity)
        return DDLRecovery(applied: intent.identity)
    }

    /// Whether a statement has run of which an earlier run has left the intent; false also where it
    /// may run again.
    ///
    /// - Throws: ``ReplicationError/undecidedDDL(statement:detail:)``.
    private func hasRun(_ intent: DDLIntent) throws -> Bool {
        let now = try ledger.traces(of: intent.before.keys)
        var differences: [TableName: TableTrace.Difference] = [:]
        for (table, before) in intent.before {
            differences[table] = now[table]?.difference(from: before)
        }
        func undecided(_ detail: String) -> ReplicationError {
            .undecidedDDL(statement: intent.statement, detail: detail)
        }
        let isAsAfter =
            intent.existAfter.allSatisfy { now[$0]?.definition != nil }
            && intent.goneAfter.allSatisfy { now[$0]?.definition == nil }
        if differences.values.contains(.changed) {
            if isAsAfter { return true }
            // Some servers drop one table after the other. What is left goes when it runs again.
            let isHalfGone =
                intent.isIdempotent && intent.existAfter.isEmpty
                && intent.goneAfter.allSatisfy {
                    now[$0]?.definition == nil || differences[$0] != .changed
                }
            if isHalfGone { return false }
            throw undecided(
                "its tables are neither as before it nor as after it; "
                    + "bring them to one of both by hand")
        }
        // It makes tables, or takes some away, and none has come or gone.
        if !isAsAfter { return false }
        if differences.values.contains(.unknown) {
            throw undecided(
                "another version of the server answers than before it, and words definitions of "
                    + "tables in another way")
        }
        if differences.values.contains(.none) || intent.isIdempotent { return false }
        throw undecided(
            "the tables look the same before and after it, and their ids say nothing: the user of "
                + "the target lacks PROCESS, which shows them, or lacked it then, or another "
                + "server answers")
    }

    /// A part has not run: what ran before it stays recorded.
    private func forget(_ part: DDLPartNumber, of identity: TransactionIdentity) throws {
        if part.index == 0 {
            try ledger.abandon()
        } else {
            try ledger.await(part, of: identity)
        }
    }

    private func perform(_ request: DDLRequest) throws -> DDLOutcome {
        if let mark = marks.newer(than: &knownMark) { ledger.forget(heldBy: mark) }
        try ledger.lock()
        if let change = request.merged {
            let outcome = try perform(request, change)
            try ledger.unlock()
            return outcome
        }
        let locked = try lockShared(request)
        defer { for target in locked { try? tables.unlock(target, session.connection) } }
        var warning: String?
        for number in try numbersLeft(of: request) {
            warning = try perform(request, number) ?? warning
        }
        begun = nil
        try ledger.unlock()
        let shapes = try SchemaReader(session.connection).shapes(of: request.existAfter)
        try session.connection.execute("COMMIT")
        return DDLOutcome(shapes: shapes, warning: warning)
    }

    /// The parts that have not run: all, but for a statement that an earlier run began.
    private func numbersLeft(of request: DDLRequest) throws -> ArraySlice<DDLPartNumber> {
        let numbers = request.numbers
        guard let begun else { return numbers[...] }
        guard begun.identity == request.identity,
            numbers.indices.contains(begun.part.index), numbers[begun.part.index] == begun.part
        else {
            throw ReplicationError.undecidedDDL(
                statement: Self.shortened(
                    withoutSecrets(String(decoding: request.parts[0].sql, as: UTF8.self))),
                detail: "of transaction \(begun.identity), \(begun.part.index) of "
                    + "\(begun.part.count) statements have run, and now it is another list of "
                    + "statements: the rules were changed; bring them back to what they were")
        }
        return numbers[begun.part.index...]
    }

    /// Runs one part: intent, statement, mark.
    ///
    /// - Returns: why the target refused, where that is only a warning.
    func perform(_ request: DDLRequest, _ number: DDLPartNumber) throws -> String? {
        let part = request.parts[number.index]
        // Rows wait for the last one.
        let isOpening = request.isOpening && number.next == nil
        if !request.isSettled { try refuseShared(part, request) }
        let text = String(decoding: part.sql, as: UTF8.self)
        let shown = withoutSecrets(text)
        do {
            try ledger.record(
                DDLIntent(
                    identity: request.identity, step: isOpening ? .opening : .whole,
                    statement: Self.shortened(shown), before: ledger.traces(of: part.tables),
                    existAfter: part.existAfter, goneAfter: part.goneAfter,
                    isIdempotent: part.isIdempotent, isRepeatable: request.isRepeatable,
                    part: number))
        } catch let error as IntentTooLarge {
            if number.index > 0 { try forget(number, of: request.identity) }
            throw try refusal(request, part, shown, "\(error): raise it there")
        }
        var warning: String?
        var isEmptied = false
        do throws(MySQLError) {
            try send(part) { () throws(MySQLError) in
                if number.index == 0, let schema = request.emptiedSchema {
                    isEmptied = try dropObjects(of: schema)
                }
            }
        } catch {
            // A lost connection leaves it open whether it has run; recovery finds out.
            if error.isConnectionLost { throw error }
            // Somebody holds the table, or the disk is full: it has not run, and can later.
            guard error.retry == .no else {
                try forget(number, of: request.identity)
                throw error
            }
            // The server repeats part of the statement in its words.
            let words = shown == text ? error.description : "ERROR \(error.code)"
            if !request.mayFail {
                try forget(number, of: request.identity)
                throw try refusal(request, part, shown, words)
            }
            warning = words
        }
        if isOpening {
            try ledger.noteOpened()
        } else if let next = number.next {
            try ledger.await(next, of: request.identity)
        } else {
            var effects = Self.effects(of: request, refused: warning)
            if isEmptied, let schema = request.emptiedSchema {
                effects.append(.emptied(schema: schema.name))
            }
            try ledger.complete(request.identity, effects, with: request.completion)
        }
        return warning
    }

    /// What a statement means for the views and routines that it is about.
    ///
    /// - Parameter reason: why the target refused it; `nil` where it has run.
    private static func effects(
        of request: DDLRequest, refused reason: String?
    ) -> [ObjectEffect] {
        request.objects.map { use in
            guard let reason else {
                return use.isSettled ? .settled(use.id) : .touched(use.id)
            }
            let place = request.position.map { "\($0)" } ?? ""
            return .stale(StaleObject(use.id, position: place, reason: reason))
        }
    }

    /// A statement of one source must not take another one's rows along, nor change their columns.
    private func refuseShared(_ part: DDLRequest.Part, _ request: DDLRequest) throws {
        guard let shared else { return }
        for table in part.tables where shared.mapping.mayBeShared(target: table) {
            guard try !shared.others.copy(session.connection) else {
                try session.connection.execute("COMMIT")
                throw ReplicationError.othersAreCopied(table)
            }
            if followsMerged { try awaitDecided(table) }
            // Rows of a new table come before the mark that has its shape, and behind what is told.
            let isTheirs =
                try shared.others.write(to: table, session.connection)
                || followsMerged && isToldOfByOthers(table)
            try session.connection.execute("COMMIT")
            guard isTheirs else { continue }
            if request.foundAlone.contains(table) { throw ReplicationError.othersHaveCome(table) }
            throw try refusal(
                request, part, withoutSecrets(String(decoding: part.sql, as: UTF8.self)),
                "\(table) holds rows of other sources, too: change it by hand when all of "
                    + "them have come this far, and leave the statement out", of: table)
        }
    }

    /// Records that the subtask stops at a statement, for a person to decide about it.
    func refusal(
        _ request: DDLRequest, _ part: DDLRequest.Part, _ shown: String, _ reason: String,
        of table: TableName? = nil
    ) throws -> ReplicationError {
        let statement = Self.shortened(shown)
        try ledger.note(
            StoppedStatement(
                identity: request.identity, position: request.position.map { "\($0)" } ?? "",
                statement: statement, reason: reason))
        return .refusedStatement(
            table ?? part.tables.first, request.position, statement: statement, detail: reason)
    }

    /// Has the session stand in the schema that the statement's session stood in. Where the target
    /// has none of that name, or none that its user may enter, it stands where nothing can be made
    /// or dropped: a statement that names its schemas itself runs, and another one is refused
    /// instead of meaning what is in the schema of the statement before it.
    ///
    /// - Returns: why it is not in its own.
    private func enter(_ part: DDLRequest.Part) throws(MySQLError) -> MySQLError? {
        var reason: MySQLError?
        var schema = part.defaultSchema ?? ""
        // What is Skein's own text names all its schemas. Filters of the target's binlog may go by
        // the session's, and let those of its tables pass.
        let isOwn = schema.isEmpty
        if isOwn { schema = part.tables.first?.schema ?? "" }
        if !schema.isEmpty {
            do throws(MySQLError) {
                try session.connection.execute("USE \(quoteIdentifier(schema))")
                return nil
            } catch {
                guard
                    error.code == MySQLErrorCode.unknownDatabase
                        || error.code == MySQLErrorCode.databaseDenied
                else { throw error }
                reason = isOwn ? nil : error
            }
        }
        try session.connection.execute("USE \(Self.nowhere)")
        return reason
    }

    /// The schema that everybody may enter and nobody may change.
    private static let nowhere = "information_schema"

    /// Applies the statement's context and sends it, once.
    private func send(
        _ part: DDLRequest.Part, after first: () throws(MySQLError) -> Void = {}
    ) throws(MySQLError) {
        let connection = session.connection
        // The ledger's statements come next, which no mode of the event may change.
        defer { try? session.leaveContext() }
        let misplaced = try enter(part)
        // In another session the statement might mean something else: all or nothing.
        for setting in part.settings where try !isSetAlready(setting) {
            try connection.execute("SET SESSION \(setting)")
        }
        // What the source's session may have allowed; some servers want a privilege for it.
        do throws(MySQLError) {
            try connection.execute("SET SESSION innodb_strict_mode=0")
        } catch {
            if error.isConnectionLost { throw error }
        }
        var sql = ByteBuffer(capacity: part.sql.count)
        sql.append(part.sql)
        // MariaDB's EXCHANGE PARTITION waits for itself in a session without autocommit.
        try connection.execute("SET SESSION autocommit=1")
        try first()
        guard sql.count > 0 else { return }
        do throws(MySQLError) {
            try connection.execute(sql) { _ in }
        } catch {
            // What the statement lacks is its schema, not what that one doesn't have.
            guard let misplaced, error.message.contains(Self.nowhere) else { throw error }
            throw misplaced
        }
    }

    /// - Returns: whether nothing of it was refused.
    private func dropObjects(
        of schema: (name: String, mapping: TableMapping)
    ) throws(MySQLError) -> Bool {
        var isWhole = true
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
                isWhole = false
            }
        }
        return isWhole
    }

    /// Whether a setting needs a privilege on some servers and is as it should be already.
    private func isSetAlready(_ setting: String) throws(MySQLError) -> Bool {
        let name = "explicit_defaults_for_timestamp"
        guard setting.hasPrefix(name) else { return false }
        let value = try session.connection.value("SELECT @@SESSION.\(name)")
        return value.map { "\(name)=\($0)" } == setting
    }

    static func shortened(_ sql: String) -> String {
        sql.count > 300 ? sql.prefix(300) + " .." : sql
    }
}

extension DDLPartNumber {
    /// The part behind it; `nil` for the last one.
    fileprivate var next: DDLPartNumber? {
        guard index + 1 < count else { return nil }
        var next = self
        next.index += 1
        return next
    }
}
