import Checkpoint
import MySQLCore
import MySQLSyntax
import Rules
import Stream
import Testing

@testable import Replication

/// How events meet the copy of their table: by membership in its lowest and highest position.
@Suite("Events around a table's copy")
struct CopyWindowTests {
    private static let table = TableName(schema: "s", name: "t")

    /// What becomes of transactions 1 to `count` that insert into the table.
    private static func uses(
        _ count: Int, low: Int, high: Int, consistentFrom: Int? = nil, isKnown: Bool = true,
        columns: (Int) -> Int = { _ in 1 }, carried: IdentitySet = IdentitySet()
    ) throws -> [String] {
        var state = SchemaState()
        if isKnown {
            state.tables[table] = TableShape(
                name: table, columns: [ColumnShape(name: "id", type: ColumnType(.int))], keys: [])
        }
        let start = TargetRig.position(0)
        let catalog = TableCatalog(
            sourceVersion: ServerVersion("8.0.30"),
            mapping: TableMapping(TableSelection(tables: [try #require(TablePattern("s.*"))])),
            state: state,
            windows: isKnown
                ? [table: CopyRange(low: TargetRig.position(low), high: TargetRig.position(high))]
                : [:],
            consistentFrom: consistentFrom.map { TargetRig.position($0) })
        var assembler = TransactionAssembler(
            catalog: catalog, applied: AppliedState(lowWater: start, carried: carried),
            origin: start.origin, bytesLimit: 1 << 30)
        var writer = EventWriter()
        for n in 1...count {
            writer.gtid(n)
            writer.query("BEGIN")
            let columns = columns(n)
            let row = [Int?](repeating: n, count: columns)
            writer.tableMap(4 + columns, "s", "t", columns: columns)
            writer.rows(4 + columns, [.insert(row)], columns: columns)
            writer.xid()
        }
        var out: [String] = []
        for chunk in writer.chunks() {
            switch try assembler.consume(chunk, chunk.entries[0]) {
            case .none: continue
            case .passed: out.append("skip")
            case .transaction(let transaction, _):
                out.append(transaction.sources[0].meeting == .converge ? "converge" : "exact")
            default: out.append("?")
            }
        }
        return out
    }

    @Test("at or before the low it is in every view, behind the high in none (F6, F7)")
    func range() throws {
        #expect(
            try Self.uses(5, low: 2, high: 4) == ["skip", "skip", "converge", "converge", "exact"])
        #expect(try Self.uses(3, low: 0, high: 1) == ["converge", "exact", "exact"])
    }

    @Test("an exact view has no range: nothing of it is applied twice, nothing converges (F9)")
    func exact() throws {
        #expect(try Self.uses(4, low: 2, high: 2) == ["skip", "skip", "exact", "exact"])
    }

    @Test("rows of a table that was gone when the copy saw the source are passed over")
    func dropped() throws {
        #expect(
            try Self.uses(2, low: 0, high: 0, consistentFrom: 2, isKnown: false)
                == ["skip", "skip"])
        #expect(throws: ReplicationError.self) {
            try Self.uses(3, low: 0, high: 0, consistentFrom: 2, isKnown: false)
        }
    }

    @Test("what is not applied may come from before a change of the table's shape")
    func otherShape() throws {
        // It was changed between transactions 2 and 3, and copied behind that.
        #expect(
            try Self.uses(4, low: 3, high: 3, columns: { $0 < 3 ? 2 : 1 })
                == ["skip", "skip", "skip", "exact"])
        #expect(
            try Self.uses(
                3, low: 0, high: 0, columns: { $0 < 3 ? 2 : 1 }, carried: TargetRig.set(1, 2))
                == ["skip", "skip", "exact"])
        #expect(throws: ReplicationError.self) {
            try Self.uses(4, low: 2, high: 2, columns: { $0 == 3 ? 2 : 1 })
        }
    }

    /// What becomes of an XA transaction that is prepared at 1, with this many columns, and
    /// committed at 2, when the table was copied behind `low`, with one column.
    ///
    /// - Parameter isOnePhase: committed at 1 already, and not prepared before.
    private static func prepared(
        columns: Int, low: Int, isOnePhase: Bool = false, bytesLimit: Int = 1 << 30,
        carried: IdentitySet = IdentitySet()
    ) throws -> [String] {
        var state = SchemaState()
        state.tables[table] = TableShape(
            name: table, columns: [ColumnShape(name: "id", type: ColumnType(.int))], keys: [])
        let start = TargetRig.position(0)
        let range = CopyRange(low: TargetRig.position(low), high: TargetRig.position(low))
        let catalog = TableCatalog(
            sourceVersion: ServerVersion("8.0.30"),
            mapping: TableMapping(TableSelection(tables: [try #require(TablePattern("s.*"))])),
            state: state,
            windows: [table: range], consistentFrom: nil)
        var assembler = TransactionAssembler(
            catalog: catalog, applied: AppliedState(lowWater: start, carried: carried),
            origin: start.origin, bytesLimit: bytesLimit)
        var writer = EventWriter()
        writer.gtid(1)
        writer.query("XA START X'61',X'',1")
        writer.tableMap(4 + columns, "s", "t", columns: columns)
        writer.rows(4 + columns, [.insert([Int?](repeating: 7, count: columns))], columns: columns)
        writer.query("XA END X'61',X'',1")
        writer.xaPrepare("a", isOnePhase: isOnePhase)
        if !isOnePhase {
            writer.gtid(2)
            writer.query("XA COMMIT X'61',X'',1")
        }
        var out: [String] = []
        for chunk in writer.chunks() {
            switch try assembler.consume(chunk, chunk.entries[0]) {
            case .none: continue
            case .passed: out.append("passed")
            case .transaction(let transaction, _): out.append("\(transaction.rows.count) rows")
            case .recall: out.append("read again")
            default: out.append("?")
            }
        }
        return out
    }

    @Test("rows that were prepared before the copy count when they are committed behind it")
    func preparedBefore() throws {
        #expect(try Self.prepared(columns: 1, low: 1) == ["passed", "1 rows"])
        #expect(try Self.prepared(columns: 1, low: 2) == ["passed", "passed"])
        // The table had another shape: only its own place in the binlog tells what they mean.
        #expect(try Self.prepared(columns: 2, low: 1) == ["passed", "read again"])
        #expect(try Self.prepared(columns: 2, low: 2) == ["passed", "read again"])
    }

    @Test("rows that are prepared and committed at once count once, and where the copy lacks them")
    func onePhase() throws {
        func result(
            _ columns: Int, low: Int, bytesLimit: Int = 1 << 30,
            carried: IdentitySet = IdentitySet()
        ) throws -> [String] {
            try Self.prepared(
                columns: columns, low: low, isOnePhase: true, bytesLimit: bytesLimit,
                carried: carried)
        }
        #expect(try result(1, low: 0) == ["1 rows"])
        // The copy has them, also of a table that had another shape.
        #expect(try result(1, low: 1) == ["passed"])
        #expect(try result(2, low: 1) == ["read again"])
        // The target has them.
        #expect(try result(1, low: 0, carried: TargetRig.set(1)) == ["passed"])
        // Too large to be held.
        #expect(try result(1, low: 0, bytesLimit: 1) == ["read again"])
        #expect(try result(1, low: 0, bytesLimit: 1, carried: TargetRig.set(1)) == ["passed"])
    }
}
