import MySQLClient
import MySQLCore
import Testing

@testable import Settings

@Suite("Settings of a task that DM has run")
struct AdoptionSettingsTests {
    private let source = SourceSettings(name: "mysql-01", server: ConnectionOptions(user: "u"))

    @Test("the short form names DM's task, and is kept")
    func short() throws {
        func task(_ more: String) throws -> TaskSettings {
            try TaskSettings(
                Array(
                    "target: mysql://u@h\nsources: [mysql-01]\ntables: [a.*]\n\(more)".utf8),
                .yaml, file: "t.yaml", name: "t")
        }
        let secrets = SecretCipher()
        let given = try task("adopt: shop\nadopt-meta: meta\nadopt-wait: 1m")
        let kept = try TaskSettings(stored: given.stored(secrets, key: "k"), secrets, key: "k")
        #expect(kept == given)
        let run = try kept.migrationSettings(source)
        #expect(run.adoption?.task == "shop" && run.adoption?.metaSchema == "meta")
        #expect(run.adoption?.wait == .seconds(60) && run.sourceID == "mysql-01")
        // With a checkpoint of its own it is what it was.
        #expect(run.mode == .incremental && run.adoption?.mode == .all)
        let usual = try task("adopt: shop\nmode: incremental").migrationSettings(source)
        #expect(usual.adoption?.metaSchema == "dm_meta" && usual.adoption?.wait == .seconds(35))
        #expect(usual.adoption?.mode == .incremental)
        #expect(try task("").migrationSettings(source).adoption == nil)
        for more in [
            "adopt-meta: meta", "adopt-wait: 1m", "adopt: shop\nmode: full",
            "adopt: shop\nmode: incremental\nstart-gtid: 0-1-100", "adopt: shop\nadopt-wait: soon",
        ] {
            #expect(throws: SettingsError.self, "\(more)") { try task(more) }
        }
        let time = try #require(StartTime("2026-05-01 10:00:00"))
        let dated = try task("adopt: shop\nmode: incremental")
        #expect(throws: SettingsError.self) { try dated.beginning(at: time) }
    }

    @Test(
        "in DM's words name and meta-schema are the task's own", arguments: ["all", "incremental"])
    func file(_ mode: String) throws {
        func run(_ more: String, meta: String = "") throws -> MigrationSettings {
            try TaskSettings(
                Array(
                    """
                    name: shop
                    task-mode: \(mode)
                    target-database: {host: h, user: u}
                    mysql-instances:
                    - source-id: mysql-01
                      \(meta)
                    \(more)
                    """.utf8), .yaml, file: "task.yaml"
            ).migrationSettings(source)
        }
        let plain = try run("adopt: true")
        #expect(plain.adoption?.task == "shop" && plain.adoption?.metaSchema == "dm_meta")
        #expect(plain.mode == .incremental && plain.adoption?.mode.rawValue == mode)
        let own = try run("adopt: true\nadopt-wait: 2m\nmeta-schema: m")
        #expect(own.adoption?.metaSchema == "m" && own.adoption?.wait == .seconds(120))
        // Where DM was to begin it has begun.
        #expect(try run("adopt: true", meta: "meta: {binlog-gtid: 0-1-2}").start == .now)
        #expect(try run("adopt: false").adoption == nil)
        #expect { try run("adopt-wait: 2m") } throws: { "\($0)".contains("adopt: true") }
        if mode == "incremental" {
            #expect { try run("adopt: true\nstart-time: 2026-05-01 10:00:00") } throws: {
                "\($0)".contains("\"start-time\" contradicts \"adopt\"")
            }
        }
    }

    @Test("rows alone have nothing to go on with")
    func modes() {
        for mode in ["full", "dump", "load"] {
            #expect {
                try TaskSettings(
                    Array(
                        """
                        {name: shop, task-mode: \(mode), target-database: {host: h, user: u},
                        mysql-instances: [{source-id: a}], adopt: true}
                        """.utf8), .yaml, file: "task.yaml")
            } throws: {
                "\($0)".contains("\"adopt\" needs \"task-mode: all\"")
            }
        }
    }
}
