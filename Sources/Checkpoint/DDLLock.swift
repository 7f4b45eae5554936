internal import MySQLClient
internal import MySQLCore

/// The named lock that makes one DDL at a time of a subtask. It lives exactly as long as its
/// connection, also while the statement of a dead client still runs: who holds it behind a takeover
/// knows that no statement of an earlier run is under way, and that none will come on a connection
/// that held it.
public struct DDLLock {
    private let session: TargetSession
    private let meta: MetaSchema
    private let key: SubtaskKey
    /// The lock's name, as a literal.
    let name: String

    /// Makes the lock of a subtask, to be held by `session`.
    public init(session: TargetSession, meta: MetaSchema, key: SubtaskKey) {
        self.session = session
        self.meta = meta
        self.key = key
        let hash = Digest.digest(text: "\(key.task)\u{0}\(key.source)\u{0}\(meta.name)")
        name = "'skein:ddl:\(hexLiteral(hash).dropFirst(2).dropLast())'"
    }

    /// Takes it: ends an idle holder, waits for one that still executes.
    ///
    /// - Parameter meanwhile: called every few seconds while it waits.
    /// - Throws: `MySQLError`, `CancellationError`, and what `meanwhile` throws.
    public func take(meanwhile: () throws -> Void = {}) throws {
        let connection = session.connection
        while true {
            if try connection.value("SELECT GET_LOCK(\(name), 5)") == "1" {
                try connection.execute("COMMIT")
                return
            }
            if let holder = try holdingConnection() { try end(idle: holder) }
            try connection.execute("COMMIT")
            try Task.checkCancellation()
            try meanwhile()
        }
    }

    /// Waits until no statement is under way of a run that was over when it was called: ends an idle
    /// holder of one. A run that is at work is left alone: where it has the lock, it has waited
    /// itself for what came before it, and where it has not yet, it makes nothing before it has.
    ///
    /// - Parameter meanwhile: called every few seconds while it waits.
    /// - Throws: `MySQLError`, `CancellationError`, and what `meanwhile` throws.
    public func awaitEndedRuns(meanwhile: () throws -> Void = {}) throws {
        let connection = session.connection
        while true {
            // Looked at before the lock is waited for: a run holds it for as long as it lives.
            if let holder = try holdingConnection(), try isStoredRun(holder) {
                try connection.execute("COMMIT")
                return
            }
            if try connection.value("SELECT GET_LOCK(\(name), 5)") == "1" { return try release() }
            // Who holds it may be another one by now.
            if let holder = try holdingConnection(), try !isStoredRun(holder) {
                try end(idle: holder)
            }
            try connection.execute("COMMIT")
            try Task.checkCancellation()
            try meanwhile()
        }
    }

    /// The connection that holds it.
    private func holdingConnection() throws(MySQLError) -> UInt64? {
        let found = try session.connection.value("SELECT IS_USED_LOCK(\(name))")
        return found.flatMap { UInt64($0) }
    }

    /// Whether a connection is one of the run that the subtask's row names: they hold the locks of
    /// its lanes.
    private func isStoredRun(_ holder: UInt64) throws(MySQLError) -> Bool {
        let connection = session.connection
        let stored = try connection.value(
            "SELECT HEX(run) FROM \(meta.table("subtask")) WHERE \(key.condition)")
        let bytes = unhex(stored)
        guard bytes.count == 16 else { return false }
        let run = RunToken(bytes)
        let lanes = try connection.rows(
            "SELECT lane FROM \(meta.table("lane")) WHERE \(key.condition)")
        for lane in lanes.compactMap(\.[0]) {
            let found = try connection.value("SELECT IS_USED_LOCK(\(run.lockName(lane)))")
            if found == String(holder) { return true }
        }
        return false
    }

    /// Ends a connection that executes nothing.
    private func end(idle holder: UInt64) throws(MySQLError) {
        let connection = session.connection
        guard holder != connection.id,
            try connection.value(
                "SELECT COMMAND FROM information_schema.PROCESSLIST WHERE ID=\(holder)")
                == "Sleep"
        else { return }
        _ = try? connection.execute("KILL \(holder)")
    }

    /// Gives it back.
    ///
    /// - Throws: `MySQLError`.
    public func release() throws {
        try session.connection.execute("DO RELEASE_LOCK(\(name))")
        try session.connection.execute("COMMIT")
    }
}
