import MySQLCore
import Rules
import Testing

@testable import Replication

/// What becomes of statements on merged tables that are followed.
struct MergedDecisionTests {
    private func rig(_ tables: [String] = ["a", "b"]) throws -> StatementRig {
        let rig = try StatementRig(
            rules: SourceRules(
                tables: BlockAllowList(doSchemas: ["shop"]),
                routes: tables.map {
                    RouteRule(
                        name: "r\($0)", schemaPattern: "shop", tablePattern: $0,
                        targetSchema: "all", targetTable: "t")
                }))
        rig.catalog.followsMerged = true
        return rig
    }

    @Test("rows stay that are merged with others', whatever takes them away")
    func rowsStay() throws {
        for sql in ["DROP TABLE a", "DROP TABLE IF EXISTS b, a", "TRUNCATE TABLE a"] {
            let it = try rig()
            guard case .filtered = try it.decide(sql) else {
                Issue.record("\(sql) runs")
                continue
            }
            #expect(it.catalog.warnings.first?.contains("stay in all.t") == true, "\(sql)")
            // Of what is left alone, too: others' rows are there.
            let abandoned = it.catalog.abandonedTargets
            #expect(abandoned == [TableName(schema: "all", name: "t")])
        }
        let it = try rig()
        guard case .run(let request, _, _) = try it.decide("DROP DATABASE shop") else {
            Issue.record("views and routines stay")
            return
        }
        #expect(request.sql.isEmpty && request.isPartial && request.goneAfter.isEmpty)
        let alone = try rig(["a"])
        guard case .run(let drop, _, _) = try alone.decide("DROP TABLE a") else {
            Issue.record("a table that shares its place with none stays")
            return
        }
        #expect(drop.merged == nil && String(decoding: drop.sql, as: UTF8.self).contains("`all`"))
        alone.catalog.abandonedTargets = [TableName(schema: "all", name: "t")]
        guard case .filtered = try alone.decide("DROP TABLE a") else {
            Issue.record("the last one takes along what others have left")
            return
        }
    }

    @Test("a table that others may write to, and none does, goes with its rows")
    func nobodyElse() throws {
        let list = BlockAllowList(doSchemas: ["shop"])
        for sql in ["DROP TABLE a", "TRUNCATE TABLE a", "DROP DATABASE shop"] {
            for isWritten in [false, true] {
                let it = try StatementRig(
                    rules: SourceRules(tables: list),
                    others: ["s2": SourceRules(source: "s2", tables: list)])
                it.catalog.followsMerged = true
                it.catalog.othersWrite = { _ in isWritten }
                if case .run(let request, _, _) = try it.decide(sql) {
                    #expect(!isWritten && request.merged == nil, "\(sql)")
                    // It is looked at once more when it runs.
                    #expect(it.catalog.foundAlone.contains(TableName(schema: "shop", name: "a")))
                } else {
                    #expect(isWritten && !it.catalog.warnings.isEmpty, "\(sql)")
                }
            }
        }
    }

    @Test("what others were told of stays told until rules, or its own statement, take it away")
    func told() throws {
        let list = BlockAllowList(doSchemas: ["shop"])
        let it = try StatementRig(
            rules: SourceRules(tables: list),
            others: ["s2": SourceRules(source: "s2", tables: list)])
        // One that was made behind the mark, one that is not selected, and one that went elsewhere.
        let new = TableName(schema: "shop", name: "new")
        let outside = TableName(schema: "old", name: "t")
        let moved = TableName(schema: "shop", name: "moved")
        it.catalog.toldOfMerged = [
            new: new, outside: outside, moved: TableName(schema: "all", name: "t"),
        ]
        it.catalog.followsMerged = true
        let noted = try it.catalog.mergedAtStart()
        #expect(noted.filter { $0.shape != nil }.map(\.name.name) == ["a", "b"])
        #expect(noted.filter { $0.shape == nil }.map(\.name) == [outside, moved])
        // Nobody follows statements any more: what was told becomes wrong.
        it.catalog.followsMerged = false
        #expect(try it.catalog.mergedAtStart().map(\.name) == [outside, moved, new])
    }

    @Test("what it means is told by all of them, and what only a person can decide is refused")
    func decided() throws {
        for sql in [
            "ALTER TABLE a ADD c INT", "CREATE INDEX i ON a (id)", "DROP INDEX `PRIMARY` ON a",
        ] {
            let it = try rig()
            guard case .run(let request, _, _) = try it.decide(sql) else {
                Issue.record("\(sql) does not run")
                continue
            }
            let change = try #require(request.merged)
            #expect(request.isPartial && change.target == TableName(schema: "all", name: "t"))
            #expect(change.own.keys.map(\.name) == ["b"], "\(sql)")
        }
        for sql in [
            "RENAME TABLE a TO z", "ALTER TABLE a RENAME TO z",
            "CREATE OR REPLACE TABLE a (id INT PRIMARY KEY)", "CREATE OR REPLACE DATABASE shop",
            "CREATE OR REPLACE INDEX i ON a (id)",
        ] {
            #expect(throws: ReplicationError.self, "\(sql)") { try rig().decide(sql) }
        }
        guard case .pass = try rig().decide("CREATE TABLE IF NOT EXISTS a (id INT)") else {
            Issue.record("what is there is made again")
            return
        }
    }
}
