internal import Checkpoint
internal import MySQLClient
internal import MySQLCore

/// A connection to the source with a read view: what a pair reads from.
final class SourceView: @unchecked Sendable {
    // SAFETY: made by one thread and handed to one pair, whose thread alone uses it from then on;
    // the hand-over goes through a lock or an actor. `Connection` itself is not bound to a thread.

    let connection: Connection
    /// The recorded snapshot that the view belongs to.
    var snapshot: SnapshotRecord
    /// The same view as the tables see it that were locked while it opened: its position is exact
    /// for them.
    var locked: SnapshotRecord?
    /// When the view was opened.
    var opened: ContinuousClock.Instant
    /// When it is tried again to open another one in its place; `nil`: that was not tried yet.
    var nextRenewal: ContinuousClock.Instant?

    /// What has to be recorded of it.
    var records: [SnapshotRecord] { [snapshot] + (locked.map { [$0] } ?? []) }

    /// The snapshot in which tables are read that need an exact position, if there is one.
    var exact: SnapshotRecord? { snapshot.isExact ? snapshot : locked }

    /// The snapshot in which a table is read.
    func record(of table: PlannedTable) -> SnapshotRecord {
        table.needsExactView ? exact ?? snapshot : snapshot
    }

    init(
        connection: Connection, snapshot: SnapshotRecord, opened: ContinuousClock.Instant,
        locked: SnapshotRecord? = nil
    ) {
        self.locked = locked
        self.connection = connection
        self.snapshot = snapshot
        self.opened = opened
    }

    /// Marks where ``releaseTables()`` goes back to; once a view is open.
    static func mark(_ connection: Connection) throws(MySQLError) {
        try connection.execute("SAVEPOINT skein_view")
    }

    /// Lets go of the tables that were read, which the open transaction would keep from every
    /// ALTER TABLE, and all queries behind it, for as long as the view lives. The view stays.
    func releaseTables() throws(MySQLError) {
        try connection.execute("ROLLBACK TO SAVEPOINT skein_view")
    }

    /// Connects with the settings that reading rows needs (`protocol.md` §2).
    static func connect(_ options: ConnectionOptions) throws(MySQLError) -> Connection {
        let connection = try Connection(options)
        try connection.execute("SET NAMES utf8mb4")
        try connection.execute("SET character_set_results=NULL")
        try connection.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        let settings = [
            // Its default of 60 s would end a view while the target stalls.
            "net_write_timeout=3600", "wait_timeout=28800", "time_zone='+00:00'",
            "sql_mode='ALLOW_INVALID_DATES'", "autocommit=1",
        ]
        for setting in settings { try connection.execute("SET SESSION \(setting)") }
        try connection.liftTimeLimit()
        try connection.useInvisibleKeys()
        do throws(MySQLError) {
            // Nothing is written here, and MariaDB lets go of tables (``releaseTables()``) only in
            // a session without binlog. It needs a privilege (BINLOG ADMIN); without it a table
            // that was read can't be altered on the source until the view is renewed.
            try connection.execute("SET SESSION sql_log_bin=0")
        } catch {
            if error.isConnectionLost { throw error }
        }
        return connection
    }
}
