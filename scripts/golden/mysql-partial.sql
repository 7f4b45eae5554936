-- Updates that are logged as differences of JSON values, with full and with minimal images.
SET SESSION binlog_row_value_options = PARTIAL_JSON;
CREATE TABLE docs (id INT PRIMARY KEY, a JSON, n INT, b JSON, c VARCHAR(10), d JSON);
INSERT INTO docs VALUES
  (1, '{"a": 1, "b": [1, 2, 3], "long key \\"q\\"": {"x": "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"}}', 1, '[1, [2, {"k": "vvvvvvvvvvvv"}], 3]', 'c', '{"z": 1}'),
  (2, '{"a": "some text that is long enough to make a difference", "k": {"k": {"k": 1}}}', 2, NULL, NULL, '[]'),
  (3, '{"ä€": 1, "x y": 2, "x.y": 3, "_ok$1": 4, "1n": 5, "tab\\t": 6, "pad": "ppppppppppppppppppppppppppppppppppppppp"}', 3, '{}', 'c', NULL),
  (4, '[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, "ppppppppppppppppppppppppppppppppppppppppppppppppppppppp"]', 4, '{}', 'c', NULL);
UPDATE docs SET a = JSON_SET(a, '$.a', 2) WHERE id = 1;
UPDATE docs SET a = JSON_SET(a, '$.b[1]', 22, '$.b[9]', 'end', '$."long key \\"q\\"".x', 'new'), b = JSON_REPLACE(b, '$[1][1].k', 'w'), n = 5 WHERE id = 1;
UPDATE docs SET a = JSON_REMOVE(a, '$.b[0]', '$.a'), d = JSON_SET(d, '$.aa', JSON_OBJECT('q', NULL), '$.b', 1.25) WHERE id = 1;
UPDATE docs SET n = n + 1 WHERE id IN (1, 2);
UPDATE docs SET a = JSON_SET(a, '$.k.k.k', JSON_ARRAY(1, 'two', CAST('2024-01-01' AS DATE))), b = JSON_SET(b, '$.x', 1), d = '[1]' WHERE id = 2;
UPDATE docs SET a = JSON_SET(a, '$.a', 'changed', '$.new', JSON_OBJECT('deep', JSON_ARRAY(1.5, -7))) WHERE id = 2;
UPDATE docs SET a = JSON_REMOVE(JSON_SET(a, '$."ä€"', 11, '$."x y"', 22, '$."x.y"', 33, '$."_ok$1"', 44, '$."1n"', 55, '$."tab\\t"', 66), '$.pad') WHERE id = 3;
UPDATE docs SET a = JSON_REMOVE(a, '$[0]', '$[3]', '$[last]') WHERE id = 4;
UPDATE docs SET a = JSON_SET(a, '$[100]', NULL, '$[0]', -1), c = NULL WHERE id = 4;
UPDATE docs SET d = NULL, b = NULL WHERE id = 1;
DELETE FROM docs WHERE id = 3;
INSERT INTO docs VALUES (5, '{"s": 1, "o": {"k": 2}, "arr": [[1, 2, 3], "ppppppppppppppppppppppppppppppppppppppppppp"]}', 0, '5', NULL, '{"q": 1}');
UPDATE docs SET a = JSON_SET(a, '$.s[0]', 11) WHERE id = 5;
UPDATE docs SET a = JSON_SET(a, '$.o[0].k', 22, '$.arr[0][last-1]', 'x') WHERE id = 5;
UPDATE docs SET a = JSON_SET(a, '$.s[7]', 12) WHERE id = 5;
UPDATE docs SET a = JSON_REMOVE(a, '$.arr[last][0]', '$.arr[0][last-2]') WHERE id = 5;
UPDATE docs SET b = JSON_SET(b, '$[0]', 6), d = JSON_SET(d, '$[0].q', 3, '$[last].r', 4) WHERE id = 5;
UPDATE docs SET a = JSON_SET(a, '$.arr[last-9]', 'front', '$.o.k[last]', 7) WHERE id = 5;
CREATE TABLE minimal LIKE docs;
SET SESSION binlog_row_image = MINIMAL;
INSERT INTO minimal VALUES (1, '{"a": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "b": 2}', 1, '[1]', 'c', '{"z": "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"}');
UPDATE minimal SET d = JSON_SET(d, '$.z', 2), n = 2 WHERE id = 1;
UPDATE minimal SET a = JSON_SET(a, '$.b', 3) WHERE id = 1;
