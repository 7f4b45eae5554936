import MySQLCore
import TestServers
import Testing

@testable import Snapshot

/// Keys of every kind, cut into chunks of a few rows: no row is lost or doubled at a boundary.
@Suite struct KeyTests {
    static let tables = [
        "ci", "pad", "composite", "bin", "varbin", "dec", "flt", "dt", "ts", "tm", "yr", "en",
        "se", "bi", "uns", "neg", "uk", "prefix", "l1", "u16",
    ]

    static let statements = """
        CREATE TABLE ci (k VARCHAR(40) COLLATE utf8mb4_unicode_ci PRIMARY KEY, v INT);
        INSERT IGNORE INTO ci SELECT CONCAT(ELT(1+n%6,'a','B','ä','Z','é','ß'), CHAR(97+n%26), IF(n%3,'','x'), n DIV 40), n FROM n;
        CREATE TABLE pad (k VARCHAR(40) COLLATE utf8mb4_general_ci PRIMARY KEY, v INT);
        INSERT IGNORE INTO pad SELECT CONCAT(n DIV 7, REPEAT(' ', n%7), IF(n%2,'','\\t')), n FROM n;
        CREATE TABLE composite (a VARCHAR(10) COLLATE utf8mb4_unicode_ci, b INT, c DATE, v INT, PRIMARY KEY (a,b,c));
        INSERT INTO composite SELECT ELT(1+n%3,'x','Y','z'), n%5, DATE_ADD('2000-01-01', INTERVAL n DAY), n FROM n;
        CREATE TABLE bin (k BINARY(4) PRIMARY KEY, v INT);
        INSERT INTO bin SELECT UNHEX(LPAD(HEX(n*13),8,'0')), n FROM n;
        CREATE TABLE varbin (k VARBINARY(40) PRIMARY KEY, v INT);
        INSERT IGNORE INTO varbin SELECT CONCAT(UNHEX(LPAD(HEX(n%7),2,'0')), 0x00275C0A, n), n FROM n;
        CREATE TABLE dec2 (k INT); DROP TABLE dec2;
        CREATE TABLE dec1 (k INT); DROP TABLE dec1;
        CREATE TABLE `dec` (k DECIMAL(65,30) PRIMARY KEY, v INT);
        INSERT INTO `dec` SELECT (n-100)/7.000000000000001, n FROM n;
        CREATE TABLE flt (k FLOAT, d DOUBLE, v INT, PRIMARY KEY (k, d));
        INSERT INTO flt SELECT (n DIV 10)/7, n/9, n FROM n;
        CREATE TABLE dt (k DATETIME(6) PRIMARY KEY, v INT);
        INSERT INTO dt SELECT IF(n=0,'0000-00-00',DATE_ADD('1999-12-31 23:59:59.999998', INTERVAL n MICROSECOND)), n FROM n;
        CREATE TABLE ts (k TIMESTAMP(3) PRIMARY KEY DEFAULT '2000-01-01 00:00:00', v INT);
        INSERT INTO ts SELECT IF(n=0,'0000-00-00',FROM_UNIXTIME(1711846700+n)), n FROM n;
        CREATE TABLE tm (k TIME(2) PRIMARY KEY, v INT);
        INSERT INTO tm SELECT SEC_TO_TIME((n-100)*1000.01), n FROM n;
        CREATE TABLE yr (k YEAR, i INT, v INT, PRIMARY KEY (k, i));
        INSERT INTO yr SELECT IF(n%3=0,0,1990+n%30), n, n FROM n;
        CREATE TABLE en (k ENUM('z','y','b','a'), i INT, v INT, PRIMARY KEY (k, i));
        INSERT INTO en SELECT 1+n%4, n, n FROM n;
        CREATE TABLE se (k SET('z','y','b','a'), i INT, v INT, PRIMARY KEY (k, i));
        INSERT INTO se SELECT n%16, n, n FROM n;
        CREATE TABLE bi (k BIT(64) PRIMARY KEY, v INT);
        INSERT INTO bi SELECT 18446744073709551615-CAST(n AS UNSIGNED)*92233720368547758, n FROM n;
        CREATE TABLE uns (k BIGINT UNSIGNED PRIMARY KEY, v INT);
        INSERT INTO uns SELECT 18446744073709551615-CAST(n AS UNSIGNED)*92233720368547758, n FROM n;
        CREATE TABLE neg (k SMALLINT PRIMARY KEY, v INT);
        INSERT INTO neg SELECT n-100, n FROM n;
        CREATE TABLE uk (k VARCHAR(20) COLLATE utf8mb4_unicode_ci NOT NULL, u INT NULL, v INT, UNIQUE KEY (u), UNIQUE KEY (k));
        INSERT INTO uk SELECT CONCAT('K', n), IF(n%5,n,NULL), n FROM n;
        CREATE TABLE prefix (k TEXT COLLATE utf8mb4_unicode_ci, v INT, PRIMARY KEY (k(6)));
        INSERT INTO prefix SELECT CONCAT(LPAD(n,6,'0'), REPEAT('tail',10)), n FROM n;
        CREATE TABLE l1 (k VARCHAR(20) CHARACTER SET latin1 COLLATE latin1_german2_ci PRIMARY KEY, v INT);
        INSERT IGNORE INTO l1 SELECT CONCAT(ELT(1+n%4,'ä','ae','AF','ß'), n DIV 4), n FROM n;
        CREATE TABLE u16 (k VARCHAR(20) CHARACTER SET utf16 COLLATE utf16_unicode_ci PRIMARY KEY, v INT);
        INSERT IGNORE INTO u16 SELECT CONCAT(ELT(1+n%4,'😀','ae','Ä','z'), n DIV 2), n FROM n;
        DROP TABLE n;
        """

    @Test(arguments: [TestServer.Family.mariadb, .mysql])
    func `chunks of few rows hold every row once`(_ family: TestServer.Family) async throws {
        guard TestServer.isAvailable(family) else { return }
        var f = try await CopyFixture(
            "snap_keys_\(family.rawValue)", from: family, to: family,
            """
            SET sql_mode='ALLOW_INVALID_DATES', time_zone='+00:00';
            CREATE TABLE n (n INT PRIMARY KEY);
            SET SESSION \(family == .mysql ? "cte_max_recursion_depth" : "max_recursive_iterations")=10000;
            INSERT INTO n WITH RECURSIVE r AS (SELECT 0 AS n UNION ALL SELECT n+1 FROM r WHERE n<199) SELECT n FROM r;
            \(Self.statements)
            """)
        try f.target.sql("SET GLOBAL local_infile=1")
        f.configuration.chunkRows = 7
        try await f.copy()
        for table in Self.tables {
            let (a, b) = try f.rows(table)
            #expect(a == b, "\(table)")
            #expect(a.count > 30, "\(table)")
            #expect(
                try f.chunks(table).count == (a.count + 6) / 7 + (a.count % 7 == 0 ? 1 : 0),
                "\(table)")
        }
    }

    /// Of several unique keys any may be chosen, also one that the optimizer is not to see.
    @Test(arguments: [TestServer.Family.mariadb, .mysql])
    func `a key that is hidden from the optimizer is no hindrance`(
        _ family: TestServer.Family
    ) async throws {
        guard TestServer.isAvailable(family) else { return }
        var f = try await CopyFixture(
            "snap_hidden_\(family.rawValue)", from: family, to: family,
            """
            CREATE TABLE hidden (k INT NOT NULL, w INT NOT NULL, UNIQUE b (k), UNIQUE a (w));
            INSERT INTO hidden VALUES (1,9),(2,8),(3,7),(4,6),(5,5);
            ALTER TABLE hidden ALTER INDEX a \(family == .mysql ? "INVISIBLE" : "IGNORED");
            """)
        f.configuration.chunkRows = 2
        try await f.copy()
        let (a, b) = try f.rows("hidden")
        #expect(a == b && a.count == 5)
    }
}
