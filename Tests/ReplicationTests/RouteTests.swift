import MySQLBinlog
import MySQLCore
import MySQLSyntax
import Rules
import Stream
import Testing

@testable import Replication

/// Rows and statements of tables that get other names on the target.
@Suite("Routes")
struct RouteTests {
    private static func shape(_ name: String, key: [String] = ["id"]) -> TableShape {
        TableShape(
            name: TableName(schema: "s", name: name),
            columns: ["id", "v"].map {
                ColumnShape(name: $0, type: ColumnType(.int), isNullable: !key.contains($0))
            },
            keys: key.isEmpty
                ? []
                : [
                    KeyShape(
                        name: "PRIMARY", parts: key.map { KeyPart(column: $0) }, isUnique: true)
                ],
            foreignKeys: name == "child"
                ? [
                    ForeignKeyShape(
                        name: "f", columns: ["v"], parent: TableName(schema: "s", name: "parent"),
                        parentColumns: ["id"])
                ] : [])
    }

    /// Everything goes to another schema; tables `part_N` go to one table, which says of each row
    /// where it is from.
    private static func mapping() throws -> TableMapping {
        let from = RouteRule.Extraction(pattern: "(.*)", column: "c`t")
        return try TableMapping(
            SourceRules(
                source: "o'part_1", tables: BlockAllowList(doSchemas: ["s"]),
                routes: [
                    RouteRule(
                        name: "parts", schemaPattern: "s", tablePattern: "part_*",
                        targetSchema: "n", targetTable: "parts", extractSource: from),
                    RouteRule(name: "all", schemaPattern: "s", targetSchema: "n"),
                    RouteRule(
                        name: "a", schemaPattern: "s", tablePattern: "torn", targetSchema: "x"),
                    RouteRule(
                        name: "b", schemaPattern: "s", tablePattern: "to*", targetSchema: "y"),
                ]))
    }

    private static func catalog(_ shapes: [TableShape]) throws -> TableCatalog {
        var state = SchemaState()
        for shape in shapes { state.tables[shape.name] = shape }
        return TableCatalog(
            sourceVersion: ServerVersion("8.0.30"), mapping: try mapping(), state: state,
            windows: [:],
            consistentFrom: nil)
    }

    /// The statements that changes of tables become, in one batch.
    private func sql(
        _ shapes: [TableShape], _ changes: [(table: String, change: EventWriter.Change)]
    ) throws -> [String] {
        let origin = Origin(server: EventWriter.uuid, life: 1)
        var writer = EventWriter()
        writer.gtid(1)
        writer.query("BEGIN")
        for (n, step) in changes.enumerated() {
            writer.tableMap(100 + n, "s", step.table, columns: 2)
            writer.rows(100 + n, [step.change], columns: 2)
        }
        writer.xid()
        var assembler = TransactionAssembler(
            catalog: try Self.catalog(shapes),
            applied: AppliedState(lowWater: TargetRig.position(0), carried: IdentitySet()),
            origin: origin, bytesLimit: 1 << 30)
        var batch: ContiguousArray<SourceTransaction> = []
        for chunk in writer.chunks() {
            let output = try assembler.consume(chunk, chunk.entries[0])
            if case .transaction(let transaction, _) = output { batch.append(transaction) }
        }
        var out = ByteBuffer(capacity: 1024)
        var expected: [Replication.Expectation] = []
        var renderer = BatchRenderer(statementBytes: 1 << 16, packetBytes: 1 << 16)
        renderer.resetSession()
        try renderer.render(batch, into: &out, expecting: &expected) { _, _ in }
        return out.string().split(separator: ";").map(String.init)
    }

    @Test("rows go to the table's new name")
    func names() throws {
        let sql = try sql(
            [Self.shape("a")],
            [("a", .insert([1, 2])), ("a", .update([3, 4], [3, 5])), ("a", .delete([6, 7]))])
        #expect(
            sql == [
                "DELETE FROM `n`.`a` WHERE `id` IN (6)",
                "INSERT INTO `n`.`a` (`id`,`v`) VALUES (3,5) ON DUPLICATE KEY UPDATE `v`=VALUES(`v`)",
                "INSERT INTO `n`.`a` (`id`,`v`) VALUES (1,2)",
            ])
    }

    @Test("rows of a merged table touch nobody else's", arguments: [["id"], ["id", "v"], []])
    func constants(key: [String]) throws {
        let sql = try sql(
            [Self.shape("part_1", key: key)],
            [
                ("part_1", .insert([1, 2])), ("part_1", .update([3, 4], [8, 5])),
                ("part_1", .delete([6, 7])),
            ])
        let value = utf8Literal("o'part_1")
        #expect(
            sql.contains {
                $0.hasPrefix("INSERT INTO `n`.`parts` (`id`,`v`,`c``t`) VALUES (1,2,\(value))")
            }, "\(sql)")
        for statement in sql where !statement.hasPrefix("INSERT") {
            #expect(statement.contains("`c``t`=\(value) AND "), "\(statement)")
        }
    }

    /// `'1'` is not the same as the `'1\0\0\0'` that BINARY(4) makes of it.
    @Test("a filled column of BINARY is found as the target keeps it")
    func binaryConstants() throws {
        func condition(_ columns: [ColumnShape]) -> String {
            let plan = TablePlan(
                shape: Self.shape("part_1"),
                route: Route(
                    target: TableName(schema: "n", name: "parts"),
                    extracted: [.init(name: "part", value: "1")]),
                targetKeys: [], targetColumns: columns, related: ForeignKeyGraph([TableShape]()),
                number: 1)
            return String(decoding: plan.constantCondition, as: UTF8.self)
        }
        func column(_ kind: ColumnType.Kind) -> ColumnShape {
            ColumnShape(name: "Part", type: ColumnType(kind, length: 4), isNullable: false)
        }
        #expect(condition([column(.binary)]) == "`part`=x'31000000' AND ")
        for columns in [[], [column(.varbinary)], [column(.char)]] {
            #expect(condition(columns) == "`part`=\(utf8Literal("1")) AND ")
        }
    }

    @Test("tables that share a target keep the order of the source")
    func order() throws {
        let sql = try sql(
            [Self.shape("part_1"), Self.shape("part_2")],
            [
                ("part_1", .delete([1, 1])), ("part_2", .insert([1, 1])),
                ("part_2", .delete([1, 1])), ("part_1", .insert([1, 2])),
            ])
        #expect(sql.map { String($0.prefix(6)) } == ["DELETE", "INSERT", "DELETE", "INSERT"])
    }

    /// What a plan says of a row, by the server's tables.
    private func uses(_ catalog: TableCatalog, _ table: String, _ id: Int) throws -> Set<UInt64> {
        var writer = EventWriter()
        writer.gtid(1)
        writer.query("BEGIN")
        writer.tableMap(1, "s", table, columns: 2)
        writer.rows(1, [.insert([id, id])], columns: 2)
        writer.xid()
        var assembler = TransactionAssembler(
            catalog: catalog,
            applied: AppliedState(lowWater: TargetRig.position(0), carried: IdentitySet()),
            origin: Origin(server: EventWriter.uuid, life: 1), bytesLimit: 1 << 30)
        var keys: Set<UInt64> = []
        for chunk in writer.chunks() {
            let output = try assembler.consume(chunk, chunk.entries[0])
            if case .transaction(let transaction, _) = output {
                keys.formUnion(transaction.keys.map { $0.hash })
            }
        }
        return keys
    }

    @Test("rows that meet in one table of the target conflict")
    func conflicts() throws {
        let catalog = try Self.catalog([
            Self.shape("part_1"), Self.shape("part_2"), Self.shape("a"), Self.shape("b"),
        ])
        #expect(try uses(catalog, "part_1", 1) == uses(catalog, "part_2", 1))
        #expect(try uses(catalog, "part_1", 1).isDisjoint(with: uses(catalog, "part_2", 2)))
        #expect(try uses(catalog, "a", 1).isDisjoint(with: uses(catalog, "b", 1)))
    }

    @Test("a table that rules don't agree on is refused when it has rows")
    func torn() throws {
        #expect {
            _ = try sql([Self.shape("torn")], [("torn", .insert([1, 2]))])
        } throws: {
            "\($0)".contains("more than one route rule: a, b")
        }
    }
}
