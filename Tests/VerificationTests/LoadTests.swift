import MySQLClient
import MySQLCore
import Synchronization
import TestServers
import Testing
import Verification

@Suite struct LoadTests {
    /// Changes the source at random, and the target in the same way a while later.
    private func replicate(
        _ trial: Trial, lag: Duration, while isWanted: @Sendable () -> Bool
    ) async throws -> Int {
        let source = try Connection(Trial.options(trial.source))
        let target = try Connection(Trial.options(trial.target))
        try source.execute("USE \(trial.schema)")
        try target.execute("USE \(trial.schema)")
        var queue: [(due: ContinuousClock.Instant, sql: String)] = []
        var changes = 0
        while isWanted() || !queue.isEmpty {
            if isWanted() {
                let id = Int.random(in: 1...3000)
                let sql =
                    switch Int.random(in: 0...3) {
                    case 0: "REPLACE INTO t VALUES (\(id),'new \(changes)',\(changes))"
                    case 1: "DELETE FROM t WHERE id=\(id)"
                    case 2: "INSERT INTO k VALUES (\(changes % 20),'\(id % 3)')"
                    default: "UPDATE t SET n=\(changes), v='u' WHERE id=\(id)"
                    }
                try source.execute(sql)
                queue.append((.now + lag, sql))
                changes += 1
            }
            while let first = queue.first, first.due <= .now || queue.count > 5000 {
                try target.execute(first.sql)
                queue.removeFirst()
            }
            try await Task.sleep(for: .milliseconds(1))
        }
        return changes
    }

    private func prepare() async throws -> Trial {
        let trial = try await Trial()
        try trial.both(
            """
            CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(40) NOT NULL, n INT);
            CREATE TABLE k (a INT, b VARCHAR(9));
            INSERT INTO t SELECT n, CONCAT('row ', n), n FROM (\(RowTests.numbers(3000))) s;
            """)
        return trial
    }

    @Test func runningReplicationIsEqual() async throws {
        let trial = try await prepare()
        let isDone = Mutex(false)
        async let changes = replicate(trial, lag: .milliseconds(400)) { !isDone.withLock { $0 } }
        var settled: UInt64 = 0
        for _ in 0..<3 {
            let report = try await trial.verify("t", "k") {
                $0.chunkRows = 100
                $0.settle = .seconds(2)
            }
            #expect(report.verdict == .equal, "\(report.found) \(report.tables)")
            settled += report.settledRows
        }
        // The target is 400 ms late all the time: a report that tells of none did not look.
        #expect(settled > 0)
        isDone.withLock { $0 = true }
        #expect(try await changes > 100)
    }

    @Test func lastingDifferencesAreFoundWhileReplicationRuns() async throws {
        let trial = try await prepare()
        try trial.onTarget(
            """
            INSERT INTO t VALUES (-1,'extra',1); UPDATE t SET v='x' WHERE id=9999;
            INSERT INTO t VALUES (5000,'differs',1); INSERT INTO k VALUES (99,'9');
            """)
        try trial.onSource("INSERT INTO t VALUES (5000,'is other',1),(5001,'missing',1);")
        let isDone = Mutex(false)
        async let changes = replicate(trial, lag: .milliseconds(400)) { !isDone.withLock { $0 } }
        let report = try await trial.verify("t", "k") {
            $0.chunkRows = 100
            $0.settle = .seconds(2)
        }
        isDone.withLock { $0 = true }
        _ = try await changes
        #expect(
            report.found == [
                "k a=99, b=9: 0 copies on the source, 1 on the target",
                "t id=-1: extra on the target", "t id=5000: column v differs",
                "t id=5001: missing on the target",
            ])
        #expect(report.undecidedRows == 0)
    }

    @Test func aRowThatNeverRestsIsUndecided() async throws {
        let trial = try await prepare()
        let isDone = Mutex(false)
        let stop = { @Sendable in isDone.withLock { $0 } }
        async let writer: Void = {
            let source = try Connection(Trial.options(trial.source))
            var n = 1_000_000
            while !stop() {
                n += 1
                try source.execute("UPDATE \(trial.schema).t SET n=\(n) WHERE id=7")
                try await Task.sleep(for: .milliseconds(1))
            }
        }()
        try trial.onTarget("UPDATE t SET n=-1 WHERE id=7")
        let report = try await trial.verify("t") {
            $0.settle = .milliseconds(500)
            $0.patience = .seconds(2)
        }
        isDone.withLock { $0 = true }
        try await writer
        #expect(report.verdict == .undecided)
        #expect(report.undecidedRows == 1)
    }
}
