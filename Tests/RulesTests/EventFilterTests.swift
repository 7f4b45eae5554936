import MySQLCore
import MySQLSyntax
import Rules
import Testing

@Suite("Event filters")
struct EventFilterTests {
    private static let table = TableName(schema: "shop", name: "orders")

    private func filter(_ rules: EventFilterRule...) throws -> EventFilter {
        try EventFilter(rules)
    }

    private func rule(
        _ action: EventAction, _ events: [EventSelector] = [], sql: [String] = [],
        schema: String = "shop", table: String = "*", name: String = "r"
    ) -> EventFilterRule {
        EventFilterRule(
            name: name, schemaPattern: schema, tablePattern: table, events: events,
            sqlPatterns: sql, action: action)
    }

    @Test("every word of DM's files is known, in any case")
    func words() {
        for selector in EventSelector.allCases {
            #expect(EventSelector(text: selector.rawValue.uppercased()) == selector)
        }
        #expect(EventSelector(text: "drop  schema") == .dropSchema)
        #expect(EventSelector(text: "rebuild partition") == .rebuildPartition)
        #expect(EventSelector(text: "drop everything") == nil)
        #expect(EventAction(text: "ignore") == .ignore)
        #expect(EventAction(text: "stop") == nil)
    }

    @Test("the first word that covers an event or excludes its class decides")
    func order() throws {
        func action(_ events: [EventSelector], _ kind: EventSelector) throws -> EventAction {
            try filter(rule(.ignore, events)).decision(for: kind, on: Self.table).action
        }
        #expect(try action([.delete], .delete) == .ignore)
        #expect(try action([.delete], .insert) == .do)
        #expect(try action([.allDML], .update) == .ignore)
        #expect(try action([.noDML, .all], .update) == .do)
        #expect(try action([.none, .all], .update) == .do)
        #expect(try action([.update, .none], .update) == .ignore)
        #expect(try action([.noDDL, .allDDL, .all], .update) == .ignore)
        #expect(try action([.allDDL], .update) == .do)
        #expect(try action([], .update) == .do)
    }

    @Test("Do lets through what matches, and nothing else")
    func only() throws {
        let filter = try filter(rule(.do, [.insert, .createTable], sql: ["^create table"]))
        #expect(filter.decision(for: .insert, on: Self.table).action == .do)
        #expect(
            filter.decision(for: .delete, on: Self.table)
                == EventFilter.Decision(.ignore, rule: "r"))
        func ddl(_ kinds: Set<EventSelector>, _ sql: String) -> EventAction {
            filter.decision(forDDL: kinds, on: Self.table, sql: sql).action
        }
        #expect(ddl([.createTable], "CREATE TABLE x (a INT)") == .do)
        #expect(ddl([.createTable], "CREATE  TABLE x (a INT)") == .ignore)
        #expect(ddl([.dropTable], "create table") == .ignore)
        // Kinds that DM does not know: patterns alone decide.
        #expect(ddl([], "create table") == .do)
        #expect(ddl([], "x") == .ignore)
        // Other tables are not asked about.
        #expect(filter.decision(for: .delete, on: TableName(schema: "a", name: "b")).action == .do)
    }

    @Test("Ignore comes before Error, whatever the order")
    func precedence() throws {
        let error = rule(.error, [.dropTable], name: "stop")
        let ignore = rule(.ignore, [], sql: ["drop\\s+table", "^truncate"], name: "skip")
        for filter in [try filter(error, ignore), try filter(ignore, error)] {
            #expect(
                filter.decision(forDDL: [.dropTable], on: Self.table, sql: "DROP  TABLE x")
                    == EventFilter.Decision(.ignore, rule: "skip"))
            #expect(
                filter.decision(forDDL: [.dropTable], on: Self.table, sql: "drop /**/ table x")
                    == EventFilter.Decision(.error, rule: "stop"))
        }
    }

    @Test("rules of schemas count for the schema and all its tables, `*` for the schema too")
    func schemas() throws {
        let schema = TableName(schema: "shop", name: "")
        for table in ["", "*"] {
            let filter = try filter(rule(.ignore, [.dropSchema, .insert], table: table))
            #expect(
                filter.decision(forDDL: [.dropSchema], on: schema, sql: "DROP DATABASE shop").action
                    == .ignore)
            #expect(filter.decision(for: .insert, on: Self.table).action == .ignore)
        }
        let named = try filter(rule(.ignore, [.all], table: "orders"))
        #expect(named.decision(forDDL: [.dropSchema], on: schema, sql: "").action == .do)
    }

    /// DM's algorithm for one rule after the other, said plainly, over all pairs of rules.
    @Test("random rules decide as the model does")
    func agreesWithModel() throws {
        var g = Seeded(5)
        let words: [EventSelector] = [
            .all, .none, .allDML, .noDML, .allDDL, .noDDL, .incompatibleDDL, .insert, .alterTable,
            .dropColumn,
        ]
        var counts: [EventAction: Int] = [:]
        for _ in 0..<20_000 {
            let rules = (0..<g.below(3)).map { _ in
                rule(
                    g.pick(EventAction.allCases), (0..<g.below(4)).map { _ in g.pick(words) },
                    sql: g.below(3) == 0 ? ["col"] : [])
            }
            let isDDL = g.below(2) == 0
            let kinds: Set<EventSelector> = isDDL ? [.alterTable, .dropColumn] : [.insert]
            let sql = isDDL ? g.pick(["DROP COLUMN x", "RENAME"]) : ""
            func covers(_ words: [EventSelector]) -> Bool {
                for word in words {
                    switch word {
                    case .all: return true
                    case .none: return false
                    case .allDML where !isDDL: return true
                    case .noDML where !isDDL: return false
                    case .allDDL where isDDL: return true
                    case .noDDL where isDDL: return false
                    case .incompatibleDDL where isDDL: return true
                    default: if kinds.contains(word) { return true }
                    }
                }
                return false
            }
            var verdicts: [EventAction] = []
            for rule in rules {
                var tests = [covers(rule.events)]
                if isDDL, !rule.sqlPatterns.isEmpty { tests.append(sql.hasPrefix("DROP COL")) }
                switch rule.action {
                case .do: if tests.contains(false) { verdicts.append(.ignore) }
                default: if tests.contains(true) { verdicts.append(rule.action) }
                }
            }
            let expected: EventAction =
                verdicts.contains(.ignore) ? .ignore : verdicts.contains(.error) ? .error : .do
            let filter = try EventFilter(rules)
            let decision =
                isDDL
                ? filter.decision(forDDL: kinds, on: Self.table, sql: sql)
                : filter.decision(for: .insert, on: Self.table)
            counts[expected, default: 0] += 1
            #expect(decision.action == expected, "\(rules) \(kinds) \(sql)")
        }
        #expect(counts.values.allSatisfy { $0 > 1000 } && counts.count == 3)
    }

    @Test("a wrong SQL pattern is told with its number")
    func errors() {
        let error = #expect(throws: RuleError.self) {
            try filter(rule(.ignore, sql: ["a", "b)"]))
        }
        #expect(error?.key == "filters.r.sql-pattern[1]")
        #expect(error?.offset == 1)
    }

    private static let context: SyntaxContext = {
        var context = SyntaxContext(
            version: ServerVersion("10.11.6-MariaDB"))
        context.defaultSchema = "shop"
        return context
    }()

    @Test(
        "a statement's kinds are DM's",
        arguments: [
            ("CREATE DATABASE a", [[.createSchema]]),
            ("ALTER DATABASE a CHARACTER SET latin1", [[.alterSchema, .modifySchemaCharset]]),
            ("DROP SCHEMA a", [[.dropSchema]]), ("CREATE TABLE orders (a INT)", [[.createTable]]),
            ("DROP TABLE orders", [[.dropTable]]), ("TRUNCATE orders", [[.truncateTable]]),
            ("RENAME TABLE orders TO b", [[.renameTable]]),
            ("CREATE INDEX i ON orders (a)", [[.createIndex]]),
            ("DROP INDEX i ON orders", [[.dropIndex]]),
            ("DROP INDEX u ON orders", [[.dropIndex, .dropUniqueKey]]),
            ("CREATE VIEW v AS SELECT 1", [[.createView]]), ("DROP VIEW v", [[.dropView]]),
            ("CREATE TRIGGER g BEFORE INSERT ON orders FOR EACH ROW SET @a = 1", [[]]),
            ("ALTER TABLE orders ADD COLUMN z INT", [[.alterTable, .addColumn]]),
            ("ALTER TABLE orders DROP COLUMN a", [[.alterTable, .dropColumn]]),
            ("ALTER TABLE orders MODIFY a BIGINT", [[.alterTable]]),
            ("ALTER TABLE orders MODIFY a SMALLINT", [[.alterTable, .valueRangeDecrease]]),
            ("ALTER TABLE orders MODIFY a INT UNSIGNED", [[.alterTable, .precisionDecrease]]),
            ("ALTER TABLE orders MODIFY d DECIMAL(10,1)", [[.alterTable, .precisionDecrease]]),
            ("ALTER TABLE orders MODIFY s VARCHAR(10)", [[.alterTable, .valueRangeDecrease]]),
            ("ALTER TABLE orders MODIFY s VARCHAR(30)", [[.alterTable]]),
            ("ALTER TABLE orders MODIFY s CHAR(20)", [[.alterTable, .modifyColumn]]),
            ("ALTER TABLE orders MODIFY a VARCHAR(20)", [[.alterTable, .modifyColumn]]),
            ("ALTER TABLE orders MODIFY e ENUM('a','b','c')", [[.alterTable]]),
            ("ALTER TABLE orders MODIFY e ENUM('b','a')", [[.alterTable, .valueRangeDecrease]]),
            ("ALTER TABLE orders MODIFY id INT", [[.alterTable, .removeAutoIncrement]]),
            ("ALTER TABLE orders MODIFY a INT FIRST", [[.alterTable, .modifyColumnsOrder]]),
            ("ALTER TABLE orders CHANGE a b INT", [[.alterTable, .renameColumn]]),
            (
                "ALTER TABLE orders MODIFY s VARCHAR(20) CHARACTER SET latin1",
                [[.alterTable, .modifyCharset]]
            ),
            (
                "ALTER TABLE orders ALTER a SET DEFAULT 1",
                [[.alterTable, .modifyDefaultValue, .setDefaultValue]]
            ),
            (
                "ALTER TABLE orders ADD PRIMARY KEY (a)",
                [[.alterTable, .modifyConstraint, .addPrimaryKey]]
            ),
            ("ALTER TABLE orders DROP PRIMARY KEY", [[.alterTable, .dropPrimaryKey]]),
            ("ALTER TABLE orders DROP KEY u", [[.alterTable, .dropIndex, .dropUniqueKey]]),
            ("ALTER TABLE orders RENAME KEY u TO v", [[.alterTable, .renameIndex]]),
            ("ALTER TABLE orders RENAME TO b", [[.alterTable, .renameTable]]),
            (
                "ALTER TABLE orders ENGINE=Aria", [[.alterTable, .modifyStorageEngine]]
            ),
            (
                "ALTER TABLE orders CONVERT TO CHARACTER SET latin1",
                [[.alterTable, .modifyCharset, .modifyTableCharset]]
            ),
            ("ALTER TABLE orders DROP PARTITION p", [[.alterTable, .dropPartition]]),
            ("ALTER TABLE orders REMOVE PARTITIONING", [[.alterTable, .removePartitioning]]),
            (
                "ALTER TABLE orders ADD b INT, DROP a",
                [
                    [.alterTable, .addColumn, .multipleActions],
                    [.alterTable, .dropColumn, .multipleActions],
                ]
            ),
        ] as [(String, [Set<EventSelector>])])
    func kinds(sql: String, expected: [Set<EventSelector>]) throws {
        var state = SchemaState()
        let create = try parseStatement(
            """
            CREATE TABLE orders (id INT AUTO_INCREMENT PRIMARY KEY, a INT, d DECIMAL(10,2),
            s VARCHAR(20), e ENUM('a','b'), UNIQUE u (a)) CHARACTER SET utf8mb4
            """, context: Self.context)
        _ = try state.apply(try #require(create.ddl), context: Self.context)
        let statement = try parseStatement(sql, context: Self.context)
        let kinds = try #require(statement.ddl).eventKinds(before: state.tables[Self.table])
        #expect(kinds == expected)
    }
}
