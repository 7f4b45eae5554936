-- log_bin_compress: statements and rows compressed one by one; minimal images.
SET GLOBAL log_bin_compress = ON, binlog_row_metadata = MINIMAL;
CREATE TABLE t (id INT UNSIGNED PRIMARY KEY, a VARCHAR(300), big LONGTEXT, f INT) COMMENT 'lorem ipsum lorem ipsum lorem ipsum lorem ipsum lorem ipsum lorem ipsum lorem ipsum lorem ipsum lorem ipsum lorem ipsum lorem ipsum lorem ipsum lorem ipsum lorem ipsum lorem ipsum lorem ipsum lorem ipsum lorem ipsum lorem ipsum';
INSERT INTO t VALUES (1, 'a', REPEAT('lorem ipsum ', 200), 1), (2, 'small', 'b', 2), (4, 'gone', REPEAT('sit amet ', 100), 4);
INSERT INTO t VALUES (3, 'not compressed', 'c', 3);
UPDATE t SET big = REPEAT('dolor ', 300), a = NULL WHERE id = 1;
INSERT INTO t SELECT 1000 + seq, CONCAT('row ', seq), REPEAT('x', 100), seq FROM seq_1_to_150;
DELETE FROM t WHERE id >= 1100;
DELETE FROM t WHERE id = 4;
SET SESSION binlog_row_image = MINIMAL;
UPDATE t SET big = REPEAT('minimal ', 300) WHERE id = 2;
SET SESSION binlog_row_image = NOBLOB;
UPDATE t SET f = f + 1;
SET GLOBAL log_bin_compress = OFF;
