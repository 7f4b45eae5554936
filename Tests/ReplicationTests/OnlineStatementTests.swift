import Checkpoint
import MySQLBinlog
import MySQLCore
import MySQLSyntax
import Rules
import Testing

@testable import Replication

/// What statements of gh-ost and pt-online-schema-change become on the target.
@Suite("Statements of online schema changes")
struct OnlineStatementTests {
    /// The tables `shop.a` and `shop.b`, and the statements of a source on them.
    private final class Rig {
        let catalog: TableCatalog
        private let dialect: ServerDialect
        private let carried: IdentitySet
        private var number = 1

        init(
            window: (low: Int, high: Int)? = nil, applied: Int? = nil,
            rules: SourceRules = SourceRules(),
            online: [TableName: OnlineSchemaChangeStateMachine.Entry] = [:]
        ) throws {
            var dialect = ServerDialect(version: ServerVersion("10.11.6-MariaDB"))
            dialect.collations = [45: "utf8mb4_general_ci"]
            dialect.explicitDefaultsForTimestamp = true
            var state = SchemaState()
            for name in ["a", "b"] {
                let table = TableName(schema: "shop", name: name)
                state.tables[table] = TableShape(
                    name: table,
                    columns: [
                        ColumnShape(name: "id", type: ColumnType(.int), isNullable: false)
                    ],
                    keys: [
                        KeyShape(name: "PRIMARY", parts: [KeyPart(column: "id")], isUnique: true)
                    ], charset: "utf8mb4", collation: "utf8mb4_general_ci")
            }
            state.schemas["shop"] = SchemaDefaults(
                charset: "utf8mb4", collation: "utf8mb4_general_ci")
            var windows: [TableName: CopyRange] = [:]
            if let window {
                windows[TableName(schema: "shop", name: "a")] = CopyRange(
                    low: TargetRig.position(window.low), high: TargetRig.position(window.high))
            }
            var carried = IdentitySet()
            if let applied { carried.insert(TargetRig.identity(applied)) }
            self.carried = carried
            self.dialect = dialect
            catalog = TableCatalog(
                sourceVersion: dialect.version, mapping: try TableMapping(rules), state: state,
                windows: windows, consistentFrom: nil,
                session: StatementSession(source: dialect, target: dialect), online: online)
        }

        /// The next statement; each is a transaction of its own, numbered from 1.
        @discardableResult
        func decide(_ sql: String) throws -> StatementHandler.Decision {
            defer { number += 1 }
            var writer = EventWriter()
            writer.query(
                Array(sql.utf8), schema: "shop",
                status: [4, 45, 0, 45, 0, 45, 0])
            let event = writer.events[0]
            let query = try QueryEvent(event.span.bytes)
            let identity = TargetRig.identity(number)
            catalog.beginTransaction(identity)
            let handler = StatementHandler(
                catalog: catalog,
                applied: AppliedState(lowWater: TargetRig.position(0), carried: carried))
            let end = GroupEnd(
                ordinal: 1, identity: identity,
                start: BinlogPosition(file: "bin.000001", offset: 100),
                end: BinlogPosition(file: "bin.000001", offset: 200), digest: 1)
            return try handler.decide(
                query, end, timestamp: 1_700_000_000 + Int64(number),
                position: TargetRig.position(number))
        }

        /// What runs of several statements, each before the last one expected to pass.
        func sent(_ statements: [String]) throws -> [String]? {
            for sql in statements.dropLast() {
                guard case .pass = try decide(sql) else {
                    Issue.record("\(sql) did not pass")
                    return nil
                }
            }
            guard case .run(let request, _, _) = try decide(statements.last!) else { return nil }
            return request.parts.map { String(decoding: $0.sql, as: UTF8.self) }
        }
    }

    private static let begin = ["CREATE TABLE _a_gho LIKE a", "ALTER TABLE _a_gho ADD x INT"]
    private static let swap = "RENAME TABLE a TO _a_del, _a_gho TO a"

    private func expect(
        _ what: String, sourceLocation: SourceLocation = #_sourceLocation,
        _ body: () throws -> Void
    ) {
        #expect(sourceLocation: sourceLocation) {
            try body()
        } throws: { error in
            guard case ReplicationError.onlineChange(let table, _, let detail) = error else {
                return false
            }
            return table.name == "a" && detail.contains(what)
        }
    }

    @Test("what was done to the shadow table is done to the real one at the swap, and no more")
    func swapped() throws {
        let more = ["CREATE INDEX i ON _a_gho (x)", "CREATE TABLE _a_ghc (id INT)", Self.swap]
        let whole = try Rig().sent(Self.begin + more)
        #expect(
            whole == ["ALTER TABLE `shop`.`a` ADD x INT", "CREATE INDEX i ON `shop`.`a` (x)"])
        // Two renamings in two statements, as gh-ost does where it can't lock.
        let two = ["ALTER TABLE a RENAME _a_del", "ALTER TABLE _a_gho RENAME a"]
        #expect(try Rig().sent(Self.begin + two) == ["ALTER TABLE `shop`.`a` ADD x INT"])
        // What stands beside it runs too.
        #expect(
            try Rig().sent(Self.begin + [Self.swap + ", b TO c"])
                == ["ALTER TABLE `shop`.`a` ADD x INT", "RENAME TABLE `shop`.`b` TO `shop`.`c`"])
        // A table that is rebuilt as it is.
        #expect(try Rig().sent(["CREATE TABLE _a_gho LIKE a", Self.swap]) == nil)
    }

    @Test("the statement's session is that of the shadow table's statement")
    func session() throws {
        let rig = try Rig()
        for sql in Self.begin { try rig.decide(sql) }
        guard case .run(let request, let effects, _) = try rig.decide(Self.swap) else {
            Issue.record("it does not run")
            return
        }
        #expect(request.parts[0].settings.first == "timestamp=1700000002")
        #expect(request.parts[0].existAfter.map(\.name) == ["a"])
        #expect(effects.count == 1)
    }

    @Test("what is known outlives a run")
    func durable() throws {
        let rig = try Rig()
        for sql in Self.begin { try rig.decide(sql) }
        let changes = try rig.catalog.takeOnlineChanges()
        #expect(changes.map(\.table.name) == ["_a_gho"])
        #expect(try rig.catalog.takeOnlineChanges().isEmpty)
        var online: [TableName: OnlineSchemaChangeStateMachine.Entry] = [:]
        for change in changes {
            online[change.table] = try change.stored?.decoded(
                as: OnlineSchemaChangeStateMachine.Entry.self)
        }
        let next = try Rig(online: online)
        #expect(try next.sent([Self.swap]) == ["ALTER TABLE `shop`.`a` ADD x INT"])
        let over = try next.catalog.takeOnlineChanges()
        #expect(over.map(\.table.name) == ["_a_gho"] && over[0].stored == nil)
    }

    @Test("a swap that has run is followed by the shapes alone")
    func applied() throws {
        let rig = try Rig(applied: 3)
        for sql in Self.begin { try rig.decide(sql) }
        guard case .shapesOnly(let effects, let context) = try rig.decide(Self.swap) else {
            Issue.record("it runs again")
            return
        }
        _ = try rig.catalog.carry(effects, context, TargetRig.position(3), target: [:])
        let a = rig.catalog.state.tables[TableName(schema: "shop", name: "a")]
        #expect(a?.columns.map(\.name) == ["id", "x"])
    }

    @Test("a swap whose statements are not known, or don't tell all, stops it")
    func refused() throws {
        expect("began before") { _ = try Rig().sent([Self.swap]) }
        expect("began before") { _ = try Rig().sent([Self.begin[1], Self.swap]) }
        // The real table was changed beside the tool.
        expect("another order") {
            let rig = try Rig()
            for sql in Self.begin { try rig.decide(sql) }
            guard case .run(_, let ddl, let context) = try rig.decide("ALTER TABLE a ADD y INT")
            else { return }
            _ = try rig.catalog.carry(ddl, context, TargetRig.position(3), target: [:])
            try rig.decide(Self.swap)
        }
        for column in [
            "t DATETIME DEFAULT NOW()", "t DATETIME NOT NULL DEFAULT (NOW() - INTERVAL 1 DAY)",
            "t TIMESTAMP NULL ON UPDATE CURRENT_TIMESTAMP",
        ] {
            expect("has got the time") {
                _ = try Rig().sent([
                    Self.begin[0], "ALTER TABLE _a_gho ADD \(column)", Self.swap,
                ])
            }
        }
        #expect {
            _ = try Rig().sent(["ALTER TABLE a RENAME _a_del", "CREATE TABLE a (id INT)"])
        } throws: {
            if case ReplicationError.unsupported = $0 { true } else { false }
        }
        // A statement that nobody understands, on a shadow table.
        #expect(throws: (any Error).self) { try Rig().sent(["ALTER TABLE _a_gho ADD COLUMN"]) }
    }

    @Test("a swap that the copy has seen is none; within the copy's range it is copied again")
    func copied() throws {
        #expect(try Rig(window: (9, 9)).sent(Self.begin + [Self.swap]) == nil)
        #expect(try Rig(window: (9, 9)).sent([Self.swap]) == nil)
        #expect(try Rig(window: (9, 9)).sent(["ALTER TABLE _a_del RENAME a"]) == nil)
        #expect(
            try Rig(window: (2, 2)).sent(Self.begin + [Self.swap])
                == ["ALTER TABLE `shop`.`a` ADD x INT"])
        for statements in [Self.begin + [Self.swap], [Self.swap]] {
            #expect {
                _ = try Rig(window: (0, 9)).sent(statements)
            } throws: {
                if case ReplicationError.changedDuringCopy = $0 { true } else { false }
            }
        }
        // What is done to the shadow table is no change of the real one.
        #expect(try Rig(window: (0, 9)).sent(Self.begin) == nil)
    }

    @Test("filters of events and routes are asked about the real table")
    func rules() throws {
        let filter = EventFilterRule(
            name: "no-alter", schemaPattern: "shop", tablePattern: "a", events: [.alterTable],
            action: .ignore)
        let filtered = try Rig(rules: SourceRules(eventFilters: [filter]))
        for sql in Self.begin { try filtered.decide(sql) }
        guard case .filtered(let effects, _) = try filtered.decide(Self.swap) else {
            Issue.record("it is not filtered")
            return
        }
        #expect(effects.count == 1)
        let moved = try Rig(
            rules: SourceRules(routes: [
                RouteRule(
                    name: "r", schemaPattern: "shop", tablePattern: "a", targetSchema: "other",
                    targetTable: "z")
            ]))
        #expect(
            try moved.sent(Self.begin + [Self.swap]) == ["ALTER TABLE `other`.`z` ADD x INT"])
    }

    @Test("with online-ddl: false such tables are tables as any other")
    func off() throws {
        let rig = try Rig(rules: SourceRules(onlineSchemaChange: nil))
        #expect(rig.catalog.mapping.selects(TableName(schema: "shop", name: "_a_gho")))
        guard case .run = try rig.decide(Self.begin[0]) else {
            Issue.record("it does not run")
            return
        }
        let on = try Rig()
        #expect(!on.catalog.mapping.selects(TableName(schema: "shop", name: "_a_gho")))
        #expect(!on.catalog.mapping.selects(TableName(schema: "shop", name: "_a_del")))
    }
}

extension DDLRequest {
    /// The statement of a request that has one.
    var sql: [UInt8] { parts[0].sql }
    var settings: [String] { parts[0].settings }
    var tables: [TableName] { parts[0].tables }
    var goneAfter: [TableName] { parts[0].goneAfter }
}
