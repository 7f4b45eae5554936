import Foundation
import MySQLClient
import MySQLCore
import Settings
import Testing

@Suite("Settings of sources and tasks")
struct RecordSettingsTests {
    private let secrets = SecretCipher()

    private func source(_ text: String, _ format: SettingsFormat = .yaml) throws -> SourceSettings {
        try SourceSettings(Array(text.utf8), format, file: "request")
    }

    private func task(_ text: String, _ format: SettingsFormat = .yaml) throws -> TaskSettings {
        try TaskSettings(Array(text.utf8), format, file: "request")
    }

    private static let fullSource = """
        source-id: main
        source:
          host: db1
          port: 3307
          user: reader
          password: "s3cr3t\\u00fc"
          tls: verify-ca
          tls-ca: /etc/ca.pem
          compress: true
          connect-timeout: 20s
        relay: false
        relay-dir: /var/relay
        relay-limit: 10GiB
        server-id: 4711
        workers: [w2, w1]
        enable: false
        """
    private static let fullTask = """
        name: shop-move
        target: {socket: /run/db.sock, user: writer, password: t0p}
        sources: [main, second]
        tables: ['shop.*', crm.customers]
        exclude: ['shop.tmp_*']
        meta-schema: moving
        lanes: 8
        readers: 2
        memory: 256MiB
        chunk-rows: 5000
        chunk-bytes: 4MiB
        until: binlog.000004:1234
        into-existing: true
        finish: false
        ignore-checks: [gtid]
        """

    @Test("a source comes back from the store and from a request as it was")
    func sourceRoundTrip() throws {
        let source = try source(Self.fullSource)
        #expect(source.server.password == Password("s3cr3tü") && source.allowedWorkers?.count == 2)
        let text = try source.stored(secrets, key: "k/main")
        #expect(!text.contains("s3cr3t"))
        var stored = source
        stored.allowedWorkers = nil
        stored.isEnabled = true
        #expect(try SourceSettings(stored: text, secrets, key: "k/main") == stored)
        #expect(JSONValue.shown(stored: text) == stored.shown)
        let sent = try source.sent().document
        #expect(try self.source(sent, .json) == source)
        #expect(!source.shown.document.contains("password"))
        let plain = try self.source("source-id: s\nsource: mysql://a@h\n")
        #expect(plain.keepsRelay && plain.isEnabled && plain.allowedWorkers == nil)
        #expect(
            try SourceSettings(stored: plain.stored(secrets, key: "k"), secrets, key: "k") == plain)
    }

    @Test("only passwords are left out, not what people have named like them")
    func shownNames() throws {
        let text = """
            name: t
            task-mode: all
            target-database: {host: h, user: w, password: t0p}
            mysql-instances:
              - {source-id: s, route-rules: [passwords-merge], block-allow-list: password}
            routes:
              passwords-merge: {schema-pattern: passwords, target-schema: x}
            block-allow-list: {password: {do-dbs: [passwords]}}
            """
        let task = try task(text)
        let stored = try task.stored(secrets, key: "k/t")
        let shown = try #require(JSONValue.shown(stored: stored))
        #expect(shown == task.shown)
        #expect(shown["routes"]?["passwords-merge"]?["target-schema"] == "x")
        #expect(shown["block-allow-list"]?["password"] != nil)
        #expect(stored.contains("password-encrypted"))
        #expect(!shown.document.contains("encrypted") && !shown.document.contains("t0p"))
        let again = try self.task(shown.document, .json)
        #expect(again.shown == shown)
    }

    @Test("a task comes back from the store and from a request as it was")
    func taskRoundTrip() throws {
        let task = try task(Self.fullTask)
        let text = try task.stored(secrets, key: "k/t")
        #expect(!text.contains("t0p"))
        #expect(try TaskSettings(stored: text, secrets, key: "k/t") == task)
        #expect(try self.task(task.sent().document, .json) == task)
        #expect(!task.shown.document.contains("password"))
        let run = try task.migrationSettings(source(Self.fullSource))
        #expect(run.name == "shop-move" && run.sourceID == "main" && run.lanes == 8)
        #expect(run.target.socket == "/run/db.sock" && run.target.password == Password("t0p"))
        #expect(run.source.password == Password("s3cr3tü") && !run.keepsRelay)
        #expect(
            run.serverID == 4711
                && run.until == .position(.init(file: "binlog.000004", offset: 1234)))
    }

    @Test("a place to begin at means one source, and is kept")
    func start() throws {
        func task(_ sources: String, _ more: String) throws -> TaskSettings {
            try TaskSettings(
                Array(
                    "target: mysql://u@h\nsources: \(sources)\ntables: [a.*]\n\(more)".utf8),
                .yaml, file: "t.yaml", name: "t")
        }
        let source = SourceSettings(name: "a", server: ConnectionOptions(user: "u"))
        let secrets = SecretCipher()
        for (more, place) in [
            ("start-position: bin.000007:1234", StartPlace.position(.init("bin.000007:1234")!)),
            ("start-gtid: 0-1-100", .gtids("0-1-100")),
            ("start-time: 2026-05-01 10:00:00", .time(StartTime("2026-05-01 10:00:00")!)),
            ("", .now),
        ] {
            let given = try task("[a]", "mode: incremental\n\(more)")
            let kept = try TaskSettings(
                stored: given.stored(secrets, key: "k"), secrets, key: "k")
            #expect(kept == given)
            let run = try kept.migrationSettings(source)
            #expect(run.start == place && run.mode == .incremental)
        }
        #expect(try task("[a, b]", "mode: full").migrationSettings(source).mode == .full)
        for (sources, more) in [
            ("[a, b]", "mode: incremental\nstart-position: bin.000007:1234"),
            ("[a, b]", "mode: incremental\nstart-gtid: 0-1-100"),
            ("[a]", "start-gtid: 0-1-100"), ("[a]", "mode: full\nstart-gtid: 0-1-100"),
            ("[a]", "mode: incremental\nstart-gtid: 0-1-100\nstart-time: 2026-05-01 10:00:00"),
            ("[a]", "mode: incremental\nstart-time: yesterday"), ("[a]", "mode: load"),
        ] {
            #expect(throws: SettingsError.self, "\(more)") { try task(sources, more) }
        }
    }

    @Test("a password decrypts for its own record only, with its own key only")
    func otherRecord() throws {
        let text = try source(Self.fullSource).stored(secrets, key: "k/main")
        #expect(throws: SettingsError.self) {
            _ = try SourceSettings(stored: text, secrets, key: "k/other")
        }
        #expect(throws: SettingsError.self) {
            _ = try SourceSettings(stored: text, SecretCipher(), key: "k/main")
        }
        #expect(throws: SettingsError.self) {
            _ = try SourceSettings(stored: text.replacing("db1", with: "\u{0}"), secrets, key: "k")
        }
    }

    @Test("a key file is made once, for its owner only, and read again")
    func keyFile() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let file = folder.appending(path: "key").path
        let first = try SecretCipher(creatingIfMissing: file)
        let mode = try FileManager.default.attributesOfItem(atPath: file)[.posixPermissions]
        #expect(mode as? Int == 0o600)
        let again = try SecretCipher(creatingIfMissing: file)
        #expect(first.fingerprint == again.fingerprint && first.fingerprint.count == 32)
        #expect(try again.decrypt(first.encrypt("x", for: "r"), for: "r") == "x")
        #expect(SecretCipher().fingerprint != first.fingerprint)
        try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: file)
        #expect(throws: SettingsError.self) { _ = try SecretCipher(file: file) }
        try "short".write(toFile: file, atomically: true, encoding: .utf8)
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: file)
        #expect(throws: SettingsError.self) { _ = try SecretCipher(file: file) }
    }

    @Test(
        "what is wrong with a source is named",
        arguments: [
            ("", "there are no settings in it"),
            ("[]", "holds no \"key: value\" pairs"),
            ("source: mysql://a@h", "\"source-id\" is missing"),
            ("source-id: main", "\"source\" is missing"),
            ("source-id: a/b\nsource: mysql://a@h", "must be 1 to 64 letters"),
            ("source-id: ..\nsource: mysql://a@h", "must be 1 to 64 letters"),
            ("source-id: s\nsource: mysql://a:p@h", "a password in the URL"),
            (
                "source-id: s\nsource: {host: h, user: u, password-file: /p}",
                "give \"password\" itself"
            ),
            ("source-id: s\nsource: {host: h, user: u, password: [1]}", "must be one text"),
            (
                "source-id: s\nsource: {host: h, user: u, password-encrypted: abc}",
                "use \"password\""
            ),
            ("source-id: s\nsource: {host: h, usr: u}", "did you mean \"user\"?"),
            ("source-id: s\nsource: mysql://a@h\nworkers: []", "is empty"),
            ("source-id: s\nsource: mysql://a@h\nworkers: [a, a]", "names \"a\" twice"),
            ("source-id: s\nsource: mysql://a@h\nrelay-limit: 1", "must be from 1MiB"),
        ])
    func wrongSource(_ text: String, _ message: String) {
        #expect { _ = try source(text) } throws: { "\($0)".contains(message) }
    }

    @Test(
        "what is wrong with a task is named",
        arguments: [
            ("name: t\nsources: s\ntables: a.b", "\"target\" is missing"),
            ("name: t\ntarget: mysql://a@h\ntables: a.b", "\"sources\" is missing"),
            ("name: t\ntarget: mysql://a@h\nsources: [s]", "\"tables\" is missing"),
            ("name: t\ntarget: mysql://a@h\nsources: [s]\ntables: a.b\nlanes: 0", "from 1 to 256"),
            (
                "name: t\ntarget: mysql://a@h\nsources: [s]\ntables: a.b\nmeta-schema: mysql",
                "the server's own"
            ),
            ("name: t\ntarget: mysql://a@h\nsource: s", "unknown key \"source\""),
        ])
    func wrongTask(_ text: String, _ message: String) {
        #expect { _ = try task(text) } throws: { "\($0)".contains(message) }
    }

    @Test("JSON is read as JSON: escapes of any character, nulls as left out, and errors with keys")
    func json() throws {
        let text =
            #"{"source-id":"s","relay-dir":null,"source":{"host":"h","user":"u","password":"\ud83d\ude00"}}"#
        #expect(try source(text, .json).server.password == Password("😀"))
        #expect { _ = try source("{\"source-id\":", .json) } throws: {
            "\($0)".contains("not readable as JSON")
        }
        #expect { _ = try source(#"{"source-id":"s","sorce":1}"#, .json) } throws: {
            "\($0)".contains("did you mean \"source\"?")
        }
    }
}
