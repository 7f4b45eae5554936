public import MySQLCore

/// Why a migration is refused or stops, beyond what servers and engines say.
public enum MigrationError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The name stands for another migration.
    case otherMigration(name: String, detail: String)
    /// The migration of this name has ended.
    case alreadyFinished(name: String)
    /// The switch-over of the migration has begun and has not ended.
    case finishing(name: String)
    /// No table of the source is selected.
    case nothingSelected
    /// The position to stop at can't be understood.
    case badPosition(String)
    /// Changes alone are to be followed, and a table of the target is not what they need.
    case targetLacks(TableName, detail: String)
    /// A task of DM's can't be gone on with.
    case adoption(task: String, detail: String)
    /// The tables of another task can't be taken over.
    case handOver(from: String, detail: String)
    /// The task has handed its tables over, and would begin anew on them.
    case handedOver(task: String, to: String, TableName)
    /// A table was taken over that must stay on the target, and would not.
    case takenOver(TableName, detail: String)

    /// One sentence, with what to do.
    public var description: String {
        switch self {
        case .otherMigration(let name, let detail):
            "the target holds another migration named \(name): \(detail). "
                + "Choose another --name, or start over with --fresh"
        case .alreadyFinished(let name):
            "the migration \(name) was finished: triggers exist on the target. "
                + "Choose another --name, or start over with --fresh"
        case .finishing(let name):
            "the switch-over of \(name) has begun: triggers may exist on the target, and nothing is "
                + "applied any more. --finish goes on with it"
        case .nothingSelected: "no table of the source matches --tables"
        case .badPosition(let text): "\"\(text)\" is neither file:offset nor a GTID set"
        case .targetLacks(let table, let detail):
            "the target's table \(table) is not what the source's was where changes are to be "
                + "followed from (\(detail)): make it so, with its rows, or exclude it"
        case .adoption(let task, let detail):
            "DM's task \(task) can't be taken over: \(detail)"
        case .handOver(let name, let detail):
            "the tables of the task \(name) can't be taken over: \(detail)"
        case .handedOver(let task, let owner, let table):
            "\(task) has handed its tables over, and \(owner) has \(table) now: begun anew, it would "
                + "write to the same rows once more, or drop them"
        case .takenOver(let table, let detail):
            "\(table) was taken over from a task that had not created it, and rows of others may be "
                + "in it: \(detail)"
        }
    }
}
