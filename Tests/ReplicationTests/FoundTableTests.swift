import Checkpoint
import MySQLCore
import MySQLSyntax
import Rules
import Testing

@testable import Replication

/// Tables that came from a task that had not created them are never dropped to be copied: a record
/// says so, for as long as they are there.
@Suite("Tables that were taken over, and had been there before")
struct FoundTableTests {
    private static func table(_ name: String) -> TableName { TableName(schema: "shop", name: name) }

    /// What becomes of the records by one statement, as `-a` and `+b`, where it is carried as the
    /// stream does it.
    ///
    /// - Parameter there: what the target has behind it.
    private func changes(
        _ rig: StatementRig, _ sql: String, there: Set<TableName> = []
    ) throws -> [String] {
        let step: (ddl: [DDL], context: SyntaxContext, isCompared: Bool)
        switch try rig.decide(sql) {
        case .run(let request, let ddl, let context):
            step = (ddl, context, !request.isPartial)
        case .shapesOnly(let ddl, let context): step = (ddl, context, true)
        case .filtered(let ddl, let context): step = (ddl, context, false)
        case .pass, .leaveOut:
            Issue.record("\(sql) was passed over")
            return []
        }
        let catalog = rig.catalog
        let shapes = try catalog.carry(
            step.ddl, step.context, TargetRig.position(1), target: [:],
            isCompared: step.isCompared)
        try catalog.forgetFound(catalog.foundTables(goneBy: shapes)) { there.contains($0) }
        return try catalog.takeChanges().filter { $0.kind == .found }.map { change in
            #expect(change.stored.map { $0.name == change.name && $0.kind == .found } ?? true)
            return "\(change.stored == nil ? "-" : "+")\(change.name.name)"
        }
    }

    private func rig(
        _ found: String..., rules: SourceRules = SourceRules()
    ) throws -> StatementRig {
        let rig = try StatementRig(rules: rules)
        rig.catalog.found = Set(found.map(Self.table))
        return rig
    }

    @Test("the record goes with a table to its new name, and with the table")
    func renamed() throws {
        let rig = try rig("a")
        #expect(try changes(rig, "ALTER TABLE a ADD x INT", there: [Self.table("a")]).isEmpty)
        #expect(try changes(rig, "RENAME TABLE a TO c") == ["-a", "+c"])
        // What comes by the old name is the subtask's own.
        #expect(try changes(rig, "RENAME TABLE b TO a").isEmpty)
        #expect(try changes(rig, "ALTER TABLE c RENAME d") == ["-c", "+d"])
        #expect(rig.catalog.found == [Self.table("d")])
        #expect(try changes(rig, "DROP TABLE d") == ["-d"])
        #expect(try changes(rig, "DROP TABLE a").isEmpty)
        #expect(rig.catalog.found.isEmpty)
    }

    @Test("names that are used again on the way are told apart")
    func swapped() throws {
        let one = try rig("a")
        let swap = "RENAME TABLE a TO tmp, b TO a, tmp TO b"
        #expect(try changes(one, swap) == ["-a", "+b"])
        let both = try rig("a", "b")
        #expect(try changes(both, swap).isEmpty)
        #expect(both.catalog.found == [Self.table("a"), Self.table("b")])
        // There and back.
        #expect(try changes(one, "RENAME TABLE b TO tmp, tmp TO b").isEmpty)
    }

    @Test("what goes with its schema is forgotten, and what the target keeps is not")
    func dropped() throws {
        let whole = try rig("a", "b")
        #expect(try changes(whole, "DROP DATABASE shop") == ["-a", "-b"])
        // By rules, the source alone has dropped it.
        let filter = EventFilterRule(
            name: "f", schemaPattern: "shop", tablePattern: "a", events: [.dropTable],
            action: .ignore)
        let kept = try rig("a", rules: SourceRules(eventFilters: [filter]))
        #expect(try changes(kept, "DROP TABLE a", there: [Self.table("a")]).isEmpty)
        #expect(kept.catalog.found == [Self.table("a")])
        #expect(kept.catalog.state.tables[Self.table("a")] == nil)
    }

    @Test("the target is asked by the names that it knows")
    func routed() throws {
        let route = RouteRule(name: "r", schemaPattern: "shop", targetSchema: "moved")
        let there = TableName(schema: "moved", name: "a")
        let kept = try rig("a", rules: SourceRules(routes: [route]))
        #expect(try changes(kept, "DROP TABLE a", there: [there]).isEmpty)
        let gone = try rig("a", rules: SourceRules(routes: [route]))
        #expect(try changes(gone, "DROP TABLE a", there: [Self.table("a")]) == ["-a"])
    }

    /// The same of the records of tables that the copy has created.
    private func created(
        _ rig: StatementRig, _ sql: String, isCompared: Bool = true
    ) throws -> [String] {
        let step: (ddl: [DDL], context: SyntaxContext, isCompared: Bool)
        switch try rig.decide(sql) {
        case .run(let request, let ddl, let context):
            step = (ddl, context, !request.isPartial)
        case .shapesOnly(let ddl, let context): step = (ddl, context, true)
        case .filtered(let ddl, let context): step = (ddl, context, false)
        case .pass, .leaveOut:
            Issue.record("\(sql) was passed over")
            return []
        }
        _ = try rig.catalog.carry(
            step.ddl, step.context, TargetRig.position(1), target: [:],
            isCompared: step.isCompared)
        return try rig.catalog.takeChanges().filter { $0.kind == .table }.map { change in
            #expect(change.stored.map { $0.definition.isEmpty } ?? true)
            return "\(change.stored == nil ? "-" : "+")\(change.name.name)"
        }
    }

    @Test("that the copy has created a table goes with it, and not to one that gets its name")
    func createdTables() throws {
        let rig = try rig("b")
        rig.catalog.created = [Self.table("a")]
        #expect(try created(rig, "ALTER TABLE a ADD x INT").isEmpty)
        // Whoever makes it again is the subtask, too; but what others have made is not.
        #expect(try created(rig, "DROP TABLE a").isEmpty)
        #expect(try created(rig, "RENAME TABLE b TO a") == ["-a"])
        #expect(rig.catalog.created.isEmpty && rig.catalog.found == [Self.table("a")])

        let own = try self.rig()
        own.catalog.created = [Self.table("a")]
        #expect(try created(own, "RENAME TABLE a TO c") == ["-a", "+c"])
        #expect(try created(own, "ALTER TABLE c RENAME d") == ["-c", "+d"])
        #expect(own.catalog.created == [Self.table("d")])
    }

    @Test("of tables that swap their names, each keeps what is known of it")
    func swappedCreated() throws {
        let swap = "RENAME TABLE a TO tmp, b TO a, tmp TO b"
        let one = try rig("b")
        one.catalog.created = [Self.table("a")]
        #expect(try created(one, swap) == ["-a", "+b"])
        #expect(one.catalog.created == [Self.table("b")] && one.catalog.found == [Self.table("a")])
        // Their definitions are other ones now.
        let both = try rig()
        both.catalog.created = [Self.table("a"), Self.table("b")]
        #expect(try created(both, swap) == ["+a", "+b"])
        #expect(try created(both, "RENAME TABLE b TO tmp, tmp TO b").isEmpty)
    }

    @Test("what is known to be of others counts more than that it was created")
    func foundCountsMore() {
        func object(_ kind: StoredObject.Kind, _ name: String) -> StoredObject {
            StoredObject(kind: kind, name: Self.table(name), definition: [])
        }
        let objects = [object(.table, "a"), object(.table, "b"), object(.found, "b")]
        #expect(objects.created == [Self.table("a")])
    }
}
