internal import Checkpoint
internal import MySQLBinlog
internal import MySQLCore
internal import MySQLSyntax
internal import Rules

/// What the target holds of the stream, as the takeover found it.
struct AppliedState: Sendable {
    let lowWater: SourcePosition
    let carried: IdentitySet

    func contains(_ identity: TransactionIdentity) -> Bool {
        carried.contains(identity) || lowWater.contains(identity)
    }
}

/// The migrated tables at the stream's position: shapes, plans, and the table maps in force.
/// Lives on the reader's thread.
final class TableCatalog {
    /// What to do with rows of a table in one transaction.
    enum Use { case skip, converge, exact }

    struct Entry {
        let map: TableMap
        let plan: TablePlan
        /// Which of its rows are left out; `nil` for none.
        var filter: RowFilter?
        var use: Use
    }

    let sourceVersion: ServerVersion
    let mapping: TableMapping
    /// How statements of the source are read, and repeated on the target.
    let session: StatementSession
    private(set) var state: SchemaState
    private var windows: [TableName: CopyRange]
    /// What was copied, also where the mark has passed its copy.
    private let copied: Set<TableName>
    private let consistentFrom: SourcePosition?
    /// Tables of the target that have no rows but those that were copied or followed; `nil` where
    /// all that were there before were empty.
    var ownTargets: Set<TableName>? {
        guard keepsExisting else { return nil }
        return Set(created.subtracting(found).compactMap { try? target(of: $0) })
    }
    /// Whether tables that others have made are never emptied.
    private let keepsExisting: Bool
    /// Tables that the subtask's copy has created.
    var created: Set<TableName> = []
    /// Whether other sources of the task write to a table of the target.
    var othersWrite: (TableName) throws -> Bool = { _ in false }
    /// Whether a table is not on the source now what it was at the mark.
    var isChangedOnSource: (TableName, TableShape) throws -> Bool = { _, _ in false }
    /// What lies before it says nothing of views and routines: they were copied behind that. `nil`
    /// where the mark has passed it.
    private let objectsFrom: SourcePosition?
    /// Unique keys that tables have on the target only.
    private var targetKeys: [TableName: [KeyShape]] = [:]
    /// Columns and unique keys of tables of the target, by their names there.
    private var there: [TableName: (columns: [ColumnShape], unique: [KeyShape])] = [:]
    /// Where tables go, as far as it was asked.
    private var routes: [TableName: Route] = [:]
    /// Tables of the target that rows of more than one table go to.
    private(set) var merged: Set<TableName> = []
    private var graph: ForeignKeyGraph
    private var plans: [TableName: TablePlan] = [:]
    private var filters: [TableName: RowFilter?] = [:]
    private var planNumber = 0
    /// Tables of which rules that are not in force any more have left something out.
    private var loose: Set<TableName>
    /// Whether changes of the current transaction are to be written so that rows become what they
    /// say, whatever is there.
    private(set) var isSafe: Bool
    private let isAlwaysSafe: Bool
    /// Up to where another tool may have applied changes before; `nil` when that is passed.
    private var adoptedUntil: SourcePosition?
    /// Whether there was such a place when the run began.
    let isAdopting: Bool
    /// Rules that were warned of.
    private var warned: Set<RuleError> = []

    /// Online schema changes that are under way; `nil` where their tools' tables are as any other.
    var onlineChanges: OnlineSchemaChangeStateMachine?
    /// What of them is on its way to the checkpoint.
    private var noted: [TableName: OnlineSchemaChangeStateMachine.Entry] = [:]

    /// The statement that an earlier run has stopped at.
    var stopped: StoppedStatement?
    /// What an operator has decided about statements, by their keys.
    var decisions: [String: StatementDecision] = [:]
    /// What the checkpoint has of the schemas' defaults, or gets with the next mark.
    private var notedDefaults: StoredDefaults
    private var mayHaveOtherDefaults = false
    /// Records that are to come or go with the mark.
    var changes: [ObjectChange] = []
    /// Whether statements on merged tables are followed.
    var followsMerged = false
    /// Where the tables go that earlier runs have told others of, those that are gone aside.
    var toldOfMerged: [TableName: TableName] = [:]
    /// Tables of the target that keep rows of merged tables which are gone.
    var abandonedTargets: Set<TableName> = []
    /// Targets of the current statement that were found to have no rows of others.
    var foundAlone: Set<TableName> = []
    /// Tables that were taken over from a task that had not created them.
    var found: Set<TableName> = []

    /// What to tell of statements that were carried, until somebody does.
    var warnings: [String] = []
    /// Views and routines that the target need not have as the source has them.
    var stale: [StaleObject.ID: StaleObject] = [:]

    /// Table maps in force: an entry, or `nil` for tables nobody migrates.
    private var maps: [UInt64: (raw: [UInt8], entry: Entry?)] = [:]
    private var lastID: UInt64 = .max
    private var lastEntry: Entry?
    private var uses: [TableName: Use] = [:]
    private var identity: TransactionIdentity?

    init(
        sourceVersion: ServerVersion, mapping: TableMapping, state: SchemaState,
        windows: [TableName: CopyRange], lowWater: SourcePosition? = nil,
        consistentFrom: SourcePosition?, objectsFrom: SourcePosition? = nil,
        session: StatementSession? = nil,
        online: [TableName: OnlineSchemaChangeStateMachine.Entry] = [:],
        loose: Set<TableName> = [], isSafe: Bool = false, adoptedUntil: SourcePosition? = nil,
        notedDefaults: StoredDefaults? = nil, keepsExisting: Bool = false
    ) {
        self.keepsExisting = keepsExisting
        self.notedDefaults = notedDefaults ?? StoredDefaults()
        mayHaveOtherDefaults = notedDefaults == nil
        self.loose = loose
        self.isSafe = isSafe
        isAlwaysSafe = isSafe
        self.adoptedUntil = adoptedUntil
        isAdopting = adoptedUntil != nil
        self.sourceVersion = sourceVersion
        self.mapping = mapping
        let unknown = ServerDialect(version: sourceVersion)
        self.session = session ?? StatementSession(source: unknown, target: unknown)
        self.state = state
        // What comes behind the mark is told by its number where that is asked, and numbers of
        // MariaDB need not rise: what the mark has passed is not asked about any more.
        self.windows = windows.filter { !(lowWater.map($0.value.isPassed(by:)) ?? false) }
        copied = Set(windows.keys)
        self.consistentFrom = consistentFrom
        let objects = (objectsFrom ?? consistentFrom).map { CopyRange(low: $0, high: $0) }
        self.objectsFrom = objects.flatMap { range in
            lowWater.map(range.isPassed(by:)) == true ? nil : range.high
        }
        graph = ForeignKeyGraph(state.tables.values)
        if let names = mapping.onlineNames {
            onlineChanges = OnlineSchemaChangeStateMachine(names, entries: online) {
                mapping.selects($0)
            }
        }
        // What other rules have noted nobody goes on with: it is not complete any more.
        let known = onlineChanges?.entries ?? [:]
        noted = known
        changes = online.keys.filter { known[$0] == nil }.sorted()
            .map { ObjectChange(removing: .online, $0) }
        if mapping.movesTables { makeGraph() }
    }

    /// What an operator has decided about a statement.
    func decision(about identity: TransactionIdentity) -> StatementDecision? {
        decisions.isEmpty ? nil : decisions[identity.decisionKey]
    }

    /// A statement is dealt with: it stops nobody any more, and nothing is to be decided.
    func settle(_ identity: TransactionIdentity) {
        guard stopped != nil || !decisions.isEmpty else { return }
        let key = identity.decisionKey
        if stopped?.key == key {
            stopped = nil
            changes.append(ObjectChange(removing: .stopped, StoppedStatement.name))
        }
        if decisions.removeValue(forKey: key) != nil {
            changes.append(ObjectChange(removing: .decision, StatementDecisions.name(key)))
        }
    }

    /// Views and routines that a statement was about which is left out. The mark that holds it is
    /// durable before the next statement runs, which may settle them.
    func note(_ stale: [StaleObject]) throws {
        changes += try stale.map { try ObjectChange(stale: $0) }
        for object in stale { self.stale[object.id] = object }
    }

    /// A view that is not what the source has is so under its new name, too.
    func carryStale(over ddl: DDL) throws {
        guard !stale.isEmpty, case .renameTables(let renaming) = ddl else { return }
        for (from, to) in renaming.renamings.map({ ($0.from, $0.to) }) {
            guard var object = stale.removeValue(forKey: StaleObject.ID(.view, from)) else {
                continue
            }
            changes.append(ObjectChange(removing: .staleView, from))
            object.id.name = to
            object.asked = nil
            try note([object])
        }
    }

    /// What statements have changed of the subtask's records since this was asked last: to be
    /// stored with the mark that holds those statements.
    func takeChanges() throws -> [ObjectChange] {
        defer { changes = [] }
        if mayHaveOtherDefaults {
            changes += try notedDefaults.change(to: state.schemas)
            mayHaveOtherDefaults = false
        }
        guard let machine = onlineChanges, machine.entries != noted else { return changes }
        defer { noted = machine.entries }
        return try changes
            + machine.changes(since: noted).map { try ObjectChange(.online, $0.0, $0.1) }
    }

    /// Tables as the target has them now, by their names there.
    func noteTarget(_ shapes: [TableName: TableShape]) {
        guard !shapes.isEmpty else { return }
        for (name, shape) in shapes {
            there[name] = (shape.columns, shape.keys.filter(\.isUnique))
        }
        plans.removeAll()
        forgetMaps()
        makeGraph()
    }

    /// Where a table goes.
    ///
    /// - Throws: ``ReplicationError/refused(_:detail:)`` when the rules don't agree on it.
    func route(of table: TableName) throws -> Route {
        if let known = routes[table] { return known }
        do throws(RuleError) {
            let route = try mapping.route(of: table)
            routes[table] = route
            return route
        } catch {
            throw ReplicationError.refused(table, detail: "\(error)")
        }
    }

    /// The table on the target.
    func target(of table: TableName) throws -> TableName {
        mapping.movesTables ? try route(of: table).target : table
    }

    /// The schema on the target.
    func target(ofSchema schema: String) throws -> String {
        do throws(RuleError) {
            return try mapping.target(ofSchema: schema)
        } catch {
            throw ReplicationError.refused(nil, detail: "\(error)")
        }
    }

    /// Tables on the target, sorted, each once.
    func targets(_ tables: some Sequence<TableName>) throws -> [TableName] {
        guard mapping.movesTables else { return Set(tables).sorted() }
        return try Set(tables.map { try target(of: $0) }).sorted()
    }

    /// Whether rows of another table of this source, too, go where this one's go.
    ///
    /// - Parameter table: also one that there is not yet.
    func isMerged(_ table: TableName) throws -> Bool {
        guard mapping.movesTables else { return false }
        let target = try target(of: table)
        return try state.tables.keys.contains {
            try $0 != table && mapping.selects($0) && self.target(of: $0) == target
        }
    }

    /// Unique keys that a table has on the target only: as they are there now, whoever has made
    /// them.
    private func extraKeys(of shape: TableShape) -> [KeyShape] {
        // A table without a valid route is refused when the first row of it comes.
        guard !there.isEmpty, let target = try? target(of: shape.name),
            let unique = there[target]?.unique, !unique.isEmpty
        else { return [] }
        func isTargets(_ key: KeyShape) -> Bool {
            !shape.keys.contains { $0.isUnique && $0.parts == key.parts }
        }
        let extracted = routes[shape.name]?.extracted ?? []
        if extracted.isEmpty { return unique.filter(isTargets) }
        // What the route fills is the same in all rows, and tells none apart.
        let constants = Set(extracted.map { $0.name.lowercased() })
        return unique.map { key in
            var key = key
            key.parts.removeAll { constants.contains($0.column?.lowercased() ?? "") }
            return key
        }.filter(isTargets)
    }

    private func makeGraph() {
        targetKeys = [:]
        for shape in state.tables.values {
            let extra = extraKeys(of: shape)
            if !extra.isEmpty { targetKeys[shape.name] = extra }
        }
        merged = []
        var constrained = Set(targetKeys.keys)
        if mapping.movesTables {
            // A table without a valid route is refused when the first row of it comes.
            let groups = Dictionary(grouping: state.tables.keys) { try? target(of: $0) }
            for (target, sources) in groups where sources.count > 1 {
                guard let target else { continue }
                merged.insert(target)
                constrained.formUnion(sources)
            }
        }
        graph = ForeignKeyGraph(state.tables.values, constrained: constrained)
    }

    /// A transaction begins.
    ///
    /// - Parameters:
    ///   - place: where it stands in the binlog that is read.
    ///   - server: whose binlog that is.
    ///   - isRecalled: its rows were prepared at another place than it is decided at; another tool may
    ///     have applied them there, also where that place is passed, or was another server's.
    func beginTransaction(
        _ identity: TransactionIdentity, at place: BinlogPosition? = nil,
        of server: ServerUUID? = nil, isRecalled: Bool = false
    ) {
        self.identity = identity
        isSafe =
            isAlwaysSafe || (isRecalled ? isAdopting : isAdopted(identity, place, server))
        if !uses.isEmpty { uses.removeAll(keepingCapacity: true) }
        lastID = .max
    }

    /// A new file: table ids mean something else.
    func forgetMaps() {
        maps.removeAll()
        lastID = .max
    }

    /// Whether a plan is the one that its table has now.
    func isCurrent(_ plan: TablePlan) -> Bool { plans[plan.shape.name] === plan }

    /// Shapes have changed, by `change`; plans are made anew.
    func change<R>(_ change: (inout SchemaState) throws -> R) rethrows -> R {
        defer {
            mayHaveOtherDefaults = true
            plans.removeAll()
            filters.removeAll()
            forgetMaps()
            makeGraph()
        }
        return try change(&state)
    }

    /// Rows that need not be the source's are so wherever a statement takes them: by another name,
    /// or from and to a partition. That a table was dropped is not looked at.
    func carryLoose(over ddl: DDL) throws {
        guard !loose.isDisjoint(with: ddl.tablesBefore) else { return }
        for name in ddl.tablesAfter where mapping.selects(name) && loose.insert(name).inserted {
            changes.append(try ObjectChange(.loose, name, true))
        }
    }

    /// Whether another tool may have applied a transaction before.
    ///
    /// Either sign is enough: numbers of MariaDB need not rise, and files and offsets say nothing
    /// after a failover. Without one, nobody can have read it.
    private func isAdopted(
        _ identity: TransactionIdentity, _ place: BinlogPosition?, _ server: ServerUUID?
    ) -> Bool {
        guard let end = adoptedUntil else { return false }
        if end.contains(identity) { return true }
        guard let place, server == end.origin.server else { return false }
        return place < end.binlog
    }

    /// Whether the copy of any table still matters, or what was applied before there was one.
    var hasWindows: Bool { !windows.isEmpty || adoptedUntil != nil }

    /// Ranges that the mark has passed need no more looking at.
    func forgetWindows(passedBy mark: SourcePosition) {
        // Every sign must say so: numbers that come out of order are met again.
        if let end = adoptedUntil, end.origin.server == mark.origin.server,
            mark.binlog > end.binlog, mark.gtids.holds(end.gtids), case .mysql = end.gtids
        {
            adoptedUntil = nil
        }
        guard !windows.isEmpty else { return }
        windows = windows.filter { _, range in
            switch (mark.gtids, range.high.gtids) {
            case (.mysql(let done), .mysql(let high)): !done.isSuperset(of: high)
            default: mark.binlog < range.high.binlog || mark.origin != range.high.origin
            }
        }
    }

    /// Whether the copy has found a table.
    func wasCopied(_ table: TableName) -> Bool { copied.contains(table) }

    /// Whether views and routines were copied behind the current transaction.
    var hasLaterObjects: Bool {
        guard let identity, let objectsFrom else { return false }
        return objectsFrom.contains(identity)
    }

    /// How DDL at the current transaction meets a table's copy.
    func use(of table: TableName) -> Use {
        guard let identity else { return .exact }
        if let known = uses[table] { return known }
        var use = Use.exact
        if let range = windows[table] {
            if range.low.contains(identity) {
                use = .skip
            } else if range.high.contains(identity) {
                use = .converge
            }
        } else if state.tables[table] == nil, !copied.contains(table),
            let from = consistentFrom, from.contains(identity)
        {
            // The table was gone when the copy saw the source. One that was copied is there at
            // that moment, however often it is dropped and made again on the way.
            use = .skip
        }
        uses[table] = use
        return use
    }

    /// Whether foreign keys have no say in a table's rows in the current transaction.
    ///
    /// Tables that are tied to it were copied at a later place: a row of theirs may be there which
    /// the source got later, and would refuse a change, or be changed by an action once more. Actions
    /// that other tables need are run; no table is then copied alone that they reach, too.
    func leavesForeignKeys(of table: TableName) -> Bool {
        guard !windows.isEmpty, graph.isInvolved(table) else { return false }
        let tied = graph.neighbours(of: table).filter { state.tables[$0] != nil }
        guard tied.contains(where: { use(of: $0) != .exact }) else { return false }
        return graph.cascadeTargets(of: table).allSatisfy { use(of: $0) != .exact }
    }

    /// Takes a TABLE_MAP event.
    ///
    /// - Parameter keepsSkipped: rows that the copy holds already are wanted nevertheless, since
    ///   their transaction may count at a later place (XA).
    /// - Returns: false when they are, and their table had another shape then.
    func note(
        _ event: RawSpan, position: SourcePosition, keepsSkipped: Bool = false
    ) throws -> Bool {
        let id = try Self.tableID(event)
        if let known = maps[id], Self.isSameBody(known.raw, event) { return true }
        let map = try TableMap(event, family: sourceVersion.family)
        var raw = [UInt8](repeating: 0, count: event.byteCount)
        for i in 0..<raw.count {
            raw[i] = unsafe event.unsafeLoad(fromByteOffset: i, as: UInt8.self)
        }
        lastID = .max
        let name = TableName(schema: map.schema, name: map.table)
        guard mapping.selects(name) else {
            maps[id] = (raw, nil)
            return true
        }
        let isSkipped = use(of: name) == .skip
        if isSkipped {
            // The table may have had another shape. That holds for this transaction: the next map
            // of the id is looked at again.
            maps[id] = ([], nil)
            guard keepsSkipped else { return true }
        }
        do {
            let plan = try plan(for: name, position)
            try check(map, plan, position)
            maps[id] = (raw, Entry(map: map, plan: plan, filter: try filter(of: plan), use: .exact))
            return true
        } catch {
            guard isSkipped else { throw error }
            return false
        }
    }

    private static func tableID(_ event: RawSpan) throws(BinlogError) -> UInt64 {
        guard event.byteCount >= EventHeader.size + 6 else {
            throw BinlogError(.truncated, .tableMap, at: event.byteCount, "its table id")
        }
        let low = unsafe event.unsafeLoadUnaligned(fromByteOffset: 19, as: UInt32.self)
        let high = unsafe event.unsafeLoadUnaligned(fromByteOffset: 23, as: UInt16.self)
        return UInt64(low) | UInt64(high) << 32
    }

    /// The table of a row event, `nil` when nobody migrates it.
    @inline(__always)
    func table(_ id: UInt64) throws -> Entry? {
        if id == lastID { return lastEntry }
        guard let found = maps[id] else {
            throw BinlogError(.malformed, nil, at: 19, "rows of a table without a table map")
        }
        var entry = found.entry
        if let name = entry?.plan.shape.name, !windows.isEmpty { entry?.use = use(of: name) }
        lastID = id
        lastEntry = entry
        return entry
    }

    private func filter(of plan: TablePlan) throws -> RowFilter? {
        guard mapping.leavesOutChanges else { return nil }
        let name = plan.shape.name
        if let known = filters[name] { return known }
        do throws(RuleError) {
            let filter = try RowFilter(mapping, plan.shape, source: sourceVersion)
            filters[name] = .some(filter)
            for rule in filter?.dormant ?? [] where warned.insert(rule).inserted {
                warnings.append(
                    "\(rule): \(name) does not have the column, so that it leaves nothing out")
            }
            return filter
        } catch {
            throw ReplicationError.refused(name, detail: "\(error)")
        }
    }

    private static func isSameBody(_ raw: [UInt8], _ event: RawSpan) -> Bool {
        guard raw.count == event.byteCount else { return false }
        // Timestamps and positions in the header differ, the rest is compared.
        for i in EventHeader.size..<raw.count {
            let byte = unsafe event.unsafeLoad(fromByteOffset: i, as: UInt8.self)
            if raw[i] != byte { return false }
        }
        return true
    }

    private func plan(for name: TableName, _ position: SourcePosition) throws -> TablePlan {
        if let plan = plans[name] { return plan }
        guard let shape = state.tables[name] else {
            throw ReplicationError.shapeMismatch(
                name, position, detail: "its shape at this position is not known")
        }
        planNumber += 1
        let route = try route(of: name)
        if let column = route.extracted.first(where: { shape.columnIndex($0.name) != nil }) {
            throw ReplicationError.refused(
                name,
                detail: "column \(column.name) is to be filled by a route, and the source has it")
        }
        var parents: [TableName: TableName] = [:]
        for key in shape.foreignKeys { parents[key.parent] = try target(of: key.parent) }
        let plan = TablePlan(
            shape: shape, route: route, isMerged: merged.contains(route.target),
            isShared: mapping.mayBeShared(target: route.target),
            isLoose: loose.contains(name) || mapping.leavesOutRows(of: name),
            parents: parents, targetKeys: targetKeys[name] ?? [],
            targetColumns: there[route.target]?.columns ?? [], related: graph, number: planNumber)
        plans[name] = plan
        return plan
    }

    private func check(_ map: TableMap, _ plan: TablePlan, _ position: SourcePosition) throws {
        let columns = plan.shape.columns
        let fit = TableMapFit(map, family: sourceVersion.family)
        if let detail = fit.difference(from: plan.shape) {
            throw ReplicationError.shapeMismatch(plan.shape.name, position, detail: detail)
        }
        for (layout, column) in zip(map.columns, columns) where column.type.decimals > 0 {
            // Of the table map they can't be told from columns without fractions, which are shorter.
            guard layout.type == .time || layout.type == .datetime || layout.type == .timestamp
            else { continue }
            throw ReplicationError.unsupported(
                position,
                detail: "column \(column.name) of \(plan.shape.name) keeps its fractions in "
                    + "MariaDB's old format (mysql56_temporal_format=OFF): set it to ON, rebuild "
                    + "the table (ALTER TABLE .. FORCE), and start over")
        }
        let told = TableMapClaims(map, collations: session.source.collations)
        if let detail = told.difference(from: plan.shape) {
            throw ReplicationError.shapeMismatch(plan.shape.name, position, detail: detail)
        }
    }
}
