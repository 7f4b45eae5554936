internal import MySQLClient
internal import MySQLCore

/// The GTIDs that a MySQL server has written to its binlog, readable already or not.
///
/// `@@gtid_executed` lags behind what views hold: the engine commits first. The binlog does not,
/// so what it holds beyond an older set is read from it, by a dump that ends at its end.
struct WrittenGTIDs {
    let source: ConnectionOptions
    let interrupts: Interrupts

    init(_ source: ConnectionOptions, _ interrupts: Interrupts) {
        self.source = source
        self.interrupts = interrupts
    }

    /// `executed`, and all that the binlog holds beyond it now.
    func beyond(_ executed: MySQLGTIDSet) throws -> MySQLGTIDSet {
        let connection = try Connection(source)
        try interrupts.add(connection.interrupter)
        let dump = try BinlogDump(
            connection, from: .mysql(executed),
            serverID: UInt32.random(in: 0x8000_0000...0xFFFF_FFF0), waits: false)
        var out = executed
        while let event = unsafe try dump.next({ bytes in try unsafe Self.gtid(bytes.bytes) }) {
            guard let event else { continue }
            out.insert(.init(uuid: event.uuid, tag: ""), event.number...event.number)
        }
        return out
    }

    private struct Found {
        let uuid: ServerUUID
        let number: UInt64
    }

    /// The GTID that an event announces. Sources: MySQL manual, "Gtid_log_event": 19 bytes of
    /// header, 1 of flags, 16 of UUID, 8 of number.
    private static func gtid(_ event: RawSpan) throws -> Found? {
        guard event.byteCount > 4 else { return nil }
        let type = unsafe event.unsafeLoad(fromByteOffset: 4, as: UInt8.self)
        switch type {
        case 33 where event.byteCount >= 44:
            func word(_ at: Int) -> UInt64 {
                unsafe event.unsafeLoadUnaligned(fromByteOffset: at, as: UInt64.self)
            }
            return Found(
                uuid: ServerUUID(high: word(20).byteSwapped, low: word(28).byteSwapped),
                number: UInt64(littleEndian: word(36)))
        case 42:
            throw SnapshotError.noView(
                detail: "a tagged transaction was written just now, and without a short global "
                    + "read lock its place can't be told; grant RELOAD to the source's user")
        default:
            return nil
        }
    }
}
