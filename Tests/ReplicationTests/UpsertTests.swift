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
}
