import Checkpoint
import MySQLClient
import MySQLCore
import MySQLSyntax
import TestServers
import Testing

@testable import Replication

// What servers say of a merged table, against what statements do.
extension DDLWorkerTests {
    /// A source's table that goes to `a`, with what its statements make of it.
    private struct Follower {
        let source: String
        let version: ServerVersion?
        var state = SchemaState()
        let name: TableName

        init(_ source: String, version: ServerVersion? = nil) throws {
            self.source = source
            self.version = version
            name = TableName(schema: source == "other" ? "theirs" : "mine", name: "o_1")
            let id = ColumnShape(name: "id", type: ColumnType(.int), isNullable: false)
            state.tables[name] = TableShape(
                name: name, columns: [id],
                keys: [KeyShape(name: "PRIMARY", parts: [KeyPart(column: "id")], isUnique: true)],
                charset: "utf8mb4", collation: "utf8mb4_general_ci")
        }
    }

    private func follow(
        _ rig: TargetRig, _ it: inout Follower, _ statements: [String]
    ) async throws {
        let name = it.name
        func table(_ state: SchemaState) -> NotedTable {
            NotedTable(name: name, target: target(rig), shape: state.tables[name])
        }
        let version = try it.version ?? rig.session().connection.serverVersion
        let context = SyntaxContext(version: version, defaultSchema: name.schema)
        for sql in statements {
            let before = table(it.state)
            let own = sql.replacing(" a ", with: " o_1 ")
            let ddl = try #require(try parseStatement(own, context: context).ddl)
            _ = try it.state.apply(ddl, context: context)
            try await change(
                rig, of: it.source, sql, from: before, to: table(it.state),
                version: it.version)
        }
    }

    private func columns(_ rig: TargetRig) throws -> [String] {
        try rig.server.sql(
            "SELECT COLUMN_NAME FROM information_schema.COLUMNS "
                + "WHERE TABLE_SCHEMA='\(rig.schema)' AND TABLE_NAME='a' ORDER BY ORDINAL_POSITION"
        ).split(separator: "\n").map { String($0) }
    }

    private static let definitions = [
        "BIT(1) NOT NULL DEFAULT 0", "BIT(8) NOT NULL", "DATETIME(3) DEFAULT '2020-01-01'",
        "DATETIME NOT NULL DEFAULT '2020-01-01 10:00'", "TIME DEFAULT '10:00'",
        "VARCHAR(20) DEFAULT 'it\\'s'", "VARCHAR(20) DEFAULT '''q'''", "VARCHAR(20) DEFAULT x'41'",
        "VARCHAR(20) DEFAULT 'uuid()'", "VARCHAR(20) DEFAULT ('ab')", "BINARY(4) DEFAULT 'ab'",
        "VARBINARY(4) DEFAULT 0x6162", "DECIMAL(5,2) DEFAULT 1.5", "DOUBLE DEFAULT 1e10",
        "BOOLEAN DEFAULT TRUE", "BIGINT UNSIGNED DEFAULT 18446744073709551615", "INT DEFAULT -5",
        "ENUM('a','b') DEFAULT 'b'", "INT DEFAULT (1+2)", "TEXT DEFAULT ('{}')",
        "INT AS (id+1)", "VARCHAR(50) AS (CONCAT('X y', id)) STORED", "CHAR(3) NOT NULL",
        "YEAR DEFAULT 2020",
    ]

    @Test(
        "what a server says of a column is what the statement has said that made it (D38)",
        arguments: Servers.families)
    func worded(family: TestServer.Family) async throws {
        let (rig, _) = try await rig(family, "mergedworded")
        var mine = try Follower(rig.key.source)
        var theirs = try Follower("other")
        try await follow(rig, &theirs, ["ALTER TABLE a COMMENT 'x'"])
        for (i, definition) in Self.definitions.enumerated() {
            let sql = "ALTER TABLE a ADD COLUMN c\(i) \(definition)"
            try await follow(rig, &mine, [sql])
            try await follow(rig, &theirs, [sql])
            #expect(try columns(rig).last == "c\(i)", "\(definition)")
        }
        // Others are not taken for the same.
        try await follow(
            rig, &mine,
            [
                "ALTER TABLE a ADD COLUMN z INT DEFAULT 5, ADD y DATETIME DEFAULT NOW(), "
                    + "ADD x INT AS (id)"
            ])
        for sql in ["z INT DEFAULT 6", "z INT", "y DATETIME DEFAULT NOW()", "x INT AS (id+0)"] {
            var again = theirs
            await #expect(throws: ReplicationError.self, "\(sql)") {
                try await follow(rig, &again, ["ALTER TABLE a ADD COLUMN \(sql)"])
            }
        }
    }

    @Test(
        "rows of tables that lack a column find a default, whatever becomes of it (D36)",
        arguments: Servers.families)
    func laterDefault(family: TestServer.Family) async throws {
        let (rig, _) = try await rig(family, "mergeddefault")
        var mine = try Follower(rig.key.source)
        var theirs = try Follower("other")
        try await follow(rig, &theirs, ["ALTER TABLE a COMMENT 'x'"])
        try await follow(
            rig, &mine,
            [
                "ALTER TABLE a ADD COLUMN c INT DEFAULT 5 NOT NULL",
                "ALTER TABLE a ALTER c DROP DEFAULT", "ALTER TABLE a ADD COLUMN (d INT NOT NULL)",
                "ALTER TABLE a MODIFY d BIGINT NOT NULL AFTER id",
                "ALTER TABLE a ADD COLUMN e INT", "ALTER TABLE a ALTER e DROP DEFAULT",
            ])
        func insert(_ id: Int) throws {
            try rig.server.sql(
                "SET sql_mode='STRICT_ALL_TABLES'; INSERT INTO a (id) VALUES (\(id))",
                database: rig.schema)
        }
        try insert(10)
        let row = try rig.server.sql("SELECT c, d FROM a WHERE id=10", database: rig.schema)
        #expect(row == "5\t0\n")
        try await follow(
            rig, &theirs,
            [
                "ALTER TABLE a ADD COLUMN c INT DEFAULT 5 NOT NULL",
                "ALTER TABLE a ALTER c DROP DEFAULT", "ALTER TABLE a ADD COLUMN d INT NOT NULL",
                "ALTER TABLE a ADD COLUMN e INT", "ALTER TABLE a ALTER e DROP DEFAULT",
            ])
        // Nobody needs one any more.
        #expect(throws: (any Error).self) { try insert(11) }
        try await follow(
            rig, &mine, ["ALTER TABLE a DROP c", "ALTER TABLE a DROP d", "ALTER TABLE a DROP e"])
        try insert(12)
    }

    @Test(
        "an index goes by its columns, by whatever name the target has it (D39)",
        arguments: Servers.families)
    func otherName(family: TestServer.Family) async throws {
        let (rig, _) = try await rig(family, "mergednames")
        var mine = try Follower(rig.key.source)
        var theirs = try Follower("other")
        let add = "ALTER TABLE a ADD COLUMN v INT, ADD UNIQUE KEY"
        try await follow(rig, &theirs, ["ALTER TABLE a COMMENT 'x'"])
        try await follow(rig, &mine, ["\(add) ua (v)"])
        try await follow(rig, &theirs, ["\(add) ub (v)"])
        func keys() throws -> String {
            try rig.server.sql(
                "SELECT INDEX_NAME FROM information_schema.STATISTICS "
                    + "WHERE TABLE_SCHEMA='\(rig.schema)' AND TABLE_NAME='a' AND COLUMN_NAME='v'")
        }
        #expect(try keys() == "ub\n")
        try await follow(rig, &mine, ["DROP INDEX ua ON a "])
        #expect(try keys() == "")
    }

    @Test("JSON of one family is text of the other", arguments: Servers.families)
    func json(family: TestServer.Family) async throws {
        let (rig, _) = try await rig(family, "mergedjson")
        let version = ServerVersion(family == .mariadb ? "8.0.36" : "10.11.6-MariaDB")
        var mine = try Follower(rig.key.source, version: version)
        var theirs = try Follower("other", version: version)
        try await follow(rig, &theirs, ["ALTER TABLE a COMMENT 'x'"])
        for (i, definition) in ["JSON", "JSON DEFAULT ('{}')", "LONGTEXT"].enumerated() {
            let sql = "ALTER TABLE a ADD COLUMN j\(i) \(definition)"
            try await follow(rig, &mine, [sql])
            try await follow(rig, &theirs, [sql])
            #expect(try columns(rig).last == "j\(i)")
        }
    }
}
