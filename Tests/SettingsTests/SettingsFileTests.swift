import MySQLClient
import MySQLCore
import Rules
import Settings
import Testing

@Suite("Settings files")
struct SettingsFileTests {
    private func draft(_ text: String) throws -> SettingsDraft {
        try SettingsDraft(bytes: Array(text.utf8), file: "skein.yaml")
    }

    /// The error of a file that must be refused.
    private func refusal(_ text: String) -> String {
        do {
            _ = try draft(text)
            return "accepted"
        } catch {
            return "\(error)"
        }
    }

    private func settings(_ draft: SettingsDraft) throws -> MigrationSettings {
        try draft.migrationSettings(PasswordSource(environment: { _ in nil }, prompt: nil))
    }

    @Test("every key of a file reaches the settings")
    func everyKey() throws {
        let settings = try settings(
            draft(
                """
                source:
                  host: db1.example
                  port: 3307
                  user: reader
                  tls: verify-identity
                  tls-ca: /etc/ca.pem
                  tls-cert: c.pem
                  tls-key: k.pem
                  compress: true
                  connect-timeout: 20s
                target: mysql://writer@db2:3308?tls=required
                tables: ['shop.*', "crm.customers"]
                exclude: 'shop.tmp_*'
                name: shop-move
                source-id: main
                meta-schema: moving
                lanes: 8
                readers: 2
                memory: 256MiB
                chunk-rows: 5000
                chunk-bytes: 4 MiB
                until: caught-up
                into-existing: true
                take-over: big
                finish: true
                ignore-checks: [gtid, table-keys]
                state-dir: /var/lib/skein
                server-id: 4711
                """))
        #expect(settings.source.host == "db1.example" && settings.source.port == 3307)
        #expect(settings.source.user == "reader" && settings.source.compresses)
        #expect(settings.source.connectTimeoutSeconds == 20)
        #expect(
            settings.source.tls
                == TLSOptions(
                    mode: .verifyIdentity, caFile: "/etc/ca.pem", certificateFile: "c.pem",
                    keyFile: "k.pem"))
        #expect(settings.target.server == "db2:3308" && settings.target.tls.mode == .required)
        #expect(settings.selection.selects(TableName(schema: "crm", name: "customers")))
        #expect(!settings.selection.selects(TableName(schema: "shop", name: "tmp_1")))
        #expect(settings.name == "shop-move" && settings.sourceID == "main")
        #expect(settings.metaSchema == "moving" && settings.lanes == 8 && settings.readers == 2)
        #expect(settings.memoryBudget == 256 << 20 && settings.chunkRows == 5000)
        #expect(settings.chunkBytes == 4 << 20 && settings.until == .caughtUp)
        #expect(settings.intoExisting && settings.finish && !settings.fresh)
        #expect(settings.takeOver == "big")
        #expect(settings.ignoredChecks == ["gtid", "table-keys"])
        #expect(settings.stateFolder == "/var/lib/skein" && settings.serverID == 4711)
    }

    @Test("what is not set has the defaults of the settings")
    func defaults() throws {
        let settings = try settings(
            draft("source: mysql://a@h\ntarget: mysql://b@h2\ntables: shop.*\n"))
        let plain = MigrationSettings(
            source: settings.source, target: settings.target, selection: settings.selection)
        #expect(settings.lanes == plain.lanes && settings.memoryBudget == plain.memoryBudget)
        #expect(settings.name == "migrate" && settings.until == .stopped)
        #expect(settings.chunkRows == plain.chunkRows && settings.metaSchema == "skein_meta")
    }

    @Test("flags override the file, setting by setting")
    func flagsOverride() throws {
        var file = try draft(
            """
            source: {host: old, port: 3307, user: a, tls: verify-ca, tls-ca: ca.pem}
            target: mysql://b@h2
            tables: [shop.*]
            lanes: 8
            """)
        var flags = SettingsDraft()
        flags.source.url = try ConnectionOptions(url: "mysql://c@new")
        flags.lanes = 2
        file.override(with: flags)
        let settings = try settings(file)
        #expect(settings.source.description == "c@new:3306" && settings.lanes == 2)
        #expect(settings.source.tls.mode == .verifyCA, "another host is not less safe")
        #expect(settings.target.description == "b@h2:3306")
    }

    @Test(
        "a mistake is named with its place and the nearest valid name",
        arguments: [
            ("tabels: [a]\n", "skein.yaml:1:1: unknown key \"tabels\"; did you mean \"tables\"?"),
            (
                "source:\n  host: h\n  prot: 1\n",
                "skein.yaml:3:3: unknown key \"source.prot\"; did you mean \"port\"?"
            ),
            (
                "lanes: many\n",
                "skein.yaml:1:8: \"lanes\" must be a whole number from 1 to 256, not \"many\""
            ),
            ("lanes:\n", "skein.yaml:1:7: \"lanes\" has no value"),
            (
                "memory: 12 lightyears\n",
                "skein.yaml:1:9: \"memory\" must be a size such as 128MiB, not \"12 lightyears\""
            ),
            (
                "memory: 1\n", "skein.yaml:1:9: \"memory\" must be from 16MiB to 1TiB, not 1"
            ),
            (
                "into-existing: maybe\n",
                "skein.yaml:1:16: \"into-existing\" must be true or false, not \"maybe\""
            ),
            ("lanes: [1, 2]\n", "skein.yaml:1:8: \"lanes\" must be one value"),
            ("tables: {a: b}\n", "skein.yaml:1:9: \"tables\" must be a list"),
            (
                "tables:\n  - a.b.c\n",
                "skein.yaml:2:5: each of \"tables\" must be a pattern such as 'shop.*', "
                    + "not \"a.b.c\""
            ),
            (
                "until: tomorrow\n",
                "skein.yaml:1:8: \"until\" must be caught-up, a position (file:offset) or a GTID "
                    + "set, not \"tomorrow\""
            ),
            (
                "source:\n  tls: on\n",
                "skein.yaml:2:8: \"source.tls\" must be one of disabled, preferred, required, "
                    + "verify-ca, verify-identity, not \"on\""
            ),
            (
                "source: mysql://a:secret@h\n",
                "skein.yaml:1:9: \"source\": a password in the URL would be visible to everybody "
                    + "on this machine: give it by environment variable, file or prompt"
            ),
            (
                "source: {url: 'mysql://a@h', port: 1}\n",
                "skein.yaml:1:36: \"source.port\" contradicts \"source.url\": give one of them"
            ),
            ("- a\n- b\n", "skein.yaml:1:1: the file holds no \"key: value\" pairs"),
            ("", "skein.yaml: the settings file is empty"),
        ])
    func mistakes(_ text: String, _ message: String) {
        #expect(refusal(text) == message)
    }

    @Test("a password in the file is refused without being repeated")
    func password() {
        let message = refusal("source:\n  user: a\n  password: hunter2\n")
        #expect(message.hasPrefix("skein.yaml:3:13: "))
        #expect(message.contains("password-file") && message.contains("SKEIN_SOURCE_PASSWORD"))
        #expect(!message.contains("hunter2"))
    }

    @Test("the environment stands for values where it is given, and nowhere else")
    func environment() throws {
        let text = "name: a${X}b\nsource: mysql://${X}@h\ntables: ['${X}.*']\nlanes: ${N}\n"
        let draft = try SettingsDraft(
            bytes: Array(text.utf8), file: "f", environment: { ["X": "x", "N": "5"][$0] })
        #expect(draft.name == "axb" && draft.source.url?.user == "x" && draft.lanes == 5)
        #expect(draft.tables?.map(\.description) == ["x.*"])
        #expect(refusal("lanes: ${N}\n").contains("not \"${N}\""))
        #expect(try self.draft("name: ${X}\n").name == "${X}")
    }

    @Test("starting over can't be set in a file, which a restart would read again")
    func fresh() { #expect(refusal("fresh: true\n").contains("is only a flag")) }

    @Test("places to end at are told apart")
    func until() {
        #expect(MigrationSettings.Until("caught-up") == .caughtUp)
        #expect(
            MigrationSettings.Until("bin.000007:1234")
                == .position(BinlogPosition(file: "bin.000007", offset: 1234)))
        let one = "3e11fa47-71ca-11e1-9e33-c80aa9429562:5"
        #expect(MigrationSettings.Until(one) == .gtids(one))
        #expect(MigrationSettings.Until("0-1-100,1-1-7") == .gtids("0-1-100,1-1-7"))
        for wrong in ["", "bin.000007", "bin.000007:", "file:4", "bin.000001:0", "later"] {
            #expect(MigrationSettings.Until(wrong) == nil, "\(wrong)")
        }
    }
}
