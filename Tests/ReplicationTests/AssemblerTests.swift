import Checkpoint
import Foundation
import MySQLBinlog
import MySQLCore
import MySQLSyntax
import Rules
import Stream
import Testing

@testable import Replication

/// A binlog of a real server, kept by the tests of the decoder.
private struct Recording: CustomTestStringConvertible {
    let name: String
    let events: [[UInt8]]
    let hasChecksums: Bool
    /// Tables with their columns, as the server named them.
    var shapes: [TableShape] = []
    let version: ServerVersion

    var testDescription: String { name }

    init(_ name: String) throws {
        self.name = name
        let folder = URL(filePath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "MySQLBinlogTests/Golden")
        let bytes = [UInt8](try Data(contentsOf: folder.appending(path: "\(name).1.binlog")))
        var events: [[UInt8]] = []
        var at = 4
        while at < bytes.count {
            let size = bytes[(at + 9)..<(at + 13)].reversed().reduce(0) { $0 << 8 | Int($1) }
            events.append(Array(bytes[at..<(at + size)]))
            at += size
        }
        self.events = events
        let first = events[0]
        let format = try FormatDescription(first.span.bytes)
        version = format.serverVersion
        hasChecksums = format.checksum == .crc32
        let text = try String(
            contentsOf: folder.appending(path: "\(name).expected"), encoding: .utf8)
        for line in text.split(separator: "\n") where line.hasPrefix("TABLE\t") {
            let fields = line.split(separator: "\t").dropFirst().map(String.init)
            let columns = fields.dropFirst().compactMap { field -> ColumnShape? in
                let parts = field.split(separator: "=", maxSplits: 1).map(String.init)
                return ColumnType(columnTypeText: parts[1]).map {
                    ColumnShape(name: parts[0], type: $0, isNullable: parts[0] != "id")
                }
            }
            // A system-versioned table's rows have columns that nobody lists.
            guard columns.count == fields.count - 1, fields[0] != "history" else { continue }
            var parts = [KeyPart(column: "id")]
            // The one table with a longer key.
            if fields[0] == "hidden" { parts.append(KeyPart(column: "a", prefixLength: 5)) }
            shapes.append(
                TableShape(
                    name: TableName(schema: "", name: fields[0]), columns: columns,
                    keys: [
                        KeyShape(name: "PRIMARY", parts: parts, isUnique: true)
                    ]))
        }
    }

    /// The events as a stream hands them over.
    var chunks: [EventChunk] {
        var position: UInt64 = 4
        return events.map { event in
            defer { position += UInt64(event.count) }
            let body = hasChecksums || event[4] == 15 ? Array(event.dropLast(4)) : event
            return EventChunk(
                inner: body.span.bytes, of: "bin.000001", position: position,
                end: position + UInt64(event.count))
        }
    }

    /// What came out.
    struct Outcome {
        var transactions: [(identity: TransactionIdentity, rows: Int)] = []
        var parts = 0
        var passed: [TransactionIdentity] = []
        var statements: [String] = []
        var ends: [GroupEnd] = []
        var rows: Int { transactions.reduce(0) { $0 + $1.rows } }
    }

    func run(
        tables: Set<String>? = nil, bytesLimit: Int = 1 << 30, carried: IdentitySet = IdentitySet()
    ) throws -> Outcome {
        var state = SchemaState()
        var patterns: [TablePattern] = []
        for var shape in shapes where tables?.contains(shape.name.name) ?? true {
            for schema in schemas {
                shape.name.schema = schema
                state.tables[shape.name] = shape
            }
            patterns.append(try #require(TablePattern("*.\(shape.name.name)")))
        }
        let origin = Origin(server: EventWriter.uuid, life: 1)
        let catalog = TableCatalog(
            sourceVersion: version, mapping: TableMapping(TableSelection(tables: patterns)),
            state: state,
            windows: [:], consistentFrom: nil)
        let low = SourcePosition(
            origin: origin, binlog: BinlogPosition(file: "bin.000001", offset: 4),
            gtids: version.family == .mysql
                ? .mysql(MySQLGTIDSet()) : .mariadb(MariaDBGTIDPosition()))
        var assembler = TransactionAssembler(
            catalog: catalog, applied: AppliedState(lowWater: low, carried: carried),
            origin: origin, bytesLimit: bytesLimit, requiresFullImages: false)
        var outcome = Outcome()
        var rowsOfParts = 0
        func take(_ output: consuming TransactionAssembler.Output) {
            switch output {
            case .none: break
            case .transaction(let transaction, let end):
                outcome.transactions.append((transaction.identity, transaction.rows.count))
                outcome.ends.append(end)
            case .part(let part):
                outcome.parts += 1
                rowsOfParts += part.rows.count
            case .lastPart(let part, let end):
                outcome.transactions.append((part.identity, rowsOfParts + part.rows.count))
                outcome.ends.append(end)
                rowsOfParts = 0
            case .abandoned(let end), .passed(let end):
                outcome.passed.append(end.identity)
                outcome.ends.append(end)
                rowsOfParts = 0
            case .statement(let query, let end, _):
                outcome.statements.append(String(decoding: query.sql, as: UTF8.self))
                outcome.ends.append(end)
            case .opening(let query, _, _):
                outcome.statements.append(String(decoding: query.sql, as: UTF8.self))
            case .recall(_, _, let end): outcome.ends.append(end)
            }
        }
        for chunk in chunks {
            take(try assembler.consume(chunk, chunk.entries[0]))
            while let output = try assembler.resume() { take(output) }
        }
        let isBetweenGroups = assembler.isBetweenGroups
        #expect(isBetweenGroups)
        return outcome
    }

    /// Schemas that the recorded tables may be in.
    private var schemas: [String] { ["golden", "g", "test", "s", "d", "types"] + foundSchemas }

    private var foundSchemas: [String] {
        events.compactMap { event -> String? in
            guard event[4] == 2 else { return nil }
            let body = Array(event.dropLast(hasChecksums ? 4 : 0))
            guard let query = try? QueryEvent(body.span.bytes) else { return nil }
            return String(decoding: query.schema, as: UTF8.self)
        }
    }
}

@Suite("Transactions out of events")
struct AssemblerTests {
    private static let recordings = [
        "mysql-types", "mysql-compressed", "mysql-nochecksum", "mariadb-types",
        "mariadb-compressed", "mariadb-nochecksum",
    ]

    @Test("every group of a real binlog comes out once, in order", arguments: recordings)
    func groups(name: String) throws {
        let recording = try Recording(name)
        let outcome = try recording.run()
        #expect(outcome.rows > 0)
        let gtids = recording.events.filter { [33, 34, 42, 162].contains($0[4]) }.count
        #expect(outcome.ends.count == gtids)
        #expect(outcome.ends.map(\.ordinal) == (1...UInt64(gtids)).map { $0 })
        for (a, b) in zip(outcome.ends, outcome.ends.dropFirst()) { #expect(a.end <= b.start) }
        #expect(Set(outcome.ends.map(\.identity)).count == gtids)
        #expect(outcome.statements.contains { $0.hasPrefix("CREATE TABLE") })
    }

    @Test(
        "the digest of a group is that of its bytes, however often it is read",
        arguments: recordings)
    func digests(name: String) throws {
        let recording = try Recording(name)
        let first = try recording.run()
        #expect(try recording.run(bytesLimit: 1).ends.map(\.digest) == first.ends.map(\.digest))
        #expect(try recording.run(tables: []).ends.map(\.digest) == first.ends.map(\.digest))
        #expect(Set(first.ends.map(\.digest)).count == first.ends.count)
    }

    @Test(
        "a transaction beyond the limit comes in parts that hold the same rows",
        arguments: recordings)
    func parts(name: String) throws {
        let recording = try Recording(name)
        let whole = try recording.run()
        let cut = try recording.run(bytesLimit: 1)
        #expect(cut.parts >= whole.transactions.count)
        #expect(cut.transactions.map(\.rows) == whole.transactions.map(\.rows))
        #expect(cut.transactions.map(\.identity) == whole.transactions.map(\.identity))
    }

    @Test("tables nobody wants are passed over", arguments: recordings)
    func filtered(name: String) throws {
        let recording = try Recording(name)
        let all = try recording.run()
        let none = try recording.run(tables: [])
        #expect(none.transactions.isEmpty)
        #expect(none.ends.map(\.identity) == all.ends.map(\.identity))
        var sum = 0
        for shape in recording.shapes { sum += try recording.run(tables: [shape.name.name]).rows }
        #expect(sum == all.rows)
    }

    @Test("what the target holds already is passed over", arguments: recordings)
    func applied(name: String) throws {
        let recording = try Recording(name)
        let all = try recording.run()
        var carried = IdentitySet()
        carried.insert(all.transactions[0].identity)
        let rest = try recording.run(carried: carried)
        #expect(rest.transactions.map(\.identity) == all.transactions.dropFirst().map(\.identity))
        #expect(rest.passed.contains(all.transactions[0].identity))
    }

    // MARK: by hand

    private static func assembler(bytesLimit: Int = 1 << 30) throws -> TransactionAssembler {
        var state = SchemaState()
        let name = TableName(schema: "s", name: "t")
        state.tables[name] = TableShape(
            name: name,
            columns: [ColumnShape(name: "id", type: ColumnType(.int), isNullable: false)],
            keys: [KeyShape(name: "PRIMARY", parts: [KeyPart(column: "id")], isUnique: true)])
        let origin = Origin(server: EventWriter.uuid, life: 1)
        return TransactionAssembler(
            catalog: TableCatalog(
                sourceVersion: ServerVersion("8.0.30"),
                mapping: TableMapping(TableSelection(tables: [try #require(TablePattern("s.*"))])),
                state: state, windows: [:], consistentFrom: nil),
            applied: AppliedState(
                lowWater: SourcePosition(
                    origin: origin, binlog: BinlogPosition(file: "bin.000001", offset: 4),
                    gtids: .mysql(MySQLGTIDSet())), carried: IdentitySet()),
            origin: origin, bytesLimit: bytesLimit)
    }

    /// The names of what comes out, one a event.
    private static func outputs(_ writer: EventWriter, bytesLimit: Int = 1 << 30) throws -> [String]
    {
        var assembler = try assembler(bytesLimit: bytesLimit)
        return try writer.chunks().map { chunk in
            switch try assembler.consume(chunk, chunk.entries[0]) {
            case .none: "-"
            case .transaction(let transaction, _): "transaction of \(transaction.rows.count)"
            case .part(let part): "part of \(part.rows.count)"
            case .lastPart(let part, _): "last part of \(part.rows.count)"
            case .abandoned: "abandoned"
            case .passed: "passed"
            case .statement(let query, _, _):
                "statement \(String(decoding: query.sql, as: UTF8.self))"
            case .opening: "opening"
            case .recall: "recall"
            }
        }
    }

    private static func writer(_ end: (inout EventWriter) -> Void) -> EventWriter {
        var writer = EventWriter()
        writer.gtid(1)
        writer.query("BEGIN")
        writer.tableMap(5, "s", "t", columns: 1)
        writer.rows(5, [.insert([1]), .insert([2])], columns: 1)
        end(&writer)
        return writer
    }

    @Test("a transaction that was rolled back is passed over, also when it came in parts")
    func rolledBack() throws {
        let rolledBack = Self.writer { $0.query("ROLLBACK") }
        #expect(try Self.outputs(rolledBack) == ["-", "-", "-", "-", "passed"])
        #expect(
            try Self.outputs(rolledBack, bytesLimit: 1) == [
                "-", "-", "-", "part of 2", "abandoned",
            ])
    }

    @Test("what is rolled back to a savepoint is taken back, COMMIT ends as XID does")
    func savepoints() throws {
        let writer = Self.writer {
            $0.query("SAVEPOINT `a`")
            $0.rows(5, [.delete([1])], columns: 1)
            $0.query("ROLLBACK TO `a`")
            $0.query("COMMIT")
            $0.gtid(2)
            $0.query("CREATE TABLE other (a INT)")
        }
        #expect(
            try Self.outputs(writer) == [
                "-", "-", "-", "-", "-", "-", "-", "transaction of 2", "-",
                "statement CREATE TABLE other (a INT)",
            ])
        // What lies before a part that is on its way can't be taken back any more.
        #expect(throws: ReplicationError.self) { try Self.outputs(writer, bytesLimit: 1) }
    }

    @Test("ALTER TABLE in two phases counts where it is committed, and only there")
    func twoPhases() throws {
        var writer = EventWriter()
        func group(_ n: Int, _ extra: [UInt8], _ sql: String) {
            // Standalone, with DDL.
            writer.mariadbGTID(n, flags: 33, extra: extra)
            writer.query(sql)
        }
        let start: [UInt8] = [1, 0, 0, 0, 0, 0, 0, 0]
        group(1, [2], "ALTER TABLE t ADD COLUMN a INT")
        writer.mariadbGTID(2)
        writer.tableMap(5, "s", "t", columns: 1)
        writer.rows(5, [.insert([1])], columns: 1)
        writer.xid()
        group(3, [4] + start, "ALTER TABLE t ADD COLUMN a INT")
        group(4, [2], "ALTER TABLE t DROP COLUMN a")
        group(5, [8] + start, "ALTER TABLE t DROP COLUMN a")
        #expect(
            try Self.outputs(writer) == [
                "-", "passed", "-", "-", "-", "transaction of 1", "-",
                "statement ALTER TABLE t ADD COLUMN a INT", "-", "passed", "-", "passed",
            ])
    }

    @Test("what makes no sense is an error, never skipped")
    func nonsense() throws {
        #expect(throws: ReplicationError.self) {
            try Self.outputs(Self.writer { $0.gtid(2) })
        }
        #expect(throws: ReplicationError.self) {
            try Self.outputs(Self.writer { $0.query("UPDATE t SET id=3") })
        }
        var orphan = EventWriter()
        orphan.tableMap(5, "s", "t", columns: 1)
        orphan.rows(5, [.insert([1])], columns: 1)
        #expect(throws: BinlogError.self) { try Self.outputs(orphan) }
        var end = EventWriter()
        end.xid()
        #expect(throws: ReplicationError.self) { try Self.outputs(end) }
        var unmapped = EventWriter()
        unmapped.gtid(1)
        unmapped.query("BEGIN")
        unmapped.rows(5, [.insert([1])], columns: 1)
        #expect(throws: BinlogError.self) { try Self.outputs(unmapped) }
    }

    @Test("rows of a table with other columns than are known stop everything")
    func otherColumns() throws {
        var writer = EventWriter()
        writer.gtid(1)
        writer.query("BEGIN")
        writer.tableMap(5, "s", "t", columns: 2)
        #expect(throws: ReplicationError.self) { try Self.outputs(writer) }
    }
}
