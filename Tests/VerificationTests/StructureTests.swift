import MySQLCore
import Testing
import Verification

@Suite struct StructureTests {
    @Test func shapesThatDifferAreReported() async throws {
        let trial = try await Trial()
        try trial.onSource(
            """
            CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, a INT, b VARCHAR(9) NOT NULL,
              c DECIMAL(10,2), d VARCHAR(9) CHARACTER SET latin1, e ENUM('x','y'), gone INT,
              KEY ka (a), UNIQUE KEY kb (b)) ENGINE=InnoDB CHARSET utf8mb4;
            CREATE TABLE only_source (id INT PRIMARY KEY); CREATE VIEW v AS SELECT 1;
            CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET NEW.a=1;
            """)
        try trial.onTarget(
            """
            CREATE TABLE t (id INT PRIMARY KEY, a BIGINT, b VARCHAR(9),
              c DECIMAL(10,3), d VARCHAR(9) CHARACTER SET utf8mb4, e ENUM('x','z'), added INT,
              KEY ka (a, b)) ENGINE=Aria CHARSET utf8mb4;
            CREATE TABLE only_target (id INT PRIMARY KEY);
            """)
        try trial.onSource("INSERT INTO t (id,b,c,d,e) VALUES (1,'b',1.50,'é','x')")
        try trial.onTarget("INSERT INTO t (id,a,b,c,d,e) VALUES (1,1,'b',1.500,'é','x')")
        let report = try await trial.verify("t", "only_source", "only_target", "nowhere")
        let kinds = Set(report.tables[0].structure.map(\.kind))
        #expect(
            kinds == [
                .attributeDiffers, .typeDiffers, .nullabilityDiffers, .charsetDiffers,
                .columnMissing, .columnExtra, .keyDiffers, .keyMissing, .engineDiffers,
            ])
        #expect(report.found == [])  // the values are equal under the other types
        #expect(report.tables.map(\.verdict) == [.different, .different, .different, .different])
        #expect(report.tables[1].structure[0].description.contains("missing on the target"))
        #expect(report.tables[2].structure[0].description.contains("missing on the source"))
        #expect(report.objects.map(\.description).contains { $0.hasPrefix("view") })
        #expect(report.objects.map(\.description).contains { $0.hasPrefix("trigger") })
    }

    @Test(arguments: Trial.Pair.acrossFamilies)
    func jsonIsComparedByValueAcrossFamilies(_ pair: Trial.Pair) async throws {
        let trial = try await Trial(pair)
        try trial.both("CREATE TABLE t (id INT PRIMARY KEY, j JSON) CHARSET utf8mb4")
        let texts = [
            #"{"b": 1, "a": [1.0, 2e2, "\u00e9\ud83d\ude00", {}], "": null}"#,
            #"[1.10, -0.0, 1E-7, 123456789012345678, 18446744073709551615, true]"#,
            #""text with \"quotes\", \\ and \/""#, "12", "null", "[]", #"{"k":{"k":{"k":[[[]]]}}}"#,
        ]
        let rows = texts.enumerated().map { "(\($0),\(utf8Literal($1)))" }
        try trial.both("INSERT INTO t VALUES \(rows.joined(separator: ",")),(99,NULL)")
        let equal = try await trial.verify("t")
        #expect(equal.verdict == .equal, "\(equal.found) \(equal.tables[0].structure)")
        try trial.onTarget(
            """
            UPDATE t SET j='{"a": [1, 200.5, "é😀", {}], "b": 1, "": null}' WHERE id=0;
            UPDATE t SET j='[1.1, 0, 1e-7, 123456789012345679, 18446744073709551615, true]' \
            WHERE id=1; UPDATE t SET j='12.5' WHERE id=3; UPDATE t SET j='null' WHERE id=99;
            """)
        let result = try await trial.verifyAndFix(["t"])
        #expect(
            result.before.found == [0, 1, 3, 99].map { "t id=\($0): column j differs" }.sorted())
        #expect(result.after.verdict == .equal, "\(result.fix)")
    }
}
