-- Tables with the time formats of MySQL 5.5, which upgraded servers still have.
SET GLOBAL mysql56_temporal_format = OFF, binlog_row_metadata = FULL;
CREATE TABLE t (id INT PRIMARY KEY, d DATE, t TIME, dt DATETIME, ts TIMESTAMP NULL, y YEAR, u INT UNSIGNED, s TINYINT);
SET sql_mode = '';
INSERT INTO t VALUES
  (1, '0000-00-00', '00:00:00', '0000-00-00 00:00:00', '0000-00-00 00:00:00', 0, 4294967295, -1),
  (2, '9999-12-31', '838:59:59', '9999-12-31 23:59:59', '2038-01-19 03:14:07', 2155, 0, 1),
  (3, '2024-02-29', '-838:59:59', '2024-02-29 12:34:56', '1970-01-01 00:00:01', 1901, 1, 127),
  (4, '2024-02-00', '-00:00:01', '1000-01-01 00:00:00', '2000-02-29 12:00:00', 2000, 2, -128),
  (5, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
SET GLOBAL mysql56_temporal_format = ON;
