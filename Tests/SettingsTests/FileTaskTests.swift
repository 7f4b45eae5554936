import MySQLClient
import Settings
import Testing

/// Tasks of files: `task-mode: dump` and `load`.
extension TaskFileTests {
    private static func files(
        _ mode: String, _ instances: String = "{source-id: s}", _ more: String...
    ) throws -> SettingsReport<TaskSettings> {
        let lines =
            [
                "name: t", "task-mode: \(mode)", "target-database: {host: h, user: u}",
                "mysql-instances: [\(instances)]",
            ] + more
        return try Self.report(lines.joined(separator: "\n"))
    }

    private static func transfer(
        _ report: SettingsReport<TaskSettings>, _ source: String = "s"
    ) throws -> FileTransfer {
        let settings = try report.value.migrationSettings(
            SourceSettings(name: source, server: ConnectionOptions(user: "u")))
        #expect(!settings.keepsRelay)
        let files = try #require(settings.files)
        let again = try Self.report(report.value.effective.yamlLines.joined(separator: "\n"))
        let same = try again.value.migrationSettings(
            SourceSettings(name: source, server: ConnectionOptions(user: "u")))
        #expect(same.files == files)
        return files
    }

    @Test("a dump's settings reach the engine, and arguments go before keys")
    func dumpTask() throws {
        let usual = try Self.files("dump")
        #expect(usual.warnings.isEmpty && usual.unsupported.isEmpty)
        #expect(
            try Self.transfer(usual) == FileTransfer(kind: .dump, directory: "./dumped_data.t"))

        let report = try Self.files(
            "dump",
            "{source-id: s, loader: {dir: /d/x/}, mydumper: {threads: 6, chunk-filesize: 128, "
                + "rows: 500, statement-size: 2000, "
                + "extra-args: '-t 9 --filesize=32 -r 700 --consistency none'}}")
        var wanted = FileTransfer(kind: .dump, directory: "/d/x.t")
        wanted.connections = 9
        wanted.fileBytes = 32 << 20
        wanted.rowsPerFile = 700
        wanted.statementBytes = 2000
        #expect(try Self.transfer(report) == wanted)
        let warnings = report.warnings.map(\.message)
        #expect(warnings.count == 1 && warnings[0].contains("\"--consistency\""), "\(warnings)")
        #expect(report.unsupported.isEmpty)
    }

    @Test("a load's settings reach the engine")
    func loadTask() throws {
        let report = try Self.files(
            "load", "{source-id: s, loader: {pool-size: 7, dir: ./shop.t}}", "timezone: '+08:00'")
        var wanted = FileTransfer(kind: .load, directory: "./shop.t")
        wanted.connections = 7
        wanted.timeZone = "+08:00"
        #expect(try Self.transfer(report) == wanted)
        #expect(report.warnings.isEmpty && report.unsupported.isEmpty, "\(report.warnings)")
        let many = try Self.files("load", "{source-id: s, loader-thread: 300}")
        #expect(try Self.transfer(many).connections == 64)
        #expect(many.warnings.isEmpty)
    }

    @Test("each source has a directory of its own, which begins at the worker's folder")
    func directories() throws {
        let report = try Self.files(
            "dump", "{source-id: a, loader-config-name: l}, {source-id: b}",
            "loaders: {l: {dir: ./out}}")
        var first = try Self.transfer(report, "a")
        #expect(first.directory == "./out.t.a")
        #expect(try Self.transfer(report, "b").directory == "./dumped_data.t.b")
        first.resolve(in: "/data/w1")
        #expect(first.directory == "/data/w1/out.t.a")
        first.resolve(in: "/other")
        #expect(first.directory == "/data/w1/out.t.a")
    }

    @Test("rules that choose other tables for a dump are told from those that do not")
    func dumpRules() throws {
        func rules(_ instance: String, _ more: String...) throws -> String {
            let report = try Self.report(
                ([
                    "name: t", "task-mode: dump", "target-database: {host: h, user: u}",
                    "mysql-instances: [{source-id: s\(instance)}]",
                ] + more).joined(separator: "\n"))
            return try report.value.migrationSettings(
                SourceSettings(name: "s", server: ConnectionOptions(user: "u"))
            ).dumpRules().digest
        }
        let list = ", block-allow-list: l"
        let one = try rules(list, "block-allow-list: {l: {do-dbs: [a]}}")
        #expect(try rules(list, "block-allow-list: {l: {do-dbs: [a]}}") == one)
        #expect(
            try rules("\(list), mydumper: {threads: 2}", "block-allow-list: {l: {do-dbs: [a]}}")
                == one)
        #expect(
            try rules(
                "\(list), route-rules: [r]", "block-allow-list: {l: {do-dbs: [a]}}",
                "routes: {r: {schema-pattern: a, target-schema: b}}") == one)
        let others = [
            try rules(list, "block-allow-list: {l: {do-dbs: [a, b]}}"), try rules(""),
            try rules(list, "block-allow-list: {l: {do-dbs: [a]}}", "case-sensitive: true"),
            try rules(list, "block-allow-list: {l: {do-dbs: [a]}}", "online-ddl: false"),
        ]
        #expect(Set(others + [one]).count == 5, "\(others)")
    }

    @Test("a condition chooses the rows of a dump, wherever it is written")
    func condition() throws {
        func settings(_ dump: String) throws -> MigrationSettings {
            try Self.files("dump", "{source-id: s, mydumper: {\(dump)}}").value.migrationSettings(
                SourceSettings(name: "s", server: ConnectionOptions(user: "u")))
        }
        let all = try settings("threads: 2")
        let some = try settings("where: a > 1")
        let arguments = try settings("extra-args: \"--where 'a > 1'\", where: b = 1")
        let others = try settings("where: a > 2")
        #expect(all.files?.condition == nil)
        #expect(some.files?.condition == "a > 1")
        #expect(arguments.files?.condition == "a > 1")
        // A whole dump of other rows is not this one.
        #expect(try some.dumpRules().digest == arguments.dumpRules().digest)
        let digests = try [all, some, others].map { try $0.dumpRules().digest }
        #expect(Set(digests).count == 3)
        #expect(try some.dumpRules().rowDigest == nil)
    }

    @Test("expressions that leave rows out of a dump are among its rules")
    func expressionsOfDump() throws {
        let known = [
            "e": "insert-value-expr: 'c = 1'", "f": "insert-value-expr: 'c = 2'",
            "g": "delete-value-expr: 'c = 3'",
        ]
        func rules(_ names: [String], _ more: String = "") throws -> DumpRules {
            let blocks = names.sorted().map {
                "  \($0): {schema: a, table: b, \(known[$0] ?? "")}"
            }
            let report = try Self.files(
                "dump",
                "{source-id: s, expression-filters: [\(names.joined(separator: ", "))]}",
                "expression-filter:", blocks.joined(separator: "\n"), more)
            #expect(report.unsupported.isEmpty)
            return try report.value.migrationSettings(
                SourceSettings(name: "s", server: ConnectionOptions(user: "u"))
            ).dumpRules()
        }
        let (one, both) = (try rules(["e", "g"]), try rules(["e", "f", "g"]))
        let zoned = try rules(["e", "f", "g"], "timezone: '+02:00'")
        let digests = [one, both, zoned].map(\.digest)
        #expect(Set(digests).count == 3 && Set([one, both, zoned].map(\.rowDigest)).count == 3)
        #expect(try rules(["f", "e", "g"]).rowDigest == both.rowDigest)
        #expect(one.rowDigest != nil)
    }

    @Test("in whatever order rules for a dump are written, they are the same")
    func orderOfDumpRules() throws {
        func rules(_ list: String, _ more: String = "") throws -> DumpRules {
            let report = try Self.report(
                """
                name: t
                task-mode: dump
                target-database: {host: h, user: u}
                mysql-instances: [{source-id: s, block-allow-list: l}]
                block-allow-list: {l: {\(list)}}
                \(more)
                """)
            return try report.value.migrationSettings(
                SourceSettings(name: "s", server: ConnectionOptions(user: "u"))
            ).dumpRules()
        }
        let (a, b) = ("{db-name: a, tbl-name: t}", "{db-name: a, tbl-name: u}")
        let pairs = [
            ("do-dbs: [a, b]", "do-dbs: [b, a, b]"),
            ("ignore-dbs: [a, b]", "ignore-dbs: [b, a]"),
            ("do-tables: [\(a), \(b)]", "do-tables: [\(b), \(a)]"),
            ("ignore-tables: [\(a), \(b)]", "ignore-tables: [\(b), \(a)]"),
        ]
        for (one, other) in pairs {
            let (first, second) = (try rules(one), try rules(other))
            #expect(first.digest == second.digest, "\(one)")
            // What a version wrote for which order counted is known again.
            #expect(first.earlierDigest == first.digest, "\(one)")
            #expect(second.earlierDigest != first.earlierDigest, "\(one)")
        }
        let (shadow, other) = ("'^_(.+)_new$', '^_(.+)_x$'", "'^_(.+)_x$', '^_(.+)_new$'")
        #expect(
            try rules("do-dbs: [a]", "shadow-table-rules: [\(shadow)]").digest
                == rules("do-dbs: [a]", "shadow-table-rules: [\(other)]").digest)
        #expect(
            try rules("do-dbs: [a]", "shadow-table-rules: [\(shadow)]").digest
                != rules("do-dbs: [a]", "shadow-table-rules: ['^_(.+)_x$']").digest)
        // Lists are not each other's.
        #expect(try rules("do-dbs: [a, b]").digest != rules("ignore-dbs: [a, b]").digest)
        // A letter with its accent, and the same of two code points: two names to a server.
        let (whole, apart) = ("\u{e9}", "e\u{301}")
        let both = try rules("do-dbs: [\(whole), \(apart)]").digest
        #expect(try rules("do-dbs: [\(apart), \(whole)]").digest == both)
        for name in [whole, apart] {
            #expect(try rules("do-dbs: [\(name)]").digest != both)
        }
    }

    @Test("migrations have no files")
    func noFiles() throws {
        let report = try Self.files("full", "{source-id: s, loader: {dir: x}}")
        let settings = try report.value.migrationSettings(
            SourceSettings(name: "s", server: ConnectionOptions(user: "u")))
        #expect(settings.files == nil && settings.keepsRelay)
        #expect(report.warnings.map(\.message).contains { $0.contains(".dir\" has no effect") })
        #expect(!report.value.effective.yamlLines.contains { $0.contains("dir:") })
    }

    @Test("a load takes routes and several sources")
    func routedLoad() throws {
        for (instances, more) in [
            ("{source-id: s}, {source-id: b}", ""),
            (
                "{source-id: s, route-rules: [r]}",
                "routes: {r: {schema-pattern: a, target-schema: b}}"
            ),
        ] {
            let report = try Self.files("load", instances, more)
            #expect(report.unsupported.isEmpty)
            let settings = try report.value.migrationSettings(
                SourceSettings(name: "s", server: ConnectionOptions(user: "u")))
            #expect(settings.files?.kind == .load)
        }
    }

    @Test("what becomes of rows of one key is a load's to say", arguments: ["replace", "ignore"])
    func duplicates(word: String) throws {
        let report = try Self.files(
            "load", "{source-id: s, loader: {on-duplicate-logical: \(word)}}", "")
        #expect(report.unsupported.isEmpty)
        #expect(!"\(report.warnings)".contains("on-duplicate-logical"))
        let source = SourceSettings(name: "s", server: ConnectionOptions(user: "u"))
        let files = try report.value.migrationSettings(source).files
        #expect(files?.duplicates.rawValue == word)
        let plain = try Self.files("load", "{source-id: s}", "")
        #expect(try plain.value.migrationSettings(source).files?.duplicates == .error)
    }

    @Test("what a dump or a load can't act on is refused by name")
    func refusedInFileTasks() throws {
        let cases: [(String, String, String, String)] = [
            (
                "load", "{source-id: s, expression-filters: [e]}",
                "expression-filter: {e: {schema: a, table: b, insert-value-expr: 'c = 1'}}",
                "expression-filter.e"
            ),
            ("dump", "{source-id: s, loader: {dir: 's3://bucket/x'}}", "", ".dir"),
            ("dump", "{source-id: s, mydumper: {extra-args: -W}}", "", ".extra-args"),
            ("dump", "{source-id: s, mydumper: {extra-args: -B a}}", "", ".extra-args"),
            ("full", "{source-id: s, mydumper: {where: 'a = 1'}}", "", ".where"),
            ("all", "{source-id: s, mydumper: {extra-args: --where=1}}", "", ".extra-args"),
            (
                "full", "{source-id: s, loader: {on-duplicate-logical: ignore}}", "",
                ".on-duplicate-logical"
            ),
        ]
        for (mode, instances, more, path) in cases {
            let report = try Self.files(mode, instances, more)
            let texts = report.unsupported.map(\.description)
            #expect(
                texts.count == 1 && texts[0].contains("\(path)\" can't be acted on"), "\(texts)")
            let source = SourceSettings(name: "s", server: ConnectionOptions(user: "u"))
            #expect(throws: SettingsError.self) { try report.value.migrationSettings(source) }
        }
    }

    @Test(
        "an import mode that another target needs is warned of",
        arguments: ["physical", "import-into"])
    func importModes(_ mode: String) throws {
        for task in ["full", "load"] {
            let report = try Self.files(task, "{source-id: s, loader: {import-mode: \(mode)}}", "")
            #expect(report.unsupported.isEmpty)
            #expect(
                report.warnings.contains {
                    $0.message.contains("\"\(mode)\" has no effect: rows are written by")
                }, "\(report.warnings)")
        }
    }

    @Test("changed rows can't be compared where none are followed", arguments: ["full", "load"])
    func validators(_ mode: String) throws {
        let report = try Self.files(
            mode, "{source-id: s, validator-config-name: v}", "validators: {v: {mode: fast}}")
        #expect(report.unsupported.isEmpty)
        #expect(
            report.warnings.contains { $0.message.contains("\"validators.v.mode\" has no effect") },
            "\(report.warnings)")
    }

    @Test("what contradicts files is an error")
    func contradictsFiles() throws {
        let cases: [(String, String, String, String)] = [
            ("dump", "", "until: caught-up", "\"until\" contradicts \"task-mode: dump\""),
            ("load", "", "finish: true", "\"finish\" contradicts"),
            ("load", "", "into-existing: true", "\"into-existing\" contradicts"),
            ("load", "", "take-over: big", "\"take-over\" contradicts"),
            ("dump", ", mydumper: {chunk-filesize: 1KiB}", "", "chunk-filesize must be"),
            ("dump", ", mydumper: {statement-size: 9}", "", "statement-size must be"),
            ("dump", ", mydumper: {extra-args: '-r many'}", "", "\"--rows\""),
            ("dump", ", mydumper: {extra-args: '-F much'}", "", "\"--filesize\""),
            ("dump", "", "start-time: 2026-05-01 10:00:00", "\"start-time\" needs"),
            ("load", "", "adopt: true", "\"adopt\" needs"),
        ]
        for (mode, source, more, words) in cases {
            #expect {
                try Self.files(mode, "{source-id: s\(source)}", more)
            } throws: {
                "\($0)".contains(words)
            }
        }
    }

    @Test("what has no effect in a task of files says so")
    func unusedInFileTasks() throws {
        let cases: [(String, String, String, String)] = [
            ("dump", ", loader: {pool-size: 9}", "", "loader.pool-size\" has no effect"),
            (
                "dump", ", route-rules: [r]", "routes: {r: {schema-pattern: a, target-schema: b}}",
                "\"routes.r\" has no effect"
            ),
            (
                "load", ", filter-rules: [f]",
                "filters: {f: {schema-pattern: a, events: [insert], action: Ignore}}",
                "\"filters.f\" has no effect"
            ),
            ("dump", ", syncer: {worker-count: 3}", "", ".syncer\" has no effect"),
            ("load", ", mydumper: {threads: 3}", "", ".mydumper\" has no effect"),
            ("load", ", mydumper-thread: 3", "", "mydumper-thread\" has no effect"),
            ("dump", ", loader-thread: 3", "", "loader-thread\" has no effect"),
            ("incremental", ", mydumper: {where: 'a = 1'}", "", ".where\" has no effect"),
            ("incremental", ", mydumper: {extra-args: '-T a.b'}", "", "extra-args\" has no effect"),
            ("load", ", mydumper: {where: 'a = 1', extra-args: -B a}", "", "has no effect"),
            ("dump", "", "memory: 64MiB", "\"memory\" has no effect"),
            ("dump", "", "meta-schema: m", "\"meta-schema\" has no effect"),
            ("load", "", "ignore-checking-items: [all]", "\"ignore-checking-items\" has no effect"),
        ]
        for (mode, source, more, words) in cases {
            let report = try Self.files(mode, "{source-id: s\(source)}", more)
            let warnings = report.warnings.map(\.message)
            #expect(warnings.contains { $0.contains(words) }, "\(warnings)")
            #expect(report.unsupported.isEmpty)
        }
    }
}
