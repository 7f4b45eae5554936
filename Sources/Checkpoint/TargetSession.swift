public import MySQLClient
internal import MySQLCore

/// Which server a connection talks to; all connections of a run must agree.
public struct ServerIdentity: Sendable, Hashable, CustomStringConvertible {
    /// `@@server_uuid` on MySQL; server id, host name, port and data directory on MariaDB.
    public let name: String
    /// When the server started, seconds since 1970; 0 where it does not say.
    public let started: Int64

    /// Whether two connections reached the same life of the same server.
    public func isSame(as other: ServerIdentity) -> Bool {
        name == other.name && abs(started - other.started) <= 5
    }

    /// The name.
    public var description: String { name }

    /// Asks the server.
    public init(_ connection: Connection) throws(MySQLError) {
        let (words, status) =
            connection.family == .mysql
            ? ("@@server_uuid", "performance_schema.global_status")
            : (
                "CONCAT_WS('/', @@server_id, @@hostname, @@port, @@datadir)",
                "information_schema.GLOBAL_STATUS"
            )
        // One statement sees one time: of two, a slow connection would make another server of it.
        let row = try connection.rows(
            "SELECT \(words), UNIX_TIMESTAMP(), "
                + "(SELECT VARIABLE_VALUE FROM \(status) WHERE VARIABLE_NAME='Uptime')"
        ).first
        name = row?[0] ?? ""
        let now = row?[1].flatMap { Int64($0) } ?? 0
        let age = row?[2].flatMap { Int64($0) }
        started = age.map { now - $0 } ?? 0
    }
}

/// A connection of a run to the target, with the session settings that the protocol needs.
public final class TargetSession {
    /// What the session is for; the settings differ.
    public enum Role: Sendable, Hashable {
        /// Applies transactions or copies rows: owns a lane row.
        case lane(Int)
        /// Runs DDL: owns a lane row too, takes the context of each statement instead.
        case ddl(Int)
        /// Writes the subtask's row.
        case coordinator

        package var lockRole: String {
            switch self {
            case .lane(let n), .ddl(let n): String(n)
            case .coordinator: "c"
            }
        }
    }

    /// The connection.
    public let connection: Connection
    /// What it is for.
    public let role: Role
    /// The server that it reached.
    public let server: ServerIdentity
    /// The longest packet that the server takes, in bytes.
    public let maxPacket: Int

    /// The `sql_mode` of sessions that write rows: what does not fit is an error.
    public static let strictMode = "STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES"
    /// The same, but what does not fit is a warning, which must be counted: the only mode in which
    /// servers take ENUM's invalid member.
    public static let lenientMode = "NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES"

    /// Connects and applies the settings of `protocol.md` §2.
    ///
    /// UPDATE counts matched rows (`CLIENT_FOUND_ROWS`), autocommit is off, strict mode on; the
    /// server ends the session when nothing, not even a ping, came for 30 s.
    public init(_ options: ConnectionOptions, role: Role) throws(MySQLError) {
        connection = try Connection(options, foundRows: true)
        self.role = role
        try Self.configure(connection)
        server = try ServerIdentity(connection)
        maxPacket = Int(try connection.value("SELECT @@max_allowed_packet") ?? "") ?? 1 << 20
        try connection.execute("COMMIT")
    }

    private static func configure(_ connection: Connection) throws(MySQLError) {
        var settings = [
            "autocommit=0", "lock_wait_timeout=60", "innodb_lock_wait_timeout=10",
            "wait_timeout=30", "net_read_timeout=30", "net_write_timeout=60",
            "time_zone='+00:00'", "unique_checks=1", "foreign_key_checks=1",
            "sql_mode='\(strictMode)'",
        ]
        if connection.family == .mariadb {
            // Rows are checked where they come from: what the source let in is let in here.
            settings += ["max_statement_time=0", "sql_auto_is_null=0", "check_constraint_checks=0"]
            // The target's binlog need not have the text of each statement beside its rows.
            settings.append("binlog_annotate_row_events=0")
        } else {
            settings += ["max_execution_time=0"]
            if connection.serverVersion.isAtLeast(8, 0, 30) {
                settings.append("sql_generate_invisible_primary_key=0")
            }
            if connection.serverVersion.isAtLeast(8, 0, 13) {
                settings.append("sql_require_primary_key=0")
            }
        }
        try connection.execute("SET NAMES utf8mb4")
        try connection.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
        for setting in settings {
            do throws(MySQLError) {
                try connection.execute("SET SESSION \(setting)")
            } catch
                where error.code == 1227 && setting.hasSuffix("=0")
                && (setting.hasPrefix("sql_") || setting.hasPrefix("binlog_"))
            {
                // Switching these off needs a privilege on some servers. The ones matter only when
                // the server has them on, and then creating a table says so; the other one costs
                // time.
                continue
            }
        }
    }

    /// Takes back what the context of a statement may have changed: the ledger's own statements
    /// come next, and the server words definitions of tables by the session's mode and time zone.
    package func leaveContext() throws(MySQLError) {
        try connection.execute("SET NAMES utf8mb4")
        try connection.execute(
            "SET SESSION autocommit=0, sql_mode='STRICT_ALL_TABLES', time_zone='+00:00', "
                + "sql_quote_show_create=1, foreign_key_checks=1, unique_checks=1")
    }

    /// Takes the run's named lock for this role, which a takeover looks for. The coordinator's is
    /// held before its token is stored: a stored token without it is of a run that is over.
    package func holdLock(_ token: RunToken) throws {
        let got = try connection.value(
            "SELECT GET_LOCK(\(token.lockName(role.lockRole)), 0)")
        try connection.execute("COMMIT")
        guard got == "1" else {
            throw CheckpointError.inconsistent(
                detail: "the named lock of a fresh run is held by somebody else")
        }
    }

    /// Gives it back before the session ends: whoever looks next must not find the run going on.
    package func releaseLock(_ token: RunToken) throws(MySQLError) {
        _ = try connection.value("SELECT RELEASE_LOCK(\(token.lockName(role.lockRole)))")
        try connection.execute("COMMIT")
    }
}
