import Checkpoint
import MySQLCore
import MySQLSyntax
import Rules
import Testing

@testable import Replication

/// What an operator has decided about a statement, in the statement's place.
@Suite("Statements that were decided about")
struct DecidedStatementTests {
    /// A rig whose first statement was decided about.
    private func rig(_ decision: StatementDecision, applied: Int? = nil) throws -> StatementRig {
        let rig = try StatementRig(applied: applied)
        rig.catalog.decisions = [TargetRig.identity(1).decisionKey: decision]
        return rig
    }

    private func parts(_ decision: StatementHandler.Decision) -> [String]? {
        guard case .run(let request, _, _) = decision else { return nil }
        #expect(request.isPartial)
        return request.parts.map { String(decoding: $0.sql, as: UTF8.self) }
    }

    private func columns(_ rig: StatementRig) -> [String]? {
        rig.catalog.state.tables[TableName(schema: "shop", name: "a")]?.columns.map(\.name)
    }

    private static let alter = "ALTER TABLE a ADD x INT"

    @Test("a statement that is skipped changes the source's shape alone")
    func skip() throws {
        let rig = try rig(.skip)
        guard case .filtered(let ddl, let context) = try rig.decide(Self.alter) else {
            Issue.record("it is not skipped")
            return
        }
        _ = try rig.catalog.carry(ddl, context, TargetRig.position(1), target: [:])
        #expect(columns(rig) == ["id", "x"])
        // The next one runs.
        guard case .run = try rig.decide("ALTER TABLE a ADD y INT") else {
            Issue.record("the next one does not run")
            return
        }
        // What can't be replicated at all can be skipped, with a warning where its effect is unknown.
        guard case .filtered = try self.rig(.skip).decide("ALTER TABLE a ENGINE=MyISAM") else {
            Issue.record("it is not skipped")
            return
        }
        guard case .leaveOut = try self.rig(.skip).decide("ALTER TABLE a ADD COLUMN") else {
            Issue.record("it is not left out")
            return
        }
    }

    @Test("other statements run in its place, in the source's names")
    func replace() throws {
        let texts = ["ALTER TABLE shop.a ADD x BIGINT", "CREATE INDEX i ON shop.a (x)"]
        let rig = try rig(.replace(texts))
        #expect(try parts(rig.decide(Self.alter)) == texts)
        // Done already: the shapes follow, as the source's statement says.
        let done = try self.rig(.replace(texts), applied: 1)
        guard case .filtered(let ddl, _) = try done.decide(Self.alter) else {
            Issue.record("it runs again")
            return
        }
        #expect(ddl.count == 1)
    }

    @Test("where nobody knows what the source did, it did what was given")
    func replaceUnknown() throws {
        let given = "ALTER TABLE shop.a ADD z INT"
        let rig = try rig(.replace([given]))
        guard
            case .run(let request, let ddl, let context) = try rig.decide(
                "RENAME TABLE a TO _a_del, _a_gho TO a")
        else {
            Issue.record("it does not run")
            return
        }
        #expect(request.parts.map { String(decoding: $0.sql, as: UTF8.self) } == [given])
        _ = try rig.catalog.carry(
            ddl, context, TargetRig.position(1), target: [:], isCompared: false)
        #expect(columns(rig) == ["id", "z"])
    }

    @Test("other statements run behind it")
    func inject() throws {
        let rig = try rig(.inject(["CREATE INDEX i ON shop.a (x)"]))
        #expect(try parts(rig.decide(Self.alter)) == [Self.alter, "CREATE INDEX i ON shop.a (x)"])
        #expect(throws: ReplicationError.self) {
            try self.rig(.inject(["CREATE INDEX i ON shop.a (id)"])).decide(
                "ALTER TABLE a ADD COLUMN")
        }
    }

    @Test("of what the statement does nothing is lost when others run behind it")
    func whole() throws {
        let rig = try rig(.inject(["CREATE TABLE other.c (id INT)"]))
        guard case .run(let request, _, _) = try rig.decide("DROP DATABASE shop") else {
            Issue.record("it does not run")
            return
        }
        #expect(request.parts.count == 2)
        #expect(request.emptiedSchema?.name == "shop")
        // A statement that can't run at all has nothing behind it.
        #expect {
            _ = try self.rig(.inject(["CREATE INDEX i ON shop.a (id)"]))
                .decide("ALTER TABLE a ENGINE=MyISAM")
        } throws: {
            "\($0)".contains("replace it")
        }
    }

    @Test("a DROP of several tables that was given can run again")
    func drop() throws {
        let rig = try rig(.replace(["DROP TABLE shop.b, shop.a"]))
        #expect(
            try parts(rig.decide(Self.alter)) == ["DROP TABLE IF EXISTS `shop`.`b`,`shop`.`a`"])
    }

    @Test(
        "statements that are given must be DDL on migrated tables",
        arguments: [
            "DELETE FROM shop.a", "ALTER TABLE mysql.user ADD x INT", "ALTER TABLE", "",
            "ALTER TABLE shop.a ENGINE=MyISAM", "CREATE TABLE shop.n (id INT) ENGINE=Aria",
            "CREATE TABLE shop.n SELECT * FROM shop.a",
        ])
    func refused(sql: String) throws {
        #expect {
            _ = try rig(.replace([sql])).decide(Self.alter)
        } throws: {
            guard case ReplicationError.unsupported(_, let detail) = $0 else { return false }
            return detail.contains("that was given")
        }
        #expect(throws: ReplicationError.self) {
            _ = try rig(.inject([sql])).decide(Self.alter)
        }
    }

    @Test("a decision and what it was about go with the mark")
    func settled() throws {
        let rig = try rig(.skip)
        rig.catalog.stopped = StoppedStatement(
            identity: TargetRig.identity(1), position: "p", statement: "s", reason: "r")
        _ = try rig.decide(Self.alter)
        #expect(try rig.catalog.takeChanges().isEmpty)
        rig.catalog.settle(TargetRig.identity(2))
        #expect(try rig.catalog.takeChanges().isEmpty)
        rig.catalog.settle(TargetRig.identity(1))
        #expect(try rig.catalog.takeChanges().map(\.kind) == [.stopped, .decision])
        #expect(rig.catalog.decision(about: TargetRig.identity(1)) == nil)
    }
}
