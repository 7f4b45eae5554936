internal import Checkpoint
internal import MySQLClient
internal import MySQLCore

/// Another source of the task is about to look at a table that may be shared with it: the next try
/// finds it begun, or free.
struct UndecidedTable: Error, CustomStringConvertible {
    let table: TableName
    let load: SubtaskKey

    var description: String { "\(load) is about to begin \(table), which it shares" }
}

extension LoadSchema {
    /// Makes sure that no other load writes to the tables.
    ///
    /// - Returns: whether that was not so before: the target must be looked at again.
    func claim() throws -> Bool {
        let claims = TableClaims(meta: meta, key: key)
        let mayBeShared = Set(plan.tables.filter(\.mayBeShared).map(\.name))
        let outcome = try claims.claim(
            plan.tables.map(\.name), by: coordinator, mayShare: mayBeShared.contains,
            isEmpty: isEmpty)
        switch outcome {
        case .unchanged: return false
        case .taken(from: let others):
            for other in others {
                // A definition of it may still be under way; it may also be at work again, on other
                // tables.
                try awaitDefinitions(of: other)
            }
            if !others.isEmpty { try claims.settle(plan.tables.map(\.name), by: coordinator) }
            return true
        case .silent(by: let other):
            throw SnapshotError.unsupported(
                object: "load \(key)",
                detail: "another load (\(other)) is at work and does not say on which tables, as "
                    + "earlier versions do not: wait for its end, or end it and go on with this "
                    + "version")
        case .undecided(let table, by: let other):
            throw UndecidedTable(table: table, load: other)
        case .held(let table, by: let other, isRunning: true):
            throw SnapshotError.unsupported(
                object: "table \(table)",
                detail: "another load (\(other)) is at work on it: wait for its end, or end it and "
                    + "drop the table; or leave it out (--exclude)")
        case .held(let table, by: let other, isRunning: false):
            throw SnapshotError.unsupported(
                object: "table \(table)",
                detail: "the target has it, with rows, and another load (\(other)) has begun it; "
                    + "drop or empty it there, or leave it out (--exclude)")
        }
    }
}

// Tables of the target that other sources of the task load, too. What they hold besides this
// source's rows is those sources': nothing of it is deleted, and a table that somebody has dropped
// is not begun anew, since nobody would load the others' rows again.
extension LoadSchema {
    func sharing() throws -> [TableName: TableClaims.Sharing] {
        try sharing(plan.tables.filter(\.mayBeShared).map(\.name))
    }

    func sharing(of table: LoadPlan.Table) throws -> TableClaims.Sharing? {
        table.mayBeShared ? try sharing([table.name])[table.name] : nil
    }

    private func sharing(_ tables: [TableName]) throws -> [TableName: TableClaims.Sharing] {
        guard !tables.isEmpty else { return [:] }
        let out = try TableClaims(meta: meta, key: key).sharing(tables, target)
        try target.execute("COMMIT")
        return out
    }

    /// Looks at a shared table.
    ///
    /// - Parameters:
    ///   - shape: what the target has; `nil` where it has none.
    ///   - records: what this source has loaded into it.
    ///   - isSafe: whether its engine has transactions.
    /// - Throws: ``SnapshotError/unsupported(object:detail:)``.
    func look(
        _ table: LoadPlan.Table, _ shape: TableShape?, _ records: [ChunkRecord], _ own: OwnTables,
        isSafe: Bool, _ sharing: TableClaims.Sharing
    ) throws {
        let others = sharing.others.map(\.source).sorted().joined(separator: ", ")
        func refuse(_ why: String) -> SnapshotError {
            .unsupported(
                object: "table \(table.name)",
                detail:
                    "\(others) \(sharing.others.count > 1 ? "load" : "loads") it, too, and \(why)")
        }
        guard let shape else {
            throw refuse(
                "it is not there any more, with their rows: remove the task, and load by one of "
                    + "another name")
        }
        if records.contains(where: { $0.rows > 0 }) {
            guard try isEmpty(table.name) else { return }
            throw refuse(
                "it has lost its rows: remove the task, drop the table, and load by a task of "
                    + "another name")
        }
        let isWhole = records.count { Self.isDone($0) } == table.rows.count
        if isWhole, own.made.contains(table.name) || !records.isEmpty { return }
        guard isSafe else {
            throw refuse("its engine has no transactions, so that it can't be shared")
        }
        if own.isSurelyMade(table.name) { return }
        try checkDefinition(table, shape, isShared: true)
    }
}
