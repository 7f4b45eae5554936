import MySQLCore
import Testing

@testable import Snapshot

/// Which tables are read in one view, and copied again, when others come to those that are followed.
@Suite("Tables that come, and foreign keys")
struct TiedPlanTests {
    private static func name(_ table: String) -> TableName { TableName(schema: "s", name: table) }

    private static func shape(
        _ table: String, to parent: String? = nil, _ action: ForeignKeyShape.Action = .restrict
    ) -> TableShape {
        TableShape(
            name: name(table),
            columns: [
                ColumnShape(name: "id", type: ColumnType(.int), isNullable: false),
                ColumnShape(name: "other", type: ColumnType(.int)),
            ],
            keys: [KeyShape(name: "PRIMARY", parts: [KeyPart(column: "id")], isUnique: true)],
            foreignKeys: parent.map {
                [
                    ForeignKeyShape(
                        name: "f", columns: ["other"], parent: name($0), parentColumns: ["id"],
                        onDelete: action)
                ]
            } ?? [])
    }

    /// The groups that are read in one view each, when all but `coming` are followed.
    private static func groups(
        _ shapes: [TableShape], coming: Set<String>, at mark: [TableShape] = []
    ) -> [[String]] {
        let plan = SnapshotPlan(
            tables: shapes.map {
                PlannedTable(
                    shape: $0, estimatedRows: 1, estimatedBytes: 1, needsExactView: false)
            })
        let all = Set((shapes + mark).map(\.name))
        let tied = plan.tied(besides: all.subtracting(coming.map { name($0) }), at: mark)
        let groups = tied.exactGroups.map { $0.map(\.name).sorted() }.sorted { $0[0] < $1[0] }
        let exact = tied.tables.filter(\.needsExactView).map(\.name.name).sorted()
        #expect(exact == groups.flatMap { $0 }.sorted())
        return groups
    }

    @Test("a parent with a child that goes with it and one that refuses, whichever of them comes")
    func mixed() {
        let tables = [
            Self.shape("p"), Self.shape("a", to: "p", .cascade), Self.shape("b", to: "p"),
        ]
        // The action has to be run for the child that is followed, and would be refused by what the
        // other one has got since: all of it is as of one place.
        #expect(Self.groups(tables, coming: ["b"]) == [["a", "b", "p"]])
        // Nobody followed needs the action.
        #expect(Self.groups(tables, coming: ["a"]) == [["a"]])
        // What is followed refuses nothing of a parent whose changes are passed over.
        #expect(Self.groups(tables, coming: ["p"]) == [["a", "p"]])
        #expect(Self.groups(tables, coming: ["a", "b"]) == [["a", "b"]])
        #expect(Self.groups(tables, coming: ["other"]) == [])
    }

    @Test("foreign keys count that were there at the mark, and that the source has no more")
    func dropped() {
        let then = [Self.shape("p"), Self.shape("a", to: "p", .cascade)]
        for coming in [Self.shape("b", to: "p"), Self.shape("b", to: "p", .cascade)] {
            let now = [Self.shape("p"), Self.shape("a"), coming]
            #expect(Self.groups(now, coming: ["b"], at: then) == [["a", "b", "p"]])
            // Its child was dropped altogether.
            let gone = [Self.shape("p"), coming]
            #expect(Self.groups(gone, coming: ["b"], at: then) == [["b", "p"]])
        }
        #expect(Self.groups([Self.shape("p"), Self.shape("b")], coming: ["b"], at: then) == [])
    }

    @Test("a followed parent that lacks at the mark what a table that comes refers to")
    func outgrown() {
        func found(_ parent: TableShape, then: TableShape, _ column: String = "other") -> [String] {
            var child = Self.shape("c", to: "p")
            child.foreignKeys[0].parentColumns = [column]
            return SnapshotPlan(
                tables: [parent, child].map {
                    PlannedTable(
                        shape: $0, estimatedRows: 1, estimatedBytes: 1, needsExactView: false)
                }
            ).outgrown([Self.name("p")], at: [then]).map(\.name)
        }
        let plain = Self.shape("p")
        var keyed = plain
        keyed.keys.append(
            KeyShape(name: "u", parts: [KeyPart(column: "OTHER")], isUnique: true))
        #expect(found(keyed, then: plain) == ["p"])
        #expect(found(keyed, then: keyed) == [])
        #expect(found(keyed, then: plain, "id") == [])
        var narrow = keyed
        narrow.columns[1].type = ColumnType(.smallint)
        #expect(found(keyed, then: narrow) == ["p"])
        narrow.columns.removeLast()
        #expect(found(keyed, then: narrow) == ["p"])
        // What is not met now, either, says nothing.
        #expect(found(plain, then: plain) == [])
    }

    @Test("a followed child as of the mark that refers to what its parent is not any more")
    func outgrownChild() {
        func wide(_ shape: TableShape, _ column: Int) -> TableShape {
            var shape = shape
            shape.columns[column].type = ColumnType(.bigint)
            return shape
        }
        func found(
            _ now: [TableShape], followed: [TableShape], kept: [TableShape] = []
        ) -> [String] {
            SnapshotPlan(
                tables: now.map {
                    PlannedTable(
                        shape: $0, estimatedRows: 1, estimatedBytes: 1, needsExactView: false)
                }
            ).outgrown(Set(followed.map(\.name)), at: followed + kept).map(\.name)
        }
        let (p, c) = (Self.shape("p"), Self.shape("c", to: "p"))
        let (newP, newC) = (wide(p, 0), wide(c, 1))
        let n = wide(Self.shape("n", to: "p"), 1)
        // The one that comes needs the new parent, and that can't be made beside the old child.
        #expect(found([newP, newC, n], followed: [p, c]) == ["c", "p"])
        // So can't the child's children, and those alone.
        let d = Self.shape("d", to: "c")
        let newD = wide(d, 1)
        let other = Self.shape("other", to: "d")
        #expect(
            found([newP, wide(newC, 0), newD, n, other], followed: [p, c, d, other])
                == ["c", "d", "p"])
        // The parent is copied again anyway; or it comes, and the child was there without it.
        #expect(found([newP, newC], followed: [c], kept: [p]) == ["c"])
        #expect(found([newP, newC], followed: [c]) == ["c"])
        // The child has gone from the source.
        #expect(found([newP, n], followed: [p, c]) == ["c", "p"])
        #expect(found([p, c, Self.shape("n", to: "p")], followed: [p, c]) == [])
        #expect(found([newP, newC], followed: [p, c]) == [])
    }

    @Test("a foreign key is met by a key that begins with its columns, of the same types")
    func met() {
        func isMet(
            _ parts: [KeyPart], _ columns: [String], _ parent: ColumnShape, _ child: ColumnShape
        ) -> Bool {
            ForeignKeyShape(
                name: "f", columns: columns.map { _ in child.name }, parent: Self.name("p"),
                parentColumns: columns
            ).isMet(
                by: TableShape(
                    name: Self.name("p"), columns: [parent],
                    keys: [KeyShape(name: "k", parts: parts, isUnique: false)]),
                from: TableShape(name: Self.name("c"), columns: [child]))
        }
        func text(_ collation: String) -> ColumnShape {
            ColumnShape(name: "t", type: ColumnType(.varchar, length: 9), collation: collation)
        }
        let number = ColumnShape(name: "t", type: ColumnType(.int))
        let key = [KeyPart(column: "t"), KeyPart(column: "more")]
        #expect(isMet(key, ["T"], number, number))
        #expect(!isMet(key, ["more"], number, number))
        #expect(!isMet([KeyPart(column: "t", prefixLength: 3)], ["t"], number, number))
        let unsigned = ColumnShape(name: "t", type: ColumnType(.int, isUnsigned: true))
        #expect(!isMet(key, ["t"], number, unsigned))
        #expect(isMet(key, ["t"], text("utf8_bin"), text("utf8mb3_bin")))
        #expect(!isMet(key, ["t"], text("utf8mb4_bin"), text("utf8mb3_bin")))
    }
}
