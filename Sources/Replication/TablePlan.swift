internal import MySQLBinlog
internal import MySQLCore
internal import Rules

/// Everything a run knows about one migrated table while its shape stays the same: how rows are
/// hashed, merged and written. Made new whenever the shape changes.
final class TablePlan: Sendable {
    /// How the lane may combine changes of different rows of one batch.
    enum Merging: UInt8, Sendable {
        /// Changes of one row become one; the table's rows go out as one DELETE, one upsert, one
        /// INSERT.
        case byKey
        /// The same for tables with more unique keys, where an upsert could hit another row: a row
        /// whose unique columns change is deleted and inserted, all deletes first, and an upsert of
        /// any other is refused by the target if it does not meet its own row.
        case bySet
        /// Tables tied by foreign keys without actions: inserts parents first, then upserts, then
        /// deletes children first.
        case related
        /// Every change by itself, in the order of the source.
        case inOrder
    }

    /// What an INSERT does with rows of the target that have one of its keys.
    enum Replacing: UInt8, Sendable {
        /// They go.
        case replaces
        /// The one that there may be becomes the new one: to delete it would fire what foreign keys
        /// say.
        case updates
        /// They may be another source table's: the INSERT fails.
        case fails
    }

    let shape: TableShape
    let target: TableName
    let columns: [ColumnPlan]
    /// Indexes of the ENUM columns that are written.
    let enums: [Int]
    /// Columns that an UPDATE must name, so that `ON UPDATE CURRENT_TIMESTAMP` does nothing.
    let clocks: [Int]
    /// Indexes of the columns of the identifying key; empty for a table without one.
    let identity: [Int]
    /// Whether a NOT NULL key identifies rows.
    var isKeyless: Bool { identity.isEmpty }
    /// Whether the identifying key is one whole number: its value then is the merge key.
    let integerKey: Int?
    let merging: Merging
    /// Indexes of the columns of the other unique keys.
    let otherUnique: [Int]
    /// Whether ``otherUnique`` holds all of them: none is over an expression or a generated column,
    /// and the target's are the same.
    let knowsUnique: Bool
    /// Whether a column is JSON, whose binary form can differ where the text is the same.
    let hasJSON: Bool
    /// Whether rows that go must go one by one: others of the table may have to go before.
    let deletesSingly: Bool
    /// Values of the columns that only the target has, to follow those of a row: `,'a','b'`.
    let constantValues: [UInt8]
    /// The same as a condition that goes before others: `` `c`='a' AND ``.
    let constantCondition: [UInt8]
    /// Depth below the topmost parent, where foreign keys tie tables together.
    let level: Int
    let keys: [KeyPlan]
    /// Keys of whole tables that a row uses when it goes, for what actions of foreign keys do, and
    /// for those that must have been done.
    let deleteUses: [KeyUse]
    /// The same when columns change that others refer to.
    let updateUses: [KeyUse]
    /// Whether rules leave out some of its rows or changes, so that the target's rows may be others
    /// than the source's: all its changes are written as ``Meeting/loose`` then.
    let isLoose: Bool
    /// Whether its changes can be written as ``Meeting/converge`` where no copy is near: without a
    /// key, or where foreign keys act on rows, which no binlog tells, they can't.
    let canConverge: Bool
    /// How an inserted row meets one that is there, where that can be: while the table converges,
    /// or when rules have left something out.
    let replacing: Replacing
    /// Columns whose change fires an action, besides the row's deletion; `nil` when a row image
    /// does not tell.
    let actingColumns: [Int]?
    let seed: UInt64
    let insertHead: [UInt8]
    let replaceHead: [UInt8]
    /// The same for values that stand behind SELECT.
    let replaceSelectHead: [UInt8]
    let upsertTail: [UInt8]
    /// Makes whatever row there is the new one, its key included.
    let overwriteTail: [UInt8]
    let deleteHead: [UInt8]
    let updateHead: [UInt8]
    /// Rough cost of the plan's rows, for ordering within a batch.
    let number: Int

    /// - Parameters:
    ///   - shape: the source's shape, which row images follow.
    ///   - route: where its rows go.
    ///   - isMerged: whether rows of other tables go there, too, under the same keys.
    ///   - isShared: whether rows of other sources may go there, too.
    ///   - isLoose: whether rules may leave out some of its rows or changes.
    ///   - parents: where the tables go that its foreign keys refer to; those that are missing keep
    ///     their names.
    ///   - targetKeys: unique keys of the target that the source lacks.
    ///   - targetColumns: the table's columns on the target, as far as they are known.
    ///   - family: all migrated tables, for foreign keys.
    init(
        shape: TableShape, route: Route, isMerged: Bool = false, isShared: Bool = false,
        isLoose: Bool = false, parents: [TableName: TableName] = [:],
        targetKeys: [KeyShape],
        targetColumns: [ColumnShape] = [], related: ForeignKeyGraph, number: Int
    ) {
        self.shape = shape
        let target = route.target
        self.target = target
        constantValues = Array(
            route.extracted.map { ",\(utf8Literal($0.value))" }.joined().utf8)
        constantCondition = Array(
            route.extracted.map { constant in
                let name = constant.name.lowercased()
                let column = targetColumns.first { $0.name.lowercased() == name }
                let literal = searchLiteral(constant.value, in: column)
                return "\(quoteIdentifier(constant.name))=\(literal) AND "
            }.joined().utf8)
        self.number = number
        let columns = shape.columns.map { ColumnPlan($0) }
        self.columns = columns
        enums = columns.indices.filter { columns[$0].isEnum && columns[$0].isWritten }
        clocks = columns.indices.filter { columns[$0].mayFollowClock }
        seed = Self.seed(target, "")
        let identifying = shape.identifyingKey
        let identity =
            identifying?.parts.compactMap { part in
                part.column.flatMap { shape.columnIndex($0) }
            } ?? []
        self.identity = identity
        let single = identity.count == 1 ? shape.columns[identity[0]].type : nil
        integerKey = single?.isInteger == true ? identity[0] : nil
        let unique = shape.keys.filter(\.isUnique) + targetKeys
        keys = Self.keyPlans(
            shape, target, parents, unique, targetColumns,
            // A row that was left out may still hold, on the target, a value that another one has
            // on the source by now: no key of its images tells.
            inOrder: identity.isEmpty || isLoose && unique.count > 1, related)
        hasJSON = shape.columns.contains { $0.type.kind == .json }
        deleteUses = Self.actionUses(shape.name, isDelete: true, related)
        updateUses = Self.actionUses(shape.name, isDelete: false, related)
        let acting = related.actingColumns(of: shape.name).map { shape.columnIndex($0) }
        actingColumns =
            acting.contains { $0.map { shape.columns[$0].generation != nil } ?? true }
            ? nil : acting.compactMap { $0 }.sorted()
        self.isLoose = isLoose
        canConverge =
            !isLoose && !identity.isEmpty && !related.isCascadeChild(shape.name)
            && related.cascadeTargets(of: shape.name).isEmpty
        replacing =
            isMerged || isShared ? .fails : related.isInvolved(shape.name) ? .updates : .replaces
        let contested = related.contested(by: shape.name, isDelete: true)
        deletesSingly =
            shape.foreignKeys.contains { $0.parent == shape.name }
            || !contested.changed.isDisjoint(with: contested.asked)
        level = related.level(of: shape.name)
        if identity.isEmpty || isMerged {
            merging = .inOrder
        } else if related.isInvolved(shape.name) {
            merging = related.isSimple(shape.name) ? .related : .inOrder
        } else {
            merging = unique.count <= 1 ? .byKey : .bySet
        }
        let parts = unique.flatMap(\.parts).map { part in
            part.column.flatMap { shape.columnIndex($0) }.flatMap { i in
                shape.columns[i].generation == nil ? i : nil
            }
        }
        // Where tables are merged the target may have other keys.
        knowsUnique = !isMerged && !isShared && !parts.contains(nil)
        otherUnique =
            Set(parts.compactMap { $0 }).subtracting(identity).sorted()
        let names = columns.filter(\.isWritten).map { String(decoding: $0.name, as: UTF8.self) }
        let list = (names + route.extracted.map { quoteIdentifier($0.name) })
            .joined(separator: ",")
        insertHead = Array("INSERT INTO \(target.quoted) (\(list)) VALUES ".utf8)
        replaceHead = Array("REPLACE INTO \(target.quoted) (\(list)) VALUES ".utf8)
        // The key is the same before and after, byte by byte: that made it one row's change.
        let rest = columns.enumerated()
            .filter { $1.isWritten && !identity.contains($0) }
            .map { String(decoding: $1.name, as: UTF8.self) }
        var assignments = (rest.isEmpty ? names : rest).map { "\($0)=VALUES(\($0))" }
        for column in identity where columns[column].mayFollowClock && !rest.isEmpty {
            let name = String(decoding: columns[column].name, as: UTF8.self)
            assignments.append("\(name)=\(name)")
        }
        if unique.count > 1, !identity.isEmpty {
            // A row that was found by another key is an error: the sum is out of range. (NULL would
            // be refused of plain columns alone, AUTO_INCREMENT and TIMESTAMP make a value of it.)
            // Nothing of it is constant, so that no server computes it where the keys agree.
            let key = identity.map { String(decoding: columns[$0].name, as: UTF8.self) }
            let isSame = key.map { "\($0)=VALUES(\($0))" }.joined(separator: " AND ")
            let failure = "18446744073709551615+(1+CHAR_LENGTH(\(key[0])))"
            assignments.insert("\(key[0])=IF((\(isSame)) OR \(failure),\(key[0]),\(key[0]))", at: 0)
        }
        let assigned = assignments.joined(separator: ",")
        upsertTail = Array(" ON DUPLICATE KEY UPDATE \(assigned)".utf8)
        replaceSelectHead = Array("REPLACE INTO \(target.quoted) (\(list)) SELECT ".utf8)
        let all = names.map { "\($0)=VALUES(\($0))" }.joined(separator: ",")
        overwriteTail = Array(" ON DUPLICATE KEY UPDATE \(all)".utf8)
        deleteHead = Array("DELETE FROM \(target.quoted) WHERE ".utf8)
        updateHead = Array("UPDATE \(target.quoted) SET ".utf8)
    }

    /// How its changes meet the target's rows when no copy is near.
    ///
    /// - Parameter isSafe: whether the target's rows may be others than the source's, and are to
    ///   become what the changes say.
    func usualMeeting(isSafe: Bool) -> Meeting {
        isLoose ? .loose : isSafe && canConverge ? .converge : .exact
    }

    static func seed(_ table: TableName, _ what: String) -> UInt64 {
        var text = ByteBuffer(capacity: 128)
        text.append(table.schema)
        text.append(0)
        text.append(table.name)
        text.append(0)
        text.append(what)
        return Digest.hash(text.bytes, seed: 1) & ~1
    }

    /// What changes of other tables' rows use of keys that are not logged.
    private static func actionUses(
        _ table: TableName, isDelete: Bool, _ related: ForeignKeyGraph
    ) -> [KeyUse] {
        let contested = related.contested(by: table, isDelete: isDelete)
        // Actions may come in any order; what can be refused comes in its place among them.
        let reads = contested.changed.subtracting(contested.asked)
        return related.blindCascadeTargets(of: table).map {
            KeyUse(seed($0, "children"), writes: true)
        } + reads.map { KeyUse(seed($0, "refused"), writes: false) }
            + contested.asked.map { KeyUse(seed($0, "refused"), writes: true) }
    }

    private static func keyPlans(
        _ shape: TableShape, _ name: TableName, _ parents: [TableName: TableName],
        _ unique: [KeyShape], _ target: [ColumnShape], inOrder: Bool,
        _ related: ForeignKeyGraph
    ) -> [KeyPlan] {
        var out: [KeyPlan] = []
        if inOrder {
            // The whole table is one key: twins can't be told apart.
            out.append(
                KeyPlan(parts: [], seed: seed(name, ""), isOpaque: true, writes: true))
        }
        for key in unique {
            var parts: [KeyPlan.Part] = []
            var opaque = false
            for part in key.parts {
                guard let name = part.column, let index = shape.columnIndex(name),
                    shape.columns[index].generation == nil
                else {
                    opaque = true
                    continue
                }
                parts.append(
                    KeyPlan.part(
                        shape, column: index, prefix: part.prefixLength, target: target))
            }
            let names = key.parts.map { $0.column ?? "" }.joined(separator: "\u{1}")
            out.append(
                KeyPlan(
                    parts: parts, seed: seed(name, "key \(names)"), isOpaque: opaque,
                    writes: true))
        }
        out += foreignKeyPlans(shape, name, parents, target, related)
        return out
    }

    /// A child row reads its parents' referenced columns, whether or not they are unique there; a
    /// parent row writes them. Both hash under one seed.
    private static func foreignKeyPlans(
        _ shape: TableShape, _ name: TableName, _ parents: [TableName: TableName],
        _ target: [ColumnShape], _ related: ForeignKeyGraph
    ) -> [KeyPlan] {
        var out: [KeyPlan] = []
        func plan(
            _ columns: [String], _ parent: TableName, _ names: [String], writes: Bool,
            at place: TableName
        ) {
            let parts = columns.compactMap { shape.columnIndex($0) }.map {
                KeyPlan.part(shape, column: $0, prefix: nil, target: target)
            }
            let opaque =
                parts.count != columns.count
                || parts.contains { shape.columns[$0.column].generation != nil }
            let label = names.map { $0.lowercased() }.joined(separator: "\u{1}")
            out.append(
                KeyPlan(
                    parts: parts, seed: seed(place, "parent \(label)"), isOpaque: opaque,
                    writes: writes || opaque, readsWhole: related.isOpaqueParent(parent)))
        }
        for key in shape.foreignKeys {
            plan(
                key.columns, key.parent, key.parentColumns, writes: false,
                at: parents[key.parent] ?? key.parent)
        }
        for columns in related.referencedColumns(of: shape.name) {
            plan(columns, shape.name, columns, writes: true, at: name)
        }
        if related.isCascadeChild(shape.name) {
            // The source may change this table's rows without logging them.
            out.append(
                KeyPlan(
                    parts: [], seed: seed(shape.name, "children"), isOpaque: true, writes: false))
        }
        if related.isAskedUnseen(shape.name) {
            out.append(
                KeyPlan(
                    parts: [], seed: seed(shape.name, "refused"), isOpaque: true, writes: false))
        }
        return out
    }
}
