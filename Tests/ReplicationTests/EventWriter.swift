import MySQLBinlog
import MySQLCore
import Stream

/// Puts binlog events of MySQL 8 together, byte by byte.
struct EventWriter {
    static let uuid = ServerUUID(high: 0x0001_0203_0405_0607, low: 0x0809_0A0B_0C0D_0E0F)

    enum Change {
        case insert([Int?])
        case delete([Int?])
        case update([Int?], [Int?])
    }

    private(set) var events: [[UInt8]] = []

    private static func little(_ value: some FixedWidthInteger, _ bytes: Int) -> [UInt8] {
        (0..<bytes).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }

    private mutating func add(_ type: UInt8, _ body: [UInt8]) {
        let size = 19 + body.count
        events.append(
            Self.little(1_700_000_000, 4) + [type] + Self.little(7, 4) + Self.little(size, 4)
                + Self.little(100, 4) + [0, 0] + body)
    }

    mutating func gtid(_ number: Int) {
        add(33, [1] + Self.uuid.bytes + Self.little(number, 8))
    }

    /// The head of a MariaDB group in domain 0.
    ///
    /// - Parameter extra: the extra flags with their fields.
    mutating func mariadbGTID(_ sequence: Int, flags: UInt8 = 0, extra: [UInt8] = []) {
        let body = Self.little(sequence, 8) + Self.little(0, 4) + [flags] + extra
        add(162, body + [UInt8](repeating: 0, count: max(0, 19 - body.count)))
    }

    mutating func query(_ sql: String, schema: String = "s") {
        query(Array(sql.utf8), schema: schema)
    }

    /// - Parameters:
    ///   - error: the error that the statement ended with.
    ///   - status: status variables as they are in the event.
    mutating func query(
        _ sql: [UInt8], schema: String = "s", error: UInt16 = 0, status: [UInt8] = []
    ) {
        add(
            2,
            Self.little(1, 4) + Self.little(0, 4) + [UInt8(schema.utf8.count)]
                + Self.little(error, 2) + Self.little(status.count, 2) + status
                + Array(schema.utf8) + [0] + sql)
    }

    mutating func xid() { add(16, Self.little(5, 8)) }

    /// The end of a group that prepares the XA transaction `name` (of format 1).
    mutating func xaPrepare(_ name: String, isOnePhase: Bool = false) {
        add(
            38,
            [isOnePhase ? 1 : 0] + Self.little(1, 4) + Self.little(name.utf8.count, 4)
                + Self.little(0, 4) + Array(name.utf8))
    }

    mutating func tableMap(_ id: Int, _ schema: String, _ table: String, columns: Int) {
        add(
            19,
            Self.little(id, 6) + [1, 0, UInt8(schema.utf8.count)] + Array(schema.utf8) + [0]
                + [UInt8(table.utf8.count)] + Array(table.utf8) + [0, UInt8(columns)]
                + [UInt8](repeating: 3, count: columns) + [0, 0xFF])
    }

    /// One event of rows; all changes must be of one kind.
    ///
    /// - Parameters:
    ///   - before: bits of the columns that images of rows before a change have; rows are given
    ///     without the others.
    ///   - after: the same for rows after it.
    mutating func rows(
        _ id: Int, _ changes: [Change], columns: Int, flags: UInt16 = 1, before: UInt8 = 0xFF,
        after: UInt8 = 0xFF
    ) {
        guard let first = changes.first else { return }
        let kind: UInt8 =
            switch first {
            case .insert: 30
            case .update: 31
            case .delete: 32
            }
        var body = Self.little(id, 6) + Self.little(flags, 2) + [2, 0, UInt8(columns)]
        if kind != 30 { body.append(before) }
        if kind != 32 { body.append(after) }
        for change in changes {
            switch change {
            case .insert(let row), .delete(let row): body += Self.image(row)
            case .update(let old, let new): body += Self.image(old) + Self.image(new)
            }
        }
        add(kind, body)
    }

    private static func image(_ row: [Int?]) -> [UInt8] {
        var nulls: UInt8 = 0
        var values: [UInt8] = []
        for (i, value) in row.enumerated() {
            if let value {
                values += little(Int32(value), 4)
            } else {
                nulls |= 1 << UInt8(i)
            }
        }
        return [nulls] + values
    }

    /// The events as chunks of one each, from offset 1000 on.
    func chunks(file: String = "bin.000001") -> [EventChunk] {
        var position: UInt64 = 1000
        return events.map { event in
            defer { position += UInt64(event.count) }
            return EventChunk(
                inner: event.span.bytes, of: file, position: position,
                end: position + UInt64(event.count))
        }
    }
}
