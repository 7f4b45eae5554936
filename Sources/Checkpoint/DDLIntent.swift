internal import Foundation
public import MySQLClient
public import MySQLCore

/// What a DDL statement is to its source transaction; the number is what `step` holds.
public enum DDLStep: Int, Sendable, Hashable {
    /// All of it.
    case whole = 0
    /// The last statement before rows of the same transaction.
    case opening = 1
    /// All statements have run; rows are awaited, or on their way.
    case opened = 2
    /// One of several parts is awaited; those before it have run.
    case between = 3
}

/// One of the statements that a source's statement is on the target. They run one after the other,
/// each with an intent of its own, and the last one's marks the identity.
public struct DDLPartNumber: Sendable, Hashable, Codable {
    /// Its number, from 0.
    public var index: Int
    /// How many there are.
    public var count: Int
    /// What tells the same list of parts from another one.
    public var digest: String

    /// Makes the number of the only part.
    public init() { self.init(index: 0, count: 1, digest: "") }

    /// Makes a number.
    public init(index: Int, count: Int, digest: String) {
        self.index = index
        self.count = count
        self.digest = digest
    }
}

/// A DDL statement that is about to run, or has run: recorded before, cleared together with its
/// identity's mark.
public struct DDLIntent: Sendable, Hashable {
    /// The source transaction that it is.
    public var identity: TransactionIdentity
    /// What it is to the transaction.
    public var step: DDLStep
    /// The statement as it is sent.
    public var statement: String
    /// The tables that it names, before it ran.
    public var before: [TableName: TableTrace]
    /// Tables that must exist after it.
    public var existAfter: [TableName]
    /// Tables that must not exist after it.
    public var goneAfter: [TableName]
    /// Whether it may run when its tables look as before it: then it has not run, or running it
    /// once more changes nothing while nothing else runs.
    public var isIdempotent: Bool
    /// Whether what it is to do is found out anew from what the target has, so that it does not
    /// matter whether it has run: others may have changed its tables since.
    public var isRepeatable: Bool
    /// Which of the parts it is, where the source's statement is several on the target.
    public var part: DDLPartNumber

    /// Makes an intent.
    public init(
        identity: TransactionIdentity, step: DDLStep, statement: String,
        before: [TableName: TableTrace], existAfter: [TableName], goneAfter: [TableName],
        isIdempotent: Bool, isRepeatable: Bool = false, part: DDLPartNumber = DDLPartNumber()
    ) {
        self.isRepeatable = isRepeatable
        self.part = part
        self.identity = identity
        self.step = step
        self.statement = statement
        self.before = before
        self.existAfter = existAfter
        self.goneAfter = goneAfter
        self.isIdempotent = isIdempotent
    }
}

/// An intent can't be recorded: the target's `max_allowed_packet` is smaller.
public struct IntentTooLarge: Error, Sendable, Hashable, CustomStringConvertible {
    /// How large it is, in bytes.
    public var bytes: Int
    /// What the target takes.
    public var limit: Int

    /// One sentence.
    public var description: String {
        "its record takes \(bytes) bytes, and the target takes \(limit) (max_allowed_packet)"
    }
}

/// What the DDL connection of a run does in the meta schema. It owns a lane row of its own, so
/// that nobody else writes it.
public final class DDLLedger {
    private struct Context: Codable {
        /// Who has told `before`; there is no need to repeat it for each of ten thousand tables.
        var witness: TableTrace.Witness?
        var before: [Traced]
        var existAfter: [TableName]
        var goneAfter: [TableName]
        var isIdempotent: Bool
        /// `nil` for false.
        var isRepeatable: Bool?
        /// `nil` for the only part.
        var part: DDLPartNumber?
    }

    private struct Traced: Codable {
        var table: TableName
        var trace: TableTrace
    }

    /// More than the words and names of the statement that records an intent.
    private static let frame = 4096

    private let session: TargetSession
    private let meta: MetaSchema
    private let key: SubtaskKey
    private let fence: Fence
    private var done = IdentitySet()

    /// Makes the ledger of a run's DDL session, whose lane row has number `lane`.
    public init(
        session: TargetSession, meta: MetaSchema, key: SubtaskKey, lane: Int, token: RunToken
    ) {
        self.session = session
        self.meta = meta
        self.key = key
        fence = Fence(meta: meta, key: key, lane: lane, token: token)
    }

    /// Takes the subtask's DDL lock: ends an idle holder, waits for one that still executes.
    public func lock() throws { try ddlLock.take() }

    /// Gives the lock back.
    public func unlock() throws { try ddlLock.release() }

    private var ddlLock: DDLLock { DDLLock(session: session, meta: meta, key: key) }

    /// Reads the intent that an earlier run left, `nil` when there is none.
    public func read() throws -> DDLIntent? {
        let rows = try session.connection.rows(
            "SELECT HEX(identity), step, HEX(statement), HEX(context) FROM \(meta.table("ddl")) "
                + "WHERE \(key.condition)")
        try session.connection.execute("COMMIT")
        return try rows.first.map(Self.intent)
    }

    /// Other sources of the task that have left the intent of a statement on a table, and are to tell
    /// by the table whether it has run. For who holds the lock under which such statements run: none
    /// of them is under way then.
    ///
    /// - Throws: `MySQLError`, ``CheckpointError/unusable(detail:)``.
    public func undecidedSources(of table: TableName) throws -> [String] {
        let rows = try session.connection.rows(
            "SELECT HEX(identity), step, HEX(statement), HEX(context), source "
                + "FROM \(meta.table("ddl")) WHERE task=\(utf8Literal(key.task)) "
                + "AND source<>\(utf8Literal(key.source)) ORDER BY source")
        try session.connection.execute("COMMIT")
        return try rows.compactMap { row in
            let intent = try Self.intent(row)
            // What is found out anew, or has run, is not told by the table.
            guard !intent.isRepeatable, intent.step == .whole || intent.step == .opening else {
                return nil
            }
            let isNamed =
                intent.before[table] != nil || intent.existAfter.contains(table)
                || intent.goneAfter.contains(table)
            return isNamed ? row[4] : nil
        }
    }

    /// An intent, of a row with its identity, step, statement and context.
    private static func intent(_ row: [String?]) throws -> DDLIntent {
        let set = try IdentitySet(encoded: unhex(row[0]))
        let bytes = unhex(row[3])
        guard let identity = set.identities.first, bytes.first == 1,
            let step = row[1].flatMap({ Int($0) }).flatMap(DDLStep.init)
        else {
            throw CheckpointError.unusable(detail: "the DDL intent has an unknown format")
        }
        let context = try JSONDecoder().decode(Context.self, from: Data(bytes.dropFirst()))
        return DDLIntent(
            identity: identity, step: step,
            statement: String(decoding: unhex(row[2]), as: UTF8.self),
            before: Dictionary(
                context.before.map { traced in
                    var trace = traced.trace
                    if trace.definition != nil, trace.witness == nil {
                        trace.witness = context.witness
                    }
                    return (traced.table, trace)
                }, uniquingKeysWith: { a, _ in a }),
            existAfter: context.existAfter, goneAfter: context.goneAfter,
            isIdempotent: context.isIdempotent, isRepeatable: context.isRepeatable ?? false,
            part: context.part ?? DDLPartNumber())
    }

    /// Records an intent, durably when it returns. That of a later part takes the place of the one
    /// before it.
    ///
    /// - Throws: ``IntentTooLarge`` where the target would take no packet of that size.
    public func record(_ intent: DDLIntent) throws {
        var set = IdentitySet()
        set.insert(intent.identity)
        let encoded = try encodedContext(intent)
        // The statement that records it has each byte as two digits.
        let size = 2 * (set.encoded.count + intent.statement.utf8.count + encoded.count)
        guard size < session.maxPacket - Self.frame else {
            throw IntentTooLarge(bytes: size, limit: session.maxPacket)
        }
        if intent.part.index > 0 { return try replace(by: intent) }
        try transaction { connection in
            try connection.execute(
                """
                INSERT INTO \(meta.table("ddl")) \
                (task, source, identity, step, statement, before_state, context) VALUES \
                (\(key.values),\(hexLiteral(set.encoded)),\(intent.step.rawValue),\
                \(hexLiteral(Array(intent.statement.utf8))),'',\(hexLiteral(encoded)))
                """)
        }
    }

    /// Notes that all parts before this one have run, and nothing of it.
    ///
    /// - Parameter part: its index is above 0.
    public func await(_ part: DDLPartNumber, of identity: TransactionIdentity) throws {
        precondition(part.index > 0 && part.index < part.count)
        try replace(
            by: DDLIntent(
                identity: identity, step: .between, statement: "", before: [:], existAfter: [],
                goneAfter: [], isIdempotent: false, part: part))
    }

    private func replace(by intent: DDLIntent) throws {
        let encoded = try encodedContext(intent)
        try transaction { connection in
            let matched = try connection.execute(
                """
                UPDATE \(meta.table("ddl")) SET step=\(intent.step.rawValue), \
                statement=\(hexLiteral(Array(intent.statement.utf8))), \
                context=\(hexLiteral(encoded)) WHERE \(key.condition)
                """)
            guard matched == 1 else {
                throw CheckpointError.inconsistent(detail: "the intent of \(key) is gone")
            }
        }
    }

    private func encodedContext(_ intent: DDLIntent) throws -> [UInt8] {
        let witness = intent.before.values.compactMap(\.witness).first
        let context = Context(
            witness: witness,
            before: intent.before.map { table, trace in
                var trace = trace
                if trace.witness == witness { trace.witness = nil }
                return Traced(table: table, trace: trace)
            },
            existAfter: intent.existAfter, goneAfter: intent.goneAfter,
            isIdempotent: intent.isIdempotent,
            isRepeatable: intent.isRepeatable ? true : nil,
            part: intent.part == DDLPartNumber() ? nil : intent.part)
        return [1] + Array(try JSONEncoder().encode(context))
    }

    /// Clears the intent and marks its identity as applied, in one transaction.
    ///
    /// - Parameters:
    ///   - effects: what the statement means for views and routines; in the same one.
    ///   - statements: what else is recorded in it, told by what is recorded by then.
    public func complete(
        _ identity: TransactionIdentity, _ effects: [ObjectEffect] = [],
        with statements: (Connection) throws -> [String] = { _ in [] }
    ) throws {
        var next = done
        next.insert(identity)
        let stale = StaleObjects(meta: meta, key: key)
        try transaction(done: next) { connection in
            try connection.execute("DELETE FROM \(meta.table("ddl")) WHERE \(key.condition)")
            try stale.apply(effects, connection)
            for statement in try statements(connection) { try connection.execute(statement) }
        }
        done = next
    }

    /// Runs statements on the subtask's records, in one transaction that proves the run.
    ///
    /// - Parameter statements: told by what is recorded by then.
    public func write(_ statements: (Connection) throws -> [String]) throws {
        try transaction { connection in
            for statement in try statements(connection) { try connection.execute(statement) }
        }
    }

    /// Notes that an opening statement has run. The intent stays until the rows are committed.
    public func noteOpened() throws {
        try transaction { connection in
            try connection.execute(
                "UPDATE \(meta.table("ddl")) SET step=\(DDLStep.opened.rawValue) "
                    + "WHERE \(key.condition)")
        }
    }

    /// Clears the intent of a statement that has not run, or whose rows are committed.
    public func abandon() throws {
        try transaction { connection in
            try connection.execute("DELETE FROM \(meta.table("ddl")) WHERE \(key.condition)")
        }
    }

    /// Records the statement that the subtask stops at, in the place of an earlier one.
    public func note(_ stopped: StoppedStatement) throws {
        let objects = StoredObjects(meta: meta, key: key)
        let object = try StoredObject(
            kind: .stopped, name: StoppedStatement.name, encoding: stopped)
        try transaction { connection in
            try connection.execute(objects.storeStatement(object))
        }
    }

    /// Leaves out of the lane's `done` what a durable mark holds, from the next write on.
    public func forget(heldBy mark: SourcePosition) { done.subtract(heldBy: mark) }

    /// How tables are on the target now.
    public func traces(
        of tables: some Sequence<TableName>
    ) throws -> [TableName: TableTrace] {
        try session.leaveContext()
        var out: [TableName: TableTrace] = [:]
        for table in tables { out[table] = try TableTrace(table, session) }
        return out
    }

    /// How a table is on the target now.
    public func trace(_ table: TableName) throws -> TableTrace {
        try traces(of: [table])[table] ?? TableTrace()
    }

    private func transaction(
        done: IdentitySet? = nil, _ body: (Connection) throws -> Void
    ) throws {
        let connection = session.connection
        do {
            try connection.execute("START TRANSACTION")
            // A statement counts for nothing in digests: a run that settles what an earlier one has
            // left does not know its events.
            let applied = AppliedSet(done ?? self.done, digest: AppliedDigest())
            try fence.run(connection, done: applied.encoded)
            try body(connection)
            try connection.execute("COMMIT")
        } catch let error as MySQLError where error.isConnectionLost {
            throw error
        } catch {
            try connection.execute("ROLLBACK")
            throw error
        }
    }
}
