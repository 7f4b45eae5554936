import Glibc
import MySQLClient
import TestServers
import Testing

extension MigrationTests {
    /// What happens on the source while the copy runs, and while its events are caught up with.
    @Suite("Copy and hand-over", .serialized)
    struct ConvergenceTests {
        private static let tables = """
            CREATE TABLE marker (id BIGINT PRIMARY KEY);
            CREATE TABLE moving (id INT PRIMARY KEY, u INT UNIQUE, w VARCHAR(20) UNIQUE, v INT);
            CREATE TABLE twins (a INT, b INT);
            INSERT INTO moving SELECT seq, seq, CONCAT('w', seq), 0 FROM seq_1_to_6000;
            INSERT INTO twins SELECT seq % 100, seq % 3 FROM seq_1_to_600;
            """

        /// Unique values change rows, rows go and come, twins multiply.
        private static let step: Load.Step = { connection, dice in
            let a = 1 + dice.roll(6000)
            let b = 1 + dice.roll(6000)
            switch dice.roll(6) {
            case 0, 1:
                try connection.execute(
                    """
                    START TRANSACTION; SELECT u, w FROM moving WHERE id=\(a) INTO @u, @w; \
                    UPDATE moving SET u=NULL, w=NULL WHERE id=\(a); \
                    UPDATE moving SET u=@u, w=@w, v=v+1 WHERE id=\(b); COMMIT
                    """)
            case 2: try connection.execute("DELETE FROM moving WHERE id=\(a)")
            case 3:
                try connection.execute(
                    "REPLACE INTO moving VALUES (\(a), \(b), 'w\(1 + dice.roll(6000))', 1)")
            case 4: try connection.execute("UPDATE moving SET id=\(a) WHERE id=\(b)")
            default:
                try connection.execute(
                    dice.roll(2) == 0
                        ? "INSERT INTO twins VALUES (\(a % 100), 1), (\(a % 100), 1)"
                        : "DELETE FROM twins WHERE a=\(a % 100) LIMIT 1")
            }
        }

        @Test(
            "unique values move while chunks are copied in several views, through two kills (F1, F2, F3, F9)",
            arguments: Pair.sameFamily)
        func moving(_ pair: Pair) async throws {
            let seed = Dice.seed("moving")
            var trial = try await Trial(pair, "moving", Self.statements(pair))
            let proxy = try FaultProxy(to: trial.target)
            defer { proxy.close() }
            trial.targetURL = proxy.url
            let load = Load(
                trial.source, schema: trial.schema, seed: seed, pause: .milliseconds(2), Self.step)
            proxy.setDelay(.milliseconds(5))
            var during = 0
            for _ in 0..<2 {
                let skein = try trial.migrate("--chunk-rows", "100")
                let goal = load.steps + 60
                try await skein.waiting(for: "its middle") {
                    trial.phase == "follow" || (trial.phase == "copy" && load.steps > goal)
                }
                if trial.phase == "copy" { during += 1 }
                skein.kill()
            }
            proxy.setDelay(.zero)
            #expect(during > 0)
            let skein = try trial.migrate("--chunk-rows", "100")
            try await trial.copied(skein)
            try await load.more(50)
            try await load.stop()
            try await trial.applied(skein)
            try await trial.stop(skein)
            try await trial.expectEqual()
        }

        /// MySQL has no sequences to select from.
        private static func statements(_ pair: Pair) -> String {
            guard pair.source == .mysql else { return tables }
            return """
                SET SESSION cte_max_recursion_depth=10000;
                CREATE TABLE marker (id BIGINT PRIMARY KEY);
                CREATE TABLE moving (id INT PRIMARY KEY, u INT UNIQUE, w VARCHAR(20) UNIQUE, v INT);
                CREATE TABLE twins (a INT, b INT);
                INSERT INTO moving WITH RECURSIVE r AS
                    (SELECT 1 AS n UNION ALL SELECT n+1 FROM r WHERE n<6000)
                    SELECT n, n, CONCAT('w', n), 0 FROM r;
                INSERT INTO twins SELECT id % 100, id % 3 FROM moving WHERE id <= 600;
                """
        }

        @Test(
            "a row that is deleted between its reading and its writing is gone in the end (F4, F5)")
        func deleted() async throws {
            var trial = try await Trial(.mariadb, "deleted", Self.tables)
            let proxy = try FaultProxy(to: trial.target)
            defer { proxy.close() }
            trial.targetURL = proxy.url
            // The chunk's rows are on their way, and stay there.
            let held = proxy.holdNext(.toServer, matching: "w3333", closingClient: false)
            let skein = try trial.migrate("--chunk-rows", "500")
            try await held.caught()
            try trial.onSource("DELETE FROM moving WHERE id=3333; DELETE FROM moving WHERE id=1")
            // Time enough to do it wrong.
            try await Task.sleep(for: .milliseconds(700))
            #expect(trial.phase == "copy")
            held.deliver()
            try await trial.copied(skein)
            try await trial.applied(skein)
            try await trial.stop(skein)
            try await trial.expectEqual()
        }
    }

    /// What lanes hold above the mark, and a mark that does not come through.
    @Suite("The mark", .serialized)
    struct MarkTests {
        @Test(
            "a mark that never arrives takes nothing with it, whatever lanes commit meanwhile (V6)",
            arguments: Pair.sameFamily)
        func lostMark(_ pair: Pair) async throws {
            var trial = try await Trial(
                pair, "lostmark",
                """
                CREATE TABLE marker (id BIGINT PRIMARY KEY);
                CREATE TABLE twins (a INT, b INT);
                """)
            let proxy = try FaultProxy(to: trial.target)
            defer { proxy.close() }
            trial.targetURL = proxy.url
            var skein = try trial.migrate("--lanes", "2")
            try await trial.copied(skein)
            try await trial.applied(skein)
            for _ in 0..<3 {
                let held = proxy.holdNext(
                    .toServer, matching: "`subtask` SET low_water", closingClient: false)
                for n in 0..<20 { try trial.onSource("INSERT INTO twins VALUES (1,\(n % 2))") }
                try await held.caught()
                // Lanes go on above a mark that is not durable.
                for n in 0..<20 { try trial.onSource("INSERT INTO twins VALUES (2,\(n % 2))") }
                let count = try trial.onSource("SELECT COUNT(*) FROM twins")
                try await skein.waiting(for: "the lanes") {
                    try trial.onTarget("SELECT COUNT(*) FROM twins") == count
                }
                skein.kill()
                held.drop()
                skein = try trial.migrate("--lanes", "3")
                try await trial.applied(skein)
            }
            try await trial.stop(skein)
            try await trial.expectEqual()
        }
    }

    /// Transactions that are larger than what memory holds.
    @Suite("Transactions in parts", .serialized)
    struct PartTests {
        @Test(
            "a reader sees all of it or nothing, also through a kill, and what follows waits (H1, H2)"
        )
        func whole() async throws {
            var trial = try await Trial(
                .mariadb, "inparts",
                """
                CREATE TABLE marker (id BIGINT PRIMARY KEY);
                CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, v LONGTEXT);
                CREATE TABLE small (id INT PRIMARY KEY, v INT); INSERT INTO small VALUES (1,0);
                """)
            let proxy = try FaultProxy(to: trial.target)
            defer { proxy.close() }
            trial.targetURL = proxy.url
            var skein = try trial.migrate("--memory", "16MiB", "--lanes", "2")
            try await trial.copied(skein)
            try await trial.applied(skein)
            proxy.setDelay(.milliseconds(4))
            let row = "(NULL, REPEAT('x', 500000))"
            let rows = [String](repeating: row, count: 9).joined(separator: ",")
            // The last changes a row that the next transaction changes again.
            try trial.onSource(
                """
                START TRANSACTION; INSERT INTO t VALUES \(rows); INSERT INTO t VALUES \(row);
                UPDATE small SET v=1; COMMIT;
                UPDATE small SET v=v+10; INSERT INTO small VALUES (2,0);
                """)
            let reader = try trial.target.connect(trial.schema)
            var seen: Set<String> = []
            func look() throws -> String {
                let now = try reader.value(
                    "SELECT CONCAT(COUNT(*), '/', (SELECT SUM(v)*100+COUNT(*) FROM small)) FROM t")
                seen.insert(now ?? "")
                return now ?? ""
            }
            let before = proxy.bytes(.toServer)
            try await skein.waiting(for: "its middle") {
                _ = try look()
                return proxy.bytes(.toServer) > before + 3_000_000
            }
            skein.kill()
            skein = try trial.migrate("--memory", "16MiB", "--lanes", "2")
            try await skein.waiting(for: "all of it") { try look() == "10/1102" }
            #expect(seen.isSubset(of: ["0/1", "10/101", "10/1101", "10/1102"]), "\(seen)")
            proxy.setDelay(.zero)
            try await trial.applied(skein)
            try await trial.stop(skein)
            try await trial.expectEqual()
        }
    }
}
