-- More than a million rows, computed by the server. The same rows in every run: values come from
-- row numbers, spread by multiplication with primes.
SET foreign_key_checks = 0, unique_checks = 0;
SET @names = JSON_ARRAY('Ada', 'Björn', 'Chloé', '大輔', 'Ewa', 'Ferhat', 'Γιώργος', 'Hana', 'Íris', 'Jonas');
SET @cities = JSON_ARRAY('Köln', 'Málaga', 'Orléans', 'Århus', 'Braga', 'Gent', 'Zürich', 'Malmö');

INSERT INTO customers (id, email, login, first_name, last_name, city, born, referred_by, preferences, seen_at)
SELECT seq, CONCAT('customer', seq, '@shop.invalid'), CONCAT(IF(seq % 2, 'User', 'user'), seq),
    JSON_VALUE(@names, CONCAT('$[', seq % 10, ']')), CONCAT('N', CHAR(97 + seq % 26), seq % 977, IF(seq % 50 = 0, ' 🦆', '')),
    IF(seq % 11 = 0, NULL, JSON_VALUE(@cities, CONCAT('$[', seq % 8, ']'))),
    IF(seq % 13 = 0, NULL, DATE '1940-01-01' + INTERVAL (seq * 37) % 24000 DAY),
    IF(seq > 100 AND seq % 9 = 0, seq DIV 10, NULL),
    IF(seq % 7 = 0, NULL, JSON_OBJECT('news', seq % 2 = 0, 'theme', ELT(1 + seq % 3, 'light', 'dark', 'auto'), 'limits', JSON_ARRAY(seq % 5, seq / 3, NULL))),
    TIMESTAMP '2024-01-01 00:00:00' + INTERVAL (seq * 7919) % 31000000 SECOND + INTERVAL seq MICROSECOND
FROM seq_1_to_120000;

INSERT INTO products (id, sku, title, size, labels, price, weight, attributes, picture, sold_until, opens)
SELECT seq, CONCAT('SKU-', LPAD(seq, 8, '0')), CONCAT(ELT(1 + seq % 5, 'Stuhl', 'Lampe', 'Tisch', 'Ørken', '棚'), ' no. ', seq),
    1 + seq % 4, IF(seq % 6 = 0, NULL, seq % 16), (seq * 7907) % 100000 / 100, IF(seq % 17 = 0, NULL, seq / 7.0),
    JSON_OBJECT('color', ELT(1 + seq % 4, 'red', 'blue', 'grün', 'noir'), 'size', JSON_ARRAY(seq % 100, seq % 70, seq % 40)),
    IF(seq % 3 = 0, NULL, REPEAT(UNHEX(SHA1(seq)), 10 + seq % 60)),
    IF(seq % 4 = 0, NULL, TIMESTAMP '2030-01-01 00:00:00' + INTERVAL seq * 1234 SECOND + INTERVAL seq % 1000 * 1000 MICROSECOND),
    IF(seq % 19 = 0, NULL, SEC_TO_TIME(CAST((seq * 53) % 86400 AS SIGNED) - 3600))
FROM seq_1_to_20000;

INSERT INTO stock (warehouse, product_id, pieces, flags)
SELECT ELT(w.seq, 'north', 'North', 'süd'), p.seq, (p.seq * w.seq) % 500, (p.seq + w.seq) % 32
FROM seq_1_to_3 w, seq_1_to_20000 p;

INSERT INTO orders (id, customer_id, placed_at, year, state, note)
SELECT seq, 1 + (seq * 7919) % 120000, TIMESTAMP '2022-01-01 00:00:00' + INTERVAL seq * 300 SECOND + INTERVAL seq % 1000 * 1000 MICROSECOND,
    2022 + seq DIV 105000, 1 + seq % 4, IF(seq % 5 = 0, CONCAT('Bitte an der Tür klingeln; Straße ', seq), NULL)
FROM seq_1_to_250000;

INSERT INTO order_items (order_id, line, product_id, quantity, price)
SELECT o.seq, l.seq, 1 + (o.seq * 31 + l.seq * 7907) % 20000, 1 + (o.seq + l.seq) % 9, (o.seq * 13 + l.seq) % 50000 / 100
FROM seq_1_to_250000 o, seq_1_to_4 l WHERE l.seq <= 1 + o.seq % 4;

INSERT INTO accounts (id, balance) SELECT seq, 1000 FROM seq_1_to_2000;

INSERT INTO visits (customer_id, path, agent, day, seconds)
SELECT IF(seq % 8 = 0, NULL, 1 + seq % 9000), CONCAT('/p/', seq % 300, IF(seq % 2, '', '/Größe')),
    ELT(1 + seq % 4, 'Lynx/2.9', 'Mozilla/5.0', NULL, 'café'), DATE '2024-05-01' + INTERVAL seq % 90 DAY, seq % 1000 / 8
FROM seq_1_to_60000;
