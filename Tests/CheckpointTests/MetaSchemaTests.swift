import MySQLClient
import MySQLCore
import TestServers
import Testing

@testable import Checkpoint

@Suite("The meta schema")
struct MetaSchemaTests {
    private func unusable(_ body: () throws -> Void) -> Bool {
        do {
            try body()
            return false
        } catch CheckpointError.unusable {
            return true
        } catch {
            return false
        }
    }

    @Test("it is made once and used again", arguments: Servers.families)
    func prepared(family: TestServer.Family) async throws {
        let server = try await Servers.shared(family)
        let meta = MetaSchema(name: "meta `odd` näme")
        let connection = try Connection(Servers.options(server))
        #expect(try !meta.exists(connection))
        try meta.prepare(connection)
        #expect(try meta.exists(connection))
        try meta.prepare(connection)
        #expect(
            try connection.value("SELECT COUNT(*) FROM \(meta.table("version"))") == "1")
    }

    @Test(
        "another format, or an engine without transactions, is refused", arguments: Servers.families
    )
    func refused(family: TestServer.Family) async throws {
        let subtask = try await Subtask(family, "refused")
        let connection = try Connection(subtask.options)
        try connection.execute("UPDATE meta_refused.version SET format=99")
        #expect(unusable { try subtask.meta.prepare(connection) })
        try connection.execute(
            "UPDATE meta_refused.version SET format=\(MetaSchema.format); "
                + "ALTER TABLE meta_refused.version ENGINE=MyISAM")
        #expect(unusable { try subtask.meta.prepare(connection) })
        try connection.execute("ALTER TABLE meta_refused.version ENGINE=InnoDB")
        try subtask.meta.prepare(connection)
    }

    @Test("shapes are read as they were written", arguments: Servers.families)
    func shapes(family: TestServer.Family) async throws {
        let subtask = try await Subtask(family, "shapes")
        try subtask.take(1)
        let coordinator = try subtask.coordinator(1)
        func shape(_ name: String) -> TableShape {
            TableShape(
                name: TableName(schema: "s'`\\", name: name),
                columns: [
                    ColumnShape(
                        name: "e", type: ColumnType(.enum, elements: ["a'b", "é", ""]),
                        charset: "utf8mb4", collation: "utf8mb4_bin", generation: .stored)
                ],
                keys: [
                    KeyShape(
                        name: "PRIMARY", parts: [KeyPart(column: nil, prefixLength: 3)],
                        isUnique: true)
                ],
                foreignKeys: [
                    ForeignKeyShape(
                        name: "f", columns: ["e"], parent: TableName(schema: "s", name: "p"),
                        parentColumns: ["x"], onDelete: .setNull)
                ], engine: "InnoDB")
        }
        let all = [shape("a"), shape("b"), shape("näme")]
        try coordinator.beginFollowing(
            from: Subtask.position(1), consistentFrom: Subtask.position(3), shapes: all)
        let stored = StoredShapes(meta: subtask.meta, key: subtask.key)
        let connection = try Connection(subtask.options)
        #expect(Set(try stored.read(connection)) == Set(all))
        var changed = shape("a")
        changed.columns.append(ColumnShape(name: "n", type: ColumnType(.int)))
        try coordinator.write(
            mark: Subtask.position(2), carried: AppliedSet(Subtask.set(5)), tail: [],
            shapes: [(changed.name, changed), (shape("b").name, nil)])
        #expect(Set(try stored.read(connection)) == [changed, shape("näme")])
        let state = try #require(try subtask.peek())
        #expect(state.phase == "follow" && state.consistentFrom == Subtask.position(3))
        #expect(state.lowWater == Subtask.position(2) && state.carried == Subtask.set(5))
    }

    @Test(
        "what a session counts and allows is what the protocol needs", arguments: Servers.families)
    func settings(family: TestServer.Family) async throws {
        let subtask = try await Subtask(family, "settings")
        let connection = try TargetSession(subtask.options, role: .lane(0)).connection
        let found = try connection.rows(
            "SELECT @@autocommit, @@wait_timeout, @@net_read_timeout, @@time_zone, "
                + "@@innodb_lock_wait_timeout, @@unique_checks, @@foreign_key_checks")
        #expect(found == [["0", "30", "30", "+00:00", "10", "1", "1"]])
        let modes = Set((try connection.value("SELECT @@sql_mode") ?? "").split(separator: ","))
        #expect(modes == ["STRICT_ALL_TABLES", "NO_AUTO_VALUE_ON_ZERO", "ALLOW_INVALID_DATES"])
        let level = family == .mysql ? "@@transaction_isolation" : "@@tx_isolation"
        #expect(try connection.value("SELECT \(level)") == "READ-COMMITTED")
    }
}
