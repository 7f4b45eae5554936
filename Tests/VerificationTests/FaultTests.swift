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

    /// What happens to a table while its differences are described, or repaired, is its own matter.
    @Test func aTableThatGoesMeanwhileTakesNoOtherResultAlong() async throws {
        let trial = try await Trial()
        let tables = ["t", "u", "v"]
        for table in tables {
            try trial.both(
                "CREATE TABLE \(table) (id INT PRIMARY KEY, v INT); INSERT INTO \(table) VALUES (1,1),(2,2)"
            )
            try trial.onTarget("UPDATE \(table) SET v=v+5")
        }
        let isDropped = Mutex(false)
        let drop = { @Sendable (table: String) in
            let isFirst = isDropped.withLock { gone in
                defer { gone = true }
                return !gone
            }
            if isFirst { _ = try? trial.onSource("DROP TABLE \(table)") }
        }
        // Between the descriptions of its two rows.
        let described = try await trial.run(trial.options(tables)) { progress in
            if progress.differences == 1 { drop("t") }
        }
        #expect(described.tables.map(\.verdict) == [.different, .different, .different])
        #expect(described.tables.map(\.differingRows) == [2, 2, 2])
        #expect(described.tables[0].undecidedReason?.contains("1146") == true)
        #expect(described.found.filter { $0.hasPrefix("v ") || $0.hasPrefix("u ") }.count == 4)
        // Between its row's DELETE and the INSERT.
        isDropped.withLock { $0 = false }
        let statements = Statements()
        var options = trial.options(["u", "v"])
        options.fixSQL = { statement in
            statements.add(statement)
            if statement.hasPrefix("DELETE FROM") { drop("u") }
        }
        let repaired = try await trial.run(options)
        #expect(repaired.tables.map(\.differingRows) == [2, 2])
        #expect(repaired.tables[0].undecidedReason?.contains("1146") == true)
        try trial.target.sql(statements.text, database: trial.schema)
        // What could not be written whole is not half done.
        #expect(try trial.target.sql("SELECT v FROM u", database: trial.schema) == "6\n7\n")
        let after = try await trial.verify("v")
        #expect(after.verdict == .equal, "\(statements.text)")
    }

    @Test func whatTheSinkOfFixesThrowsEndsAll() async throws {
        struct DiskFull: Error {}
        let trial = try await Trial()
        try prepare(trial)
        var options = trial.options(["t"])
        options.fixSQL = { if $0.hasPrefix("DELETE") { throw DiskFull() } }
        let work = options
        await #expect(throws: DiskFull.self) { try await trial.run(work) }
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
        #expect(ContinuousClock.now - cancelled.withLock { $0 } < .seconds(60))
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
