internal import Foundation
public import MySQLClient
public import MySQLCore

/// A table whose rows can be looked at one by one.
public struct WatchableTable: Sendable {
    /// The table as the source has it.
    public let shape: TableShape
    /// The columns that identify a row on both sides, by their places in the shape.
    public let key: [Int]
}

/// A row that differed when it was last looked at, in a form that can be stored.
public struct StoredRow: Sendable, Hashable, Codable {
    /// Its table, as the source calls it.
    public var table: TableName
    /// Its key's values, in a form of this module.
    public var key: [String]
    /// For how long it has differed, in seconds.
    public var age: Double
}

/// Compares single rows of two servers, while replication between them is running, when somebody
/// tells which may have changed.
///
/// A row that differs is looked at again, until it was equal at some moment. How long it may differ is
/// for the user to say.
///
/// One task at a time.
public actor RowWatch {
    /// What is known of the rows that were looked at.
    public struct Findings: Sendable, Hashable {
        /// Rows that were looked at, each as often as it was told.
        public var rows: UInt64 = 0
        /// Rows that differ, by table as the source calls it.
        public var pending: [TableName: Int] = [:]
        /// Those of them that have differed for longer than they may.
        public var differing: [TableName: Int] = [:]
        /// Rows that could not be compared.
        public var lost: UInt64 = 0
    }

    private struct ID: Hashable {
        let table: TableName
        let key: RowKey
    }

    private struct Entry {
        var row: PendingRow
        let first: ContinuousClock.Instant
    }

    private let options: VerificationOptions
    private let batchRows: Int
    private let pool: SessionPool
    private var plans: [TableName: TablePlan] = [:]
    /// Rows that were told, and not looked at yet.
    private var queue: [TableName: [[String]]] = [:]
    private var entries: [ID: Entry] = [:]
    private var rows: UInt64 = 0
    private var lost: UInt64 = 0
    private var failures: [TableName: String] = [:]

    /// The most bytes of keys in one statement.
    private static let batchBytes = 200_000

    /// Makes a watch; nothing is connected yet.
    ///
    /// - Parameters:
    ///   - options: how many connections, how patient; its tables say nothing.
    ///   - batchRows: rows that one statement looks at.
    public init(
        source: ConnectionOptions, target: ConnectionOptions, options: VerificationOptions,
        batchRows: Int
    ) {
        self.options = options
        self.batchRows = max(1, batchRows)
        pool = SessionPool(
            source: source, target: target, count: max(1, options.parallelism),
            patience: options.patience)
    }

    /// Closes all connections.
    public nonisolated func close() async { await pool.close() }

    // MARK: tables

    /// Finds out how rows of tables are compared.
    ///
    /// - Parameter parts: all that puts rows into the target's tables, as in
    ///   ``VerificationOptions/parts``.
    /// - Returns: those whose rows can be looked at, and why others can't, one sentence each.
    public func plan(
        _ tables: [ComparedTable], parts: [TableName: [TablePart]]
    ) async throws -> (watchable: [WatchableTable], refused: [TableName: String]) {
        var options = options
        options.tables = tables
        options.parts = parts
        options.comparesStructure = false
        let tally = Tally(
            tables.map { TableReport(source: $0.source, target: $0.target) }, report: { _ in })
        let planned = options
        let found = try await pool.use {
            try await Planner(options: planned, pair: $0, tally: tally).plans()
        }
        let reports = tally.tables
        var watchable: [WatchableTable] = []
        var refused: [TableName: String] = [:]
        for (index, table) in tables.enumerated() {
            plans[table.source] = nil
            failures[table.source] = nil
            guard let plan = found[index] else {
                let reason = reports[index].undecidedReason
                refused[table.source] =
                    reason ?? reports[index].structure.first?.description
                    ?? "it is not there on both sides"
                continue
            }
            guard let key = plan.key else {
                refused[table.source] = "no NOT NULL key identifies its rows on both sides"
                continue
            }
            plans[table.source] = plan
            let columns = key.compactMap {
                plan.source.columnIndex(plan.columns[$0].source.column.name)
            }
            watchable.append(WatchableTable(shape: plan.source, key: columns))
        }
        return (watchable, refused)
    }

    /// Forgets how tables are compared: they may have changed.
    public func forgetTables() {
        plans = [:]
        failures = [:]
    }

    /// Tables that could not be compared, and why. Their rows wait until they are planned again, or
    /// given up.
    public var failed: [TableName: String] { failures }

    /// Tables with rows that wait, and that have to be planned.
    public var unplanned: Set<TableName> {
        Set(queue.keys).union(entries.keys.map(\.table)).filter { plans[$0] == nil }
    }

    /// Forgets the rows of a table, which can't be compared.
    public func giveUp(_ table: TableName) {
        lost &+= UInt64(queue.removeValue(forKey: table)?.count ?? 0)
        for id in entries.keys where id.table == table {
            entries[id] = nil
            lost &+= 1
        }
        failures[table] = nil
    }

    // MARK: rows

    /// Looks at rows, by SQL literals of their keys' columns, in the order that ``WatchableTable/key``
    /// has.
    ///
    /// - Throws: when a server can't be reached for longer than it is waited for; what was not looked
    ///   at is looked at with the next call.
    public func look(_ told: [TableName: Set<[String]>]) async throws {
        for (table, keys) in told { queue[table, default: []] += keys }
        for table in queue.keys.sorted() {
            guard let plan = plans[table], failures[table] == nil else { continue }
            try await lookAt(plan, table)
        }
    }

    private func lookAt(_ plan: TablePlan, _ table: TableName) async throws {
        let count = plan.key?.count ?? 0
        // Of a key of other columns, from before a statement: it would find any number of rows.
        if let waiting = queue[table], waiting.contains(where: { $0.count != count }) {
            let fit = waiting.filter { $0.count == count }
            lost &+= UInt64(waiting.count - fit.count)
            queue[table] = fit.isEmpty ? nil : fit
        }
        while let waiting = queue[table] {
            var batches: [[[String]]] = []
            var taken = 0
            while taken < waiting.count, batches.count < pool.count {
                var bytes = 0
                var end = taken
                while end < waiting.count, end - taken < batchRows, bytes < Self.batchBytes {
                    bytes += waiting[end].reduce(0) { $0 + $1.utf8.count + 32 }
                    end += 1
                }
                batches.append(Array(waiting[taken..<end]))
                taken = end
            }
            let keys = batches
            do {
                let found = try await find(plan, keys.count) { session, at in
                    try await session.find(plan, literals: keys[at])
                }
                for pair in found { take(pair, plan, table) }
            } catch {
                try fail(table, error)
                return
            }
            rows &+= UInt64(taken)
            let rest = waiting.dropFirst(taken)
            queue[table] = rest.isEmpty ? nil : Array(rest)
        }
    }

    private typealias Found = (
        source: [RowKey: PendingRow.Found], target: [RowKey: PendingRow.Found]
    )

    /// Asks both sides for several batches at once.
    private func find(
        _ plan: TablePlan, _ count: Int,
        _ body: @Sendable @escaping (Session, Int) async throws -> [RowKey: PendingRow.Found]
    ) async throws -> [Found] {
        let pool = pool
        return try await withThrowingTaskGroup(of: Found.self) { group in
            for at in 0..<count {
                group.addTask {
                    try await pool.use { pair in try await pair.both { try await body($0, at) } }
                }
            }
            var out: [Found] = []
            while let found = try await group.next() { out.append(found) }
            return out
        }
    }

    private func take(_ found: Found, _ plan: TablePlan, _ table: TableName) {
        let now = ContinuousClock.now
        for key in Set(found.source.keys).union(found.target.keys) {
            take(ID(table: table, key: key), found.source[key], found.target[key], plan, now)
        }
    }

    private func take(
        _ id: ID, _ source: PendingRow.Found?, _ target: PendingRow.Found?, _ plan: TablePlan,
        _ now: ContinuousClock.Instant
    ) {
        // Then what the target has may be another table's.
        let isOthers = plan.isShared && source == nil
        guard source?.digest != target?.digest, !isOthers else {
            entries[id] = nil
            return
        }
        if entries[id] == nil {
            entries[id] = Entry(
                row: PendingRow(
                    table: plan.index, key: id.key, range: KeyRange(), source: source?.digest),
                first: now)
        }
        if entries[id]?.row.look(source: source, target: target, at: now) == true {
            entries[id] = nil
        }
    }

    /// Looks again at all rows that differ.
    ///
    /// - Throws: as ``look(_:)``.
    public func lookAgain() async throws {
        for (table, ids) in Dictionary(grouping: entries.keys, by: \.table) {
            guard let plan = plans[table], failures[table] == nil else { continue }
            let count = plan.key?.count ?? 0
            var rest = ids[...]
            while !rest.isEmpty {
                var batches: [[RowKey]] = []
                while !rest.isEmpty, batches.count < pool.count {
                    // A key of other columns, from before a statement, finds nothing.
                    let batch = rest.prefix(min(batchRows, 50))
                    rest = rest.dropFirst(batch.count)
                    for id in batch where id.key.parts.count != count {
                        entries[id] = nil
                        lost &+= 1
                    }
                    batches.append(batch.map(\.key).filter { $0.parts.count == count })
                }
                let keys = batches.filter { !$0.isEmpty }
                do {
                    let found = try await find(plan, keys.count) { session, at in
                        try await session.find(plan, keys[at])
                    }
                    let now = ContinuousClock.now
                    let source = found.map(\.source).reduce(into: [:]) {
                        $0.merge($1) { a, _ in a }
                    }
                    let target = found.map(\.target).reduce(into: [:]) {
                        $0.merge($1) { a, _ in a }
                    }
                    for key in keys.joined() {
                        take(ID(table: table, key: key), source[key], target[key], plan, now)
                    }
                } catch {
                    try fail(table, error)
                    break
                }
            }
        }
    }

    /// Takes in what went wrong with a table; what concerns a server is thrown.
    private func fail(_ table: TableName, _ error: any Error) throws {
        if Task.isCancelled { throw error }
        if let error = error as? MySQLError, error.retry != .no { throw error }
        if error is ServerChanged { throw error }
        failures[table] = "\(error)"
    }

    // MARK: findings

    /// Whether all that was told was looked at.
    public var isIdle: Bool { queue.isEmpty }

    /// What is known.
    ///
    /// - Parameter patience: how long a row may differ.
    public func findings(patience: Duration) -> Findings {
        let now = ContinuousClock.now
        var out = Findings(rows: rows, lost: lost)
        for (id, entry) in entries {
            out.pending[id.table, default: 0] += 1
            // Not by one look behind a time in which nobody has looked.
            if entry.row.looks >= 3, now - entry.first >= patience {
                out.differing[id.table, default: 0] += 1
            }
        }
        return out
    }

    /// The rows that differ, to be restored later, by another process maybe.
    public var stored: [StoredRow] {
        let now = ContinuousClock.now
        return entries.map { id, entry in
            StoredRow(
                table: id.table, key: id.key.parts.map { Data($0).base64EncodedString() },
                age: (now - entry.first) / .seconds(1))
        }
    }

    /// Takes up rows that differed earlier.
    public func restore(_ rows: [StoredRow]) {
        let now = ContinuousClock.now
        for row in rows {
            let parts = row.key.map { [UInt8](Data(base64Encoded: $0) ?? Data()) }
            let id = ID(table: row.table, key: RowKey(parts: parts))
            entries[id] = Entry(
                row: PendingRow(table: 0, key: id.key),
                first: now - .seconds(max(0, min(row.age, 1e9))))
        }
    }
}

extension Session {
    /// Looks rows up by literals of their keys' columns.
    fileprivate func find(
        _ plan: TablePlan, literals: [[String]]
    ) async throws -> [RowKey: PendingRow.Found] {
        guard let columns = plan.on(side).key else { return [:] }
        let condition: String
        if columns.names.count == 1 {
            let list = literals.compactMap(\.first).joined(separator: ",")
            condition = "\(columns.names[0]) IN (\(list))"
        } else {
            condition = literals.map { row in
                let terms = zip(columns.names, row).map { "\($0)=\($1)" }
                return "(\(terms.joined(separator: " AND ")))"
            }.joined(separator: " OR ")
        }
        var out: [RowKey: PendingRow.Found] = [:]
        for row in try await digests(plan, condition) {
            let found = PendingRow.Found(key: row.key, digest: row.digest)
            guard out.updateValue(found, forKey: row.key) == nil else { throw AmbiguousKey() }
        }
        return out
    }
}
