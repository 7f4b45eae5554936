import Foundation
import MySQLClient
import TestServers
import Testing

extension MigrationTests {
    /// What is refused, what is waited for, and what is said about it.
    @Suite("Refusals and waits", .serialized)
    struct RefusalTests {
        private static let rows = """
            CREATE TABLE marker (id BIGINT PRIMARY KEY);
            CREATE TABLE t (id INT PRIMARY KEY, v INT); INSERT INTO t VALUES (1,1),(2,2);
            """

        private func expect(
            _ outcome: SkeinProcess.Outcome, status: Int32, says texts: String...,
            sourceLocation: SourceLocation = #_sourceLocation
        ) {
            #expect(outcome.status == status, "\(outcome.text)", sourceLocation: sourceLocation)
            for text in texts {
                #expect(
                    outcome.text.contains(text), "\(text) is not in: \(outcome.text)",
                    sourceLocation: sourceLocation)
            }
            #expect(!outcome.text.contains(TestServer.password), sourceLocation: sourceLocation)
        }

        @Test("wrong passwords end at once, with a clear error", arguments: ["SOURCE", "TARGET"])
        func credentials(_ side: String) async throws {
            let trial = try await Trial(.mariadb, "denied", Self.rows)
            let skein = try SkeinProcess(
                trial.arguments(), environment: ["SKEIN_\(side)_PASSWORD": "wrong-secret"])
            let outcome = try await skein.end()
            expect(outcome, status: 1, says: "server.denied")
            #expect(!outcome.text.contains("wrong-secret"))
        }

        @Test("a binlog that was purged under a stopped migration is an error, not a gap")
        func purged() async throws {
            try await TestServer.with(.mariadb, name: "purged") { source in
                let target = try await SharedServers.all.server(.mariadb, "target")
                let trial = try Trial(source: source, target: target, "purged", Self.rows)
                try await trial.catchUp()
                // A file that a reader still has open is not purged.
                try await source.restart()
                try trial.onSource(
                    """
                    INSERT INTO t VALUES (3,3); FLUSH BINARY LOGS;
                    INSERT INTO t VALUES (4,4); FLUSH BINARY LOGS
                    """)
                let last = try trial.onSource("SHOW BINARY LOGS").split(separator: "\n").last!
                    .split(separator: "\t")[0]
                // MariaDB keeps a file until its engines have written a checkpoint.
                var files = 0
                for _ in 0..<200 where files != 1 {
                    try trial.onSource("PURGE BINARY LOGS TO '\(last)'")
                    files = try trial.onSource("SHOW BINARY LOGS").split(separator: "\n").count
                    try await Task.sleep(for: .milliseconds(50))
                }
                #expect(files == 1)
                let outcome = try await trial.migrate("--until", "caught-up").end()
                expect(outcome, status: 1, says: "purge")
                #expect(try trial.onTarget("SELECT COUNT(*) FROM t") == "2\n")
                // What it says helps.
                try await trial.catchUp("--fresh", "--yes")
                try await trial.expectEqual()
            }
        }

        @Test("an event whose bytes went wrong stops it, with its position, and nothing is skipped")
        func corrupt() async throws {
            try await TestServer.with(.mariadb, options: ["--binlog-checksum=CRC32"]) { source in
                let target = try await SharedServers.all.server(.mariadb, "target")
                let trial = try Trial(source: source, target: target, "corrupt", Self.rows)
                try await trial.catchUp()
                try trial.onSource(
                    """
                    FLUSH BINARY LOGS; INSERT INTO t VALUES (3, 0x41424344);
                    INSERT INTO t VALUES (4,4); FLUSH BINARY LOGS
                    """)
                let files = try trial.onSource("SHOW BINARY LOGS").split(separator: "\n")
                let name = files[files.count - 2].split(separator: "\t")[0]
                try flip(Array("DCBA".utf8), in: "\(source.datadir)/\(name)")
                let outcome = try await trial.migrate("--until", "caught-up").end()
                expect(outcome, status: 1, says: "checksum", "\(name):")
                #expect(try trial.onTarget("SELECT COUNT(*) FROM t") == "2\n")
                try flip(Array("DCBA".utf8).map { $0 ^ 1 }, in: "\(source.datadir)/\(name)")
                try await trial.catchUp()
                try await trial.expectEqual()
            }
        }

        /// Changes the lowest bits of the bytes, wherever they are in a file.
        private func flip(_ bytes: [UInt8], in file: String) throws {
            var data = try Data(contentsOf: URL(fileURLWithPath: file))
            let range = try #require(data.range(of: Data(bytes)))
            data.replaceSubrange(range, with: bytes.map { $0 ^ 1 })
            let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: file))
            try handle.write(contentsOf: data)
            try handle.close()
        }

        @Test("a source whose binlog began anew is recognised", arguments: Pair.sameFamily)
        func reset(_ pair: Pair) async throws {
            try await TestServer.with(pair.source, name: "reset") { source in
                let target = try await SharedServers.all.server(pair.target, "target")
                let trial = try Trial(source: source, target: target, "reset", Self.rows)
                try await trial.catchUp()
                try trial.onSource("INSERT INTO t VALUES (3,3)")
                try await trial.catchUp()
                try source.sql(
                    pair.source == .mysql ? "RESET BINARY LOGS AND GTIDS" : "RESET MASTER")
                // As many events as before, others.
                for i in 10..<60 { try trial.onSource("INSERT INTO t VALUES (\(i),\(i))") }
                let outcome = try await trial.migrate("--until", "caught-up").end()
                #expect(outcome.status == 1, "\(outcome.text)")
                #expect(try trial.onTarget("SELECT COUNT(*) FROM t") == "3\n")
            }
        }

        @Test("a source that lost its last transactions and wrote others at their place (R1)")
        func replaced() async throws {
            try await TestServer.with(.mariadb, name: "original") { original in
                let target = try await SharedServers.all.server(.mariadb, "target")
                var trial = try Trial(source: original, target: target, "replaced", Self.rows)
                try await trial.catchUp()
                try await original.stop()
                let copy = try await TestServer.start(
                    .mariadb, name: "copy", data: original.datadir)
                try await original.restart()
                try trial.onSource("INSERT INTO t VALUES (10,1)")
                try await trial.catchUp()
                #expect(try trial.onTarget("SELECT COUNT(*) FROM t") == "3\n")
                // The copy never had row 10; its transaction of the same number and size is another.
                try await original.restart()
                try copy.sql("INSERT INTO t VALUES (11,1)", database: trial.schema)
                try copy.sql("INSERT INTO t VALUES (12,1)", database: trial.schema)
                trial.sourceURL = copy.url
                let outcome = try await trial.migrate("--until", "caught-up").end()
                #expect(outcome.status == 1, "\(outcome.text)")
                #expect(try trial.onTarget("SELECT GROUP_CONCAT(id) FROM t") == "1,2,10\n")
                await copy.discard()
            }
        }

        /// The newest transaction in the mark is there and unchanged; those that are applied above it
        /// come by their names, and one of them is another.
        @Test(
            "a source that crashed with what was applied above the mark, and one that lost that",
            arguments: Pair.sameFamily, [false, true])
        func replacedAbove(_ pair: Pair, isLost: Bool) async throws {
            let name = "above\(isLost)"
            try await TestServer.with(pair.source, durable: true, name: name) { original in
                let target = try await SharedServers.all.server(pair.target, "target")
                var trial = try Trial(source: original, target: target, name, Self.rows)
                try trial.onSource("INSERT INTO t VALUES (3,3)")
                try await trial.catchUp("--no-relay")
                try await original.stop()
                let copy = try await TestServer.start(
                    pair.source, name: "\(name)copy", data: original.datadir)
                await copy.kill()
                try await original.restart()
                // One change waits; what comes behind it and does not touch its row goes on.
                let holder = try target.connect(trial.schema)
                try holder.execute("START TRANSACTION")
                try holder.execute("SELECT * FROM t WHERE id=1 FOR UPDATE")
                let changes = { (value: Int) in
                    (0..<400).map {
                        $0 == 50
                            ? "UPDATE t SET v=5 WHERE id=1"
                            : "INSERT INTO t VALUES (\($0 + 100),\($0 == 300 ? value : 0))"
                    }.joined(separator: ";")
                }
                try trial.onSource(changes(1))
                let skein = try trial.migrate("--no-relay")
                try await skein.waiting(for: "what is behind") {
                    try trial.onTarget("SELECT COUNT(*) FROM t WHERE id=400") == "1\n"
                }
                #expect(skein.kill(), "\(skein.text)")
                try holder.execute("ROLLBACK")
                #expect(try trial.onTarget("SELECT v FROM t WHERE id=1") == "1\n")
                let id = try original.sql("SELECT @@server_id")
                await original.kill()
                if isLost {
                    try await copy.restart()
                    // MariaDB's names of transactions have it.
                    try copy.sql("SET GLOBAL server_id=\(id)")
                    try copy.sql(changes(2), database: trial.schema)
                    trial.sourceURL = copy.url
                    let outcome = try await trial.migrate("--no-relay", "--until", "caught-up")
                        .end()
                    expect(outcome, status: 1, says: "[source.lost]", "others")
                } else {
                    try await original.restart()
                    try await trial.catchUp("--no-relay")
                    try await trial.expectEqual()
                }
                await copy.discard()
            }
        }

        @Test(
            "what can't be followed stops it, with a position and a remedy",
            arguments: [
                ("CREATE TABLE loose (id INT PRIMARY KEY) ENGINE=MyISAM", "MyISAM"),
                ("ALTER TABLE t ENGINE=Aria", "Aria"), ("CREATE SEQUENCE numbers", "numbers"),
                ("SET binlog_row_image=MINIMAL; INSERT INTO t (id) VALUES (9)", "binlog_row_image"),
                ("SET binlog_format=STATEMENT; UPDATE t SET v=9 WHERE id=1", "binlog_format"),
                (
                    "CREATE TABLE u (id INT, w CHAR(36) DEFAULT (UUID())); ALTER TABLE u ADD x CHAR(36) DEFAULT (UUID())",
                    "values"
                ),
                (
                    """
                    SET GLOBAL mysql56_temporal_format=OFF; CREATE TABLE old (id INT PRIMARY KEY, d DATETIME(3));
                    SET GLOBAL mysql56_temporal_format=ON; INSERT INTO old VALUES (1, NOW(3))
                    """, "mysql56_temporal_format"
                ),
            ])
        func unfollowable(_ statement: String, says word: String) async throws {
            let trial = try await Trial(.mariadb, "unfollowable", Self.rows)
            try await trial.catchUp()
            try trial.onSource("INSERT INTO t VALUES (3,3)")
            // Nobody wants this one.
            try trial.source.sql(
                """
                CREATE DATABASE IF NOT EXISTS unwanted; USE unwanted; SET binlog_format=STATEMENT;
                CREATE TABLE IF NOT EXISTS o (id INT PRIMARY KEY, v INT) ENGINE=MyISAM;
                REPLACE INTO o VALUES (1,1); START TRANSACTION; UPDATE o SET v=2; COMMIT;
                CREATE TABLE IF NOT EXISTS i (id INT PRIMARY KEY, v INT) ENGINE=InnoDB;
                REPLACE INTO i VALUES (1,1); START TRANSACTION; UPDATE i SET v=2; COMMIT;
                """)
            try trial.onSource(statement)
            let outcome = try await trial.migrate("--until", "caught-up").end()
            expect(outcome, status: 1, says: word, "bin.")
            // Nothing was guessed.
            let rows = try trial.onTarget("SELECT GROUP_CONCAT(v) FROM t")
            #expect(rows == "1,2\n" || rows == "1,2,3\n")
        }

        @Test("a target that takes no writes is waited for", arguments: Pair.sameFamily)
        func readOnly(_ pair: Pair) async throws {
            try await TestServer.with(pair.target, name: "readonly") { target in
                let source = try await SharedServers.all.server(pair.source, "source")
                let trial = try Trial(source: source, target: target, "readonly", Self.rows)
                // The user of tests may write to a read-only server; this one may not.
                try target.sql(
                    """
                    CREATE USER plain@'%' IDENTIFIED BY '\(TestServer.password)';
                    GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX, REFERENCES,
                        CREATE VIEW, CREATE ROUTINE, ALTER ROUTINE, TRIGGER, EVENT, PROCESS ON *.* TO plain@'%';
                    """)
                var plain = trial
                plain.targetURL = target.url.replacing("\(TestServer.user)@", with: "plain@")
                let skein = try plain.migrate()
                try await plain.copied(skein)
                try await plain.applied(skein)
                try target.sql("SET GLOBAL read_only=1")
                try plain.onSource("INSERT INTO t VALUES (3,3)")
                try await skein.waiting(for: "a reason") { skein.text.contains("read") }
                #expect(skein.status == nil, "\(skein.text)")
                try target.sql("SET GLOBAL read_only=0")
                try await plain.applied(skein)
                try await plain.stop(skein)
                try await plain.expectEqual()
            }
        }

        @Test("it stops at the position it was given, and goes on from there")
        func position() async throws {
            let trial = try await Trial(.mariadb, "position", Self.rows)
            try await trial.catchUp()
            try trial.onSource("INSERT INTO t VALUES (3,3)")
            let status = try trial.onSource("SHOW MASTER STATUS").split(separator: "\t")
            try trial.onSource("INSERT INTO t VALUES (4,4)")
            let outcome = try await trial.migrate("--until", "\(status[0]):\(status[1])").end()
            expect(outcome, status: 0, says: "reached")
            #expect(try trial.onTarget("SELECT COUNT(*) FROM t WHERE id=3") == "1\n")
            try await trial.catchUp()
            try await trial.expectEqual()
        }

        @Test("another selection of tables under the same name is refused")
        func selection() async throws {
            let trial = try await Trial(.mariadb, "selection", Self.rows)
            try await trial.catchUp()
            let outcome = try await trial.migrate("--exclude", "\(trial.schema).t").end()
            expect(outcome, status: 1, says: "--name", "\(trial.schema).t")
        }

        @Test("another source under the same name is refused")
        func otherSource() async throws {
            let trial = try await Trial(.mariadb, "othersource", Self.rows)
            try await trial.catchUp()
            try await TestServer.with(.mariadb, name: "other") { other in
                try other.sql("CREATE DATABASE \(trial.schema)")
                try other.sql(Self.rows, database: trial.schema)
                var wrong = trial
                wrong.sourceURL = other.url
                let outcome = try await wrong.migrate("--until", "caught-up").end()
                #expect(outcome.status == 1, "\(outcome.text)")
            }
        }

        @Test("tables with rows on the target are refused, unless that is wanted")
        func existing() async throws {
            let trial = try await Trial(.mariadb, "existing", Self.rows)
            try trial.target.sql("CREATE DATABASE \(trial.schema)")
            try trial.onTarget(
                "CREATE TABLE t (id INT PRIMARY KEY, v INT); INSERT INTO t VALUES (9,9)")
            let outcome = try await trial.migrate("--until", "caught-up").end()
            expect(outcome, status: 5, says: "\(trial.schema).t")
            #expect(try trial.onTarget("SELECT GROUP_CONCAT(id) FROM t") == "9\n")
        }

        @Test("--fresh starts over, after asking only")
        func fresh() async throws {
            let trial = try await Trial(.mariadb, "fresh", Self.rows)
            try await trial.catchUp()
            try trial.onTarget("INSERT INTO t VALUES (77,77)")
            let asked = try await trial.migrate("--fresh", "--until", "caught-up").end()
            expect(asked, status: 2, says: "--yes")
            #expect(try trial.onTarget("SELECT COUNT(*) FROM t") == "3\n")
            try await trial.catchUp("--fresh", "--yes")
            try await trial.expectEqual()
        }

        @Test("rows that somebody else changed on the target stop it; nothing is guessed")
        func interference() async throws {
            let trial = try await Trial(.mariadb, "interference", Self.rows)
            try await trial.catchUp()
            try trial.onTarget("DELETE FROM t WHERE id=1")
            try trial.onSource("UPDATE t SET v=v+1")
            let outcome = try await trial.migrate("--until", "caught-up").end()
            expect(outcome, status: 1, says: "\(trial.schema).t", "skein verify")
            try trial.onTarget("INSERT INTO t VALUES (1,1)")
            try await trial.catchUp()
            try await trial.expectEqual()
        }
    }
}
