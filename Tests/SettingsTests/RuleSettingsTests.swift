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

    @Test("case counts in names as on the source's server where nobody says otherwise")
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
        #expect(try takes("case-sensitive: false", "", server: 0))
        #expect(try !takes("case-sensitive: true", "", server: 1))
        #expect(try takes("case-sensitive: true", ", case-sensitive: false", server: 0))
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

    @Test("a time zone is refused where expressions would need it")
    func timeZone() throws {
        let filter = "expression-filter: {e: {schema: a, table: b, insert-value-expr: 'c > 1'}}"
        let instance = "{source-id: s, expression-filters: [e]}"
        let paths = try report("timezone: '+08:00'", filter, instance: instance).value.unsupported
            .map(\.path)
        #expect(paths == ["timezone"])
        #expect(try report("timezone: '+08:00'").value.unsupported.isEmpty)
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
