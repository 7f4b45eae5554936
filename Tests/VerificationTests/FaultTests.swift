import MySQLClient
import MySQLCore
import Synchronization
import TestServers
import Testing
import Verification

@Suite struct FaultTests {
    private func prepare(_ trial: Trial) throws {
        try trial.both(
            """
            CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(40) NOT NULL);
            INSERT INTO t SELECT n, CONCAT('row ', n) FROM (\(RowTests.numbers(10_000))) s;
            """)
        try trial.onTarget("UPDATE t SET v='x' WHERE id=5000")
    }

    @Test func lostConnectionsAreMadeAgain() async throws {
        let trial = try await Trial()
        try prepare(trial)
        let proxy = try FaultProxy(to: trial.source)
        defer { proxy.close() }
        let chunks = Mutex<UInt64>(0)
        var options = trial.options(["t"])
        options.chunkRows = 50
        let report = try await trial.run(options, sourcePort: proxy.port) { progress in
            // Every 20th chunk breaks all connections to the source.
            let cuts = chunks.withLock { last in
                defer { last = progress.chunks }
                return progress.chunks / 20 > last / 20
            }
            if cuts { proxy.cut() }
        }
        #expect(report.found == ["t id=5000: column v differs"])
        #expect(report.rows == 10_000)
        #expect(proxy.accepted > 10)
    }

    @Test func aServerThatStaysAwayLeavesTheTableUndecided() async throws {
        let trial = try await Trial()
        try prepare(trial)
        let proxy = try FaultProxy(to: trial.source)
        defer { proxy.close() }
        var options = trial.options(["t"])
        options.chunkRows = 50
        options.patience = .seconds(1)
        let report = try await trial.run(options, sourcePort: proxy.port) { progress in
            if progress.chunks == 20 {
                proxy.refuseConnections()
                proxy.cut()
            }
        }
        #expect(report.verdict != .equal)
        #expect(report.tables[0].undecidedReason?.contains("ERROR 20") == true)
    }

    @Test func wrongCredentialsFailAtOnce() async throws {
        let trial = try await Trial()
        var wrong = Trial.options(trial.target)
        wrong.password = Password("wrong")
        let verifier = Verifier(
            source: Trial.options(trial.source), target: wrong, options: trial.options(["t"]))
        let error = await #expect(throws: MySQLError.self) { try await verifier.run() }
        #expect(error?.code == 1045)
    }

    @Test func cancellationEndsABlockedComparison() async throws {
        let trial = try await Trial()
        try prepare(trial)
        let proxy = try FaultProxy(to: trial.source)
        defer { proxy.close() }
        var options = trial.options(["t"])
        options.chunkRows = 50
        let work = options
        let cancelled = Mutex(ContinuousClock.now)
        let error = await #expect(throws: CancellationError.self) {
            try await withThrowingTaskGroup(of: VerificationReport?.self) { group in
                group.addTask {
                    try await trial.run(work, sourcePort: proxy.port) { progress in
                        if progress.chunks == 20 { proxy.freeze(.toClient) }
                    }
                }
                try await Task.sleep(for: .seconds(2))
                cancelled.withLock { $0 = .now }
                group.cancelAll()
                _ = try await group.next()
            }
        }
        #expect(error != nil)
        #expect(ContinuousClock.now - cancelled.withLock { $0 } < .seconds(15))
    }

    @Test func progressGrowsToTheEnd() async throws {
        let trial = try await Trial()
        try prepare(trial)
        try trial.onSource("ANALYZE TABLE t")
        let last = Mutex(VerificationProgress())
        _ = try await trial.run(trial.options(["t"])) { progress in
            last.withLock { $0 = progress }
        }
        let end = last.withLock { $0 }
        #expect(end.rows == 10_000)
        #expect(end.tablesDone == 1)
        #expect(end.tables == 1)
        #expect(end.differences == 1)
        #expect(end.bytes > 100_000)
    }
}
