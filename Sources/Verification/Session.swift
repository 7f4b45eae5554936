internal import MySQLClient
internal import MySQLCore
internal import Runtime
internal import Synchronization

/// The server behind an address is not the one it was at the start.
struct ServerChanged: Error, CustomStringConvertible {
    let server: String
    var description: String {
        "\(server): another server answers at this address than at the start"
    }
}

/// One connection for comparing, on a thread of its own. It connects when first used, and again
/// when the connection is lost.
///
/// Every statement is a transaction of its own at READ COMMITTED: no read view is held longer
/// than one chunk takes, and no row is locked.
actor Session {
    let side: Side
    private let options: ConnectionOptions
    private let patience: Duration
    private let executor: ThreadExecutor
    private let interrupter = Mutex<Interrupter?>(nil)
    private var connection: Connection?
    private var identity: String?

    nonisolated var unownedExecutor: UnownedSerialExecutor {
        executor.asUnownedSerialExecutor()
    }

    init(_ side: Side, _ options: ConnectionOptions, patience: Duration) {
        self.side = side
        self.options = options
        self.patience = patience
        executor = ThreadExecutor(name: side == .source ? "verify-source" : "verify-target")
    }

    /// Closes the connection and ends the thread. Nothing may be asked afterwards.
    nonisolated func close() async {
        await disconnect()
        executor.stop()
    }

    private func disconnect() {
        interrupter.withLock { $0 = nil }
        connection = nil
    }

    /// Runs reads that are valid on their own, from the start again with growing pauses when the
    /// connection is lost or the server can't now. Cancelling the task ends a blocked read.
    func run<R: Sendable>(_ body: @Sendable (Connection) throws -> R) async throws -> R {
        var backoff = Backoff()
        let deadline = ContinuousClock.now + patience
        while true {
            try Task.checkCancellation()
            do {
                let connection = try connect()
                return try await withTaskCancellationHandler {
                    // What does not mention `self` would run, and block, on the cooperative pool.
                    self.assertIsolated()
                    return try body(connection)
                } onCancel: {
                    interrupter.withLock { $0 }?.interrupt()
                }
            } catch let error as MySQLError {
                try Task.checkCancellation()
                if error.isConnectionLost || error.retry == .later { disconnect() }
                guard error.retry != .no, ContinuousClock.now < deadline else { throw error }
            }
            try await Task.sleep(for: backoff.delay())
        }
    }

    private func connect() throws -> Connection {
        if let connection { return connection }
        let made = try Connection(options)
        interrupter.withLock { $0 = made.interrupter }
        try made.execute(Self.setUp)
        try made.liftTimeLimit()
        try made.useInvisibleKeys()
        if made.family == .mysql, made.serverVersion.isAtLeast(8) {
            try made.execute("SET SESSION information_schema_stats_expiry=0")
        }
        let columns =
            made.family == .mysql ? "@@server_uuid" : "CONCAT_WS('/',@@hostname,@@port,@@server_id)"
        let now = try made.value("SELECT \(columns)")
        if let identity, identity != now { throw ServerChanged(server: options.server) }
        identity = now
        connection = made
        return made
    }

    /// What texts of values depend on, the same on both sides, and time for slow readers. The
    /// lock wait is for DDL that holds a table. A key may be a date that no calendar has.
    static let setUp = """
        SET NAMES utf8mb4; SET time_zone='+00:00', sql_mode='ALLOW_INVALID_DATES', \
        lock_wait_timeout=30, net_write_timeout=600, net_read_timeout=600, sql_select_limit=18446744073709551615; \
        SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED
        """
}

/// Number of rows and checksum of a range.
struct ChunkSum: Sendable, Equatable {
    let rows: UInt64
    let sum: String
}

extension Session {
    /// Count and checksum of the rows that meet a condition.
    func checksum(_ plan: TablePlan, _ condition: String?) async throws -> ChunkSum {
        let sql = plan.on(side).checksum(condition)
        return try await run { connection in
            let row = try connection.rows(sql).first ?? []
            return ChunkSum(
                rows: row.first.flatMap { $0 }.flatMap { UInt64($0) } ?? 0,
                sum: (row.count > 1 ? row[1] : nil) ?? "")
        }
    }

    /// The key `count` rows into a range, `nil` when the range has fewer.
    ///
    /// - Throws: ``AmbiguousKey`` when the key's literal lies outside of the range: bounds would go
    ///   in circles.
    func bound(_ plan: TablePlan, _ range: KeyRange, _ count: Int) async throws -> RowKey? {
        let side = plan.on(side)
        let sql = side.bound(range, count)
        let literals = side.key?.literals ?? []
        let isConverted = plan.convertsKey
        return try await run { connection in
            // The row that was met may be deleted before it is looked up.
            for _ in 0..<4 {
                var key: RowKey?
                try connection.forEachRow(sql) { key = readKey($0, literals) }
                guard let key, isConverted else { return key }
                if try connection.value(side.isWithin(range, key)) != nil { return key }
            }
            throw AmbiguousKey()
        }
    }

    /// Keys and digests of the rows that meet a condition, streamed: wide rows are read one by
    /// one, or not at all.
    func digests(
        _ plan: TablePlan, _ condition: String?
    ) async throws -> [(key: RowKey, digest: RowDigest)] {
        let planned = plan.on(side)
        let sql = planned.digests(condition)
        let (literals, forms, side) = (planned.key?.literals ?? [], plan.clientForms, side)
        return try await run { connection in
            var out: [(key: RowKey, digest: RowDigest)] = []
            try connection.forEachRowThrowing(sql) { row in
                let count = literals.count
                let hash = row.copy(count) ?? []
                var values: [[UInt8]?] = []
                for i in forms.indices { values.append(row.copy(count + 1 + i)) }
                out.append((readKey(row, literals), try digest(hash, values, forms, side)))
            }
            return out
        }
    }

    /// Which of some keys a range has, told by reading it.
    func keys(
        _ plan: TablePlan, in range: KeyRange, among wanted: Set<RowKey>
    ) async throws -> Set<RowKey> {
        let planned = plan.on(side)
        let sql = planned.keys(plan.condition(side, range))
        let literals = planned.key?.literals ?? []
        return try await run { connection in
            var out: Set<RowKey> = []
            try connection.forEachRow(sql) { row in
                let key = readKey(row, literals)
                if wanted.contains(key) { out.insert(key) }
            }
            return out
        }
    }

    /// Runs a query with few rows; values as bytes.
    func values(_ sql: String) async throws -> [[[UInt8]?]] {
        try await run { connection in
            var out: [[[UInt8]?]] = []
            try connection.forEachRow(sql) { row in
                var values: [[UInt8]?] = []
                for i in 0..<row.count { values.append(row.copy(i)) }
                out.append(values)
            }
            return out
        }
    }
}

/// The key in a row's first columns. Numbers of FLOAT and DOUBLE get one spelling.
private func readKey(_ row: borrowing ResultRow, _ literals: [KeyLiteral]) -> RowKey {
    var parts: [[UInt8]] = []
    for (i, literal) in literals.enumerated() {
        let bytes = row.copy(i) ?? []
        parts.append(literal == .real ? realText(bytes) : bytes)
    }
    return RowKey(parts: parts)
}
