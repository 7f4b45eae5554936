import MySQLCore
import MySQLSyntax
import Rules
import Testing

@testable import Replication

/// Statements of which filters of events leave a part out.
@Suite("Statements filtered in part")
struct StatementFilteringTests {
    private func rig(
        _ events: [EventSelector], on table: String = "a", sql: [String] = [], applied: Int? = nil
    ) throws -> StatementRig {
        try StatementRig(
            applied: applied,
            rules: SourceRules(
                tables: BlockAllowList(doSchemas: ["shop"]),
                eventFilters: [
                    EventFilterRule(
                        name: "f", schemaPattern: "shop", tablePattern: table, events: events,
                        sqlPatterns: sql, action: .ignore)
                ]))
    }

    private func columns(_ rig: StatementRig, _ table: String) -> [String]? {
        rig.catalog.state.tables[TableName(schema: "shop", name: table)]?.columns.map(\.name)
    }

    /// Runs a statement, and carries the source's shapes over it.
    private func run(
        _ rig: StatementRig, _ sql: String, target: [TableName: TableShape] = [:]
    ) throws -> [String]? {
        switch try rig.decide(sql) {
        case .run(let request, let ddl, let context):
            _ = try rig.catalog.carry(
                ddl, context, TargetRig.position(1), target: target,
                isCompared: !request.isPartial)
            return request.parts.map { String(decoding: $0.sql, as: UTF8.self) }
        case .filtered(let ddl, let context), .shapesOnly(let ddl, let context):
            _ = try rig.catalog.carry(ddl, context, TargetRig.position(1), target: target)
            return []
        default: return nil
        }
    }

    @Test("DROP TABLE of several tables drops those that no filter keeps")
    func drop() throws {
        let rig = try rig([.dropTable])
        #expect(try run(rig, "DROP TABLE a, b") == ["DROP TABLE `shop`.`b`"])
        #expect(columns(rig, "a") == nil && columns(rig, "b") == nil)
        #expect(try run(self.rig([.dropTable]), "DROP TABLE a, other.x") == [])
        #expect(try run(self.rig([.dropTable], on: "*"), "DROP TABLE a, b") == [])
        #expect(try run(self.rig([.dropTable], applied: 1), "DROP TABLE a, b") == [])
    }

    @Test("of the actions of an ALTER TABLE those run together that no filter leaves out")
    func alter() throws {
        let rig = try rig([.dropColumn])
        // Nothing there is compared: the target keeps the column.
        var there = try #require(
            rig.catalog.state.tables[TableName(schema: "shop", name: "a")])
        there.columns.append(ColumnShape(name: "y", type: ColumnType(.int)))
        #expect(
            try run(
                rig, "ALTER TABLE a ADD x BIGINT, DROP COLUMN id, ADD INDEX (x)",
                target: [there.name: there]) == ["ALTER TABLE a ADD x BIGINT, ADD INDEX (x)"])
        #expect(columns(rig, "a") == ["x"])
        let applied = try self.rig([.dropColumn], applied: 1)
        #expect(try run(applied, "ALTER TABLE a ADD x BIGINT, DROP COLUMN id") == [])
        #expect(columns(applied, "a") == ["x"])
    }

    @Test("renamings are told apart, but for those that depend on each other")
    func rename() throws {
        let rig = try rig([.renameTable])
        #expect(
            try run(rig, "RENAME TABLE a TO c, b TO d")
                == ["RENAME TABLE `shop`.`b` TO `shop`.`d`"])
        #expect(columns(rig, "c") != nil && columns(rig, "d") != nil && columns(rig, "b") == nil)
        #expect {
            _ = try run(self.rig([.renameTable], on: "b"), "RENAME TABLE a TO x, b TO a, x TO b")
        } throws: {
            guard case ReplicationError.unsupported(_, let detail) = $0 else { return false }
            return detail.contains("depend on each other")
        }
    }
}
