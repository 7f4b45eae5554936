internal import Checkpoint
internal import DumpFiles
internal import MySQLCore

/// The tables that a load makes itself: each is recorded before, and again when it is there.
struct OwnTables {
    /// Tables that it has made.
    var made: Set<TableName> = []
    /// Tables that it was about to make, without having seen that they are made: what has the name
    /// now may be another's.
    private var intended: Set<TableName> = []
    /// Tables of records of earlier versions, which say the same before and behind CREATE TABLE.
    private var unseen: Set<TableName> = []

    init(_ objects: [StoredObject]) {
        for object in objects where object.kind == .table {
            switch object.definition.first {
            case 0: intended.insert(object.name)
            case TableClaims.madeMark: made.insert(object.name)
            default:
                made.insert(object.name)
                unseen.insert(object.name)
            }
        }
    }

    func isIntended(_ table: TableName) -> Bool { intended.contains(table) }

    /// Whether it has made the table, and seen that it has.
    func isSurelyMade(_ table: TableName) -> Bool {
        made.contains(table) && !unseen.contains(table)
    }

    /// Whether a record does not tell that the table is there: one that is, and was found fit to be
    /// loaded into, is recorded anew.
    func isUnsettled(_ table: TableName) -> Bool {
        intended.contains(table) || unseen.contains(table)
    }

    /// What is recorded: the name of the table's file, behind a zero until the table is there, and
    /// a one from then on. Records of earlier versions have the name alone.
    static func record(_ table: LoadPlan.Table, isMade: Bool) -> StoredObject {
        StoredObject(
            kind: .table, name: table.name,
            definition: [isMade ? TableClaims.madeMark : 0]
                + Array((table.definition?.text ?? "").utf8))
    }
}
