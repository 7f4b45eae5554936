internal import MySQLClient
internal import MySQLCore

/// The named lock that makes one DDL at a time of a subtask. It lives exactly as long as its
/// connection, also while the statement of a dead client still runs: who holds it behind a takeover
/// knows that no statement of an earlier run is under way, and that none will come on a connection
/// that held it.
public struct DDLLock {
    private let session: TargetSession
    private let name: String

    /// Makes the lock of a subtask, to be held by `session`.
    public init(session: TargetSession, meta: MetaSchema, key: SubtaskKey) {
        self.session = session
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
            if let holder = try connection.value("SELECT IS_USED_LOCK(\(name))"),
                let id = UInt64(holder), id != connection.id,
                try connection.value(
                    "SELECT COMMAND FROM information_schema.PROCESSLIST WHERE ID=\(id)") == "Sleep"
            {
                _ = try? connection.execute("KILL \(id)")
            }
            try connection.execute("COMMIT")
            try Task.checkCancellation()
            try meanwhile()
        }
    }

    /// Gives it back.
    ///
    /// - Throws: `MySQLError`.
    public func release() throws {
        try session.connection.execute("DO RELEASE_LOCK(\(name))")
        try session.connection.execute("COMMIT")
    }
}
