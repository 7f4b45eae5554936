internal import Glibc
internal import MySQLBinlog
internal import MySQLClient
internal import MySQLCore
internal import Runtime
internal import Stream

/// The one writer of a relay log: upstream connection → window → file. Lives on one thread, which
/// reads the socket, wakes the readers and writes, in this order and without a hop between.
final class RelayWriter {
    let log: RelayLog
    var file: OpenFile?
    private(set) var folder: RelayFolder?
    private(set) var name = ""
    /// Bytes that are written of the file.
    var length: UInt64 = 0
    /// Type of the last event of the file.
    private var lastType: UInt8 = 0
    /// When somebody was first found to lack what may still come.
    var lackingSince: UInt64?
    /// The peers that were asked last for what is missing, and what came of it.
    var asked: [String] = []
    /// Whether one of them could not be reached.
    var isPeerLost = false
    private var hasFetched = false
    /// What was read of another server, by domain, until this one has shown the same.
    private var expected: [UInt32: MariaDBGTID] = [:]
    /// When a limit that is exceeded is looked at again.
    private var nextLook: UInt64 = 0
    private var isPaused = false

    init(_ log: RelayLog) { self.log = log }

    /// Writes until the task is cancelled.
    func run() async throws {
        var backoff = Backoff(first: .milliseconds(100), limit: .seconds(10))
        while true {
            try Task.checkCancellation()
            do {
                log.board.update { $0.state = .connecting }
                if let original = log.original {
                    try await follow(original) { backoff.reset() }
                    continue
                }
                let upstream = try await reach()
                log.board.update {
                    $0.state = .running
                    $0.reason = nil
                    $0.upstream = log.options.source.server
                }
                log.isReady.give(.success(()))
                lackingSince = nil
                try await follow(upstream) { backoff.reset() }
            } catch {
                try Task.checkCancellation()
                // A copy that takes over.
                if error is CancellationError { continue }
                guard let reason = retryReason(error) else { throw error }
                log.window.setDry(true)
                let delay = backoff.delay()
                log.board.update {
                    $0.state = .connecting
                    $0.reason = reason
                }
                try await Task.sleep(for: delay)
            }
        }
    }

    /// Why trying again can help; `nil` when it can't.
    private func retryReason(_ error: any Error) -> String? {
        switch error {
        case let error as MySQLError where error.retry != .no: error.description
        case let error as LaggingUpstream: error.description
        case RelayError.unreachable: "\(error)"
        case RelayError.system(_, _, let code) where code == ENOSPC || code == EDQUOT: "\(error)"
        default: nil
        }
    }

    // MARK: connecting

    /// Connects to the source, for what peers do not have. They are asked before the source is,
    /// and once more when it has not got what is missing.
    private func reach() async throws -> Upstream {
        let isFirst = !hasFetched
        if isFirst { try await fetch() }
        hasFetched = true
        do {
            do {
                return try connect()
            } catch let error where !isFirst && Self.isMissing(error) {
                try await fetch()
                return try connect()
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

    private func connect() throws -> Upstream {
        let session = try UpstreamSession(log.options.source, serverID: log.options.serverID)
        if file == nil { try open() }
        guard let file, let folder else { return try beginAnew(session) }
        if try !log.isReady.isGiven && !isCovered(session) { return try beginAnew(session) }
        guard folder.serverName == session.server else { return try changeServer(session) }
        let index = log.catalog.liveIndex
        let place = WindowPlace(
            segment: folder.number, position: BinlogPosition(file: name, offset: length))
        do {
            return try session.resume(file, at: place, newest: index.newest)
        } catch let error as StreamError where log.options.start == .now && !log.isReady.isGiven {
            // Left by something else, and not needed.
            log.board.warn("what the relay log held is not what the source has now: \(error)")
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

    /// Whether going on where the files end gives everything that is needed, and not much more.
    /// Asked once: after the first connection the log goes on, whatever happens.
    private func isCovered(_ session: UpstreamSession) throws -> Bool {
        switch log.options.start {
        case .now:
            let current = try session.session.currentPosition().file
            return folder?.serverName == session.server && name == current
        case .from(let position, let server, let gtids):
            if log.catalog.place(at: position, of: server) != nil { return true }
            return gtids != .none && (try? log.catalog.place(behind: gtids)) != nil
        }
    }

    /// Begins a folder at the file that the options ask for.
    private func beginAnew(_ session: UpstreamSession) throws -> Upstream {
        var start = try session.session.currentPosition().file
        if case .from(let position, let server, let gtids) = log.options.start {
            if server == session.server {
                guard session.files.contains(where: { $0.name == position.file }) else {
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

    /// Begins a folder for another server, at the file that has everything behind what is here.
    private func changeServer(_ session: UpstreamSession) throws -> Upstream {
        let gtids = log.catalog.liveIndex.gtids
        guard gtids != .none, try session.session.usesGTIDs() else {
            throw StreamError.sourceLostEvents(
                "another server answers (\(session.server)), and without GTIDs positions can't "
                    + "be compared")
        }
        guard try session.has(gtids) else {
            // It may be behind for a while.
            let since = lackingSince ?? monotonicNanoseconds()
            lackingSince = since
            let text = "\(session.server) answers, which lacks transactions of \(gtids)"
            if monotonicNanoseconds() - since > 30_000_000_000 {
                throw StreamError.sourceLostEvents(text)
            }
            throw LaggingUpstream(description: text)
        }
        let start = try session.file(behind: gtids)
        if case .mariadb(let position) = gtids {
            expected = position.last
            try checkLast(try session.previous(start))
        }
        // What the old server did not finish, it never will.
        let end = log.catalog.liveIndex.end
        if end < length { try file?.truncate(to: end) }
        log.catalog.endFolder(size: end)
        log.saveMeta(synced: true)
        log.board.warn("the upstream is \(session.server) now")
        return try newFolder(session, file: start)
    }

    private func newFolder(_ session: UpstreamSession, file start: String) throws -> Upstream {
        let upstream = try session.begin(file: start, segment: nextNumber)
        try beginFolder(server: session.folderName, file: start)
        return upstream
    }

    private var nextNumber: Int { (log.catalog.shelves.last?.folder.number ?? 0) + 1 }

    /// Begins a folder with a file; whoever reads is told that the server is another one.
    func beginFolder(server: String, file start: String) throws {
        let folder = RelayFolder(server: server, number: nextNumber)
        if file != nil, !log.isReady.isGiven { log.catalog.endFolder(size: length) }
        try log.catalog.directory.add(folder)
        log.catalog.add(folder)
        self.folder = folder
        file = nil
        name = ""
        length = 0
        let position = BinlogPosition(file: start, offset: 4)
        log.window.begin(at: WindowPlace(segment: folder.number, position: position))
        try create(start)
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

    private func checkLast(_ chunk: EventChunk) throws {
        for entry in chunk.entries where entry.type == EventType.mariadbGTID.rawValue {
            try checkLast(try MariaDBGTIDEvent(chunk.event(entry)).gtid)
        }
    }

    // MARK: following

    private func follow(_ upstream: Upstream, _ succeeded: () -> Void) async throws {
        let stream = upstream.stream
        let interrupter = stream.interrupter
        try await withTaskCancellationHandler {
            if let rest = upstream.rest { try await take(rest, isDry: !stream.hasMore) }
            while true {
                let chunk = try stream.next()
                try await take(chunk, isDry: !stream.hasMore)
                succeeded()
            }
        } onCancel: {
            interrupter.interrupt()
        }
    }

    func take(_ raw: EventChunk, isDry: Bool) async throws {
        guard let chunk = raw.withoutSeams(), let folder else {
            log.window.setDry(isDry)
            return
        }
        if chunk.entries.contains(where: { EventChunk.isInFile($0) }) {
            if chunk.file != name {
                if lastType != EventType.rotate.rawValue, lastType != EventType.stop.rawValue {
                    log.board.warn(
                        "\(name) ends without an end: the source has crashed. What it had not "
                            + "made durable may be missing from its binlog; run skein verify")
                }
                try create(chunk.file)
            }
            var next = length
            for entry in chunk.entries where EventChunk.isInFile(entry) {
                guard entry.position == next, entry.endPosition > next else {
                    throw StreamError.unreadable(
                        "the event at \(name):\(entry.position) came where \(next) was expected")
                }
                next = entry.endPosition
            }
            if !expected.isEmpty { try checkLast(chunk) }
            log.catalog.note(chunk)
        }
        log.window.append(chunk, segment: folder.number, isDry: isDry)
        try await write(chunk)
    }

    /// Begins a file; the one before is complete.
    private func create(_ next: String) throws {
        guard let folder else { return }
        guard RelayDirectory.isFileName(next) else {
            throw StreamError.unreadable("\(next) is no binlog file's name")
        }
        // A later file must not survive a loss of power that cuts this one short: who reads them
        // would go from one to the other.
        try file?.sync()
        let path = log.catalog.directory.file(folder, next)
        let file = try OpenFile(path, O_RDWR | O_CREAT | O_TRUNC)
        var done = 0
        try unsafe RelayDirectory.magic.withUnsafeBytes {
            try unsafe file.write($0, at: 0, done: &done)
        }
        self.file = file
        name = next
        length = 4
        lastType = 0
        log.catalog.begin(next, size: 4, IndexBuilder())
    }

    /// Writes a chunk's events. A full disk is waited for; what was read is in memory meanwhile.
    private func write(_ chunk: EventChunk) async throws {
        guard let file else { return }
        if let last = chunk.entries.last(where: { EventChunk.isInFile($0) }) {
            lastType = last.type
            if length == 4 { setChecksum(chunk) }
        }
        try await waitForLimit()
        while true {
            do {
                try unsafe chunk.forEachRun { position, bytes in
                    guard position + UInt64(bytes.count) > length else { return }
                    var done = Int(length - position)
                    defer { length = position + UInt64(done) }
                    try unsafe file.write(bytes, at: position, done: &done)
                }
                log.catalog.publish(length)
                resumed()
                return
            } catch RelayError.system(let what, let path, let code)
                where code == ENOSPC || code == EDQUOT
            {
                log.catalog.publish(length)
                try await pause("\(what) \(path): \(systemMessage(code))")
            }
        }
    }

    private func setChecksum(_ chunk: EventChunk) {
        guard let first = chunk.entries.first(where: { EventChunk.isInFile($0) }),
            first.type == EventType.formatDescription.rawValue,
            let format = try? FormatDescription(chunk.wholeEvent(first))
        else { return }
        log.catalog.setLiveChecksum(format.checksum)
    }

    // MARK: pausing

    /// Waits while the files take more than they may and some of it is not read yet.
    private func waitForLimit() async throws {
        guard let limit = log.options.limitBytes, log.catalog.bytes >= limit,
            monotonicNanoseconds() >= nextLook
        else { return }
        nextLook = monotonicNanoseconds() + 500_000_000
        while log.catalog.bytes >= limit {
            log.purge(isPressed: true)
            guard log.catalog.bytes >= limit, isBehind else { break }
            try await pause("the relay log's limit of \(limit) bytes is reached")
        }
    }

    /// Whether a subtask needs more than the file that is written and the one before it. The need
    /// stays in that one until a transaction of the new file is applied: to wait for that, and not
    /// to read, would be for ever.
    private var isBehind: Bool {
        guard let folder else { return false }
        let files = log.catalog.shelves.last?.files.suffix(2).map(\.name) ?? []
        return log.catalog.directory.needs().values.contains { need in
            need.folder != folder || !(need.file == name || files.contains(need.file))
        }
    }

    private func pause(_ reason: String) async throws {
        log.window.setDry(true)
        isPaused = true
        log.board.update {
            $0.state = .paused
            $0.reason = reason
        }
        log.board.warn("the relay log pauses: \(reason)")
        try await Task.sleep(for: .milliseconds(500))
        log.purge(isPressed: true)
    }

    private func resumed() {
        guard isPaused else { return }
        isPaused = false
        log.board.update {
            $0.state = .running
            $0.reason = nil
        }
    }
}

/// Another server answers that does not have everything yet.
struct LaggingUpstream: Error, CustomStringConvertible {
    let description: String
}
