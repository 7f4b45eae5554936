-- Transactions compressed together, large binary JSON among them.
SET SESSION binlog_transaction_compression = ON;
CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(300), j JSON, big LONGTEXT);
INSERT INTO t VALUES (1, 'a', '{"k": 1}', REPEAT('lorem ipsum ', 200));
BEGIN;
INSERT INTO t VALUES (2, 'b', NULL, NULL);
UPDATE t SET a = 'changed', big = REPEAT('dolor ', 300) WHERE id = 1;
DELETE FROM t WHERE id = 2;
INSERT INTO t VALUES (3, 'c', '[1, 2]', '');
COMMIT;
SET SESSION cte_max_recursion_depth = 10000;
INSERT INTO t SELECT 4, 'large array', JSON_ARRAYAGG(CONCAT('value ', n)), NULL FROM (WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 4500) SELECT n FROM s) x;
INSERT INTO t SELECT 5, 'large object', JSON_OBJECTAGG(CONCAT('key ', n), n), NULL FROM (WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 4500) SELECT n FROM s) x;
INSERT INTO t VALUES (6, 'large string', JSON_ARRAY(REPEAT('s', 70000), 70000, -5), NULL);
INSERT INTO t SELECT 1000 + n, CONCAT('row ', n), NULL, REPEAT('x', 100) FROM (WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 300) SELECT n FROM s) x;
