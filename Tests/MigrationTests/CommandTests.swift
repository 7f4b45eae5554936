import Foundation
import Glibc
import TestServers
import Testing

extension MigrationTests {
    /// The program as a process: signals, wrong input, files that it writes.
    @Suite("The command line", .serialized)
    struct CommandTests {
        private static let tables = """
            CREATE TABLE marker (id BIGINT PRIMARY KEY);
            CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(40)); INSERT INTO t VALUES (1,'a'),(2,'b');
            CREATE TABLE twins (a INT); INSERT INTO twins VALUES (1),(1),(2);
            """

        @Test(
            "the first signal drains and saves, and the next run goes on",
            arguments: [SIGINT, SIGTERM])
        func drains(_ signal: Int32) async throws {
            let trial = try await Trial(.mariadb, "drains", Self.tables)
            let skein = try trial.migrate()
            try await trial.copied(skein)
            try await trial.applied(skein)
            try trial.onSource("INSERT INTO twins VALUES (3),(3)")
            skein.signal(signal)
            let outcome = try await skein.end()
            #expect(outcome.status == 0, "\(outcome.text)")
            try trial.onSource("INSERT INTO twins VALUES (4),(4)")
            try await trial.catchUp()
            try await trial.expectEqual()
        }

        @Test(
            "the second signal leaves at once",
            arguments: [(SIGINT, Int32(130)), (SIGTERM, Int32(143))])
        func leaves(_ signal: Int32, status: Int32) async throws {
            var trial = try await Trial(.mariadb, "leaves", Self.tables)
            let proxy = try FaultProxy(to: trial.target)
            defer { proxy.close() }
            trial.targetURL = proxy.url
            let skein = try trial.migrate()
            try await trial.copied(skein)
            try await trial.applied(skein)
            // The target stands still: it can't drain.
            let held = proxy.holdNext(.toServer, matching: "`lane` SET", closingClient: false)
            try trial.onSource("INSERT INTO twins VALUES (3),(3)")
            try await held.caught()
            skein.signal(signal)
            try await skein.waiting(for: "its answer") { skein.text.contains("drain") }
            #expect(skein.status == nil)
            skein.signal(signal)
            let outcome = try await skein.end(within: .seconds(20))
            #expect(outcome.status == status, "\(outcome.text)")
            held.drop()
            // Nothing is lost by it.
            try await trial.catchUp()
            try await trial.expectEqual()
        }

        @Test(
            "wrong input is refused before anything is touched, with what was meant",
            arguments: [
                (["migrate"], "--source"),
                (
                    [
                        "migrate", "--source", "postgres://a@b", "--target", "mysql://a@b",
                        "--tables", "a.*",
                    ], "mysql://"
                ),
                (
                    [
                        "migrate", "--source", "mysql://a:secret@b", "--target", "mysql://a@b",
                        "--tables", "a.*",
                    ], "visible to everybody"
                ),
                (["migrate", "--sourze", "mysql://a@b"], "--source"),
                (
                    [
                        "migrate", "--source", "mysql://a@b", "--target", "mysql://a@b", "--tables",
                        "a.*", "--lanes", "0",
                    ], "lanes"
                ),
                (
                    [
                        "migrate", "--source", "mysql://a@b", "--target", "mysql://a@b", "--tables",
                        "a.*", "--memory", "1KiB",
                    ], "memory"
                ),
                (
                    [
                        "migrate", "--source", "mysql://a@b", "--target", "mysql://a@b", "--tables",
                        "a.*", "--until", "yesterday",
                    ], "until"
                ),
                (["migrate", "--config", "/nonexistent/skein.yaml"], "skein.yaml"),
                (["verify", "--source", "mysql://a@b"], "--target"), (["migrat"], "migrat"),
            ])
        func wrongInput(_ arguments: [String], says word: String) async throws {
            let outcome = try await SkeinProcess(arguments).end()
            #expect(outcome.status == 2, "\(outcome.text)")
            #expect(outcome.text.contains(word), "\(outcome.text)")
            #expect(!outcome.text.contains("secret"), "\(outcome.text)")
        }

        @Test("a server that nobody has seen yet is waited for, but not for ever")
        func firstContact() async throws {
            let skein = try SkeinProcess(
                [
                    "migrate", "--target", "mysql://a@127.0.0.1:9", "--tables", "a.*", "--source",
                    "mysql://a@127.0.0.1:9",
                ])
            try await skein.waiting(for: "a reason") { skein.text.contains("next try in") }
            let outcome = try await skein.end()
            #expect(outcome.status == 1 && outcome.text.contains("server.unreachable"))
        }

        @Test("--fix-sql writes statements that make the tables equal, for its owner's eyes only")
        func fixSQL() async throws {
            let trial = try await Trial(.mariadb, "fixsql", Self.tables)
            try await trial.catchUp()
            try trial.onTarget(
                """
                UPDATE t SET v='it''s wrong' WHERE id=1; DELETE FROM t WHERE id=2;
                INSERT INTO t VALUES (9,'surplus'); DELETE FROM twins WHERE a=1 LIMIT 1;
                INSERT INTO twins VALUES (2);
                """)
            let folder = FileManager.default.temporaryDirectory
                .appending(path: "skein-fix-\(UUID().uuidString)")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(at: folder) }
            let file = folder.appending(path: "fix.sql").path
            func verify(_ more: [String]) async throws -> SkeinProcess.Outcome {
                try await SkeinProcess(
                    [
                        "verify", "--source", trial.sourceURL, "--target", trial.targetURL,
                        "--source-tls", "disabled", "--target-tls", "disabled", "--tables",
                        "\(trial.schema).*",
                    ] + more
                ).end()
            }
            let outcome = try await verify(["--fix-sql", file])
            #expect(outcome.status == 3, "\(outcome.text)")
            let attributes = try FileManager.default.attributesOfItem(atPath: file)
            #expect(attributes[.posixPermissions] as? Int == 0o600)
            try trial.target.sql(try String(contentsOfFile: file, encoding: .utf8))
            let again = try await verify([])
            #expect(again.status == 0, "\(again.text)")
            try await trial.expectEqual()
            // A folder is no file.
            let other = try await verify(["--fix-sql", folder.path])
            #expect(other.status == 2 && other.text.contains("fix"), "\(other.text)")
        }
    }
}
