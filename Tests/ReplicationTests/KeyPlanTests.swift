import MySQLBinlog
import MySQLClient
import MySQLCore
import Rules
import TestServers
import Testing

@testable import Replication

/// One table's plan, with rows given as bytes of each column.
private struct Rows {
    let plan: TablePlan

    init(_ columns: [ColumnShape], _ keys: [KeyShape], others: [TableShape] = []) {
        let shape = TableShape(
            name: TableName(schema: "s", name: "t"), columns: columns, keys: keys)
        plan = TablePlan(
            shape: shape, route: Route(target: shape.name), targetKeys: [],
            related: ForeignKeyGraph([shape] + others), number: 1)
    }

    init(
        _ shape: TableShape, _ all: [TableShape], targetKeys: [KeyShape] = [],
        targetColumns: [ColumnShape] = []
    ) {
        plan = TablePlan(
            shape: shape, route: Route(target: shape.name), targetKeys: targetKeys,
            targetColumns: targetColumns,
            related: ForeignKeyGraph(all), number: 1)
    }

    /// What a row does with keys; a missing value is NULL.
    func uses(_ row: [[UInt8]?]) -> [KeyUse] {
        var bytes: [UInt8] = []
        var values: [ColumnValue] = []
        for value in row {
            values.append(
                ColumnValue(offset: Int32(bytes.count), length: value.map { Int32($0.count) } ?? -1)
            )
            bytes += value ?? []
        }
        return uses(bytes + [0], values)
    }

    func uses(_ bytes: [UInt8], _ values: [ColumnValue]) -> [KeyUse] {
        var scratch = ByteBuffer(capacity: 64)
        var out: [KeyUse] = []
        for key in plan.keys {
            _ = key.use(bytes.span.bytes, values, &scratch) { out.append($0) }
        }
        return out
    }

    /// Whether two transactions with one of these rows each keep their order.
    func keepOrder(_ a: [UInt8]?, _ b: [UInt8]?) -> Bool {
        conflict(uses([a]), uses([b]))
    }
}

private func conflict(_ a: [KeyUse], _ b: [KeyUse]) -> Bool {
    a.contains { x in b.contains { $0.hash == x.hash && ($0.writes || x.writes) } }
}

private func text(
    _ collation: String, charset: String = "utf8mb4", kind: ColumnType.Kind = .varchar,
    isNullable: Bool = false
) -> ColumnShape {
    ColumnShape(
        name: "a", type: ColumnType(kind, length: 20), isNullable: isNullable, charset: charset,
        collation: collation)
}

private let unique = [KeyShape(name: "u", parts: [KeyPart(column: "a")], isUnique: true)]

private func little(_ value: Int32) -> [UInt8] {
    (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * Int32($0))) }
}

@Suite("What rows do with keys")
struct KeyPlanTests {
    @Test(
        "texts that some collation takes for equal keep their order",
        arguments: [
            ("a", "A"), ("a", "a "), ("a", "A  "), ("a", "é"), ("é", "è"), ("e", "é"), ("ß", "ss"),
            ("i", "j"), ("i", "y"), ("Y", "J"), ("u", "v"), ("v", "W"), ("a", "a\u{1}"),
            ("a", "\u{7}a\u{7F}"), ("", " "), ("", "\u{2}"), ("æ", "ae"), ("x\u{AD}", "x"),
        ])
    func equalTexts(pair: (String, String)) {
        for collation in [
            "utf8mb4_general_ci", "utf8mb4_0900_ai_ci", "utf8mb4_0900_as_cs", "latin1_german2_ci",
        ] {
            let rows = Rows([text(collation)], unique)
            #expect(rows.keepOrder(Array(pair.0.utf8), Array(pair.1.utf8)), "\(collation)")
        }
    }

    @Test(
        "letters that a server's collation takes for equal keep their order",
        arguments: Servers.families)
    func collationsOfServers(family: TestServer.Family) async throws {
        let server = try await Servers.shared(family)
        let connection = try Connection(TargetRig.options(server.port))
        let names = Set(try ServerDialect(connection).collations.values)
        let letters = "abcdefghijklmnopqrstuvwxyz".map(String.init)
        let pairs = letters.flatMap { a in letters.map { a + $0 } }
        // Where two letters are one of a language, that one may be doubled by its first letter.
        let words = Set(letters + pairs + pairs.map { $0.prefix(1) + $0 } + pairs.map { $0 + $0 })
        for sql in [
            "CREATE DATABASE IF NOT EXISTS key_plan",
            "CREATE TEMPORARY TABLE key_plan.words (s VARCHAR(4) CHARACTER SET ascii)",
            "INSERT INTO key_plan.words VALUES ('\(words.joined(separator: "'),('"))')",
            "SET SESSION group_concat_max_len=1000000",
        ] {
            try connection.execute(sql)
        }
        var groups = 0
        for name in names.sorted() where name != "binary" && !name.hasSuffix("bin") {
            // Those that tell more apart are finer than their twins.
            if name.contains("nopad") || name.contains("uca1400") && !name.hasSuffix("_ai_ci") {
                continue
            }
            let charset = String(name.prefix { $0 != "_" })
            let rows = Rows([text(name, charset: charset)], unique)
            let equal = try connection.rows(
                "SELECT GROUP_CONCAT(s SEPARATOR ' ') FROM key_plan.words GROUP BY "
                    + "HEX(WEIGHT_STRING(CONVERT(s USING \(charset)) COLLATE \(name))) "
                    + "HAVING COUNT(*)>1")
            for group in equal {
                let texts = (group[0] ?? "").split(separator: " ").map { Array($0.utf8) }
                groups += 1
                let isKept = texts.allSatisfy { rows.keepOrder(texts[0], $0) }
                #expect(isKept, "\(name): \(group[0]?.prefix(60) ?? "")")
                if !isKept { break }
            }
        }
        #expect(names.count > 200 && groups > 100)
    }

    @Test("texts that no collation takes for equal run at once")
    func differentTexts() {
        let rows = Rows([text("utf8mb4_general_ci")], unique)
        #expect(!rows.keepOrder(Array("a".utf8), Array("b".utf8)))
        #expect(!rows.keepOrder(Array("order 1".utf8), Array("order 2".utf8)))
        let exact = Rows([text("utf8mb4_bin")], unique)
        #expect(!exact.keepOrder(Array("a".utf8), Array("A".utf8)))
        #expect(!exact.keepOrder(Array("é".utf8), Array("è".utf8)))
    }

    @Test("a binary collation pads with spaces, in every width of characters")
    func padding() {
        let rows = Rows([text("utf8mb4_bin")], unique)
        #expect(rows.keepOrder(Array("a".utf8), Array("a  ".utf8)))
        let utf16 = Rows([text("utf16_bin", charset: "utf16")], unique)
        #expect(utf16.keepOrder([0, 0x61], [0, 0x61, 0, 0x20]))
        let little = Rows([text("utf16le_bin", charset: "utf16le")], unique)
        #expect(little.keepOrder([0x61, 0], [0x61, 0, 0x20, 0]))
        let utf32 = Rows([text("utf32_bin", charset: "utf32")], unique)
        #expect(utf32.keepOrder([0, 0, 0, 0x61], [0, 0, 0, 0x61, 0, 0, 0, 0x20]))
    }

    @Test("characters of two bytes are never folded byte by byte")
    func wide() {
        let rows = Rows([text("utf16_general_ci", charset: "utf16")], unique)
        #expect(rows.keepOrder([0, 0x61], [0, 0x41]))
        #expect(rows.keepOrder([0, 0x61], [0x61, 0]))
    }

    @Test("only a prefix counts where the key has one")
    func prefix() {
        let id = ColumnShape(name: "id", type: ColumnType(.int), isNullable: false)
        let keys = [
            KeyShape(name: "PRIMARY", parts: [KeyPart(column: "id")], isUnique: true),
            KeyShape(
                name: "u", parts: [KeyPart(column: "a", prefixLength: 2)], isUnique: true),
        ]
        func keepOrder(_ rows: Rows, _ a: String, _ b: String) -> Bool {
            conflict(
                rows.uses([little(1), Array(a.utf8)]), rows.uses([little(2), Array(b.utf8)]))
        }
        for collation in ["utf8mb4_general_ci", "utf8mb4_bin"] {
            let rows = Rows([id, text(collation)], keys)
            #expect(keepOrder(rows, "abc", "abd"))
            #expect(keepOrder(rows, "a", "a d"))
            #expect(!keepOrder(rows, "abc", "acc"))
        }
        #expect(keepOrder(Rows([id, text("utf8mb4_bin")], keys), "éèx", "éèy"))
    }

    @Test("a prefix of bytes counts in values of every length", arguments: [4, 5, 7, 8, 9])
    func prefixOfBytes(length: Int) {
        for kind in [ColumnType.Kind.binary, .varbinary, .blob] {
            let rows = Rows(
                [ColumnShape(name: "a", type: ColumnType(kind, length: 9), isNullable: false)],
                [
                    KeyShape(
                        name: "PRIMARY", parts: [KeyPart(column: "a", prefixLength: 3)],
                        isUnique: true)
                ])
            let long = Array("abcdefghi".utf8.prefix(length))
            #expect(
                rows.keepOrder(long, Array("abc".utf8) + [UInt8](repeating: 9, count: length - 3)))
            #expect(rows.keepOrder(long, Array("abcx".utf8)))
            #expect(!rows.keepOrder(long, Array("abx".utf8)))
            // Of BINARY zeros at the end are not logged, and those in the prefix count all the same.
            #expect(rows.keepOrder(Array("ab".utf8), Array("ab\0c".utf8)))
            #expect(!rows.keepOrder(Array("a".utf8), Array("ab\0c".utf8)))
        }
    }

    @Test("NULL equals nothing")
    func null() {
        let rows = Rows([text("utf8mb4_general_ci", isNullable: true)], unique)
        // Keyless, since the key is nullable: the table as a whole keeps its order; the key itself
        // contributes nothing.
        #expect(rows.uses([nil]).count == 1)
        let primary = Rows(
            [
                ColumnShape(name: "id", type: ColumnType(.int), isNullable: false),
                text("utf8mb4_general_ci", isNullable: true),
            ],
            [KeyShape(name: "PRIMARY", parts: [KeyPart(column: "id")], isUnique: true)] + unique)
        #expect(!conflict(primary.uses([little(1), nil]), primary.uses([little(2), nil])))
        #expect(
            conflict(
                primary.uses([little(1), Array("x".utf8)]),
                primary.uses([little(2), Array("X".utf8)])))
    }

    @Test("whole numbers and bytes conflict only with themselves")
    func exactTypes() {
        let primary = [KeyShape(name: "PRIMARY", parts: [KeyPart(column: "a")], isUnique: true)]
        let numbers = Rows(
            [ColumnShape(name: "a", type: ColumnType(.int), isNullable: false)], primary)
        for i: Int32 in 1...200 {
            #expect(numbers.keepOrder(little(i), little(i)))
            for j: Int32 in (i + 1)..<(i + 20) {
                #expect(!numbers.keepOrder(little(i), little(j)))
            }
        }
        let bytes = Rows(
            [ColumnShape(name: "a", type: ColumnType(.varbinary, length: 9), isNullable: false)],
            primary)
        #expect(!bytes.keepOrder([1], [1, 0]))
        #expect(!bytes.keepOrder([0x61], [0x61, 0x20]))
        #expect(!bytes.keepOrder([0x61], [0x41]))
    }

    @Test("every unique key counts, of the source and of the target")
    func allKeys() {
        let columns = ["id", "u", "v"].map {
            ColumnShape(name: $0, type: ColumnType(.int), isNullable: false)
        }
        func key(_ column: String) -> KeyShape {
            KeyShape(name: column, parts: [KeyPart(column: column)], isUnique: true)
        }
        let shape = TableShape(
            name: TableName(schema: "s", name: "t"), columns: columns, keys: [key("id"), key("u")])
        let rows = Rows(shape, [shape])
        let first = rows.uses([little(1), little(7), little(8)])
        #expect(conflict(first, rows.uses([little(2), little(7), little(9)])))
        #expect(!conflict(first, rows.uses([little(2), little(9), little(8)])))
        let constrained = Rows(shape, [shape], targetKeys: [key("v")])
        #expect(
            conflict(
                constrained.uses([little(1), little(7), little(8)]),
                constrained.uses([little(2), little(9), little(8)])))
    }

    @Test("values that only the target's collation takes for equal keep their order")
    func collationOfTheTarget() {
        let name = TableName(schema: "s", name: "t")
        let shape = TableShape(name: name, columns: [text("utf8mb4_bin")], keys: unique)
        let bytes = TableShape(
            name: name,
            columns: [
                ColumnShape(name: "a", type: ColumnType(.varbinary, length: 9), isNullable: false)
            ], keys: unique)
        for source in [shape, bytes] {
            let same = Rows(source, [source], targetColumns: source.columns)
            #expect(!same.keepOrder(Array("a".utf8), Array("A".utf8)))
            let coarser = Rows(source, [source], targetColumns: [text("utf8mb4_general_ci")])
            #expect(coarser.keepOrder(Array("a".utf8), Array("A".utf8)))
            #expect(coarser.keepOrder(Array("e".utf8), Array("é".utf8)))
            #expect(!coarser.keepOrder(Array("a".utf8), Array("b".utf8)))
        }
        let upper = text("utf8mb4_general_ci")
        let folded = TableShape(name: name, columns: [upper], keys: unique)
        let finer = Rows(folded, [folded], targetColumns: [text("utf8mb4_bin")])
        #expect(finer.keepOrder(Array("a".utf8), Array("A".utf8)))
    }

    @Test("both zeros of a floating point number are one value")
    func zeros() {
        let primary = [KeyShape(name: "PRIMARY", parts: [KeyPart(column: "a")], isUnique: true)]
        let float = Rows(
            [ColumnShape(name: "a", type: ColumnType(.float), isNullable: false)], primary)
        #expect(float.keepOrder([0, 0, 0, 0], [0, 0, 0, 0x80]))
        let double = Rows(
            [ColumnShape(name: "a", type: ColumnType(.double), isNullable: false)], primary)
        #expect(double.keepOrder([UInt8](repeating: 0, count: 8), [0, 0, 0, 0, 0, 0, 0, 0x80]))
    }

    @Test("rows of a table without a key keep their order")
    func keyless() {
        let rows = Rows([ColumnShape(name: "a", type: ColumnType(.int))], [])
        #expect(rows.keepOrder(little(1), little(2)))
    }

    @Test("keys over expressions and generated columns keep all rows in order")
    func opaque() {
        let id = ColumnShape(name: "id", type: ColumnType(.int), isNullable: false)
        let primary = KeyShape(name: "PRIMARY", parts: [KeyPart(column: "id")], isUnique: true)
        let expression = KeyShape(name: "e", parts: [KeyPart(column: nil)], isUnique: true)
        let rows = Rows([id], [primary, expression])
        #expect(rows.keepOrder(little(1), little(2)))
        let generated = ColumnShape(name: "a", type: ColumnType(.int), generation: .virtual)
        let other = Rows([id, generated], [primary] + unique)
        #expect(
            conflict(other.uses([little(1), little(5)]), other.uses([little(2), little(6)])))
    }

    @Test("keys of several columns conflict when all parts are equal")
    func composite() {
        let a = ColumnShape(name: "a", type: ColumnType(.int), isNullable: false)
        let b = ColumnShape(name: "b", type: ColumnType(.int), isNullable: false)
        let key = KeyShape(
            name: "PRIMARY", parts: [KeyPart(column: "a"), KeyPart(column: "b")], isUnique: true)
        let rows = Rows([a, b], [key])
        #expect(conflict(rows.uses([little(1), little(2)]), rows.uses([little(1), little(2)])))
        #expect(!conflict(rows.uses([little(1), little(2)]), rows.uses([little(2), little(1)])))
        #expect(!conflict(rows.uses([little(1), little(2)]), rows.uses([little(1), little(3)])))
    }

    // MARK: children and parents

    private static func family(
        _ column: ColumnShape, child childColumn: ColumnShape? = nil
    ) -> (parent: Rows, child: Rows) {
        let parent = TableShape(
            name: TableName(schema: "s", name: "parent"), columns: [column], keys: unique)
        let child = TableShape(
            name: TableName(schema: "s", name: "child"),
            columns: [
                ColumnShape(name: "id", type: ColumnType(.int), isNullable: false),
                childColumn ?? column,
            ],
            keys: [KeyShape(name: "PRIMARY", parts: [KeyPart(column: "id")], isUnique: true)],
            foreignKeys: [
                ForeignKeyShape(
                    name: "f", columns: ["a"], parent: parent.name, parentColumns: ["a"])
            ])
        return (Rows(parent, [parent, child]), Rows(child, [parent, child]))
    }

    @Test("a child follows its parent, and children of one parent run at once")
    func children() {
        let (parent, child) = Self.family(
            ColumnShape(name: "a", type: ColumnType(.int), isNullable: false))
        let first = child.uses([little(1), little(7)])
        #expect(conflict(parent.uses([little(7)]), first))
        #expect(!conflict(parent.uses([little(8)]), first))
        #expect(!conflict(first, child.uses([little(2), little(7)])))
        #expect(!conflict(parent.uses([little(7)]), child.uses([little(1), nil])))
    }

    @Test("a child follows its parent also where only the collation takes their keys for equal")
    func childrenByCollation() {
        let (parent, child) = Self.family(text("utf8mb4_general_ci"))
        for (up, down) in [("e", "é"), ("é", "e"), ("é", "é"), ("E", "e ")] {
            #expect(
                conflict(
                    parent.uses([Array(up.utf8)]), child.uses([little(1), Array(down.utf8)])),
                "\(up) \(down)")
        }
    }

    @Test("where one side's value is generated, a child follows every parent")
    func generatedReference() {
        let plain = ColumnShape(name: "a", type: ColumnType(.int), isNullable: false)
        let generated = ColumnShape(name: "a", type: ColumnType(.int), generation: .stored)
        for (up, down) in [(plain, generated), (generated, plain)] {
            let (parent, child) = Self.family(up, child: down)
            #expect(conflict(parent.uses([little(7)]), child.uses([little(1), little(7)])))
        }
    }
}
