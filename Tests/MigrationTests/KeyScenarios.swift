extension Scenario {
    /// What keys do: swaps, equal-but-different strings, moves, absence.
    static let keys: [Scenario] = [
        Scenario(
            name: "values of several unique keys swap inside a transaction",
            tables: """
                CREATE TABLE swaps (id INT PRIMARY KEY, a INT UNIQUE, b VARCHAR(20) NOT NULL, c INT,
                    UNIQUE KEY bc (b, c), UNIQUE KEY c (c));
                INSERT INTO swaps VALUES (1,1,'one',1),(2,2,'two',2),(3,3,'three',3),(4,4,'four',4),
                    (5,NULL,'five',NULL),(6,NULL,'five',NULL);
                """,
            changes: """
                START TRANSACTION; UPDATE swaps SET a=-1 WHERE id=1; UPDATE swaps SET a=1 WHERE id=2;
                UPDATE swaps SET a=2 WHERE id=1; COMMIT;
                START TRANSACTION; DELETE FROM swaps WHERE id=3;
                UPDATE swaps SET a=3, c=3 WHERE id=4; INSERT INTO swaps VALUES (3,4,'four',4); COMMIT;
                UPDATE swaps SET a=a+1 WHERE a IS NOT NULL ORDER BY a DESC;
                UPDATE swaps SET id=id+1 ORDER BY id DESC;
                REPLACE INTO swaps VALUES (50, 2, 'three', 2);
                INSERT INTO swaps VALUES (60, 3, 'x', 70) ON DUPLICATE KEY UPDATE a=600, c=1000;
                START TRANSACTION; UPDATE swaps SET c=NULL; UPDATE swaps SET c=id*2; COMMIT;
                """),
        Scenario(
            name: "what refuses a change goes before it by an action",
            tables: """
                CREATE TABLE ord (id INT PRIMARY KEY);
                CREATE TABLE prod (id INT PRIMARY KEY);
                CREATE TABLE line (o INT, p INT, PRIMARY KEY (o, p),
                    CONSTRAINT lo FOREIGN KEY (o) REFERENCES ord (id) ON DELETE CASCADE,
                    CONSTRAINT lp FOREIGN KEY (p) REFERENCES prod (id));
                CREATE TABLE note (id INT PRIMARY KEY, o INT, p INT,
                    CONSTRAINT n FOREIGN KEY (o, p) REFERENCES line (o, p) ON DELETE CASCADE);
                CREATE TABLE ad (id INT PRIMARY KEY);
                CREATE TABLE shown (id INT PRIMARY KEY, big INT, small INT,
                    CONSTRAINT sb FOREIGN KEY (big) REFERENCES ad (id) ON DELETE CASCADE,
                    CONSTRAINT ss FOREIGN KEY (small) REFERENCES ad (id));
                INSERT INTO ord VALUES (1),(2),(3),(4),(17); INSERT INTO prod VALUES (1),(2),(3),(4),(5),(9);
                INSERT INTO line VALUES (1,1),(2,2),(2,3),(3,4),(17,5); INSERT INTO note VALUES (1,17,5),(2,3,4);
                INSERT INTO ad VALUES (1),(2),(3),(4),(5); INSERT INTO shown VALUES (1,2,1),(2,5,4);
                CREATE TABLE back (id INT PRIMARY KEY, n INT, CONSTRAINT b FOREIGN KEY (n) REFERENCES note (id));
                INSERT INTO prod VALUES (11); INSERT INTO line VALUES (4,11); INSERT INTO note VALUES (3,4,11); INSERT INTO back VALUES (1,3);
                """,
            changes: """
                DELETE FROM prod WHERE id=9; DELETE FROM ord WHERE id=17; DELETE FROM prod WHERE id=5;
                DELETE FROM ord WHERE id=1; UPDATE prod SET id=10 WHERE id=1; DELETE FROM ord WHERE id=2;
                START TRANSACTION; DELETE FROM prod WHERE id=3; DELETE FROM ord WHERE id=3;
                DELETE FROM prod WHERE id IN (2,4); COMMIT;
                DELETE FROM back; DELETE FROM ord WHERE id=4; DELETE FROM prod WHERE id=11;
                DELETE FROM ad WHERE id=2; DELETE FROM ad WHERE id=1; DELETE FROM ad WHERE id>2 ORDER BY id DESC;
                """, isBacklog: true),
        Scenario(
            name: "rows change places under their only key",
            tables: """
                CREATE TABLE places (id INT PRIMARY KEY, v VARCHAR(20));
                INSERT INTO places VALUES (0,'zero'),(1,'a'),(2,'b'),(3,'c'),(4,'d'),(5,'e');
                """,
            changes: """
                START TRANSACTION; UPDATE places SET id=100 WHERE id=1; UPDATE places SET id=1 WHERE id=2;
                UPDATE places SET id=2 WHERE id=100; COMMIT;
                START TRANSACTION; DELETE FROM places WHERE id=3; INSERT INTO places VALUES (3,'again'); COMMIT;
                START TRANSACTION; INSERT INTO places VALUES (9,'short'); UPDATE places SET v='life' WHERE id=9;
                DELETE FROM places WHERE id=9; COMMIT;
                START TRANSACTION; UPDATE places SET v='x' WHERE id=4; UPDATE places SET v='d' WHERE id=4; COMMIT;
                INSERT INTO places VALUES (10,'x'); UPDATE places SET id=11 WHERE id=10;
                INSERT INTO places VALUES (10,'y'); DELETE FROM places WHERE id=11;
                UPDATE places SET id=11 WHERE id=10; INSERT INTO places VALUES (-2147483648, 'min');
                UPDATE places SET id=id+1 WHERE id>0 ORDER BY id DESC; DELETE FROM places WHERE id=0;
                INSERT INTO places VALUES (0,'null again');
                """),
        Scenario(
            name: "string keys without case and accents",
            tables: """
                CREATE TABLE ci (k VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci PRIMARY KEY, v INT);
                CREATE TABLE ci2 (id INT PRIMARY KEY,
                    k VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci UNIQUE, v INT);
                CREATE TABLE prefixed (id INT PRIMARY KEY,
                    k VARCHAR(20) CHARACTER SET latin1 COLLATE latin1_swedish_ci, UNIQUE KEY (k(3)));
                INSERT INTO ci VALUES ('a',1),('Straße',2),('ÉTÉ',3),('x',4),('pad',5);
                INSERT INTO ci2 VALUES (1,'a',1),(2,'Été',2),(3,'z',3),(4,NULL,4);
                INSERT INTO prefixed VALUES (1,'abcdef'),(2,'bcdxxx'),(3,NULL);
                """,
            changes: """
                UPDATE ci SET k='A' WHERE k='a'; UPDATE ci SET k='á' WHERE k='a'; UPDATE ci SET k='STRASSE' WHERE v=2;
                START TRANSACTION; DELETE FROM ci WHERE k='ete'; INSERT INTO ci VALUES ('été',30); COMMIT;
                UPDATE ci SET k='Pad ' WHERE v=5;
                START TRANSACTION; UPDATE ci SET k='tmp' WHERE k='a'; UPDATE ci SET k='À' WHERE k='x';
                UPDATE ci SET k='X' WHERE k='tmp'; COMMIT;
                UPDATE ci2 SET k='A' WHERE id=1; UPDATE ci2 SET k=NULL WHERE id=2; INSERT INTO ci2 VALUES (5,'ete',5);
                DELETE FROM ci2 WHERE id=5; UPDATE ci2 SET k='ÉTÉ' WHERE id=3; INSERT INTO ci2 VALUES (6,'Z',6);
                UPDATE prefixed SET k='zzz' WHERE id=1; UPDATE prefixed SET k='ABCnew' WHERE id=2;
                UPDATE prefixed SET k='bcdold' WHERE id=1; INSERT INTO prefixed VALUES (9,'zzZtop');
                """),
        Scenario(
            name: "binary and composite keys",
            tables: """
                CREATE TABLE bin (k VARBINARY(16) PRIMARY KEY, v INT);
                CREATE TABLE fixed (k BINARY(4), n INT, v INT, PRIMARY KEY (n, k));
                CREATE TABLE parts (a VARCHAR(10), b DATE, c DECIMAL(10,3), v TEXT, PRIMARY KEY (a, b, c));
                INSERT INTO bin VALUES ('', 0),('a',1),(X'6100',2),(X'00',3),(X'FFFE',4),(X'275C',5);
                INSERT INTO fixed VALUES (X'61',1,1),(X'61620000',1,2),(X'00000000',1,3);
                INSERT INTO parts VALUES ('x','2024-01-01',1.5,'v'),('X ','2024-01-02',-0.001,'w');
                """,
            changes: """
                UPDATE bin SET v=v+10; UPDATE bin SET k=X'610000' WHERE k=X'6100'; DELETE FROM bin WHERE k=X'00';
                INSERT INTO bin VALUES ('A',7),(X'61FF',8); UPDATE bin SET k='' WHERE k='A' AND v<0;
                DELETE FROM bin WHERE k=''; INSERT INTO bin VALUES ('',100);
                UPDATE fixed SET v=v+10; UPDATE fixed SET n=2 WHERE k=X'61000000'; DELETE FROM fixed WHERE v=13;
                INSERT INTO fixed VALUES (X'61',1,99);
                UPDATE parts SET v='changed'; UPDATE parts SET c=c*2; UPDATE parts SET a='y', b='0001-01-01' WHERE a='x' LIMIT 1;
                DELETE FROM parts WHERE b='2024-01-02'; INSERT INTO parts VALUES ('','9999-12-31',9999999.999,NULL);
                """),
        Scenario(
            name: "tables without a key, twins counted",
            tables: """
                CREATE TABLE twins (a INT, b VARCHAR(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci,
                    c FLOAT, d DOUBLE, e DATETIME(3), f BLOB, g BIT(3), h DECIMAL(5,2), i TIME(6), j CHAR(5));
                INSERT INTO twins VALUES (1,'a',0.1,0.1,'2024-01-01 00:00:00.001','x',b'101',1.1,'-10:00:00.5','é'),
                    (1,'a',0.1,0.1,'2024-01-01 00:00:00.001','x',b'101',1.1,'-10:00:00.5','é'),
                    (1,'A',0.1,0.1,'2024-01-01 00:00:00.001','X',b'101',1.1,'-10:00:00.5','É'),
                    (NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL),(NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
                CREATE TABLE documents (j JSON, b BIT(3), e ENUM('a','b'), s SET('x','y'), y YEAR, d DATE, ts TIMESTAMP(2) NULL);
                INSERT INTO documents VALUES ('{"k": "v"}',b'1','a','x,y',2024,'2024-02-29','2024-01-01 00:00:00.01'),
                    ('{"k": "V"}',b'1','a','x,y',2024,'2024-02-29','2024-01-01 00:00:00.01'),(NULL,0,'b','',0,NULL,NULL);
                CREATE TABLE nullable (a INT, v INT, UNIQUE KEY (a)); INSERT INTO nullable VALUES (NULL,1),(NULL,1),(1,1);
                """,
            changes: """
                INSERT INTO twins SELECT * FROM twins; DELETE FROM twins WHERE BINARY b='A' LIMIT 1;
                UPDATE twins SET b='B' WHERE BINARY b='a' LIMIT 2; DELETE FROM twins WHERE a IS NULL LIMIT 3;
                UPDATE twins SET c=1e-38, d=1e308, g=NULL WHERE BINARY b='B' LIMIT 1;
                UPDATE twins SET f='Y', b='b' WHERE c < 0.01; DELETE FROM twins WHERE c < 0.01;
                INSERT INTO twins (a) VALUES (7),(7),(7); UPDATE twins SET j='a    ' WHERE a=7 LIMIT 2;
                DELETE FROM twins WHERE a=7 LIMIT 1;
                INSERT INTO documents SELECT * FROM documents; UPDATE documents SET b=b'111' WHERE JSON_VALUE(j, '$.k') LIKE BINARY 'V' LIMIT 1;
                DELETE FROM documents WHERE JSON_VALUE(j, '$.k') LIKE BINARY 'V' LIMIT 1; DELETE FROM documents WHERE j IS NULL LIMIT 1;
                UPDATE nullable SET v=2 WHERE a IS NULL LIMIT 1; DELETE FROM nullable WHERE v=1 LIMIT 1;
                INSERT INTO nullable VALUES (NULL,2),(NULL,2); UPDATE nullable SET a=5 WHERE v=2 LIMIT 1;
                """),
        Scenario(
            name: "rows that refer to their own table",
            tables: """
                CREATE TABLE tree (id INT PRIMARY KEY, parent INT, v INT,
                    CONSTRAINT up FOREIGN KEY (parent) REFERENCES tree (id) ON DELETE CASCADE);
                CREATE TABLE plain (id INT PRIMARY KEY, parent INT, FOREIGN KEY (parent) REFERENCES plain (id));
                INSERT INTO tree VALUES (1,NULL,0),(2,1,0),(3,2,0),(4,3,0),(5,1,0),(6,5,0);
                INSERT INTO plain VALUES (1,NULL),(2,1),(3,2),(4,4);
                """,
            changes: """
                DELETE FROM tree WHERE id=2; INSERT INTO tree VALUES (2,1,1),(3,2,1),(7,3,1);
                UPDATE tree SET parent=7 WHERE id=6; DELETE FROM tree WHERE id=3; INSERT INTO tree VALUES (6,6,2);
                UPDATE tree SET v=v+1; DELETE FROM tree WHERE id=6;
                START TRANSACTION; DELETE FROM tree WHERE id=1; INSERT INTO tree VALUES (1,NULL,9),(2,1,9),(3,2,9); COMMIT;
                DELETE FROM plain WHERE id=3; DELETE FROM plain WHERE id=2; INSERT INTO plain VALUES (2,4),(3,2);
                UPDATE plain SET parent=NULL WHERE id=4; DELETE FROM plain WHERE id=3; DELETE FROM plain WHERE id=2;
                SET foreign_key_checks=0; INSERT INTO plain VALUES (20,21); INSERT INTO plain VALUES (21,20);
                """),
        Scenario(
            name: "actions of foreign keys",
            tables: """
                CREATE TABLE parents (id INT PRIMARY KEY, code VARCHAR(10) NOT NULL UNIQUE) ENGINE=InnoDB;
                CREATE TABLE children (id INT PRIMARY KEY, parent INT, code VARCHAR(10),
                    FOREIGN KEY (parent) REFERENCES parents (id) ON DELETE CASCADE ON UPDATE CASCADE,
                    FOREIGN KEY (code) REFERENCES parents (code) ON DELETE SET NULL ON UPDATE CASCADE);
                CREATE TABLE grandchildren (id INT PRIMARY KEY, child INT,
                    FOREIGN KEY (child) REFERENCES children (id) ON DELETE CASCADE ON UPDATE SET NULL);
                INSERT INTO parents VALUES (1,'a'),(2,'b'),(3,'c'),(4,'d');
                INSERT INTO children VALUES (1,1,'a'),(2,1,'b'),(3,2,'b'),(4,2,'c'),(5,3,'d'),(6,NULL,'d');
                INSERT INTO grandchildren VALUES (1,1),(2,2),(3,3),(4,4),(5,5),(6,5),(7,NULL);
                """,
            changes: """
                DELETE FROM parents WHERE id=1; INSERT INTO parents VALUES (1,'a'); INSERT INTO children VALUES (1,1,'a');
                INSERT INTO grandchildren VALUES (1,1);
                UPDATE parents SET id=20 WHERE id=2; UPDATE parents SET code='cc' WHERE id=3;
                UPDATE children SET id=50 WHERE id=5; DELETE FROM parents WHERE id=4;
                START TRANSACTION; DELETE FROM parents WHERE id=20; INSERT INTO parents VALUES (20,'b'),(4,'d');
                INSERT INTO children VALUES (3,20,'b'),(4,4,NULL); INSERT INTO grandchildren VALUES (3,3),(4,4); COMMIT;
                UPDATE parents SET id=id+100 ORDER BY id DESC; DELETE FROM parents WHERE code='a';
                REPLACE INTO parents VALUES (104, 'dd');
                """),
        Scenario(
            name: "generated columns and keys on them",
            tables: """
                CREATE TABLE made (id INT PRIMARY KEY, a INT, twice INT AS (a * 2) STORED, b VARCHAR(20),
                    low VARCHAR(20) AS (LOWER(b)) VIRTUAL, last INT, UNIQUE KEY (low), KEY (twice));
                INSERT INTO made (id, a, b, last) VALUES (1,1,'One',1),(2,NULL,'TWO',2),(3,3,NULL,3);
                """,
            changes: """
                INSERT INTO made (id, a, b, last) VALUES (4,4,'Four',4); UPDATE made SET a=a+1;
                START TRANSACTION; UPDATE made SET b='tmp' WHERE id=1; UPDATE made SET b='one' WHERE id=2;
                UPDATE made SET b='Two' WHERE id=1; COMMIT; DELETE FROM made WHERE id=3; UPDATE made SET id=30 WHERE id=4;
                """),
    ]
}
