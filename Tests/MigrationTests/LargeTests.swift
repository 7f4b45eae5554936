import TestServers
import Testing

extension MigrationTests {
    /// Sizes beyond the memory budget.
    @Suite("Large transactions and rows", .serialized)
    struct LargeTests {
        private static let mebibyte = 1 << 20

        @Test(
            "a transaction of many times the memory budget",
            arguments: MigrationTests.isFull ? [10, 40] : [10])
        func transaction(_ times: Int) async throws {
            let budget = 16 * Self.mebibyte
            let trial = try await Trial(
                .mariadb, "huge",
                """
                CREATE TABLE marker (id BIGINT PRIMARY KEY);
                CREATE TABLE t (id INT PRIMARY KEY, v LONGBLOB);
                CREATE TABLE small (id INT PRIMARY KEY, v INT);
                """)
            let skein = try trial.migrate("--memory", "16MiB")
            try await trial.copied(skein)
            try await trial.applied(skein)
            let idle = skein.peakBytes / Self.mebibyte
            try trial.onSource(
                """
                INSERT INTO small VALUES (1,1);
                START TRANSACTION;
                INSERT INTO t SELECT seq, RANDOM_BYTES(1000) FROM seq_1_to_\(times * 16_000);
                UPDATE small SET v=2;
                COMMIT;
                UPDATE t SET v='x' WHERE id % 1000 = 0; UPDATE small SET v=v+1;
                """)
            try await trial.applied(skein)
            // The program itself, without optimisation, takes some 50 MiB.
            let limit = budget + 4 * 8 * Self.mebibyte + 64 * Self.mebibyte
            let peak = skein.peakBytes / Self.mebibyte
            // The peak grows with the transaction: 205 MiB at 10 times the budget, 709 at 40.
            withKnownIssue("parts of a large transaction stay in memory", isIntermittent: true) {
                #expect(skein.peakBytes < limit, "\(idle) MiB idle, \(peak) MiB in all")
            }
            try await trial.stop(skein)
            try await trial.expectEqual()
        }

        @Test("a row of 60 MiB, copied and followed")
        func row() async throws {
            let size = 60 * Self.mebibyte
            let trial = try await Trial(
                .mariadb, "bigrow",
                """
                CREATE TABLE marker (id BIGINT PRIMARY KEY);
                CREATE TABLE t (id INT PRIMARY KEY, v LONGBLOB);
                INSERT INTO t VALUES (1, REPEAT('a', \(size)));
                """)
            let skein = try trial.migrate("--memory", "64MiB")
            try await trial.copied(skein)
            try await trial.applied(skein)
            let copying = skein.peakBytes / Self.mebibyte
            try trial.onSource(
                """
                INSERT INTO t SELECT 2, REPEAT('''', \(size));
                DELETE FROM t WHERE id=1;
                """)
            try await trial.applied(skein)
            let limit = 64 * Self.mebibyte + 4 * size
            let peak = skein.peakBytes / Self.mebibyte
            withKnownIssue("following, 394 MiB were seen", isIntermittent: true) {
                #expect(skein.peakBytes < limit, "\(copying) MiB copying, \(peak) MiB in all")
            }
            try await trial.stop(skein)
            try await trial.expectEqual(verifying: false)
        }
    }
}
