import Checkpoint
import MySQLClient
import MySQLCore
import MySQLSyntax
import Rules
import Runtime
import TestServers
import Testing

@testable import Replication

// What workers of several sources do to one table, and tell each other of it.
extension DDLWorkerTests {
    /// The table `a`, to which both sources lead theirs.
    private func target(_ rig: TargetRig) -> TableName { TableName(schema: rig.schema, name: "a") }

    /// What is told of the tables that go there.
    private func told(_ rig: TargetRig) throws -> [MergedTables.Member] {
        try MergedTables(meta: rig.meta, key: rig.key)
            .read(target(rig), Connection(rig.options))
    }

    /// A table of a source that is like `a`.
    private func table(
        _ rig: TargetRig, _ name: String, schema: String, plus columns: [String] = []
    ) -> NotedTable {
        let name = TableName(schema: schema, name: name)
        let id = ColumnShape(name: "id", type: ColumnType(.int), isNullable: false)
        let more = columns.map {
            ColumnShape(name: $0, type: ColumnType(.int), isNullable: true)
        }
        let shape = TableShape(
            name: name, columns: [id] + more,
            keys: [KeyShape(name: "PRIMARY", parts: [KeyPart(column: "id")], isUnique: true)])
        return NotedTable(name: name, target: target(rig), shape: shape)
    }

    @Test("a run that begins forgets nothing that it does not know")
    func startNotes() async throws {
        let (rig, options) = try await rig(.mariadb, "mergedstart")
        let (worker, _, _, _) = try worker(rig, options, 1)
        let made = table(rig, "o_2", schema: "mine")
        try worker.note([made], areNew: false)
        // By the mark there is only the other one.
        try worker.note([table(rig, "o_1", schema: "mine")], areNew: true)
        #expect(try told(rig).map(\.name.name) == ["o_1", "o_2"])
        try worker.note(
            [NotedTable(name: made.name, target: made.target, shape: nil)], areNew: true)
        #expect(try told(rig).map(\.name.name) == ["o_1"])
    }
}
