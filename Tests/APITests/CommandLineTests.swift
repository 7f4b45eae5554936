import API
import Cluster
import Foundation
import Glibc
import MySQLClient
import Settings
import Synchronization
import TestServers
import Testing
import Worker

@Suite("The command line as a client", .enabled(if: TestAPI.isAvailable))
struct CommandLineTests {
    private static let source = "source-id: main\nsource: {host: db1, user: reader}\n"
    private static let task = """
        name: shop
        target: {host: db2, user: writer, password: t0p}
        sources: [main]
        tables: ['shop.*', '*.x']
        until: caught-up
        """

    @Test("a source and a task from their files to their end")
    func life() async throws {
        try await TestAPI.with { api, workers in
            let skein = SkeinCommandLine(environment: [
                "SKEIN_ENDPOINT": "127.0.0.1:1,127.0.0.1:\(workers[0].http.port)",
                "SKEIN_SOURCE_PASSWORD": "s3cret",
            ])
            let folder = try TestPlaces.newFolder("cli")
            let taskFile = folder + "/shop.yaml"
            try Self.task.write(toFile: taskFile, atomically: true, encoding: .utf8)
            func run(_ arguments: String..., input: String = "") async throws -> String {
                let outcome = try await skein.run(arguments, input: input)
                #expect(outcome.status == 0 && outcome.errors == "", "\(arguments) \(outcome)")
                return outcome.output
            }
            #expect(
                try await run("source", "add", "-", input: Self.source)
                    == "source 'main' was added\n")
            #expect(
                try await run("task", "start", taskFile) == "task 'shop' was added and started\n")
            try await api.bind("main", "w1")
            workers[0].control.current.withLock {
                $0.subtasks = [FakeControl.subtask("shop", "main")]
                $0.relays = [
                    RelayStatus(
                        source: "main",
                        log: .init(
                            state: "running", reason: nil, bytes: 2048, limitBytes: nil,
                            position: "binlog.000009:120"))
                ]
            }
            let status = try await run("task", "status", "shop")
            let rows = status.split(separator: "\n").map(String.init)
            try #require(rows.count == 3, "\(status)")
            #expect(
                rows[0].hasPrefix("TASK  SOURCE  WORKER  STAGE    UNIT  LAG    TRANSACTIONS  POS"))
            #expect(
                rows[1].hasPrefix("shop  main    w1      Running  Sync  1.5 s  1,234         bin"))
            #expect(rows[2].contains("[server.lost], is tried again"))
            #expect(try await run("task", "status") == status)
            let errors = try await run("task", "errors", "shop")
            #expect(
                errors == """
                    shop on main (w1): a "quoted"\u{FFFD}line [server.lost]
                      it can pass by itself, and is tried again
                      when: 2023-11-14T22:13:20Z

                    """, "\(errors)")
            #expect(try await run("task", "errors", "--source", "main") == errors)
            #expect(
                try await run("task", "errors", "--source", "other")
                    == "nothing stands in the way\n")
            let errorRecord = try await run("task", "errors", "--output", "json")
            #expect(errorRecord.contains("\"type\":\"task_error\""), "\(errorRecord)")
            #expect(
                errorRecord.contains("\"message\":\"a \\\"quoted\\\"\\nline\""), "\(errorRecord)")
            let json = try await run("task", "status", "shop", "--output", "json")
            #expect(json.hasPrefix("{\"data\":[{") && json.hasSuffix("\"total\":1}\n"))
            #expect(try await run("source", "list").contains("main    yes      w1      1"))
            #expect(try await run("worker", "list").contains("w1      alive  127.0.0.1:"))
            #expect(try await run("cluster", "status").contains("1, 1 with a worker"))
            #expect(
                try await run("relay", "status", "--source", "main").contains("binlog.000009:120"))
            #expect(
                try await run("relay", "purge", "--source", "main", "--before", "binlog.000009")
                    .contains("4.00 KiB freed"))
            _ = try await run("task", "pause", "shop", "--source", "main")
            #expect(try await run("task", "list").contains("shop  0        1       0        main"))
            for action in ["resume", "stop"] { _ = try await run("task", action, "shop") }
            // What it prints can be given back to it.
            let exported = try await run("task", "export", "shop")
            #expect(
                !exported.contains("t0p") && exported.contains("'*.x'")
                    || exported.contains("\"*.x\""))
            try exported.write(toFile: taskFile, atomically: true, encoding: .utf8)
            _ = try await run("task", "update", taskFile)
            #expect(try await run("task", "export", "shop") == exported)
            let shown = try await run("source", "show", "main")
            _ = try await run("source", "update", "-", input: shown)
            _ = try await run("source", "disable", "main")
            #expect(try await run("source", "show", "main").contains("enable: false"))
            _ = try await run("source", "enable", "main")
            _ = try await run("relay", "stop", "main")
            _ = try await run("relay", "start", "main")
            _ = try await run("worker", "drain", "w1")
            _ = try await run("worker", "drain", "w1", "--end")
            _ = try await run("source", "transfer", "main", "--worker", "w1")
            _ = try await run("task", "remove", "shop")
            _ = try await run("source", "remove", "main")
        }
    }

    @Test("errors have their code, their remedy and their exit code")
    func errors() async throws {
        try await TestAPI.with(configure: { $0.tokens.add("look", .read) }) { _, workers in
            let endpoint = "http://127.0.0.1:\(workers[0].http.port)"
            func run(_ arguments: [String], _ more: [String: String] = [:]) async throws
                -> SkeinCommandLine.Outcome
            {
                var environment = ["SKEIN_ENDPOINT": endpoint, "SKEIN_TOKEN": "look"]
                environment.merge(more) { $1 }
                return try await SkeinCommandLine(environment: environment).run(arguments)
            }
            let unknown = try await run(["source", "show", "nope"])
            #expect(unknown.status == 1 && unknown.output.isEmpty)
            #expect(unknown.errors.contains("there is no source 'nope' [source.unknown]"))
            #expect(unknown.errors.contains("what to do: `skein source list`"))
            let json = try await run(["source", "show", "nope", "--output", "json"])
            #expect(json.output.contains("\"code\":\"source.unknown\"") && json.errors.isEmpty)
            #expect(try await run(["source", "remove", "x"]).errors.contains("[auth.forbidden]"))
            let none = try await run(["source", "list"], ["SKEIN_TOKEN": ""])
            #expect(none.errors.contains("[auth.required]"), "\(none.errors)")
            let away = try await run(["source", "list"], ["SKEIN_ENDPOINT": "127.0.0.1:1"])
            #expect(away.status == 1 && away.errors.contains("[api.unreachable]"))
            #expect(away.errors.contains("Connection refused"), "\(away.errors)")
            let wrong = try await run(["source", "list", "--endpoint", "nonsense"])
            #expect(wrong.status == 2 && wrong.errors.contains("is no endpoint"))
            let missing = try await run(["source", "add", "/nowhere.yaml"])
            #expect(missing.status == 2 && missing.errors.contains("can't be read"))
            let both = try await run(["relay", "status", "/tmp", "--source", "x"])
            #expect(both.status == 2 && both.errors.contains("--source NAME"))
            let silent = try RawHTTP.silentListener()
            let slow = try await run(
                ["source", "list", "--timeout", "1s"],
                ["SKEIN_ENDPOINT": "127.0.0.1:\(silent.port)"])
            #expect(slow.errors.contains("no answer within 1 s"), "\(slow.errors)")
            let change = try await run(
                ["source", "enable", "x", "--timeout", "1s"],
                ["SKEIN_ENDPOINT": "127.0.0.1:\(silent.port),\(endpoint)"])
            #expect(change.errors.contains("[api.outcome-unknown]"), "\(change.errors)")
            try await Self.balancer()
        }
    }

    /// What stands before a worker may have passed a change on before it gave up.
    private static func balancer() async throws {
        for (status, asked, changed) in [
            ("502 Bad Gateway", "api.unreadable", "api.outcome-unknown"),
            ("404 Not Found", "api.unreadable", "api.unreadable"),
        ] {
            let page = "<html><h1>\(status)</h1></html>"
            let listener = try RawHTTP.listener(
                answering: "HTTP/1.1 \(status)\r\nContent-Type: text/html\r\n"
                    + "Content-Length: \(page.utf8.count)\r\nConnection: close\r\n\r\n\(page)")
            let skein = SkeinCommandLine(environment: [
                "SKEIN_ENDPOINT": "http://127.0.0.1:\(listener.port)"
            ])
            for (arguments, code) in [
                (["source", "list"], asked), (["source", "disable", "x"], changed),
            ] {
                let outcome = try await skein.run(arguments)
                #expect(outcome.errors.contains("[\(code)]"), "\(arguments) \(outcome)")
            }
            shutdown(listener.file, Int32(SHUT_RDWR))
        }
    }

    @Test("a token and TLS with an authority of one's own protect a worker that others can reach")
    func tls() async throws {
        let folder = try TestPlaces.newFolder("tls")
        let authority = folder + "/ca.pem"
        try await Self.makeCertificates(folder)
        let lines = Mutex("")
        try await TestAPI.with(
            configure: { configuration in
                configuration.tls = .init(
                    certificateFile: folder + "/node.pem", keyFile: folder + "/node.key",
                    authorityFile: authority)
                configuration.host = "0.0.0.0"
                configuration.arrivalLimit = .seconds(2)
                configuration.tokens.add("change", .admin)
                lines.withLock { $0 = "set" }
            }, isTLS: true
        ) { _, workers in
            let endpoint = "https://127.0.0.1:\(workers[0].http.port)"
            var skein = SkeinCommandLine(environment: [
                "SKEIN_ENDPOINT": endpoint, "SKEIN_CA": authority, "SKEIN_TOKEN": "change",
            ])
            let list = try await skein.run(["source", "list"])
            // Who never begins to talk TLS is let go too.
            #expect(try await workers[0].http.exchange([]).status == 0)
            #expect(list.status == 0, "\(list)")
            skein.environment["SKEIN_CA"] = folder + "/other/ca.pem"
            let distrusted = try await skein.run(["source", "list"])
            #expect(distrusted.errors.contains("[api.unreachable]"), "\(distrusted)")
            #expect(distrusted.errors.contains("TLS"))
        }
        #expect(lines.withLock { $0 } == "set")
        var open = APIConfiguration(worker: "w", version: "t", port: 0, secrets: SecretCipher())
        open.host = "0.0.0.0"
        #expect { try open.check() } throws: { "\($0)".contains("without TLS") }
        open.tls = .init(certificateFile: "c", keyFile: "k")
        #expect { try open.check() } throws: { "\($0)".contains("without tokens") }
        open.isInsecure = true
        #expect(throws: Never.self) { try open.check() }
    }

    @Test("a relay log's status says what can't be read of it")
    func unreadRelay() async throws {
        let folder = try TestPlaces.newFolder("relay")
        let needs = folder + "/skein/needs"
        for path in [folder + "/0-1.000001", needs] {
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: true)
        }
        for (path, text) in [
            ("server-uuid.index", "0-1.000001\n"), ("0-1.000001/bin.000001", "?"),
            ("skein/needs/shop", "?"),
        ] {
            try text.write(toFile: folder + "/" + path, atomically: true, encoding: .utf8)
        }
        let line = SkeinCommandLine(environment: [:])
        let lines = try await line.run(["relay", "status", folder])
        #expect(lines.status == 0 && lines.output.contains("needed by shop"), "\(lines)")
        #expect(lines.output.contains("warning: what shop needs"), "\(lines)")
        let json = try await line.run(["relay", "status", folder, "--output", "json"])
        #expect(json.output.contains("\"warnings\":[\"what shop needs"), "\(json)")
    }

    @Test("a worker with a certificate that has expired, or is damaged, says so and does not start")
    func expired() async throws {
        let folder = try TestPlaces.newFolder("expired")
        _ = try CertificateAuthority.create(in: folder, days: 10)
        let authority = try CertificateAuthority(folder: folder)
        for (name, days) in [("old", -1), ("soon", 3), ("damaged", 3)] {
            _ = try authority.issue(name: name, hosts: ["127.0.0.1"], days: days)
        }
        try "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
            .write(toFile: folder + "/damaged.pem", atomically: true, encoding: .utf8)
        func serve(_ name: String) async throws -> SkeinCommandLine.Outcome {
            // The port is of another host: it ends there, if not before.
            try await SkeinCommandLine(environment: [:]).run([
                "serve", "--name", "w", "--data-dir", "\(folder)/\(name)", "--listen",
                "192.0.2.1:9999", "--insecure", "--tls-ca", "\(folder)/ca.pem", "--tls-cert",
                "\(folder)/\(name).pem", "--tls-key", "\(folder)/\(name).key",
            ])
        }
        let old = try await serve("old")
        #expect(old.status == 2 && old.errors.contains("has expired at 20"), "\(old)")
        #expect(old.errors.contains("\(folder)/old.pem"), "\(old)")
        let damaged = try await serve("damaged")
        #expect(damaged.status == 2 && damaged.errors.contains("can't be used"), "\(damaged)")
        let soon = try await serve("soon")
        #expect(soon.status != 2 && soon.errors.contains("ends soon"), "\(soon)")
    }

    /// An authority with a worker's certificate, and a strange authority.
    private static func makeCertificates(_ folder: String) async throws {
        let skein = SkeinCommandLine(environment: [:])
        for arguments in [
            ["ca", "--folder", folder], ["ca", "--folder", folder + "/other"],
            ["node", "node", "--host", "localhost", "--host", "127.0.0.1", "--folder", folder],
        ] {
            let made = try await skein.run(["cert"] + arguments)
            #expect(made.status == 0, "\(made)")
        }
        let key = try FileManager.default.attributesOfItem(atPath: folder + "/node.key")
        #expect(key[.posixPermissions] as? Int == 0o600)
        // Neither an authority nor a certificate is replaced.
        for arguments in [
            ["ca", "--folder", folder], ["node", "node", "--host", "x", "--folder", folder],
            ["node", "n", "--host", "x:1", "--folder", folder],
            ["node", "ca", "--host", "x", "--folder", folder],
            ["node", "n", "--host", "x", "--folder", folder + "/none"],
        ] {
            let refused = try await skein.run(["cert"] + arguments)
            #expect(
                refused.status == 2 && refused.errors.contains("[settings.invalid]"), "\(refused)")
        }
    }

    @Test("a file of tokens is read as it is made, and nonsense in it is named")
    func tokenFile() throws {
        let file = try TestPlaces.newFolder("tokens") + "/tokens"
        let (look, change) = (AccessTokens.random(), AccessTokens.random())
        #expect(look.count == 43 && look != change)
        let lines = [
            AccessTokens.line(look, .read), "# ours", "",
            AccessTokens.line(change, .admin) + " # x",
        ]
        try lines.joined(separator: "\n").write(toFile: file, atomically: true, encoding: .utf8)
        let tokens = try AccessTokens(file: file)
        #expect(tokens.role(of: look) == .read && tokens.role(of: change) == .admin)
        #expect(tokens.role(of: "") == nil && tokens.role(of: look + "x") == nil)
        for nonsense in ["", "admin", "root \(String(repeating: "a", count: 64))", "read zz"] {
            try nonsense.write(toFile: file, atomically: true, encoding: .utf8)
            #expect(throws: SettingsError.self) { _ = try AccessTokens(file: file) }
        }
    }
}
