internal import CMariaDB
internal import Glibc
public import MySQLCore

/// Where a binlog dump starts.
public enum BinlogDumpStart: Sendable, Hashable {
    /// At an event's start in a file; 4 is the first event.
    case position(BinlogPosition)
    /// Behind a MariaDB GTID position.
    case mariadb(MariaDBGTIDPosition)
    /// Everything that is not in a MySQL GTID set.
    case mysql(MySQLGTIDSet)
}

/// A server's binlog as packets, each one event.
///
/// Sources: MySQL internals manual, COM_BINLOG_DUMP and COM_BINLOG_DUMP_GTID; MariaDB knowledge
/// base, "Replication protocol". The commands are sent through the library's own function table,
/// since its replication functions know neither MySQL's GTID dump nor MySQL 8's events.
public final class BinlogDump {
    private let connection: Connection
    /// Bytes that are read at a time, where they are the stream itself: neither encrypted nor
    /// compressed. The library reads 16 KiB.
    private static let readAhead = 128 << 10
    private let isPlain: Bool

    /// Starts a dump; the connection serves nothing else from then on.
    ///
    /// - Parameters:
    ///   - serverID: the id that this reader has among the source's replicas; must be unique.
    ///   - heartbeat: an idle source sends a heartbeat event after this time.
    ///   - waits: whether the source keeps the stream open at the end of its binlog.
    public init(
        _ connection: Connection, from start: BinlogDumpStart, serverID: UInt32,
        heartbeat: Duration = .seconds(5), waits: Bool = true
    ) throws(MySQLError) {
        self.connection = connection
        isPlain = skein_enlarge_read_ahead(connection.mysql, Self.readAhead) != 0
        try Self.prepare(connection, start, heartbeat)
        var command: [UInt8] = []
        let flags: UInt16 = waits ? 0 : 1
        var code: UInt32 = 0x12
        switch start {
        case .position(let position):
            guard let offset = UInt32(exactly: position.offset) else {
                throw MySQLError(
                    code: MySQLErrorCode.binlogReadFailed, sqlState: "HY000",
                    message: "a dump can't start beyond 4 GiB: \(position)",
                    server: connection.options.server)
            }
            command.little(offset)
            command.little(flags | annotateFlag)
            command.little(serverID)
            command += Array(position.file.utf8)
        case .mariadb:
            command.little(UInt32(4))
            command.little(flags | annotateFlag)
            command.little(serverID)
        case .mysql(let set):
            code = 0x1E
            command.little(flags | 4)
            command.little(serverID)
            command.little(UInt32(0))
            command.little(UInt64(4))
            let encoded = encode(set)
            command.little(UInt32(encoded.count))
            command += encoded
        }
        let mysql = connection.mysql
        let failed = command.withUnsafeBytes { bytes in
            mysql.pointee.methods.pointee.db_command(
                mysql, enum_server_command(rawValue: code),
                bytes.baseAddress!.assumingMemoryBound(to: CChar.self), bytes.count, 1, nil)
        }
        if failed != 0 { throw connection.lastError }
    }

    /// Tells the server what this reader understands.
    private static func prepare(
        _ connection: Connection, _ start: BinlogDumpStart, _ heartbeat: Duration
    ) throws(MySQLError) {
        let (seconds, attoseconds) = heartbeat.components
        let nanoseconds = seconds * 1_000_000_000 + attoseconds / 1_000_000_000
        try connection.execute(
            """
            SET @master_binlog_checksum=@@global.binlog_checksum, \
            @source_binlog_checksum=@@global.binlog_checksum, \
            @master_heartbeat_period=\(nanoseconds), @source_heartbeat_period=\(nanoseconds)
            """)
        if connection.family == .mariadb {
            // Without capability 4 GTID events are rewritten to what old replicas understand,
            // also in dumps by file and position.
            try connection.execute("SET @mariadb_slave_capability=4")
            if case .mariadb(let position) = start {
                try connection.execute(
                    """
                    SET @slave_connect_state=\(hexLiteral(Array(position.description.utf8))), \
                    @slave_gtid_strict_mode=0, @slave_gtid_ignore_duplicates=0
                    """)
            }
        }
        // A frozen reader must not be cut off by the server's default of 60 s.
        try connection.execute("SET net_write_timeout=3600")
    }

    /// Flag 2 asks MariaDB for ANNOTATE_ROWS events: without them `log_pos` jumps.
    private var annotateFlag: UInt16 { connection.family == .mariadb ? 2 : 0 }

    /// Whether more is there to read: a whole packet that was read ahead, or bytes in the socket's
    /// buffer. Of a large packet that has begun to arrive nothing is said: what came before it should
    /// not wait for it. The rest of a small one is on its way.
    @inline(__always)
    public var hasMore: Bool {
        let mysql = connection.mysql
        var there = skein_read_ahead(mysql)
        if there >= 4, skein_next_packet(mysql) <= there { return true }
        if isPlain {
            skein_read_more(mysql, connection.socket, Self.readAhead)
            there = skein_read_ahead(mysql)
            guard there >= 4 else { return false }
            let packet = skein_next_packet(mysql)
            return packet <= there || packet <= 16 << 10
        }
        if there >= 4, skein_next_packet(mysql) > 64 << 10 { return false }
        return connection.hasPendingInput
    }

    /// The next event, borrowed until the next call; `nil` at the end of a dump that doesn't wait.
    ///
    /// - Throws: ``MySQLError``: 1236 when the source can't serve the position, a connection error
    ///   when it is lost or interrupted.
    @inline(__always)
    public func next<R>(_ body: (UnsafeRawBufferPointer) throws -> R) throws -> R? {
        var length = 0
        if isPlain, let event = skein_take_event(connection.mysql, &length) {
            return try body(UnsafeRawBufferPointer(start: event, count: length))
        }
        let n = mysql_net_read_packet(connection.mysql)
        // The library's `packet_error` is a 32-bit -1, widened without a sign.
        if n == UInt(UInt32.max) { throw connection.lastError }
        guard let packet = connection.mysql.pointee.net.read_pos, n > 0 else {
            throw connection.lastError
        }
        if n < 9 && packet[0] == 0xFE { return nil }
        return try body(UnsafeRawBufferPointer(start: packet + 1, count: Int(n) - 1))
    }
}

/// COM_BINLOG_DUMP_GTID's set. With tags the count word carries format 1 at both ends.
private func encode(_ set: MySQLGTIDSet) -> [UInt8] {
    var out: [UInt8] = []
    let tagged = set.members.keys.contains { !$0.tag.isEmpty }
    let count = UInt64(set.members.count)
    out.little(tagged ? 1 << 56 | count << 8 | 1 : count)
    for (key, numbers) in set.members.sorted(by: { $0.key < $1.key }) {
        out += key.uuid.bytes
        if tagged {
            out.append(UInt8(key.tag.utf8.count) << 1)
            out += Array(key.tag.utf8)
        }
        out.little(UInt64(numbers.intervals.count))
        for r in numbers.intervals {
            out.little(r.lowerBound)
            out.little(r.upperBound + 1)
        }
    }
    return out
}

extension [UInt8] {
    fileprivate mutating func little(_ value: some FixedWidthInteger) {
        Swift.withUnsafeBytes(of: value.littleEndian) { append(contentsOf: $0) }
    }
}
