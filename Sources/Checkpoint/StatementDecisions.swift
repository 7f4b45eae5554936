public import MySQLClient
public import MySQLCore

/// What an operator wants done with a statement of the source that stops a subtask. Texts name the
/// source's tables, with their schemas.
public enum StatementDecision: Sendable, Hashable, Codable {
    /// It does not run on the target.
    case skip
    /// These run in its place.
    case replace([String])
    /// It runs, and these behind it.
    case inject([String])
}

/// A statement of the source that a subtask can't do by itself.
public struct StoppedStatement: Sendable, Hashable, Codable {
    /// Its transaction, in a form for ``StatementDecisions``.
    public var key: String
    /// Where it is in the source's binlog, for people.
    public var position: String
    /// Its text, shortened, without passwords.
    public var statement: String
    /// Why it stops the subtask.
    public var reason: String

    /// The name that the record is stored under: there is one at most.
    public static let name = TableName(schema: "", name: "")

    /// Makes one.
    public init(
        identity: TransactionIdentity, position: String, statement: String, reason: String
    ) {
        key = identity.decisionKey
        self.position = position
        self.statement = statement
        self.reason = reason
    }
}

/// Why nothing can be decided.
public struct UndecidableStatement: Error, Sendable, Hashable, CustomStringConvertible {
    /// Why, in words.
    public var detail: String
    /// Whether the statement that was meant is not the one that the subtask has stopped at.
    public var isOther = false
    /// One sentence.
    public var description: String { "nothing can be decided: \(detail)" }
}

/// Statements that stop a subtask, and what an operator has decided about them. Both are records
/// of the subtask in the meta schema. The run that handles the statement removes them in the
/// transaction that moves the mark over it: until then it reads them again after every crash.
///
/// A decision needs no token: it changes no data, and a run takes note of it when it begins.
public struct StatementDecisions: Sendable {
    private let meta: MetaSchema
    private let key: SubtaskKey
    private let objects: StoredObjects

    /// Makes an accessor for one subtask.
    public init(meta: MetaSchema, key: SubtaskKey) {
        self.meta = meta
        self.key = key
        objects = StoredObjects(meta: meta, key: key)
    }

    /// The statement that the subtask has stopped at, and the decision about it, as far as there
    /// are any.
    public func read(
        _ connection: Connection
    ) throws -> (stopped: StoppedStatement?, decisions: [String: StatementDecision]) {
        var stopped: StoppedStatement?
        var decisions: [String: StatementDecision] = [:]
        for object in try objects.read(connection) {
            if object.kind == .stopped { stopped = try object.decoded(as: StoppedStatement.self) }
            if object.kind == .decision {
                decisions[object.name.name] = try object.decoded(as: StatementDecision.self)
            }
        }
        return (stopped, decisions)
    }

    /// Decides about the statement that the subtask has stopped at, durably; an earlier decision
    /// about it counts no more. It takes effect when the subtask goes on.
    ///
    /// - Parameter position: of the statement that was looked at; `nil`: whichever it is.
    /// - Returns: that statement.
    /// - Throws: ``UndecidableStatement`` where there is none, it is another one, parts or all of it
    ///   have run already, or the subtask is running.
    public func decide(
        _ decision: StatementDecision, at position: String? = nil, _ connection: Connection
    ) throws -> StoppedStatement {
        try change(connection, at: position) { stopped in
            objects.storeStatement(
                try StoredObject(
                    kind: .decision, name: Self.name(stopped.key), encoding: decision))
        }
    }

    /// Takes a decision back that no run has made use of.
    ///
    /// - Parameter position: of the statement that was looked at; `nil`: whichever it is.
    /// - Returns: the statement that it was about.
    public func revert(
        at position: String? = nil, _ connection: Connection
    ) throws -> StoppedStatement {
        try change(connection, at: position) {
            objects.removeStatement(.decision, Self.name($0.key))
        }
    }

    private func change(
        _ connection: Connection, at position: String?,
        _ statement: (StoppedStatement) throws -> String
    ) throws -> StoppedStatement {
        var nothing = UndecidableStatement(detail: "no statement has stopped \(key)")
        if let position {
            nothing.detail += " any more, nor that at \(position)"
            nothing.isOther = true
        }
        guard try read(connection).stopped != nil else { throw nothing }
        // A run reads what was decided when it begins: while one goes on, it would not know.
        let running = UndecidableStatement(
            detail: "the subtask is running: pause it first, or wait until it has stopped")
        return try RestingSubtask(meta: meta, key: key).change(connection, running: running) {
            // In the order in which runs lock them.
            let done = try keys("done", of: "lane", connection)
                .union(try keys("carried", of: "subtask", connection))
            let begun = try keys("identity", of: "ddl", connection)
            let records = try objects.readLocked(connection)
            guard let record = records.first(where: { $0.kind == .stopped }) else { throw nothing }
            let stopped = try record.decoded(as: StoppedStatement.self)
            // What was looked at may have gone by since, and another one have come.
            guard position == nil || position == stopped.position else {
                throw UndecidableStatement(
                    detail: "\(key) has stopped at \(stopped.position) now, not at "
                        + "\(position ?? "")", isOther: true)
            }
            // The list of what runs can't be another one any more.
            guard !begun.contains(stopped.key) else {
                throw UndecidableStatement(
                    detail: "parts of the statement have run: remove the reason on the target, "
                        + "and let the subtask go on")
            }
            // Nothing would run any more, and nobody would look at the tables again.
            guard !done.contains(stopped.key) else {
                throw UndecidableStatement(
                    detail: "all of the statement has run: make the tables on the target what "
                        + "they are on the source, and let the subtask go on")
            }
            try connection.execute(try statement(stopped))
            return stopped
        }
    }

    /// What a column holds of transactions.
    private func keys(
        _ column: String, of table: String, _ connection: Connection
    ) throws -> Set<String> {
        let rows = try connection.rows(
            "SELECT HEX(\(column)) FROM \(meta.table(table)) WHERE \(key.condition) FOR UPDATE")
        return try rows.reduce(into: []) { keys, row in
            guard row[0] != nil else { return }
            let set = try AppliedSet(encoded: unhex(row[0])).identities
            keys.formUnion(set.identities.map(\.decisionKey))
        }
    }

    /// The name that a decision is stored under.
    public static func name(_ key: String) -> TableName { TableName(schema: "", name: key) }
}

extension TransactionIdentity {
    /// A text that no other transaction has, short enough for a key.
    public var decisionKey: String {
        var set = IdentitySet()
        set.insert(self)
        var buffer = ByteBuffer(capacity: 64)
        buffer.append(set.encoded)
        return String(hexLiteral(Digest.digest(buffer.bytes)).dropFirst(2).dropLast())
    }
}
