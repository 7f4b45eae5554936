import Foundation
import MySQLBinlog
import MySQLCore
import MySQLSyntax
import Rules
import Testing

@Suite("Online schema changes")
struct OnlineSchemaChangeTests {
    private typealias Machine = OnlineSchemaChangeStateMachine

    private static let context: SyntaxContext = {
        var context = SyntaxContext(
            version: ServerVersion("10.11.6-MariaDB"))
        context.defaultSchema = "db"
        return context
    }()

    private static let tables: SchemaState = {
        var state = SchemaState()
        for name in ["a", "b", "t"] {
            let table = TableName(schema: "db", name: name)
            state.tables[table] = TableShape(
                name: table, columns: [ColumnShape(name: "id", type: ColumnType(.int))], keys: [],
                charset: "utf8mb4", collation: "utf8mb4_general_ci")
        }
        return state
    }()

    private func machine(
        _ entries: [TableName: Machine.Entry] = [:],
        isMigrated: @escaping @Sendable (TableName) -> Bool = { _ in true }
    ) throws -> Machine {
        Machine(
            try OnlineSchemaChangeNames(OnlineSchemaChangeRules()), entries: entries,
            isMigrated: isMigrated)
    }

    private func feed(_ machine: inout Machine, _ sql: String) throws -> [String] {
        let statement = try parseStatement(sql, context: Self.context)
        let event = QueryEvent(
            sql: Array(sql.utf8), schema: Array("db".utf8), status: StatusVariables())
        return try machine.handle(
            statement, event, timestamp: 7, context: Self.context, tables: Self.tables
        ).map { action in
            switch action {
            case .run: "run"
            case .ignore: "ignore"
            case .swap(let table, _, nil): "\(table): unknown"
            case .swap(let table, _, let shadow?):
                "\(table): "
                    + shadow.statements.map { String(decoding: $0.event.sql, as: UTF8.self) }
                    .joined(separator: "; ")
            }
        }
    }

    /// The shadow tables that are known.
    private func shadows(_ machine: Machine) -> [String] {
        machine.entries.keys.map(\.name).filter { $0.hasPrefix("_") }.sorted()
    }

    private func name(_ name: String) -> TableName { TableName(schema: "db", name: name) }

    @Test("tools' tables are told by their names")
    func names() throws {
        let names = try OnlineSchemaChangeNames(OnlineSchemaChangeRules())
        #expect(names.kind(of: name("t")) == .real)
        #expect(names.kind(of: name("_t_gho")) == .shadow(of: name("t")))
        #expect(names.kind(of: name("__t_new_new")) == .shadow(of: name("_t_new")))
        for trash in ["_t_ghc", "_t_del", "_t_old", "_t_20261121123456_del"] {
            #expect(names.kind(of: name(trash)) == .trash)
        }
        for real in ["t_gho", "_gho", "__gho", "_t_gho2"] {
            #expect(names.kind(of: name(real)) == .real, "\(real)")
        }
        #expect(names.realName(of: name("_t_old")) == name("t"))
        #expect(names.realName(of: name("_t_gho")) == name("t"))
        let own = try OnlineSchemaChangeNames(
            OnlineSchemaChangeRules(shadowPatterns: ["tmp_(.+)"], trashPatterns: ["^bin_(.*)$"]))
        #expect(own.kind(of: name("tmp_t")) == .shadow(of: name("t")))
        #expect(own.kind(of: name("xtmp_t")) == .real)
        #expect(own.kind(of: name("_t_gho")) == .real)
        let error = #expect(throws: RuleError.self) {
            try OnlineSchemaChangeNames(OnlineSchemaChangeRules(trashPatterns: ["a(b)(c)"]))
        }
        #expect(error?.key == "trash-table-rules[0]")
    }

    @Test("gh-ost: the ALTERs come at the swap")
    func ghost() throws {
        var machine = try machine()
        #expect(try feed(&machine, "DROP TABLE IF EXISTS `db`.`_t_gho`") == ["ignore"])
        #expect(try feed(&machine, "CREATE TABLE `db`.`_t_ghc` (id BIGINT)") == ["ignore"])
        #expect(machine.entries.isEmpty)
        #expect(try feed(&machine, "CREATE TABLE `db`.`_t_gho` LIKE `db`.`t`") == ["ignore"])
        #expect(try feed(&machine, "ALTER TABLE `db`.`_t_gho` ADD x INT") == ["ignore"])
        #expect(try feed(&machine, "CREATE INDEX i ON _t_gho (x)") == ["ignore"])
        #expect(try feed(&machine, "CREATE TABLE `db`.`_t_del` (id INT)") == ["ignore"])
        #expect(try feed(&machine, "ALTER TABLE t ADD other INT") == ["run"])
        // The state goes through a file and back.
        let data = try JSONEncoder().encode(machine.entries)
        machine = try self.machine(
            try JSONDecoder().decode([TableName: Machine.Entry].self, from: data))
        guard case .shadow(let shadow) = machine.entries[name("_t_gho")] else {
            Issue.record("the shadow table is not known")
            return
        }
        #expect(shadow.shape?.columns.map(\.name) == ["id", "x"])
        #expect(
            try feed(&machine, "RENAME TABLE `db`.`t` TO `db`.`_t_del`, `db`.`_t_gho` TO `db`.`t`")
                == [
                    "ignore",
                    "db.t: ALTER TABLE `db`.`_t_gho` ADD x INT; CREATE INDEX i ON _t_gho (x)",
                ])
        #expect(machine.entries.isEmpty)
        #expect(try feed(&machine, "DROP TABLE IF EXISTS `db`.`_t_ghc`") == ["ignore"])
        #expect(try feed(&machine, "DROP TABLE IF EXISTS `db`.`_t_del`") == ["ignore"])
    }

    @Test("pt-online-schema-change: a change that is given up leaves nothing")
    func percona() throws {
        var machine = try machine()
        #expect(try feed(&machine, "CREATE TABLE `_t_new` (id INT PRIMARY KEY)") == ["ignore"])
        #expect(try feed(&machine, "ALTER TABLE `_t_new` DROP x") == ["ignore"])
        #expect(shadows(machine) == ["_t_new"])
        #expect(try feed(&machine, "DROP TABLE `_t_new`") == ["ignore"])
        #expect(machine.entries.isEmpty)
        #expect(try feed(&machine, "RENAME TABLE t TO u, u TO v") == ["run", "run"])
        #expect(OnlineSchemaChangeNames.standard.isToolTrigger(name("pt_osc_db_t_ins")))
        #expect(!OnlineSchemaChangeNames.standard.isToolTrigger(name("t_pt_osc_ins")))
    }

    @Test("a list whose beginning nobody saw is none")
    func unknown() throws {
        var machine = try machine()
        #expect(try feed(&machine, "ALTER TABLE _t_new ADD x INT") == ["ignore"])
        #expect(
            try feed(&machine, "RENAME TABLE t TO _t_old, _t_new TO t") == [
                "ignore", "db.t: unknown",
            ])
        // More underscores are of pt-online-schema-change, which found an older copy.
        _ = try feed(&machine, "CREATE TABLE __t_new LIKE t")
        _ = try feed(&machine, "ALTER TABLE __t_new ADD y INT")
        #expect(
            try feed(&machine, "RENAME TABLE t TO __t_old, __t_new TO t") == [
                "ignore", "db.t: ALTER TABLE __t_new ADD y INT",
            ])
        // What was made for another table neither.
        _ = try feed(&machine, "CREATE TABLE _a_new LIKE a")
        #expect(try feed(&machine, "RENAME TABLE _a_new TO t") == ["db.t: unknown"])
        #expect(machine.entries.isEmpty)
    }

    @Test("a table that is away comes back as itself, or as its shadow, and as no other")
    func away() throws {
        var machine = try machine()
        #expect(try feed(&machine, "ALTER TABLE t RENAME TO _t_old") == ["ignore"])
        let away = machine.entries
        #expect(away == [name("t"): .away(name("_t_old"))])
        #expect(throws: Machine.Failure.madeWhileAway(name("t"), as: name("_t_old"))) {
            try feed(&machine, "CREATE TABLE t (id INT)")
        }
        #expect(throws: Machine.Failure.otherTable(name("t"), replacedBy: name("_t_del"))) {
            try feed(&machine, "RENAME TABLE _t_del TO t")
        }
        #expect(machine.entries == away)
        #expect(try feed(&machine, "RENAME TABLE _t_old TO t") == ["ignore"])
        #expect(machine.entries.isEmpty)
        // After the swap the old table is another one.
        _ = try feed(&machine, "CREATE TABLE _t_new LIKE t")
        _ = try feed(&machine, "RENAME TABLE t TO _t_old, _t_new TO t")
        #expect(throws: Machine.Failure.self) {
            try feed(&machine, "RENAME TABLE t TO _x_old, _t_old TO t")
        }
        #expect(machine.entries.isEmpty)
    }

    @Test("statements that can't be understood are refused, and change nothing")
    func refused() throws {
        var machine = try machine()
        _ = try feed(&machine, "CREATE TABLE _a_new LIKE a")
        let before = machine.entries
        #expect(throws: Machine.Failure.realBecomesShadow(name("t"))) {
            try feed(&machine, "RENAME TABLE a TO _a_old, _a_new TO a, t TO _t_gho")
        }
        #expect(machine.entries == before)
        #expect(throws: Machine.Failure.shadowBecomesShadow(name("_t_gho"))) {
            try feed(&machine, "ALTER TABLE _t_gho RENAME TO _u_gho")
        }
        #expect(throws: Machine.Failure.changesMore(name("_a_new"))) {
            try feed(&machine, "ALTER TABLE _a_new ADD x INT, RENAME TO a")
        }
        #expect(throws: Machine.Failure.changesMore(name("_a_new"))) {
            try feed(&machine, "ALTER TABLE _a_new EXCHANGE PARTITION p WITH TABLE a")
        }
        #expect(try feed(&machine, "RENAME TABLE _a_new TO _a_old") == ["ignore"])
        #expect(machine.entries.isEmpty)
    }

    @Test("tools' tables of tables that are not migrated are nobody's business")
    func notMigrated() throws {
        var machine = try machine { $0.name != "b" }
        for sql in [
            "CREATE TABLE _b_new LIKE b", "ALTER TABLE _b_new ADD x INT",
            "ALTER TABLE b RENAME _b_old",
            "RENAME TABLE _b_new TO b",
        ] {
            #expect(try feed(&machine, sql) == ["ignore"], "\(sql)")
            #expect(machine.entries.isEmpty, "\(sql)")
        }
        _ = try feed(&machine, "CREATE TABLE _a_new LIKE a")
        _ = try feed(&machine, "DROP DATABASE db")
        #expect(machine.entries.isEmpty)
    }

    /// What each shadow table would have, kept in a dictionary, whatever happens in which order.
    @Test("random runs of several tools give out what the model does")
    func agreesWithModel() throws {
        var g = Seeded(6)
        var swaps = 0
        for _ in 0..<300 {
            var machine = try machine()
            var model: [String: [String]] = [:]
            for step in 0..<20 {
                let t = g.pick(["a", "b"])
                let shadow = "_\(t)_gho"
                let before = machine.entries
                switch g.below(5) {
                case 0:
                    _ = try feed(&machine, "CREATE TABLE \(shadow) LIKE \(t)")
                    model[shadow] = []
                case 1, 2:
                    _ = try feed(&machine, "ALTER TABLE \(shadow) ADD c\(step) INT")
                    model[shadow]?.append("ALTER TABLE \(shadow) ADD c\(step) INT")
                case 3:
                    _ = try feed(&machine, "DROP TABLE \(shadow)")
                    model[shadow] = nil
                default:
                    let sql = "RENAME TABLE \(t) TO _\(t)_del, \(shadow) TO \(t)"
                    let expected = model.removeValue(forKey: shadow)
                    if expected != nil { swaps += 1 }
                    let given = try feed(&machine, sql)
                    let list = expected?.joined(separator: "; ") ?? "unknown"
                    #expect(given == ["ignore", "db.\(t): " + list])
                }
                #expect(shadows(machine) == model.keys.sorted())
                // What is told of the change is the change.
                var copy = before
                for (name, entry) in machine.changes(since: before) { copy[name] = entry }
                #expect(copy == machine.entries)
            }
        }
        #expect(swaps > 300)
    }
}
