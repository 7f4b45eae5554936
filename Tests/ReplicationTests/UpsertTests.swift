import Checkpoint
import MySQLClient
import MySQLCore
import Rules
import TestServers
import Testing

@testable import Replication

/// What a server does with the upserts of tables that have several unique keys.
@Suite("Upserts")
struct UpsertTests {
    private static func shape(_ schema: String, key: [String]) -> TableShape {
        func unique(_ name: String, _ columns: [String]) -> KeyShape {
            KeyShape(name: name, parts: columns.map { KeyPart(column: $0) }, isUnique: true)
        }
        return TableShape(
            name: TableName(schema: schema, name: "many"),
            columns: ["id", "n", "u", "v"].map {
                ColumnShape(name: $0, type: ColumnType(.int), isNullable: !key.contains($0))
            }, keys: [unique("PRIMARY", key), unique("u", ["u"])])
    }

    @Test(
        "meet their own row, or are refused", arguments: Servers.families, [["id"], ["id", "n"]])
    func meets(family: TestServer.Family, key: [String]) async throws {
        let rig = try await TargetRig(family, "upserts\(key.count)")
        try rig.server.sql(
            """
            CREATE TABLE many (id INT, n INT, u INT UNIQUE, v INT, PRIMARY KEY (\(key.joined(separator: ","))));
            INSERT INTO many VALUES (1,1,10,0),(2,1,20,0),(9,1,50,0)
            """, database: rig.schema)
        let plan = TablePlan(
            shape: Self.shape(rig.schema, key: key),
            route: Route(target: TableName(schema: rig.schema, name: "many")), targetKeys: [],
            related: ForeignKeyGraph([TableShape]()), number: 1)
        let connection = try rig.session().connection
        func upsert(_ rows: String) throws -> UInt64 {
            let sql = plan.insertHead + Array(rows.utf8) + plan.upsertTail
            return try connection.execute(String(decoding: sql, as: UTF8.self))
        }
        #expect(try upsert("(1,1,10,5),(2,1,20,6)") == 4)
        try connection.execute("COMMIT")
        // Row 3 is not there, and another row has its other key: that one must stay as it is.
        for rows in ["(3,1,50,7)", "(1,1,10,8),(3,1,50,7)"] {
            #expect(throws: MySQLError.self) { try upsert(rows) }
            try connection.execute("ROLLBACK")
        }
        #expect(
            try rig.server.sql("SELECT id, u, v FROM many ORDER BY id", database: rig.schema)
                == "1\t10\t5\n2\t20\t6\n9\t50\t0\n")
    }

    /// A key's definition, and four values in ascending order.
    struct Key: Sendable, CustomTestStringConvertible {
        let definition: String
        let values: [String]
        var testDescription: String { definition }
    }

    private static let keys = [
        Key(definition: "BIGINT UNSIGNED AUTO_INCREMENT", values: ["1", "2", "3", "9"]),
        Key(
            definition: "TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP",
            values: (1...4).map { "'2024-01-0\($0) 00:00:00'" }),
        Key(definition: "DATETIME(6)", values: (1...4).map { "'2024-01-0\($0) 00:00:00.00001'" }),
        Key(definition: "VARCHAR(10) COLLATE utf8mb4_bin", values: ["'a'", "'b'", "'c'", "'é'"]),
        Key(definition: "VARBINARY(10)", values: ["X'00'", "X'01'", "X'F0'", "X'FF00'"]),
        Key(definition: "BIT(20)", values: ["b'0'", "b'1'", "b'1100'", "b'1111'"]),
        Key(definition: "ENUM('a','b','c','d')", values: ["'a'", "'b'", "'c'", "'d'"]),
        Key(definition: "SET('a','b','c','d')", values: ["''", "'a,b'", "'c'", "'d'"]),
        Key(definition: "DECIMAL(30,5)", values: ["-1.5", "0", "7.00001", "9"]),
        Key(definition: "DOUBLE", values: ["-1.5e300", "0.1", "7", "9"]),
        Key(
            definition: "DATE",
            values: ["'0000-00-00'", "'2024-01-01'", "'2024-02-00'", "'2025-01-01'"]),
        Key(
            definition: "TIME", values: ["'-10:00:00'", "'00:00:00'", "'10:00:00'", "'800:00:00'"]),
    ]

    @Test("a key of any type is guarded", arguments: Servers.families, keys)
    func types(family: TestServer.Family, key: Key) async throws {
        let rig = try await TargetRig(
            family, "upserts_" + key.definition.prefix { $0.isLetter }.lowercased())
        let v = key.values
        let zero = "SET SESSION sql_mode='';"
        try rig.server.sql(
            """
            \(zero) DROP TABLE IF EXISTS many;
            CREATE TABLE many (id \(key.definition), n INT, u INT UNIQUE, v INT, PRIMARY KEY (id));
            INSERT INTO many VALUES (\(v[0]),1,10,0),(\(v[1]),1,20,0),(\(v[3]),1,50,0)
            """, database: rig.schema)
        func rows() throws -> String {
            try rig.server.sql("SELECT HEX(id), u, v FROM many ORDER BY u", database: rig.schema)
        }
        let plan = TablePlan(
            shape: Self.shape(rig.schema, key: ["id"]),
            route: Route(target: TableName(schema: rig.schema, name: "many")), targetKeys: [],
            related: ForeignKeyGraph([TableShape]()), number: 1)
        let connection = try rig.session().connection
        func upsert(_ rows: String) throws -> UInt64 {
            let sql = plan.insertHead + Array(rows.utf8) + plan.upsertTail
            return try connection.execute(String(decoding: sql, as: UTF8.self))
        }
        #expect(try upsert("(\(v[0]),1,10,5),(\(v[1]),1,20,6),(\(v[3]),1,50,7)") == 6)
        try connection.execute("COMMIT")
        let before = try rows()
        #expect(before.split(separator: "\n").map { $0.suffix(1) } == ["5", "6", "7"])
        #expect(throws: MySQLError.self) {
            try upsert("(\(v[0]),1,10,8),(\(v[2]),1,50,8)")
        }
        try connection.execute("ROLLBACK")
        #expect(try rows() == before)
    }
}
