internal import MySQLCore
internal import MySQLSyntax
internal import Rules

// Foreign keys that are made, or moved, between tables whose rows are as of different places of the
// binlog: some are followed, others were copied behind the statement.
//
// A followed child's rows are older than those of a parent that was copied later, so that neither
// they nor the statement may be asked for their parents: at the place of the copy both are what they
// were on the source, which held the foreign key. That is enough where it refuses, and where the
// parent still has the columns and the key that are referred to. An action is another thing: what it
// did to the child on the source no event tells, and the parent's changes that did it are passed
// over. Then the child is copied again, too, and with it all that the statement has made of it.
//
// Nor can an action be run of which some tables are followed and others, tied to them, hold later
// rows: asked, the target acts on those, and not asked, it does not act at all.
//
// Where a table can't be emptied, since it holds rows of others, nothing of it can be copied again: the
// statement is refused, and the subtask goes on following from there when somebody has found a way.
//
// A foreign key that a later copy brought is there before the source had it: it would refuse what the
// source did to its parent until then.

extension StatementHandler {
    /// The session settings of a statement on tables, some of which may be tied to later copies.
    ///
    /// - Parameters:
    ///   - wanted: the migrated ones of the tables that it names.
    ///   - state: the tables before it.
    ///   - isOwnText: it was written here, in UTF-8.
    /// - Throws: ``copyingAgain(_:_:after:)`` where settings are not enough.
    func settings(
        for ddl: DDL, _ wanted: Set<TableName>, _ event: Event, _ state: SchemaState,
        isOwnText: Bool
    ) throws -> [String] {
        var settings = try settings(event, isOwnText: isOwnText)
        let makesTie = try leavesNewForeignKeys(ddl, wanted, event, state)
        if try isTiedToLater(ddl, wanted, event, state) || makesTie {
            settings.append("foreign_key_checks=0")
        }
        return settings
    }

    /// Whether a followed table that a statement names is tied, before it or then, to one that was
    /// copied behind it.
    ///
    /// - Throws: ``copyingAgain(_:_:after:)`` for a parent that servers do not change so beside its
    ///   child, whether they check foreign keys or not, or that is renamed: the child would refer to
    ///   it by its new name, and the source's refers to who has the name later.
    private func isTiedToLater(
        _ ddl: DDL, _ wanted: Set<TableName>, _ event: Event, _ state: SchemaState
    ) throws -> Bool {
        guard catalog.hasWindows else { return false }
        let later = Set(state.tables.keys.filter { catalog.use(of: $0) != .exact })
        guard !later.isEmpty else { return false }
        let followed = wanted.filter { catalog.use(of: $0) == .exact }
        var changed = state
        let isKnown = (try? changed.apply(ddl, context: event.context)) != nil
        let after = isKnown ? changed : state
        let renamed = Set(Self.renamings(ddl).map { $0.from })
        var isTied = false
        for name in later.sorted() {
            for key in state.tables[name]?.foreignKeys ?? [] where followed.contains(key.parent) {
                isTied = true
                guard !renamed.contains(key.parent) else {
                    throw try copyingAgain(
                        key.parent, event.position, after: isKnown ? changed : nil)
                }
            }
            guard let child = after.tables[name] else { continue }
            for key in child.foreignKeys where followed.contains(key.parent) {
                isTied = true
                guard let parent = after.tables[key.parent] else { continue }
                // What was not met before, either, is not the statement's doing.
                let wasMet = state.tables[key.parent].map { key.isMet(by: $0, from: child) } ?? true
                if wasMet, !key.isMet(by: parent, from: child) {
                    throw try copyingAgain(
                        key.parent, event.position, after: isKnown ? changed : nil)
                }
            }
        }
        return isTied
            || followed.contains { name in
                [state, after].contains { tables in
                    tables.tables[name]?.foreignKeys.contains { later.contains($0.parent) } == true
                }
            }
    }

    /// Whether the target must not ask foreign keys about rows when it runs a statement, since the
    /// statement ties a table to another one that was copied behind it.
    ///
    /// - Parameters:
    ///   - wanted: the migrated ones of the tables that it names.
    ///   - state: the tables before it.
    /// - Throws: ``copyingAgain(_:_:after:)`` where that is not enough.
    func leavesNewForeignKeys(
        _ ddl: DDL, _ wanted: Set<TableName>, _ event: Event, _ state: SchemaState
    ) throws -> Bool {
        var after = state
        guard (try? after.apply(ddl, context: event.context)) != nil else { return false }
        let known = Set(ddl.tablesBefore.flatMap { state.tables[$0]?.foreignKeys ?? [] })
        var isTied = false
        for name in Set(ddl.tablesAfter).sorted()
        where wanted.contains(name) && catalog.use(of: name) == .exact {
            guard let child = after.tables[name] else { continue }
            let made = child.foreignKeys.filter {
                !known.contains($0) && catalog.mapping.selects($0.parent)
            }
            guard !made.isEmpty else { continue }
            for key in made where catalog.use(of: key.parent) != .exact {
                guard !key.onDelete.changesChildren, !key.onUpdate.changesChildren,
                    let parent = after.tables[key.parent], key.isMet(by: parent, from: child)
                else { throw try copyingAgain(name, event.position, after: after) }
                isTied = true
            }
            if catalog.tearsActions(around: name, after) {
                throw try copyingAgain(name, event.position, after: after)
            }
        }
        return isTied
    }

    /// The error that sends a followed table back to its copy before a statement. Where the target's
    /// can't be emptied for that, the subtask would never come out of copying: it is an error of the
    /// statement then.
    ///
    /// - Parameter after: the tables behind the statement; `nil` where that is not known.
    func copyingAgain(
        _ table: TableName, _ position: SourcePosition, after: SchemaState?
    ) throws -> ReplicationError {
        guard let (kept, rows) = try catalog.keptFromCopying(with: table, after: after) else {
            return .changedDuringCopy(table, position)
        }
        return .unsupported(
            position,
            detail: "\(kept) would have to be copied again before a statement on what was copied "
                + "behind it, or is tied to that by foreign keys, and that would delete \(rows): "
                + "exclude the tables that came since, without leaving them on the target, and "
                + "take them in again when the statement has been followed; or say what is to run "
                + "in its place (skein task ddl)")
    }

    /// The error that sends a table back to its copy since a statement changes it inside that; an
    /// error of the statement where the target's can't be emptied.
    func changedInside(
        _ table: TableName, _ position: SourcePosition
    ) throws -> ReplicationError {
        // It may be what it was again for the copy: it is not made anew in any case.
        guard let (kept, rows) = try catalog.keptFromCopying(with: table, after: catalog.state)
        else {
            return .changedDuringCopy(table, position)
        }
        let others = kept == table ? "" : " with \(kept)"
        return .unsupported(
            position,
            detail: "\(table) is changed by a statement while it was copied, and would have to be "
                + "copied again\(others), which would delete \(rows): see what the copy has made of "
                + "it, and say what is to run in the statement's place (skein task ddl)")
    }

    /// A followed table that refers to one which a statement renames, where that is passed over since
    /// the copy has it by its new name: on the target the foreign key would stay with the old one.
    func childLeftBehind(_ ddl: DDL) -> TableName? {
        let renamed = Set(Self.renamings(ddl).map { $0.from })
        guard !renamed.isEmpty else { return nil }
        return catalog.state.tables.values.filter { child in
            child.foreignKeys.contains { renamed.contains($0.parent) }
                && catalog.mapping.selects(child.name) && catalog.use(of: child.name) == .exact
        }.map(\.name).min()
    }
}

extension TableCatalog {
    /// Whether a table, and those tied to it, can't be followed in the current transaction, if tables
    /// become these, because actions of foreign keys are needed in some and must not reach others.
    func tearsActions(around table: TableName, _ state: SchemaState) -> Bool {
        guard hasWindows else { return false }
        return ForeignKeyGraph(state.tables.values.filter { mapping.selects($0.name) })
            .hasActions(around: table) { state.tables[$0] != nil && use(of: $0) != .exact }
    }
}

extension ForeignKeyGraph {
    /// Whether actions that some tables need can't be run, or not rightly, because others that are
    /// tied to what they reach hold rows of a later place. Only what is tied to a table counts.
    func hasActions(around table: TableName, tornBy isLater: (TableName) -> Bool) -> Bool {
        actingParents.contains { parent in
            if isLater(parent) { return false }
            let reached = cascadeTargets(of: parent)
            guard !reached.allSatisfy(isLater) else { return false }
            var tied = reached.union([parent])
            for other in tied { tied.formUnion(neighbours(of: other)) }
            return tied.contains(table) && tied.contains(where: isLater)
        }
    }
}
