internal import MySQLClient
internal import MySQLCore

/// Changes of a subtask's records by an operator, which are made while no run of it goes on.
///
/// No token is taken for them: they touch no data, and a run reads them behind its takeover, which
/// writes the row that is locked here. So a run either has its lock taken, and is seen, or begins
/// when the change is durable. A process that waits between two runs is not fenced by it, and finds
/// it when it goes on.
struct RestingSubtask {
    let meta: MetaSchema
    let key: SubtaskKey

    /// Runs `body` in a transaction that no takeover comes into; what it throws takes all back.
    ///
    /// - Parameter running: what is thrown where a run goes on.
    func change<Result>(
        _ connection: Connection, running: any Error, _ body: () throws -> Result
    ) throws -> Result {
        try connection.execute("START TRANSACTION")
        do {
            // A run's lock is taken before its token is stored, and nothing is stored from here on.
            let run = try connection.value(
                "SELECT HEX(run) FROM \(meta.table("subtask")) WHERE \(key.condition) FOR UPDATE")
            let token = unhex(run)
            if token.count == 16,
                try connection.value("SELECT IS_USED_LOCK(\(RunToken(token).lockName("c")))") != nil
            {
                throw running
            }
            let result = try body()
            try connection.execute("COMMIT")
            return result
        } catch {
            _ = try? connection.execute("ROLLBACK")
            throw error
        }
    }
}
