import MySQLCore
import Testing

@testable import Snapshot

/// Which statements of a binlog can give a table of a dump another meaning.
@Suite struct NamedTableTests {
    private static let tables = NamedTables([
        TableName(schema: "shop", name: "orders"), TableName(schema: "shop", name: "we`ird.t"),
        TableName(schema: "läden", name: "a"),
    ])

    private func first(_ sql: String, in schema: String) -> String? {
        Self.tables.first(in: Array(sql.utf8), schema: Array(schema.utf8))?.name
    }

    @Test(arguments: [
        "RENAME TABLE orders TO x, y TO orders", "rename table x to Orders",
        "RENAME TABLE `orders` TO x", "ALTER TABLE x RENAME orders",
        "SET STATEMENT lock_wait_timeout=1 FOR RENAME TABLE orders TO x",
        "/*!50000 RENAME TABLE orders TO x */", "/* by hand */ DROP TABLE shop.orders",
        "CREATE OR REPLACE TABLE orders (id INT)",
    ])
    func names(_ sql: String) {
        #expect(first(sql, in: "shop") == "orders")
    }

    @Test(arguments: [
        "RENAME TABLE orders2 TO my_orders", "CREATE TABLE x (id INT)",
        "INSERT INTO orders VALUES (1)", " /* app */ update orders set id=1",
        "CREATE TEMPORARY TABLE x SELECT * FROM orders", "GRANT SELECT ON orders TO u", "",
        "/* unfinished",
    ])
    func leaves(_ sql: String) {
        #expect(first(sql, in: "shop") == nil)
    }

    @Test func schemas() {
        #expect(first("RENAME TABLE orders TO x", in: "other") == nil)
        #expect(first("RENAME TABLE shop.orders TO x", in: "other") == "orders")
        #expect(first("RENAME TABLE `SHOP`.`orders` TO x", in: "") == "orders")
        #expect(first("RENAME TABLE `we``ird.t` TO x", in: "shop") == "we`ird.t")
        #expect(first("RENAME TABLE a TO x", in: "läden") == "a")
        #expect(first("RENAME TABLE a TO x", in: "shop") == nil)
    }
}
