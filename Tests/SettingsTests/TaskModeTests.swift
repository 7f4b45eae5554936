import MySQLClient
import MySQLCore
import Settings
import Testing

/// What of a task's file decides what is migrated from where on, and in which sessions.
extension TaskFileTests {
    @Test("a mode, and where each source begins, reach the engines")
    func modes() throws {
        func run(_ mode: String, _ more: String...) throws -> MigrationSettings {
            let lines =
                ["name: t", "task-mode: \(mode)", "target-database: {host: h, user: u}"] + more
            let report = try Self.report(lines.joined(separator: "\n"))
            #expect(report.unsupported.isEmpty)
            let again = try Self.report(report.value.effective.yamlLines.joined(separator: "\n"))
            let source = SourceSettings(name: "b", server: ConnectionOptions(user: "u"))
            let settings = try report.value.migrationSettings(source)
            #expect(try again.value.migrationSettings(source).start == settings.start)
            return settings
        }
        func sources(_ meta: String) -> String {
            "mysql-instances: [{source-id: a, meta: {binlog-gtid: 0-1-2}}, {source-id: b\(meta)}]"
        }
        #expect(try run("full", sources("")).mode == .full)
        let now = try run("incremental", sources(""))
        #expect(now.mode == .incremental && now.start == .now)
        let set = "11111111-2222-3333-4444-555555555555:1-9"
        let position = BinlogPosition(file: "bin.000003", offset: 120)
        for (meta, place) in [
            ("{binlog-gtid: '\(set)'}", StartPlace.gtids(set)),
            ("{binlog-name: bin.000003, binlog-pos: 120}", .position(position)),
            ("{binlog-name: bin.000003}", .position(BinlogPosition(file: "bin.000003", offset: 4))),
            (
                "{binlog-name: bin.000003, binlog-pos: 120, binlog-gtid: '\(set)'}",
                .either(gtids: set, position: position)
            ),
        ] {
            #expect(try run("incremental", sources(", meta: \(meta)")).start == place)
        }
        // A time counts for all sources.
        let timed = try run(
            "incremental", sources(", meta: {binlog-gtid: 0-1-2}"),
            "start-time: 2026-05-01T10:00:00Z")
        #expect(timed.start == .time(.instant(1_777_629_600)))
        #expect { try run("all", sources(""), "start-time: 2026-05-01 10:00:00") } throws: {
            "\($0)".contains("task.yaml:5:13: \"start-time\" needs \"task-mode: incremental\"")
        }
        #expect { try run("full", sources(""), "until: bin.000007:1234") } throws: {
            "\($0)".contains("until contradicts the mode full")
        }
        // What a person says when the task is started.
        let task = try Self.report(
            "name: t\ntask-mode: incremental\ntarget-database: {host: h, user: u}\n" + sources("")
        ).value
        let time = try #require(StartTime("2026-05-01 10:00:00"))
        let source = SourceSettings(name: "a", server: ConnectionOptions(user: "u"))
        #expect(try task.beginning(at: time).migrationSettings(source).start == .time(time))
        #expect(throws: SettingsError.self) {
            try Self.report(Self.small).value.beginning(at: time)
        }
    }

    @Test("variables of sessions reach the servers, but for those that Skein sets by itself")
    func sessions() throws {
        func report(_ session: String) throws -> SettingsReport<TaskSettings> {
            try Self.report(
                Self.with(
                    "  - source-id: s",
                    "target-database: {host: h, user: u, session: {\(session)}}"))
        }
        let good = try report("tidb_skip_utf8_check: 1, Max_Sort_Length: 2048")
        #expect(good.unsupported.isEmpty)
        #expect(
            good.value.target.session == ["tidb_skip_utf8_check": "1", "Max_Sort_Length": "2048"])
        for name in ["SQL_MODE", "time_zone", "character_set_client", "'a=1, b'", "'@@global.x'"] {
            let bad = try report("\(name): 1")
            #expect(bad.unsupported.count == 1 && bad.value.target.session.isEmpty, "\(name)")
            #expect(throws: SettingsError.self) { try bad.supported() }
        }
        func source(_ name: String) throws -> SourceSettings {
            try SourceSettings(
                Array("source-id: s\nfrom: {host: h, user: u, session: {\(name): 5}}".utf8),
                .yaml, file: "s.yaml")
        }
        #expect(try source("sort_buffer_size").server.session == ["sort_buffer_size": "5"])
        #expect(try source("sort_buffer_size").unsupported.isEmpty)
        #expect(try source("sql_mode").unsupported.count == 1)
    }
}
