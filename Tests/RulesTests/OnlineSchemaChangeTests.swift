import Foundation
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

    private func machine(_ state: Machine.State = .init()) throws -> Machine {
        Machine(try OnlineSchemaChangeNames(OnlineSchemaChangeRules()), state: state)
    }

    private func feed(_ machine: inout Machine, _ sql: String) throws -> [String] {
        let statement = try parseStatement(sql, context: Self.context)
        return try machine.handle(statement, context: Self.context).map { action in
            switch action {
            case .run: "run"
            case .ignore: "ignore"
            case .record: "record"
            case .swap(let table, let statements):
                "\(table): "
                    + statements.map { String(decoding: $0.sql, as: UTF8.self) }
                    .joined(separator: "; ")
            }
        }
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

    @Test("gh-ost: the ALTERs come at the swap, under the real name")
    func ghost() throws {
        var machine = try machine()
        #expect(try feed(&machine, "DROP TABLE IF EXISTS `db`.`_t_gho`") == ["record"])
        #expect(try feed(&machine, "CREATE TABLE `db`.`_t_ghc` (id BIGINT)") == ["ignore"])
        #expect(try feed(&machine, "CREATE TABLE `db`.`_t_gho` LIKE `db`.`t`") == ["record"])
        #expect(try feed(&machine, "ALTER TABLE `db`.`_t_gho` ADD x INT") == ["record"])
        #expect(try feed(&machine, "CREATE INDEX i ON _t_gho (x)") == ["record"])
        #expect(try feed(&machine, "CREATE TABLE `db`.`_t_del` (id INT)") == ["ignore"])
        #expect(try feed(&machine, "ALTER TABLE t ADD other INT") == ["run"])
        // The state goes through a file and back.
        let data = try JSONEncoder().encode(machine.state)
        machine = try self.machine(try JSONDecoder().decode(Machine.State.self, from: data))
        #expect(
            try feed(&machine, "RENAME TABLE `db`.`t` TO `db`.`_t_del`, `db`.`_t_gho` TO `db`.`t`")
                == [
                    "ignore",
                    "db.t: ALTER TABLE `db`.`t` ADD x INT; CREATE INDEX i ON `db`.`t` (x)",
                ])
        #expect(machine.state == Machine.State())
        #expect(try feed(&machine, "DROP TABLE IF EXISTS `db`.`_t_ghc`") == ["ignore"])
        #expect(try feed(&machine, "DROP TABLE IF EXISTS `db`.`_t_del`") == ["ignore"])
    }

    @Test(
        "pt-online-schema-change: triggers too are left out, a change that is given up leaves nothing"
    )
    func percona() throws {
        var machine = try machine()
        #expect(try feed(&machine, "CREATE TABLE `_t_new` (id INT PRIMARY KEY)") == ["record"])
        #expect(try feed(&machine, "ALTER TABLE `_t_new` DROP x") == ["record"])
        #expect(
            try feed(
                &machine,
                "CREATE TRIGGER `pt_osc_db_t_ins` AFTER INSERT ON t FOR EACH ROW REPLACE INTO _t_new (id) VALUES (NEW.id)"
            ) == ["ignore"])
        #expect(try feed(&machine, "DROP TRIGGER IF EXISTS `db`.`pt_osc_db_t_ins`") == ["ignore"])
        #expect(try feed(&machine, "DROP TABLE `_t_new`") == ["record"])
        #expect(machine.state == Machine.State())
        #expect(
            try feed(&machine, "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET @a=1") == [
                "run"
            ])
        #expect(try feed(&machine, "RENAME TABLE t TO u, u TO v") == ["run", "run"])
    }

    @Test("renamings that can't be understood are refused, and change nothing")
    func refused() throws {
        var machine = try machine()
        _ = try feed(&machine, "ALTER TABLE _a_new ADD x INT")
        let before = machine.state
        #expect(throws: Machine.Failure.unknownShadow(name("_t_new"))) {
            try feed(&machine, "RENAME TABLE a TO _a_old, _a_new TO a, _t_new TO t")
        }
        #expect(machine.state == before)
        #expect(throws: Machine.Failure.realBecomesShadow(name("t"))) {
            try feed(&machine, "RENAME TABLE t TO _t_gho")
        }
        #expect(throws: Machine.Failure.shadowBecomesShadow(name("_t_gho"))) {
            try feed(&machine, "ALTER TABLE _t_gho RENAME TO _u_gho")
        }
        #expect(try feed(&machine, "RENAME TABLE _a_new TO _a_old") == ["record"])
        #expect(machine.state == Machine.State())
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
                switch g.below(5) {
                case 0:
                    _ = try feed(&machine, "CREATE TABLE \(shadow) LIKE \(t)")
                    model[shadow] = []
                case 1, 2:
                    _ = try feed(&machine, "ALTER TABLE \(shadow) ADD c\(step) INT")
                    model[shadow, default: []].append("ALTER TABLE `db`.`\(t)` ADD c\(step) INT")
                case 3:
                    _ = try feed(&machine, "DROP TABLE \(shadow)")
                    model[shadow] = nil
                default:
                    let sql = "RENAME TABLE \(t) TO _\(t)_del, \(shadow) TO \(t)"
                    if let expected = model.removeValue(forKey: shadow) {
                        swaps += 1
                        let given = try feed(&machine, sql)
                        #expect(
                            given == ["ignore", "db.\(t): " + expected.joined(separator: "; ")])
                    } else {
                        #expect(throws: Machine.Failure.self) { try feed(&machine, sql) }
                    }
                }
                #expect(machine.state.shadows.map(\.table.name) == model.keys.sorted())
            }
        }
        #expect(swaps > 300)
    }
}
