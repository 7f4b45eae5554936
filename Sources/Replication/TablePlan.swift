internal import MySQLBinlog
internal import MySQLCore

/// Everything a run knows about one migrated table while its shape stays the same: how rows are
/// hashed, merged and written. Made new whenever the shape changes.
final class TablePlan: Sendable {
    /// How the lane may combine changes of different rows of one batch.
    enum Merging: UInt8, Sendable {
        /// Changes of one row become one; the table's rows go out as one DELETE, one upsert, one
        /// INSERT.
        case byKey
        /// The same for tables with more unique keys, where an upsert could hit another row: a
        /// changed row is deleted and inserted, all deletes first. Counts prove both.
        case bySet
        /// Tables tied by foreign keys without actions: inserts parents first, then upserts, then
        /// deletes children first.
        case related
        /// Every change by itself, in the order of the source.
        case inOrder
    }

    let shape: TableShape
    let target: TableName
    let columns: [ColumnPlan]
    /// Indexes of the columns of the identifying key; empty for a table without one.
    let identity: [Int]
    /// Whether a NOT NULL key identifies rows.
    var isKeyless: Bool { identity.isEmpty }
    /// Whether the identifying key is one whole number: its value then is the merge key.
    let integerKey: Int?
    let merging: Merging
    /// Whether a foreign key of the table refers to the table itself.
    let refersToItself: Bool
    /// Depth below the topmost parent, where foreign keys tie tables together.
    let level: Int
    let keys: [KeyPlan]
    /// Keys of whole child tables that a change of a parent row writes, by the action it fires.
    let cascades: [KeyUse]
    let seed: UInt64
    let insertHead: [UInt8]
    let replaceHead: [UInt8]
    let upsertTail: [UInt8]
    let deleteHead: [UInt8]
    let updateHead: [UInt8]
    /// Rough cost of the plan's rows, for ordering within a batch.
    let number: Int

    /// - Parameters:
    ///   - shape: the source's shape, which row images follow.
    ///   - target: the table's name on the target.
    ///   - targetKeys: unique keys of the target that the source lacks.
    ///   - targetColumns: the table's columns on the target, as far as they are known.
    ///   - family: all migrated tables, for foreign keys.
    init(
        shape: TableShape, target: TableName, targetKeys: [KeyShape],
        targetColumns: [ColumnShape] = [], related: ForeignKeyGraph, number: Int
    ) {
        self.shape = shape
        self.target = target
        self.number = number
        let columns = shape.columns.map { ColumnPlan($0) }
        self.columns = columns
        seed = Self.seed(shape.name, "")
        let identifying = shape.identifyingKey
        let identity =
            identifying?.parts.compactMap { part in
                part.column.flatMap { shape.columnIndex($0) }
            } ?? []
        self.identity = identity
        let single = identity.count == 1 ? shape.columns[identity[0]].type : nil
        integerKey = single?.isInteger == true ? identity[0] : nil
        let unique = shape.keys.filter(\.isUnique) + targetKeys
        keys = Self.keyPlans(shape, unique, targetColumns, identity.isEmpty, related)
        cascades = related.cascadeTargets(of: shape.name).map {
            KeyUse(Self.seed($0, "children"), writes: true)
        }
        refersToItself = shape.foreignKeys.contains { $0.parent == shape.name }
        level = related.level(of: shape.name)
        if identity.isEmpty {
            merging = .inOrder
        } else if related.isInvolved(shape.name) {
            merging = related.isSimple(shape.name) ? .related : .inOrder
        } else {
            merging = unique.count <= 1 ? .byKey : .bySet
        }
        let names = columns.filter(\.isWritten).map { String(decoding: $0.name, as: UTF8.self) }
        let list = names.joined(separator: ",")
        insertHead = Array("INSERT INTO \(target.quoted) (\(list)) VALUES ".utf8)
        replaceHead = Array("REPLACE INTO \(target.quoted) (\(list)) VALUES ".utf8)
        // The key is the same before and after, byte by byte: that made it one row's change.
        let rest = columns.enumerated()
            .filter { $1.isWritten && !identity.contains($0) }
            .map { String(decoding: $1.name, as: UTF8.self) }
        let assigned = (rest.isEmpty ? names : rest)
            .map { "\($0)=VALUES(\($0))" }.joined(separator: ",")
        upsertTail = Array(" ON DUPLICATE KEY UPDATE \(assigned)".utf8)
        deleteHead = Array("DELETE FROM \(target.quoted) WHERE ".utf8)
        updateHead = Array("UPDATE \(target.quoted) SET ".utf8)
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

    private static func keyPlans(
        _ shape: TableShape, _ unique: [KeyShape], _ target: [ColumnShape], _ keyless: Bool,
        _ related: ForeignKeyGraph
    ) -> [KeyPlan] {
        var out: [KeyPlan] = []
        if keyless {
            // The whole table is one key: twins can't be told apart.
            out.append(
                KeyPlan(parts: [], seed: seed(shape.name, ""), isOpaque: true, writes: true))
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
                    parts: parts, seed: seed(shape.name, "key \(names)"), isOpaque: opaque,
                    writes: true))
        }
        out += foreignKeyPlans(shape, target, related)
        return out
    }

    /// A child row reads its parents' referenced columns, whether or not they are unique there; a
    /// parent row writes them. Both hash under one seed.
    private static func foreignKeyPlans(
        _ shape: TableShape, _ target: [ColumnShape], _ related: ForeignKeyGraph
    ) -> [KeyPlan] {
        var out: [KeyPlan] = []
        func plan(_ columns: [String], _ parent: TableName, _ names: [String], writes: Bool) {
            let parts = columns.compactMap { shape.columnIndex($0) }.map {
                KeyPlan.part(shape, column: $0, prefix: nil, target: target)
            }
            let opaque =
                parts.count != columns.count
                || parts.contains { shape.columns[$0.column].generation != nil }
            let label = names.map { $0.lowercased() }.joined(separator: "\u{1}")
            out.append(
                KeyPlan(
                    parts: parts, seed: seed(parent, "parent \(label)"), isOpaque: opaque,
                    writes: writes || opaque, readsWhole: related.isOpaqueParent(parent)))
        }
        for key in shape.foreignKeys {
            plan(key.columns, key.parent, key.parentColumns, writes: false)
        }
        for columns in related.referencedColumns(of: shape.name) {
            plan(columns, shape.name, columns, writes: true)
        }
        if related.isCascadeChild(shape.name) {
            // The source may change this table's rows without logging them.
            out.append(
                KeyPlan(
                    parts: [], seed: seed(shape.name, "children"), isOpaque: true, writes: false))
        }
        return out
    }
}
