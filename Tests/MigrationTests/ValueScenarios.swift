import TestServers

extension Scenario {
    /// Changes that take every row of a table `t` with a key `id` through insert, update, delete.
    private static let churn = """
        SET sql_mode='ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO';
        CREATE TEMPORARY TABLE kept AS SELECT * FROM t;
        UPDATE t SET id=id+1000 ORDER BY id DESC; DELETE FROM t WHERE id % 2 = 0;
        INSERT INTO t SELECT * FROM kept; UPDATE t SET tag=CONCAT(tag, '!');
        DELETE FROM t WHERE id % 3 = 0 AND id < 1000;
        """

    /// Values at the edges of types, through copy and replication.
    static let values: [Scenario] = [
        Scenario(
            name: "whole numbers at their limits",
            tables: """
                CREATE TABLE t (id INT PRIMARY KEY, tag VARCHAR(9), a TINYINT, b TINYINT UNSIGNED, c SMALLINT,
                    d SMALLINT UNSIGNED, e MEDIUMINT, f MEDIUMINT UNSIGNED, g INT, h INT UNSIGNED, i BIGINT,
                    j BIGINT UNSIGNED, k BIT(1), l BIT(64), m BOOLEAN);
                INSERT INTO t VALUES (0,'',-128,0,-32768,0,-8388608,0,-2147483648,0,-9223372036854775808,0,b'0',0,0),
                    (1,'',127,255,32767,65535,8388607,16777215,2147483647,4294967295,9223372036854775807,
                    18446744073709551615,b'1',18446744073709551615,1),
                    (2,'',-1,128,-1,32768,-1,8388608,-1,2147483648,-1,9223372036854775808,NULL,9223372036854775808,NULL),
                    (3,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
                """, changes: churn),
        Scenario(
            name: "decimals and floating point",
            tables: """
                CREATE TABLE t (id INT PRIMARY KEY, tag VARCHAR(9), a DECIMAL(65,30), b DECIMAL(65,0),
                    c DECIMAL(5,5), d FLOAT, e DOUBLE, f DECIMAL(9,0), g DECIMAL(10,9));
                INSERT INTO t VALUES
                    (1,'',99999999999999999999999999999999999.999999999999999999999999999999,
                    99999999999999999999999999999999999999999999999999999999999999999,0.99999,3.4028234e38,
                    1.7976931348623157e308,999999999,9.999999999),
                    (2,'',-99999999999999999999999999999999999.999999999999999999999999999999,
                    -99999999999999999999999999999999999999999999999999999999999999999,-0.99999,-3.4028234e38,
                    -1.7976931348623157e308,-1,-9.999999999),
                    (3,'',0.000000000000000000000000000001,0,0.00001,1.4e-45,4.9e-324,0,0.000000001),
                    (4,'',-0.5,-1,-0.00001,-1.17549e-38,-2.2250738585072014e-308,1,-0.5),
                    (5,'',1.1,1000000000,0.1,0.1,0.1,100000000,1),(6,'',0,0,0,-0e0,-0e0,0,0),
                    (7,'',0,0,0,16777217,9007199254740993,0,0),(8,'',0,0,0,1234567.9,123456789.12345678,0,0);
                """, changes: churn),
        Scenario(
            name: "dates, times, zero and invalid ones",
            tables: """
                SET sql_mode='ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO';
                CREATE TABLE t (id INT PRIMARY KEY, tag VARCHAR(9), a DATE, b DATETIME, c DATETIME(6),
                    d TIMESTAMP NULL, e TIMESTAMP(3) NULL, f TIME, g TIME(6), h YEAR, i DATETIME(1), j TIME(2));
                INSERT INTO t VALUES
                    (1,'','0000-00-00','0000-00-00 00:00:00','0000-00-00 00:00:00.000000','0000-00-00 00:00:00',
                    '0000-00-00 00:00:00','00:00:00','-00:00:00.000001','0000','0000-00-00',0),
                    (2,'','2024-02-30','2023-02-31 23:59:59','1000-01-01 00:00:00.000001','1970-01-01 00:00:01',
                    '1970-01-01 00:00:01.001','-838:59:59','-838:59:59.000000','1901','1000-01-01 00:00:00.1','-00:00:00.01'),
                    (3,'','9999-12-31','9999-12-31 23:59:59','9999-12-31 23:59:59.999999','2038-01-19 03:14:07',
                    '2038-01-19 03:14:07.999','838:59:59','838:59:59.000000','2155','9999-12-31 23:59:59.9','838:59:58.99'),
                    (4,'','2024-00-00','2024-12-00 12:00:00','2024-00-10 00:00:00','2024-03-31 01:30:00',
                    '2024-10-27 00:30:00.5','-00:00:01','-12:34:56.123456','1970','0001-01-01','-00:00:01.50'),
                    (5,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
                """, changes: churn),
        Scenario(
            name: "strings of many charsets",
            tables: """
                CREATE TABLE t (id INT PRIMARY KEY, tag VARCHAR(9), a VARCHAR(50) CHARACTER SET latin1,
                    b VARCHAR(50) CHARACTER SET utf8mb4, c VARCHAR(50) CHARACTER SET utf16, d CHAR(50) CHARACTER SET sjis,
                    e TEXT CHARACTER SET ucs2, f CHAR(10) CHARACTER SET utf8mb3, g VARCHAR(50) CHARACTER SET cp1251,
                    h VARCHAR(50) CHARACTER SET gbk, i LONGTEXT CHARACTER SET utf32, j CHAR(8) CHARACTER SET ascii,
                    k VARCHAR(50) CHARACTER SET eucjpms, l VARCHAR(20) CHARACTER SET big5, m TINYTEXT CHARACTER SET koi8r);
                INSERT INTO t VALUES
                    (1,'','naïve ÿ','😀𝒳 ﷽','😀é','ソ表 テスト','žš','ěščř','Привет','中文字','𐍈 mixed','plain','日本語','中文','Привет'),
                    (2,'','','','','','','','','','','','','',''),
                    (3,'','quote''s \\\\ \\0 \\Z \\n"`','''\\\\''\\0\\r\\n%_','\\\\''','表''\\\\','\\\\','\\0','\\\\"','\\\\''','\\0','\\\\''','\\\\''','\\\\''','\\\\'''),
                    (4,'',' pad ','  ',' x ',' ',' x','é ',' ',' ',' ',' ',' ',' ',' '),
                    (5,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
                INSERT INTO t (id, tag, a) VALUES (6, '', X'80FF9F81'); INSERT INTO t (id, tag, d) VALUES (7, '', X'835C955C');
                """, changes: churn),
        Scenario(
            name: "binary strings, ENUM, SET, long texts",
            tables: """
                CREATE TABLE t (id INT PRIMARY KEY, tag VARCHAR(9), a BINARY(5), b VARBINARY(300), c TINYBLOB, d BLOB,
                    e MEDIUMBLOB, f LONGBLOB, g ENUM('a','b''c','é','') CHARACTER SET utf8mb4, h SET('x','y','z ''q'),
                    i MEDIUMTEXT, j VARCHAR(300));
                INSERT INTO t VALUES (1,'',X'6100',X'00FF5C27',X'00',X'270D0A1A5C',REPEAT(X'00FF',40000),REPEAT('x',300000),
                    'b''c','x,z ''q',REPEAT('é',70000),REPEAT('ß',300)),(2,'','','','','','','','','','',''),
                    (3,'',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL),
                    (4,'',X'FFFFFFFFFF',REPEAT(X'FF',300),REPEAT('t',255),REPEAT(X'00',65535),'m','l','é','x,y,z ''q','i','j');
                """, changes: churn),
        Scenario(
            name: "JSON",
            tables: """
                CREATE TABLE t (id INT PRIMARY KEY, tag VARCHAR(9), j JSON);
                INSERT INTO t VALUES (1,'','{"a": [1, -2.5, 1e100, true, null, "é😀\\\\u0000\\\\n\\\\"q"], "b": {"": {}}}'),
                    (2,'','[]'),(3,'','"text"'),(4,'','18446744073709551615'),(5,'',NULL),(6,'','null'),
                    (7,'','[[[[[[[[[[1]]]]]]]]]]'),(8,'',CONCAT('["', REPEAT('long', 30000), '"]')),(9,'','-9223372036854775808'),
                    (10,'','{"z": 1, "aa": 2, "a": 0.1, "é": 1.5e-7}'),(11,'',CONCAT('[1', REPEAT(',1',40000), ']'));
                """,
            changes: churn
                + """

                UPDATE t SET j=JSON_SET(j, '$.a', 5, '$.new', 'x') WHERE id IN (1,1001,10);
                UPDATE t SET j=JSON_REMOVE(j, '$.a') WHERE id=1001; UPDATE t SET j=JSON_REPLACE(j, '$[0]', 'r') WHERE id=1011;
                """, crosses: false),
        Scenario(
            name: "names with quotes, spaces, backticks and Unicode",
            tables: """
                CREATE TABLE `a``b "c" 'd' é 名` (`id``x` INT PRIMARY KEY, `v'al "ue"` VARCHAR(20), `select` INT, `名 前` INT,
                    UNIQUE KEY `ke``y` (`名 前`));
                CREATE TABLE `%s{}$1;--` (`/*` INT PRIMARY KEY, `#` INT, `\\\\` TEXT);
                CREATE TABLE UPPER_lower (ID INT PRIMARY KEY, MixedCase INT);
                INSERT INTO `a``b "c" 'd' é 名` VALUES (1,'x',1,1),(2,'y',2,2); INSERT INTO `%s{}$1;--` VALUES (1,1,'\\\\');
                INSERT INTO UPPER_lower VALUES (1,1);
                """,
            changes: """
                INSERT INTO `a``b "c" 'd' é 名` VALUES (3,'z',3,3); UPDATE `a``b "c" 'd' é 名` SET `select`=9, `名 前`=`名 前`+10;
                DELETE FROM `a``b "c" 'd' é 名` WHERE `id``x`=2; UPDATE `%s{}$1;--` SET `#`=2, `\\\\`='x'; INSERT INTO `%s{}$1;--` VALUES (2,2,NULL);
                UPDATE UPPER_lower SET MixedCase=2; INSERT INTO UPPER_lower VALUES (2,2); DELETE FROM UPPER_lower WHERE id=1;
                """),
        Scenario(
            name: "modes, defaults, invisible columns, a row numbered 0",
            tables: """
                SET sql_mode='ANSI_QUOTES,NO_BACKSLASH_ESCAPES,NO_AUTO_VALUE_ON_ZERO,PIPES_AS_CONCAT';
                CREATE TABLE "t" ("id" INT AUTO_INCREMENT PRIMARY KEY, "tag" VARCHAR(20) DEFAULT 'a\\b''"',
                    "u" VARCHAR(36) DEFAULT (CONCAT('x', 'y')), "h" INT INVISIBLE DEFAULT 7, "c" CHAR(3) COMMENT 'it''s a \\');
                INSERT INTO t (id, tag) VALUES (0,'zero'),(5,'\\\\n'); INSERT INTO t (tag, h) VALUES (DEFAULT, 8);
                """,
            changes: """
                SET sql_mode='NO_BACKSLASH_ESCAPES,NO_AUTO_VALUE_ON_ZERO';
                UPDATE t SET tag='back\\slash' WHERE id=0; INSERT INTO t (id, tag, h) VALUES (-1,'neg',NULL);
                DELETE FROM t WHERE id=0; INSERT INTO t (id, tag) VALUES (0,'again'); UPDATE t SET h=h+1; INSERT INTO t (tag) VALUES ('auto');
                """),
        Scenario(
            name: "partitions, many columns, rolled back work",
            tables: """
                CREATE TABLE parted (id INT, at DATE, v INT, PRIMARY KEY (id, at)) PARTITION BY RANGE (YEAR(at))
                    (PARTITION p0 VALUES LESS THAN (2024), PARTITION p1 VALUES LESS THAN MAXVALUE);
                INSERT INTO parted VALUES (1,'2023-01-01',1),(2,'2025-01-01',2);
                CREATE TABLE wide (id INT PRIMARY KEY,
                """
                    + (0..<300).map { "c\($0) SMALLINT DEFAULT \($0 % 7 == 0 ? "NULL" : "\($0)")" }
                    .joined(separator: ",") + "); INSERT INTO wide (id) VALUES (1),(2),(3);",
            changes: """
                UPDATE parted SET at='2025-05-05', v=9 WHERE id=1; INSERT INTO parted VALUES (3,'2020-02-29',3); DELETE FROM parted WHERE id=2;
                UPDATE wide SET c299=-1, c0=5 WHERE id=2; INSERT INTO wide (id, c7) VALUES (9, 1); DELETE FROM wide WHERE id=1;
                START TRANSACTION; DELETE FROM wide; DELETE FROM parted; ROLLBACK;
                START TRANSACTION; UPDATE wide SET c1=1; SAVEPOINT s; DELETE FROM wide; ROLLBACK TO SAVEPOINT s; UPDATE wide SET c2=2; COMMIT;
                """),
        Scenario(
            name: "geometry",
            tables: """
                CREATE TABLE t (id INT PRIMARY KEY, tag VARCHAR(9), g GEOMETRY, p POINT NOT NULL, l LINESTRING);
                INSERT INTO t VALUES (1,'',ST_GeomFromText('POLYGON((0 0,1 0,1 1,0 0))'),ST_GeomFromText('POINT(1.5 -2)'),NULL),
                    (2,'',NULL,ST_GeomFromText('POINT(0 0)'),ST_GeomFromText('LINESTRING(0 0,1 1,2 0.1)'));
                """, changes: churn),
        Scenario(
            name: "types of MariaDB alone",
            tables: """
                CREATE TABLE t (id INT PRIMARY KEY, tag VARCHAR(9), u UUID, i INET6, n INET4, c VARCHAR(20) COMPRESSED, UNIQUE KEY (u));
                CREATE TABLE twins (u UUID, i INET6, n INET4);
                INSERT INTO twins VALUES ('123e4567-e89b-12d3-a456-426614174000','::ffff:1.2.3.4','1.2.3.0'),
                    ('123e4567-e89b-12d3-a456-426614174000','::ffff:1.2.3.4','1.2.3.0'),(NULL,NULL,NULL);
                INSERT INTO t VALUES (1,'','123e4567-e89b-12d3-a456-426614174000','::1','1.2.3.4',REPEAT('c',20)),
                    (2,'',NULL,NULL,NULL,NULL),(3,'','ffffffff-ffff-ffff-ffff-ffffffffffff','2001:db8::ff','255.255.255.255','');
                """,
            changes: """
                UPDATE t SET id=id+10; INSERT INTO t VALUES (1,'','00000000-0000-0000-0000-000000000000','::','0.0.0.0','x');
                DELETE FROM t WHERE id=13; DELETE FROM twins LIMIT 1; UPDATE twins SET i='::' WHERE i IS NOT NULL; DELETE FROM twins WHERE u IS NULL;
                """, families: [.mariadb]),
    ]
}
