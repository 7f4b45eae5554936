import MySQLClient
import MySQLCore
import TestServers
import Testing

@testable import Snapshot

@Suite(.enabled(if: TestServer.isAvailable(.mysql))) struct CrossFamilyTests {
    @Test func `MySQL definitions and values arrive on MariaDB`() async throws {
        let f = try await CopyFixture(
            "snap_cross_ym", from: .mysql, to: .mariadb,
            #"""
            CREATE TABLE p (id INT PRIMARY KEY, a VARCHAR(20) COLLATE utf8mb4_0900_ai_ci, b VARCHAR(20) CHARACTER SET utf8mb3,
              j JSON, inv INT INVISIBLE DEFAULT 5, d DATETIME(3) DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3),
              e VARCHAR(40) DEFAULT (UUID()), g INT GENERATED ALWAYS AS (id+1) STORED,
              h VARCHAR(30) GENERATED ALWAYS AS (CONCAT(a,_utf8mb4'x')) VIRTUAL, KEY ia (a) INVISIBLE, KEY da (b DESC),
              pt POINT NOT NULL SRID 4326, SPATIAL KEY (pt), CHECK (id > 0), CONSTRAINT c2 CHECK (LENGTH(a) > 100) NOT ENFORCED,
              ts TIMESTAMP NULL, u INT UNSIGNED ZEROFILL, FULLTEXT KEY ft (a) WITH PARSER ngram, dd DECIMAL(10,2) DEFAULT '1.50',
              bb BIT(3) DEFAULT b'101', tx TEXT DEFAULT ('abc'), js JSON DEFAULT (JSON_ARRAY()))
              ROW_FORMAT=DYNAMIC COMMENT='hi ''q'' \\ there' STATS_PERSISTENT=1 COMPRESSION='none';
            INSERT INTO p (id, a, b, j, pt) VALUES (1, 'ä', 'b', '{"k": [1, 2.5, "\\u00e9😀", null]}', ST_SRID(POINT(1,2),4326)),
              (2, NULL, NULL, NULL, ST_SRID(POINT(3,4),4326));
            CREATE TABLE q (id INT, dt DATE, PRIMARY KEY (id, dt)) PARTITION BY RANGE (YEAR(dt))
              (PARTITION p0 VALUES LESS THAN (2000), PARTITION p1 VALUES LESS THAN MAXVALUE);
            INSERT INTO q VALUES (1,'1999-01-01'),(2,'2020-01-01');
            CREATE TABLE child (id INT PRIMARY KEY, pid INT, FOREIGN KEY (pid) REFERENCES p (id) ON DELETE CASCADE) COMMENT 'c';
            INSERT INTO child VALUES (1,1),(2,NULL);
            """#)
        // MariaDB 10.11 has the collation's counterpart.
        try await f.copy()
        for table in ["q", "child"] { #expect(try f.agree(table), "\(table)") }
        let (a, b) = try f.rows("p")
        #expect(a.count == 2)
        #expect(a == b)
        let text = try f.target.sql("SHOW CREATE TABLE p", database: f.schema)
        for part in ["utf8mb4_uca1400_nopad_ai_ci", "INVISIBLE", "IGNORED", "PRIMARY", "SPATIAL"] {
            #expect(text.contains(part), "\(part)")
        }
        #expect(!text.contains("c2"))
        #expect(
            try f.target.sql("SHOW CREATE TABLE q", database: f.schema).contains(
                "PARTITION BY RANGE"))
    }

    @Test func `MariaDB definitions and values arrive on MySQL`() async throws {
        let f = try await CopyFixture(
            "snap_cross_my", from: .mariadb, to: .mysql,
            #"""
            CREATE TABLE p (id INT PRIMARY KEY, a VARCHAR(20) COLLATE utf8mb4_uca1400_nopad_ai_ci, b VARCHAR(20) CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci,
              j JSON, inv INT INVISIBLE DEFAULT 5, d DATETIME(3) DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3),
              e VARCHAR(40) DEFAULT UUID(), g INT GENERATED ALWAYS AS (id+1) STORED,
              h VARCHAR(30) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin GENERATED ALWAYS AS (CONCAT(id,_utf8mb4'x')) VIRTUAL, KEY ia (a) IGNORED,
              pt POINT NOT NULL, CHECK (id > 0), ts TIMESTAMP NULL, u INT UNSIGNED ZEROFILL, FULLTEXT KEY ft (b),
              dd DECIMAL(10,2) DEFAULT 1.50, bb BIT(3) DEFAULT b'101', tx TEXT DEFAULT 'abc', js JSON DEFAULT (JSON_ARRAY()),
              n INT DEFAULT (1+2), tt TEXT DEFAULT 'it''s \\', neg INT DEFAULT -5, cd DATE DEFAULT (CURDATE()), s8 VARCHAR(9) DEFAULT _utf8mb4'q',
              vc VARCHAR(100) COMPRESSED)
              CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci ROW_FORMAT=DYNAMIC COMMENT='hi ''q'' \\ there' TRANSACTIONAL=1;
            INSERT INTO p (id, a, b, j, pt, vc) VALUES (1, 'ä', 'b', '{"k":  [1, 2.50, "é😀", null]}', POINT(1,2), REPEAT('z',100)),
              (2, NULL, NULL, NULL, POINT(3,4), NULL);
            CREATE TABLE q (id INT, dt DATE, PRIMARY KEY (id, dt)) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PAGE_COMPRESSED=1 PARTITION BY RANGE (YEAR(dt))
              (PARTITION p0 VALUES LESS THAN (2000), PARTITION p1 VALUES LESS THAN MAXVALUE);
            INSERT INTO q VALUES (1,'1999-01-01'),(2,'2020-01-01');
            """#)
        try f.target.sql("SET GLOBAL local_infile=1")
        try await f.copy()
        for table in ["p", "q"] {
            let (a, b) = try f.rows(table)
            #expect(a == b)
            #expect(a.count == 2)
        }
        let text = try f.target.sql("SHOW CREATE TABLE p", database: f.schema)
        for part in ["utf8mb4_0900_ai_ci", "INVISIBLE", "json_valid", "(uuid())"] {
            #expect(text.contains(part), "\(part)")
        }
    }

    @Test func `what has no counterpart is refused by name`() async throws {
        let uuid = try await CopyFixture(
            "snap_cross_uuid", from: .mariadb, to: .mysql,
            "CREATE TABLE t (id INT PRIMARY KEY, u UUID) CHARACTER SET latin1")
        await #expect {
            try await uuid.copy()
        } throws: {
            "\($0)".contains("snap_cross_uuid.t, column `u`")
        }
        let index = try await CopyFixture(
            "snap_cross_expr", from: .mysql, to: .mariadb,
            "CREATE TABLE t (id INT PRIMARY KEY, KEY fx ((id+1)))")
        await #expect {
            try await index.copy()
        } throws: {
            "\($0)".contains("index `fx`")
        }
        let pad = try await CopyFixture(
            "snap_cross_pad", from: .mariadb, to: .mysql,
            """
            CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(9) COLLATE utf8mb4_uca1400_ai_ci)
              COLLATE utf8mb4_bin
            """)
        await #expect {
            try await pad.copy()
        } throws: {
            "\($0)".contains("column `v`: the target has no collation")
        }
    }
}
