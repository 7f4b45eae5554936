import MySQLClient
import MySQLCore
import TestServers
import Testing

@testable import Verification

/// What a comparison rests on: exact sums, keys that find their rows, reads that may take long.
@Suite struct TrustTests {
    @Test(arguments: Trial.Pair.available)
    func aRangesChecksumIsExactToTheLastDigit(_ pair: Trial.Pair) async throws {
        let trial = try await Trial(pair)
        try trial.both(
            """
            CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(40) NOT NULL);
            INSERT INTO t SELECT n, CONCAT('row ', n) FROM (\(RowTests.numbers(1000))) s;
            """)
        let name = TableName(schema: trial.schema, name: "t")
        var sums: Set<String> = []
        for server in [trial.source, trial.target] {
            let connection = try Connection(Trial.options(server))
            try connection.execute(Session.setUp)
            let shape = try #require(try SchemaReader(connection).shape(of: name))
            let plan = try #require(
                TablePlan(
                    index: 0, source: shape, connection.family, target: shape, connection.family,
                    comparesGenerated: true))
            let side = plan.sourceSide
            let slices = side.slice(side.row)
            let sum = try connection.rows(side.checksum(nil))[0]
            let exact = try connection.rows("SELECT COUNT(*),SUM(\(slices)) FROM \(side.table)")[0]
            #expect(sum == exact)
            #expect(sum[1]?.allSatisfy { $0.isNumber } == true, "\(sum)")
            sums.insert(sum[1] ?? "")
        }
        #expect(sums.count == 1)
    }

    @Test func aRowThatNobodyFindsIsNotEqual() throws {
        let key = RowKey(parts: [[1]])
        let digest = try RowDigest([UInt8](repeating: 7, count: 16))
        let now = ContinuousClock.now
        var row = PendingRow(table: 0, key: key, range: KeyRange(), source: digest)
        // It is there, but its key does not find it.
        var isSettled = row.look(source: nil, target: nil, isOutOfReach: true, at: now)
        #expect(!isSettled)
        isSettled = row.look(source: nil, target: nil, isOutOfReach: true, at: now)
        #expect(!isSettled && row.isOutOfReach && row.looks == 2)
        // It has gone from both.
        isSettled = row.look(source: nil, target: nil, at: now)
        #expect(isSettled && !row.isOutOfReach)
    }

    /// In cp932 two spellings of U+FFE2 are two keys.
    @Test(arguments: Trial.Pair.available)
    func keysOfCharactersThatBecomeOneAreNotLookedUp(_ pair: Trial.Pair) async throws {
        let trial = try await Trial(pair)
        let table = "(k VARCHAR(9) NOT NULL PRIMARY KEY, v INT) CHARSET"
        for name in ["t", "u", "w"] {
            try trial.onSource("CREATE TABLE \(name) \(table) cp932 COLLATE cp932_bin")
            try trial.onTarget("CREATE TABLE \(name) \(table) utf8mb4 COLLATE utf8mb4_bin")
        }
        try trial.onSource(
            """
            INSERT INTO t VALUES (_cp932 x'81CA',1),(_cp932 x'EEF9',2),('a',3);
            INSERT INTO u VALUES (_cp932 x'EEF9',2),('a',3);
            INSERT INTO w VALUES (_cp932 x'EEF9',2),('a',3);
            """)
        try trial.onTarget(
            """
            INSERT INTO t VALUES (_utf8mb4 x'EFBFA2',1),('a',3); INSERT INTO u VALUES ('a',3);
            INSERT INTO w VALUES (_utf8mb4 x'EFBFA2',2),('a',3);
            """)
        let report = try await trial.verify("t", "u", "w") { $0.comparesStructure = false }
        #expect(report.tables.map(\.differingRows) == [1, 1, 0])
        #expect(report.tables.map(\.verdict) == [.different, .different, .equal])
    }

    /// Bytes that are no characters all become the same one.
    @Test func keysThatBecomeOneAreUndecided() async throws {
        let trial = try await Trial()
        let table = "(k VARCHAR(9) NOT NULL PRIMARY KEY, v INT) CHARSET"
        for name in ["t", "u"] {
            try trial.onSource("CREATE TABLE \(name) \(table) cp1257 COLLATE cp1257_bin")
            try trial.onTarget("CREATE TABLE \(name) \(table) utf8mb4 COLLATE utf8mb4_bin")
        }
        try trial.onSource(
            """
            SET sql_mode=''; INSERT INTO t VALUES (x'81',1),(x'83',2),('a',3);
            INSERT INTO u VALUES (x'81',1),('a',3);
            """)
        try trial.onTarget("INSERT INTO t VALUES ('?',2),('a',3); INSERT INTO u VALUES ('a',3)")
        let report = try await trial.verify("t", "u") { $0.comparesStructure = false }
        #expect(report.tables.map(\.verdict) == [.undecided, .undecided], "\(report.tables)")
        #expect(report.tables[0].undecidedReason?.contains("same key") == true)
        #expect(report.tables[1].undecidedReason?.contains("its own key") == true)
        // One row to a chunk never gets past the key that stands for another.
        let narrow = try await trial.verify("t") {
            $0.comparesStructure = false
            $0.chunkRows = 1
        }
        #expect(narrow.verdict != .equal)
    }

    @Test(arguments: Trial.Pair.available)
    func oddYearsAndDatesAsKeys(_ pair: Trial.Pair) async throws {
        let trial = try await Trial(pair)
        try trial.both(
            """
            CREATE TABLE y (k YEAR NOT NULL PRIMARY KEY, v INT);
            INSERT INTO y VALUES (0,1),(2000,2),(2024,3);
            CREATE TABLE d (k DATE NOT NULL, i INT NOT NULL, v INT, PRIMARY KEY (k, i));
            INSERT INTO d VALUES ('2024-02-30',1,1),('2024-02-30',2,2),('2024-02-29',1,3),
              ('0000-00-00',1,4);
            """)
        let equal = try await trial.verify("y", "d") { $0.chunkRows = 1 }
        #expect(equal.verdict == .equal && equal.rows == 7, "\(equal.tables)")
        try trial.onTarget(
            "UPDATE y SET v=9 WHERE v=1; UPDATE d SET v=9 WHERE v=1; DELETE FROM d WHERE v=2;")
        let result = try await trial.verifyAndFix(["y", "d"]) { $0.chunkRows = 1 }
        #expect(
            result.before.found == [
                "d k=2024-02-30, i=1: column v differs",
                "d k=2024-02-30, i=2: missing on the target", "y k=0: column v differs",
            ])
        #expect(result.after.verdict == .equal, "\(result.fix)")
    }

    @Test(arguments: Trial.Pair.available)
    func keysThatTheOptimizerIsNotToSee(_ pair: Trial.Pair) async throws {
        let trial = try await Trial(pair)
        // Without a primary key the unique one that was made first can't be hidden; others can.
        try trial.both(
            """
            CREATE TABLE s (id INT NOT NULL, w INT NOT NULL, v INT, UNIQUE b (id), UNIQUE a (w));
            INSERT INTO s SELECT n, n, n FROM (\(RowTests.numbers(300))) s;
            """)
        try trial.onSource("CREATE TABLE t (id INT PRIMARY KEY, q INT NOT NULL, v INT)")
        try trial.onTarget(
            "CREATE TABLE t (id INT NOT NULL, q INT PRIMARY KEY, v INT, UNIQUE u (id))")
        try trial.both("INSERT INTO t SELECT id, w, v FROM s")
        func hide(_ key: String, of table: String, _ isMySQL: Bool) -> String {
            "ALTER TABLE \(table) ALTER INDEX \(key) \(isMySQL ? "INVISIBLE" : "IGNORED");"
        }
        try trial.onSource(hide("a", of: "s", pair.sourceIsMySQL))
        try trial.onTarget(
            hide("a", of: "s", pair.targetIsMySQL) + hide("u", of: "t", pair.targetIsMySQL))
        try trial.onTarget("UPDATE s SET v=0 WHERE id=7; UPDATE t SET v=0 WHERE id=7")
        let report = try await trial.verify("s", "t") {
            $0.chunkRows = 40
            $0.comparesStructure = false
        }
        #expect(report.tables.allSatisfy { $0.undecidedReason == nil }, "\(report.tables)")
        #expect(report.tables.map(\.differingRows).allSatisfy { $0 > 0 }, "\(report.tables)")
    }

    @Test(arguments: Trial.Pair.available)
    func aServersLimitOnStatementsDoesNotCount(_ pair: Trial.Pair) async throws {
        func with(
            _ isMySQL: Bool, _ name: String, _ body: (TestServer) async throws -> Void
        ) async throws {
            try await TestServer.with(isMySQL ? .mysql : .mariadb, name: name, body)
        }
        try await with(pair.sourceIsMySQL, "limit-a") { source in
            try await with(pair.targetIsMySQL, "limit-b") { target in
                let trial = try Trial(source: source, target: target)
                try trial.both(
                    """
                    CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(40) NOT NULL);
                    CREATE TABLE k (id INT, v VARCHAR(40) NOT NULL);
                    INSERT INTO t SELECT n, CONCAT('row ', n) FROM (\(RowTests.numbers(10000))) s;
                    INSERT INTO k SELECT * FROM t;
                    """)
                for (server, isMySQL) in [
                    (source, pair.sourceIsMySQL), (target, pair.targetIsMySQL),
                ] {
                    try server.sql(
                        isMySQL
                            ? "SET GLOBAL max_execution_time=1"
                            : "SET GLOBAL max_statement_time=0.001")
                }
                let report = try await trial.verify("t", "k")
                #expect(report.verdict == .equal, "\(report.tables)")
            }
        }
    }
}
