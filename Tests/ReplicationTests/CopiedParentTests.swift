import Checkpoint
import MySQLCore
import MySQLSyntax
import Rules
import Testing

@testable import Replication

/// Statement 5 meets `f`, which is followed, and `c`, which was copied at 9.
@Suite("Foreign keys between tables of different places")
struct CopiedParentTests {
    private static func name(_ table: String) -> TableName {
        TableName(schema: "shop", name: table)
    }

    /// A table with a whole number as key, a number without one, and foreign keys of columns of
    /// their parents' names.
    private static func table(
        _ table: String, _ parents: [String] = [], _ action: ForeignKeyShape.Action = .restrict
    ) -> TableShape {
        TableShape(
            name: name(table),
            columns: [
                ColumnShape(name: "id", type: ColumnType(.int), isNullable: false),
                ColumnShape(name: "n", type: ColumnType(.int)),
                ColumnShape(name: "big", type: ColumnType(.bigint)),
            ] + parents.map { ColumnShape(name: $0, type: ColumnType(.int)) },
            keys: [KeyShape(name: "PRIMARY", parts: [KeyPart(column: "id")], isUnique: true)],
            foreignKeys: parents.map {
                ForeignKeyShape(
                    name: "to_\($0)", columns: [$0], parent: name($0), parentColumns: ["id"],
                    onDelete: action)
            }, charset: "utf8mb4", collation: "utf8mb4_general_ci")
    }

    /// - Parameters:
    ///   - copied: tables by where they were copied; others are followed.
    ///   - inside: one that the statement meets inside its copy.
    ///   - own: tables without rows of others on the target; `nil` for all.
    ///   - isShared: whether other sources may write to the same tables.
    ///   - othersWrite: whether they have.
    ///   - filled: one with a column that a route fills.
    private static func catalog(
        _ tables: [TableShape], copied: [String: Int], inside: String? = nil,
        objectsFrom: Int? = nil, own: [String]? = nil, isShared: Bool = false,
        othersWrite: Bool = false, filled: String? = nil
    ) throws -> TableCatalog {
        let selection = TableSelection(tables: [try #require(TablePattern("shop.*"))])
        var mapping = TableMapping(selection)
        if let filled {
            mapping = try TableMapping(
                SourceRules(
                    tables: BlockAllowList(doSchemas: ["shop"]),
                    routes: [
                        RouteRule(
                            name: "filled", schemaPattern: "shop", tablePattern: filled,
                            targetSchema: "shop", targetTable: filled,
                            extractTable: RouteRule.Extraction(pattern: "(.*)", column: "origin"))
                    ]))
        }
        if isShared { mapping.share(with: ["other": TableMapping(selection)]) }
        let rig = StatementHandlerTests.Rig()
        var state = SchemaState()
        for table in tables { state.tables[table.name] = table }
        state.schemas["shop"] = SchemaDefaults(
            charset: "utf8mb4", collation: "utf8mb4_general_ci")
        var windows: [TableName: CopyRange] = [:]
        for (table, place) in copied {
            windows[name(table)] = CopyRange(
                low: TargetRig.position(place), high: TargetRig.position(place))
        }
        if let inside {
            windows[name(inside)] = CopyRange(
                low: TargetRig.position(4), high: TargetRig.position(9))
        }
        let catalog = TableCatalog(
            sourceVersion: rig.source.version,
            mapping: mapping, state: state, windows: windows, consistentFrom: TargetRig.position(9),
            objectsFrom: objectsFrom.map { TargetRig.position($0) },
            session: StatementSession(source: rig.source, target: rig.target),
            keepsExisting: own != nil)
        catalog.created = Set((own ?? []).map(name))
        catalog.othersWrite = { _ in othersWrite }
        return catalog
    }

    private static func decide(
        _ sql: String, _ catalog: TableCatalog, number: Int = 5
    ) throws -> StatementHandler.Decision {
        try StatementHandlerTests.Rig().decide(Array(sql.utf8), number: number, catalog)
    }

    /// What becomes of a statement: whether the target checks foreign keys when it runs it, or which
    /// table is copied again before.
    private static func outcome(
        _ sql: String, _ tables: [TableShape], copied: [String: Int], number: Int = 5
    ) throws -> String {
        do {
            switch try decide(sql, catalog(tables, copied: copied), number: number) {
            case .run(let request, _, _):
                return request.settings.last == "foreign_key_checks=0" ? "unchecked" : "checked"
            case .pass: return "passed"
            default: return "?"
            }
        } catch ReplicationError.changedDuringCopy(let table, _) {
            return "\(table.name) again"
        }
    }

    @Test("a foreign key to a table that was copied later is not checked when it is made")
    func made() throws {
        func outcome(_ sql: String, number: Int = 5) throws -> String {
            try Self.outcome(
                sql, [Self.table("f"), Self.table("c")], copied: ["c": 9, "made": 1],
                number: number)
        }
        let key = "FOREIGN KEY (n) REFERENCES c (id)"
        #expect(try outcome("ALTER TABLE f ADD \(key)") == "unchecked")
        #expect(try outcome("ALTER TABLE f ADD \(key)", number: 12) == "checked")
        // It was there at the mark, was dropped, and is made again.
        #expect(try outcome("CREATE TABLE made (id INT PRIMARY KEY, n INT, \(key))") == "unchecked")
        // What the copy has of it already.
        #expect(try outcome("CREATE TABLE new (id INT PRIMARY KEY, n INT, \(key))") == "passed")
        #expect(try outcome("ALTER TABLE c ADD FOREIGN KEY (n) REFERENCES f (id)") == "passed")
        #expect(try outcome("ALTER TABLE f ADD FOREIGN KEY (n) REFERENCES f (id)") == "checked")
        #expect(
            try outcome("ALTER TABLE f ADD FOREIGN KEY (n) REFERENCES other.c (id)") == "checked")
    }

    @Test("a child that gets an action, or refers to what is gone, is copied again")
    func again() throws {
        func outcome(_ key: String) throws -> String {
            try Self.outcome(
                "ALTER TABLE f ADD FOREIGN KEY \(key)", [Self.table("f"), Self.table("c")],
                copied: ["c": 9])
        }
        #expect(try outcome("(n) REFERENCES c (id) ON DELETE CASCADE") == "f again")
        #expect(try outcome("(n) REFERENCES c (id) ON UPDATE SET NULL") == "f again")
        // The parent was dropped, or has another shape by then.
        #expect(try outcome("(n) REFERENCES gone (id)") == "f again")
        #expect(try outcome("(n) REFERENCES c (n)") == "f again")
        #expect(try outcome("(big) REFERENCES c (id)") == "f again")
        #expect(try outcome("(n) REFERENCES c (missing)") == "f again")
    }

    @Test("a followed parent is changed beside a child that was copied later as if it had none")
    func laterChild() throws {
        func outcome(_ sql: String, number: Int = 5, _ copied: String = "c") throws -> String {
            try Self.outcome(
                sql, [Self.table("f"), Self.table("c", ["f"])], copied: [copied: 9, "f": 1],
                number: number)
        }
        for sql in ["TRUNCATE TABLE f", "DROP TABLE f", "ALTER TABLE f ADD KEY k (n)"] {
            #expect(try outcome(sql) == "unchecked", "\(sql)")
            #expect(try outcome(sql, number: 12) == "checked", "\(sql)")
            #expect(try outcome(sql, "other") == "checked", "\(sql)")
        }
        // No server does that beside its child, checked or not.
        for sql in ["DROP PRIMARY KEY", "MODIFY id BIGINT NOT NULL"] {
            #expect(try outcome("ALTER TABLE f \(sql)") == "f again", "\(sql)")
            #expect(try outcome("ALTER TABLE f \(sql)", number: 12) == "checked", "\(sql)")
        }
        // The child on the source refers to who has the name later.
        #expect(try outcome("RENAME TABLE f TO g") == "f again")
    }

    @Test("a parent that is made again is met by a child that was copied later, or copied again")
    func madeAgain() throws {
        func outcome(_ type: String) throws -> String {
            try Self.outcome(
                "CREATE TABLE f (id \(type) PRIMARY KEY)", [Self.table("c", ["f"])],
                copied: ["c": 9, "f": 1])
        }
        #expect(try outcome("INT") == "unchecked")
        #expect(try outcome("BIGINT") == "f again")
    }

    @Test("an action that must run, and must not reach later rows, has its table copied again")
    func torn() throws {
        let tables = [
            Self.table("p"), Self.table("a"), Self.table("b", ["p"]), Self.table("g", ["a"]),
        ]
        let sql = "ALTER TABLE a ADD FOREIGN KEY (n) REFERENCES p (id) ON DELETE CASCADE"
        #expect(try Self.outcome(sql, tables, copied: ["b": 9]) == "a again")
        // Rows of children that go with it are asked about theirs.
        #expect(try Self.outcome(sql, tables, copied: ["g": 9]) == "a again")
        #expect(try Self.outcome(sql, tables, copied: ["other": 9]) == "checked")
        #expect(try Self.outcome(sql, tables, copied: ["a": 9, "b": 9]) == "passed")
    }

    @Test("a parent that was copied by its new name takes its followed children along")
    func renamed() throws {
        for sql in ["RENAME TABLE c TO d", "ALTER TABLE c RENAME TO d"] {
            func outcome(_ copied: [String: Int]) throws -> String {
                try Self.outcome(
                    sql, [Self.table("f", ["c"]), Self.table("d")], copied: copied)
            }
            #expect(try outcome(["d": 9]) == "f again")
            #expect(try outcome(["d": 9, "f": 9]) == "passed")
        }
    }

    @Test("children of a parent that gets another name are stored as they refer to it then")
    func storedChildren() throws {
        let tables = [Self.table("f"), Self.table("k", ["f"]), Self.table("other", ["k"])]
        for sql in ["RENAME TABLE f TO g", "ALTER TABLE f RENAME TO g"] {
            let catalog = try Self.catalog(tables, copied: [:])
            guard
                case .run(_, let ddl, let context) = try Self.decide(sql, catalog, number: 12)
            else {
                Issue.record("\(sql) is not run")
                continue
            }
            let changed = try catalog.carry(ddl, context, TargetRig.position(12), target: [:])
            #expect(changed.map { $0.0.name } == ["f", "g", "k"], "\(sql)")
            let child = changed.first { $0.0 == Self.name("k") }?.1
            #expect(child?.foreignKeys.map(\.parent) == [Self.name("g")], "\(sql)")
        }
    }

    @Test("what can't be emptied is not sent back to its copy, which would never end")
    func kept() throws {
        func outcome(
            _ sql: String, _ tables: [TableShape], _ copied: [String: Int], own: [String]? = nil,
            isShared: Bool = false, othersWrite: Bool = false
        ) throws -> String {
            let catalog = try Self.catalog(
                tables, copied: copied, own: own, isShared: isShared, othersWrite: othersWrite)
            do {
                _ = try Self.decide(sql, catalog)
                return "carried"
            } catch ReplicationError.changedDuringCopy(let table, _) {
                return "\(table.name) again"
            } catch ReplicationError.unsupported(_, let detail) {
                for rows in ["rows that were there before", "rows of other sources"]
                where detail.contains("would delete \(rows)") { return rows }
                return detail
            }
        }
        let tied = [Self.table("f"), Self.table("c", ["f"])]
        let statements: [(String, [TableShape], [String: Int])] = [
            ("RENAME TABLE f TO g", tied, ["c": 9, "f": 1]),
            ("ALTER TABLE f MODIFY id BIGINT NOT NULL", tied, ["c": 9, "f": 1]),
            // The new name was copied, too.
            ("RENAME TABLE f TO g", [Self.table("f")], ["g": 9, "f": 1]),
            ("RENAME TABLE c TO d", [Self.table("f", ["c"]), Self.table("d")], ["d": 9]),
            (
                "ALTER TABLE f ADD FOREIGN KEY (n) REFERENCES c (id) ON DELETE CASCADE",
                [Self.table("f"), Self.table("c")], ["c": 9]
            ),
        ]
        for (sql, tables, copied) in statements {
            #expect(try outcome(sql, tables, copied) == "f again", "\(sql)")
            #expect(try outcome(sql, tables, copied, own: ["c", "f"]) == "f again", "\(sql)")
            #expect(
                try outcome(sql, tables, copied, own: ["c", "d"]) == "rows that were there before",
                "\(sql)")
            // Whether they have or not: it would have to be made anew.
            for othersWrite in [false, true] {
                #expect(
                    try outcome(sql, tables, copied, isShared: true, othersWrite: othersWrite)
                        == "rows of other sources", "\(sql)")
            }
        }
        // Made anew, it would not be met by a child that stays; renamed, it leaves that.
        #expect(try outcome(statements[0].0, tied, ["c": 9, "f": 1], own: ["f"]) == "f again")
        #expect(
            try outcome(statements[1].0, tied, ["c": 9, "f": 1], own: ["f"])
                == "rows that were there before")
        // It goes with what refers to it.
        let rename = "RENAME TABLE f TO g"
        let child = tied + [Self.table("k", ["f"], .cascade)]
        #expect(
            try outcome(rename, child, ["c": 9, "f": 1], own: ["f"])
                == "rows that were there before")
        #expect(try outcome(rename, child, ["c": 9, "f": 1], own: ["f", "k"]) == "f again")
        // The copy does not ask where a table was copied before.
        let copied = ["c": 9, "f": 1, "k": 9]
        #expect(try outcome(rename, child, copied, own: ["f"]) == "rows that were there before")
        #expect(try outcome(rename, child, copied, own: ["f", "k"]) == "f again")
        let untouched = tied + [Self.table("k", ["f"])]
        #expect(try outcome(rename, untouched, ["c": 9, "f": 1], own: ["f"]) == "f again")
        // Its parent goes, too, where another child of that needs the action.
        let wide = "ALTER TABLE f MODIFY id BIGINT NOT NULL"
        let family = [
            Self.table("p"), Self.table("f", ["p"], .cascade), Self.table("k", ["p"], .cascade),
            Self.table("c", ["f"]),
        ]
        for own in [["c", "f"], ["c", "f", "p"], ["c", "f", "k"], ["f", "k", "p"]] {
            #expect(
                try outcome(wide, family, ["c": 9], own: own) == "rows that were there before",
                "\(own)")
        }
        #expect(try outcome(wide, family, ["c": 9], own: ["c", "f", "k", "p"]) == "f again")
        let alone = [family[0], family[1], family[3]]
        #expect(try outcome(wide, alone, ["c": 9], own: ["c", "f"]) == "f again")
        // What needs no copy is carried as ever.
        #expect(try outcome("TRUNCATE TABLE f", tied, ["c": 9, "f": 1], own: []) == "carried")
    }

    @Test("what routes fill is not sent to a copy that would have to make it anew")
    func filledChild() throws {
        func outcome(_ sql: String, filled: String) throws -> String {
            let tables = [Self.table("f"), Self.table("c", ["f"])]
            let catalog = try Self.catalog(tables, copied: ["c": 9, "f": 1], filled: filled)
            do {
                _ = try Self.decide(sql, catalog)
                return "carried"
            } catch ReplicationError.changedDuringCopy(let table, _) {
                return "\(table.name) again"
            } catch ReplicationError.unsupported(_, let detail) {
                return detail.contains("columns that a route fills") ? "refused" : detail
            }
        }
        let wide = "ALTER TABLE f MODIFY id BIGINT NOT NULL"
        #expect(try outcome(wide, filled: "c") == "refused")
        #expect(try outcome(wide, filled: "other") == "f again")
        #expect(try outcome("RENAME TABLE f TO g", filled: "c") == "f again")
    }

    @Test("a table that gets one like it in its place is copied again where others may write")
    func swapped() throws {
        func outcome(
            _ other: TableShape, othersWrite: Bool, isShared: Bool = true, altered: String = ""
        ) throws -> String {
            let catalog = try Self.catalog(
                [Self.table("f"), other], copied: ["c": 9], isShared: isShared,
                othersWrite: othersWrite)
            catalog.isChangedOnSource = { table, mark in
                #expect(mark == Self.table(table.name))
                return table.name == altered
            }
            do {
                _ = try Self.decide("RENAME TABLE f TO x, c TO f, x TO c", catalog)
                return "carried"
            } catch ReplicationError.changedDuringCopy(let table, _) {
                return "\(table.name) again"
            } catch ReplicationError.unsupported(_, let detail) {
                return detail.contains("would delete rows of other sources") ? "refused" : detail
            }
        }
        let same = Self.table("c")
        var other = same
        other.columns.append(ColumnShape(name: "more", type: ColumnType(.int)))
        #expect(try outcome(same, othersWrite: false) == "f again")
        #expect(try outcome(same, othersWrite: true) == "refused")
        // A statement that is still to come has made it another one on the source.
        #expect(try outcome(same, othersWrite: false, altered: "f") == "refused")
        #expect(try outcome(same, othersWrite: false, altered: "other") == "f again")
        #expect(
            try outcome(same, othersWrite: false, isShared: false, altered: "f") == "f again")
        // It would be made anew, and what others write then would go with it.
        #expect(try outcome(other, othersWrite: false) == "refused")
    }

    @Test("what is copied again takes along what the copy will take")
    func forecast() {
        func copied(
            _ mark: [TableShape], _ now: [TableShape], with table: String
        ) -> [[String]] {
            func byName(_ shapes: [TableShape]) -> [TableName: TableShape] {
                Dictionary(shapes.map { ($0.name, $0) }, uniquingKeysWith: { a, _ in a })
            }
            let (emptied, outgrown) = CopyForecast(mark: byName(mark), now: byName(now))
                .copied(with: Self.name(table))
            return [emptied, outgrown].map { $0.map(\.name).sorted() }
        }
        let (p, a, b) = (Self.table("p"), Self.table("a", ["p"], .cascade), Self.table("b", ["p"]))
        let tied = [p, a, b]
        #expect(copied(tied, tied, with: "b") == [["a", "b", "p"], []])
        #expect(copied(tied, tied, with: "a") == [["a"], []])
        #expect(copied(tied, tied, with: "p") == [["a", "p"], []])
        // The source has the action no more, or it has not the table.
        #expect(copied(tied, [p, Self.table("a"), b], with: "b") == [["a", "b", "p"], []])
        #expect(copied(tied, [p, b], with: "b") == [["b", "p"], []])
        var wide = p
        wide.columns[0].type = ColumnType(.bigint)
        #expect(copied([p, b], [wide, b], with: "p") == [["b", "p"], ["b"]])
        #expect(copied([p, b], [wide], with: "p") == [["b", "p"], ["b"]])
    }

    @Test("what is changed inside its own copy, and can't be emptied, is refused there")
    func inside() throws {
        func outcome(
            _ sql: String, own: [String]?, isShared: Bool = false, othersWrite: Bool = false,
            children: [TableShape] = []
        ) throws -> String {
            let catalog = try Self.catalog(
                [Self.table("f")] + children, copied: [:], inside: "f", own: own,
                isShared: isShared, othersWrite: othersWrite)
            do {
                _ = try Self.decide(sql, catalog)
                return "carried"
            } catch ReplicationError.changedDuringCopy(let table, _) {
                return "\(table.name) again"
            } catch ReplicationError.unsupported(_, let detail) {
                for rows in ["rows that were there before", "rows of other sources"]
                where detail.contains("would delete \(rows)") { return rows }
                return detail
            }
        }
        for sql in ["ALTER TABLE f ADD x INT", "TRUNCATE TABLE f", "DROP DATABASE shop"] {
            #expect(try outcome(sql, own: nil) == "f again", "\(sql)")
            #expect(try outcome(sql, own: ["f"]) == "f again", "\(sql)")
            #expect(try outcome(sql, own: []) == "rows that were there before", "\(sql)")
            #expect(try outcome(sql, own: nil, isShared: true) == "f again", "\(sql)")
            #expect(
                try outcome(sql, own: nil, isShared: true, othersWrite: true)
                    == "rows of other sources", "\(sql)")
        }
        // It goes with what its actions reach.
        let child = [Self.table("k", ["f"], .cascade)]
        let sql = "ALTER TABLE f ADD x INT"
        #expect(try outcome(sql, own: ["f", "k"], children: child) == "f again")
        #expect(
            try outcome(sql, own: ["f"], children: child) == "rows that were there before")
        #expect(try outcome(sql, own: ["f"], children: [Self.table("k", ["f"])]) == "f again")
    }

    @Test("a decided statement leaves what was copied behind it as the copy has found it")
    func decided() throws {
        var later = Self.table("g", ["f"])
        later.columns.append(ColumnShape(name: "more", type: ColumnType(.int)))
        var moved = later
        moved.name = Self.name("d")
        let statements: [(String, [TableShape], [String: Int], TableShape)] = [
            ("RENAME TABLE f TO g", [Self.table("f"), later], ["g": 9, "f": 1], later),
            ("RENAME TABLE c TO d", [Self.table("f", ["c"]), moved], ["d": 9], moved),
            // It refers to another f than the one that gets a name here.
            ("RENAME TABLE f TO h", [Self.table("f"), later], ["g": 9, "f": 1], later),
        ]
        let decisions: [StatementDecision] = [.skip, .replace(["ALTER TABLE f ADD KEY k (n)"])]
        for (sql, tables, copied, kept) in statements {
            for decision in decisions {
                let catalog = try Self.catalog(tables, copied: copied, own: ["c", "d"])
                catalog.decisions = [TargetRig.identity(5).decisionKey: decision]
                let effects: [DDL]
                let context: SyntaxContext
                switch try Self.decide(sql, catalog) {
                case .filtered(let ddl, let its): (effects, context) = (ddl, its)
                case .run(_, let ddl, let its): (effects, context) = (ddl, its)
                default:
                    Issue.record("\(sql) has no effects")
                    continue
                }
                #expect(effects.count == 1, "\(sql)")
                let changed = try catalog.carry(
                    effects, context, TargetRig.position(5), target: [:], isCompared: false)
                #expect(catalog.state.tables[kept.name] == kept, "\(sql), \(decision)")
                #expect(!changed.contains { $0.0 == kept.name }, "\(sql), \(decision)")
            }
        }
    }

    @Test("DROP DATABASE takes views along that were not copied with the tables that came")
    func views() throws {
        let tables = [Self.table("f"), Self.table("c")]
        for (objectsFrom, isEmptied) in [(nil, false), (7, false), (3, true)] as [(Int?, Bool)] {
            let catalog = try Self.catalog(tables, copied: ["c": 9], objectsFrom: objectsFrom)
            guard case .run(let request, _, _) = try Self.decide("DROP DATABASE shop", catalog)
            else {
                Issue.record("it is not run")
                return
            }
            #expect(request.goneAfter == [Self.name("f")])
            #expect((request.emptiedSchema != nil) == isEmptied)
        }
        // Nothing of it is followed but views.
        let none = try Self.catalog([Self.table("c")], copied: ["c": 9], objectsFrom: 3)
        guard case .run(let request, _, _) = try Self.decide("DROP DATABASE shop", none) else {
            Issue.record("it is not run")
            return
        }
        #expect(request.tables.isEmpty && request.emptiedSchema?.name == "shop")
    }
}
