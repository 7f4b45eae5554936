import MySQLCore
import MySQLSyntax
import Testing

@Suite struct SchemaStateTests {
    private func apply(
        _ sql: String, _ state: inout SchemaState, _ context: SyntaxContext = mariadb
    ) throws -> [String] {
        let ddl = try #require(try parseStatement(sql, context: context).ddl)
        return try state.apply(ddl, context: context).map(\.description)
    }

    private func error(_ sql: String, _ state: SchemaState) throws -> ShapeError? {
        var state = state
        do {
            _ = try apply(sql, &state)
            return nil
        } catch let error as ShapeError {
            return error
        }
    }

    private func state(_ statements: String...) throws -> SchemaState {
        var out = SchemaState()
        for sql in statements { _ = try apply(sql, &out) }
        return out
    }

    private let t = TableName(schema: "d", name: "t")

    @Test func whatIsNotKnownIsSaidAndNothingIsChanged() throws {
        let state = try state("create table t (a int, key k (a))")
        #expect(
            try error("alter table u add b int", state)
                == .unknownTable(.init(schema: "d", name: "u")))
        #expect(try error("alter table t drop b", state) == .unknownColumn(t, "b"))
        #expect(try error("alter table t add A int", state) == .columnExists(t, "A"))
        #expect(try error("alter table t add b int after c", state) == .unknownColumn(t, "c"))
        #expect(try error("alter table t drop key b", state) == .unknownKey(t, "b"))
        #expect(try error("alter table t add key K (a)", state) == .keyExists(t, "K"))
        #expect(try error("create table t (b int)", state) == .tableExists(t))
        #expect(try error("create table if not exists t (b int)", state) == nil)
        #expect(try error("alter table if exists u add b int", state) == nil)
        for sql in [
            "alter table t frobnicate", "create table u as select 1",
            "alter table t add b int, add unique (a, p without overlaps)",
        ] {
            guard case .notCarried? = try error(sql, state) else {
                Issue.record("\(sql)")
                continue
            }
        }
        var copy = state
        _ = try? copy.apply(
            try #require(
                parseStatement("alter table t add b int, drop c", context: mariadb).ddl),
            context: mariadb)
        #expect(copy == state)
    }

    @Test func statementsOnTablesNotHeldAreNoErrors() throws {
        var state = try state("create table t (a int)")
        #expect(try apply("drop table x, t, y", &state) == ["d.x", "d.t", "d.y"])
        #expect(state.tables.isEmpty)
        state = try self.state("create table t (a int)")
        // What comes in from outside is reported and not held.
        #expect(try apply("rename table t to u, x to t", &state) == ["d.t", "d.u", "d.x", "d.t"])
        #expect(state.tables.keys.map(\.description) == ["d.u"])
    }

    @Test func swappingKeepsEachShape() throws {
        var state = try state("create table t (a int)", "create table u (b int)")
        _ = try apply("rename table t to x, u to t, x to u", &state)
        #expect(state.tables[t]?.columns.map(\.name) == ["b"])
        #expect(try apply("drop database d", &state) == ["d.t", "d.u"])
    }

    @Test func temporaryTablesAreLeftOut() throws {
        var state = try state("create table t (a int)")
        #expect(try apply("create temporary table t (b int)", &state) == [])
        #expect(try apply("drop temporary table t", &state) == [])
        #expect(state.tables[t]?.columns.map(\.name) == ["a"])
    }

    @Test(arguments: [
        ("5.7.44", "latin1_swedish_ci", "utf8mb4_general_ci"),
        ("8.0.36", "utf8mb4_0900_ai_ci", "utf8mb4_0900_ai_ci"),
        ("10.6.1-MariaDB", "latin1_swedish_ci", "utf8mb4_general_ci"),
        ("11.8.2-MariaDB", "utf8mb4_uca1400_ai_ci", "utf8mb4_uca1400_ai_ci"),
    ])
    func defaultsFollowTheVersion(version: String, collation: String, utf8mb4: String) throws {
        var context = SyntaxContext(version: ServerVersion(version), defaultSchema: "d")
        var state = SchemaState()
        _ = try apply("create table t (a char, b char charset utf8mb4)", &state, context)
        #expect(state.tables[t]?.columns.map(\.collation) == [collation, utf8mb4])
        context.defaultCollations = ["utf8mb4": "utf8mb4_bin"]
        context.serverCollation = "utf8_bin"
        _ = try apply("create schema e", &state, context)
        #expect(state.schemas["e"]?.charset == "utf8mb3")
        _ = try apply("create table e.t (a char, b char charset utf8mb4)", &state, context)
        let other = state.tables[TableName(schema: "e", name: "t")]
        #expect(other?.columns.map(\.collation) == ["utf8mb3_bin", "utf8mb4_bin"])
    }

    @Test func oldTimestampsAreNotNull() throws {
        var context = SyntaxContext(version: ServerVersion("5.7.44"), defaultSchema: "d")
        var state = SchemaState()
        let sql = "create table t (a timestamp, b timestamp null, c datetime)"
        _ = try apply(sql, &state, context)
        #expect(state.tables[t]?.columns.map(\.isNullable) == [false, true, true])
        context.explicitDefaultsForTimestamp = true
        _ = try apply("drop table t", &state, context)
        _ = try apply(sql, &state, context)
        #expect(state.tables[t]?.columns.map(\.isNullable) == [true, true, true])
    }

    @Test func systemVersioningAddsItsColumns() throws {
        var state = try state("create table t (a int) with system versioning")
        #expect(state.implicitlyVersioned == [t])
        _ = try apply("alter table t add b int", &state)
        #expect(state.tables[t]?.columns.map(\.name) == ["a", "b", "row_start", "row_end"])
        _ = try apply("alter table t drop system versioning", &state)
        #expect(state.tables[t]?.columns.map(\.name) == ["a", "b"])
    }

    @Test func inlineReferencesDependOnTheVersion() throws {
        for (version, count) in [
            ("8.4.0", 0), ("9.1.0", 1), ("10.4.1-MariaDB", 0), ("10.5.1-MariaDB", 1),
        ] {
            let context = SyntaxContext(version: ServerVersion(version), defaultSchema: "d")
            var state = SchemaState()
            _ = try apply("create table t (a int references p (a))", &state, context)
            #expect(state.tables[t]?.foreignKeys.count == count)
        }
    }

    @Test func absurdNumbersOfKeysAreRefused() throws {
        let keys = String(repeating: ", key (a)", count: 5_000)
        guard case .notCarried? = try error("create table t (a int\(keys))", SchemaState()) else {
            Issue.record("not refused")
            return
        }
    }
}
