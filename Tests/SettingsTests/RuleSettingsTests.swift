import Foundation
import MySQLClient
import MySQLCore
import Rules
import Settings
import Testing

/// What task files say about names, empty values and values that only seem to count.
@Suite("Rules in settings")
struct RuleSettingsTests {
    private func report(
        _ lines: String..., instance: String = "{source-id: s}"
    ) throws(SettingsError) -> SettingsReport<TaskSettings> {
        let text =
            "name: t\ntask-mode: all\ntarget-database: {host: h, user: u}\n"
            + "mysql-instances: [\(instance)]\n" + lines.map { $0 + "\n" }.joined()
        return try TaskSettings.reported(
            Array(text.utf8), .yaml, file: "t.yaml",
            passwords: PasswordSource(
                environment: { ["GIVEN": "hunter2"][$0] }, prompt: nil))
    }

    private func refusal(_ lines: String..., instance: String = "{source-id: s}") -> String {
        do throws(SettingsError) {
            _ = try report(lines.joined(separator: "\n"), instance: instance)
            return "accepted"
        } catch {
            return error.description
        }
    }

    private func source(_ more: String = "") throws -> SourceSettings {
        try SourceSettings(
            Array("{source-id: s, from: {host: h, user: u}\(more)}".utf8), .yaml, file: "s.yaml")
    }

    @Test("case counts in names where it does on the source's server, and where the task says so")
    func letterCase() throws {
        let lists = "block-allow-list: {a: {do-dbs: [Shop]}}"
        let instance = "{source-id: s, block-allow-list: a}"
        func takes(_ task: String, _ own: String, server: Int) throws -> Bool {
            var settings = try report(lists, task, instance: instance).value
                .migrationSettings(source(own))
            let rules = settings.rules
            try settings.compareNames(lowerCaseTableNames: server)
            // They are what a task is stored under.
            #expect(settings.rules == rules)
            return settings.mapping.selects(TableName(schema: "shop", name: "t"))
        }
        #expect(try !takes("", "", server: 0))
        #expect(try takes("", "", server: 1))
        #expect(try takes("", "", server: 2))
        #expect(try !takes("case-sensitive: false", "", server: 0))
        #expect(try takes("case-sensitive: false", "", server: 1))
        #expect(try !takes("case-sensitive: true", "", server: 1))
        // What a source's file says of it means nothing, as in DM.
        for own in [", case-sensitive: false", ", case-sensitive: true"] {
            #expect(try !takes("", own, server: 0))
            #expect(try takes("", own, server: 1))
            #expect(try !takes("case-sensitive: true", own, server: 1))
        }
    }

    @Test("what is said of case without effect is said so")
    func letterCaseWarnings() throws {
        #expect(
            try report("case-sensitive: false").warnings.map(\.description).contains {
                $0.hasPrefix("t.yaml:5:1: warning: \"case-sensitive\" is false without effect")
            })
        #expect(try report("case-sensitive: true").warnings.isEmpty)
        let source = try SourceSettings.reported(
            Array("{source-id: s, from: {host: h, user: u}, case-sensitive: true}".utf8), .yaml,
            file: "s.yaml", passwords: PasswordSource(environment: { _ in nil }, prompt: nil))
        #expect(source.warnings.map(\.message).contains { $0.contains("lower_case_table_names") })
    }

    @Test(
        "where other sources' tables may go is asked in either case, since nobody asks their server"
    )
    func otherSources() throws {
        func mapping(_ more: String) throws -> TableMapping {
            let instance = "{source-id: s}, {source-id: other, block-allow-list: a}"
            var settings = try report(
                "block-allow-list: {a: {do-dbs: [Shop], "
                    + "ignore-tables: [{db-name: Shop, tbl-name: A}]}}",
                more, instance: instance
            ).value.migrationSettings(source())
            try settings.compareNames(lowerCaseTableNames: 0)
            return settings.mapping
        }
        let open = try mapping("case-sensitive: false")
        for (schema, table, isTaken) in [
            ("Shop", "a", true), ("shop", "t", true), ("Shop", "t", true), ("Shop", "A", false),
            ("other", "t", false),
        ] {
            #expect(
                open.mayBeShared(target: TableName(schema: schema, name: table)) == isTaken,
                "\(schema).\(table)")
        }
        let exact = try mapping("case-sensitive: true")
        #expect(!exact.mayBeShared(target: TableName(schema: "shop", name: "t")))
        #expect(exact.mayBeShared(target: TableName(schema: "Shop", name: "a")))
    }

    @Test("rules that a source had before are told of the task's other sources as those of today")
    func rulesOfBefore() throws {
        let before = TableMapping(
            TableSelection(tables: [try #require(TablePattern("own.*"))]))
        let one = TableName(schema: "own", name: "t")
        let theirs = TableName(schema: "all", name: "t")
        let merged = try report(
            "block-allow-list: {a: {do-dbs: [shop]}}",
            "routes: {r: {schema-pattern: shop, target-schema: all}}",
            instance: "{source-id: s}, {source-id: other, block-allow-list: a, route-rules: [r]}"
        ).value.migrationSettings(source()).sharing(before)
        #expect(merged.hasOthers && merged.mayBeShared(target: theirs))
        #expect(!merged.mayBeShared(target: one))
        // They are what they were otherwise.
        #expect(merged.selects(one) && !merged.selects(theirs))
        let alone = try report().value.migrationSettings(source()).sharing(before)
        #expect(!alone.hasOthers && !alone.mayBeShared(target: theirs))
    }

    /// A task with a filter for `shop.log` on a source with another one, and the same patterns.
    private func filtered(_ own: String, lowerCaseTableNames: Int) throws -> TableMapping {
        let task = try report(
            "filters: {keep: {schema-pattern: shop, table-pattern: log, events: [truncate table], "
                + "action: Ignore}}", instance: "{source-id: s, filter-rules: [keep]}"
        ).value
        var settings = try task.migrationSettings(source(", filters: [\(own)]"))
        try settings.compareNames(lowerCaseTableNames: lowerCaseTableNames)
        return settings.mapping
    }

    @Test("a task's filter takes the place of the source's with the same patterns, as in DM")
    func filterPrecedence() throws {
        let log = TableName(schema: "shop", name: "log")
        let same =
            "{schema-pattern: shop, table-pattern: log, events: [delete], action: Ignore}, "
            + "{schema-pattern: shop, table-pattern: '*', events: [update], action: Ignore}"
        let mapping = try filtered(same, lowerCaseTableNames: 0)
        #expect(mapping.decision(for: .delete, on: log).action == .do)
        #expect(mapping.decision(for: .update, on: log).action == .ignore)
        #expect(
            mapping.displacedFilters.map { [$0.rule, $0.by] } == [
                ["filters[0] of the source", "keep"]
            ])
        // Names in another case are the same where the server says so.
        let other = "{schema-pattern: Shop, table-pattern: LOG, events: [delete], action: Ignore}"
        #expect(try filtered(other, lowerCaseTableNames: 0).displacedFilters.isEmpty)
        #expect(try filtered(other, lowerCaseTableNames: 1).displacedFilters.count == 1)
        // Of the source's own, the first counts.
        let twice =
            "{schema-pattern: a, events: [delete], action: Ignore}, "
            + "{schema-pattern: a, events: [insert], action: Ignore}"
        let first = try filtered(twice, lowerCaseTableNames: 0)
        let table = TableName(schema: "a", name: "t")
        #expect(first.decision(for: .delete, on: table).action == .ignore)
        #expect(first.decision(for: .insert, on: table).action == .do)
        #expect(first.displacedFilters.map(\.by) == ["filters[0] of the source"])
    }

    @Test("two filters of a task for the same patterns are refused")
    func equalFilters() throws {
        func filters(_ second: String) -> String {
            "filters: {a: {schema-pattern: shop, table-pattern: t, events: [delete], action: Ignore}"
                + ", b: {schema-pattern: \(second), table-pattern: t, events: [insert], "
                + "action: Ignore}}"
        }
        let instance = "{source-id: s, filter-rules: [a, b]}"
        #expect(
            refusal(filters("shop"), instance: instance).hasPrefix("t.yaml:5:")
                && refusal(filters("shop"), instance: instance)
                    .contains("\"filters.b\": filters.a has the same")
        )
        #expect(refusal(filters("shop*"), instance: instance) == "accepted")
        // Each by itself for a source of its own.
        #expect(
            refusal(
                filters("shop"),
                instance: "{source-id: s, filter-rules: [a]}, {source-id: o, filter-rules: [b]}")
                == "accepted")
        var settings = try report(filters("SHOP"), instance: instance).value
            .migrationSettings(source())
        try settings.compareNames(lowerCaseTableNames: 0)
        #expect {
            try settings.compareNames(lowerCaseTableNames: 1)
        } throws: {
            "\($0)".contains("task 't': filters.b: filters.a has the same")
        }
    }

    @Test("that expressions filter the copy, too, is said where DM does not")
    func copiedExpressions() throws {
        func warnings(_ mode: String, _ key: String) throws -> [String] {
            let text =
                "{name: t, task-mode: \(mode), target-database: {host: h, user: u}, "
                + "mysql-instances: [{source-id: s, expression-filters: [e]}], "
                + "expression-filter: {e: {schema: a, table: b, \(key): 'c > 1'}}}"
            return try TaskSettings.reported(
                Array(text.utf8), .yaml, file: "t.yaml",
                passwords: PasswordSource(environment: { _ in nil }, prompt: nil)
            ).warnings.map(\.message)
        }
        for mode in ["all", "full"] {
            #expect(
                try warnings(mode, "insert-value-expr").contains {
                    $0.contains("\"expression-filter.e\" leaves rows out of the copy, too")
                })
        }
        #expect(try warnings("incremental", "insert-value-expr").isEmpty)
        #expect(try warnings("all", "delete-value-expr").isEmpty)
    }

    @Test("the short form leaves the servers' own schemas out")
    func systemSchemas() throws {
        let text = "{name: t, sources: [s], tables: '*', target: 'mysql://u@h'}"
        let task = try TaskSettings(Array(text.utf8), .yaml, file: "t.yaml")
        let mapping = try task.migrationSettings(source()).mapping
        #expect(mapping.selects(TableName(schema: "shop", name: "user")))
        for schema in ["mysql", "sys", "ndbinfo"] {
            #expect(!mapping.selects(TableName(schema: schema, name: "user")), "\(schema)")
        }
    }

    @Test("a time zone is known where expressions need it")
    func timeZone() throws {
        let filter = "expression-filter: {e: {schema: a, table: b, insert-value-expr: 'c > 1'}}"
        let instance = "{source-id: s, expression-filters: [e]}"
        for zone in ["Mars/Olympus", "../../etc/passwd", "Europe", "SYSTEM", "localtime", "CST"] {
            let report = try report("timezone: \(zone)", filter, instance: instance)
            #expect(report.value.unsupported.map(\.path) == ["timezone"], "\(zone)")
            let refusal = report.unsupported.first?.description ?? ""
            #expect(refusal.contains("'Europe/Berlin'"), "\(zone): \(refusal)")
            #expect(throws: SettingsError.self) {
                try report.value.migrationSettings(source())
            }
            // Where nothing depends on it it may be anything.
            #expect(try self.report("timezone: \(zone)").value.unsupported.isEmpty)
        }
        // As servers have it, case does not count; two spellings are no difference.
        for zone in ["Europe/Berlin", "europe/BERLIN"] {
            let task = try report("timezone: \(zone)", filter, instance: instance).value
            #expect(task.unsupported.isEmpty)
            let settings = try task.migrationSettings(source())
            let found = try #require(settings.rules?.timeZone)
            #expect(found.name == "Europe/Berlin" && found.clock?.offset(at: 0) == 3600)
            #expect(settings.rules?.timeZoneOffset == nil && !settings.needsTargetZone)
            let plain = try report("timezone: \(zone)").value.migrationSettings(source())
            #expect(plain.rules?.timeZone == nil)
        }
        for (zone, offset) in [("'+08:00'", 28_800), ("utc", 0), ("'-03:30'", -12_600)] {
            let task = try report("timezone: \(zone)", filter, instance: instance).value
            #expect(task.unsupported.isEmpty)
            #expect(try task.migrationSettings(source()).rules?.timeZoneOffset == offset)
            // What nothing depends on is no difference between two tasks.
            let plain = try report("timezone: \(zone)").value.migrationSettings(source())
            #expect(plain.rules?.timeZoneOffset == nil)
        }
    }

    @Test("zones are looked up in a folder and not outside of it")
    func zoneFolder() throws {
        let path = NSTemporaryDirectory() + "zones-\(UUID().uuidString)"
        let files = FileManager.default
        try files.createDirectory(
            atPath: path + "/Europe", withIntermediateDirectories: true)
        defer { try? files.removeItem(atPath: path) }
        #expect(ZoneFolder(path + "/none").find("Europe/Berlin") == .noDatabase)
        let berlin = "/usr/share/zoneinfo/Europe/Berlin"
        try files.copyItem(atPath: berlin, toPath: path + "/Europe/Berlin")
        try files.copyItem(atPath: berlin, toPath: path + "/Europe/Ber.lin")
        try files.copyItem(atPath: berlin, toPath: path + "/localtime")
        #expect(files.createFile(atPath: path + "/Text", contents: Data("no zone".utf8)))
        #expect(files.createFile(atPath: path + "/Long", contents: Data(count: 100_000)))
        let zones = ZoneFolder(path)
        let wanted = ZoneFolder.Finding.zone(NamedZone(name: "Europe/Berlin", clock: nil))
        for name in ["Europe/Berlin", "EUROPE/berlin"] { #expect(zones.find(name) == wanted) }
        for name in [
            "", "/", "Europe", "Europe/", "/Europe/Berlin", "Europe//Berlin", "Europe/../Text",
            "Europe/Ber.lin", "localtime", "Text", "Long", "Europe/Berlin/", "Europe/Paris", "..",
            "Europe/Berl\u{0}in", String(repeating: "a", count: 10_000),
        ] { #expect(zones.find(name) == .unknown, "\(name)") }
    }

    @Test("zones whose clocks never change are known by their distance from UTC")
    func fixedZones() {
        for (text, offset) in [
            ("+00:00", 0), ("-00:00", 0), ("+8:00", 28_800), ("+14:00", 50_400),
            ("-13:59", -50_340),
            ("UTC", 0), ("Etc/UTC", 0), ("gmt", 0),
        ] { #expect(FixedZone(text)?.offset == offset, "\(text)") }
        for text in [
            "", "+", "08:00", "+08", "+08:0", "+08:60", "+14:01", "+-8:00", "+008:00", "+08:00:00",
            "Asia/Tokyo", "SYSTEM", "CST", "٠٨:٠٠",
        ] { #expect(FixedZone(text) == nil, "\(text)") }
    }

    @Test("on-duplicate-logical: replace says that it does not")
    func duplicates() throws {
        func warnings(_ word: String) throws -> [String] {
            try report(
                "loaders: {l: {on-duplicate-logical: \(word)}}",
                instance: "{source-id: s, loader-config-name: l}"
            ).warnings.map(\.message)
        }
        #expect(try warnings("replace").contains { $0.contains("does not replace") })
        #expect(try warnings("error").isEmpty)
    }

    @Test("an empty entry of a list is an error, not a pattern for everything")
    func emptyEntries() {
        let instance = "{source-id: s, block-allow-list: a}"
        for empty in ["~", "null", "NULL", ""] {
            let message = refusal(
                "block-allow-list:\n  a:\n    do-dbs:\n    - \(empty)", instance: instance)
            #expect(message.contains("no value"), "\(message)")
        }
        #expect(
            refusal("block-allow-list: {a: {do-dbs: ['~']}}", instance: instance) == "accepted")
    }

    @Test("what the environment gives is not repeated in messages")
    func environment() {
        for message in [
            refusal(instance: "{source-id: '${GIVEN} x'}"),
            refusal(instance: "{source-id: s, route-rules: ['${GIVEN}']}"),
            refusal(instance: "{source-id: s, route-rules: ['${GIVEN}', '${GIVEN}']}"),
            refusal("shard-mode: ${GIVEN}"),
            refusal("ignore-checks: ['${GIVEN}']"),
            refusal("ignore-checking-items: ['${GIVEN}']"),
        ] {
            #expect(message.contains("${GIVEN}") && !message.contains("hunter2"), "\(message)")
        }
    }

    @Test("a pre-check that is ignored has to be there")
    func checkNames() throws {
        #expect(try report("ignore-checks: [table-keys, all]").value.unsupported.isEmpty)
        #expect(refusal("ignore-checks: [tabel-keys]").contains("t.yaml:5:"))
        let short = "{name: t, sources: [s], tables: a, target: 'mysql://u@h', ignore-checks: [no]}"
        let error = #expect(throws: SettingsError.self) {
            try TaskSettings(Array(short.utf8), .yaml, file: "t.yaml")
        }
        #expect(error?.description.contains("name of a pre-check") == true)
    }
}
