internal import Checkpoint
internal import MySQLClient
internal import MySQLCore
internal import Runtime

/// Opens read views with known positions, the gentlest way that the source allows.
///
/// MariaDB gives each view's exact position without a lock. MySQL gets a global read lock for the
/// milliseconds that opening views takes; without the privilege for it, views lie between the
/// GTIDs executed before and the position written after, and tables that need an exact position
/// are locked by themselves while the views open.
struct SnapshotViews {
    let source: ConnectionOptions
    let origin: Origin
    let interrupts: Interrupts
    /// What will be read in the views.
    let tables: [PlannedTable]

    /// Opens `count` views; their snapshots are numbered from `firstID`, equal ones share one.
    func open(_ count: Int, firstID: Int) throws -> [SourceView] {
        var connections: [Connection] = []
        for _ in 0..<count {
            let connection = try SourceView.connect(source)
            try interrupts.add(connection.interrupter)
            connections.append(connection)
        }
        if connections[0].family == .mariadb {
            return try openMariaDB(connections, firstID)
        }
        return try openMySQL(connections, firstID)
    }

    /// Opens views that are all at one exactly known place: `count` of them, or a single one where
    /// several can't be brought to one place.
    ///
    /// MariaDB's are tried a few times without a lock, which is enough unless the source is busy,
    /// then under a global read lock, for the milliseconds that opening them takes.
    func openAligned(_ count: Int) throws -> [SourceView] {
        let views = try open(count, firstID: 1)
        guard let first = views[0].exact else {
            throw SnapshotError.noView(
                detail: "there is no place of the source's binlog that the views are surely at; "
                    + "grant RELOAD or LOCK TABLES to the source's user, or end the statements "
                    + "that kept the lock away")
        }
        if views.allSatisfy({ $0.exact?.low == first.low }) { return views }
        let connections = views.map(\.connection)
        for connection in connections { try connection.execute("COMMIT") }
        let lock = try SourceView.connect(source)
        try interrupts.add(lock.interrupter)
        guard try takeGlobalLock(lock) else {
            return try openMariaDB([connections[0]], 1)
        }
        let aligned = try underLock(lock) { try openMariaDB(connections, 1) }
        guard aligned.allSatisfy({ $0.snapshot.low == aligned[0].snapshot.low }) else {
            throw SnapshotError.noView(detail: "views under a global read lock are at two places")
        }
        return aligned
    }

    /// Replaces a pair's view by a fresh one, without touching the others. Beginning it ends the one
    /// that there is, which stays when no other is to be had.
    func renew(_ view: SourceView, id: Int) throws {
        let fresh =
            view.connection.family == .mariadb
            ? try openMariaDB([view.connection], id) : try openMySQL([view.connection], id)
        view.snapshot = fresh[0].snapshot
        view.locked = fresh[0].locked
        view.opened = fresh[0].opened
    }

    // MARK: MariaDB

    /// "Enhancements for START TRANSACTION WITH CONSISTENT SNAPSHOT" (MariaDB knowledge base): the
    /// two status variables are those of the session's own view.
    private func openMariaDB(_ connections: [Connection], _ firstID: Int) throws -> [SourceView] {
        var positions: [BinlogPosition] = []
        for attempt in 1...3 {
            positions = []
            for connection in connections {
                try connection.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
            }
            for connection in connections { positions.append(try snapshotPosition(connection)) }
            if Set(positions).count == 1 || attempt == 3 { break }
            for connection in connections { try connection.execute("COMMIT") }
        }
        for connection in connections { try SourceView.mark(connection) }
        let now = ContinuousClock.now
        var records: [BinlogPosition: SnapshotRecord] = [:]
        return try zip(connections, positions).map { connection, position in
            if records[position] == nil {
                let exact = SourcePosition(
                    origin: origin, binlog: position,
                    gtids: try mariadbGTIDs(connection, position))
                records[position] = SnapshotRecord(
                    id: firstID + records.count, low: exact, high: exact, isExact: true)
            }
            return SourceView(connection: connection, snapshot: records[position]!, opened: now)
        }
    }

    private func snapshotPosition(_ connection: Connection) throws -> BinlogPosition {
        var values: [String: String] = [:]
        for row in try connection.rows("SHOW STATUS LIKE 'binlog_snapshot_%'") {
            values[(row[0] ?? "").lowercased()] = row[1] ?? ""
        }
        guard let file = values["binlog_snapshot_file"], !file.isEmpty,
            let offset = values["binlog_snapshot_position"].flatMap({ UInt64($0) })
        else {
            throw SnapshotError.noView(
                detail: "the source writes no binlog (log_bin is off), so nothing could follow")
        }
        return BinlogPosition(file: file, offset: offset)
    }

    private func mariadbGTIDs(
        _ connection: Connection, _ position: BinlogPosition
    ) throws -> GTIDState {
        let text = try connection.value(
            "SELECT BINLOG_GTID_POS(\(utf8Literal(position.file)), \(position.offset))")
        guard let text, let gtids = MariaDBGTIDPosition(text) else {
            throw SnapshotError.noView(
                detail: "the source gives no GTID position for \(position)")
        }
        return .mariadb(gtids)
    }

    // MARK: MySQL

    private func openMySQL(_ connections: [Connection], _ firstID: Int) throws -> [SourceView] {
        let hasGTIDs =
            try connections[0].value("SELECT @@global.gtid_mode")?.uppercased() == "ON"
        let lock = try SourceView.connect(source)
        try interrupts.add(lock.interrupter)
        guard try takeGlobalLock(lock) else {
            return try openUnderTableLocks(lock, connections, firstID, hasGTIDs)
                ?? openBetween(connections, firstID, hasGTIDs)
        }
        let (position, opened) = try underLock(lock) {
            let opened = try begin(connections)
            return (try status(lock, hasGTIDs: hasGTIDs), opened)
        }
        let record = SnapshotRecord(id: firstID, low: position, high: position, isExact: true)
        return connections.map { SourceView(connection: $0, snapshot: record, opened: opened) }
    }

    /// `LOCK TABLES .. READ` waits for the commits on these tables: for them, and for them alone,
    /// the position read under it is that of the views. Without GTIDs no other position is safe,
    /// so all tables are locked then.
    ///
    /// - Returns: `nil` when there is nothing to lock, or the locks are not to be had.
    private func openUnderTableLocks(
        _ lock: Connection, _ connections: [Connection], _ firstID: Int, _ hasGTIDs: Bool
    ) throws -> [SourceView]? {
        let chosen = tables.filter { $0.needsExactView || !hasGTIDs }.map(\.name).sorted()
        guard !chosen.isEmpty, try takeTableLocks(lock, chosen) else { return nil }
        return try underLock(lock) {
            var position = try status(lock, hasGTIDs: hasGTIDs)
            func exact(_ id: Int) throws -> SnapshotRecord {
                // The file's end may have moved on by what other tables wrote.
                position.binlog = try status(lock, hasGTIDs: false).binlog
                return SnapshotRecord(id: id, low: position, high: position, isExact: true)
            }
            guard hasGTIDs else {
                let opened = try begin(connections)
                let record = try exact(firstID)
                return connections.map {
                    SourceView(connection: $0, snapshot: record, opened: opened)
                }
            }
            let views = try openBetween(connections, firstID, true)
            let record = try exact(firstID + 1)
            for view in views where !view.snapshot.isExact { view.locked = record }
            return views
        }
    }

    private func takeTableLocks(_ lock: Connection, _ tables: [TableName]) throws -> Bool {
        let list = tables.map { "\($0.quoted) READ" }.joined(separator: ", ")
        for attempt in 1...3 {
            do throws(MySQLError) {
                try lock.execute("LOCK TABLES \(list)")
                return true
            } catch {
                switch error.code {
                case 1044, 1045, 1142, 1227: return false
                case MySQLErrorCode.lockWaitTimeout: break
                default: throw error
                }
            }
            if attempt < 3 { try lock.execute("DO SLEEP(1)") }
        }
        return false
    }

    private func begin(_ connections: [Connection]) throws -> ContinuousClock.Instant {
        for connection in connections {
            try connection.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
            try SourceView.mark(connection)
        }
        return .now
    }

    /// Views between two observed positions. `@@gtid_executed` grows after the engine's commit, so
    /// what it holds before is in every view; the binlog's end after them is behind every view.
    private func openBetween(
        _ connections: [Connection], _ firstID: Int, _ hasGTIDs: Bool
    ) throws -> [SourceView] {
        guard hasGTIDs else {
            throw SnapshotError.noView(
                detail: "without GTIDs (gtid_mode=ON) or a short global read lock there is no "
                    + "position that is surely in the views; grant RELOAD to the source's user, "
                    + "or end the statements that kept the lock away")
        }
        var low = try status(connections[0], hasGTIDs: true)
        // The file's end may be ahead of what is readable; its beginning never is, since a
        // server commits everything before it opens the next file.
        low.binlog.offset = 4
        let opened = try begin(connections)
        let end = try status(connections[0], hasGTIDs: false)
        guard case .mysql(let executed) = low.gtids else {
            throw SnapshotError.noView(detail: "the source's GTID set can't be read")
        }
        var high = end
        high.gtids = .mysql(try WrittenGTIDs(source, interrupts).beyond(executed))
        let record = SnapshotRecord(
            id: firstID, low: low, high: high, isExact: low.gtids == high.gtids)
        return connections.map { SourceView(connection: $0, snapshot: record, opened: opened) }
    }

    /// The position now: file and offset, and the executed GTIDs.
    private func status(_ connection: Connection, hasGTIDs: Bool) throws -> SourcePosition {
        let command =
            connection.serverVersion.isAtLeast(8, 2) && connection.family == .mysql
            ? "SHOW BINARY LOG STATUS" : "SHOW MASTER STATUS"
        guard let row = try connection.firstRow(command), let file = row["File"] ?? nil,
            let offset = (row["Position"] ?? nil).flatMap({ UInt64($0) })
        else {
            throw SnapshotError.noView(
                detail: "the source writes no binlog (log_bin is off), so nothing could follow")
        }
        var gtids = GTIDState.none
        if hasGTIDs {
            let text = try connection.value("SELECT @@global.gtid_executed") ?? ""
            guard let set = MySQLGTIDSet(text) else {
                throw SnapshotError.noView(detail: "the source's GTID set can't be read")
            }
            gtids = .mysql(set)
        }
        return SourcePosition(
            origin: origin, binlog: BinlogPosition(file: file, offset: offset), gtids: gtids)
    }

    /// FLUSH TABLES WITH READ LOCK, without ever making writers wait long: it is not tried while a
    /// statement of more than a second runs, and gives up after two seconds.
    ///
    /// - Returns: false when the lock is not to be had.
    private func takeGlobalLock(_ connection: Connection) throws -> Bool {
        try connection.execute("SET SESSION lock_wait_timeout=2")
        for attempt in 1...3 {
            let busy = try connection.rows(
                """
                SELECT ID FROM information_schema.PROCESSLIST WHERE COMMAND='Query' AND TIME>1 \
                AND ID<>CONNECTION_ID() LIMIT 1
                """)
            if busy.isEmpty {
                switch try flush(connection) {
                case .taken: return true
                case .forbidden: return false
                case .busy: break
                }
            }
            if attempt < 3 { try connection.execute("DO SLEEP(1)") }
        }
        return false
    }

    private enum LockOutcome { case taken, forbidden, busy }

    private func flush(_ connection: Connection) throws -> LockOutcome {
        do {
            try connection.execute("FLUSH TABLES WITH READ LOCK")
            return .taken
        } catch {
            switch error.code {
            case 1227, 1045, 1142: return .forbidden
            case MySQLErrorCode.lockWaitTimeout: return .busy
            default: throw error
            }
        }
    }

    /// Runs `body` while the lock is held, and releases it in any case: a body that takes longer
    /// than two seconds loses the connection that holds the lock.
    private func underLock<R>(_ lock: Connection, _ body: () throws -> R) throws -> R {
        let watchdog = Watchdog(after: .seconds(2), interrupts: lock.interrupter)
        defer { watchdog.stop() }
        let result = try body()
        try lock.execute("UNLOCK TABLES")
        return result
    }
}
