internal import MySQLBinlog
public import MySQLClient
public import MySQLCore

/// Finds where in a source's binlog a migration of changes alone begins: from what a person says
/// of it to the position that its checkpoint holds.
///
/// A position has the source's GTIDs wherever it has any, so that the migration can follow a
/// failover of the source from its first moment.
public struct StartSearch: Sendable {
    private let source: ConnectionOptions
    private let serverID: UInt32
    private let interruption: Interruption?

    /// Makes a search; nothing is asked yet.
    ///
    /// - Parameters:
    ///   - serverID: the id that the migration's reader has among the source's replicas.
    ///   - interruption: ends the search from another thread.
    public init(
        _ source: ConnectionOptions, serverID: UInt32, interruption: Interruption? = nil
    ) {
        self.source = source
        self.serverID = serverID
        self.interruption = interruption
    }

    /// Finds the place, on the caller's thread: up to a binlog file is read for it.
    ///
    /// - Throws: ``StreamError/noPlace(_:)`` and ``StreamError/purged(_:detail:)`` when the source
    ///   has no such place (any more); `MySQLError`.
    public func find(_ place: StartPlace) throws -> SourcePosition {
        let connection = try Connection(source)
        interruption?.watch(connection.interrupter)
        let session = SourceSession(connection)
        switch place {
        case .now:
            // What is executed is readable; the file's end may be ahead of it.
            if case .mysql(let executed) = try session.currentGTIDs() {
                return try behind(.mysql(executed), session)
            }
            let position = try session.currentPosition()
            return try finished(position, try session.gtids(at: position), session)
        case .position(let position): return try at(position, session)
        case .gtids(let text): return try behind(try parsed(text, session), session)
        case .either(let text, let position):
            return try session.usesGTIDs()
                ? behind(try parsed(text, session), session) : at(position, session)
        case .time(let time): return try from(time, session)
        }
    }

    private func finished(
        _ position: BinlogPosition, _ gtids: GTIDState, _ session: SourceSession
    ) throws -> SourcePosition {
        SourcePosition(
            origin: try Origin.read(source, file: position.file, serverID: serverID),
            binlog: position, gtids: gtids)
    }

    // MARK: positions

    private func at(
        _ position: BinlogPosition, _ session: SourceSession
    ) throws -> SourcePosition {
        let files = try session.files()
        guard let file = files.first(where: { $0.name == position.file }) else {
            guard let oldest = files.first?.name,
                position.fileNumber < BinlogPosition(file: oldest, offset: 4).fileNumber
            else {
                throw StreamError.noPlace(
                    "the source has no binlog file \(position.file); the newest is "
                        + "\(files.last?.name ?? "none")")
            }
            throw StreamError.purged(position, detail: "oldest file: \(oldest)")
        }
        guard position.offset <= file.size else {
            throw StreamError.noPlace(
                "\(position) is beyond the end of the file, which has \(file.size) bytes")
        }
        return try walk(from: position.file, session) { group in
            if group.start < position, group.end > position {
                throw StreamError.noPlace(
                    "\(position) is inside a transaction: the one from \(group.start) to "
                        + "\(group.end)")
            }
            return group.start >= position
        }
    }

    /// The first transaction of a file, or of those behind it, that is wanted; the end of the
    /// binlog when there is none.
    private func walk(
        from file: String, _ session: SourceSession,
        until isWanted: (BinlogWalk.Group) throws -> Bool
    ) throws -> SourcePosition {
        let walk = try BinlogWalk(
            source, from: .position(BinlogPosition(file: file, offset: 4)),
            interruption: interruption)
        let hasSets = try session.connection.family == .mysql && session.usesGTIDs()
        var passed = SourcePosition(
            origin: Origin(server: ServerUUID(high: 0, low: 0), life: 0),
            binlog: BinlogPosition(file: file, offset: 4), gtids: .none)
        var found: BinlogPosition?
        try walk.run { header, body in
            if hasSets, passed.gtids == .none, header.type == .previousGTIDs {
                passed.gtids = .mysql(try PreviousGTIDsEvent(body).gtids)
            }
            return true
        } group: { group in
            if try isWanted(group) {
                found = group.start
                return false
            }
            if let identity = group.identity { passed.include(identity) }
            return true
        }
        let position = found ?? walk.position
        if hasSets, passed.gtids == .none {
            throw StreamError.unreadable("\(file) does not say which GTIDs are before it")
        }
        return try finished(
            position,
            hasSets
                ? passed.gtids
                : try session.usesGTIDs()
                    ? session.gtids(at: position) : .none, session)
    }

    // MARK: GTIDs

    private func parsed(_ text: String, _ session: SourceSession) throws -> GTIDState {
        if session.connection.family == .mariadb {
            guard let position = MariaDBGTIDPosition(text) else {
                throw StreamError.noPlace(
                    "\"\(text)\" is no GTID position of MariaDB (0-1-100), which the source is")
            }
            return .mariadb(position)
        }
        guard let set = MySQLGTIDSet(text) else {
            throw StreamError.noPlace(
                "\"\(text)\" is no GTID set of MySQL (uuid:1-100), which the source is")
        }
        guard try session.usesGTIDs() else {
            throw StreamError.noPlace(
                "a GTID set is given, and gtid_mode of the source is not ON: give a position")
        }
        return .mysql(set)
    }

    private func behind(_ gtids: GTIDState, _ session: SourceSession) throws -> SourcePosition {
        let start: BinlogDumpStart
        switch (gtids, try session.currentGTIDs()) {
        case (.mysql(let set), .mysql(let executed)):
            var missing = set
            missing.subtract(executed)
            guard missing.isEmpty else {
                throw StreamError.noPlace("the source has not executed \(missing)")
            }
            let text = try session.connection.value("SELECT @@global.gtid_purged") ?? ""
            if var purged = MySQLGTIDSet(text) {
                purged.subtract(set)
                guard purged.isEmpty else {
                    throw StreamError.noPlace(
                        "the source has purged transactions that are not in the set: \(purged)")
                }
            }
            start = .mysql(set)
        case (.mariadb(let position), .mariadb(let current)):
            guard current.holds(position) else {
                throw StreamError.noPlace(
                    "the source has not reached \(position): its binlog ends at \(current)")
            }
            // Where nothing follows, nothing would tell the place, and of what lies before another
            // one of the file MariaDB's numbers tell too little to pass it over.
            let end = try session.currentPosition()
            if try session.gtids(at: end) == gtids { return try finished(end, gtids, session) }
            start = .mariadb(position)
        case (let one, let other):
            throw StreamError.noPlace("\(one) can't be found in \(other)")
        }
        do {
            let walk = try BinlogWalk(source, from: start, interruption: interruption)
            var found: BinlogPosition?
            try walk.run { group in
                found = group.start
                return false
            }
            // Behind what the set holds there is nothing: any place of the last file will do on
            // MySQL, since what is in the set is passed over.
            return try finished(found ?? walk.position, gtids, session)
        } catch let error as MySQLError where error.code == MySQLErrorCode.binlogReadFailed {
            throw StreamError.noPlace(
                "the source can't send what comes behind \(gtids): \(error.message)")
        }
    }

    // MARK: times

    private func from(_ time: StartTime, _ session: SourceSession) throws -> SourcePosition {
        let seconds = try seconds(time, session)
        let now = Int64(try session.connection.value("SELECT UNIX_TIMESTAMP()") ?? "") ?? .max
        guard seconds <= now else {
            throw StreamError.noPlace("\(time) has not come yet on the source's clock")
        }
        let files = try session.files()
        // Files are opened one after the other: the newest that was opened before holds it.
        var (low, high) = (0, files.count)
        while low < high {
            let middle = (low + high) / 2
            if try opened(files[middle].name) < seconds { low = middle + 1 } else { high = middle }
        }
        guard let oldest = files.first?.name else { throw StreamError.noBinlog }
        guard low > 0 else {
            // Nothing was ever before the first file.
            guard BinlogPosition(file: oldest, offset: 4).fileNumber == 1 else {
                throw StreamError.noPlace(
                    "the source's binlog begins after \(time): its oldest file, \(oldest), was "
                        + "opened at \(StartTime.instant(try opened(oldest)))")
            }
            return try walk(from: oldest, session) { Int64($0.seconds) >= seconds }
        }
        return try walk(from: files[low - 1].name, session) { Int64($0.seconds) >= seconds }
    }

    private func seconds(_ time: StartTime, _ session: SourceSession) throws -> Int64 {
        switch time {
        case .instant(let seconds): return seconds
        case .local(let text):
            try session.connection.execute("SET SESSION time_zone=@@global.time_zone")
            let value = try session.connection.value(
                "SELECT FLOOR(UNIX_TIMESTAMP(\(utf8Literal(text))))")
            guard let seconds = value.flatMap({ Int64($0) }), seconds > 0 else {
                throw StreamError.noPlace("\(text) is no time on the source's clock")
            }
            return seconds
        }
    }

    /// When a file was opened, in seconds since 1970.
    private func opened(_ file: String) throws -> Int64 {
        let walk = try BinlogWalk(
            source, from: .position(BinlogPosition(file: file, offset: 4)),
            interruption: interruption)
        var out: Int64?
        try walk.run { header, _ in
            if header.type == .formatDescription { out = Int64(header.timestamp) }
            return out == nil
        } group: { _ in
            true
        }
        guard let out else { throw StreamError.unreadable("file \(file) has no format event") }
        return out
    }
}
