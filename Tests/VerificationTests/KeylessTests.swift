import TestServers
import Testing

@testable import Verification

@Suite struct KeylessTests {
    @Test(arguments: Trial.Pair.available)
    func copiesOfIdenticalRowsAreCounted(_ pair: Trial.Pair) async throws {
        let trial = try await Trial(pair)
        try trial.both(
            """
            CREATE TABLE t (a INT, b VARCHAR(20), f FLOAT);
            INSERT INTO t SELECT n % 50, CONCAT('x', n % 10), n % 50 * 0.125e0
            FROM (\(RowTests.numbers(1000))) s;
            """)
        let equal = try await trial.verify("t")
        #expect(equal.verdict == .equal)
        #expect(equal.tables[0].isKeyless)
        try trial.onTarget(
            """
            DELETE FROM t WHERE a=3 LIMIT 1; INSERT INTO t VALUES (4,'x4',0.5),(7,'X7',0.875);
            INSERT INTO t VALUES (NULL,NULL,NULL),(NULL,NULL,NULL);
            """)
        try trial.onSource("INSERT INTO t VALUES (NULL,NULL,NULL),(7,'x7 ',0.875),(7,'x7 ',0.875);")
        let result = try await trial.verifyAndFix(["t"])
        let found = result.before.tables[0].differences.map { difference in
            "\(difference.row[0].value),\(difference.row[1].value) \(difference.kind)"
        }
        #expect(
            found.sorted() == [
                "3,x3 copies(source: 20, target: 19)", "4,x4 copies(source: 20, target: 21)",
                "7,X7 copies(source: 0, target: 1)", "7,x7  copies(source: 2, target: 0)",
                "NULL,NULL copies(source: 1, target: 2)",
            ])
        #expect(result.after.verdict == .equal, "\(result.fix)")
    }

    @Test func aKeyThatOnlyOneSideHasNamesNoRows() async throws {
        let trial = try await Trial()
        try trial.onSource("CREATE TABLE t (a INT PRIMARY KEY, b INT)")
        try trial.onTarget("CREATE TABLE t (a INT NOT NULL, b INT)")
        try trial.both("INSERT INTO t VALUES (1,1),(2,2)")
        try trial.onTarget("INSERT INTO t VALUES (2,2)")
        let report = try await trial.verify("t")
        #expect(report.found == ["t a=2, b=2: 1 copy on the source, 2 on the target"])
        #expect(report.tables[0].structure.map(\.kind) == [.keyMissing])
    }

    @Test func aUniqueKeyWithNULLNamesNoRows() async throws {
        let trial = try await Trial()
        try trial.both(
            "CREATE TABLE t (a INT, b INT, UNIQUE (a)); INSERT INTO t VALUES (NULL,1),(NULL,1),(1,2)"
        )
        try trial.onTarget("INSERT INTO t VALUES (NULL,1)")
        let report = try await trial.verify("t")
        #expect(report.found == ["t a=NULL, b=1: 2 copies on the source, 3 on the target"])
    }

    /// Where all columns are brought into form by the verifier, the servers can't tell buckets apart.
    @Test func rowsOfOneBucketAreHeldInParts() async throws {
        let trial = try await Trial()
        try trial.both(
            """
            CREATE TABLE t (f DOUBLE, g DOUBLE);
            INSERT INTO t SELECT n, n / 8 FROM (\(RowTests.numbers(400))) s;
            CREATE TABLE u (f DOUBLE, g DOUBLE);
            INSERT INTO u SELECT n, n / 8 FROM (\(RowTests.numbers(5000))) s;
            CREATE TABLE s (f DOUBLE, g DOUBLE);
            INSERT INTO s SELECT 1, 2 FROM (\(RowTests.numbers(5000))) s;
            """)
        try trial.onTarget(
            "UPDATE t SET g=0 WHERE f=77; UPDATE u SET g=0 WHERE f=77; DELETE FROM s LIMIT 1")
        let report = try await trial.verify("t", "u", "s") { $0.keylessRowsAtOnce = 50 }
        #expect(report.tables.map(\.verdict) == [.different, .undecided, .different])
        #expect(
            report.found == [
                "s f=1, g=2: 5000 copies on the source, 4999 on the target",
                "t f=77, g=0: 0 copies on the source, 1 on the target",
                "t f=77, g=9.625: 1 copy on the source, 0 on the target",
            ])
        #expect(report.tables[1].undecidedReason?.contains("too many rows") == true)
    }

    @Test func rowsThatTheServerCannotHashAreNotEqual() async throws {
        // Everybody who connects meanwhile would have these limits.
        try await TestServer.with(.mariadb, name: "hash-a") { source in
            try await TestServer.with(.mariadb, name: "hash-b") { target in
                let trial = try Trial(source: source, target: target)
                let columns = (0..<24).map { "c\($0) VARBINARY(1024)" }.joined(separator: ",")
                let values = (0..<24).map { _ in "REPEAT('x',1024)" }.joined(separator: ",")
                try trial.both("CREATE TABLE t (\(columns)); INSERT INTO t VALUES (\(values))")
                try trial.onTarget("UPDATE t SET c5='y'")
                try trial.both("SET GLOBAL max_allowed_packet=1<<14", in: "")
                let report = try await trial.verify("t")
                try trial.both("SET GLOBAL max_allowed_packet=1<<24", in: "")
                #expect(report.verdict == .undecided, "\(report.tables)")
                #expect(report.tables[0].undecidedReason?.contains("no hash") == true)
            }
        }
    }
}
