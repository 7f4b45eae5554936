-- JSON: every shape of value, and how the server prints it.
CREATE TABLE docs (id INT PRIMARY KEY, j JSON);
INSERT INTO docs VALUES (1, 'null'), (2, 'true'), (3, 'false'), (4, '0'), (5, '-1'), (6, '32767'), (7, '32768'), (8, '65535'),
  (9, '65536'), (10, '-32768'), (11, '-32769'), (12, '2147483647'), (13, '2147483648'), (14, '4294967295'), (15, '4294967296'),
  (16, '-2147483648'), (17, '-2147483649'), (18, '9223372036854775807'), (19, '-9223372036854775808'), (20, '9223372036854775808'),
  (21, '18446744073709551615'), (22, '18446744073709551616'), (23, '1.0'), (24, '-0.0'), (25, '1.5'), (26, '1e20'), (27, '1e-20'),
  (28, '0.1'), (29, '1.7976931348623157e308'), (30, '5e-324'), (31, '100000000000000000000000'), (32, '1e15'), (33, '1e14'),
  (34, '123456789.123456789'), (35, '1e16'), (36, '3.0e5'), (37, '0.30000000000000004'), (38, '1e-7'),
  (40, '""'), (41, '"a"'), (42, '"\\u0000\\u0001\\u001f\\u007f \\" \\\\ \\/ \\b \\f \\n \\r \\t é € 😀"'),
  (43, JSON_QUOTE(REPEAT('x', 127))), (44, JSON_QUOTE(REPEAT('y', 128))), (45, JSON_QUOTE(REPEAT('z', 300))),
  (46, '[]'), (47, '{}'), (48, '[[]]'), (49, '{"": {}}'), (50, '[1, "two", 3.5, null, true, false, [], {}, -5, 70000, 5000000000]'),
  (51, '{"bb": 1, "a": 2, "ccc": {"x": [1, 2, {"y": null}]}, "B": -70000, "ä€": "v"}'),
  (52, CONCAT(REPEAT('[', 99), '1', REPEAT(']', 99))), (53, JSON_OBJECT('n', NULL, 't', TRUE, 'd', 1.50, 'big', 18446744073709551615)),
  (54, CAST(CAST('2024-02-29' AS DATE) AS JSON)), (55, CAST(CAST('-838:59:58.123456' AS TIME(6)) AS JSON)),
  (56, CAST(CAST('2024-02-29 12:34:56.5' AS DATETIME(6)) AS JSON)), (57, CAST(TIMESTAMP'9999-12-31 23:59:59' AS JSON)),
  (58, CAST(CAST('12.340' AS DECIMAL(10,3)) AS JSON)), (59, CAST(CAST('-0.001' AS DECIMAL(10,3)) AS JSON)),
  (60, CAST(CAST('00:00:00' AS TIME) AS JSON)), (61, JSON_ARRAY(CAST('-00:00:00.000001' AS TIME(6)), CAST('-12:30:15.01' AS TIME(2)))),
  (62, JSON_ARRAY(x'00FF10')), (63, JSON_ARRAY(b'101')), (64, JSON_OBJECT('b', CAST(REPEAT('q', 100) AS BINARY))),
  (65, JSON_ARRAY(CAST(99999999999999999999999999999999999.999999999999999999999999999999 AS DECIMAL(65,30)), 0.5, 1e0)),
  (66, JSON_ARRAY(ST_AsGeoJSON(ST_GeomFromText('POINT(1 2)')))), (67, CAST(ST_GeomFromText('POINT(1 2)') AS JSON)),
  (68, JSON_OBJECT(REPEAT('k', 300), 1, 'z', 2));
INSERT INTO docs VALUES (80, NULL);
CREATE TABLE nn (id INT PRIMARY KEY, j JSON NOT NULL);
INSERT IGNORE INTO nn VALUES (1, NULL);
