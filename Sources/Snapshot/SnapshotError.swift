public import MySQLCore

/// Why a copy can't go on. Errors of the servers themselves reach the caller as `MySQLError`.
public enum SnapshotError: Error, Sendable, Hashable, CustomStringConvertible {
    /// A table's definition changed on the source while it was copied. Trying again copies the
    /// table anew.
    case tableChanged(TableName)
    /// A table of the selection was created while the copy was prepared. Trying again plans anew.
    case tableAppeared(TableName)
    /// A table that does not exist on the source any more. Trying again plans without it.
    case tableMissing(TableName)
    /// The source can't choose a table's rows by the condition that was given.
    case condition(TableName, detail: String)
    /// The target did not take rows as they were sent.
    case rowsChanged(TableName, detail: String)
    /// A row is larger than the target takes.
    case rowTooLarge(TableName, bytes: Int, limit: Int)
    /// A table exists on the target and may not be used.
    case targetExists(TableName, detail: String)
    /// A table or object has no counterpart on the target.
    case unsupported(object: String, detail: String)
    /// A view or routine of the target is missing, or another one than the source's.
    case otherObject(object: String, detail: String)
    /// The source offers no read view of the kind that is needed.
    case noView(detail: String)
    /// An interrupted copy of these tables must start over; trying again does that.
    case startsOver([TableName], detail: String)
    /// The subtask is in a phase where nothing is copied.
    case notCopying(phase: String)

    /// Whether the same call can succeed when it is simply made again.
    public var isRetryable: Bool {
        switch self {
        case .tableChanged, .tableAppeared, .tableMissing, .startsOver: true
        default: false
        }
    }

    /// One sentence, with what to do.
    public var description: String {
        switch self {
        case .tableChanged(let table):
            "\(table): its definition changed on the source during the copy; its copy starts over"
        case .tableAppeared(let table):
            "\(table): was created while the copy was prepared; it is planned anew"
        case .tableMissing(let table):
            "\(table): not on the source any more; leave it out, or create it again"
        case .condition(let table, let detail):
            "\(table): its rows can't be chosen by the condition that was given: \(detail)"
        case .rowsChanged(let table, let detail):
            "\(table): the target would not hold the rows as the source has them: \(detail)"
        case .rowTooLarge(let table, let bytes, let limit):
            "\(table): a row needs \(bytes) bytes as a statement, the target takes \(limit); "
                + "raise max_allowed_packet or allow local_infile on the target"
        case .targetExists(let table, let detail):
            "\(table): exists on the target (\(detail)); drop it, or allow its use with "
                + "--into-existing, or start over with --fresh"
        case .unsupported(let object, let detail): "\(object): \(detail)"
        case .otherObject(let object, let detail):
            "\(object) is not what it is on the source, so that the switch-over can't begin: "
                + "\(detail)"
        case .noView(let detail): "no consistent view of the source: \(detail)"
        case .startsOver(let tables, let detail):
            (tables.isEmpty ? "" : "\(tables.map(\.description).joined(separator: ", ")): ")
                + "the copy starts over: \(detail)"
        case .notCopying(let phase): "nothing is copied in phase \(phase)"
        }
    }
}
