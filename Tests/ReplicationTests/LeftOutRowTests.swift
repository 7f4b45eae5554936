import Checkpoint
import MySQLCore
import MySQLSyntax
import Rules
import Stream
import TestServers
import Testing

@testable import Replication

/// Tables of which rules leave something out: the target's rows are not what the source's were.
@Suite("Rows that rules leave out")
struct LeftOutRowTests {
    private typealias Step = (table: String, change: EventWriter.Change)

    private static func rules(
        _ schema: String, insert: String? = nil, updateNew: String? = nil, delete: String? = nil,
        events: [EventSelector] = []
    ) -> SourceRules {
        var expressions: [ExpressionFilterRule] = []
        for table in ["t", "uniq", "twins"] {
            func add(_ kind: String, _ change: (inout ExpressionFilterRule) -> Void) {
                var rule = ExpressionFilterRule(
                    name: "\(kind)-\(table)", schema: schema, table: table)
                change(&rule)
                expressions.append(rule)
            }
            let column = table == "t" ? "v" : table == "uniq" ? "u" : "b"
            func text(_ it: String) -> String { it.replacing("?", with: column) }
            if let insert { add("insert") { $0.insertExpression = text(insert) } }
            if let updateNew { add("update") { $0.updateNewExpression = text(updateNew) } }
            if let delete { add("delete") { $0.deleteExpression = text(delete) } }
        }
        let filters =
            events.isEmpty
            ? []
            : [
                EventFilterRule(
                    name: "f", schemaPattern: schema, events: events, action: .ignore)
            ]
        return SourceRules(eventFilters: filters, expressionFilters: expressions)
    }

    private func apply(
        _ rig: TargetRig, _ changes: [[Step]], _ rules: SourceRules, first: Int = 1,
        converging: Bool = false
    ) async throws {
        try await rig.apply(
            try rig.transactions(changes, first: first, converging: converging, rules: rules),
            token: 1)
    }

    @Test(
        "a row that was left out is never there, whatever happens to it",
        arguments: Servers.families)
    func inserts(family: TestServer.Family) async throws {
        let rig = try await TargetRig(family, "leftinserts")
        try rig.take(1)
        let rules = Self.rules(rig.schema, insert: "? < 0")
        try await apply(
            rig,
            [
                [("t", .insert([1, -1])), ("t", .insert([2, 2])), ("t", .insert([3, -3]))],
                [("t", .update([1, -1], [1, 7]))], [("t", .delete([3, -3]))],
                [("t", .update([1, 7], [9, 7]))], [("t", .update([2, 2], [2, 5]))],
                [("uniq", .insert([1, -1])), ("uniq", .insert([2, 2]))],
                [("uniq", .update([1, -1], [1, 3])), ("uniq", .update([1, 3], [4, 3]))],
                [("uniq", .update([2, 2], [5, 6]))],
                [("twins", .insert([1, -1])), ("twins", .insert([2, 2]))],
                [("twins", .update([1, -1], [1, 1])), ("twins", .update([2, 2], [2, 3]))],
                [("twins", .delete([1, 1]))],
            ], rules)
        #expect(try rig.rows("t") == "2,5")
        #expect(try rig.rows("uniq") == "5,6")
        #expect(try rig.rows("twins") == "2,3")
    }

    @Test(
        "an update behind one that was left out finds its row as it is",
        arguments: Servers.families)
    func updates(family: TestServer.Family) async throws {
        let rig = try await TargetRig(family, "leftupdates")
        try rig.take(1)
        let rules = Self.rules(rig.schema, updateNew: "? = 2")
        let steps: [[Step]] = [
            [("t", .insert([1, 1])), ("t", .insert([2, 1])), ("t", .insert([3, 1]))],
            [("t", .update([1, 1], [1, 2]))], [("t", .update([1, 2], [1, 1]))],
            [("t", .update([2, 1], [2, 2]))], [("t", .update([2, 2], [2, 3]))],
        ]
        try await apply(rig, steps, rules)
        #expect(try rig.rows("t") == "1,1;2,3;3,1")
        // In one batch the images are equal, and the target holds another row.
        try await apply(rig, [[("t", .update([3, 1], [3, 2]))]], rules, first: 6)
        try await apply(rig, [[("t", .delete([3, 2])), ("t", .insert([3, 2]))]], rules, first: 7)
        #expect(try rig.rows("t") == "1,1;2,3;3,2")
    }

    @Test("rows that stayed where they were deleted make room", arguments: Servers.families)
    func deletes(family: TestServer.Family) async throws {
        let rig = try await TargetRig(family, "leftdeletes")
        try rig.take(1)
        let rules = Self.rules(rig.schema, events: [.delete])
        try await apply(
            rig,
            [
                [("t", .insert([1, 1])), ("t", .insert([2, 2])), ("t", .insert([3, 3]))],
                [("t", .delete([1, 1])), ("t", .delete([2, 2]))],
                [("t", .insert([1, 5]))], [("t", .update([3, 3], [2, 4]))],
                [
                    ("uniq", .insert([1, 1])), ("uniq", .insert([2, 2])),
                    ("uniq", .insert([3, 3])),
                ],
                [("uniq", .delete([1, 1])), ("uniq", .delete([2, 2]))],
                [("uniq", .insert([7, 1]))], [("uniq", .update([3, 3], [3, 2]))],
            ], rules)
        #expect(try rig.rows("t") == "1,5;2,4")
        #expect(try rig.rows("uniq") == "3,2;7,1")
    }

    @Test(
        "what the copy left out does not come by an update in its range",
        arguments: Servers.families)
    func copyRange(family: TestServer.Family) async throws {
        let rig = try await TargetRig(family, "leftrange")
        try rig.take(1)
        // Row 4 was read under its new key already, row 5 was not there yet under its new one.
        try rig.server.sql("INSERT INTO t VALUES (2,2),(14,4)", database: rig.schema)
        try await apply(
            rig,
            [
                [("t", .update([1, -1], [1, -2])), ("t", .update([2, 2], [2, 3]))],
                [("t", .update([1, -2], [1, 8])), ("t", .update([4, 4], [14, 4]))],
                [("t", .update([5, 5], [15, 6])), ("t", .delete([3, -1]))],
            ], Self.rules(rig.schema, insert: "? < 0"), converging: true)
        #expect(try rig.rows("t") == "2,3;14,4;15,6")
    }

    @Test("tables that no rule names keep their exact statements")
    func others() throws {
        let mapping = try TableMapping(
            SourceRules(
                eventFilters: [
                    EventFilterRule(
                        name: "f", schemaPattern: "s", tablePattern: "log", events: [.delete],
                        action: .ignore),
                    EventFilterRule(
                        name: "h", schemaPattern: "s", tablePattern: "emptied",
                        sqlPatterns: ["^truncate"], action: .ignore),
                    EventFilterRule(
                        name: "g", schemaPattern: "s", tablePattern: "e", events: [.delete],
                        action: .error),
                ],
                expressionFilters: [
                    ExpressionFilterRule(
                        name: "e", schema: "S", table: "t", deleteExpression: "nothing = 1")
                ]))
        func loose(_ name: String) -> Bool {
            mapping.leavesOutRows(of: TableName(schema: "s", name: name))
        }
        #expect(loose("log") && loose("t") && loose("T") && loose("emptied"))
        #expect(!loose("other") && !loose("e"))
    }

    @Test("a key that is another one in its bytes alone does not lose its row")
    func keysAlike() throws {
        let name = TableName(schema: "s", name: "t")
        var state = SchemaState()
        state.tables[name] = TableShape(
            name: name,
            columns: ["id", "v"].map {
                ColumnShape(name: $0, type: ColumnType(.int), isNullable: $0 != "id")
            },
            keys: [KeyShape(name: "PRIMARY", parts: [KeyPart(column: "id")], isUnique: true)])
        let catalog = TableCatalog(
            sourceVersion: ServerVersion("8.0.30"),
            mapping: try TableMapping(Self.rules("s", delete: "? = 1")), state: state,
            windows: [:], consistentFrom: nil)
        let start = TargetRig.position(0)
        var assembler = TransactionAssembler(
            catalog: catalog, applied: AppliedState(lowWater: start, carried: IdentitySet()),
            origin: start.origin, bytesLimit: 1 << 30)
        var writer = EventWriter()
        writer.gtid(1)
        writer.query("BEGIN")
        writer.tableMap(4, "s", "t", columns: 2)
        writer.rows(4, [.update([3, 4], [8, 5]), .update([1, 1], [1, 1])], columns: 2)
        writer.xid()
        var batch: ContiguousArray<SourceTransaction> = []
        for chunk in writer.chunks() {
            if case .transaction(let it, _) = try assembler.consume(chunk, chunk.entries[0]) {
                batch.append(it)
            }
        }
        var out = ByteBuffer(capacity: 1024)
        var expected: [Replication.Expectation] = []
        var renderer = BatchRenderer(statementBytes: 1 << 16, packetBytes: 1 << 16)
        renderer.resetSession()
        try renderer.render(batch, into: &out, expecting: &expected) { _, _ in }
        #expect(
            out.string().split(separator: ";") == [
                "REPLACE INTO `s`.`t` (`id`,`v`) SELECT 8,5 FROM `s`.`t` WHERE `id`=3",
                "DELETE FROM `s`.`t` WHERE `id`=3 AND NOT (`id`=8)",
                "UPDATE `s`.`t` SET `v`=1 WHERE `id`=1",
            ])
        #expect(expected.allSatisfy { $0.count == nil })
    }

    @Test("a transaction does not grow by rows that are left out")
    func memory() throws {
        let name = TableName(schema: "s", name: "t")
        var state = SchemaState()
        state.tables[name] = TableShape(
            name: name, columns: [ColumnShape(name: "id", type: ColumnType(.int))], keys: [])
        let catalog = TableCatalog(
            sourceVersion: ServerVersion("8.0.30"),
            mapping: try TableMapping(
                SourceRules(
                    expressionFilters: [
                        ExpressionFilterRule(
                            name: "e", schema: "s", table: "t", insertExpression: "id < 1000")
                    ])), state: state, windows: [:], consistentFrom: nil)
        let start = TargetRig.position(0)
        var assembler = TransactionAssembler(
            catalog: catalog, applied: AppliedState(lowWater: start, carried: IdentitySet()),
            origin: start.origin, bytesLimit: 1 << 30)
        var writer = EventWriter()
        writer.gtid(1)
        writer.query("BEGIN")
        for n in 990...1000 {
            writer.tableMap(4, "s", "t", columns: 1)
            writer.rows(4, [.insert([n])], columns: 1)
        }
        writer.xid()
        var found: SourceTransaction?
        for chunk in writer.chunks() {
            if case .transaction(let it, _) = try assembler.consume(chunk, chunk.entries[0]) {
                found = it
            }
        }
        #expect(found?.rows.count == 1)
        #expect(found?.sources.count == 1, "an event is held without any of its rows")
    }
}
