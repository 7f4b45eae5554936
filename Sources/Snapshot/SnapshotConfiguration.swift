public import Checkpoint
public import MySQLClient
public import MySQLCore
public import Rules

/// How a full copy runs.
public struct SnapshotConfiguration: Sendable {
    /// The source server.
    public var source: ConnectionOptions
    /// The target server.
    public var target: ConnectionOptions
    /// Where the checkpoint is.
    public var meta: MetaSchema
    /// Which subtask this is.
    public var key: SubtaskKey
    /// The source's server and the life of its binlog.
    public var origin: Origin
    /// Pairs of a source and a target connection; twice the target's cores is a good number.
    public var pairs = 4
    /// Rows a chunk aims at.
    public var chunkRows = 20_000
    /// Bytes a chunk aims at, by the server's estimate of the average row.
    public var chunkBytes = 8 << 20
    /// A read view that is older is renewed, except while a table needs its very view.
    public var maxSnapshotAge: Duration = .seconds(1800)
    /// Whether other subtasks of the task may write to the same tables of the target: these may
    /// then have rows, and nothing of them is deleted to start over.
    public var sharesTargets = false
    /// Uses target tables that exist and are not empty.
    public var intoExisting = false
    /// Builds secondary, non-unique indexes of large tables after their rows.
    public var defersIndexes = true
    /// Rows from which on a table's indexes are built afterwards.
    public var deferredIndexRows: UInt64 = 50_000
    /// `false` writes by multi-row INSERT even where the target allows `LOAD DATA LOCAL`.
    public var allowsLoadData = true

    /// Makes a configuration with defaults.
    public init(
        source: ConnectionOptions, target: ConnectionOptions, meta: MetaSchema, key: SubtaskKey,
        origin: Origin
    ) {
        self.source = source
        self.target = target
        self.meta = meta
        self.key = key
        self.origin = origin
    }
}

/// A table that is to be copied.
public struct PlannedTable: Sendable, Hashable {
    /// Its shape on the source.
    public var shape: TableShape
    /// The source's estimate of its rows.
    public var estimatedRows: UInt64
    /// The source's estimate of its data in bytes.
    public var estimatedBytes: UInt64
    /// Whether it must be read in one view of exactly known position.
    public var needsExactView: Bool

    /// Where its rows go.
    public var route: Route

    /// Under which condition a row is copied, as SQL for the source; `nil` for all rows.
    public var condition: String?

    /// Names of its keys that no statement can use on the source.
    var ignoredKeys: Set<String> = []

    /// Schema and name on the source.
    public var name: TableName { shape.name }
    /// Schema and name on the target.
    public var target: TableName { route.target }

    /// Makes an entry; a table without a usable key always needs an exact view.
    ///
    /// - Parameter route: where its rows go; `nil` for the same name.
    public init(
        shape: TableShape, estimatedRows: UInt64, estimatedBytes: UInt64, needsExactView: Bool,
        route: Route? = nil
    ) {
        self.shape = shape
        self.route = route ?? Route(target: shape.name)
        self.estimatedRows = estimatedRows
        self.estimatedBytes = estimatedBytes
        self.needsExactView = needsExactView || shape.identifyingKey == nil
    }
}

/// What is copied: tables in the order in which they are begun, large ones first.
public struct SnapshotPlan: Sendable {
    /// The tables.
    public let tables: [PlannedTable]
    /// Which tables are migrated, and where to.
    let mapping: TableMapping
    /// Tables by where they go; more than one where they are merged.
    let byTarget: [TableName: [PlannedTable]]
    /// What ``exactGroups`` is where some tables are followed already.
    private var groups: [Set<TableName>]?

    /// Makes a plan of tables in any order.
    ///
    /// - Parameter mapping: decides on views, routines and events, too.
    public init(
        tables: [PlannedTable], mapping: TableMapping = TableMapping(TableSelection(tables: []))
    ) {
        self.mapping = mapping
        self.tables = tables.sorted { a, b in
            (b.estimatedBytes, a.name) < (a.estimatedBytes, b.name)
        }
        byTarget = Dictionary(grouping: self.tables, by: \.target)
    }

    /// Reads the plan from the source.
    ///
    /// - Parameters:
    ///   - mapping: which tables, views, routines and events are migrated, and where to.
    ///   - needsExactView: tables of foreign-key groups whose cascades the binlog does not hold.
    public static func read(
        _ connection: Connection, _ mapping: TableMapping, needsExactView: Set<TableName> = []
    ) throws -> SnapshotPlan {
        let reader = SchemaReader(connection)
        var estimates: [TableName: TableEstimate] = [:]
        var ignored: [TableName: Set<String>] = [:]
        for schema in try reader.schemas() {
            ignored.merge(try reader.ignoredKeys(in: schema)) { $0.union($1) }
            for estimate in try reader.tables(in: schema) where mapping.selects(estimate.name) {
                estimates[estimate.name] = estimate
            }
        }
        let shapes = try reader.shapes(of: estimates.keys)
        return SnapshotPlan(
            tables: try shapes.values.map { shape in
                var table = PlannedTable(
                    shape: shape, estimatedRows: estimates[shape.name]?.rows ?? 0,
                    estimatedBytes: estimates[shape.name]?.bytes ?? 0,
                    needsExactView: needsExactView.contains(shape.name),
                    route: try mapping.route(of: shape.name))
                table.condition = try mapping.copyCondition(
                    of: shape, source: connection.serverVersion)
                table.ignoredKeys = ignored[shape.name] ?? []
                return table
            }, mapping: mapping)
    }

    /// Whether a table is selected.
    func isSelected(_ table: TableName) -> Bool { mapping.selects(table) }

    /// Tables that go where this one goes.
    func merged(with table: TableName) throws -> Set<TableName> {
        Set(byTarget[try mapping.target(of: table)]?.map(\.name) ?? [])
    }

    /// Tables that others may write to, and that are what they were at the mark: they are emptied
    /// and not made anew when they start over, as long as the target has them so.
    ///
    /// - Parameter mark: tables as they are at the mark.
    func sharedAsBefore(at mark: [TableShape]) -> Set<TableName> {
        let then = Set(mark.map(\.withNamelessForeignKeys))
        return Set(
            tables.filter {
                mapping.mayBeShared(target: $0.target)
                    && then.contains($0.shape.withNamelessForeignKeys)
            }.map(\.name))
    }

    /// The same without some tables, which stay selected.
    func without(_ others: Set<TableName>) -> SnapshotPlan {
        others.isEmpty ? self : with(tables.filter { !others.contains($0.name) })
    }

    /// The same of other tables, or of what they were.
    func with(_ tables: [PlannedTable]) -> SnapshotPlan {
        var plan = SnapshotPlan(tables: tables, mapping: mapping)
        plan.groups = groups
        return plan
    }

    /// The same where some tables are followed already: what must be read at one position is
    /// another thing then.
    ///
    /// Until the stream has come to the position of what is copied, foreign keys are not asked about
    /// rows of what is tied to it and followed. That can be where actions reach no followed table;
    /// where they do, all that takes part in them is copied again. And it can't differ between the
    /// tables that are tied together: those that are copied are read in one view.
    ///
    /// - Parameter mark: tables as they are at the mark. The stream begins there, and acts on what it
    ///   finds by foreign keys that the source may have dropped since.
    func tied(besides followed: Set<TableName>, at mark: [TableShape] = []) -> SnapshotPlan {
        guard !followed.isEmpty else { return self }
        var neighbours: [TableName: Set<TableName>] = [:]
        var acting: [(parent: TableName, child: TableName)] = []
        let planned = Set(tables.map(\.name))
        let names = planned.union(mark.map(\.name))
        for table in tables.map(\.shape) + mark {
            for key in table.foreignKeys where names.contains(key.parent) {
                neighbours[table.name, default: []].insert(key.parent)
                neighbours[key.parent, default: []].insert(table.name)
                guard key.onDelete.changesChildren || key.onUpdate.changesChildren else { continue }
                acting.append((key.parent, table.name))
            }
        }
        var found: [Set<TableName>] = []
        var seen: Set<TableName> = []
        for start in acting.map(\.child) where !seen.contains(start) {
            var all: Set<TableName> = [start]
            var open = [start]
            while let next = open.popLast() {
                for other in neighbours[next] ?? [] where all.insert(other).inserted {
                    open.append(other)
                }
            }
            seen.formUnion(all)
            // What the source has no more can't be copied; the stream takes it away, too.
            var group = all.intersection(planned).subtracting(followed)
            guard !group.isEmpty else { continue }
            let actions = acting.filter { all.contains($0.child) }
            if actions.contains(where: { followed.contains($0.child) }) {
                for action in actions {
                    group.formUnion(planned.intersection([action.parent, action.child]))
                }
            }
            found.append(group)
        }
        let exact = found.reduce(into: Set<TableName>()) { $0.formUnion($1) }
        found += exactGroups.filter { $0.isDisjoint(with: seen) }.map { $0.subtracting(followed) }
            .filter { !$0.isEmpty }
        var plan = SnapshotPlan(
            tables: tables.map { table in
                var table = table
                if exact.contains(table.name) { table.needsExactView = true }
                return table
            }, mapping: mapping)
        plan.groups = found
        return plan
    }

    /// Followed tables beside which others can't be created: those that lack, as of the mark, what
    /// foreign keys of these refer to by now, and those whose foreign keys as of the mark these do
    /// not meet any more. Servers refuse both, whether they check foreign keys or not.
    ///
    /// - Parameter mark: tables as they are at the mark.
    func outgrown(_ followed: Set<TableName>, at mark: [TableShape]) -> [TableName] {
        let now = Dictionary(tables.map { ($0.name, $0.shape) }, uniquingKeysWith: { a, _ in a })
        let then = Dictionary(mark.map { ($0.name, $0) }, uniquingKeysWith: { a, _ in a })
        var kept = followed
        // What is copied again is created by today's definition, too.
        while true {
            var found: Set<TableName> = []
            for table in tables where !kept.contains(table.name) {
                for key in table.shape.foreignKeys where kept.contains(key.parent) {
                    guard let before = then[key.parent], let parent = now[key.parent],
                        key.isMet(by: parent, from: table.shape),
                        !key.isMet(by: before, from: table.shape)
                    else { continue }
                    found.insert(key.parent)
                }
            }
            for name in kept {
                guard let child = then[name] else { continue }
                for key in child.foreignKeys where !kept.contains(key.parent) {
                    guard let parent = now[key.parent], !key.isMet(by: parent, from: child),
                        then[key.parent].map({ key.isMet(by: $0, from: child) }) ?? true
                    else { continue }
                    found.insert(name)
                }
            }
            if found.isEmpty { return followed.subtracting(kept).sorted() }
            kept.subtract(found)
        }
    }

    /// Groups of tables that must be read at one position: tables that need an exact view and are
    /// tied by foreign keys. Every such table is in exactly one group.
    var exactGroups: [Set<TableName>] {
        if let groups { return groups }
        let exact = tables.filter(\.needsExactView)
        let names = Set(exact.map(\.name))
        var group: [TableName: Int] = [:]
        var members: [Int: Set<TableName>] = [:]
        for (i, table) in exact.enumerated() {
            group[table.name] = i
            members[i] = [table.name]
        }
        for table in exact {
            for parent in table.shape.foreignKeys.map(\.parent) where names.contains(parent) {
                guard let a = group[table.name], let b = group[parent], a != b else { continue }
                for name in members[b] ?? [] { group[name] = a }
                members[a, default: []].formUnion(members.removeValue(forKey: b) ?? [])
            }
        }
        return members.sorted { $0.key < $1.key }.map(\.value)
    }
}
