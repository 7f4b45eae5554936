public import MySQLCore

/// Why replication of a subtask stops. None of these goes away by itself, unless said so.
public enum ReplicationError: Error, Sendable, Hashable, CustomStringConvertible {
    /// Rows of a table whose shape is not certain.
    case shapeMismatch(TableName, SourcePosition, detail: String)
    /// A statement on the target matched other rows than the source's event says.
    case unexpectedCount(TableName, expected: UInt64, actual: UInt64, detail: String)
    /// A statement was refused by the target.
    case refused(TableName?, detail: String)
    /// A statement of the source was refused by the target.
    case refusedStatement(TableName?, SourcePosition?, statement: String, detail: String)
    /// The stream holds what can't be replicated.
    case unsupported(SourcePosition, detail: String)
    /// DDL changed a table between the positions of its copy: it must be copied again.
    case changedDuringCopy(TableName, SourcePosition)
    /// A statement of this source waits until the task's other sources are copied, whose rules may
    /// lead a table to the one that it changes. It is tried again.
    case othersAreCopied(TableName)
    /// A statement of this source waits for something that another one is to do first. It is tried
    /// again.
    case othersAreAwaited(TableName, detail: String)
    /// Another source has come to a table since it was decided what becomes of a statement that takes
    /// its rows away. That is decided anew.
    case othersHaveCome(TableName)
    /// An online schema change tool has put a table in another one's place, and what it did to it
    /// can't be done to that one on the target.
    case onlineChange(TableName, SourcePosition, detail: String)
    /// What is known of a DDL statement that was running when a run ended does not decide whether
    /// it has run.
    case undecidedDDL(statement: String, detail: String)
    /// A transaction that the target holds is not in the source's stream.
    case lostTransaction(TransactionIdentity)
    /// Transactions up to here, which the target holds by their names, are other ones on the source.
    case otherTransactions(upTo: SourcePosition)

    /// One sentence, with what to do.
    public var description: String {
        switch self {
        case .shapeMismatch(let table, let position, let detail):
            "\(table) at \(position): its columns are not what its rows need (\(detail)). "
                + "If it was changed without the binlog (sql_log_bin=0), say what it was there "
                + "(skein task schema set), or start over with --fresh"
        case .unexpectedCount(let table, let expected, let actual, let detail):
            "\(table): the target has other rows than the source's events need (\(detail): "
                + "\(expected) expected, \(actual) matched). Somebody else wrote to the target, or "
                + "it was not equal before; skein verify tells where"
        case .refused(let table, let detail):
            "\(table.map { "\($0): " } ?? "")the target refused a statement: \(detail)"
        case .refusedStatement(let table, let position, let statement, let detail):
            "\(table.map { "\($0): " } ?? "")the target refused a statement of the source"
                + "\(position.map { " at \($0)" } ?? ""): \(detail). The statement: \(statement). "
                + "Remove the reason on the target and go on, or say what is to run (skein task ddl)"
        case .unsupported(let position, let detail): "at \(position): \(detail)"
        case .changedDuringCopy(let table, let position):
            "\(table) was changed by DDL while it was copied (at \(position)); "
                + "it is copied again"
        case .othersAreCopied(let table):
            "a statement on \(table) waits until the other sources of the task are copied and followed, "
                + "which may write there"
        case .othersAreAwaited(let table, let detail):
            "a statement on \(table) waits until \(detail)"
        case .othersHaveCome(let table):
            "a statement that empties, drops or replaces \(table) is looked at anew: another source "
                + "of the task has come to it meanwhile"
        case .onlineChange(let table, let position, let detail):
            "\(table) at \(position): an online schema change has replaced it, and \(detail). "
                + "Start over with --fresh, or say what it has done to the table (skein task ddl "
                + "replace), where no rows can have got other values by it"
        case .undecidedDDL(let statement, let detail):
            "it is not certain whether this statement has run on the target: \(statement). "
                + "\(detail)"
        case .lostTransaction(let identity):
            "the target holds transaction \(identity), which the source's binlog does not have"
        case .otherTransactions(let position):
            "among the transactions up to \(position) that the target has applied are some which "
                + "are others on the source now: it lost them, and wrote others under their names"
        }
    }
}
