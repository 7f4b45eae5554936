import Checkpoint
import MySQLBinlog
import MySQLCore
import MySQLSyntax
import Rules
import Stream
import Testing

@testable import Replication

/// What rules make of statements, and what becomes of tables that others write to.
extension StatementHandlerTests {
    // MARK: rules

    private static func leavingOut(
        _ events: [EventSelector], _ table: String = "", of tables: BlockAllowList? = nil
    ) -> SourceRules {
        SourceRules(
            tables: tables ?? BlockAllowList(doSchemas: ["shop"]),
            eventFilters: [
                EventFilterRule(
                    name: "f", schemaPattern: "shop", tablePattern: table, events: events,
                    action: .ignore)
            ])
    }

    @Test("a filter leaves out a DROP of which the rest is not migrated")
    func filteredInPart() throws {
        var rig = Rig()
        rig.rules = Self.leavingOut([.dropTable], "a")
        for sql in ["DROP TABLE shop.a, other.x", "DROP TABLE other.x, a"] {
            guard case .filtered = try rig.decide(sql) else {
                Issue.record("\(sql) was not left out")
                continue
            }
        }
        #expect(try rig.sent("DROP TABLE a, b, other.x")?.contains("`shop`.`b`") == true)
        #expect(try rig.sent("DROP TABLE b, other.x")?.contains("`shop`.`b`") == true)
    }

    @Test("an ALTER that can't be taken apart is left out whole, or stops")
    func filteredAlter() throws {
        var rig = Rig()
        rig.rules = Self.leavingOut([.addColumn])
        expectRefused("can't be taken apart") {
            _ = try rig.decide("ALTER TABLE a ADD x INT, ENGINE=InnoDB /*!50100 COMMENT 'c' */")
        }
        guard case .filtered = try rig.decide("ALTER TABLE a ADD x INT /*!50100 COMMENT 'c' */")
        else {
            Issue.record("not left out")
            return
        }
    }

    @Test("views and routines follow the allow list by their names, and filters")
    func objects() throws {
        var rig = Rig()
        rig.rules = Self.leavingOut(
            [.createView],
            of: BlockAllowList(
                doSchemas: ["shop"], ignoreTables: [.init(schema: "shop", name: "v*")]))
        #expect(try rig.sent("CREATE VIEW w AS SELECT 1") == nil)
        #expect(try rig.sent("CREATE PROCEDURE v1() SELECT 1") == nil)
        #expect(try rig.sent("CREATE PROCEDURE other.p() SELECT 1") == nil)
        #expect(try rig.sent("CREATE PROCEDURE p() SELECT 1") == "CREATE PROCEDURE p() SELECT 1")
        #expect(try rig.sent("DROP VIEW v1") == nil)
        #expect(try rig.sent("DROP VIEW w, x") == "DROP VIEW w, x")
        #expect(try rig.sent("DROP VIEW IF EXISTS v1, w") == "DROP VIEW IF EXISTS `shop`.`w`")
        // Of a view with another name on the target its text would mean other tables.
        rig.rules = SourceRules(
            tables: BlockAllowList(doSchemas: ["shop"]),
            routes: [
                RouteRule(
                    name: "r", schemaPattern: "shop", tablePattern: "w", targetSchema: "shop",
                    targetTable: "w2")
            ])
        guard case .leaveOut = try rig.decide("CREATE VIEW w AS SELECT 1") else {
            Issue.record("a view that moves was carried")
            return
        }
        // What it would have dropped beside that one stays, too.
        guard case .leaveOut(_, let stale) = try rig.decide("DROP VIEW w, other") else {
            Issue.record("a view that moves was dropped")
            return
        }
        #expect(stale.map(\.id.description) == ["view shop.other"])
    }

    @Test("a statement inside a transaction is read as the source has read it")
    func statementAmongRows() throws {
        var rig = Rig()
        rig.patterns = ["shop.a"]
        func run(_ sql: String) throws {
            let catalog = try rig.catalog()
            let start = TargetRig.position(0)
            var assembler = TransactionAssembler(
                catalog: catalog, applied: AppliedState(lowWater: start, carried: IdentitySet()),
                origin: start.origin, bytesLimit: 1 << 30)
            var writer = EventWriter()
            writer.gtid(1)
            writer.query("BEGIN")
            writer.query(Array(sql.utf8), schema: "SHOP", status: Rig.status(mode: 4))
            writer.xid()
            for chunk in writer.chunks() { _ = try assembler.consume(chunk, chunk.entries[0]) }
        }
        // The mode is ANSI_QUOTES.
        try run("INSERT INTO A VALUES (1)")
        try run("INSERT INTO shop.\"b\" VALUES (1)")
        expectRefused("instead of rows") { try run("INSERT INTO shop.\"a\" VALUES (1)") }
        rig.source.lowerCaseTableNames = 1
        expectRefused("instead of rows") { try run("INSERT INTO A VALUES (1)") }
    }

    // MARK: tables of the target that others write to

    private static func toAll(_ tables: String..., source: String = "") -> SourceRules {
        SourceRules(
            source: source, tables: BlockAllowList(doSchemas: ["shop"]),
            routes: tables.enumerated().map { n, name in
                RouteRule(
                    name: "r\(n)", schemaPattern: "shop", tablePattern: name, targetSchema: "all",
                    targetTable: "t")
            })
    }

    /// Statements that take rows or columns from `shop.a`'s table of the target.
    private static let harmful = [
        "TRUNCATE TABLE a", "DROP TABLE a", "ALTER TABLE a ADD c INT", "DROP DATABASE shop",
        "CREATE OR REPLACE DATABASE shop", "RENAME TABLE a TO z", "DELETE FROM a",
        "CREATE OR REPLACE TABLE a (id INT PRIMARY KEY)",
    ]

    @Test("no statement takes the rows of a table that is merged with another", arguments: harmful)
    func merged(_ sql: String) throws {
        var rig = Rig()
        rig.engine = "MEMORY"
        rig.mapping = try TableMapping(Self.toAll("a"))
        #expect(try rig.sent(sql) != nil)
        rig.mapping = try TableMapping(Self.toAll("a", "b"))
        expectRefused("merged into all.t") { _ = try rig.decide(sql) }
        rig.mapping = try TableMapping(Self.toAll("a", "z"))
        expectRefused("merged into all.t") {
            _ = try rig.decide("CREATE OR REPLACE TABLE z (id INT)")
        }
    }

    @Test("where tables of other sources may go is known by their rules")
    func mayBeShared() throws {
        func table(_ schema: String, _ name: String) -> TableName {
            TableName(schema: schema, name: name)
        }
        var mapping = try TableMapping(Self.toAll("a"))
        #expect(!mapping.mayBeShared(target: table("all", "t")))
        mapping.share(with: ["s2": try TableMapping(Self.toAll("b*", source: "s2"))])
        #expect(mapping.mayBeShared(target: table("all", "t")))
        #expect(mapping.mayBeShared(target: table("ALL", "T")))
        #expect(!mapping.mayBeShared(target: table("all", "u")))
        // What the other source has under the name goes elsewhere, or stays.
        #expect(!mapping.mayBeShared(target: table("shop", "bee")))
        #expect(mapping.mayBeShared(target: table("shop", "a")))
        #expect(!mapping.mayBeShared(target: table("else", "a")))
        #expect(mapping.places(of: table("shop", "bee"), source: "s2") == [table("all", "t")])
        #expect(mapping.places(of: table("shop", "a"), source: "s3").isEmpty)
        #expect(mapping.hasOther("s2") && !mapping.hasOther("s3"))
        // Only its server could tell whether case counts.
        mapping.share(with: ["s2": try TableMapping(ofOther: Self.toAll("b*", source: "s2"))])
        #expect(
            mapping.places(of: table("shop", "BEE"), source: "s2")
                == [table("all", "t"), table("shop", "BEE")])
        #expect(mapping.places(of: table("shop", "bee"), source: "s2") == [table("all", "t")])
    }

    private static let moved = SourceRules(
        tables: BlockAllowList(doSchemas: ["shop"]),
        routes: [RouteRule(name: "r", schemaPattern: "shop", targetSchema: "store")])

    @Test("ALTER DATABASE without a name means the session's own one, wherever that goes")
    func defaultDatabase() throws {
        var rig = Rig()
        let sql = "ALTER DATABASE CHARACTER SET latin1"
        #expect(try rig.sent(sql) == sql)
        rig.rules = Self.moved
        #expect(try rig.sent(sql) == "ALTER DATABASE `store` CHARACTER SET latin1")
        #expect(
            try rig.sent("ALTER SCHEMA shop COLLATE latin1_bin")
                == "ALTER SCHEMA `store` COLLATE latin1_bin")
        guard
            case .run(let request, _, _) = try rig.decide(Array(sql.utf8), status: Rig.status())
        else { return }
        #expect(request.parts[0].defaultSchema == nil)
        // Of another database the target is not told.
        guard case .filtered = try rig.decide(Array(sql.utf8), schema: "other") else {
            Issue.record("it is passed over, or run")
            return
        }
    }

    @Test("a parent without a schema is in the child's, and goes where that one's tables go")
    func parents() throws {
        var rig = Rig()
        rig.rules = Self.moved
        let sql = "ALTER TABLE shop.a ADD FOREIGN KEY (id) REFERENCES b (id)"
        guard case .run(let request, let effects, _) = try rig.decide(Array(sql.utf8), schema: "d")
        else {
            Issue.record("it did not run")
            return
        }
        #expect(
            String(decoding: request.sql, as: UTF8.self)
                == "ALTER TABLE `store`.a ADD FOREIGN KEY (id) REFERENCES `store`.`b` (id)")
        guard case .alterTable(let alter)? = effects.first,
            case .addForeignKey(let key, _)? = alter.actions.first(where: {
                if case .addForeignKey = $0 { true } else { false }
            })
        else {
            Issue.record("no foreign key")
            return
        }
        #expect(key.parent == TableName(schema: "shop", name: "b"))
    }

    @Test("what takes or gives a table all its rows is not repeated")
    func tablespaces() throws {
        for action in [
            "DISCARD TABLESPACE", "IMPORT TABLESPACE", "DISCARD PARTITION p TABLESPACE",
            "IMPORT PARTITION p, q TABLESPACE",
        ] {
            expectRefused("tablespace of shop.a") { _ = try Rig().sent("ALTER TABLE a \(action)") }
            #expect(try Rig().sent("ALTER TABLE other.x \(action)") == nil)
        }
    }

    @Test("another default of a column that is there is repeated, whatever it gives")
    func defaults() throws {
        for sql in [
            "ALTER TABLE a ALTER id SET DEFAULT (UUID_SHORT())",
            "ALTER TABLE a MODIFY id BIGINT NOT NULL DEFAULT (UUID_SHORT())",
        ] {
            #expect(try Rig().sent(sql) == sql)
        }
        expectRefused("other values") {
            _ = try Rig().sent("ALTER TABLE a ADD u BIGINT DEFAULT (UUID_SHORT())")
        }
    }
}
