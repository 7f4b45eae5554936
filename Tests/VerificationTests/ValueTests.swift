import Testing
import Verification

/// A column and two values that differ.
struct Planted: Sendable, CustomStringConvertible {
    let name: String
    let column: String
    let source: String
    let target: String
    var description: String { name }

    init(_ name: String, _ column: String, _ source: String, _ target: String) {
        self.name = name
        self.column = column
        self.source = source
        self.target = target
    }

    /// Kinds of differences that both families can hold.
    static let everywhere = [
        Planted("tinyint", "TINYINT", "-128", "-127"),
        Planted(
            "bigint unsigned", "BIGINT UNSIGNED", "18446744073709551615", "18446744073709551614"),
        Planted("NULL and 0", "INT", "NULL", "0"),
        Planted("NULL and empty", "VARCHAR(9)", "NULL", "''"),
        Planted("NULL and the letter that stands for it", "VARCHAR(9)", "NULL", "'N'"),
        Planted("NULL in a blob", "BLOB", "NULL", "''"),
        Planted("float in the 8th digit", "FLOAT", "16777216", "16777214"),
        Planted("float in the last bit", "FLOAT", "0.1", "0.10000001e0"),
        Planted("double in the last bit", "DOUBLE", "0.1", "0.10000000000000002e0"),
        Planted("small double", "DOUBLE", "1.2345670256763697e-5", "1.2345670256763699e-5"),
        Planted("tiny double", "DOUBLE", "-2.113231795160416e-15", "-2.1132317951604164e-15"),
        Planted("tiny float", "FLOAT", "-2.1132318e-15", "-2.113232e-15"),
        Planted("tinier double", "DOUBLE", "2.113231795160416e-31", "2.1132317951604165e-31"),
        Planted("tiniest double", "DOUBLE", "5e-324", "1e-323"),
        Planted("large double", "DOUBLE", "1234567890123456", "1234567890123456.2e0"),
        Planted("huge double", "DOUBLE", "1.7976931348623157e308", "1.7976931348623155e308"),
        Planted(
            "small negative double", "DOUBLE", "-2.1132317951604164e-155",
            "-2.113231795160416e-155"),
        Planted(
            "large negative double", "DOUBLE", "-2.1132317951604164e155",
            "-2.113231795160416e155"),
        Planted("decimal", "DECIMAL(65,30)", "1.000000000000000000000000000001", "1"),
        Planted("negative decimal", "DECIMAL(10,2)", "-0.01", "0.01"),
        Planted("bit", "BIT(64)", "x'8000000000000000'", "x'8000000000000001'"),
        Planted("year", "YEAR", "0", "2000"),
        Planted("zero date", "DATE", "'0000-00-00'", "NULL"),
        Planted("invalid date", "DATE", "'2024-02-00'", "'2024-02-01'"),
        Planted("date of no calendar", "DATE", "'2024-02-30'", "'2024-02-31'"),
        Planted("day of no calendar", "DATETIME", "'2023-02-29 01:00:00'", "'2023-03-01 01:00:00'"),
        Planted("microseconds", "DATETIME(6)", "'2024-01-01 00:00:00.000001'", "'2024-01-01'"),
        Planted("timestamp", "TIMESTAMP NULL", "'2024-03-31 01:30:00'", "'2024-03-31 02:30:00'"),
        Planted("negative time", "TIME", "'-00:00:01'", "'00:00:01'"),
        Planted("time beyond a day", "TIME(2)", "'838:59:58.99'", "'838:59:58.98'"),
        Planted("trailing space", "VARCHAR(9)", "'a '", "'a'"),
        Planted("letter case", "VARCHAR(9)", "'a'", "'A'"),
        Planted("accent", "VARCHAR(9)", "'e'", "'é'"),
        Planted("composed letter", "VARCHAR(9)", "_utf8mb4 x'C3A9'", "_utf8mb4 x'65CC81'"),
        Planted("case in latin1", "CHAR(9) CHARACTER SET latin1", "'ä'", "'Ä'"),
        Planted("ucs2", "VARCHAR(9) CHARACTER SET ucs2", "'a'", "'b'"),
        Planted("4-byte letters", "TEXT", "'😀'", "'😁'"),
        Planted(
            "long text at its end", "LONGTEXT", "CONCAT(REPEAT('x',1000000),'a')",
            "CONCAT(REPEAT('x',1000000),'b')"),
        Planted("binary padding", "VARBINARY(4)", "x'61'", "x'6100'"),
        Planted("binary", "BINARY(4)", "x'6101'", "x'6102'"),
        Planted("blob", "LONGBLOB", "x'00FF'", "x'00FE'"),
        Planted("invalid enum and empty member", "ENUM('','a')", "0", "1"),
        Planted("enum", "ENUM('a','b')", "'a'", "'b'"),
        Planted(
            "set of 64", "SET(\((1...64).map { "'m\($0)'" }.joined(separator: ",")))",
            "'m64'", "'m63,m64'"),
        Planted("json", "JSON", #"'{"a":[1,{"b":null}]}'"#, #"'{"a":[1,{"b":false}]}'"#),
        Planted(
            "geometry", "GEOMETRY", "ST_GeomFromText('POINT(1 2)')",
            "ST_GeomFromText('POINT(2 1)')"),
        Planted(
            "srid", "GEOMETRY", "ST_GeomFromText('POINT(1 2)',3857)",
            "ST_GeomFromText('POINT(1 2)')"),
        Planted("commas", "VARCHAR(20)", "'1,2'", "'1,3'"),
    ]
}

@Suite struct ValueTests {
    @Test(arguments: Trial.Pair.available)
    func eachKindOfDifferenceIsFoundAlone(_ pair: Trial.Pair) async throws {
        let trial = try await Trial(pair)
        var names: [String] = []
        var create = ""
        var (source, target) = ("", "")
        for (i, planted) in Planted.everywhere.enumerated() {
            names.append("t\(i)")
            create +=
                "CREATE TABLE t\(i) (id INT PRIMARY KEY, v \(planted.column), w \(planted.column))"
                + " CHARSET utf8mb4;\n"
            func rows(_ v: String) -> String {
                """
                INSERT INTO t\(i) VALUES (1,\(planted.source),\(planted.target)),\
                (2,\(v),\(planted.source)),(3,\(planted.target),\(planted.source));\n
                """
            }
            source += rows(planted.source)
            target += rows(planted.target)
        }
        try trial.both(create)
        try trial.onSource(source)
        try trial.onTarget(target)
        let result = try await trial.verifyAndFix(names) {
            $0.settle = .zero
            $0.comparesStructure = false
        }
        for (i, planted) in Planted.everywhere.enumerated() {
            let before = result.before.tables[i].differences.map(\.description)
            #expect(
                before == ["\(trial.schema).t\(i) id=2: column v differs"],
                "\(planted): \(result.before.tables[i])")
            #expect(result.after.tables[i].verdict == .equal, "\(planted)")
        }
    }

    @Test func typesOfMariaDBAlone() async throws {
        let trial = try await Trial()
        try trial.both(
            """
            CREATE TABLE t (u UUID PRIMARY KEY, a INET6, b INET4);
            INSERT INTO t SELECT CONCAT(LPAD(HEX(n * 7919), 8, '0'), '-0000-1000-8000-',
              LPAD(HEX(n), 12, '0')), CONCAT('::', HEX(n)), CONCAT('10.0.0.', n)
            FROM (\(RowTests.numbers(200))) s;
            """)
        let equal = try await trial.verify("t") { $0.chunkRows = 30 }
        #expect(equal.verdict == .equal && equal.rows == 200)
        try trial.onTarget(
            """
            UPDATE t SET a='::1' WHERE a='::2'; UPDATE t SET b='10.0.0.1' WHERE b='10.0.0.3';
            DELETE FROM t WHERE a='::4';
            """)
        let result = try await trial.verifyAndFix(["t"]) { $0.chunkRows = 30 }
        #expect(
            result.before.tables[0].differences.map(\.kind).sorted { "\($0)" < "\($1)" }
                == [.columns(["a"]), .columns(["b"]), .missingOnTarget])
        #expect(result.after.verdict == .equal)
    }

    @Test(.enabled(if: Servers.hasMySQL)) func vectors() async throws {
        let trial = try await Trial(.mysqlToMySQL)
        try trial.both(
            "CREATE TABLE t (id INT PRIMARY KEY, v VECTOR(3)); CREATE TABLE k (v VECTOR(3));"
                + "INSERT INTO t VALUES (1,STRING_TO_VECTOR('[1,2,3]')),(2,NULL),"
                + "(3,STRING_TO_VECTOR('[1,2,3.5]')); INSERT INTO k SELECT v FROM t;")
        let equal = try await trial.verify("t", "k")
        #expect(equal.verdict == .equal)
        try trial.onTarget("UPDATE t SET v=STRING_TO_VECTOR('[1,2,4]') WHERE id=3; DELETE FROM k;")
        let result = try await trial.verifyAndFix(["t", "k"])
        #expect(result.before.tables.map(\.differingRows) == [1, 3])
        #expect(result.after.verdict == .equal)
    }

    /// Only MySQL shows which zero it is.
    @Test(.enabled(if: Servers.hasMySQL)) func theSignOfZero() async throws {
        let trial = try await Trial(.mysqlToMySQL)
        try trial.both(
            """
            CREATE TABLE t (id INT PRIMARY KEY, f FLOAT, d DOUBLE);
            CREATE TABLE k (f FLOAT, d DOUBLE); CREATE TABLE r (d DOUBLE PRIMARY KEY, v INT);
            INSERT INTO t VALUES (1,0e0,-0e0),(2,-0e0,0e0); INSERT INTO k SELECT f, d FROM t;
            INSERT INTO r VALUES (-0e0,1);
            """)
        let equal = try await trial.verify("t", "k", "r")
        #expect(equal.verdict == .equal, "\(equal.tables)")
        try trial.onTarget(
            "UPDATE t SET f=-0e0, d=0e0 WHERE id=1; DELETE FROM k LIMIT 1; UPDATE r SET v=2;")
        let result = try await trial.verifyAndFix(["t", "k", "r"])
        #expect(result.before.tables.map(\.differingRows) == [1, 1, 1])
        #expect(result.after.verdict == .equal, "\(result.fix)")
    }

    @Test(arguments: Trial.Pair.acrossFamilies)
    func typesThatOneFamilyKeepsAsText(_ pair: Trial.Pair) async throws {
        let trial = try await Trial(pair)
        let own = "CREATE TABLE t (id INT PRIMARY KEY, u UUID, a INET6)"
        let text = "CREATE TABLE t (id INT PRIMARY KEY, u CHAR(36), a VARCHAR(39))"
        try trial.onSource(pair.sourceIsMySQL ? text : own)
        try trial.onTarget(pair.targetIsMySQL ? text : own)
        let uuid = "123e4567-e89b-12d3-a456-42665544000"
        try trial.both(
            "INSERT INTO t VALUES (1,'\(uuid)0','::1'),(2,'\(uuid)1','fe80::2'),(3,NULL,NULL)")
        let equal = try await trial.verify("t")
        #expect(equal.verdict == .equal, "\(equal.tables)")
        try trial.onTarget("UPDATE t SET u='\(uuid)2' WHERE id=2; UPDATE t SET a='::2' WHERE id=3")
        let result = try await trial.verifyAndFix(["t"])
        #expect(result.before.found == ["t id=2: column u differs", "t id=3: column a differs"])
        #expect(result.after.verdict == .equal)
    }

    @Test(arguments: Trial.Pair.available)
    func twoColumnsAreNotOne(_ pair: Trial.Pair) async throws {
        let trial = try await Trial(pair)
        try trial.both(
            "CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(9), b VARCHAR(9), c INT, d INT)")
        try trial.onSource(
            """
            INSERT INTO t VALUES (1,'a','bc',1,2),(2,'a,','b',12,3),(3,NULL,'x',NULL,1),
            (4,'1:a','',1,1),(5,'same','same',1,1);
            """)
        try trial.onTarget(
            """
            INSERT INTO t VALUES (1,'ab','c',1,2),(2,'a',',b',1,23),(3,'x',NULL,1,NULL),
            (4,'1','a',1,1),(5,'same','same',1,1);
            """)
        let report = try await trial.verify("t")
        #expect(
            report.found == [
                "t id=1: columns a, b differ", "t id=2: columns a, b, c, d differ",
                "t id=3: columns a, b, c, d differ", "t id=4: columns a, b differ",
            ])
    }

    @Test(arguments: Trial.Pair.available)
    func equalValuesOfAllTypesAreEqual(_ pair: Trial.Pair) async throws {
        let trial = try await Trial(pair)
        let columns = Planted.everywhere.enumerated().map { "c\($0) \($1.column)" }
        try trial.both(
            "CREATE TABLE t (id INT PRIMARY KEY, \(columns.joined(separator: ","))) CHARSET utf8mb4;"
                + "CREATE TABLE k (\(columns.joined(separator: ","))) CHARSET utf8mb4;")
        let a = Planted.everywhere.map(\.source).joined(separator: ",")
        let b = Planted.everywhere.map(\.target).joined(separator: ",")
        try trial.both(
            """
            INSERT INTO t VALUES (1,\(a)),(2,\(b)); INSERT INTO t(id) VALUES (0);
            INSERT INTO k VALUES (\(a)),(\(b)),(\(a)); INSERT INTO k(c0) VALUES (NULL);
            """)
        let report = try await trial.verify("t", "k")
        #expect(report.verdict == .equal, "\(report.found) \(report.tables.map(\.structure))")
        #expect(report.rows == 7)
    }

    @Test(arguments: Trial.Pair.acrossFamilies)
    func floatingPointNumbersHaveOneTextAcrossFamilies(_ pair: Trial.Pair) async throws {
        let trial = try await Trial(pair)
        var random = SystemRandomNumberGenerator()
        var rows: [String] = []
        for i in 0..<4000 {
            var double = Double(bitPattern: random.next())
            if !double.isFinite { double = 0 }
            if i % 2 == 0 { double = Double.random(in: -2...2, using: &random) * 1e-4 }
            var float = Float(bitPattern: UInt32.random(in: 0...UInt32.max, using: &random))
            if !float.isFinite { float = -0.0 }
            if i % 3 == 0 { float = Float.random(in: -1...1, using: &random) * 1e-3 }
            rows.append("(\(i),\(sql(Double(float))),\(sql(double)))")
        }
        try trial.both(
            "CREATE TABLE t (id INT PRIMARY KEY, f FLOAT, d DOUBLE);"
                + "INSERT INTO t VALUES \(rows.joined(separator: ","));"
                + "CREATE TABLE k SELECT f, d FROM t; CREATE TABLE r (d DOUBLE, PRIMARY KEY (d));"
                + "INSERT IGNORE INTO r SELECT d FROM t;")
        let report = try await trial.verify("t", "k", "r") { $0.chunkRows = 100 }
        #expect(report.verdict == .equal, "\(report.found.prefix(5))")
    }

    private func sql(_ number: Double) -> String {
        let text = "\(number)"
        return text.contains("e") ? text : text + "e0"
    }
}
