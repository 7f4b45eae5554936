import Checkpoint
import MySQLBinlog
import MySQLCore
import MySQLSyntax
import Rules
import Stream
import Testing

@testable import Replication

@Suite("Statements of a batch")
struct BatchRendererTests {
    private static let names = [
        "plain", "pair", "sets", "parent", "child", "grandchild", "top", "below", "own", "keyless",
        "whole", "piece",
    ]

    /// One table of each way in which rows are written.
    private static let empty: ModelTables = {
        var model = ModelTables()
        func add(
            _ name: String, _ columns: [String], _ keys: [[Int]],
            _ references: [ModelTables.Reference] = []
        ) {
            model.tables[name] = .init(columns: columns, keys: keys, references: references)
        }
        add("plain", ["id", "v"], [[0]])
        add("pair", ["a", "b", "v"], [[0, 1]])
        add("sets", ["id", "u", "w"], [[0], [1], [2]])
        add("parent", ["id", "v"], [[0]])
        add("child", ["id", "p", "v"], [[0]], [.init(column: 1, parent: "parent")])
        add("grandchild", ["id", "p", "v"], [[0]], [.init(column: 1, parent: "child")])
        add("top", ["id", "v"], [[0]])
        add("below", ["id", "p"], [[0]], [.init(column: 1, parent: "top", cascades: true)])
        add("own", ["id", "p"], [[0]], [.init(column: 1, parent: "own")])
        add("keyless", ["a", "b"], [])
        add("whole", ["id", "v"], [[0]])
        add(
            "piece", ["w", "n", "v"], [[0, 1]], [.init(column: 0, parent: "whole", cascades: true)])
        return model
    }()

    private static func shapes() -> [TableShape] {
        names.map { name in
            let table = empty.tables[name]!
            return TableShape(
                name: TableName(schema: "s", name: name),
                columns: table.columns.enumerated().map { i, column in
                    ColumnShape(
                        name: column, type: ColumnType(.int),
                        isNullable: table.keys.first?.contains(i) != true)
                },
                keys: table.keys.enumerated().map { n, key in
                    KeyShape(
                        name: n == 0 ? "PRIMARY" : "u\(n)",
                        parts: key.map { KeyPart(column: table.columns[$0]) }, isUnique: true)
                },
                foreignKeys: table.references.map { reference in
                    ForeignKeyShape(
                        name: "f", columns: [table.columns[reference.column]],
                        parent: TableName(schema: "s", name: reference.parent),
                        parentColumns: ["id"],
                        onDelete: reference.cascades ? .cascade : .restrict)
                })
        }
    }

    private static func assembler(
        targetKeys: [TableName: [KeyShape]] = [:]
    ) throws -> TransactionAssembler {
        var state = SchemaState()
        for shape in shapes() { state.tables[shape.name] = shape }
        let origin = Origin(server: EventWriter.uuid, life: 1)
        let low = SourcePosition(
            origin: origin, binlog: BinlogPosition(file: "bin.000001", offset: 4),
            gtids: .mysql(MySQLGTIDSet()))
        let catalog = TableCatalog(
            sourceVersion: ServerVersion("8.0.30"),
            mapping: TableMapping(TableSelection(tables: [try #require(TablePattern("s.*"))])),
            state: state,
            windows: [:], consistentFrom: nil)
        for (name, keys) in targetKeys {
            var there = try #require(state.tables[name])
            there.keys += keys
            catalog.noteTarget([name: there])
        }
        return TransactionAssembler(
            catalog: catalog, applied: AppliedState(lowWater: low, carried: IdentitySet()),
            origin: origin, bytesLimit: 1 << 30)
    }

    private struct Step {
        var table: String
        var change: EventWriter.Change
    }

    /// Changes something at random; `nil` when the server would refuse it.
    private static func step(
        _ model: inout ModelTables, _ random: inout SplitMix, _ among: [String]
    ) -> Step? {
        let name = among[random.below(among.count)]
        guard let table = model.tables[name] else { return nil }
        func value(_ column: Int) -> Int? {
            if name != "keyless",
                column == 0 || (["pair", "piece"].contains(name) && column == 1)
            {
                return 1 + random.below(6)
            }
            return random.oneIn(4) ? nil : 1 + random.below(6)
        }
        var tried = model
        do {
            if table.rows.isEmpty || random.oneIn(3) {
                let row = table.columns.indices.map { value($0) }
                try tried.insert(name, row)
                model = tried
                return Step(table: name, change: .insert(row))
            }
            let index = random.below(table.rows.count)
            let old = table.rows[index]
            if random.oneIn(3) {
                try tried.remove(name, at: index)
                model = tried
                return Step(table: name, change: .delete(old))
            }
            var new = old
            for column in new.indices where random.oneIn(2) { new[column] = value(column) }
            guard new != old else { return nil }
            try tried.change(name, at: index, to: new)
            model = tried
            return Step(table: name, change: .update(old, new))
        } catch {
            return nil
        }
    }

    private static func write(
        _ steps: [Step], _ number: Int, checks: Bool, _ random: inout SplitMix
    ) -> EventWriter {
        var writer = EventWriter()
        writer.gtid(number)
        writer.query("BEGIN")
        var i = 0
        while i < steps.count {
            var run = [steps[i].change]
            while i + run.count < steps.count, steps[i + run.count].table == steps[i].table,
                isSameKind(steps[i + run.count].change, run[0]), !random.oneIn(3)
            { run.append(steps[i + run.count].change) }
            let columns = empty.tables[steps[i].table]!.columns.count
            let id = 100 + names.firstIndex(of: steps[i].table)!
            writer.tableMap(id, "s", steps[i].table, columns: columns)
            writer.rows(id, run, columns: columns, flags: checks ? 1 : 3)
            i += run.count
        }
        writer.xid()
        return writer
    }

    private static func isSameKind(_ a: EventWriter.Change, _ b: EventWriter.Change) -> Bool {
        switch (a, b) {
        case (.insert, .insert), (.update, .update), (.delete, .delete): true
        default: false
        }
    }

    /// Applies a batch as a lane does; says what is wrong.
    private static func apply(
        _ batch: ContiguousArray<SourceTransaction>, to target: inout ModelTables,
        statementBytes: Int, packetBytes: Int
    ) throws -> [String] {
        var problems: [String] = []
        var sql = ByteBuffer(capacity: 1024)
        var expected: [Replication.Expectation] = []
        var now = target
        func send(_ sql: inout ByteBuffer, _ expected: inout [Replication.Expectation]) throws {
            let text = sql.string()
            let counts = try now.run(text)
            if counts.count != expected.count {
                problems.append("\(counts.count) statements, \(expected.count) expectations")
            }
            for (count, expectation) in zip(counts, expected) {
                if let wanted = expectation.count, wanted != count {
                    problems.append("\(count) affected, \(wanted) expected: \(text)")
                }
            }
            sql.removeAll()
            expected = []
        }
        var renderer = BatchRenderer(statementBytes: statementBytes, packetBytes: packetBytes)
        renderer.resetSession()
        try renderer.render(batch, into: &sql, expecting: &expected) { sql, expected in
            try send(&sql, &expected)
        }
        if sql.count > 0 { try send(&sql, &expected) }
        if !now.checksForeignKeys { problems.append("foreign keys stay unchecked") }
        target = now
        return problems
    }

    /// Random transactions in batches, from one state to the next.
    private static func play(
        seed: UInt64, among: [String], targetKeys: [TableName: [KeyShape]] = [:]
    ) throws -> [String] {
        var random = SplitMix(seed)
        var assembler = try assembler(targetKeys: targetKeys)
        var source = empty
        var target = empty
        var number = 0
        for _ in 0..<8 {
            var batch: ContiguousArray<SourceTransaction> = []
            for _ in 0...random.below(6) {
                let checks = !random.oneIn(8)
                source.checksForeignKeys = checks
                let before = source
                var steps = (0...random.below(8)).compactMap { _ in
                    step(&source, &random, among)
                }
                if !source.isWhole {
                    // Rows without their parents would be refused later, where keys change.
                    source = before
                    steps = []
                }
                source.checksForeignKeys = true
                number += 1
                for chunk in write(steps, number, checks: checks, &random).chunks() {
                    let output = try assembler.consume(chunk, chunk.entries[0])
                    if case .transaction(let transaction, _) = output { batch.append(transaction) }
                }
            }
            do {
                let problems = try apply(
                    batch, to: &target, statementBytes: 20 + random.below(2000),
                    packetBytes: 20 + random.below(4000))
                guard problems.isEmpty else { return problems }
            } catch let error as ModelTables.Refused {
                return [error.description]
            }
            for name in names where source.tables[name] != target.tables[name] {
                return [
                    "\(name): \(source.tables[name]!.rows) on the source, "
                        + "\(target.tables[name]!.rows) on the target"
                ]
            }
        }
        return []
    }

    @Test(
        "a batch does what its events do one by one",
        arguments: [
            ["plain"], ["pair"], ["sets"], ["parent", "child", "grandchild"], ["top", "below"],
            ["own"], ["keyless"], ["whole", "piece"], names,
        ])
    func equivalence(among: [String]) throws {
        for seed: UInt64 in 1...60 {
            let problems = try Self.play(seed: seed, among: among)
            guard problems.isEmpty else {
                Issue.record("seed \(seed): \(problems)")
                return
            }
        }
    }

    @Test("a unique key that only the target has keeps the order of its whole group")
    func keysOfTheTarget() throws {
        let child = TableName(schema: "s", name: "child")
        let key = KeyShape(name: "extra", parts: [KeyPart(column: "id")], isUnique: true)
        for seed: UInt64 in 1...60 {
            let problems = try Self.play(
                seed: seed, among: ["parent", "child"], targetKeys: [child: [key]])
            guard problems.isEmpty else {
                Issue.record("seed \(seed): \(problems)")
                return
            }
        }
    }

    @Test("changes of one row become one statement, or none")
    func merging() throws {
        func statements(_ changes: [EventWriter.Change]) throws -> String {
            var assembler = try Self.assembler()
            var random = SplitMix(1)
            let steps = changes.map { Step(table: "plain", change: $0) }
            var batch: ContiguousArray<SourceTransaction> = []
            for chunk in Self.write(steps, 1, checks: true, &random).chunks() {
                if case .transaction(let transaction, _) = try assembler.consume(
                    chunk, chunk.entries[0])
                {
                    batch.append(transaction)
                }
            }
            var sql = ByteBuffer(capacity: 64)
            var expected: [Replication.Expectation] = []
            var renderer = BatchRenderer(statementBytes: 1000, packetBytes: 1000)
            try renderer.render(batch, into: &sql, expecting: &expected) { _, _ in }
            return sql.string()
        }
        #expect(
            try statements([.insert([1, 1]), .update([1, 1], [1, 2]), .delete([1, 2])]) == "")
        #expect(try statements([.update([1, 1], [1, 2]), .update([1, 2], [1, 1])]) == "")
        #expect(
            try statements([.insert([1, 1]), .update([1, 1], [1, 2])])
                == "INSERT INTO `s`.`plain` (`id`,`v`) VALUES (1,2);")
        #expect(
            try statements([.update([1, 1], [1, 2]), .delete([1, 2]), .delete([2, nil])])
                == "DELETE FROM `s`.`plain` WHERE `id` IN (1,2);")
        #expect(
            try statements([.update([1, 1], [2, 1])])
                == "DELETE FROM `s`.`plain` WHERE `id` IN (1);"
                + "INSERT INTO `s`.`plain` (`id`,`v`) VALUES (2,1);")
    }

    @Test("rows that come without all columns keep their place among those that have all")
    func partialRows() throws {
        var assembler = try Self.assembler()
        var writer = EventWriter()
        func transaction(_ n: Int, _ change: EventWriter.Change, _ before: UInt8, _ after: UInt8) {
            writer.gtid(n)
            writer.query("BEGIN")
            writer.tableMap(100, "s", "plain", columns: 2)
            writer.rows(100, [change], columns: 2, before: before, after: after)
            writer.xid()
        }
        transaction(1, .insert([1, 1]), 0xFF, 0xFF)
        transaction(2, .update([1, 1], [1, 2]), 0xFF, 0xFF)
        // A session with binlog_row_image=MINIMAL.
        transaction(3, .update([1], [3]), 1, 2)
        transaction(4, .update([1, 3], [1, 4]), 0xFF, 0xFF)
        transaction(5, .update([1], [5]), 1, 2)
        var batch: ContiguousArray<SourceTransaction> = []
        for chunk in writer.chunks() {
            if case .transaction(let transaction, _) = try assembler.consume(
                chunk, chunk.entries[0])
            {
                batch.append(transaction)
            }
        }
        var target = Self.empty
        let problems = try Self.apply(
            batch, to: &target, statementBytes: 1000, packetBytes: 1000)
        #expect(problems.isEmpty)
        #expect(target.tables["plain"]?.rows == [[1, 5]])
    }

    /// Rows of `sets (id, u, w)`, each key of which is unique: in each transaction one change, with
    /// the columns that its images have.
    private static func lacking(
        _ changes: [(EventWriter.Change, before: UInt8, after: UInt8)],
        _ body: (Int, SourceTransaction, inout TransactionAssembler) throws -> Void
    ) throws {
        var assembler = try assembler()
        var writer = EventWriter()
        for (n, change) in changes.enumerated() {
            writer.gtid(n + 1)
            writer.query("BEGIN")
            writer.tableMap(100, "s", "sets", columns: 3)
            writer.rows(100, [change.0], columns: 3, before: change.before, after: change.after)
            writer.xid()
        }
        var n = 0
        for chunk in writer.chunks() {
            if case .transaction(let transaction, _) = try assembler.consume(
                chunk, chunk.entries[0])
            {
                try body(n, transaction, &assembler)
                n += 1
            }
        }
        #expect(n == changes.count)
    }

    private static func conflict(_ a: SourceTransaction, _ b: SourceTransaction) -> Bool {
        a.keys.contains { x in b.keys.contains { $0.hash == x.hash && ($0.writes || x.writes) } }
    }

    @Test("what an image lacks keeps its place among all values of its key")
    func lackingKeys() throws {
        var seen: [SourceTransaction] = []
        try Self.lacking([
            (.insert([1, 1, 1]), 0xFF, 0xFF),
            // It gives u = 1 and w = 1 free, and says so of neither.
            (.delete([1]), 1, 0xFF),
            (.insert([2, 1, 5]), 0xFF, 0xFF),
            (.update([2], [7]), 1, 2),
            (.insert([3, 1, 6]), 0xFF, 0xFF),
            (.insert([4, 9, 8]), 0xFF, 0xFF),
        ]) { n, transaction, assembler in
            // The first of them can't be told from what came before it by keys.
            #expect(transaction.isAlone == (n == 1))
            if transaction.isAlone { assembler.noteCommitted() }
            seen.append(transaction)
        }
        #expect(Self.conflict(seen[1], seen[2]))
        #expect(Self.conflict(seen[3], seen[4]))
        #expect(!Self.conflict(seen[2], seen[5]) && !Self.conflict(seen[4], seen[5]))
    }

    @Test("until all before it is committed, each image that lacks something waits for it")
    func lackingBeforeCommitted() throws {
        try Self.lacking([(.delete([1]), 1, 0xFF), (.delete([2]), 1, 0xFF)]) { _, transaction, _ in
            #expect(transaction.isAlone)
        }
    }

    @Test("an update that leaves a key as it is says nothing of it", arguments: [1, 7] as [UInt8])
    func untouchedKeys(_ before: UInt8) throws {
        var seen: [SourceTransaction] = []
        let full: [Int?] = [1, 4, 5]
        let other: [Int?] = [2, 6, 7]
        try Self.lacking([
            (.update(before == 7 ? full : [1], [9]), before, 4),
            (.update(before == 7 ? other : [2], [8]), before, 4),
        ]) { _, transaction, assembler in
            if transaction.isAlone { assembler.noteCommitted() }
            seen.append(transaction)
        }
        // Of the key that changes nothing is known in short images; the others do not meet.
        let shared = Set(seen[0].keys.map(\.hash)).intersection(seen[1].keys.map(\.hash))
        #expect(shared.count == (before == 7 ? 0 : 1))
        #expect(seen[0].isAlone == (before == 1))
    }
}
