internal import MySQLCore

/// What one change of a row does to others through actions of foreign keys, and which changes fail
/// unless such an action came first.
///
/// Where an order's lines go with their order, and each refers to a product too, a product can only
/// be deleted once the orders are gone. Of that nothing is to be seen in the rows: neither the
/// order's nor the product's tell of the line, which is not logged.
struct ForeignKeyReach: Sendable {
    /// A change of a row of a table: it goes, or these of its columns change.
    private enum Change: Hashable {
        case goes(TableName)
        case changes(TableName, Set<String>)

        var table: TableName {
            switch self {
            case .goes(let table), .changes(let table, _): table
            }
        }
    }

    /// Tables whose rows change.
    private(set) var changed: Set<TableName> = []
    /// Tables whose rows, if they refer to what changes, refuse the change.
    private(set) var asked: Set<TableName> = []
    /// Those among them that refer to rows which only an action changes: their own rows, which are
    /// logged, share nothing with the row that changes.
    private(set) var askedUnseen: Set<TableName> = []

    /// What follows when a row of a table goes, or when everything changes that others refer to.
    ///
    /// - Parameter children: foreign keys by their parents, with the tables that have them.
    init(
        of table: TableName, isDelete: Bool,
        _ children: [TableName: [(child: TableName, key: ForeignKeyShape)]]
    ) {
        let all = Set((children[table] ?? []).flatMap { Self.folded($0.key.parentColumns) })
        var open: [Change] = [isDelete ? .goes(table) : .changes(table, all)]
        var seen = Set(open)
        while let change = open.popLast() {
            for (child, key) in children[change.table] ?? [] {
                let action: ForeignKeyShape.Action
                switch change {
                case .goes: action = key.onDelete
                case .changes(_, let columns):
                    guard !columns.isDisjoint(with: Self.folded(key.parentColumns)) else {
                        continue
                    }
                    action = key.onUpdate
                }
                guard action.changesChildren else {
                    asked.insert(child)
                    if change.table != table { askedUnseen.insert(child) }
                    continue
                }
                changed.insert(child)
                var next = Change.changes(child, Set(Self.folded(key.columns)))
                if case .goes = change, action == .cascade { next = .goes(child) }
                if seen.insert(next).inserted { open.append(next) }
            }
        }
    }

    private static func folded(_ columns: [String]) -> [String] { columns.map { $0.lowercased() } }
}
