import MySQLCore
import Testing

@Suite("Statements without their secrets")
struct SecretTextTests {
    @Test(
        "a password never stays",
        arguments: [
            "CREATE TABLE f (id INT) ENGINE=FEDERATED CONNECTION='mysql://u:hunter2@h:3306/d/t'",
            "CREATE TABLE f (id INT) CONNECTION = \"mysql://u:hunter2@h/d/t\" COMMENT 'x'",
            "CREATE SERVER s OPTIONS (USER 'u', PASSWORD 'hunter2')",
            "CREATE SERVER s OPTIONS (USER 'u', password\t'it''s hunter2')",
            "ALTER USER u IDENTIFIED BY 'hunter2'",
            "CREATE TABLE s (id INT) COMMENT='wrapper \"mysql\", password \"hunter2\"'",
            "CREATE TABLE s (id INT) COMMENT='see mysql://u:hunter2@h/'",
            "CREATE TABLE f (id INT) CONNECTION='mysql://u:hunter2@h", "x PASSWORD 'a\\'hunter2'",
        ])
    func masked(sql: String) {
        #expect(sql.contains("hunter2"))
        #expect(!withoutSecrets(sql).contains("hunter2"))
        #expect(withoutSecrets(sql).contains("***"))
    }

    @Test(
        "everything else stays as it is",
        arguments: [
            "", "'", "DROP TABLE a",
            "CREATE TABLE t (password VARCHAR(9) DEFAULT 'x', b ENUM('a','b'))",
            "ALTER TABLE t COMMENT 'a ''b'' \\'c\\' é'", "SELECT '",
            "CREATE TABLE `by` (a INT) COMMENT 'x'",
        ])
    func untouched(sql: String) { #expect(withoutSecrets(sql) == sql) }
}
