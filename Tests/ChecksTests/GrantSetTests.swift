import MySQLCore
import Testing

@testable import Worker

@Suite("Rights from SHOW GRANTS")
struct GrantSetTests {
    private let orders = TableName(schema: "shop", name: "orders")

    @Test("global rights hold everywhere")
    func global() {
        let grants = GrantSet(lines: [
            "GRANT SELECT, REPLICATION SLAVE, BINLOG MONITOR ON *.* TO `a`@`%` IDENTIFIED BY 'x'"
        ])
        #expect(grants.holds("REPLICATION SLAVE") && grants.holds("SELECT", table: orders))
        #expect(!grants.holds("INSERT") && !grants.holds("REPLICATION"))
    }

    @Test("all privileges are every privilege but the right to grant")
    func all() {
        let grants = GrantSet(lines: [
            "GRANT ALL PRIVILEGES ON `shop`.* TO `a`@`%` WITH GRANT OPTION"
        ])
        #expect(grants.holds("INSERT", schema: "shop") && grants.holds("DROP", table: orders))
        #expect(!grants.holds("INSERT") && !grants.holds("INSERT", schema: "shop2"))
        #expect(!grants.holds("GRANT OPTION", schema: "shop"))
    }

    @Test("schema rights match by pattern, with escapes")
    func patterns() {
        let grants = GrantSet(lines: [
            #"GRANT SELECT ON `my\_shop%`.* TO `a`@`%`"#, "GRANT INSERT ON `x_y`.* TO `a`@`%`",
        ])
        #expect(
            grants.holds("SELECT", schema: "my_shop") && grants.holds("SELECT", schema: "my_shop9"))
        #expect(!grants.holds("SELECT", schema: "myxshop"))
        #expect(grants.holds("INSERT", schema: "x_y") && grants.holds("INSERT", schema: "xzy"))
    }

    @Test("table rights hold on the table, column rights nowhere")
    func tables() {
        let grants = GrantSet(lines: [
            "GRANT SELECT, UPDATE (`a`, `b`), INSERT ON `shop`.`orders` TO `a`@`%`",
            "GRANT DELETE ON `odd``name`.`t.x` TO `a`@`%`",
        ])
        #expect(grants.holds("SELECT", table: orders) && grants.holds("INSERT", table: orders))
        #expect(!grants.holds("UPDATE", table: orders) && !grants.holds("SELECT", schema: "shop"))
        #expect(grants.holds("DELETE", table: TableName(schema: "odd`name", name: "t.x")))
    }

    @Test("a partial revoke takes away what a global grant gave")
    func revoke() {
        let grants = GrantSet(lines: [
            "GRANT SELECT, INSERT ON *.* TO `a`@`%`", "REVOKE INSERT ON `shop`.* FROM `a`@`%`",
        ])
        #expect(grants.holds("INSERT", schema: "crm") && !grants.holds("INSERT", schema: "shop"))
        #expect(grants.holds("SELECT", schema: "shop"))
    }

    @Test(
        "lines that grant no rights on data are passed over",
        arguments: [
            "GRANT `role`@`%` TO `a`@`%`", "GRANT PROXY ON ''@'' TO 'root'@'localhost'",
            "GRANT EXECUTE ON PROCEDURE `shop`.`p` TO `a`@`%`", "GRANT USAGE ON *.* TO `a`@`%`",
            "GRANT", "", "SET DEFAULT ROLE x FOR y", "GRANT SELECT ON `shop", "GRANT a, ON ON ON",
        ])
    func passedOver(_ line: String) {
        let grants = GrantSet(lines: [line])
        #expect(!grants.holds("SELECT", table: orders) && !grants.holds("EXECUTE"))
    }
}
