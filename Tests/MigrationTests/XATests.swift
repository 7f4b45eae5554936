import Foundation
import Glibc
import MySQLClient
import TestServers
import Testing

extension MigrationTests {
    /// XA transactions: their rows come with XA PREPARE and count from XA COMMIT on.
    @Suite("XA transactions", .serialized)
    struct XATests {
        private static let tables = """
            CREATE TABLE marker (id BIGINT PRIMARY KEY);
            CREATE TABLE t (id INT PRIMARY KEY, v LONGTEXT);
            CREATE TABLE twins (a INT, b VARCHAR(10));
            INSERT INTO t VALUES (1,'a'),(2,'b'),(3,'c');
            """

        /// Runs statements as an XA transaction up to its prepare; the session ends then.
        private func prepare(_ trial: Trial, _ name: String, _ statements: String) throws {
            let xid = "'\(trial.schema)','\(name)',7"
            try trial.onSource(
                "XA START \(xid); \(statements); XA END \(xid); XA PREPARE \(xid);")
        }

        private func decide(_ trial: Trial, _ name: String, _ verb: String = "COMMIT") throws {
            try trial.onSource("XA \(verb) '\(trial.schema)','\(name)',7")
        }

        @Test(
            "each takes effect when it is committed, whole, and never when it is rolled back",
            arguments: Pair.sameFamily)
        func kinds(_ pair: Pair) async throws {
            let trial = try await Trial(pair, "xa", Self.tables)
            // Prepared before the copy, which does not see it, and before its binlog file's end.
            try prepare(trial, "early", "UPDATE t SET v='early' WHERE id=1")
            try prepare(trial, "earlyfile", "INSERT INTO twins VALUES (0,'e'),(0,'e')")
            try trial.onSource("FLUSH BINARY LOGS")
            let skein = try trial.migrate()
            try await trial.copied(skein)
            try await trial.applied(skein)
            try prepare(
                trial, "two",
                "INSERT INTO twins VALUES (2,'x'),(2,'x'); UPDATE t SET v='two' WHERE id=2")
            try prepare(trial, "undone", "INSERT INTO twins VALUES (9,'no')")
            try trial.onSource(
                """
                INSERT INTO twins VALUES (1,'y'); XA START 'one'; INSERT INTO twins VALUES (3,'z');
                XA END 'one'; XA COMMIT 'one' ONE PHASE;
                """)
            try await trial.applied(skein)
            #expect(try trial.onTarget("SELECT a FROM twins ORDER BY a") == "1\n3\n")
            #expect(try trial.onTarget("SELECT v FROM t WHERE id=2") == "b\n")
            try decide(trial, "early")
            try decide(trial, "undone", "ROLLBACK")
            try decide(trial, "two")
            try decide(trial, "earlyfile")
            // The same name once more.
            try prepare(trial, "two", "DELETE FROM twins WHERE a=2 LIMIT 1")
            try decide(trial, "two")
            try await trial.applied(skein)
            try await trial.stop(skein)
            #expect(try trial.onTarget("SELECT v FROM t WHERE id<=2 ORDER BY id") == "early\ntwo\n")
            try await trial.expectEqual()
        }

        @Test(
            "prepared in one run, committed in another, through kills at any instant",
            arguments: Pair.sameFamily)
        func restarts(_ pair: Pair) async throws {
            let seed = Dice.seed("xarestarts")
            var dice = Dice(seed: seed)
            let trial = try await Trial(pair, "xakill", Self.tables)
            var skein = try trial.migrate("--lanes", "2")
            try await trial.copied(skein)
            try prepare(
                trial, "long", "INSERT INTO t VALUES (100,'long'); DELETE FROM t WHERE id=3")
            for round in 0..<8 {
                for n in 0..<4 {
                    try prepare(
                        trial, "p\(n)",
                        """
                        INSERT INTO twins VALUES (\(round),'x'),(\(round),'x');
                        INSERT INTO t VALUES (\(1000 + round * 10 + n), 'v')
                        """)
                    if dice.roll(3) == 0 { try trial.onSource("INSERT INTO twins VALUES (-1,'n')") }
                }
                if round == 4 { try trial.onSource("FLUSH BINARY LOGS") }
                try await Task.sleep(for: .milliseconds(dice.roll(300)))
                #expect(skein.kill(), "\(skein.text)")
                if dice.roll(2) == 0 {
                    try decide(trial, "p0")
                } else {
                    try decide(trial, "p0", "ROLLBACK")
                }
                try decide(trial, "p1")
                skein = try trial.migrate("--lanes", "\(1 + dice.roll(3))")
                try await Task.sleep(for: .milliseconds(dice.roll(300)))
                try decide(trial, "p2")
                try decide(trial, "p3", dice.roll(2) == 0 ? "COMMIT" : "ROLLBACK")
            }
            try await trial.applied(skein)
            #expect(try trial.onTarget("SELECT COUNT(*) FROM t WHERE id IN (3,100)") == "1\n")
            skein.kill()
            try decide(trial, "long")
            try await trial.catchUp()
            try await trial.expectEqual()
        }

        @Test("larger than memory allows to keep", arguments: Pair.sameFamily)
        func large(_ pair: Pair) async throws {
            let trial = try await Trial(pair, "xalarge", Self.tables)
            let skein = try trial.migrate("--memory", "16MiB")
            try await trial.copied(skein)
            try await trial.applied(skein)
            let rows = (10..<19).map { "(\($0), REPEAT('x', 500000))" }.joined(separator: ",")
            try prepare(
                trial, "large",
                "INSERT INTO t VALUES \(rows); INSERT INTO t VALUES (20,'y'); DELETE FROM t WHERE id=1"
            )
            try trial.onSource("INSERT INTO twins VALUES (1,'between')")
            try await trial.applied(skein)
            #expect(try trial.onTarget("SELECT COUNT(*) FROM t") == "3\n")
            try decide(trial, "large")
            try trial.onSource("UPDATE t SET v='after' WHERE id=20")
            try await trial.applied(skein)
            try await trial.stop(skein)
            try await trial.expectEqual()
        }

        @Test(
            "committed in one phase: met again, between copies, and too large to keep",
            arguments: Pair.sameFamily)
        func onePhase(_ pair: Pair) async throws {
            var trial = try await Trial(pair, "xaone", Self.tables)
            func commit(_ statements: String) throws {
                try trial.onSource(
                    "XA START 'o'; \(statements); XA END 'o'; XA COMMIT 'o' ONE PHASE")
            }
            // Some of it lies between the positions of the tables' copies.
            let proxy = try FaultProxy(to: trial.target)
            defer { proxy.close() }
            trial.targetURL = proxy.url
            let held = proxy.holdNext(.toServer, matching: "phase='follow'", closingClient: false)
            var skein = try trial.migrate("--memory", "16MiB")
            try await held.caught()
            skein.kill()
            held.drop()
            try commit("UPDATE t SET v='one' WHERE id=1; INSERT INTO twins VALUES (1,'one')")
            try trial.onSource("UPDATE t SET v='two' WHERE id=1; DROP TABLE twins")
            try trial.onSource("CREATE TABLE twins (a INT, b VARCHAR(10), c INT)")
            skein = try trial.migrate("--memory", "16MiB")
            try await trial.copied(skein)
            try await trial.applied(skein)
            // The last one is read again at each start.
            for n in 0..<3 {
                try commit("INSERT INTO twins VALUES (\(n),'last',7); DELETE FROM t WHERE id=\(n)")
                try await skein.waiting(for: "the row") {
                    try trial.onTarget("SELECT COUNT(*) FROM twins WHERE a=\(n)") != "0\n"
                }
                if n == 1 { skein.kill() } else { try await trial.stop(skein) }
                skein = try trial.migrate("--memory", "16MiB")
            }
            let rows = (10..<19).map { "(\($0), REPEAT('x', 500000))" }.joined(separator: ",")
            try commit("INSERT INTO t VALUES \(rows); INSERT INTO twins VALUES (9,'large',9)")
            try await trial.applied(skein)
            try await trial.stop(skein)
            try await trial.expectEqual()
        }

        @Test(
            "prepared longer ago than the relay log may keep: it goes on to the decision",
            arguments: Pair.sameFamily)
        func limit(_ pair: Pair) async throws {
            let trial = try await Trial(pair, "xalimit", Self.tables)
            let skein = try trial.migrate("--relay-limit", "16MiB")
            try await trial.copied(skein)
            try prepare(trial, "old", "INSERT INTO t VALUES (100,'old')")
            for n in 0..<5 {
                try trial.onSource(
                    "INSERT INTO t VALUES (\(200 + n),REPEAT('\(n)',6000000)); FLUSH BINARY LOGS")
                try await trial.applied(skein)
            }
            try decide(trial, "old")
            try await trial.applied(skein)
            try await trial.stop(skein)
            #expect(try trial.onTarget("SELECT v FROM t WHERE id=100") == "old\n")
            try await trial.expectEqual()
        }

        @Test(
            "the source has purged their prepare, and the relay log has it",
            arguments: Pair.sameFamily)
        func purged(_ pair: Pair) async throws {
            let target = try await SharedServers.all.server(pair.target, "target")
            try await TestServer.with(pair.source, name: "forgetful") { source in
                let trial = try Trial(source: source, target: target, "xapurged", Self.tables)
                var skein = try trial.migrate()
                try await trial.copied(skein)
                try prepare(trial, "kept", "INSERT INTO t VALUES (100,'kept')")
                // Files that nobody would need but for it.
                for n in 0..<3 {
                    try trial.onSource("INSERT INTO twins VALUES (\(n),'x'); FLUSH BINARY LOGS")
                }
                try await trial.applied(skein)
                let last = try trial.onSource("SHOW BINARY LOGS").split(separator: "\n").last!
                    .split(separator: "\t")[0]
                func need() throws -> String {
                    let folder = trial.state.path + "/relay/skein/needs"
                    let names = FileManager.default.enumerator(atPath: folder)
                    let name = try #require(names?.compactMap { $0 as? String }.first)
                    return try String(contentsOfFile: "\(folder)/\(name)", encoding: .utf8)
                }
                let first = try need()
                #expect(!first.contains(last), "\(first)")
                for _ in 0..<200 {
                    try trial.onSource("PURGE BINARY LOGS TO '\(last)'")
                    if try trial.onSource("SHOW BINARY LOGS").split(separator: "\n").count == 1 {
                        break
                    }
                    try await Task.sleep(for: .milliseconds(50))
                }
                // The run that comes next has not seen the prepare.
                skein.kill()
                skein = try trial.migrate()
                try trial.onSource("FLUSH BINARY LOGS; FLUSH BINARY LOGS")
                try await trial.applied(skein)
                // Longer than it takes to ask the source twice.
                try await Task.sleep(for: .seconds(8))
                #expect(try need() == first)
                try decide(trial, "kept")
                try await trial.applied(skein)
                try await skein.waiting(.seconds(120), for: "the need to move on") {
                    try need() != first
                }
                try await trial.stop(skein)
                #expect(try trial.onTarget("SELECT v FROM t WHERE id=100") == "kept\n")
                try await trial.expectEqual()
            }
        }
    }
}
