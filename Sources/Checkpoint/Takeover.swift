public import MySQLClient
public import MySQLCore

/// How a takeover chooses its epoch.
public enum EpochPolicy: Sendable, Hashable {
    /// The epoch of a binding: a stored greater one means that somebody newer owns the subtask.
    case binding(UInt64)
    /// First takeover of a process without a cluster: stored + 1.
    case next
    /// A later takeover of the same process: the stored epoch must still be this one, with a run
    /// out of `own`.
    case keep(UInt64, own: Set<RunToken>)
}

/// What the target durably holds of a subtask, as a takeover found it.
public struct SubtaskState: Sendable {
    /// The epoch that is now stored.
    public var epoch: UInt64
    /// The new run's token.
    public var run: RunToken
    /// How far the subtask is: `start` (changes are to be followed from a place; what is there is
    /// not known yet), `copy`, `follow`, `complete` (the copy is whole, and nothing more is wanted),
    /// `finished`.
    public var phase: String
    /// Identities of source and target and the selection of tables, as the task recorded them.
    public var identity: [UInt8]
    /// Everything at or before this is applied; `nil` before the copy has ended. In phase `start`
    /// the place to begin at, where it was settled by the first start.
    public var lowWater: SourcePosition?
    /// Transactions above the mark that are applied.
    public var carried: IdentitySet
    /// The digest of all of them but statements; `nil` where it is not known.
    public var carriedDigest: AppliedDigest?
    /// Digest of the newest transaction in the mark.
    public var tail: [UInt8]
    /// Filters and routes in force.
    public var rules: [UInt8]
    /// The position from which on transactions are whole.
    public var consistentFrom: SourcePosition?
}

/// Takes a subtask over: from its commit on, no statement of an earlier run matches anything.
public struct Takeover: Sendable {
    private let meta: MetaSchema
    private let key: SubtaskKey

    /// Makes a takeover of one subtask; nothing is touched.
    public init(meta: MetaSchema, key: SubtaskKey) {
        self.meta = meta
        self.key = key
    }

    /// Inserts the subtask's row if there is none. Only for a subtask that was never started.
    ///
    /// - Parameters:
    ///   - phase: what the subtask begins with.
    ///   - place: where changes are to be followed from, if that is settled already.
    /// - Returns: whether the row is new.
    public func create(
        _ session: TargetSession, identity: [UInt8], rules: [UInt8], phase: String = "copy",
        from place: SourcePosition? = nil
    ) throws(MySQLError) -> Bool {
        let inserted = try session.connection.execute(
            """
            INSERT IGNORE INTO \(meta.table("subtask")) \
            (task, source, epoch, run, beat, phase, identity, rules, carried, tail, low_water) \
            VALUES (\(key.values), 0, x'00000000000000000000000000000000', 0, \
            \(utf8Literal(phase)), \(hexLiteral(identity)), \(hexLiteral(rules)), '', '', \
            \(place.map { hexLiteral($0.encoded) } ?? "NULL"))
            """)
        try session.connection.execute("COMMIT")
        return inserted == 1
    }

    /// The stored state without taking over, `nil` when the subtask is unknown. For status and
    /// for deciding what to do; never a base for writing.
    public func peek(_ connection: Connection) throws -> SubtaskState? {
        let found = try read(connection, lock: "")
        try connection.execute("COMMIT")
        return found
    }

    /// Adds what lanes hold; waits for commits in flight: their rows are locked until they are
    /// decided.
    private func addDone(_ state: inout SubtaskState, _ connection: Connection) throws {
        let rows = try connection.rows(
            "SELECT HEX(done) FROM \(meta.table("lane")) WHERE \(key.condition) "
                + "ORDER BY lane FOR UPDATE")
        for row in rows {
            let done = try AppliedSet(encoded: unhex(row[0]))
            state.carried.formUnion(done.identities)
            // A lane's digest is of all that it ever did; the mark has taken out of the subtask's
            // what it has passed.
            state.carriedDigest = state.carriedDigest.flatMap { sum in
                done.digest.flatMap { sum.adding($0) }
            }
        }
        if let mark = state.lowWater { state.carried.subtract(heldBy: mark) }
        if state.carried.isEmpty { state.carriedDigest = AppliedDigest() }
    }

    /// Writes a new token to the subtask and `lanes` fresh lane rows (numbered from 0).
    ///
    /// All connections of the run must be open, to the server of `session`. A commit whose
    /// outcome is unknown ends the call with a lost connection: take over again, with new
    /// connections; the token of this try is then never used.
    ///
    /// - Throws: ``CheckpointError/fenced(detail:)``, ``CheckpointError/missing(detail:)``, and
    ///   ``MySQLError``; 1205 after the owner's sessions were looked at (and idle ones ended), so
    ///   that trying again can succeed.
    public func take(
        _ session: TargetSession, token: RunToken, epoch policy: EpochPolicy, lanes: Int
    ) throws -> SubtaskState {
        let connection = session.connection
        do {
            return try attempt(connection, token: token, policy, lanes)
        } catch let error as MySQLError where error.retry == .transaction {
            try connection.execute("ROLLBACK")
            try endIdleOwner(connection)
            throw error
        } catch let error as MySQLError where error.isConnectionLost {
            throw error
        } catch {
            try connection.execute("ROLLBACK")
            throw error
        }
    }

    private func attempt(
        _ connection: Connection, token: RunToken, _ policy: EpochPolicy, _ lanes: Int
    ) throws -> SubtaskState {
        try connection.execute("START TRANSACTION")
        guard var state = try read(connection, lock: " FOR UPDATE") else {
            throw CheckpointError.missing(
                detail: "no row of \(key) in \(meta.name); nothing is begun anew silently")
        }
        state.epoch = try decide(policy, state)
        try addDone(&state, connection)
        state.run = token
        // Every lane row is written, not only locked: an old run's fence that waits here matches
        // nothing afterwards, and servers that do not see each other's locks find a conflict.
        try connection.execute("DELETE FROM \(meta.table("lane")) WHERE \(key.condition)")
        if lanes > 0 {
            let values = (0..<lanes).map { "(\(key.values),\($0),\(token.literal),0,'')" }
            try connection.execute(
                "INSERT INTO \(meta.table("lane")) (task, source, lane, run, commits, done) VALUES "
                    + values.joined(separator: ","))
        }
        let carried = AppliedSet(state.carried, digest: state.carriedDigest)
        let changed = try connection.execute(
            """
            UPDATE \(meta.table("subtask")) SET epoch=\(state.epoch), run=\(token.literal), \
            beat=beat+1, carried=\(hexLiteral(carried.encoded)) WHERE \(key.condition)
            """)
        guard changed == 1 else {
            throw CheckpointError.inconsistent(detail: "the locked row of \(key) is gone")
        }
        try connection.execute("COMMIT")
        return state
    }

    private func decide(_ policy: EpochPolicy, _ state: SubtaskState) throws -> UInt64 {
        switch policy {
        case .binding(let mine):
            guard state.epoch <= mine else {
                throw CheckpointError.fenced(detail: "epoch \(state.epoch), mine is \(mine)")
            }
            return mine
        case .next:
            return state.epoch + 1
        case .keep(let mine, let own):
            guard state.epoch == mine, own.contains(state.run) else {
                throw CheckpointError.fenced(detail: "epoch \(state.epoch), mine is \(mine)")
            }
            return mine
        }
    }

    private func read(_ connection: Connection, lock: String) throws -> SubtaskState? {
        let rows = try connection.rows(
            """
            SELECT epoch, HEX(run), phase, HEX(identity), HEX(low_water), HEX(carried), HEX(tail), \
            HEX(rules), HEX(consistent_from) FROM \(meta.table("subtask")) \
            WHERE \(key.condition)\(lock)
            """)
        guard let row = rows.first else { return nil }
        guard let epoch = row[0].flatMap({ UInt64($0) }) else {
            throw CheckpointError.inconsistent(detail: "epoch of \(key) is no number")
        }
        let carried = try AppliedSet(encoded: unhex(row[5]))
        return SubtaskState(
            epoch: epoch, run: RunToken(unhex(row[1])), phase: row[2] ?? "",
            identity: unhex(row[3]),
            lowWater: try row[4].map { try SourcePosition(encoded: unhex($0)) },
            carried: carried.identities, carriedDigest: carried.digest, tail: unhex(row[6]),
            rules: unhex(row[7]),
            consistentFrom: try row[8].map { try SourcePosition(encoded: unhex($0)) })
    }

    /// Ends sessions of the stored run that hold its locks but do nothing: a frozen owner would
    /// otherwise block every takeover. A session that still executes is waited for. Ids are
    /// looked up now and never remembered: a restarted server uses them again.
    private func endIdleOwner(_ connection: Connection) throws(MySQLError) {
        let stored = try connection.value(
            "SELECT HEX(run) FROM \(meta.table("subtask")) WHERE \(key.condition)")
        let lanes = try connection.rows(
            "SELECT lane FROM \(meta.table("lane")) WHERE \(key.condition)")
        try connection.execute("COMMIT")
        let bytes = unhex(stored)
        guard bytes.count == 16 else { return }
        let owner = RunToken(bytes)
        for role in lanes.compactMap(\.[0]) + ["c"] {
            guard
                let holder = try connection.value(
                    "SELECT IS_USED_LOCK(\(owner.lockName(role)))"),
                let id = UInt64(holder), id != connection.id,
                try connection.value(
                    "SELECT COMMAND FROM information_schema.PROCESSLIST WHERE ID=\(id)")
                    == "Sleep"
            else { continue }
            do throws(MySQLError) {
                try connection.execute("KILL \(id)")
            } catch  where error.code == 1094 {
                continue  // it ended by itself
            }
        }
        try connection.execute("COMMIT")
    }
}

/// Bytes of a `HEX()` text; empty for NULL.
package func unhex(_ text: String?) -> [UInt8] {
    guard let text else { return [] }
    var out: [UInt8] = []
    out.reserveCapacity(text.utf8.count / 2)
    var high: UInt8?
    for c in text.utf8 {
        let v =
            c <= UInt8(ascii: "9") ? c &- UInt8(ascii: "0") : (c | 0x20) &- UInt8(ascii: "a") + 10
        if let h = high {
            out.append(h << 4 | v)
            high = nil
        } else {
            high = v
        }
    }
    return out
}
