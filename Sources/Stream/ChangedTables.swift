internal import MySQLBinlog
public import MySQLClient
public import MySQLCore

/// Which tables a source's binlog changes between two places, and by which statements: read from the
/// binlog, so that nothing is taken for unchanged on anybody's word.
public struct ChangedTables: Sendable {
    private let source: ConnectionOptions

    /// Asks a source; nothing is opened yet.
    public init(source: ConnectionOptions) { self.source = source }

    /// Walks from one place to the other.
    ///
    /// - Returns: tables with changes of rows; `nil` when the binlog is not there any more, or has
    ///   something of which the tables are not known: a statement, or compressed transactions.
    /// - Throws: `CancellationError`.
    public func between(_ from: SourcePosition, _ to: SourcePosition) throws -> Set<TableName>? {
        do {
            return try walk(from.binlog, to.binlog)
        } catch let error as CancellationError {
            throw error
        } catch {
            // Purged, or not readable by this user: then nothing is known.
            return nil
        }
    }

    /// Reads statements from a place to where the binlog ends now.
    ///
    /// - Parameter take: called with the default schema and the text of each, BEGIN and COMMIT left
    ///   out; whether to go on.
    /// - Returns: whether the binlog was there, and all of it could be read; also when `take` has
    ///   ended it.
    /// - Throws: `CancellationError`; `MySQLError` when the server is lost.
    public func statements(
        since from: SourcePosition, _ take: (_ schema: [UInt8], _ sql: [UInt8]) -> Bool
    ) throws -> Bool {
        do {
            let end = try SourceSession(Connection(source)).currentPosition()
            let start = from.binlog
            guard start < end else { return start == end }
            return try walkStatements(start, end, take)
        } catch let error as CancellationError {
            throw error
        } catch let error as MySQLError where error.isConnectionLost {
            throw error
        } catch {
            // Purged, or not readable by this user: then nothing is known.
            return false
        }
    }

    private func walkStatements(
        _ start: BinlogPosition, _ end: BinlogPosition,
        _ take: (_ schema: [UInt8], _ sql: [UInt8]) -> Bool
    ) throws -> Bool {
        let walk = try BinlogWalk(source, from: .position(start))
        var isKnown = true
        var isEnded = false
        try walk.run(
            event: { header, body in
                switch header.type {
                case .query:
                    if try Self.isBoundary(body) { return true }
                    let query = try QueryEvent(body)
                    isEnded = !take(query.schema, query.sql)
                    return !isEnded
                case .queryCompressed:
                    let plain = try EventType.decompressed(body, limit: 1 << 30)
                    let query = try unsafe QueryEvent(plain.span.bytes)
                    isEnded = !take(query.schema, query.sql)
                    return !isEnded
                // MySQL packs transactions of rows alone.
                case .transactionPayload: return true
                default:
                    if case .refuse = header.type.treatment(flags: header.flags) { isKnown = false }
                    return isKnown
                }
            },
            group: { group in
                isEnded = group.end >= end
                return !isEnded
            })
        // The last place may be behind what belongs to no transaction.
        return isKnown && (isEnded || walk.position >= end)
    }

    private func walk(_ from: BinlogPosition, _ to: BinlogPosition) throws -> Set<TableName>? {
        guard from < to else { return from == to ? [] : nil }
        let connection = try Connection(source)
        let family = connection.family
        guard try !Self.isFiltered(connection) else { return nil }
        let walk = try BinlogWalk(source, from: .position(from))
        var out: Set<TableName> = []
        var isKnown = true
        var isThere = false
        try walk.run(
            event: { header, body in
                // Events that the server makes up at the beginning say nothing, and are at no place.
                guard try Self.take(header, body, family, &out) else {
                    isKnown = false
                    return false
                }
                return true
            },
            group: { group in
                isThere = group.end >= to
                return !isThere
            })
        // The last place may be behind what belongs to no transaction.
        return isKnown && (isThere || walk.position >= to) ? out : nil
    }

    /// - Returns: false for an event that may change what it does not name.
    private static func take(
        _ header: EventHeader, _ body: RawSpan, _ family: ServerFamily,
        _ out: inout Set<TableName>
    ) throws -> Bool {
        switch header.type {
        case .tableMap:
            let map = try TableMap(body, family: family)
            out.insert(TableName(schema: map.schema, name: map.table))
            return true
        case .query: return try isBoundary(body)
        case .queryCompressed, .transactionPayload: return false
        default:
            switch header.type.treatment(flags: header.flags) {
            case .decode, .skip: return true
            case .statement, .refuse: return false
            }
        }
    }

    /// BEGIN and COMMIT around rows.
    private static func isBoundary(_ body: RawSpan) throws -> Bool {
        if try QueryEvent.isStatement(body, "BEGIN") { return true }
        if try QueryEvent.isStatement(body, "COMMIT") { return true }
        return try QueryEvent.isStatement(body, "ROLLBACK")
    }

    /// Whether the source leaves databases out of its binlog.
    private static func isFiltered(_ connection: Connection) throws -> Bool {
        let command =
            connection.family == .mysql && connection.serverVersion.isAtLeast(8, 2)
            ? "SHOW BINARY LOG STATUS" : "SHOW MASTER STATUS"
        guard let row = try connection.firstRow(command) else { return true }
        return ["Binlog_Do_DB", "Binlog_Ignore_DB"].contains { !((row[$0] ?? nil) ?? "").isEmpty }
    }
}
