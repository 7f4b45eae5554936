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
        let whole = try StatementRig().sent(Self.begin + more)
        #expect(
            whole == ["ALTER TABLE `shop`.`a` ADD x INT", "CREATE INDEX i ON `shop`.`a` (x)"])
        // Two renamings in two statements, as gh-ost does where it can't lock.
        let two = ["ALTER TABLE a RENAME _a_del", "ALTER TABLE _a_gho RENAME a"]
        #expect(try StatementRig().sent(Self.begin + two) == ["ALTER TABLE `shop`.`a` ADD x INT"])
        // What stands beside it runs too.
        #expect(
            try StatementRig().sent(Self.begin + [Self.swap + ", b TO c"])
                == ["ALTER TABLE `shop`.`a` ADD x INT", "RENAME TABLE `shop`.`b` TO `shop`.`c`"])
        // A table that is rebuilt as it is.
        #expect(try StatementRig().sent(["CREATE TABLE _a_gho LIKE a", Self.swap]) == nil)
    }

    @Test("the statement's session is that of the shadow table's statement")
    func session() throws {
        let rig = try StatementRig()
        for sql in Self.begin { try rig.decide(sql) }
        guard case .run(let request, let effects, _) = try rig.decide(Self.swap) else {
            Issue.record("it does not run")
            return
        }
        #expect(request.parts[0].settings.first == "timestamp=1700000002")
        #expect(request.parts[0].existAfter.map(\.name) == ["a"])
        #expect(effects.count == 1)
    }

    @Test("what is written here is sent as what it is, whatever the source's client has written in")
    func encoding() throws {
        let rig = try StatementRig()
        for sql in Self.begin { try rig.decide(sql, latin1: true) }
        guard
            case .run(let request, _, _) = try rig.decide(
                Self.swap + ", b TO \u{E7}", latin1: true)
        else {
            Issue.record("it does not run")
            return
        }
        let last = try #require(request.parts.last)
        #expect(
            String(decoding: last.sql, as: UTF8.self)
                == "RENAME TABLE `shop`.`b` TO `shop`.`\u{E7}`")
        #expect(last.existAfter.map(\.name) == ["\u{E7}"])
        #expect(!last.settings.contains { $0.hasPrefix("character_set_client") })
        // The statement on the shadow table is the source's own text.
        #expect(request.parts[0].settings.contains("character_set_client=latin1"))
    }

    @Test("a name can't be put into a text of another character set")
    func mixedEncoding() throws {
        let route = RouteRule(
            name: "r", schemaPattern: "shop", tablePattern: "a", targetSchema: "other",
            targetTable: "\u{E7}")
        for isLatin1 in [false, true] {
            let moved = try StatementRig(rules: SourceRules(routes: [route]))
            func run() throws -> StatementHandler.Decision {
                try moved.decide("ALTER TABLE a COMMENT '\u{E7}'", latin1: isLatin1)
            }
            guard isLatin1 else {
                guard case .run = try run() else {
                    Issue.record("it does not run")
                    return
                }
                continue
            }
            #expect {
                _ = try run()
            } throws: {
                "\($0)".contains("character set")
            }
        }
        // A statement is taken apart as text in UTF-8.
        let filter = EventFilterRule(
            name: "no-drop", schemaPattern: "shop", tablePattern: "a", events: [.dropColumn],
            action: .ignore)
        let filtered = try StatementRig(rules: SourceRules(eventFilters: [filter]))
        #expect {
            try filtered.decide(
                "ALTER TABLE a ADD x INT COMMENT '\u{E7}', DROP COLUMN id", latin1: true)
        } throws: {
            "\($0)".contains("character set")
        }
    }

    @Test("what is known outlives a run")
    func durable() throws {
        let rig = try StatementRig()
        for sql in Self.begin { try rig.decide(sql) }
        let changes = try rig.catalog.takeChanges()
        #expect(changes.map(\.name.name) == ["_a_gho"])
        #expect(try rig.catalog.takeChanges().isEmpty)
        var online: [TableName: OnlineSchemaChangeStateMachine.Entry] = [:]
        for change in changes {
            online[change.name] = try change.stored?.decoded(
                as: OnlineSchemaChangeStateMachine.Entry.self)
        }
        let next = try StatementRig(online: online)
        #expect(try next.sent([Self.swap]) == ["ALTER TABLE `shop`.`a` ADD x INT"])
        let over = try next.catalog.takeChanges()
        #expect(over.map(\.name.name) == ["_a_gho"] && over[0].stored == nil)
    }

    @Test("what was noted under other rules is forgotten")
    func otherRules() throws {
        let rig = try StatementRig()
        for sql in Self.begin { try rig.decide(sql) }
        let online = rig.catalog.onlineChanges?.entries ?? [:]
        #expect(online.count == 1)
        for rules in [nil, OnlineSchemaChangeRules(shadowPatterns: ["tmp_(.+)"])] {
            let other = try StatementRig(
                rules: SourceRules(onlineSchemaChange: rules), online: online)
            let changes = try other.catalog.takeChanges()
            #expect(changes.map(\.kind) == [.online] && changes[0].stored == nil)
            #expect(other.catalog.onlineChanges?.entries.isEmpty != false)
        }
    }

    @Test("a swap that has run is followed by the shapes alone")
    func applied() throws {
        let rig = try StatementRig(applied: 3)
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
        expect("began before") { _ = try StatementRig().sent([Self.swap]) }
        expect("began before") { _ = try StatementRig().sent([Self.begin[1], Self.swap]) }
        // The real table was changed beside the tool.
        expect("another order") {
            let rig = try StatementRig()
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
                _ = try StatementRig().sent([
                    Self.begin[0], "ALTER TABLE _a_gho ADD \(column)", Self.swap,
                ])
            }
        }
        #expect {
            _ = try StatementRig().sent(["ALTER TABLE a RENAME _a_del", "CREATE TABLE a (id INT)"])
        } throws: {
            if case ReplicationError.unsupported = $0 { true } else { false }
        }
        // A statement that nobody understands, on a shadow table.
        #expect(throws: (any Error).self) {
            try StatementRig().sent(["ALTER TABLE _a_gho ADD COLUMN"])
        }
    }

    @Test("a swap that the copy has seen is none; within the copy's range it is copied again")
    func copied() throws {
        #expect(try StatementRig(window: (9, 9)).sent(Self.begin + [Self.swap]) == nil)
        #expect(try StatementRig(window: (9, 9)).sent([Self.swap]) == nil)
        #expect(try StatementRig(window: (9, 9)).sent(["ALTER TABLE _a_del RENAME a"]) == nil)
        #expect(
            try StatementRig(window: (2, 2)).sent(Self.begin + [Self.swap])
                == ["ALTER TABLE `shop`.`a` ADD x INT"])
        for statements in [Self.begin + [Self.swap], [Self.swap]] {
            #expect {
                _ = try StatementRig(window: (0, 9)).sent(statements)
            } throws: {
                if case ReplicationError.changedDuringCopy = $0 { true } else { false }
            }
        }
        // What is done to the shadow table is no change of the real one.
        #expect(try StatementRig(window: (0, 9)).sent(Self.begin) == nil)
    }

    @Test("filters of events and routes are asked about the real table")
    func rules() throws {
        let filter = EventFilterRule(
            name: "no-alter", schemaPattern: "shop", tablePattern: "a", events: [.alterTable],
            action: .ignore)
        let filtered = try StatementRig(rules: SourceRules(eventFilters: [filter]))
        for sql in Self.begin { try filtered.decide(sql) }
        guard case .filtered(let effects, _) = try filtered.decide(Self.swap) else {
            Issue.record("it is not filtered")
            return
        }
        #expect(effects.count == 1)
        let moved = try StatementRig(
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
        let rig = try StatementRig(rules: SourceRules(onlineSchemaChange: nil))
        #expect(rig.catalog.mapping.selects(TableName(schema: "shop", name: "_a_gho")))
        guard case .run = try rig.decide(Self.begin[0]) else {
            Issue.record("it does not run")
            return
        }
        let on = try StatementRig()
        #expect(!on.catalog.mapping.selects(TableName(schema: "shop", name: "_a_gho")))
        #expect(!on.catalog.mapping.selects(TableName(schema: "shop", name: "_a_del")))
    }
}
