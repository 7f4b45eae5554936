import Checkpoint
import MySQLCore
import MySQLSyntax
import Rules
import Testing

@testable import Replication

@Suite("The foreign keys between tables")
struct ForeignKeyGraphTests {
    private static func name(_ table: String) -> TableName { TableName(schema: "s", name: table) }

    /// A table with a whole number as key, and a column for each parent.
    private static func table(
        _ table: String, _ parents: [String] = [], _ action: ForeignKeyShape.Action = .restrict,
        update: ForeignKeyShape.Action = .restrict, to column: String = "id"
    ) -> TableShape {
        TableShape(
            name: name(table),
            columns: [
                ColumnShape(name: "id", type: ColumnType(.int), isNullable: false),
                ColumnShape(name: "other", type: ColumnType(.int)),
            ] + parents.map { ColumnShape(name: "to_\($0)", type: ColumnType(.int)) },
            keys: [KeyShape(name: "PRIMARY", parts: [KeyPart(column: "id")], isUnique: true)],
            foreignKeys: parents.map {
                ForeignKeyShape(
                    name: "f_\($0)", columns: ["to_\($0)"], parent: name($0),
                    parentColumns: [column], onDelete: action, onUpdate: update)
            })
    }

    @Test("foreign keys are not asked of rows that lie before the copy of what is tied to them")
    func copiedLater() throws {
        /// Tables of which foreign keys say nothing in transaction 3.
        func left(_ tables: [TableShape], _ windows: [String: (low: Int, high: Int)]) throws
            -> [String]
        {
            var state = SchemaState()
            for table in tables { state.tables[table.name] = table }
            let catalog = TableCatalog(
                sourceVersion: ServerVersion("8.0.30"),
                mapping: TableMapping(TableSelection(tables: [try #require(TablePattern("*.*"))])),
                state: state,
                windows: Dictionary(
                    uniqueKeysWithValues: windows.map {
                        (
                            Self.name($0.key),
                            CopyRange(
                                low: TargetRig.position($0.value.low),
                                high: TargetRig.position($0.value.high))
                        )
                    }), consistentFrom: TargetRig.position(9))
            catalog.beginTransaction(TargetRig.identity(3))
            return tables.map(\.name).filter { catalog.leavesForeignKeys(of: $0) }.map(\.name)
        }
        let old = (low: 1, high: 1)
        let new = (low: 9, high: 9)
        let between = (low: 1, high: 9)
        let tables = [Self.table("p"), Self.table("c", ["p"]), Self.table("other")]
        #expect(try left(tables, ["p": old, "c": old]) == [])
        // What is copied later is skipped itself; the other end is applied without being asked.
        #expect(try left(tables, ["p": old, "c": new]).contains("p"))
        #expect(try left(tables, ["p": new, "c": old]).contains("c"))
        #expect(try left(tables, ["p": old, "c": between]).contains("p"))
        #expect(try !left(tables, ["p": old, "c": new]).contains("other"))
        // An action that is needed is run.
        let acting = [
            Self.table("p"), Self.table("c", ["p"], .cascade), Self.table("n", ["p"]),
        ]
        #expect(try !left(acting, ["p": old, "c": old, "n": new]).contains("p"))
        #expect(try left(acting, ["p": old, "c": new, "n": new]).contains("p"))
    }

    @Test("numbers that come late do not lie in copies that the mark has passed")
    func passed() throws {
        let table = Self.table("t")
        var state = SchemaState()
        state.tables[table.name] = table
        for isPassed in [true, false] {
            let high = TargetRig.position(isPassed ? 9 : 12)
            let catalog = TableCatalog(
                sourceVersion: ServerVersion("8.0.30"),
                mapping: TableMapping(TableSelection(tables: [try #require(TablePattern("*.*"))])),
                state: state,
                windows: [table.name: CopyRange(low: TargetRig.position(9), high: high)],
                lowWater: TargetRig.position(9), consistentFrom: TargetRig.position(9))
            catalog.beginTransaction(TargetRig.identity(3))
            #expect(catalog.use(of: table.name) == (isPassed ? .exact : .skip))
            #expect(catalog.wasCopied(table.name))
        }
    }

    @Test("parents are above their children, however the tables are listed")
    func levels() {
        let tables = [
            Self.table("c", ["b"]), Self.table("d", ["a", "c"]), Self.table("a"),
            Self.table("b", ["a"]), Self.table("alone"),
        ]
        for shift in 0..<tables.count {
            let graph = ForeignKeyGraph(tables[shift...] + tables[..<shift])
            #expect(
                ["alone", "a", "b", "c", "d"].map { graph.level(of: Self.name($0)) } == [
                    0, 1, 2, 3, 4,
                ])
            #expect(!graph.isInvolved(Self.name("alone")))
            for table in ["a", "b", "c", "d"] {
                #expect(graph.isInvolved(Self.name(table)) && graph.isSimple(Self.name(table)))
            }
        }
    }

    @Test("tables in a cycle, and those tied to it, are not regrouped")
    func cycles() {
        let graph = ForeignKeyGraph([
            Self.table("a", ["b"]), Self.table("b", ["a"]), Self.table("c", ["b"]),
            Self.table("x", ["y"]), Self.table("y"), Self.table("self", ["self"]),
        ])
        for table in ["a", "b", "c", "self"] { #expect(!graph.isSimple(Self.name(table))) }
        for table in ["x", "y"] { #expect(graph.isSimple(Self.name(table))) }
    }

    @Test("actions reach grandchildren, and end where a key has none", arguments: [true, false])
    func cascades(byUpdate: Bool) {
        let action = ForeignKeyShape.Action.cascade
        let graph = ForeignKeyGraph([
            Self.table("a"),
            byUpdate ? Self.table("b", ["a"], update: .setNull) : Self.table("b", ["a"], action),
            Self.table("c", ["b"], action), Self.table("d", ["c"]), Self.table("e", ["d"], action),
        ])
        #expect(graph.cascadeTargets(of: Self.name("a")) == [Self.name("b"), Self.name("c")])
        #expect(graph.cascadeTargets(of: Self.name("c")) == [])
        #expect(graph.cascadeTargets(of: Self.name("d")) == [Self.name("e")])
        #expect(
            ["a", "b", "c", "d", "e"].map { graph.isCascadeChild(Self.name($0)) }
                == [false, true, true, false, true])
        #expect(graph.cascadeGroups == Set(["a", "b", "c", "d", "e"].map(Self.name)))
        // One action makes the whole group of tied tables keep its order.
        for table in ["a", "b", "c", "d", "e"] { #expect(!graph.isSimple(Self.name(table))) }
    }

    /// A child whose one key is `keys`, and whose foreign key is its column `other`.
    private static func child(
        _ name: String, of parent: String, keys: [String], prefix: Int? = nil
    ) -> TableShape {
        var table = table(name, [parent], .cascade)
        table.keys = [
            KeyShape(
                name: "PRIMARY",
                parts: keys.map { KeyPart(column: $0, prefixLength: prefix) }, isUnique: true)
        ]
        return table
    }

    @Test("what a parent's row tells of the rows that an action changes")
    func blindTargets() {
        let a = Self.name("a")
        let b = Self.name("b")
        func blind(_ tables: [TableShape], constrained: Set<TableName> = []) -> Set<TableName> {
            ForeignKeyGraph([Self.table("a")] + tables, constrained: constrained)
                .blindCascadeTargets(of: a)
        }
        let column = Self.table("b", ["a"], .cascade).foreignKeys[0].columns[0]
        let covered = Self.child("b", of: "a", keys: [column, "id"])
        #expect(blind([covered]) == [])
        // Another key's value becomes free.
        #expect(blind([Self.child("b", of: "a", keys: ["id"])]) == [b])
        #expect(blind([covered], constrained: [b]) == [b])
        #expect(blind([Self.child("b", of: "a", keys: [column, "id"], prefix: 3)]) == [b])
        var second = covered
        second.keys.append(KeyShape(name: "u", parts: [KeyPart(column: "id")], isUnique: true))
        #expect(blind([second]) == [b])
        // A grandchild's row does not tell its grandparent's.
        let grandchild = Self.child("c", of: "b", keys: [column, "id"])
        #expect(blind([covered, grandchild]) == [Self.name("c")])
        #expect(ForeignKeyGraph([Self.table("a"), covered]).actingColumns(of: a) == ["id"])
        #expect(
            ForeignKeyGraph([Self.table("a"), Self.table("b", ["a"])]).actingColumns(of: a).isEmpty)
    }

    @Test("an action in a cycle reaches its own table")
    func actionCycle() {
        let graph = ForeignKeyGraph([
            Self.table("a", ["b"], .cascade), Self.table("b", ["a"], .cascade),
        ])
        #expect(graph.cascadeTargets(of: Self.name("a")) == [Self.name("a"), Self.name("b")])
    }

    @Test("a group is regrouped only when every table in it has one key, compared by its bytes")
    func simpleGroups() {
        var second = Self.table("b", ["a"])
        second.keys.append(
            KeyShape(name: "u", parts: [KeyPart(column: "other")], isUnique: true))
        #expect(!ForeignKeyGraph([Self.table("a"), second]).isSimple(Self.name("a")))
        var textual = Self.table("b", ["a"])
        textual.columns[0].type = ColumnType(.varchar, length: 10)
        #expect(!ForeignKeyGraph([Self.table("a"), textual]).isSimple(Self.name("a")))
        var keyless = Self.table("b", ["a"])
        keyless.keys = []
        #expect(!ForeignKeyGraph([Self.table("a"), keyless]).isSimple(Self.name("a")))
        // A parent that is not migrated.
        #expect(!ForeignKeyGraph([Self.table("b", ["a"])]).isSimple(Self.name("b")))
    }

    @Test("a group is not regrouped when a child refers to a column that is no key")
    func referencedColumn() {
        let graph = ForeignKeyGraph([Self.table("a"), Self.table("b", ["a"], to: "other")])
        #expect(!graph.isSimple(Self.name("a")))
        #expect(!graph.isSimple(Self.name("b")))
        #expect(graph.referencedColumns(of: Self.name("a")) == [["other"]])
    }

    @Test("changes that an action makes possible are known, and no others")
    func contested() {
        func named(_ tables: Set<TableName>) -> [String] { tables.map(\.name).sorted() }
        func expect(
            _ graph: ForeignKeyGraph, _ table: String, isDelete: Bool = true, _ changed: [String],
            _ asked: [String], sourceLocation: SourceLocation = #_sourceLocation
        ) {
            let found = graph.contested(by: Self.name(table), isDelete: isDelete)
            #expect(named(found.changed) == changed, sourceLocation: sourceLocation)
            #expect(named(found.asked) == asked, sourceLocation: sourceLocation)
        }
        var line = Self.table("line", ["order"], .cascade)
        line.foreignKeys += Self.table("line", ["product"]).foreignKeys
        line.columns += Self.table("line", ["product"]).columns.suffix(1)
        let shop = ForeignKeyGraph([line, Self.table("order"), Self.table("product")])
        expect(shop, "order", ["line"], [])
        expect(shop, "product", [], ["line"])
        expect(shop, "line", [], [])
        expect(shop, "order", isDelete: false, [], ["line"])
        #expect(shop.actingColumns(of: Self.name("product")) == ["id"])
        // Through another table, and back to the first one.
        let note = Self.table("note", ["line"], .cascade)
        let deep = ForeignKeyGraph([
            note, line, Self.table("order", ["note"]), Self.table("product"),
        ])
        expect(deep, "order", ["line", "note"], ["order"])
        // Rows that only lose a reference stay, so that nobody asks those that refer to them.
        let loose = ForeignKeyGraph([
            Self.table("a"), Self.table("b", ["a"], .setNull), Self.table("c", ["b"]),
        ])
        expect(loose, "a", ["b"], [])
        expect(loose, "b", [], [])
        let plain = ForeignKeyGraph([Self.table("a"), Self.table("b", ["a"], .cascade)])
        expect(plain, "a", ["b"], [])
        expect(plain, "b", [], [])
        expect(ForeignKeyGraph([Self.table("a"), Self.table("b", ["a"])]), "a", [], [])
    }
}
