internal import CMariaDB

/// An error of a server or of the connection to it.
public struct MySQLError: Error, Sendable, Hashable, CustomStringConvertible {
    /// Whether trying again can help.
    public enum Retry: Sendable, Hashable {
        /// The same would fail again.
        case no
        /// The transaction was rolled back, or must be; the same transaction can succeed.
        case transaction
        /// The connection is lost or was never made: a new one can succeed.
        case connection
        /// The server can't now, and may later: read-only, disk full, too many connections.
        case later
    }

    /// The server's error number, or the client library's (2000 and above).
    public let code: UInt32
    /// The five-character SQLSTATE.
    public let sqlState: String
    /// The server's own words.
    public let message: String
    /// Which server, as `host:port`.
    public let server: String

    /// Makes an error.
    public init(code: UInt32, sqlState: String, message: String, server: String) {
        self.code = code
        self.sqlState = sqlState
        self.message = message
        self.server = server
    }

    /// For people: `127.0.0.1:3306: ERROR 1045 (28000): Access denied ..`.
    public var description: String { "\(server): ERROR \(code) (\(sqlState)): \(message)" }

    /// Whether the connection can't be used any more.
    public var isConnectionLost: Bool {
        switch code {
        case 2000...2999: true  // the client library's own errors: the packet stream is undefined
        case 1053, 1077, 1079, 1080, 1152, 1158, 1159, 1160, 1161, 1184, 1927, 3169, 4031: true
        default: false
        }
    }

    /// Whether trying again can help. After 1205 only the statement was rolled back: always send
    /// ROLLBACK before the next try.
    public var retry: Retry {
        switch code {
        case 1205, 1213, 1020, 3058, 3101, 1637, 8022, 8028, 9007: .transaction
        case 1317, 3024, 1969: .transaction  // ended by hand, or took longer than the server allows
        case 1180: .later  // an error of COMMIT says nothing about what is committed: ask again
        case 3032: .later  // offline for the likes of us
        case 2026, 2049, 2054, 2059, 2061: .no  // TLS refused, old or unknown authentication
        case 2000...2999: .connection
        case 1053, 1077, 1079, 1080, 1152, 1158, 1159, 1160, 1161, 1184, 1927, 3169, 4031:
            .connection
        case 1040, 1203, 1226, 1129: .later  // too many connections, host blocked
        case 1021, 1041, 1037, 1038, 1114, 1878: .later  // disk, memory or table full
        case 1290, 1792, 1836, 3100, 1047: .later  // read-only, not in quorum
        case 1030: .later  // error of the storage engine: disk full among others
        default: .no
        }
    }
}

/// Error numbers this product asks for by name.
public enum MySQLErrorCode {
    /// Duplicate entry for a key.
    public static let duplicateEntry: UInt32 = 1062
    /// There is no such database.
    public static let unknownDatabase: UInt32 = 1049
    /// ER_DBACCESS_DENIED_ERROR: the user has no right on a database, whether there is one or not.
    public static let databaseDenied: UInt32 = 1044
    /// Table doesn't exist.
    public static let noSuchTable: UInt32 = 1146
    /// ER_UNKNOWN_TABLE: information_schema has no such table.
    public static let unknownTable: UInt32 = 1109
    /// ER_SPECIFIC_ACCESS_DENIED_ERROR: a privilege is missing that has a name.
    public static let privilegeMissing: UInt32 = 1227
    /// ER_SP_ALREADY_EXISTS: there is a procedure or function of that name.
    public static let routineExists: UInt32 = 1304
    /// Lock wait timeout; only the statement is rolled back.
    public static let lockWaitTimeout: UInt32 = 1205
    /// Deadlock; the transaction is rolled back.
    public static let deadlock: UInt32 = 1213
    /// The binlog can't be read from where it was asked for.
    public static let binlogReadFailed: UInt32 = 1236
    /// A number is out of range: how a guard stops a packet.
    public static let guardFailed: UInt32 = 1690
    /// A table changed since a read view was opened.
    public static let tableDefinitionChanged: UInt32 = 1412
}
