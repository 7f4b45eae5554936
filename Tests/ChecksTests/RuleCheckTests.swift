import MySQLClient
import MySQLCore
import Rules
import Runtime
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
                try settings.take(rules)
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

    @Test("expressions that depend on the time zone need one where the target's is not UTC")
    func zones() async throws {
        try await CheckPair.with(
            families[0], targetOptions: ["--default-time-zone=+08:00"]
        ) { pair in
            try pair.source.sql(
                "CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY, ts TIMESTAMP NULL)")
            func verdict(
                _ text: String, zone: Int? = nil, name: String? = nil
            ) async throws -> CheckResult? {
                var rules = SourceRules(
                    expressionFilters: [
                        ExpressionFilterRule(
                            name: "e", schema: "shop", table: "t", deleteExpression: text)
                    ])
                rules.timeZoneOffset = zone
                if let name, case .zone(let found) = ZoneFolder.system.find(name) {
                    rules.timeZone = found
                }
                return try await results(pair, rules)["expression-filters"]
            }
            let refused = try await verdict("ts < '2026-01-01'")
            #expect(refused?.verdict == .error)
            #expect(refused?.message.contains("the time zone, which is +08:00") == true)
            #expect(try await verdict("id < 1")?.verdict == .ok)
            #expect(try await verdict("ts < '2026-01-01'", zone: 0)?.verdict == .ok)
            #expect(try await verdict("ts < '2026-01-01'", zone: 28_800)?.verdict == .ok)
            // No server has to know the zone: no session of the target is in it.
            #expect(
                try await verdict("ts < '2026-01-01'", name: "Europe/Berlin")?.verdict == .ok)
            try pair.target.sql("SET GLOBAL time_zone='+00:00'")
            #expect(try await verdict("ts < '2026-01-01'")?.verdict == .ok)
        }
    }

    @Test("a filter of the source that the task's displaces is named")
    func displaced() async throws {
        try await CheckPair.with(families[0]) { pair in
            try pair.source.sql("CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY)")
            var rules = SourceRules(eventFilters: [
                EventFilterRule(
                    name: "keep", schemaPattern: "shop", events: [.truncateTable], action: .ignore)
            ])
            #expect(try await results(pair, rules)["event-filters"]?.verdict == .ok)
            rules.sourceFilters = [
                EventFilterRule(
                    name: "all", schemaPattern: "shop", events: [.delete], action: .ignore)
            ]
            let found = try await results(pair, rules)["event-filters"]
            #expect(found?.verdict == .warning)
            #expect(found?.message.contains("all (instead, keep)") == true)
        }
    }

    @Test("a task of DM's leaves nothing out that only looks alike, whatever its files say of case")
    func similarNames() async throws {
        try await CheckPair.with(families[0]) { pair in
            try pair.source.sql(
                "CREATE DATABASE shop; CREATE TABLE shop.a (id INT PRIMARY KEY);"
                    + "CREATE TABLE shop.A (id INT PRIMARY KEY)")
            let task = try TaskSettings(
                Array(
                    """
                    name: t
                    task-mode: all
                    case-sensitive: false
                    target-database: {host: h, user: u}
                    mysql-instances: [{source-id: s, block-allow-list: l}]
                    block-allow-list:
                      l: {do-dbs: [shop], ignore-tables: [{db-name: shop, tbl-name: A}]}
                    """.utf8), .yaml, file: "t.yaml")
            let source = try SourceSettings(
                Array("{source-id: s, from: {host: h, user: u}, case-sensitive: false}".utf8),
                .yaml, file: "s.yaml")
            var settings = try task.migrationSettings(source)
            settings.source = try pair.options(pair.source, nil)
            settings.target = try pair.options(pair.target, nil)
            let complete = settings
            let plan = try await withThread("plan") {
                try MigrationPlan(
                    settings: complete, source: Connection(complete.source),
                    target: Connection(complete.target))
            }
            #expect(plan.tables.map(\.name) == [TableName(schema: "shop", name: "a")])
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
