import Checkpoint
import MySQLCore
import MySQLSyntax
import Testing

@testable import Replication

extension MergedAlterTests {
    /// Tables that are merged, and the one that they go to, as a person would keep it.
    struct Model {
        var members: [String: MergedTable] = [:]
        var gone: [MergedTable] = []
        var target: MergedTarget
        /// What has run on the target.
        var run: [String] = []

        init(_ names: [String], _ columns: String, filled: [String] = []) throws {
            target = MergedTarget(
                shape: TableShape(name: TableName(schema: "s", name: "all"), columns: []),
                filled: filled)
            var state = SchemaState()
            let place = TableName(schema: "s", name: "all")
            for name in names + ["all"] {
                let sql = Array("CREATE TABLE s.\(name) (\(columns))".utf8)
                let ddl = try #require(
                    try parseStatement(sql, context: MergedAlterTests.context).ddl)
                _ = try state.apply(ddl, context: MergedAlterTests.context)
                let shape = try #require(state.tables[TableName(schema: "s", name: name)])
                if name == "all" {
                    target.shape = shape
                } else {
                    members[name] = MergedTable(target: place, shape: shape)
                }
                guard case .createTable(let create) = ddl else { continue }
                for column in create.columns {
                    if column.expression != nil {
                        members[name]?.expressions[column.name.lowercased()] = column.expression
                    }
                    note(column)
                }
            }
        }

        private mutating func note(_ column: ColumnDefinition) {
            target.definitions[column.name.lowercased()] = column
        }

        /// What its source has refused.
        struct Invalid: Error {}

        /// One table gets a statement, and the target what that means.
        mutating func alter(_ name: String, _ actions: String) throws {
            let mine = try #require(members[name])
            let sql = "ALTER TABLE s.\(name) \(actions)"
            let statement = try parseStatement(Array(sql.utf8), context: MergedAlterTests.context)
            guard case .alterTable(let alter) = statement.ddl else { return }
            for case .alterColumnDefault(let column, _, _) in alter.actions
            where mine.shape.columnIndex(column) == nil {
                throw Invalid()
            }
            var state = SchemaState()
            state.tables[mine.shape.name] = mine.shape
            _ = try state.apply(.alterTable(alter), context: MergedAlterTests.context)
            let after = try #require(state.tables[mine.shape.name])
            let plan = try MergedAlter(
                mine: mine, after: after,
                others: members.filter { $0.key != name }.map(\.value), gone: gone,
                target: target
            ).plan(alter)
            let new = MergedAlter.columns(newBy: alter, on: target)
            for key in members.keys { members[key]?.dropped.removeAll { new.contains($0) } }
            members[name] = MergedTable(
                target: mine.target, shape: after, dropped: plan.dropped)
            members[name]?.expressions = mine.expressions
            for case .addColumn(let column, _, _) in alter.actions {
                members[name]?.expressions[column.name.lowercased()] = column.expression
            }
            guard !plan.clauses.isEmpty else { return }
            let moved = statement.rewritten(
                renaming: { _ in mine.target }, defaultSchema: nil)
            let renamed = try parseStatement(moved, context: MergedAlterTests.context)
            let text = renamed.text(of: plan.clauses, context: MergedAlterTests.context)
            run.append(String(decoding: text, as: UTF8.self))
            let done = try parseStatement(text, context: MergedAlterTests.context)
            guard case .alterTable(let change) = done.ddl else { return }
            state = SchemaState()
            state.tables[target.shape.name] = target.shape
            _ = try state.apply(.alterTable(change), context: MergedAlterTests.context)
            target.shape = try #require(state.tables[target.shape.name])
            for action in change.actions {
                switch action {
                case .addColumn(let column, _, _), .modifyColumn(let column, _, _): note(column)
                case .alterColumnDefault(let name, let value, _):
                    target.definitions[name.lowercased()]?.defaultValue = value
                case .dropColumn(let name, _): target.definitions[name.lowercased()] = nil
                default: continue
                }
            }
        }

        /// What the last statement has had run on the target, behind the table's name.
        var last: String? {
            run.last?.split(separator: " ", maxSplits: 3).last.map { String($0) }
        }

        /// Every row of every table is a row of the target.
        func check(_ what: String) {
            for (name, table) in members {
                for column in table.shape.columns {
                    let place = target.column(column.name)
                    #expect(place?.holds(column) == true, "\(what): \(name).\(column.name)")
                }
                for column in target.shape.columns
                where table.shape.columnIndex(column.name) == nil {
                    #expect(
                        target.givesValue(in: column),
                        "\(what): rows of \(name) have no \(column.name)")
                }
                // A key that forbids rows is one that all of them have.
                for key in target.shape.keys where key.isUnique {
                    #expect(
                        table.shape.forbids(asMuchAs: key),
                        "\(what): \(name) may have rows that \(key.name) forbids")
                }
            }
        }
    }
}
