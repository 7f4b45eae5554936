import MySQLClient
import MySQLCore
import Rules
import Settings
import TestServers
import Testing
import Worker

/// Checks of tasks with rules: names of the target, expressions, case.
@Suite("Pre-checks of rules")
struct RuleCheckTests {
    private func results(
        _ pair: CheckPair, _ rules: SourceRules
    ) async throws -> [String: CheckResult] {
        try await pair.results { settings in
            do throws(RuleError) {
                try settings.take(rules, comparesNamesAsServer: true)
            } catch {
                Issue.record(error)
            }
        }
    }

    @Test("triggers and events are looked for where tables go", arguments: families)
    func routes(family: TestServer.Family) async throws {
        try await CheckPair.with(family, targetOptions: ["--event-scheduler=ON"]) { pair in
            try pair.source.sql("CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY)")
            let rules = SourceRules(
                tables: BlockAllowList(doSchemas: ["shop"]),
                routes: [RouteRule(name: "r", schemaPattern: "shop", targetSchema: "new")])
            try pair.target.sql(
                """
                CREATE DATABASE new; CREATE TABLE new.t (id INT PRIMARY KEY);
                CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY);
                CREATE TRIGGER shop.harmless BEFORE INSERT ON shop.t FOR EACH ROW SET NEW.id=1;
                CREATE EVENT shop.e ON SCHEDULE EVERY 1 YEAR DO DELETE FROM shop.t WHERE id=0;
                """)
            let none = try await results(pair, rules)
            #expect(none["target-triggers"]?.verdict == .ok)
            #expect(none["event-scheduler"]?.verdict == .ok)
            try pair.target.sql(
                """
                CREATE TRIGGER new.bad BEFORE INSERT ON new.t FOR EACH ROW SET NEW.id=1;
                CREATE EVENT new.e ON SCHEDULE EVERY 1 YEAR DO DELETE FROM new.t WHERE id=0;
                """)
            let both = try await results(pair, rules)
            #expect(both["target-triggers"]?.verdict == .error)
            #expect(both["target-triggers"]?.message.contains("bad on new.t") == true)
            #expect(both["event-scheduler"]?.verdict == .error)
            #expect(both["event-scheduler"]?.message.contains("new.e") == true)
        }
    }

    @Test("expressions are bound to the tables that there are")
    func expressions() async throws {
        try await CheckPair.with(families[0]) { pair in
            try pair.source.sql(
                "CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY, p POINT)")
            func verdict(_ text: String) async throws -> CheckResult? {
                let rules = SourceRules(
                    expressionFilters: [
                        ExpressionFilterRule(
                            name: "e", schema: "shop", table: "t", insertExpression: text)
                    ])
                return try await results(pair, rules)["expression-filters"]
            }
            #expect(try await verdict("id > 1")?.verdict == .ok)
            #expect(try await verdict("nothing > 1")?.verdict == .warning)
            let refused = try await verdict("p = 1")
            #expect(refused?.verdict == .error)
            #expect(refused?.message.contains("expression-filter.e.insert-value-expr") == true)
        }
    }

    @Test("names are compared as the source's server compares them", arguments: [0, 1])
    func letterCase(lowerCaseTableNames: Int) async throws {
        guard families.contains(.mariadb) else { return }
        try await CheckPair.with(
            .mariadb, sourceOptions: ["--lower-case-table-names=\(lowerCaseTableNames)"]
        ) { pair in
            try pair.source.sql("CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY)")
            let selection = try await results(
                pair, SourceRules(tables: BlockAllowList(doSchemas: ["SHOP"])))["selection"]
            #expect(selection?.verdict == (lowerCaseTableNames == 0 ? .error : .ok))
        }
    }
}
