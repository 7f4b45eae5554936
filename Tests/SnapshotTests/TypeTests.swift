import MySQLClient
import MySQLCore
import Rules
import TestServers
import Testing

@testable import Snapshot

/// Every type with its edge values, through `LOAD DATA` and through INSERT.
@Suite struct TypeTests {
    @Test(arguments: [true, false])
    func `values of every type arrive as they are on MariaDB`(load: Bool) async throws {
        var f = try await CopyFixture(
            "snap_types_m\(load ? 1 : 2)",
            common
                + """
                CREATE TABLE special (id INT PRIMARY KEY, u UUID, i6 INET6, i4 INET4, j JSON);
                INSERT INTO special VALUES (1,'123e4567-e89b-12d3-a456-426655440000','2001:db8::ff00:42:8329','192.168.0.1','{"a": [1, 2.50, "x\\\\\\\\y"]}'),
                (2,'00000000-0000-0000-0000-000000000000','::','0.0.0.0','null'),(3,NULL,NULL,NULL,NULL);
                """)
        f.configuration.allowsLoadData = load
        f.configuration.chunkRows = 3
        try await f.copy()
        for table in commonTables + ["special"] {
            let (a, b) = try f.rows(table)
            #expect(a == b, "\(table)")
            #expect(!a.isEmpty)
        }
    }

    @Test(.enabled(if: TestServer.isAvailable(.mysql)), arguments: [true, false])
    func `values of every type arrive as they are on MySQL`(load: Bool) async throws {
        var f = try await CopyFixture(
            "snap_types_y\(load ? 1 : 2)", from: .mysql, to: .mysql,
            common
                + """
                CREATE TABLE special (id INT PRIMARY KEY, j JSON, v VECTOR(3), p POINT SRID 4326);
                INSERT INTO special VALUES
                (1,'{"a": [1, 2.50, 1e100, "x\\\\\\\\y\\\\u00e9 😀"], "": {}}',TO_VECTOR('[1,-2,3.5]'),ST_SRID(POINT(10,20),4326)),
                (2,'null',NULL,NULL),(3,NULL,NULL,NULL),
                (4,JSON_OBJECT('d', CAST('2020-01-01 10:00:00' AS DATETIME), 'b', 18446744073709551615),NULL,NULL);
                """)
        try f.target.sql("SET GLOBAL local_infile=1")
        f.configuration.allowsLoadData = load
        f.configuration.chunkRows = 3
        try await f.copy()
        for table in commonTables + ["special"] {
            let (a, b) = try f.rows(table)
            #expect(a == b, "\(table)")
            #expect(!a.isEmpty)
        }
    }

    let commonTables = ["ints", "reals", "times", "texts", "bytes", "odd", "shapes", "charsets"]

    /// Statements that both families take.
    let common = #"""
        SET sql_mode='ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO', time_zone='+00:00';
        CREATE TABLE ints (id BIGINT UNSIGNED PRIMARY KEY AUTO_INCREMENT, t TINYINT, tu TINYINT UNSIGNED,
          s SMALLINT, su SMALLINT UNSIGNED, m MEDIUMINT, mu MEDIUMINT UNSIGNED, i INT, iu INT UNSIGNED,
          b BIGINT, bu BIGINT UNSIGNED, b1 BIT(1), b7 BIT(7), b64 BIT(64), y YEAR, bo BOOLEAN);
        INSERT INTO ints VALUES (0,-128,0,-32768,0,-8388608,0,-2147483648,0,-9223372036854775808,0,b'0',b'0',b'0',0,0),
          (1,127,255,32767,65535,8388607,16777215,2147483647,4294967295,9223372036854775807,18446744073709551615,b'1',b'1011100',
           b'1111111111111111111111111111111111111111111111111111111111111111',2155,1),
          (2,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL),
          (3,9,10,9,10,9,10,9,10,9,10,b'0',0x09,0x0A5C09000A272200,1901,9),
          (18446744073709551610,0,0,0,0,0,0,0,0,0,0,0,0x5C,0x5C,1999,0);
        CREATE TABLE reals (id INT PRIMARY KEY, f FLOAT, d DOUBLE, fd FLOAT(7,3), dd DOUBLE(20,5), e DECIMAL(65,30), e2 DECIMAL(10,0), e3 DECIMAL(5,5) UNSIGNED);
        INSERT INTO reals VALUES (1,3.14159274,3.141592653589793,1234.567,123456789012345.12345,12345678901234567890123456789012345.123456789012345678901234567890,9999999999,0.99999),
          (2,1.17549435e-38,2.2250738585072014e-308,-0.001,-0.00001,-0.000000000000000000000000000001,-9999999999,0),
          (3,3.40282347e38,1.7976931348623157e308,0,0,0,0,0),(4,16777217,0.1,0,0,0,0,0),(5,-0.0e0,-0.0e0,0,0,0,0,0),
          (6,1e-45,5e-324,0,0,0,0,0),(7,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
        CREATE TABLE times (id INT PRIMARY KEY, d DATE, t TIME, t6 TIME(6), dt DATETIME, dt6 DATETIME(6), ts TIMESTAMP NULL, ts6 TIMESTAMP(6) NULL);
        INSERT INTO times VALUES (1,'0000-00-00','-838:59:59','-838:59:59.000000','0000-00-00','0000-00-00','0000-00-00','0000-00-00'),
          (2,'9999-12-31','838:59:59','838:59:58.999999','9999-12-31 23:59:59','9999-12-31 23:59:59.999999','2038-01-19 03:14:07','2038-01-19 03:14:07.999999'),
          (3,'2023-02-31','-00:00:01','-00:00:00.000001','2023-02-31 12:00:00','2023-00-00 00:00:00','1970-01-01 00:00:01','1970-01-01 00:00:01.000001'),
          (4,'2023-00-00','00:00:00','00:00:00','1000-01-01','0001-01-01','2024-03-31 02:30:00','2024-10-27 01:30:00.5'),
          (5,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
        CREATE TABLE texts (id INT PRIMARY KEY, c CHAR(10), v VARCHAR(300), tt TINYTEXT, x TEXT, mt MEDIUMTEXT, lt LONGTEXT) CHARACTER SET utf8mb4;
        INSERT INTO texts VALUES (1,'','','','','',''),(2,'a  ','a  ','a\tb','a\nb','a\\b','a\0b'),
          (3,'\\N','NULL','\\','''"`','\r\n','😀é'),(4,NULL,NULL,NULL,NULL,NULL,NULL),(5,'tab\t','\n','\Z','\b','\0','\\\\'),
          (6,'0','1','-','x','y',REPEAT('long\t\\',100000));
        CREATE TABLE bytes (id INT PRIMARY KEY, b BINARY(6), v VARBINARY(300), t TINYBLOB, bl BLOB, mb MEDIUMBLOB, lb LONGBLOB);
        INSERT INTO bytes VALUES (1,'',x'',x'',x'',x'',x''),(2,x'00',x'00',x'0000',x'FF',x'FFFE',x'5C'),(3,x'090A5C00270D',x'090A5C00270D22',x'5C4E',x'C328',x'E28082',x'F0'),
          (4,NULL,NULL,NULL,NULL,NULL,NULL),(5,'a  ','a  ','a ','a','a',REPEAT(x'005C0A09FF',50000));
        CREATE TABLE odd (id INT PRIMARY KEY, e ENUM('','a','1','2','x,y','Ä') CHARACTER SET latin1, e2 ENUM('p','q') NOT NULL, s SET('a','b','c d','1','é') CHARACTER SET utf8mb4,
          `we``ird "näme'` INT, g INT GENERATED ALWAYS AS (id+1) STORED, g2 INT GENERATED ALWAYS AS (id+2) VIRTUAL, `inv` INT DEFAULT 7);
        INSERT IGNORE INTO odd (id,e,e2,s,`we``ird "näme'`) VALUES (1,'','p','',1),(2,'bad','bad','a,b',2),(3,'1','q','1,é',3),(4,'2','p','c d',4),(5,'x,y','q',NULL,NULL),(6,NULL,'p','a,b,c d,1,é',6),(7,'Ä','q','a',7);
        CREATE TABLE shapes (id INT PRIMARY KEY, g GEOMETRY, p POINT, l LINESTRING, po POLYGON, gc GEOMETRYCOLLECTION, mp MULTIPOINT);
        INSERT INTO shapes VALUES (1,ST_GeomFromText('POINT(1 2)'),ST_GeomFromText('POINT(-1.5 1e100)'),ST_GeomFromText('LINESTRING(0 0,1 1,9 10)'),
          ST_GeomFromText('POLYGON((0 0,10 0,10 10,0 10,0 0))'),ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 1),LINESTRING(0 0,1 1))'),ST_GeomFromText('MULTIPOINT(1 1,2 2)')),
          (2,NULL,NULL,NULL,NULL,NULL,NULL);
        CREATE TABLE charsets (id INT PRIMARY KEY, l1 VARCHAR(50) CHARACTER SET latin1, u3 VARCHAR(50) CHARACTER SET utf8mb3, u2 VARCHAR(50) CHARACTER SET ucs2,
          u16 VARCHAR(50) CHARACTER SET utf16, u32 VARCHAR(50) CHARACTER SET utf32, gb VARCHAR(50) CHARACTER SET gbk, sj VARCHAR(50) CHARACTER SET sjis, b5 VARCHAR(50) CHARACTER SET big5,
          k8 VARCHAR(50) CHARACTER SET koi8r, asc1 VARCHAR(50) CHARACTER SET ascii, ej VARCHAR(50) CHARACTER SET ujis, ek VARCHAR(50) CHARACTER SET euckr, cp TEXT CHARACTER SET cp1251);
        INSERT INTO charsets VALUES (1,'é\\ÿ','é€','é€\n','😀\\','😀\t','一\\誠','ソ表','功\\','Привет','a\\','日本','한국','Привет'),
          (2,_latin1 x'80818D8FFF',x'E0A080',_ucs2 x'005C000A',_utf16 x'D83DDE00005C',_utf32 x'0001F6000000005C',_gbk x'815C',_sjis x'835C5C',_big5 x'A55C','x','x',_ujis x'8FB0A1',_euckr x'B0A1','x'),
          (3,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL),(4,'','','','','','','','','','','','','');
        """#
}
