import TestServers

extension Scenario {
    /// What servers let in that others refuse: sessions without strictness, and DDL of all sorts.
    static let habits: [Scenario] = [
        Scenario(
            name: "ENUM's invalid member, written without strict mode",
            tables: """
                CREATE TABLE e (id INT PRIMARY KEY, e ENUM('x','y') NOT NULL, f ENUM('a','b'), v INT, UNIQUE (v));
                CREATE TABLE parent (id INT PRIMARY KEY, e ENUM('x','y'));
                CREATE TABLE child (id INT PRIMARY KEY, p INT, e ENUM('x','y'),
                    FOREIGN KEY (p) REFERENCES parent (id));
                CREATE TABLE twins (e ENUM('x','y'));
                SET sql_mode='';
                INSERT INTO e VALUES (1,'bogus','a',1),(2,'x',NULL,2),(3,'y','b',3);
                """,
            changes: """
                SET sql_mode='';
                INSERT INTO e VALUES (4,'bogus','bogus',4),(5,'x','',5); INSERT INTO e VALUES (6,'y','a',6);
                UPDATE e SET v=v+10; UPDATE e SET e='nothing' WHERE id=3; UPDATE e SET f='' WHERE id=2;
                UPDATE e SET e='x' WHERE id=1; DELETE FROM e WHERE id=5; REPLACE INTO e VALUES (6,'','',1);
                START TRANSACTION; INSERT INTO parent VALUES (1,'?'),(2,'x'); INSERT INTO child VALUES (1,1,'?');
                UPDATE child SET p=2 WHERE id=1; DELETE FROM parent WHERE id=1; COMMIT;
                INSERT INTO twins VALUES ('?'),('?'),('x'); DELETE FROM twins WHERE e='' LIMIT 1;
                UPDATE twins SET e='' WHERE e='x';
                """),
        Scenario(
            name: "partitions change places with tables",
            tables: """
                CREATE TABLE parted (id INT PRIMARY KEY)
                    PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN MAXVALUE);
                CREATE TABLE plain (id INT PRIMARY KEY);
                INSERT INTO parted VALUES (1),(20); INSERT INTO plain VALUES (2),(3);
                """,
            changes: """
                INSERT INTO parted VALUES (4); ALTER TABLE parted EXCHANGE PARTITION p0 WITH TABLE plain;
                INSERT INTO plain VALUES (5); INSERT INTO parted VALUES (6); DELETE FROM parted WHERE id=2;
                ALTER TABLE parted TRUNCATE PARTITION p1; INSERT INTO parted VALUES (30);
                """),
        Scenario(
            name:
                "tables that strict mode of InnoDB refuses, and defaults that are different each time",
            tables: "CREATE TABLE a (id INT PRIMARY KEY);",
            changes: """
                SET innodb_strict_mode=0;
                CREATE TABLE fixed (id INT PRIMARY KEY, a CHAR(10)) ROW_FORMAT=FIXED; INSERT INTO fixed VALUES (1,'x');
                CREATE TABLE sessions (id VARCHAR(36) DEFAULT (UUID()) PRIMARY KEY, v DOUBLE DEFAULT (RAND()), n INT);
                INSERT INTO sessions (n) VALUES (1),(2); ALTER TABLE sessions ADD m INT DEFAULT 7;
                """),
        Scenario(
            name: "unique keys over more than an index takes",
            tables: """
                CREATE TABLE long_ones (id INT PRIMARY KEY, t TEXT, b VARCHAR(3000) CHARACTER SET utf8mb4, n INT,
                    UNIQUE (t), UNIQUE (b, n));
                INSERT INTO long_ones VALUES (1,REPEAT('x',5000),'b',1),(2,NULL,'b',2),(3,'t',NULL,NULL);
                """,
            changes: """
                INSERT INTO long_ones VALUES (4,REPEAT('y',5000),'c',1); UPDATE long_ones SET t='moved' WHERE id=1;
                START TRANSACTION; UPDATE long_ones SET t='a' WHERE id=3; UPDATE long_ones SET t='t' WHERE id=4; COMMIT;
                UPDATE long_ones SET n=n+1 ORDER BY n DESC; DELETE FROM long_ones WHERE id=2; INSERT INTO long_ones VALUES (2,'x','c',9);
                CREATE TABLE later (id INT PRIMARY KEY, t TEXT UNIQUE); INSERT INTO later VALUES (1,'x'),(2,NULL);
                UPDATE later SET t='y' WHERE id=1; ALTER TABLE later ADD v INT; UPDATE later SET v=3;
                """, families: [.mariadb]),
        Scenario(
            name: "rows that break their table's checks",
            tables: """
                CREATE TABLE checked (id INT PRIMARY KEY, a INT CHECK (a > 0), j JSON);
                CREATE TABLE twins (a INT CHECK (a > 0));
                SET check_constraint_checks=0;
                INSERT INTO checked VALUES (1,-5,'{'),(2,5,'{}'); INSERT INTO twins VALUES (-5),(-5);
                """,
            changes: """
                SET check_constraint_checks=0;
                INSERT INTO checked VALUES (3,-7,'nojson'); UPDATE checked SET a=-9 WHERE id=2;
                INSERT INTO twins VALUES (-6); DELETE FROM twins WHERE a=-5 LIMIT 1;
                """, families: [.mariadb]),
        Scenario(
            name: "collations that a character set's name stands for",
            tables: "CREATE TABLE a (id INT PRIMARY KEY);",
            changes: """
                CREATE TABLE d (id INT PRIMARY KEY, s VARCHAR(10) CHARACTER SET utf8mb4, UNIQUE (s));
                INSERT INTO d VALUES (1,'a'),(2,'b'); CREATE TABLE d2 (id INT PRIMARY KEY, s VARCHAR(10)) CHARSET=utf8mb4;
                ALTER TABLE a ADD s VARCHAR(10) CHARACTER SET utf8mb4 NOT NULL DEFAULT 'x';
                CREATE TABLE d3 (id INT PRIMARY KEY, s VARCHAR(10)) DEFAULT CHARACTER SET = 'latin1';
                ALTER TABLE d3 CONVERT TO CHARACTER SET utf8mb4;
                INSERT INTO d3 VALUES (1,'x'); INSERT INTO d2 VALUES (1,'y'); INSERT INTO a VALUES (1,'z');
                """),
    ]
}
