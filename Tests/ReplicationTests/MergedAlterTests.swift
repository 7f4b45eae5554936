import Checkpoint
import MySQLCore
import MySQLSyntax
import Testing

@testable import Replication

/// What statements on merged tables are for the table that they are merged into.
struct MergedAlterTests {
    fileprivate static let context = SyntaxContext(
        version: ServerVersion("8.0.30"), defaultSchema: "s")

    /// Tables that are merged, and the one that they go to, as a person would keep it.
    struct Model {
        var members: [String: MergedTable] = [:]
        var target = MergedTarget(
            shape: TableShape(name: TableName(schema: "s", name: "all"), columns: []))
        /// What has run on the target.
        var run: [String] = []

        init(_ names: [String], _ columns: String) throws {
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
                for column in create.columns { note(column.name, column.defaultValue) }
            }
        }

        private mutating func note(_ name: String, _ value: DefaultValue?) {
            let text: String?
            switch value {
            case .literal(let literal)?: text = literal
            default: text = nil
            }
            target.defaults[name.lowercased()] = text
        }

        /// One table gets a statement, and the target what that means.
        mutating func alter(_ name: String, _ actions: String) throws {
            let mine = try #require(members[name])
            let sql = "ALTER TABLE s.\(name) \(actions)"
            let statement = try parseStatement(Array(sql.utf8), context: MergedAlterTests.context)
            guard case .alterTable(let alter) = statement.ddl else { return }
            var state = SchemaState()
            state.tables[mine.shape.name] = mine.shape
            _ = try state.apply(.alterTable(alter), context: MergedAlterTests.context)
            let after = try #require(state.tables[mine.shape.name])
            let plan = try MergedAlter(
                mine: mine, after: after,
                others: members.filter { $0.key != name }.map(\.value), target: target
            ).plan(alter)
            let new = MergedAlter.columns(newBy: alter, on: target)
            for key in members.keys { members[key]?.dropped.removeAll { new.contains($0) } }
            members[name] = MergedTable(
                target: mine.target, shape: after, dropped: plan.dropped)
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
                case .addColumn(let column, _, _), .modifyColumn(let column, _, _):
                    note(column.name, column.defaultValue)
                case .alterColumnDefault(let name, let value, _): note(name, value)
                case .dropColumn(let name, _): target.defaults[name.lowercased()] = nil
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
                    let isFilled =
                        column.isNullable || target.defaults[column.name.lowercased()] != nil
                    #expect(isFilled, "\(what): rows of \(name) have no \(column.name)")
                }
                // A key that forbids rows is one that all of them have.
                for key in target.shape.keys where key.isUnique {
                    // Of columns that it lacks its rows have one value.
                    let parts = key.parts.filter { part in
                        part.column.map { table.shape.columnIndex($0) != nil } ?? true
                    }
                    #expect(
                        table.shape.keys.contains { $0.isUnique && $0.parts == parts },
                        "\(what): \(name) may have rows that \(key.name) forbids")
                }
            }
        }
    }

    private func model(_ names: [String] = ["a", "b", "c"]) throws -> Model {
        try Model(names, "id INT PRIMARY KEY, v VARCHAR(10) NOT NULL DEFAULT 'x', w INT, KEY k (w)")
    }

    private func expectConflict(
        _ words: String, _ model: inout Model, _ name: String, _ actions: String
    ) {
        do {
            try model.alter(name, actions)
            Issue.record("\(actions) was followed")
        } catch let conflict as MergeConflict {
            #expect(conflict.description.contains(words), "\(conflict)")
        } catch {
            Issue.record("\(error)")
        }
    }

    @Test("a column comes with the first table that gets it")
    func addColumn() throws {
        var it = try model()
        try it.alter("b", "ADD COLUMN n INT DEFAULT 5 AFTER id, ADD KEY n (n)")
        #expect(it.last == "ADD COLUMN n INT DEFAULT 5 AFTER id, ADD KEY n (n)")
        it.check("first")
        try it.alter("a", "ADD COLUMN n INT DEFAULT 5 AFTER id, ADD KEY n (n)")
        try it.alter("c", "ADD COLUMN n INT DEFAULT '5', ADD KEY n (n)")
        #expect(it.run.count == 1)
        it.check("last")
    }

    @Test("a column without a default has one for as long as a table lacks it")
    func impliedDefault() throws {
        var it = try model()
        try it.alter(
            "a",
            "ADD COLUMN n INT NOT NULL COMMENT 'AFTER' AFTER `id`, ADD z CHAR(2) NOT NULL FIRST")
        #expect(
            it.last
                == "ADD COLUMN n INT NOT NULL COMMENT 'AFTER' DEFAULT 0 AFTER `id`, "
                + "ADD z CHAR(2) NOT NULL DEFAULT '' FIRST")
        it.check("first")
        try it.alter("c", "ADD COLUMN n INT NOT NULL, ADD z CHAR(2) NOT NULL")
        #expect(it.run.count == 1)
        try it.alter("b", "ADD COLUMN n INT NOT NULL, ADD z CHAR(2) NOT NULL")
        #expect(it.last == "ALTER COLUMN `n` DROP DEFAULT, ALTER COLUMN `z` DROP DEFAULT")
        it.check("last")
        expectConflict("takes no NULL", &it, "a", "ADD j JSON NOT NULL")
    }

    @Test("a column goes with the last table that has it")
    func dropColumn() throws {
        var it = try Model(["a", "b"], "id INT PRIMARY KEY, v VARCHAR(10) NOT NULL, w INT")
        try it.alter("a", "DROP COLUMN v, DROP w")
        #expect(it.last == "ALTER COLUMN `v` SET DEFAULT ''")
        it.check("first")
        #expect(it.members["a"]?.dropped == ["v", "w"])
        expectConflict("has dropped a column w before", &it, "a", "ADD w INT")
        try it.alter("b", "DROP COLUMN v")
        #expect(it.last == "DROP COLUMN v")
        try it.alter("b", "DROP COLUMN w")
        #expect(it.last == "DROP COLUMN w")
        it.check("last")
        // It is nobody's any more.
        try it.alter("a", "ADD w INT")
        #expect(it.last == "ADD w INT")
        it = try model()
        expectConflict("rows are found by column id", &it, "b", "DROP COLUMN id")
    }

    @Test("a column is as wide as the widest")
    func modify() throws {
        var it = try model(["a", "b"])
        try it.alter("a", "MODIFY v VARCHAR(20) NOT NULL DEFAULT 'x'")
        #expect(it.last == "MODIFY v VARCHAR(20) NOT NULL DEFAULT 'x'")
        it.check("wider")
        try it.alter("b", "MODIFY v VARCHAR(15) NOT NULL DEFAULT 'x'")
        #expect(it.run.count == 1)
        try it.alter("a", "MODIFY v VARCHAR(5) NOT NULL DEFAULT 'x'")
        #expect(it.last == "MODIFY v VARCHAR(5) NOT NULL DEFAULT 'x'" || it.run.count == 1)
        it.check("narrower")
        expectConflict("holds less", &it, "b", "MODIFY v TEXT CHARACTER SET latin1")
    }

    @Test("a key that forbids rows comes with the last table, and goes with the first")
    func uniqueKeys() throws {
        var it = try model(["a", "b"])
        try it.alter("a", "ADD UNIQUE KEY u (v)")
        #expect(it.run.isEmpty)
        it.check("first")
        try it.alter("b", "ADD UNIQUE KEY u (v)")
        #expect(it.last == "ADD UNIQUE KEY u (v)")
        try it.alter("b", "DROP KEY u, ALGORITHM=INPLACE")
        #expect(it.last == "DROP KEY u, ALGORITHM=INPLACE")
        it.check("gone")
        try it.alter("a", "DROP KEY u, LOCK=NONE")
        #expect(it.run.count == 2)
        // One that forbids nothing is the other way around.
        try it.alter("a", "DROP KEY k")
        #expect(it.run.count == 2)
        try it.alter("b", "DROP KEY k")
        #expect(it.last == "DROP KEY k")
    }

    private static let refused = [
        ("RENAME COLUMN v TO x", "rows of the other tables still come with v"),
        ("CHANGE v x VARCHAR(10)", "rows of the other tables still come with v"),
        ("DROP PRIMARY KEY", "primary key"),
        ("TRUNCATE PARTITION p0", "partitions"), ("PARTITION BY HASH (id)", ""),
        ("ADD COLUMN r INT", "a route fills"), ("ALTER v SET DEFAULT 'y', ADD r INT", "route"),
        ("ADD FOREIGN KEY (w) REFERENCES p (id) ON DELETE CASCADE", "CASCADE"),
        ("ADD z SERIAL", ""), ("MODIFY w VARCHAR(10)", "holds less"),
        ("EXCHANGE PARTITION p0 WITH TABLE s.z", ""),
        ("DROP KEY k, ADD KEY k (v)", "another key k"),
        ("WITH SYSTEM VERSIONING", ""), ("IMPORT TABLESPACE", "not known"),
    ]

    @Test("what the others' rows don't allow is left to a person", arguments: refused)
    func conflicts(_ actions: String, _ words: String) throws {
        var it = try model(["a", "b"])
        it.target.filled = ["r"]
        expectConflict(words, &it, "a", actions)
        #expect(it.run.isEmpty)
    }

    @Test("the last one left may do what it wants")
    func alone() throws {
        var it = try model(["a"])
        try it.alter("a", "RENAME COLUMN v TO x, DROP KEY k")
        #expect(it.last == "RENAME COLUMN v TO x, DROP KEY k")
    }

    private static let statements = [
        "ADD n INT", "ADD n INT NOT NULL", "ADD n INT NOT NULL DEFAULT 7", "DROP COLUMN n",
        "ADD m VARCHAR(10)", "DROP COLUMN m", "MODIFY m VARCHAR(20)", "MODIFY m VARCHAR(5)",
        "MODIFY v VARCHAR(20) NOT NULL DEFAULT 'x'",
        "MODIFY v VARCHAR(5) NOT NULL DEFAULT 'x'", "MODIFY v TEXT", "MODIFY w BIGINT",
        "MODIFY w INT",
        "ADD KEY x (v)", "DROP KEY x", "ADD UNIQUE KEY u (id, w)", "DROP KEY u", "DROP COLUMN w",
        "ADD w INT, ADD KEY k (w)", "ALTER v SET DEFAULT 'y'", "COMMENT 'c'", "ENGINE=InnoDB",
    ]

    @Test("whatever the order, the target holds all rows, and is what all are in the end")
    func anyOrder() throws {
        var random = SplitMix(20_261_123)
        var ends = 0
        for round in 0..<400 {
            var it = try model()
            // One list for all of them, each at its own pace.
            var list: [String] = []
            var valid = try model(["a"])
            while list.count < 5 {
                let next = Self.statements.randomElement(using: &random)!
                if (try? valid.alter("a", next)) != nil { list.append(next) }
            }
            var places = ["a": 0, "b": 0, "c": 0]
            var isStopped = false
            while !isStopped,
                let name = places.filter({ $0.value < list.count }).keys.sorted()
                    .randomElement(using: &random)
            {
                let actions = list[places[name]!]
                do {
                    try it.alter(name, actions)
                } catch is MergeConflict {
                    isStopped = true
                }
                places[name]! += 1
                it.check("round \(round), \(list), \(name): \(actions)")
            }
            guard !isStopped else { continue }
            ends += 1
            let member = try #require(it.members["a"]?.shape)
            let columns = it.target.shape.columns.map(\.name).sorted()
            #expect(columns == member.columns.map(\.name).sorted(), "round \(round): \(list)")
            for column in member.columns {
                let place = try #require(it.target.column(column.name))
                #expect(
                    place.hasSameValues(as: column), "round \(round): \(list), \(column.name)")
            }
            func keys(_ shape: TableShape) -> [String] {
                shape.keys.map { "\($0.name) \($0.isUnique) \($0.parts)" }.sorted()
            }
            #expect(keys(it.target.shape) == keys(member), "round \(round): \(list), \(it.run)")
        }
        #expect(ends > 100)
    }
}
