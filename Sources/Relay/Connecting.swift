internal import Glibc
internal import MySQLBinlog
internal import MySQLClient
internal import MySQLCore
internal import Runtime
internal import Stream

// How the writer gets to a connected source: whom it asks, where it goes on, and when it begins a
// folder.

extension RelayWriter {
    /// ``reach()``, which a stop ends whatever it waits for: a source that reads gigabytes to get
    /// to a place sends nothing meanwhile.
    func reachOrStop() async throws -> Upstream {
        let interruption = Interruption()
        return try await withTaskCancellationHandler {
            try await reach(interruption)
        } onCancel: {
            interruption.interrupt()
        }
    }

    /// Connects to the source, for what peers do not have. They are asked before the source is,
    /// and once more when it has not got what is missing.
    private func reach(_ interruption: Interruption) async throws -> Upstream {
        let isFirst = !hasFetched
        if isFirst { try await fetch() }
        hasFetched = true
        do {
            do {
                return try connect(interruption)
            } catch let error where !isFirst && Self.isMissing(error) {
                try await fetch()
                return try connect(interruption)
            }
        } catch let error where !log.options.peers.isEmpty {
            switch error {
            case StreamError.purged(let position, let detail):
                hasFetched = false
                throw nobodyHas("\(position)", "\(log.options.source.server) (\(detail))")
            case RelayError.missing(let what, let source):
                hasFetched = false
                throw nobodyHas(what, source)
            default: throw error
            }
        }
    }

    private static func isMissing(_ error: any Error) -> Bool {
        switch error {
        case StreamError.purged, RelayError.missing: true
        default: false
        }
    }

    private func connect(_ interruption: Interruption) throws -> Upstream {
        let session = try UpstreamSession(
            log.options.source, serverID: log.options.serverID, interruption: interruption)
        if file == nil { try open() }
        guard file != nil else { return try beginAnew(session) }
        if log.isReady.isGiven { return try goOn(session) }
        // Asked once: after the first connection the log goes on, whatever happens.
        guard try isWorthGoingOn(session) else {
            try checkWhatStays(session)
            return try beginAnew(session)
        }
        do {
            return try goOn(session)
        } catch let error as StreamError where mayBeginAnew(after: error) && canBeginAnew(session) {
            log.board.warn(
                "the relay log begins anew, since it can't go on where its files end: \(error)")
            return try beginAnew(session)
        }
    }

    /// Opens the last file that there is.
    func open() throws {
        guard let shelf = log.catalog.shelves.last, let entry = shelf.files.last else { return }
        file = try OpenFile(log.catalog.directory.file(shelf.folder, entry.name), O_RDWR)
        folder = shelf.folder
        name = entry.name
        length = entry.size
        // A crash of the source shows only while its last event is seen here.
        lastType = EventType.rotate.rawValue
    }

    /// Goes on where the files end, on whichever server answers.
    private func goOn(_ session: UpstreamSession) throws -> Upstream {
        guard let file, let folder, folder.serverName == session.server else {
            return try changeServer(session)
        }
        let index = log.catalog.liveIndex
        let place = WindowPlace(
            segment: folder.number, position: BinlogPosition(file: name, offset: length))
        return try session.resume(file, in: folder, at: place, newest: index.newest)
    }

    // MARK: the first connection

    /// Whether somebody needs what going on where the files end gives, and would not get from a
    /// folder that begins where the options ask for it. A log that was left behind for a week
    /// would fetch a week, or find that the source has purged it.
    private func isWorthGoingOn(_ session: UpstreamSession) throws -> Bool {
        switch log.options.start {
        case .now:
            let current = try session.session.currentPosition().file
            if folder?.serverName == session.server, name == current { return true }
        case .from(let position, let server, let gtids):
            if log.catalog.place(at: position, of: server) != nil { return true }
            if session.hasFile(position, of: server) { break }
            if isInside(gtids) { return true }
            // All that is here is known already. The source may have a later file to begin with.
            if gtids != .none, folder?.serverName == session.server,
                let start = try? session.file(behind: gtids), !isBehindEnd(start)
            {
                return true
            }
        }
        return hasNeeds
    }

    /// Whether what is here may stay as it is, and be read, when the source can't continue it. Not
    /// while somebody needs it and the source has lost some of it: then it is given up first, or
    /// nobody goes on.
    private func mayBeginAnew(after error: StreamError) -> Bool {
        guard case .sourceLostEvents = error, log.options.checkpoints != nil else { return true }
        return hasNoSurplus && !hasNeeds
    }

    /// Nobody goes on from what is here, but who comes back can read it: nothing of it may be lost.
    private func checkWhatStays(_ session: UpstreamSession) throws {
        guard let file, let folder, log.options.checkpoints != nil, !hasNoSurplus else { return }
        do {
            if folder.serverName == session.server {
                let place = WindowPlace(
                    segment: folder.number, position: BinlogPosition(file: name, offset: length))
                _ = try session.resume(
                    file, in: folder, at: place, newest: log.catalog.liveIndex.newest)
            } else {
                try compare(session, try log.catalog.gtids())
            }
        } catch StreamError.purged {
            // It can't be compared any more.
        } catch is DamagedEvent {
            // It could not be read to the end either.
        } catch RelayError.missing {
            // Nor this: there is a hole in it.
        } catch is LaggingUpstream {
            // It is not another history, as far as can be seen.
        }
    }

    /// Whether a folder can begin with what the options ask for, which is not here.
    private func canBeginAnew(_ session: UpstreamSession) -> Bool {
        guard case .from(let position, let server, let gtids) = log.options.start else {
            return true
        }
        if log.catalog.place(at: position, of: server) != nil { return false }
        if session.hasFile(position, of: server) { return true }
        return gtids != .none && !isInside(gtids) && (try? session.file(behind: gtids)) != nil
    }

    /// Whether everything that the options ask for is here, or follows what is here.
    var isCoveredHere: Bool {
        guard case .from(let position, let server, let gtids) = log.options.start else {
            return log.options.original != nil
        }
        return log.catalog.place(at: position, of: server) != nil || isInside(gtids)
    }

    /// Whether what is behind some GTIDs begins among what is here. A log that is merely older has
    /// nothing of it.
    private func isInside(_ gtids: GTIDState) -> Bool {
        guard gtids != .none, let place = try? log.catalog.place(behind: gtids),
            let end = log.catalog.shelves.last?.end
        else { return false }
        let known = WindowPlace(
            segment: end.segment,
            position: BinlogPosition(file: end.position.file, offset: log.catalog.liveIndex.end))
        return place < known
    }

    private func isBehindEnd(_ file: String) -> Bool {
        BinlogPosition(file: file, offset: 4).fileNumber
            > BinlogPosition(file: name, offset: 4).fileNumber
    }

    /// Whether a subtask, which may be paused, still needs a file that is here.
    var hasNeeds: Bool {
        // What can't be read does not say that nobody does.
        guard let noted = try? log.catalog.noted() else { return true }
        if !noted.unread.isEmpty, log.catalog.oldest != nil { return true }
        return noted.files.values.contains { log.catalog.holds($0) }
    }

    /// Begins a folder at the file that the options ask for.
    private func beginAnew(_ session: UpstreamSession) throws -> Upstream {
        var start = try session.session.currentPosition().file
        if case .from(let position, let server, let gtids) = log.options.start {
            if server == session.server {
                guard session.hasFile(position, of: server) else {
                    throw StreamError.purged(
                        position,
                        detail: "oldest file: \(session.files.first?.name ?? "none"); "
                            + "the relay log \(log.options.path) does not have it either")
                }
                start = position.file
            } else if gtids != .none {
                start = try session.file(behind: gtids)
            } else {
                throw StreamError.sourceLostEvents(
                    "another server answers (\(session.server)), and without GTIDs positions "
                        + "can't be compared")
            }
        }
        return try newFolder(session, file: start)
    }

    // MARK: another server

    /// Begins a folder for another server, at the file that has everything behind what is here.
    private func changeServer(_ session: UpstreamSession) throws -> Upstream {
        // Of a file that has only begun: those of the files before it.
        let gtids = try log.catalog.gtids()
        try compare(session, gtids)
        let start = try session.file(behind: gtids)
        if case .mariadb(let position) = gtids {
            expected = position.last
            try checkLast(try session.previous(start))
        }
        try cutUnfinished()
        let upstream = try newFolder(session, file: start)
        log.board.warn("the upstream is \(session.server) now")
        return upstream
    }

    /// Compares another server's history with what is here.
    ///
    /// - Throws: `StreamError.sourceLostEvents` when it is another one, ``LaggingUpstream`` when it
    ///   lacks something.
    private func compare(_ session: UpstreamSession, _ gtids: GTIDState) throws {
        guard gtids != .none, try session.session.usesGTIDs() else {
            throw StreamError.sourceLostEvents(
                "another server answers (\(session.server)), and without GTIDs positions can't "
                    + "be compared")
        }
        let current = try session.session.currentGTIDs()
        guard current.isSuperset(of: gtids) else {
            let text = "\(session.server) answers, which lacks transactions of \(gtids)"
            if let other = try History(log).conflict(current) {
                throw StreamError.sourceLostEvents("\(text), and has \(other) instead")
            }
            if let why = try session.session.divergence(from: gtids) {
                throw StreamError.sourceLostEvents("\(text): \(why)")
            }
            if try session.session.isNoReplica() {
                throw StreamError.sourceLostEvents("\(text), and replicates from nobody")
            }
            // It may be behind, and for however long a delayed replica is.
            throw LaggingUpstream(description: "\(text) yet")
        }
        if let conflict = try History(log).compare(session)?.conflict {
            throw StreamError.sourceLostEvents(
                "another server answers (\(session.server)), which has \(conflict.theirs) where "
                    + "\(conflict.ours) was read before")
        }
    }

    /// What the old server did not finish, it never will. Who was given it begins again: should the
    /// new folder fail, and the old server come back, it is sent once more.
    private func cutUnfinished() throws {
        let end = log.catalog.liveIndex.end
        guard end < length, let folder else { return }
        try file?.truncate(to: end)
        length = end
        log.catalog.publish(end)
        log.window.begin(
            at: WindowPlace(
                segment: folder.number, position: BinlogPosition(file: name, offset: end)))
        log.window.failReaders(StreamError.upstreamChanged)
    }

    private func newFolder(_ session: UpstreamSession, file start: String) throws -> Upstream {
        let upstream = try session.begin(file: start, segment: nextNumber)
        try beginFolder(server: session.folderName, file: start)
        return upstream
    }

    private var nextNumber: Int { (log.catalog.shelves.last?.folder.number ?? 0) + 1 }

    /// Begins a folder with a file; whoever reads is told that the server is another one.
    ///
    /// Nothing has changed when it fails, on a full disk for example: it is tried again.
    func beginFolder(server: String, file start: String) throws {
        let directory = log.catalog.directory
        let next = RelayFolder(server: server, number: nextNumber)
        // Both names were sent: neither may lead out of the log's folder, when it is made or when
        // it is taken back.
        guard next.serverName != nil, RelayFolder("\(next)") == next else {
            throw StreamError.unreadable("\(server) is no server's name")
        }
        guard RelayDirectory.isFileName(start) else {
            throw StreamError.unreadable("\(start) is no binlog file's name")
        }
        // What ends here must be on the disk before anything names what follows.
        try file?.sync()
        let made: OpenFile
        do {
            try directory.add(next)
            if let aside = try log.catalog.putAsideFiles(of: next) {
                log.board.warn(
                    "\(next) had files that the relay log knows nothing of; they are in \(aside)")
            }
            made = try makeFile(next, start)
        } catch {
            try? Folder.remove(directory.file(next, start))
            try? directory.remove(next)
            throw error
        }
        if file != nil {
            log.catalog.endFolder(size: length)
            log.saveMeta(synced: true)
        }
        log.catalog.add(next)
        folder = next
        file = made
        name = start
        length = 4
        lastType = 0
        log.window.begin(
            at: WindowPlace(
                segment: next.number, position: BinlogPosition(file: start, offset: 4)))
        log.catalog.begin(start, size: 4, IndexBuilder())
        log.window.failReaders(StreamError.upstreamChanged)
    }

    /// On MariaDB a GTID's number says nothing of its content: the newest of each domain must be
    /// the same one on the other server, its server id included.
    private func checkLast(_ state: GTIDState) throws {
        guard case .mariadb(let position) = state else { return }
        for gtid in position.last.values { try checkLast(gtid) }
    }

    private func checkLast(_ gtid: MariaDBGTID) throws {
        guard let ours = expected[gtid.domain], gtid.sequence >= ours.sequence else { return }
        expected[gtid.domain] = nil
        guard gtid == ours else {
            throw StreamError.sourceLostEvents(
                "another server answers, which has \(gtid) where \(ours) was read before")
        }
    }

    /// The same for what the other server sends.
    func checkLast(_ chunk: EventChunk) throws {
        for entry in chunk.entries where entry.type == EventType.mariadbGTID.rawValue {
            try checkLast(try MariaDBGTIDEvent(chunk.event(entry)).gtid)
        }
    }
}
