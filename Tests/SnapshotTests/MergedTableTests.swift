import Checkpoint
import MySQLClient
import MySQLCore
import Rules
import Testing

@testable import Snapshot

/// Tables of the target that more than one table of the sources goes to.
struct MergedTableTests {
    private func plan(_ targets: [String], others: [String] = []) throws -> SnapshotPlan {
        var mapping = TableMapping(TableSelection(tables: []))
        let patterns = try others.map { try #require(TablePattern($0)) }
        mapping.share(with: ["other": TableMapping(TableSelection(tables: patterns))])
        return SnapshotPlan(
            tables: targets.enumerated().map { i, target in
                let keys = ["id", "u"].map {
                    KeyShape(name: $0, parts: [KeyPart(column: $0)], isUnique: true)
                }
                return PlannedTable(
                    shape: TableShape(
                        name: TableName(schema: "s", name: "t\(i)"),
                        columns: ["id", "u"].map {
                            ColumnShape(name: $0, type: ColumnType(.int), isNullable: false)
                        }, keys: keys),
                    estimatedRows: 10, estimatedBytes: 10, needsExactView: false,
                    route: Route(target: TableName(schema: "s", name: target)))
            }, mapping: mapping)
    }

    /// Whether the second of two views replaces what it meets, at once and after a conflict.
    private func replaces(_ targets: [String], others: [String]) throws -> [Bool] {
        let scheduler = ChunkScheduler(
            plan: try plan(targets, others: others), done: [], pairs: 2)
        var job: ChunkJob?
        for snapshot in [1, 2] {
            guard case .step(let table, _) = scheduler.next(snapshot: snapshot, exact: nil) else {
                break
            }
            job = scheduler.stepped(table, to: ["\(snapshot)"])
            if snapshot == 1 { _ = scheduler.finished(table) }
        }
        return [job?.replaces ?? true, scheduler.mustReplace(0)]
    }

    @Test func `rows of merged and shared tables replace none`() throws {
        #expect(try replaces(["t0"], others: ["x.*"]) == [true, true])
        #expect(try replaces(["t0"], others: ["s.t0"]) == [false, false])
        #expect(try replaces(["one", "one"], others: []) == [false, false])
    }

    @Test func `an expression without its column is no condition of the copy`() throws {
        let mapping = try TableMapping(
            SourceRules(
                expressionFilters: [
                    ExpressionFilterRule(
                        name: "e", schema: "s", table: "t0", insertExpression: "nothing = 1"),
                    ExpressionFilterRule(
                        name: "f", schema: "s", table: "t0", insertExpression: "u = 1"),
                    ExpressionFilterRule(
                        name: "g", schema: "s", table: "t1", insertExpression: "u = NOW()"),
                ]))
        let shapes = try plan(["t0", "t1"]).tables.map(\.shape).sorted { $0.name < $1.name }
        let version = ServerVersion("8.0.30")
        #expect(
            try mapping.copyCondition(of: shapes[0], source: version) == "(u = 1) IS NOT TRUE")
        #expect(throws: RuleError.self) {
            try mapping.copyCondition(of: shapes[1], source: version)
        }
    }
}
