public import MySQLClient
public import MySQLCore

/// Questions about a source's binlog, on an ordinary connection.
public struct SourceSession {
    /// The connection, in autocommit mode.
    public let connection: Connection

    /// Makes a session on a connection that does nothing else.
    public init(_ connection: Connection) { self.connection = connection }

    /// The newest end of the source's binlog: what it has written, readable or not yet.
    ///
    /// - Throws: ``StreamError/noBinlog`` when it has none.
    public func currentPosition() throws -> BinlogPosition {
        for statement in ["SHOW BINARY LOG STATUS", "SHOW MASTER STATUS"] {
            do {
                guard let row = try connection.firstRow(statement),
                    let file = row["File"] ?? nil, let offset = row["Position"] ?? nil
                else { throw StreamError.noBinlog }
                return BinlogPosition(file: file, offset: UInt64(offset) ?? 4)
            } catch let error as MySQLError where error.code == 1064 {
                continue  // the other family's, or another version's, name of the statement
            }
        }
        throw StreamError.noBinlog
    }

    /// Whether all transactions have GTIDs. `ON_PERMISSIVE` counts as no: some may have none.
    public func usesGTIDs() throws(MySQLError) -> Bool {
        if connection.family == .mariadb { return true }
        return try connection.value("SELECT @@global.gtid_mode") == "ON"
    }

    /// The source's binlog as GTIDs: everything that is readable (MySQL), or written (MariaDB).
    public func currentGTIDs() throws -> GTIDState {
        if connection.family == .mariadb {
            let text = try connection.value("SELECT @@global.gtid_binlog_pos") ?? ""
            guard let position = MariaDBGTIDPosition(text) else {
                throw StreamError.unreadable("@@gtid_binlog_pos is \(text)")
            }
            return .mariadb(position)
        }
        guard try usesGTIDs() else { return .none }
        let text = try connection.value("SELECT @@global.gtid_executed") ?? ""
        guard let set = MySQLGTIDSet(text) else {
            throw StreamError.unreadable("@@gtid_executed is \(text)")
        }
        return .mysql(set)
    }

    /// The GTIDs of everything before a position of this server.
    public func gtids(at position: BinlogPosition) throws -> GTIDState {
        guard connection.family == .mariadb else { return try currentGTIDs() }
        let text = try connection.value(
            "SELECT BINLOG_GTID_POS(\(utf8Literal(position.file)), \(position.offset))")
        guard let text, let gtids = MariaDBGTIDPosition(text) else {
            throw StreamError.unreadable("no GTID position for \(position)")
        }
        return .mariadb(gtids)
    }

    /// The server's own name: its UUID, or on MariaDB its id in the lower half.
    public func serverName() throws -> ServerUUID {
        if connection.family == .mysql {
            let text = try connection.value("SELECT @@server_uuid") ?? ""
            guard let uuid = ServerUUID(text) else {
                throw StreamError.unreadable("@@server_uuid is \(text)")
            }
            return uuid
        }
        let id = try connection.value("SELECT @@server_id") ?? ""
        return ServerUUID(high: 0, low: UInt64(id) ?? 0)
    }

    /// The binlog files that the source still has, oldest first, with their sizes.
    public func files() throws(MySQLError) -> [(name: String, size: UInt64)] {
        try connection.rows("SHOW BINARY LOGS").map { row in
            (row[0] ?? "", UInt64(row[1] ?? "") ?? 0)
        }
    }
}

/// What is wrong with a source's stream.
public enum StreamError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The source writes no binlog.
    case noBinlog
    /// The source answered what makes no sense.
    case unreadable(String)
    /// An event's checksum is wrong.
    case corrupt(BinlogPosition)
    /// The source lost, or replaced, transactions that the target holds.
    case sourceLostEvents(String)
    /// The source no longer has the binlog that is needed.
    case purged(BinlogPosition, detail: String)
    /// Another server answers now; a new stream begins from the checkpoint.
    case upstreamChanged
    /// The source has no such place to begin at.
    case noPlace(String)
    /// The source does not have everything yet that is known of it, and can still get it.
    case behind(String)
    /// The source has lost what was read of it last: whoever reads begins again at the checkpoint.
    case takenBack

    /// One sentence, with what to do.
    public var description: String {
        switch self {
        case .noBinlog:
            "the source writes no binary log: set log_bin and restart it"
        case .unreadable(let what):
            "the source's answer can't be understood: \(what)"
        case .corrupt(let position):
            "the event at \(position) has a wrong checksum. If it is wrong in the source's file "
                + "too (mariadb-binlog or mysqlbinlog with --verify-binlog-checksum says so), "
                + "the tables must be copied again"
        case .sourceLostEvents(let detail):
            "the source is not the one that was replicated, or has lost transactions: \(detail)"
        case .purged(let position, let detail):
            "the source has purged its binlog at \(position) (\(detail)): "
                + "what happened since is lost, start over with --fresh"
        case .upstreamChanged:
            "another server answers in place of the source; reading begins again there"
        case .noPlace(let detail):
            "changes can't be followed from there: \(detail)"
        case .behind(let detail):
            "the source is behind what was read of it before: \(detail)"
        case .takenBack:
            "the source has lost what was read of it last; reading begins again at the checkpoint"
        }
    }
}
