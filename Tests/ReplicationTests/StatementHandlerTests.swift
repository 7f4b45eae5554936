import Checkpoint
import MySQLBinlog
import MySQLCore
import MySQLSyntax
import Rules
import Stream
import Testing

@testable import Replication

/// What statements of the binlog become on the target.
@Suite("Statements of the binlog")
struct StatementHandlerTests {
    /// A source and a target, and the tables `shop.a` and `shop.b`.
    struct Rig {
        var source = ServerDialect(version: ServerVersion("10.11.6-MariaDB"))
        var target = ServerDialect(version: ServerVersion("10.11.6-MariaDB"))
        var patterns = ["shop.*", "new.*"]
        var rules: SourceRules?
        var windows: [String: (low: Int, high: Int)] = [:]
        /// Where tables go, in the place of the patterns.
        var mapping: TableMapping?
        var engine: String?

        init() {
            for dialect in [\Rig.source, \Rig.target] {
                self[keyPath: dialect].collations = Self.mariadb
                self[keyPath: dialect].explicitDefaultsForTimestamp = true
            }
        }

        static let mariadb: [UInt16: String] = [
            8: "latin1_swedish_ci", 33: "utf8mb3_general_ci", 45: "utf8mb4_general_ci",
            46: "utf8mb4_bin", 63: "binary",
        ]
        static let mysql: [UInt16: String] = [
            8: "latin1_swedish_ci", 33: "utf8mb3_general_ci", 45: "utf8mb4_general_ci",
            255: "utf8mb4_0900_ai_ci",
        ]

        func catalog() throws -> TableCatalog {
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
                state.tables[table]?.engine = engine
            }
            state.schemas["shop"] = SchemaDefaults(
                charset: "utf8mb4", collation: "utf8mb4_general_ci")
            var ranges: [TableName: CopyRange] = [:]
            for (name, window) in windows {
                ranges[TableName(schema: "shop", name: name)] = CopyRange(
                    low: TargetRig.position(window.low), high: TargetRig.position(window.high))
            }
            return TableCatalog(
                sourceVersion: source.version,
                mapping: try rules.map { try TableMapping($0) } ?? mapping
                    ?? TableMapping(
                        TableSelection(
                            tables: try patterns.map { try #require(TablePattern($0)) })),
                state: state, windows: ranges, consistentFrom: nil,
                session: StatementSession(source: source, target: target))
        }

        /// What becomes of a statement; its number stands for its place.
        func decide(
            _ sql: [UInt8], number: Int = 5, schema: String = "shop", error: UInt16 = 0,
            status: [UInt8] = Rig.status(), isApplied: Bool = false,
            _ catalog: TableCatalog? = nil
        ) throws -> StatementHandler.Decision {
            var writer = EventWriter()
            writer.query(sql, schema: schema, error: error, status: status)
            let event = writer.events[0]
            let query = try QueryEvent(event.span.bytes)
            let identity = TargetRig.identity(number)
            var carried = IdentitySet()
            if isApplied { carried.insert(identity) }
            let catalog = try catalog ?? self.catalog()
            catalog.beginTransaction(identity)
            let handler = StatementHandler(
                catalog: catalog,
                applied: AppliedState(lowWater: TargetRig.position(0), carried: carried))
            let end = GroupEnd(
                ordinal: 1, identity: identity,
                start: BinlogPosition(file: "bin.000001", offset: 100),
                end: BinlogPosition(file: "bin.000001", offset: 200), digest: 1)
            return try handler.decide(
                query, end, timestamp: 1_700_000_000, position: TargetRig.position(number))
        }

        func decide(
            _ sql: String, number: Int = 5, error: UInt16 = 0, status: [UInt8] = Rig.status(),
            isApplied: Bool = false
        ) throws -> StatementHandler.Decision {
            try decide(
                Array(sql.utf8), number: number, error: error, status: status,
                isApplied: isApplied)
        }

        /// The statement that is sent, `nil` for none.
        func sent(_ sql: String, number: Int = 5, error: UInt16 = 0) throws -> String? {
            guard case .run(let request, _, _) = try decide(sql, number: number, error: error)
            else { return nil }
            return String(decoding: request.sql, as: UTF8.self)
        }

        func settings(_ status: [UInt8]) throws -> [String] {
            guard case .run(let request, _, _) = try decide("TRUNCATE a", status: status) else {
                return []
            }
            return request.settings
        }

        /// Status variables: options, sql_mode, character sets, microseconds.
        static func status(
            mode: UInt64 = 0, client: UInt16 = 45, connection: UInt16 = 45, server: UInt16 = 45,
            microseconds: UInt32? = nil, zone: String? = nil
        ) -> [UInt8] {
            func little(_ value: some FixedWidthInteger, _ bytes: Int) -> [UInt8] {
                (0..<bytes).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
            }
            return [0] + little(1 << 24, 4) + [1] + little(mode, 8)
                + [4] + little(client, 2) + little(connection, 2) + little(server, 2)
                + (zone.map { [5, UInt8($0.utf8.count)] + Array($0.utf8) } ?? [])
                + (microseconds.map { [13] + little($0, 3) } ?? [])
        }
    }

    func expectRefused(
        _ what: String, sourceLocation: SourceLocation = #_sourceLocation,
        _ body: () throws -> Void
    ) {
        #expect(sourceLocation: sourceLocation) {
            try body()
        } throws: { error in
            guard case ReplicationError.unsupported(_, let detail) = error else { return false }
            return detail.contains(what)
        }
    }

    // MARK: reading

    @Test("names are stored in lower case where the source stores them so")
    func lowerCase() throws {
        var rig = Rig()
        rig.patterns = ["shop.a"]
        #expect(try rig.sent("TRUNCATE TABLE A") == nil)
        rig.source.lowerCaseTableNames = 1
        #expect(try rig.sent("TRUNCATE TABLE A") == "TRUNCATE TABLE A")
        guard case .run(let request, _, _) = try rig.decide("DROP TABLE Shop.A") else {
            Issue.record("it was passed over")
            return
        }
        #expect(request.tables == [TableName(schema: "shop", name: "a")])
    }

    @Test("a statement of a latin1 client is read in latin1")
    func latin1() throws {
        let sql = Array("CREATE TABLE t".utf8) + [0xE9] + Array(" (id INT)".utf8)
        guard
            case .run(let request, _, _) = try Rig().decide(sql, status: Rig.status(client: 8))
        else {
            Issue.record("it was passed over")
            return
        }
        #expect(request.tables.map(\.name) == ["té"])
        #expect(request.settings.contains("character_set_client=latin1"))
    }

    @Test(
        "a new schema has the character set that the source's server had, not a version's default")
    func serverCollation() throws {
        let rig = Rig()
        let catalog = try rig.catalog()
        for sql in ["CREATE DATABASE new", "CREATE TABLE new.t (id INT, v VARCHAR(9))"] {
            guard case .run(_, let ddl, let context) = try rig.decide(Array(sql.utf8), catalog)
            else {
                Issue.record("\(sql) was passed over")
                return
            }
            _ = try catalog.carry(ddl, context, TargetRig.position(5), target: [:])
        }
        let shape = catalog.state.tables[TableName(schema: "new", name: "t")]
        #expect(shape?.columns.last?.charset == "utf8mb4")
    }

    // MARK: what the target made of it

    private func carried(
        _ sql: String, there: TableShape
    ) throws -> [(TableName, TableShape?)] {
        let rig = Rig()
        let catalog = try rig.catalog()
        guard case .run(_, let ddl, let context) = try rig.decide(Array(sql.utf8), catalog) else {
            return []
        }
        return try catalog.carry(
            ddl, context, TargetRig.position(5), target: [there.name: there])
    }

    private func shape(_ name: String, _ columns: [ColumnShape], charset: String = "utf8mb4")
        -> TableShape
    {
        TableShape(
            name: TableName(schema: "shop", name: name), columns: columns, keys: [],
            charset: charset, collation: "\(charset)_general_ci")
    }

    private static let id = ColumnShape(name: "id", type: ColumnType(.int), isNullable: false)

    private static func text(_ charset: String) -> ColumnShape {
        ColumnShape(
            name: "v", type: ColumnType(.varchar, length: 9), charset: charset,
            collation: "\(charset)_general_ci")
    }

    @Test("a table that became another one on the target stops it")
    func otherTable() throws {
        let create = "CREATE TABLE c (id INT NOT NULL, v VARCHAR(9))"
        let same = try carried(create, there: shape("c", [Self.id, Self.text("utf8mb4")]))
        #expect(same.count == 1)
        for columns in [
            [Self.id, Self.text("latin1")], [Self.id],
            [Self.id, ColumnShape(name: "v", type: ColumnType(.text), charset: "utf8mb4")],
        ] {
            expectRefused("another table on the target") {
                _ = try carried(create, there: shape("c", columns))
            }
        }
        let alter = "ALTER TABLE a ADD COLUMN v VARCHAR(9)"
        #expect(
            try carried(alter, there: shape("a", [Self.id, Self.text("utf8mb4")])).count == 1)
        expectRefused("character set") {
            _ = try carried(alter, there: shape("a", [Self.id, Self.text("latin1")]))
        }
        // It was in another character set before the statement.
        #expect(
            try carried(
                alter, there: shape("a", [Self.id, Self.text("latin1")], charset: "latin1")
            )
            .count == 1)
    }

    @Test("a shape that the text does not tell is the target's, also after a restart")
    func likeUnknown() throws {
        let rig = Rig()
        let catalog = try rig.catalog()
        let there = shape("c", [Self.id, Self.text("utf8mb4")])
        let sql = Array("CREATE TABLE c LIKE elsewhere.x".utf8)
        guard
            case .shapesOnly(let ddl, let context) = try rig.decide(sql, isApplied: true, catalog)
        else {
            Issue.record("it was passed over")
            return
        }
        _ = try catalog.carry(ddl, context, TargetRig.position(5), target: [there.name: there])
        #expect(catalog.state.tables[there.name]?.columns == there.columns)
    }

    // MARK: the session

    @Test("fractions of the statement's second are repeated")
    func microseconds() throws {
        #expect(try Rig().settings(Rig.status()).contains("timestamp=1700000000"))
        #expect(
            try Rig().settings(Rig.status(microseconds: 1234)).contains(
                "timestamp=1700000000.001234"))
    }

    @Test("modes go by name; what the target lacks is left out where it means nothing")
    func modes() throws {
        // MariaDB's default, with PIPES_AS_CONCAT and IGNORE_BAD_TABLE_OPTIONS.
        let bits: UInt64 = 0x5420_0000 | 2 | 16
        var rig = Rig()
        #expect(
            try rig.settings(Rig.status(mode: bits)).contains(
                "sql_mode='PIPES_AS_CONCAT,IGNORE_BAD_TABLE_OPTIONS,STRICT_TRANS_TABLES,"
                    + "ERROR_FOR_DIVISION_BY_ZERO,NO_AUTO_CREATE_USER,NO_ENGINE_SUBSTITUTION'"))
        rig.target = ServerDialect(version: ServerVersion("9.7.4"))
        rig.target.collations = Rig.mysql
        #expect(
            try rig.settings(Rig.status(mode: bits)).contains(
                "sql_mode='PIPES_AS_CONCAT,STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,"
                    + "NO_ENGINE_SUBSTITUTION,TIME_TRUNCATE_FRACTIONAL'"))
        expectRefused("ORACLE") { _ = try rig.settings(Rig.status(mode: 0x200)) }
        expectRefused("EMPTY_STRING") { _ = try rig.settings(Rig.status(mode: 1 << 32)) }
    }

    @Test("the zone of the source's machine is not that of the target's")
    func timeZone() throws {
        var rig = Rig()
        func zone(_ name: String) throws -> String? {
            let setting = try rig.settings(Rig.status(zone: name)).first {
                $0.hasPrefix("time_zone=")
            }
            return setting.map { String($0.dropFirst(10)) }
        }
        #expect(try zone("Europe/Berlin") == utf8Literal("Europe/Berlin"))
        rig.source.systemOffsets = [3600, 7200]
        rig.target.systemOffsets = [3600, 7200]
        #expect(try zone("SYSTEM") == utf8Literal("SYSTEM"))
        rig.target.systemOffsets = [0, 0]
        expectRefused("time zone") { _ = try zone("SYSTEM") }
        #expect(try zone("+02:00") == utf8Literal("+02:00"))
        rig.source.systemOffsets = [-12600, -12600]
        #expect(try zone("SYSTEM") == utf8Literal("-03:30"))
    }

    @Test("collations go by name; one that the target lacks becomes its character set")
    func collations() throws {
        var rig = Rig()
        rig.source = ServerDialect(version: ServerVersion("9.7.4"))
        rig.source.collations = Rig.mysql
        let status = Rig.status(client: 255, connection: 255, server: 8)
        let settings = try rig.settings(status)
        #expect(settings.contains("character_set_client=utf8mb4"))
        #expect(settings.contains("character_set_connection=utf8mb4"))
        #expect(settings.contains("collation_server=latin1_swedish_ci"))
        rig.target.collations[2308] = "utf8mb4_uca1400_nopad_ai_ci"
        #expect(
            try rig.settings(status).contains("collation_connection=utf8mb4_uca1400_nopad_ai_ci"))
        rig.target.collations = [8: "latin1_swedish_ci"]
        expectRefused("character set") { _ = try rig.settings(status) }
    }

    @Test("a routine in a dialect that the target lacks is left out with a warning")
    func oracle() throws {
        var rig = Rig()
        let sql = "CREATE FUNCTION f() RETURN INT AS BEGIN RETURN 1; END"
        let status = Rig.status(mode: 0x200)
        guard case .run = try rig.decide(sql, status: status) else {
            Issue.record("it was passed over")
            return
        }
        rig.target = ServerDialect(version: ServerVersion("9.7.4"))
        rig.target.collations = Rig.mysql
        guard case .leaveOut(let warning, let stale) = try rig.decide(sql, status: status) else {
            Issue.record("no warning")
            return
        }
        #expect(warning.contains("ORACLE"))
        // The target may have an older one.
        #expect(stale.map(\.id.description) == ["function shop.f"])
    }

    // MARK: tables

    @Test(
        "tables and partitions that move into or out of the selection stop it",
        arguments: [
            "RENAME TABLE a TO other.a", "ALTER TABLE a RENAME TO other.a",
            "ALTER TABLE other.x RENAME TO shop.c", "ALTER TABLE a RENAME other.a, COMMENT 'x'",
            "ALTER TABLE a EXCHANGE PARTITION p WITH TABLE other.x",
            "ALTER TABLE a CONVERT PARTITION p TO TABLE other.x",
        ])
    func moves(sql: String) throws {
        expectRefused("out of the selection") { _ = try Rig().sent(sql) }
        #expect(try Rig().sent("ALTER TABLE a RENAME TO c") != nil)
    }

    @Test("a DROP of several tables leaves those that were copied later")
    func dropSeveral() throws {
        var rig = Rig()
        // Some servers drop one after the other: what a crash has left is dropped then.
        #expect(try rig.sent("DROP TABLE a") == "DROP TABLE a")
        #expect(
            try rig.sent("DROP TABLE b, a") == "DROP TABLE IF EXISTS `shop`.`b`,`shop`.`a`")
        #expect(try rig.sent("DROP TABLE a, other.x") == "DROP TABLE `shop`.`a`")
        rig.windows = ["a": (9, 9), "b": (3, 3)]
        #expect(try rig.sent("DROP TABLE a, b") == "DROP TABLE `shop`.`b`")
        let catalog = try rig.catalog()
        guard
            case .run(_, let ddl, let context) = try rig.decide(
                Array("DROP TABLE a, b".utf8), catalog)
        else { return }
        _ = try catalog.carry(ddl, context, TargetRig.position(5), target: [:])
        #expect(catalog.state.tables.keys.map(\.name) == ["a"])
    }

    @Test("a statement that failed half-way on the source is understood or stops it")
    func failed() throws {
        #expect(
            try Rig().sent("DROP TABLE a, b", error: 1051)
                == "DROP TABLE IF EXISTS `shop`.`a`,`shop`.`b`")
        #expect(
            try Rig().sent("DROP TABLE a, missing")
                == "DROP TABLE IF EXISTS `shop`.`a`,`shop`.`missing`")
        expectRefused("1451") { _ = try Rig().sent("DROP TABLE a, b", error: 1451) }
        expectRefused("1317") { _ = try Rig().sent("ALTER TABLE a FORCE", error: 1317) }
        #expect(try Rig().sent("ALTER TABLE other.a FORCE", error: 1317) == nil)
    }

    // MARK: schemas

    @Test("a schema gets the source's defaults, also where it is there already")
    func createSchema() throws {
        let options = " CHARACTER SET latin1 COLLATE latin1_swedish_ci"
        #expect(
            try Rig().sent("CREATE DATABASE new CHARACTER SET latin1")
                == "CREATE DATABASE IF NOT EXISTS `new`\(options);ALTER DATABASE `new`\(options)")
        #expect(
            try Rig().sent("CREATE DATABASE new")?.contains("COLLATE utf8mb4_general_ci") == true)
        // It says nothing about a schema that is there.
        #expect(
            try Rig().sent("CREATE DATABASE IF NOT EXISTS shop CHARACTER SET latin1")
                == "CREATE DATABASE IF NOT EXISTS `shop`")
        #expect(try Rig().sent("CREATE DATABASE elsewhere") == nil)
    }

    @Test("defaults of schemas that nobody migrates are known when other rules migrate them")
    func otherSchemas() throws {
        let rig = Rig()
        let catalog = try rig.catalog()
        for (sql, charset) in [
            ("CREATE DATABASE elsewhere CHARACTER SET utf8mb4", "utf8mb4"),
            ("ALTER DATABASE elsewhere CHARACTER SET latin1", "latin1"),
            ("DROP DATABASE elsewhere", nil),
        ] as [(String, String?)] {
            guard case .filtered(let ddl, let context) = try rig.decide(Array(sql.utf8), catalog)
            else {
                Issue.record("\(sql) was passed over, or is run")
                return
            }
            _ = try catalog.carry(ddl, context, TargetRig.position(5), target: [:])
            #expect(catalog.state.schemas["elsewhere"]?.charset == charset)
            #expect(
                try catalog.takeChanges().contains {
                    $0.kind == .defaults && $0.name.schema == "elsewhere"
                })
        }
    }

    @Test("CREATE OR REPLACE DATABASE drops the tables, last of all")
    func replaceSchema() throws {
        let rig = Rig()
        let sent = try rig.sent("CREATE OR REPLACE DATABASE shop CHARACTER SET latin1")
        #expect(sent?.hasSuffix(";DROP TABLE IF EXISTS `shop`.`a`,`shop`.`b`") == true)
        #expect(sent?.contains("ALTER DATABASE `shop` CHARACTER SET latin1") == true)
        let catalog = try rig.catalog()
        guard
            case .run(let request, let ddl, let context) = try rig.decide(
                Array("CREATE OR REPLACE DATABASE shop CHARACTER SET latin1".utf8), catalog)
        else { return }
        #expect(request.goneAfter.map(\.name) == ["a", "b"])
        _ = try catalog.carry(ddl, context, TargetRig.position(5), target: [:])
        #expect(catalog.state.tables.isEmpty)
        #expect(catalog.state.schemas["shop"]?.charset == "latin1")
    }

    @Test("DROP DATABASE between the positions of a table's copy has it copied again")
    func dropSchema() throws {
        var rig = Rig()
        #expect(try rig.sent("DROP DATABASE shop") == "DROP TABLE IF EXISTS `shop`.`a`,`shop`.`b`")
        rig.windows = ["a": (9, 9)]
        #expect(try rig.sent("DROP DATABASE shop") == "DROP TABLE IF EXISTS `shop`.`b`")
        rig.windows = ["a": (4, 9)]
        for sql in ["DROP DATABASE shop", "CREATE OR REPLACE DATABASE shop", "DROP TABLE a, b"] {
            #expect {
                _ = try rig.sent(sql)
            } throws: {
                if case ReplicationError.changedDuringCopy(let table, _) = $0 {
                    table.name == "a"
                } else {
                    false
                }
            }
        }
    }

    // MARK: what a table must not become, and what text must say

    @Test("a foreign key to a table that is not selected is refused where it changes rows")
    func foreignKeys() throws {
        let cascade = "FOREIGN KEY (id) REFERENCES other.parent (id) ON DELETE CASCADE"
        for sql in ["CREATE TABLE c (id INT, \(cascade))", "ALTER TABLE a ADD \(cascade)"] {
            expectRefused("other.parent, is not selected") { _ = try Rig().sent(sql) }
            #expect(try Rig().sent(sql.replacing("CASCADE", with: "RESTRICT")) != nil)
            #expect(try Rig().sent(sql.replacing("other.parent", with: "shop.b")) != nil)
            var rig = Rig()
            rig.source.logsCascades = true
            #expect(try rig.sent(sql) != nil)
        }
    }

    @Test("system versioning is refused by name")
    func systemVersioning() throws {
        for sql in [
            "CREATE TABLE c (id INT) WITH SYSTEM VERSIONING", "ALTER TABLE a ADD SYSTEM VERSIONING",
            """
            CREATE TABLE c (id INT, f TIMESTAMP(6) GENERATED ALWAYS AS ROW START,
                t TIMESTAMP(6) GENERATED ALWAYS AS ROW END, PERIOD FOR SYSTEM_TIME (f, t))
            """,
        ] { expectRefused("system versioning") { _ = try Rig().sent(sql) } }
    }

    @Test("a new table's defaults may differ each time, a new column's may not")
    func nondeterministicDefaults() throws {
        let sql = "CREATE TABLE c (id VARCHAR(36) DEFAULT (UUID()) PRIMARY KEY)"
        #expect(try Rig().sent(sql) == sql)
        expectRefused("other values") {
            _ = try Rig().sent("ALTER TABLE a ADD c VARCHAR(36) DEFAULT (UUID())")
        }
    }

    @Test("a collation is spelled out where the target's default is another one")
    func spelledCollation() throws {
        let plain = "CREATE TABLE c (s CHAR(9) CHARACTER SET utf8mb4) CHARSET = 'utf8mb4'"
        #expect(try Rig().sent(plain) == plain)
        var rig = Rig()
        rig.target = ServerDialect(version: ServerVersion("9.1.0"))
        rig.target.collations = Rig.mysql
        rig.target.explicitDefaultsForTimestamp = true
        let name = " COLLATE utf8mb4_general_ci"
        #expect(
            try rig.sent(plain)
                == "CREATE TABLE c (s CHAR(9) CHARACTER SET utf8mb4\(name)) CHARSET = 'utf8mb4'\(name)"
        )
        #expect(
            try rig.sent("ALTER TABLE a CONVERT TO CHARACTER SET utf8mb4")
                == "ALTER TABLE a CONVERT TO CHARACTER SET utf8mb4\(name)")
        // A collation counts where it stands.
        #expect(
            try rig.sent(
                "CREATE TABLE c (a CHAR(9) COLLATE utf8mb4_bin, b CHAR(9)) CHARSET=utf8mb4")
                == "CREATE TABLE c (a CHAR(9) COLLATE utf8mb4_bin, b CHAR(9)) CHARSET=utf8mb4\(name)"
        )
        #expect(
            try rig.sent(
                "ALTER TABLE a ADD (s CHAR(9) CHARSET utf8mb4, t ENUM('a','b') CHARSET utf8mb4 COLLATE utf8mb4_bin), ADD u TEXT CHARSET utf8mb4, COLLATE utf8mb4_bin"
            )
                == "ALTER TABLE a ADD (s CHAR(9) CHARSET utf8mb4\(name), t ENUM('a','b') CHARSET utf8mb4 COLLATE utf8mb4_bin), ADD u TEXT CHARSET utf8mb4\(name), COLLATE utf8mb4_bin"
        )
        // What says it, says something else, or converts a value, stays as it is.
        for sql in [
            "ALTER TABLE a ADD s CHAR(9) CHARSET utf8mb4 COLLATE utf8mb4_bin",
            "ALTER TABLE a ADD s CHAR(9) CHARSET latin1",
            "ALTER TABLE a CHARSET utf8mb4, COLLATE utf8mb4_bin",
            "CREATE TABLE c (a CHAR(9)) COLLATE=utf8mb4_bin, ENGINE=InnoDB, CHARSET=utf8mb4",
            "ALTER TABLE a ADD s CHAR(9) CHARSET utf8mb4 BINARY",
            "ALTER TABLE a ADD s CHAR(9) AS (CAST(id AS CHAR CHARACTER SET utf8mb4))",
        ] { #expect(try rig.sent(sql) == sql) }
    }

}
