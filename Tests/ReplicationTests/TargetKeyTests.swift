import MySQLBinlog
import MySQLCore
import MySQLSyntax
import Rules
import Stream
import Testing

@testable import Replication

/// Unique keys that tables have on the target only: rows conflict there that do not on the source.
@Suite("Keys of the target")
struct TargetKeyTests {
    private static func shape(_ name: String, unique: Bool = false) -> TableShape {
        func key(_ name: String, _ column: String) -> KeyShape {
            KeyShape(name: name, parts: [KeyPart(column: column)], isUnique: true)
        }
        return TableShape(
            name: TableName(schema: "s", name: name),
            columns: ["id", "v"].map {
                ColumnShape(name: $0, type: ColumnType(.int), isNullable: $0 != "id")
            }, keys: [key("PRIMARY", "id")] + (unique ? [key("u", "v")] : []))
    }

    /// Whether a row that gives a value up, and a new one that takes it, must keep their order.
    private func keepOrder(_ catalog: TableCatalog, _ table: String) throws -> Bool {
        var writer = EventWriter()
        let changes: [EventWriter.Change] = [.update([1, 5], [1, 6]), .insert([2, 5])]
        for (i, change) in changes.enumerated() {
            writer.gtid(1 + i)
            writer.query("BEGIN")
            writer.tableMap(1, "s", table, columns: 2)
            writer.rows(1, [change], columns: 2)
            writer.xid()
        }
        var assembler = TransactionAssembler(
            catalog: catalog,
            applied: AppliedState(lowWater: TargetRig.position(0), carried: IdentitySet()),
            origin: Origin(server: EventWriter.uuid, life: 1), bytesLimit: 1 << 30)
        var keys: [Set<UInt64>] = []
        for chunk in writer.chunks() {
            let output = try assembler.consume(chunk, chunk.entries[0])
            if case .transaction(let transaction, _) = output {
                keys.append(Set(transaction.keys.map { $0.hash }))
            }
        }
        try #require(keys.count == 2)
        return !keys[0].isDisjoint(with: keys[1])
    }

    @Test("what a statement makes unique on the target conflicts from then on, under any name")
    func changes() throws {
        var state = SchemaState()
        let name = TableName(schema: "s", name: "a")
        state.tables[name] = Self.shape("a")
        let catalog = TableCatalog(
            sourceVersion: ServerVersion("8.0.30"), mapping: try TableMapping(SourceRules()),
            state: state, windows: [:], consistentFrom: nil)
        catalog.noteTarget([name: Self.shape("a")])
        #expect(try !keepOrder(catalog, "a"))
        let context = SyntaxContext(version: ServerVersion("8.0.30"), defaultSchema: "s")
        func carry(_ sql: String, _ there: TableShape, isCompared: Bool) throws {
            let ddl = try #require(try parseStatement(sql, context: context).ddl)
            _ = try catalog.carry(
                [ddl], context, TargetRig.position(1), target: [there.name: there],
                isCompared: isCompared)
        }
        // As an operator wanted it, in the place of what the source has done.
        try carry("ALTER TABLE a COMMENT 'x'", Self.shape("a", unique: true), isCompared: false)
        #expect(try keepOrder(catalog, "a"))
        try carry("RENAME TABLE a TO b", Self.shape("b", unique: true), isCompared: true)
        #expect(try keepOrder(catalog, "b"))
        try carry("ALTER TABLE b COMMENT 'y'", Self.shape("b"), isCompared: false)
        #expect(try !keepOrder(catalog, "b"))
    }

    @Test("a key that is the source's, too, is none of the target's own")
    func both() throws {
        var state = SchemaState()
        let name = TableName(schema: "s", name: "a")
        state.tables[name] = Self.shape("a", unique: true)
        let catalog = TableCatalog(
            sourceVersion: ServerVersion("8.0.30"), mapping: try TableMapping(SourceRules()),
            state: state, windows: [:], consistentFrom: nil)
        catalog.noteTarget([name: Self.shape("a", unique: true)])
        #expect(try keepOrder(catalog, "a"))
        // The source gives it up, the target does not.
        let context = SyntaxContext(version: ServerVersion("8.0.30"), defaultSchema: "s")
        let ddl = try #require(try parseStatement("ALTER TABLE a DROP KEY u", context: context).ddl)
        _ = try catalog.carry([ddl], context, TargetRig.position(1), target: [:])
        #expect(try keepOrder(catalog, "a"))
    }
}
