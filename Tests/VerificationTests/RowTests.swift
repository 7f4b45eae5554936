import MySQLCore
import TestServers
import Testing
import Verification

@Suite struct RowTests {
    /// Rows 1 to `count` of a table with an INT key.
    private func fill(_ trial: Trial, _ count: Int) throws {
        try trial.both(
            """
            CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(40) NOT NULL, n INT, UNIQUE (n));
            INSERT INTO t SELECT n, CONCAT('row ', n), n
            FROM (\(Self.numbers(count))) s;
            """)
    }

    static func numbers(_ count: Int) -> String {
        """
        SELECT 1+a.d+10*b.d+100*c.d+1000*e.d n FROM (\(digits)) a, (\(digits)) b, (\(digits)) c, \
        (\(digits)) e WHERE a.d+10*b.d+100*c.d+1000*e.d<\(count)
        """
    }

    private static var digits: String {
        (0...9).map { "SELECT \($0) d" }.joined(separator: " UNION ALL ")
    }

    @Test(
        arguments: zip(
            Trial.Pair.available + [.mariadbToMariaDB, .mariadbToMariaDB],
            [100, 7, 100, 7, 100_000, 1]))
    func missingExtraAndChangedRowsAreNamed(_ pair: Trial.Pair, chunkRows: Int) async throws {
        let trial = try await Trial(pair)
        let count = chunkRows < 10 ? 50 : 1000
        try fill(trial, count)
        try trial.onTarget(
            """
            DELETE FROM t WHERE id IN (1, 30, \(count));
            INSERT INTO t VALUES (0,'x',NULL),(-5,'y',NULL),(\(count + 9),'z',NULL);
            UPDATE t SET v='changed' WHERE id=40;
            """)
        let result = try await trial.verifyAndFix(["t"]) { $0.chunkRows = chunkRows }
        #expect(
            result.before.found
                == [
                    "t id=-5: extra on the target", "t id=0: extra on the target",
                    "t id=1: missing on the target", "t id=30: missing on the target",
                    "t id=40: column v differs", "t id=\(count): missing on the target",
                    "t id=\(count + 9): extra on the target",
                ].sorted())
        #expect(result.before.verdict == .different)
        #expect(result.before.rows == UInt64(count))
        #expect(result.after.verdict == .equal)
    }

    @Test func identicalChangesDoNotCancelOut() async throws {
        let trial = try await Trial()
        try fill(trial, 500)
        // The same change to two rows, and values swapped between rows of different chunks.
        try trial.onTarget(
            """
            UPDATE t SET v='same' WHERE id IN (10, 11);
            UPDATE t SET v='row 400' WHERE id=20; UPDATE t SET v='row 20' WHERE id=400;
            UPDATE t SET n=NULL WHERE id IN (30, 450); UPDATE t SET n=30 WHERE id=450;
            UPDATE t SET n=450 WHERE id=30;
            """)
        let result = try await trial.verifyAndFix(["t"]) { $0.chunkRows = 50 }
        #expect(
            result.before.found == [
                "t id=10: column v differs", "t id=11: column v differs",
                "t id=20: column v differs", "t id=30: column n differs",
                "t id=400: column v differs", "t id=450: column n differs",
            ])
        #expect(result.after.verdict == .equal, "\(result.fix)")
    }

    @Test(arguments: Trial.Pair.available)
    func compositeAndTextKeys(_ pair: Trial.Pair) async throws {
        let trial = try await Trial(pair)
        try trial.both(
            """
            CREATE TABLE t (b VARCHAR(20) NOT NULL, x INT, a DATE NOT NULL, d DECIMAL(6,2) NOT NULL,
              e ENUM('z','y','x') NOT NULL, u VARBINARY(5) NOT NULL, f FLOAT NOT NULL,
              PRIMARY KEY (a, b, d, e, u, f)) CHARSET utf8mb4 COLLATE utf8mb4_general_ci;
            INSERT INTO t SELECT CONCAT(CHAR(97 + n % 26 USING utf8mb4), 'é''\\\\', n % 7), n,
              '2024-01-01' + INTERVAL n % 5 DAY, n / 100, 1 + n % 3, CHAR(n % 200), n / 3e7
            FROM (\(Self.numbers(1000))) s;
            """)
        let equal = try await trial.verify("t") { $0.chunkRows = 37 }
        #expect(equal.verdict == .equal)
        #expect(equal.chunks == 28)
        #expect(equal.rows == 1000)
        try trial.onTarget(
            "DELETE FROM t WHERE x=500; UPDATE t SET x=-1 WHERE x=501; UPDATE t SET b='B' WHERE x=777;"
        )
        let result = try await trial.verifyAndFix(["t"]) { $0.chunkRows = 37 }
        #expect(result.before.differingRows == 4)
        #expect(result.before.found.contains { $0.hasSuffix(": column x differs") })
        #expect(result.before.found.filter { $0.hasSuffix("missing on the target") }.count == 2)
        #expect(result.before.found.filter { $0.hasSuffix("extra on the target") }.count == 1)
        #expect(result.after.verdict == .equal, "\(result.fix)")
    }

    @Test func keysThatDifferInLetterCaseOnly() async throws {
        let trial = try await Trial()
        try trial.both(
            "CREATE TABLE t (k VARCHAR(20) PRIMARY KEY, v INT) COLLATE utf8mb4_general_ci;"
                + "INSERT INTO t VALUES ('a',1),('b',2),('c',3),('d',4);")
        try trial.onTarget("UPDATE t SET k='B' WHERE k='b'; UPDATE t SET k='d ' WHERE k='d'")
        let result = try await trial.verifyAndFix(["t"])
        #expect(result.before.found == ["t k=b: column k differs", "t k=d: column k differs"])
        #expect(result.after.verdict == .equal)
    }

    @Test(arguments: Trial.Pair.available)
    func keysInOtherCharsetsAndByPrefix(_ pair: Trial.Pair) async throws {
        let trial = try await Trial(pair)
        let prefix = "CREATE TABLE p (k TEXT NOT NULL, v INT, PRIMARY KEY (k(8))) CHARSET utf8mb4;"
        let table = "CREATE TABLE t (k VARCHAR(30) PRIMARY KEY, v INT) CHARSET"
        try trial.onSource("\(prefix) \(table) latin1")
        try trial.onTarget("\(prefix) \(table) utf8mb4")
        let rows = "SELECT CONCAT(n, 'é', CHAR(192 + n % 60 USING latin1)), n FROM"
        try trial.both(
            """
            INSERT INTO t \(rows) (\(Self.numbers(400))) s;
            INSERT INTO p \(rows) (\(Self.numbers(400))) s;
            """)
        let equal = try await trial.verify("t", "p") {
            $0.chunkRows = 33
            $0.comparesStructure = false
        }
        #expect(equal.verdict == .equal, "\(equal.found)")
        #expect(equal.rows == 800)
        try trial.onTarget(
            """
            UPDATE t SET v=0 WHERE v=7; DELETE FROM t WHERE v=300; UPDATE p SET k='ü' WHERE v=70;
            """)
        let result = try await trial.verifyAndFix(["t", "p"]) {
            $0.chunkRows = 33
            $0.comparesStructure = false
        }
        #expect(result.before.tables.map(\.differingRows) == [2, 2])
        #expect(result.before.found.contains("t k=7éÇ: column v differs"))
        #expect(result.after.verdict == .equal, "\(result.fix)")
    }

    @Test func anotherOrderOfKeysOnTheTargetIsNoDifference() async throws {
        let trial = try await Trial()
        let table = "CREATE TABLE t (k VARCHAR(20) PRIMARY KEY, v INT)"
        try trial.onSource("\(table) COLLATE utf8mb4_general_ci")
        try trial.onTarget("\(table) COLLATE utf8mb4_bin")
        try trial.both(
            """
            INSERT INTO t SELECT CONCAT(CHAR(IF(n % 2, 65, 97) + n % 26 USING utf8mb4), n), n
            FROM (\(Self.numbers(500))) s;
            """)
        try trial.onTarget(
            "DELETE FROM t WHERE v=77; UPDATE t SET v=-1 WHERE v=78; INSERT INTO t VALUES ('_',0);")
        let report = try await trial.verify("t") { $0.chunkRows = 20 }
        #expect(
            report.found == [
                "t k=Z77: missing on the target", "t k=_: extra on the target",
                "t k=a78: column v differs",
            ])
        #expect(report.tables[0].structure.map(\.kind) == [.collationDiffers])
    }

    @Test func manyMoreRowsOnTheTargetAreSearchedInChunks() async throws {
        let trial = try await Trial()
        try fill(trial, 3000)
        try trial.onSource("DELETE FROM t WHERE id>10")
        let report = try await trial.verify("t") { $0.chunkRows = 100 }
        #expect(report.differingRows == 2990)
        #expect(report.tables[0].differences.count == 100)
        #expect(report.chunks > 20)
        let limited = try await trial.verify("t") {
            $0.chunkRows = 100
            $0.maxDifferingRows = 500
        }
        #expect(limited.verdict == .different)
    }

    @Test func otherColumnOrderAndInvisibleAndGeneratedColumns() async throws {
        let trial = try await Trial()
        let generated = "g INT AS (a + 1) VIRTUAL, s INT AS (a * 2) STORED"
        try trial.onSource(
            "CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT INVISIBLE DEFAULT 5, \(generated));"
                + "INSERT INTO t (id,a,b) VALUES (1,1,1),(2,2,2),(3,3,3);")
        try trial.onTarget(
            "CREATE TABLE t (b INT INVISIBLE DEFAULT 5, \(generated), a INT, id INT PRIMARY KEY);"
                + "INSERT INTO t (id,a,b) VALUES (1,1,1),(2,2,2),(3,3,3);")
        let equal = try await trial.verify("t")
        #expect(equal.verdict == .equal)
        #expect(equal.tables[0].structure.map(\.kind) == [.columnOrderDiffers])
        try trial.onTarget("UPDATE t SET b=9 WHERE id=2; UPDATE t SET a=9 WHERE id=3;")
        let result = try await trial.verifyAndFix(["t"])
        #expect(
            result.before.found == ["t id=2: column b differs", "t id=3: columns a, g, s differ"])
        #expect(result.after.verdict == .equal)
        let without = try await trial.verify("t") { $0.comparesGeneratedColumns = false }
        #expect(without.verdict == .equal)
    }

    @Test func rowsBeyondTheServersPacketLimit() async throws {
        // Everybody who connects meanwhile would have these limits.
        try await TestServer.with(.mariadb, name: "packets-a") { source in
            try await TestServer.with(.mariadb, name: "packets-b") { target in
                let trial = try Trial(source: source, target: target)
                try trial.both(
                    "CREATE TABLE t (id INT PRIMARY KEY, b LONGBLOB, c LONGTEXT CHARSET latin1);")
                for id in 1...2 {
                    try trial.both(
                        "INSERT INTO t VALUES (\(id),REPEAT('x',15000000),REPEAT('y',9000000))")
                }
                // Doubled on the server: no packet is that long.
                try trial.both("SET GLOBAL max_allowed_packet=1<<30", in: "")
                try trial.both("UPDATE t SET b=CONCAT(b,b,b,b), c=CONCAT(c,c)")
                try trial.onTarget("UPDATE t SET b=CONCAT(LEFT(b,59999999),'z') WHERE id=2")
                try trial.both("SET GLOBAL max_allowed_packet=1<<20", in: "")
                let report = try await trial.verify("t")
                try trial.both("SET GLOBAL max_allowed_packet=1<<24", in: "")
                #expect(report.found == ["t id=2: column b differs"])
            }
        }
    }
}
