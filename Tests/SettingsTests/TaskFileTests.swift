import MySQLClient
import MySQLCore
import Rules
import Settings
import Testing

@Suite("Task files in DM's words")
struct TaskFileTests {
    private static var passwords: PasswordSource {
        PasswordSource(
            environment: { ["SECRET": "se${cret", "PORT": "3310"][$0] }, prompt: nil)
    }

    static func report(_ text: String) throws(SettingsError) -> SettingsReport<TaskSettings> {
        try TaskSettings.reported(
            Array(text.utf8), .yaml, file: "task.yaml", passwords: passwords)
    }

    /// The error of a file that must be refused.
    private func refusal(_ text: String) -> String {
        do throws(SettingsError) {
            _ = try Self.report(text)
            return "accepted"
        } catch {
            return error.description
        }
    }

    /// A file as people have them, from DM's own documentation in its shape.
    static let full = """
        name: shop-move
        task-mode: all
        shard-mode: pessimistic
        meta-schema: moving
        timezone: "Asia/Shanghai"
        case-sensitive: true
        online-ddl: true
        ignore-checking-items: [version, table_schema]
        target-database:
          host: db9
          port: 4000
          user: writer
          password: "pw"
          session:
            sql_mode: ANSI_QUOTES
          security:
            ssl-ca: /etc/ca.pem
        mysql-instances:
          - source-id: one
            meta: {binlog-name: mysql-bin.000003, binlog-pos: 1234}
            route-rules: [orders, schema]
            filter-rules: [no-drop]
            expression-filters: [odd]
            block-allow-list: main
            mydumper-config-name: global
            loader-config-name: global
            syncer-config-name: global
            syncer-thread: 8
          - source-id: two
            black-white-list: main
            mydumper-thread: 2
            syncer: {worker-count: 3}
        block-allow-list:
          main:
            do-dbs: ["shop_*", "~^crm[0-9]+$"]
            do-tables:
              - db-name: shop_*
                tbl-name: order*
            ignore-tables:
              - {db-name: shop_1, tbl-name: tmp}
        routes:
          orders:
            schema-pattern: shop_*
            table-pattern: order_*
            target-schema: shop
            target-table: orders
            extract-table: {table-regexp: "order_(.*)", target-column: part}
            extract-schema: {schema-regexp: "shop_(.*)", target-column: shard}
            extract-source: {source-regexp: "(.*)", target-column: origin}
          schema: {schema-pattern: shop_*, target-schema: shop}
        filters:
          no-drop:
            schema-pattern: shop_*
            table-pattern: "*"
            events: ["drop table", "truncate table", all dml]
            sql-pattern: ["^DROP\\\\s+PROCEDURE"]
            action: Ignore
        expression-filter:
          odd: {schema: shop_1, table: orders, insert-value-expr: "id % 2 = 1"}
        mydumpers:
          global: {threads: 6, chunk-filesize: "64", extra-args: "--consistency none"}
        loaders:
          global: {pool-size: 16, dir: ./dumped}
        syncers:
          global: {worker-count: 16, batch: 100}
        """

    @Test("each source gets what its names stand for")
    func parts() throws {
        let settings = try Self.report(Self.full).value
        #expect(settings.sources == ["one", "two"] && settings.name == "shop-move")
        #expect(settings.target.password == Password("pw") && settings.target.port == 4000)
        #expect(settings.target.tls == TLSOptions(mode: .verifyCA, caFile: "/etc/ca.pem"))
        let file = try #require(settings.file)
        #expect(file.metaSchema == "moving" && file.timeZone == "Asia/Shanghai")
        #expect(file.checksToIgnore.contains("source-version"))
        let one = try #require(file.part(of: "one"))
        #expect(one.rules.source == "one" && one.rules.isCaseSensitive)
        #expect(one.rules.routes.map(\.name) == ["orders", "schema"])
        #expect(
            one.rules.routes[0].extractTable
                == RouteRule.Extraction(pattern: "order_(.*)", column: "part"))
        #expect(one.rules.routes[0].extractSource?.column == "origin")
        #expect(one.rules.eventFilters[0].events == [.dropTable, .truncateTable, .allDML])
        #expect(one.rules.eventFilters[0].sqlPatterns == ["^DROP\\s+PROCEDURE"])
        #expect(one.rules.eventFilters[0].action == .ignore)
        #expect(one.rules.expressionFilters[0].insertExpression == "id % 2 = 1")
        #expect(one.rules.tables.doSchemas == ["shop_*", "~^crm[0-9]+$"])
        #expect(one.rules.tables.doTables == [.init(schema: "shop_*", name: "order*")])
        #expect(one.rules.tables.ignoreTables == [.init(schema: "shop_1", name: "tmp")])
        #expect(one.rules.onlineSchemaChange == OnlineSchemaChangeRules())
        #expect(one.dump.threads == 6 && one.sync.lanes == 8 && one.start?.offset == 1234)
        let two = try #require(file.part(of: "two"))
        #expect(two.rules.routes.isEmpty && two.rules.tables == one.rules.tables)
        #expect(two.dump.threads == 2 && two.sync.lanes == 3 && two.start == nil)
        #expect(two.load == LoadSettings() && file.part(of: "three") == nil)
    }

    static let small = """
        name: t
        task-mode: all
        target-database: {host: h, user: u}
        mysql-instances:
          - source-id: s

        """

    /// The smallest file with other lines in place of those that begin alike, and more behind.
    static func with(_ lines: String...) -> String {
        var text = small
        for line in lines {
            // An instance replaces the one that is there.
            let key = line.hasPrefix("  - ") ? "  - " : line.prefix { $0 != ":" } + ":"
            if let old = text.split(separator: "\n").first(where: { $0.hasPrefix(key) }) {
                text = text.replacing(old, with: line)
            } else {
                text += line + "\n"
            }
        }
        return text
    }

    @Test("a mistake is named with its place and the nearest valid name", arguments: mistakeTable)
    func mistakes(_ text: String, _ message: String) { #expect(refusal(text) == message) }

    private static let mistakeTable: [(String, String)] = [
        (
            with("task-modes: all"),
            "task.yaml:6:1: unknown key \"task-modes\"; did you mean \"task-mode\"?"
        ),
        (
            with("task-mode: al"),
            "task.yaml:2:12: \"task-mode\" must be one of all, full, incremental, dump, load, not "
                + "\"al\""
        ),
        ("task-mode: all", "task.yaml: \"name\" is missing: the task's name"),
        (
            "name: t\ntask-mode: all\nmysql-instances: [{source-id: s}]",
            "task.yaml: \"target-database\" is missing: the server that is written to"
        ),
        (
            with("mysql-instances: []").replacing("  - source-id: s\n", with: ""),
            "task.yaml:4:18: \"mysql-instances\" names no source"
        ),
        (
            with("  - source-id: s\n  - source-id: s"),
            "task.yaml:6:16: the source \"s\" is in the task already: mysql-instances[0]"
        ),
        (
            with(
                "  - source-id: s\n    route-rules: [shop]",
                "routes: {shops: {schema-pattern: a, target-schema: b}}"),
            "task.yaml:6:19: there is no \"routes.shop\"; did you mean \"shops\"?"
        ),
        (
            with("routes: {shop: {schema-pattern: a, target-schema: b}}"),
            "task.yaml:6:16: \"routes.shop\" is used by no source: name it by \"route-rules\" in "
                + "\"mysql-instances\", or remove it"
        ),
        (
            with("syncers: {global: {worker-count: 4}}"),
            "task.yaml:6:19: \"syncers.global\" is used by no source: name it by "
                + "\"syncer-config-name\" in \"mysql-instances\", or remove it"
        ),
        (
            with("black-white-list:\n  main: {do-dbs: [a]}"),
            "task.yaml:7:9: \"block-allow-list.main\" is used by no source: name it by "
                + "\"block-allow-list\" in \"mysql-instances\", or remove it"
        ),
        (
            with("black-white-list: {a: {}}", "block-allow-list: {b: {}}"),
            "task.yaml:6:19: \"black-white-list\" says the same as \"block-allow-list\": give one "
                + "of them"
        ),
        (
            with(
                "  - source-id: s\n    syncer-config-name: a\n    syncer: {batch: 2}",
                "syncers: {a: {}}"),
            "task.yaml:7:13: \"mysql-instances[0].syncer\" contradicts "
                + "\"mysql-instances[0].syncer-config-name\": give one of them"
        ),
        (
            with("column-mappings: {}"),
            "task.yaml:6:18: \"column-mappings\" is not in DM any more: \"extract-table\", "
                + "\"extract-schema\" and \"extract-source\" of a route do its work"
        ),
        (
            with("  - source-id: s\n    route-rules: [a]", "routes:\n  a:\n    schema-pattern: x"),
            "task.yaml:9:5: \"routes.a\" has no \"target-schema\""
        ),
        (
            with(
                "  - source-id: s\n    filter-rules: [a]",
                "filters:\n  a:\n    schema-pattern: x\n    events: [drop tabel]\n    action: Do"),
            "task.yaml:10:14: \"drop tabel\" is no event; did you mean \"drop table\"?"
        ),
        (
            with(
                "  - source-id: s\n    filter-rules: [a]",
                "filters: {a: {schema-pattern: x, action: Skip}}"),
            "task.yaml:7:42: \"filters.a.action\" must be Do, Ignore or Error, not \"Skip\""
        ),
        (
            with(
                "  - source-id: s\n    expression-filters: [a]",
                "expression-filter: {a: {schema: x, table: y, insert-value-expr: a, delete-value-expr: b}}"
            ),
            "task.yaml:7:24: \"expression-filter.a\" has expressions for more than one kind of "
                + "change: give each an entry of its own"
        ),
        (
            with("ignore-checking-items: [binlog-format]"),
            "task.yaml:6:25: \"binlog-format\" is no check of DM; did you mean \"binlog_format\"?; "
                + "Skein's own names stand under \"ignore-checks\""
        ),
        (
            with("strict-optimistic-shard-mode: true"),
            "task.yaml:6:31: \"strict-optimistic-shard-mode\" needs \"shard-mode: optimistic\""
        ),
        (
            with("online-ddl: false", "shadow-table-rules: ['^_(.+)_gho$']"),
            "task.yaml:7:21: \"shadow-table-rules\" contradicts \"online-ddl: false\""
        ),
        (
            with("  - source-id: s\n    syncer: {safe-mode: true, safe-mode-duration: 0s}"),
            "task.yaml:6:51: \"mysql-instances[0].syncer.safe-mode-duration\" of 0 contradicts "
                + "\"safe-mode: true\""
        ),
        (
            with(
                "  - source-id: s\n    syncer: {compact: true}",
                "target-database: {host: h, user: u, session: {foreign_key_checks: 1}}"),
            "task.yaml:6:23: \"compact\" contradicts \"foreign_key_checks\" of the target's session"
        ),
        (
            with("  - source-id: s\n    mydumper: {extra-args: '--consitency none'}"),
            "task.yaml:6:28: \"mysql-instances[0].mydumper.extra-args\" has the unknown argument "
                + "\"--consitency\"; did you mean \"--consistency\"?"
        ),
        (
            with("  - source-id: s\n    meta: {binlog-gtid: later}"),
            "task.yaml:6:25: \"mysql-instances[0].meta.binlog-gtid\" is no GTID set"
        ),
        (
            with("target-database: {user: u}"),
            "task.yaml:3:18: \"target-database\" has no \"host\""
        ),
        (
            with("target-database: {host: h, user: u, security: {ssl-ca-bytes: x}}"),
            "task.yaml:3:62: \"target-database.security.ssl-ca-bytes\" is not read: put the text "
                + "into a file that every worker has, and name it by \"ssl-ca\""
        ),
    ]

    @Test("what works otherwise than DM says so, with its place", arguments: warningTable)
    func warnings(_ text: String, _ expected: String) throws {
        let warnings = try Self.report(text).warnings.map(\.description)
        #expect(warnings.contains(expected), "\(warnings)")
    }

    private static let warningTable: [(String, String)] = [
        (
            with("clean-dump-file: true"),
            "task.yaml:6:1: warning: \"clean-dump-file\" has no effect: there are no files between "
                + "source and target, and dumps are never removed"
        ),
        (
            with("  - source-id: s\n    black-white-list: a", "black-white-list: {a: {}}"),
            "task.yaml:6:5: warning: \"mysql-instances[0].black-white-list\" is the old name of "
                + "\"block-allow-list\""
        ),
        (
            with("  - source-id: s\n    syncer: {batch: 100}"),
            "task.yaml:6:14: warning: \"mysql-instances[0].syncer.batch\" has no effect: "
                + "transactions are never split, and joined by size"
        ),
        (
            with("routes:"),
            "task.yaml:6:1: warning: \"routes\" has no value, and counts as left out"
        ),
        (
            with("  - source-id: s\n    meta: {binlog-gtid: 0-1-2}"),
            "task.yaml:6:11: warning: \"mysql-instances[0].meta\" has no effect: only with "
                + "\"task-mode: incremental\" does a task begin at a place that is given"
        ),
        (
            with("  - source-id: s\n    syncer: {worker-count: 999}"),
            "task.yaml:5:5: warning: 999 lanes are more than Skein has: it takes 256"
        ),
        (
            with("  - source-id: s\n    mydumper: {extra-args: '--consistency none'}"),
            "task.yaml:6:28: warning: \"--consistency\" in \"mysql-instances[0].mydumper.extra-args\" "
                + "has no effect: how rows are read is chosen by what the source and its privileges "
                + "allow"
        ),
    ]

    @Test("the environment stands for values in a person's file, and in nothing else")
    func environment() throws {
        let text = Self.with(
            "target-database: {host: \"db${PORT}\", port: \"${PORT}\", user: '$${u}', password: '${SECRET}'}"
        )
        let settings = try Self.report(text).value
        #expect(settings.target.host == "db3310" && settings.target.port == 3310)
        #expect(settings.target.user == "${u}")
        #expect(settings.target.password == Password("se${cret"), "values are not read again")
        // What a program sends means itself.
        #expect(try TaskSettings(settings.sent().bytes, .json, file: "r") == settings)
        let literal = try TaskSettings(
            Array(text.replacing("\"${PORT}\"", with: "1").utf8), .yaml, file: "r")
        #expect(literal.target.host == "db${PORT}" && literal.target.user == "$${u}")
        // What is exported for people is read as it was.
        let exported = settings.shown.yamlLines.joined(separator: "\n")
        #expect(try Self.report(exported).value.target.user == "${u}")
        #expect(
            refusal(Self.with("target-database: {host: \"${NOPE}\", user: u}"))
                == "task.yaml:3:25: the environment variable NOPE is not set")
        #expect(
            refusal(Self.with("target-database: {host: \"${A-B}\", user: u}")).contains("no name"))
        #expect(
            refusal(Self.with("target-database: {host: \"${A\", user: u}")).contains("has no \"}\"")
        )
        let message = refusal(Self.with("target-database: {host: h, user: u, port: \"${SECRET}\"}"))
        #expect(message.contains("not \"${SECRET}\"") && !message.contains("se$"))
    }

    @Test("a password that only DM can read is refused, with what to do")
    func encryptedPassword() throws {
        // 16 bytes, an at sign, 4 bytes.
        let text = "AAECAwQFBgcICQoLDA0OD0AREhMU"
        let message = refusal(Self.with("target-database: {host: h, user: u, password: \(text)}"))
        #expect(message.hasPrefix("task.yaml:3:47: \"target-database.password\" is encrypted"))
        #expect(message.contains("password-file") && !message.contains(text))
        let plain = Self.with("target-database: {host: h, user: u, password: YWJj}")
        #expect(try Self.report(plain).value.target.password == Password("YWJj"))
    }

    @Test("what the engines can't act on is refused by name, wherever it would begin")
    func unsupported() throws {
        let report = try Self.report(Self.full)
        let places = report.unsupported.map(\.description)
        let wanted = "task.yaml:15:5: \"target-database.session\""
        #expect(places.contains { $0.hasPrefix(wanted) || $0.contains(": " + wanted) })
        #expect(!places.contains { $0.contains("shard-mode") })
        #expect(throws: SettingsError.self) { try report.supported() }
        let source = SourceSettings(name: "one", server: ConnectionOptions(user: "u"))
        #expect { try report.value.migrationSettings(source) } throws: {
            "\($0)".contains("task 'shop-move': \"target-database.session\" can't be acted on yet")
        }
        let filtered = try SourceSettings(
            Array(
                "source-id: s\nfrom: {host: h, user: u}\nfilters: [{schema-pattern: a, action: Do}]"
                    .utf8),
            .yaml, file: "s.yaml")
        let settings = try Self.report(Self.small).value.migrationSettings(filtered)
        #expect(settings.mapping.leavesOutChanges)
    }

    @Test("what the engines can act on reaches them, by source")
    func engineSettings() throws {
        let text = Self.with(
            "  - {source-id: s, block-allow-list: a, syncer: {worker-count: 300}, mydumper: {threads: 7, rows: 500}}",
            "block-allow-list: {a: {do-tables: [{db-name: 'Shop_*', tbl-name: 'a`b'}]}}",
            "memory: 64MiB", "meta-schema: m", "until: caught-up", "ignore-checking-items: [all]")
        let settings = try Self.report(text).value
        let source = SourceSettings(name: "s", server: ConnectionOptions(host: "src", user: "u"))
        let run = try settings.migrationSettings(source)
        #expect(run.lanes == 256 && run.readers == 7 && run.chunkRows == 500)
        #expect(run.memoryBudget == 64 << 20 && run.metaSchema == "m" && run.until == .caughtUp)
        #expect(run.sourceID == "s" && run.name == "t" && run.source.host == "src")
        #expect(run.ignoredChecks == ["all"])
        #expect(run.selection.selects(TableName(schema: "shop_1", name: "A`B")))
        #expect(!run.selection.selects(TableName(schema: "shop", name: "a`b")))
        let exact = try Self.report(text + "case-sensitive: true\n").value.migrationSettings(source)
        #expect(!exact.selection.selects(TableName(schema: "shop_1", name: "a`b")))
        #expect(exact.selection.selects(TableName(schema: "Shop_1", name: "a`b")))
        let usual = try Self.report(Self.small).value.migrationSettings(source)
        #expect(usual.lanes == 16 && usual.readers == 4 && usual.metaSchema == "skein_meta")
        #expect(usual.selection.selects(TableName(schema: "any", name: "table")))
    }

    @Test(
        "an allow list that the engines can take selects what DM's would",
        arguments: [
            ("{do-dbs: [a]}", ["a.t"], ["b.t"]),
            ("{ignore-dbs: [a]}", ["b.t"], ["a.t"]),
            (
                "{do-dbs: [a, b], ignore-dbs: [b], ignore-tables: [{db-name: a, tbl-name: 'x?'}]}",
                ["a.t", "b.t", "a.x"], ["a.x1", "c.t"]
            ),
            (
                "{do-tables: [{db-name: a, tbl-name: t}], ignore-tables: [{db-name: a, tbl-name: '*'}]}",
                ["a.t"], ["a.u"]
            ),
            ("{do-tables: [{db-name: 'a.b', tbl-name: t}]}", ["a.b.t"], ["a.t"]),
        ])
    func allowLists(_ list: String, _ taken: [String], _ left: [String]) throws {
        let text = Self.with(
            "  - {source-id: s, block-allow-list: a}", "block-allow-list: {a: \(list)}")
        let source = SourceSettings(name: "s", server: ConnectionOptions(user: "u"))
        let selection = try Self.report(text).value.migrationSettings(source).selection
        func name(_ text: String) -> TableName {
            let dot = text.lastIndex(of: ".") ?? text.endIndex
            return TableName(
                schema: String(text[..<dot]), name: String(text[text.index(after: dot)...]))
        }
        for table in taken { #expect(selection.selects(name(table)), "\(table)") }
        for table in left { #expect(!selection.selects(name(table)), "\(table)") }
    }

    @Test("the filters of a source stand beside those of the task")
    func sourceRules() throws {
        let text = Self.with(
            "  - {source-id: s, filter-rules: [a]}", "filters: {a: {schema-pattern: x, action: Do}}"
        )
        let source = try SourceSettings(
            Array(
                "{source-id: s, from: {host: h, user: u}, case-sensitive: true, filters: [{schema-pattern: y, action: Ignore}]}"
                    .utf8), .yaml, file: "s.yaml")
        let rules = try #require(try Self.report(text).value.rules(source))
        #expect(!rules.isCaseSensitive && rules.source == "s")
        #expect(rules.sourceFilters?.map(\.name) == ["filters[0] of the source"])
        #expect(rules.eventFilters.map(\.name) == ["a"])
        let acting = try rules.chosenFilters().acting.map(\.name)
        #expect(acting == ["filters[0] of the source", "a"])
    }

    @Test("a record of an older version is still read")
    func oldRecord() throws {
        let secrets = SecretCipher()
        let old =
            #"{"lanes":4,"name":"t","sources":["a","b"],"tables":["shop.*"],"target":{"host":"h","port":3306,"user":"u"}}"#
        let task = try TaskSettings(stored: old, secrets, key: "k")
        #expect(task.sources == ["a", "b"] && task.file == nil && task.unsupported.isEmpty)
        #expect(try task.stored(secrets, key: "k") == old)
        #expect(TaskSettings.sources(stored: old) == ["a", "b"])
        let source = #"{"relay":true,"source":{"host":"h","port":3306,"user":"u"},"source-id":"s"}"#
        #expect(
            try SourceSettings(stored: source, secrets, key: "k").stored(secrets, key: "k")
                == source)
    }

    @Test("the effective settings have every default, no password, and mean the same")
    func effective() throws {
        let report = try Self.report(
            Self.with(
                "  - {source-id: s, syncer-config-name: a}", "syncers: {a: {worker-count: 5}}",
                "target-database: {host: h, user: u, password: hidden}"))
        let text = report.value.effective.yamlLines.joined(separator: "\n")
        #expect(!text.contains("hidden"))
        for wanted in [
            "worker-count: 5", "threads: 4", "meta-schema: skein_meta", "memory:", "port: 3306",
            "import-mode: logical",
        ] {
            #expect(text.contains(wanted), "\(wanted) in \(text)")
        }
        let again = try Self.report(text)
        #expect(again.value.effective == report.value.effective)
        #expect(again.warnings.isEmpty, "\(again.warnings)")
    }

    @Test("a first file is read back without a word, and can begin")
    func template() throws {
        let target = try ConnectionOptions(
            url: "mysql://o%27neil%20%24%7Bx%7D@db.one:3307?tls=verify-ca&tls-ca=/etc/my%20ca.pem")
        for tables in [["shop.*", "crm"], ["shop.*", "crm.a b"]] {
            let template = try TaskTemplate(
                name: "true", target: target, sources: ["one", "2"], tables: tables)
            let report = try Self.report(template.text)
            #expect(report.warnings.isEmpty && report.unsupported.isEmpty)
            let task = report.value
            #expect(task.target == target && task.sources == ["one", "2"] && task.name == "true")
            let run = try task.migrationSettings(SourceSettings(name: "2", server: target))
            #expect(run.selection.selects(TableName(schema: "shop", name: "x")))
            #expect(!run.selection.selects(TableName(schema: "other", name: "x")))
            #expect(run.selection.selects(TableName(schema: "crm", name: "a b")))
            #expect(
                run.selection.selects(TableName(schema: "crm", name: "c")) == (tables[1] == "crm"))
        }
        for (name, sources, tables) in [
            ("a/b", ["s"], ["t"]), ("a", [], ["t"]), ("a", ["s"], []), ("a", ["s"], ["a.b.c"]),
            ("a", ["s"], ["~x"]),
        ] {
            #expect(throws: SettingsError.self) {
                try TaskTemplate(name: name, target: target, sources: sources, tables: tables)
            }
        }
    }
}

extension JSONValue {
    /// The document.
    fileprivate var bytes: [UInt8] { Array(document.utf8) }
}
