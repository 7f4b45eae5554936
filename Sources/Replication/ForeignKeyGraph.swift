public import MySQLCore

/// The foreign keys between tables of one subtask.
struct ForeignKeyGraph: Sendable {
    private var children: [TableName: [ForeignKeyShape]] = [:]
    private var childTables: [TableName: Set<TableName>] = [:]
    private var involved: Set<TableName> = []
    private var neighbours: [TableName: Set<TableName>] = [:]
    private var cascadeChildren: Set<TableName> = []
    /// Depth of tables below the topmost parent; none for tables in a cycle.
    private var levels: [TableName: Int] = [:]
    /// Tables that are tied, directly or not, only to tables whose rows can be regrouped.
    private var simple: Set<TableName> = []
    /// Parents of foreign keys whose values one side can't tell from its rows.
    private var opaqueParents: Set<TableName> = []
    /// Children of actions whose unique keys, every one of them, hold all columns of the foreign
    /// keys with actions: which values a row gives free can be told from its parent.
    private var coveredChildren: Set<TableName> = []
    /// What follows when rows of a parent go, and when what is referred to changes.
    private var deletes: [TableName: ForeignKeyReach] = [:]
    private var updates: [TableName: ForeignKeyReach] = [:]
    /// Tables whose rows refuse changes of others which they refer to, where it is not to be seen
    /// in what is logged which of them are there: actions change them, or what they refer to.
    private var contested: Set<TableName> = []
    private var askedUnseen: Set<TableName> = []

    /// - Parameter constrained: tables that have more unique keys on the target.
    init(_ shapes: some Collection<TableShape>, constrained: Set<TableName> = []) {
        for shape in shapes {
            for key in shape.foreignKeys {
                children[key.parent, default: []].append(key)
                involved.insert(shape.name)
                involved.insert(key.parent)
                neighbours[shape.name, default: []].insert(key.parent)
                neighbours[key.parent, default: []].insert(shape.name)
                if key.onDelete.changesChildren || key.onUpdate.changesChildren {
                    childTables[key.parent, default: []].insert(shape.name)
                }
            }
        }
        for table in childTables.keys { cascadeChildren.formUnion(cascadeTargets(of: table)) }
        guard !involved.isEmpty else { return }
        findReach(shapes)
        findOpaque(shapes)
        findCovered(shapes, constrained)
        findLevels(shapes)
        findSimple(shapes, constrained)
    }

    private mutating func findReach(_ shapes: some Collection<TableShape>) {
        guard !childTables.isEmpty else { return }
        var byParent: [TableName: [(child: TableName, key: ForeignKeyShape)]] = [:]
        for shape in shapes {
            for key in shape.foreignKeys {
                byParent[key.parent, default: []].append((shape.name, key))
            }
        }
        for parent in byParent.keys {
            deletes[parent] = ForeignKeyReach(of: parent, isDelete: true, byParent)
            updates[parent] = ForeignKeyReach(of: parent, isDelete: false, byParent)
        }
        var changed: Set<TableName> = []
        var asked: Set<TableName> = []
        for reach in Array(deletes.values) + Array(updates.values) {
            changed.formUnion(reach.changed)
            asked.formUnion(reach.asked)
            askedUnseen.formUnion(reach.askedUnseen)
        }
        contested = changed.intersection(asked).union(askedUnseen)
    }

    private mutating func findOpaque(_ shapes: some Collection<TableShape>) {
        func isKnown(_ column: String, _ shape: TableShape) -> Bool {
            shape.columnIndex(column).map { shape.columns[$0].generation == nil } ?? false
        }
        let byName = Dictionary(shapes.map { ($0.name, $0) }, uniquingKeysWith: { a, _ in a })
        for shape in shapes {
            for key in shape.foreignKeys {
                let parent = byName[key.parent]
                if !key.columns.allSatisfy({ isKnown($0, shape) })
                    || !key.parentColumns.allSatisfy({ column in
                        parent.map { isKnown(column, $0) } ?? true
                    })
                {
                    opaqueParents.insert(key.parent)
                }
            }
        }
    }

    private mutating func findCovered(
        _ shapes: some Collection<TableShape>, _ constrained: Set<TableName>
    ) {
        for shape in shapes where cascadeChildren.contains(shape.name) {
            let unique = shape.keys.filter(\.isUnique).map { key in
                // A prefix of a column can be equal where the whole is not.
                Set(key.parts.filter { $0.prefixLength == nil }.map { $0.column?.lowercased() })
            }
            let acting = shape.foreignKeys.filter {
                $0.onDelete.changesChildren || $0.onUpdate.changesChildren
            }
            let isCovered = acting.allSatisfy { foreign in
                let columns = foreign.columns.map { $0.lowercased() }
                return unique.allSatisfy { key in columns.allSatisfy { key.contains($0) } }
            }
            if isCovered, !unique.isEmpty, !constrained.contains(shape.name) {
                coveredChildren.insert(shape.name)
            }
        }
    }

    /// Parents before children, as far as there is no cycle.
    private mutating func findLevels(_ shapes: some Collection<TableShape>) {
        var open = Dictionary(
            shapes.filter { involved.contains($0.name) }.map { ($0.name, $0) },
            uniquingKeysWith: { a, _ in a })
        var changed = true
        while changed {
            changed = false
            for (name, shape) in open {
                let parents = shape.foreignKeys.map(\.parent)
                if parents.contains(where: { open[$0] != nil }) { continue }
                levels[name] = 1 + (parents.compactMap { levels[$0] }.max() ?? 0)
                open[name] = nil
                changed = true
            }
        }
    }

    /// Groups of tied tables in which every table has no key but its primary one, of a type whose
    /// values are equal only when their bytes are, and no action or cycle.
    private mutating func findSimple(
        _ shapes: some Collection<TableShape>, _ constrained: Set<TableName>
    ) {
        var plain: Set<TableName> = []
        for shape in shapes where involved.contains(shape.name) {
            let identity = (shape.identifyingKey?.parts ?? []).compactMap {
                $0.column?.lowercased()
            }
            // Other columns can change while the row stays, before its children are gone.
            let isReferredToByKey = referencedColumns(of: shape.name).allSatisfy { columns in
                columns.allSatisfy(identity.contains)
            }
            let isPlain =
                isReferredToByKey && !constrained.contains(shape.name)
                && levels[shape.name] != nil && shape.keys.count(where: \.isUnique) <= 1
                && Self.hasExactKey(shape) && !cascadeChildren.contains(shape.name)
                && childTables[shape.name] == nil
            if isPlain { plain.insert(shape.name) }
        }
        var seen: Set<TableName> = []
        for start in neighbours.keys where !seen.contains(start) {
            var group: Set<TableName> = [start]
            var open = [start]
            while let next = open.popLast() {
                for other in neighbours[next] ?? [] where group.insert(other).inserted {
                    open.append(other)
                }
            }
            seen.formUnion(group)
            if group.isSubset(of: plain) { simple.formUnion(group) }
        }
    }

    private static func hasExactKey(_ shape: TableShape) -> Bool {
        guard let key = shape.identifyingKey else { return false }
        return key.parts.allSatisfy { part in
            guard let name = part.column, part.prefixLength == nil,
                let index = shape.columnIndex(name)
            else { return false }
            let type = shape.columns[index].type
            return !type.isText && type.kind != .float && type.kind != .double
        }
    }

    /// Whether rows of the table's whole group can be regrouped.
    func isSimple(_ table: TableName) -> Bool { simple.contains(table) }

    /// Depth below the topmost parent, 0 for tables without foreign keys.
    func level(of table: TableName) -> Int { levels[table] ?? 0 }

    /// Whether the table is parent or child of any foreign key.
    func isInvolved(_ table: TableName) -> Bool { involved.contains(table) }

    /// Its parents and its children, by foreign keys.
    func neighbours(of table: TableName) -> Set<TableName> { neighbours[table] ?? [] }

    /// Whether rows of the table, or of its children, can't tell the values by which they are tied.
    func isOpaqueParent(_ table: TableName) -> Bool { opaqueParents.contains(table) }

    /// Whether the source can change the table's rows by an action of a foreign key.
    func isCascadeChild(_ table: TableName) -> Bool { cascadeChildren.contains(table) }

    /// Tables whose changes reach others by actions.
    var actingParents: Set<TableName> { Set(childTables.keys) }

    /// The different lists of this table's columns that children refer to.
    func referencedColumns(of table: TableName) -> [[String]] {
        var out: [[String]] = []
        for key in children[table] ?? [] {
            let columns = key.parentColumns.map { $0.lowercased() }
            if !out.contains(columns) { out.append(columns) }
        }
        return out
    }

    /// Every table that a change of a row of this one can reach through actions.
    func cascadeTargets(of table: TableName) -> Set<TableName> {
        var found: Set<TableName> = []
        var open = [table]
        while let next = open.popLast() {
            for child in childTables[next] ?? [] where found.insert(child).inserted {
                open.append(child)
            }
        }
        return found
    }

    /// Tables that actions of this one change in ways that can't be told from the changed row.
    ///
    /// A row of a direct child reads the key by which it refers to its parent, which the parent's
    /// row writes: these two keep their order by that. It does not help where the child's change
    /// gives values of other unique keys free, or reaches further rows.
    func blindCascadeTargets(of table: TableName) -> Set<TableName> {
        let direct = childTables[table] ?? []
        var out: Set<TableName> = []
        for child in direct { out.formUnion(cascadeTargets(of: child)) }
        for child in direct where !coveredChildren.contains(child) || isOpaqueParent(table) {
            out.insert(child)
        }
        return out
    }

    /// Tables whose rows are not what others rely on before and after a change of this one: such
    /// changes keep their order.
    ///
    /// - Parameter isDelete: whether rows go; otherwise what is referred to changes.
    /// - Returns: those whose rows actions change, and those that can refuse the change.
    func contested(
        by table: TableName, isDelete: Bool
    ) -> (changed: Set<TableName>, asked: Set<TableName>) {
        guard let reach = (isDelete ? deletes : updates)[table] else { return ([], []) }
        return (reach.changed.intersection(contested), reach.asked.intersection(contested))
    }

    /// Whether rows of the table can refuse a change of rows that they do not refer to, by an action
    /// that reaches what they refer to.
    func isAskedUnseen(_ table: TableName) -> Bool { askedUnseen.contains(table) }

    /// This table's columns, in lower case, whose change matters to rows of others that are not
    /// logged: foreign keys with actions refer to them, or keys of tables that such actions change.
    func actingColumns(of table: TableName) -> Set<String> {
        var out: Set<String> = []
        let isAsked = !contested(by: table, isDelete: false).asked.isEmpty
        for key in children[table] ?? []
        where isAsked || key.onDelete.changesChildren || key.onUpdate.changesChildren {
            out.formUnion(key.parentColumns.map { $0.lowercased() })
        }
        return out
    }

    /// Tables whose copy needs an exact position: both ends of actions that the binlog does not
    /// carry.
    var cascadeGroups: Set<TableName> {
        Set(childTables.keys).union(cascadeChildren)
    }
}

/// What the copy must know of foreign keys before it is planned.
public enum ForeignKeys {
    /// Tables at both ends of foreign keys whose actions change rows without logging them: they
    /// need an exact position.
    public static func cascadeGroups(_ shapes: [TableShape]) -> Set<TableName> {
        ForeignKeyGraph(shapes).cascadeGroups
    }
}
