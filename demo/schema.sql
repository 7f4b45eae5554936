-- A shop, with what makes real schemas hard to move: several charsets and collations, generated
-- columns, JSON, blobs, foreign keys with and without cascades, a tree, a view, a trigger, and a
-- table without any key.

CREATE TABLE customers (
    id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    email VARCHAR(120) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
    login VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    first_name VARCHAR(60) NOT NULL,
    last_name VARCHAR(60) NOT NULL,
    full_name VARCHAR(130) AS (CONCAT(first_name, ' ', last_name)) VIRTUAL,
    city VARCHAR(60) CHARACTER SET latin1 COLLATE latin1_german1_ci,
    born DATE,
    referred_by INT UNSIGNED,
    preferences JSON,
    seen_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
    UNIQUE KEY email (email),
    UNIQUE KEY login (login),
    KEY full_name (full_name),
    CONSTRAINT referrer FOREIGN KEY (referred_by) REFERENCES customers (id) ON DELETE SET NULL
) CHARACTER SET utf8mb4;

CREATE TABLE products (
    id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    sku CHAR(12) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    title VARCHAR(200) NOT NULL,
    size ENUM('small', 'medium', 'large', 'größe 4') NOT NULL DEFAULT 'medium',
    labels SET('new', 'sale', 'eco', 'last'),
    price DECIMAL(12, 2) NOT NULL,
    price_with_tax DECIMAL(14, 4) AS (price * 1.19) STORED,
    weight DOUBLE,
    attributes JSON,
    picture MEDIUMBLOB,
    sold_until DATETIME(3),
    opens TIME,
    UNIQUE KEY sku (sku)
) CHARACTER SET utf8mb4;

CREATE TABLE price_history (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    product_id INT UNSIGNED NOT NULL,
    old_price DECIMAL(12, 2) NOT NULL,
    new_price DECIMAL(12, 2) NOT NULL,
    changed_at DATETIME(6) NOT NULL,
    KEY product (product_id),
    CONSTRAINT priced_product FOREIGN KEY (product_id) REFERENCES products (id)
);

CREATE TRIGGER products_price AFTER UPDATE ON products FOR EACH ROW
    INSERT INTO price_history (product_id, old_price, new_price, changed_at)
    SELECT NEW.id, OLD.price, NEW.price, NOW(6) FROM DUAL WHERE OLD.price <> NEW.price;

CREATE TABLE stock (
    warehouse VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    product_id INT UNSIGNED NOT NULL,
    pieces INT NOT NULL,
    flags BIT(5) NOT NULL DEFAULT b'00101',
    PRIMARY KEY (warehouse, product_id),
    CONSTRAINT stocked_product FOREIGN KEY (product_id) REFERENCES products (id)
);

CREATE TABLE orders (
    id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    customer_id INT UNSIGNED NOT NULL,
    placed_at DATETIME(3) NOT NULL,
    year YEAR NOT NULL,
    state ENUM('new', 'paid', 'sent', 'back') NOT NULL,
    note TEXT CHARACTER SET latin1,
    KEY customer (customer_id, placed_at),
    CONSTRAINT order_customer FOREIGN KEY (customer_id) REFERENCES customers (id)
) CHARACTER SET utf8mb4;

CREATE TABLE order_items (
    order_id INT UNSIGNED NOT NULL,
    line TINYINT UNSIGNED NOT NULL,
    product_id INT UNSIGNED NOT NULL,
    quantity SMALLINT UNSIGNED NOT NULL,
    price DECIMAL(12, 2) NOT NULL,
    total DECIMAL(16, 2) AS (quantity * price) VIRTUAL,
    PRIMARY KEY (order_id, line),
    KEY product (product_id),
    CONSTRAINT item_order FOREIGN KEY (order_id) REFERENCES orders (id) ON DELETE CASCADE,
    CONSTRAINT item_product FOREIGN KEY (product_id) REFERENCES products (id)
);

CREATE TABLE accounts (
    id INT UNSIGNED NOT NULL PRIMARY KEY,
    balance DECIMAL(20, 2) NOT NULL
);

CREATE TABLE transfers (
    id CHAR(36) CHARACTER SET ascii NOT NULL PRIMARY KEY,
    payer INT UNSIGNED NOT NULL,
    payee INT UNSIGNED NOT NULL,
    amount DECIMAL(10, 2) NOT NULL,
    at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3)
);

-- No primary key and no unique one: rows may be there twice, and how often counts.
CREATE TABLE visits (
    customer_id INT UNSIGNED,
    path VARCHAR(200) NOT NULL,
    agent VARCHAR(100) CHARACTER SET latin1,
    day DATE NOT NULL,
    seconds FLOAT,
    KEY customer (customer_id)
) CHARACTER SET utf8mb4;

CREATE TABLE heartbeat (
    id INT UNSIGNED NOT NULL PRIMARY KEY,
    at DATETIME(6) NOT NULL
);

CREATE VIEW order_totals AS
    SELECT o.id, o.customer_id, o.state, COUNT(i.line) AS items, SUM(i.total) AS total
    FROM orders o LEFT JOIN order_items i ON i.order_id = o.id
    GROUP BY o.id, o.customer_id, o.state;
