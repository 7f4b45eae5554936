-- A file whose events have no checksums, but for the format event.
CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(10));
INSERT INTO t VALUES (1, 'one'), (2, NULL);
UPDATE t SET a = 'two' WHERE id = 2;
