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
    var folder: RelayFolder?
    var name = ""
    /// Bytes that are written of the file.
    var length: UInt64 = 0
    /// Type of the last event of the file.
    var lastType: UInt8 = 0
    /// When somebody was first found to lack what may still come.
    var lackingSince: UInt64?
    /// The peers that were asked last for what is missing, and what came of it.
    var asked: [String] = []
    /// Whether one of them could not be reached.
    var isPeerLost = false
    /// Whether peers were asked since the start for what is needed.
    var hasFetched = false
    /// Whether it could not be said, before the first connection, where the source and what is here
    /// part.
    var hasNoSurplus = false
    /// The event that was repaired last, and since when another one could not be.
    private var mended: DamagedEvent?
    private var mendedSince: UInt64?
    /// What was read of another server, by domain, until this one has shown the same.
    var expected: [UInt32: MariaDBGTID] = [:]
    /// Whether files are being cut, or that has failed: what is known of them may be old. A log that
    /// ends then is opened anew, and looks.
    var isCutting = false
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
                let upstream = try await reachOrStop()
                log.board.update {
                    $0.state = .running
                    $0.reason = nil
                    $0.needsRoom = false
                    $0.upstream = log.options.source.server
                }
                log.becomeReady()
                log.readersMayGoOn()
                (lackingSince, mended, mendedSince) = (nil, nil, nil)
                isCutting = false
                try await follow(upstream) { backoff.reset() }
            } catch {
                try Task.checkCancellation()
                // A copy that takes over.
                if error is CancellationError { continue }
                var error = error
                if case StreamError.sourceLostEvents(let detail) = error,
                    let checkpoints = log.options.checkpoints
                {
                    do {
                        try await giveUpSurplus(detail, checkpoints)
                        continue
                    } catch let it {
                        try Task.checkCancellation()
                        error = it
                    }
                }
                if let damage = error as? DamagedEvent {
                    do {
                        try await mend(damage)
                        continue
                    } catch let it {
                        try Task.checkCancellation()
                        error = it
                    }
                }
                guard let waiting = pause(after: error) else { throw error }
                log.window.setDry(true)
                let delay = backoff.delay()
                log.board.update {
                    $0.state = waiting.state
                    $0.reason = waiting.reason
                    $0.needsRoom = waiting.needsRoom
                }
                try await Task.sleep(for: delay)
                if waiting.needsRoom { log.purge(isPressed: true) }
            }
        }
    }

    /// Repairs what is compared with a source or a peer: no difference counts before that.
    private func mend(_ damage: DamagedEvent) async throws {
        // What is still not right afterwards is not in the event.
        if damage == mended { throw damage.error() }
        do {
            try await log.repair.mend(damage)
            (mended, mendedSince) = (damage, nil)
            log.board.warn("\(damage.path) was damaged at offset \(damage.offset), and is repaired")
        } catch let error as RelayError {
            guard case .damaged = error else { throw error }
            // Who has it may be away, but not for ever.
            let since = mendedSince ?? monotonicNanoseconds()
            mendedSince = since
            guard monotonicNanoseconds() - since < Self.peerPatienceNanoseconds else { throw error }
            throw LaggingUpstream(description: error.description)
        }
    }

    /// How it waits after an error.
    struct Pause: Sendable, Hashable {
        /// Paused when this machine lacks something; else it is on the way to its source.
        var state = RelayStatus.State.connecting
        var reason: String
        /// Whether it is room on the disk.
        var needsRoom = false
    }

    /// How it waits where trying again can help; `nil` where it can't.
    func pause(after error: any Error) -> Pause? {
        if let error = error as? RelayError, error.isMomentary {
            // A full disk hinders nobody from looking what is there.
            guard error.isFullDisk || !isCutting else { return nil }
            return Pause(state: .paused, reason: "\(error)", needsRoom: error.isFullDisk)
        }
        return retryReason(error).map { Pause(reason: $0) }
    }

    /// Why trying again can help; `nil` when it can't.
    private func retryReason(_ error: any Error) -> String? {
        switch error {
        case let error as MySQLError where error.retry != .no: error.description
        case let error as LaggingUpstream: error.description
        case let error as ChangingUpstream: error.description
        case RelayError.unreachable: "\(error)"
        case StreamError.upstreamChanged where log.original != nil:
            "the relay log that is copied lets nobody read: its source may have lost something"
        default: nil
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
                if stream.isDecrypted { warnOfPlainFiles() }
                try await take(chunk, isDry: !stream.hasMore)
                succeeded()
            }
        } onCancel: {
            interrupter.interrupt()
        }
    }

    /// What the source keeps from those who can read its disk is here for those who can read this.
    private func warnOfPlainFiles() {
        log.board.warn(
            "the source encrypts its binlog, and sends it decrypted: the relay log's files in "
                + "\(log.options.path) are plain, for whoever can read that disk")
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
        // A later file must not survive a loss of power that cuts this one short: who reads them
        // would go from one to the other.
        try file?.sync()
        file = try makeFile(folder, next)
        name = next
        length = 4
        lastType = 0
        log.catalog.begin(next, size: 4, IndexBuilder())
    }

    /// Makes a file on disk, which nobody knows of yet.
    func makeFile(_ folder: RelayFolder, _ name: String) throws -> OpenFile {
        guard RelayDirectory.isFileName(name) else {
            throw StreamError.unreadable("\(name) is no binlog file's name")
        }
        let path = log.catalog.directory.file(folder, name)
        let file = try OpenFile(path, O_RDWR | O_CREAT | O_TRUNC)
        var done = 0
        try unsafe RelayDirectory.magic.withUnsafeBytes {
            try unsafe file.write($0, at: 0, done: &done)
        }
        return file
    }

    /// Writes a chunk's events. A full disk is waited for, and so is what else the machine lacks for
    /// a moment; what was read is in memory meanwhile.
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
            } catch {
                // Nothing that is half written is left behind: a part of an event is no place to go
                // on from.
                let failure: any Error = error
                guard let lack = failure as? RelayError, lack.isMomentary else { throw failure }
                log.catalog.publish(length)
                try await pause("\(lack)", needsRoom: lack.isFullDisk)
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

    /// Waits while the files take more than they may and some of it is not read yet: not for what
    /// can't go before more is read.
    func waitForLimit() async throws {
        guard let limit = log.options.limitBytes, log.catalog.bytes >= limit,
            monotonicNanoseconds() >= nextLook
        else { return }
        nextLook = monotonicNanoseconds() + 500_000_000
        while log.catalog.bytes >= limit {
            log.purge(isPressed: true)
            guard log.catalog.bytes >= limit else { break }
            let reached = "the relay log's limit of \(limit) bytes is reached"
            let places: [String: (folder: RelayFolder, file: String)]
            do {
                places = try log.readPlaces()
            } catch {
                // Nothing can go, and without a limit the disk would be full next. Nor is anybody to
                // give up anything for that: perhaps all is read.
                try await pause(
                    "\(reached), and it can't be read who needs what: \(error)", needsRoom: false)
                continue
            }
            guard isBehind(places) else {
                warnOfWhatStays(limit)
                break
            }
            try await pause(reached, needsRoom: true)
        }
    }

    /// Says whose needs keep what is more than the limit, although it is read.
    private func warnOfWhatStays(_ limit: UInt64) {
        let resting = log.resting
        for (name, need) in log.needs where !resting.contains(name) && isBehind([name: need]) {
            log.board.warn(
                "the relay log takes more than its limit of \(limit) bytes: \(name) has "
                    + "read it, and still needs \(need.file), since an XA transaction was "
                    + "prepared there that may still be committed")
        }
    }

    /// Whether a subtask is in front of the file that is written and the one before it. It stays in
    /// that one until a transaction of the new file is applied: to wait for that, and not to read,
    /// would be for ever.
    private func isBehind(_ places: [String: (folder: RelayFolder, file: String)]) -> Bool {
        guard let folder else { return false }
        let files = log.catalog.shelves.last?.files.suffix(2).map(\.name) ?? []
        return places.values.contains { place in
            place.folder != folder || !(place.file == name || files.contains(place.file))
        }
    }

    /// - Parameter needsRoom: whether it ends when others give up what they need.
    private func pause(_ reason: String, needsRoom: Bool) async throws {
        log.window.setDry(true)
        isPaused = true
        log.board.update {
            $0.state = .paused
            $0.reason = reason
            $0.needsRoom = needsRoom
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
            $0.needsRoom = false
        }
    }
}

/// Another server answers that does not have everything yet, or a peer is away that may have it.
struct LaggingUpstream: Error, CustomStringConvertible {
    let description: String
}
