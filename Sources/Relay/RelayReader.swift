internal import MySQLBinlog
public import MySQLCore
public import Stream
internal import Synchronization

/// A reader of a relay log that is being written: from memory when it is close to the end, from
/// files when it is not, and back.
public final class RelayReader: EventReader, @unchecked Sendable {
    // SAFETY: everything but `shared` is used by the one task that calls `next()`; `shared`, which
    // `close()` uses too, has a lock.

    private struct Shared {
        var isClosed = false
        var ticket: LiveWindow.Ticket?
    }

    private let catalog: Catalog
    private let window: LiveWindow
    private let files: FileReader
    private let repair: Repair?
    /// The event that was got again last.
    private var repaired: DamagedEvent?
    private let id: UInt64
    /// Of the time that it belongs to: none outlives a cut of the log.
    private let number: Int
    private let shared = Mutex(Shared())
    private let crossesServers: Bool
    /// Where transactions end, for those who go on where the server changed.
    private var tracker = GroupTracker()
    private var boundary: WindowPlace
    private var isAhead = false
    /// Of the chunk that the place lay in when the window was joined.
    private var rest: EventChunk?
    /// Chunks that were taken from the window together with the one before, the next one last.
    private var taken: LiveWindow.Chunks = []
    /// How often events since the last whole transaction became void: it follows again.
    public private(set) var restarts = 0
    /// The server whose files the last chunk's positions belong to.
    public private(set) var server: ServerUUID?

    init(
        _ catalog: Catalog, _ window: LiveWindow, at place: WindowPlace,
        skipping gtids: GTIDState?, crossesServers: Bool, repair: Repair?, number: Int
    ) {
        self.catalog = catalog
        self.number = number
        self.window = window
        self.crossesServers = crossesServers
        self.repair = repair
        boundary = place
        id = catalog.enterReader(place)
        files = FileReader(
            catalog, at: place, skipping: gtids, crossesServers: crossesServers)
        // By the folder: the place may be in a file that has not begun yet.
        server = catalog.shelves.first { $0.folder.number == place.segment }?.folder.serverName
    }

    deinit { close() }

    /// Whether something can be had at once.
    public var hasMore: Bool {
        if !taken.isEmpty { return true }
        guard let ticket = shared.withLock({ $0.ticket }) else {
            return catalog.hasMore(behind: files.place)
        }
        return window.hasMore(ticket)
    }

    /// Ends the stream, from any thread.
    public func close() {
        let ticket = shared.withLock { shared in
            shared.isClosed = true
            return shared.ticket.take()
        }
        if let ticket { window.leave(ticket) }
        catalog.moveReader(id, nil)
    }

    /// The next events.
    public func next() async throws -> EventChunk {
        while true {
            try Task.checkCancellation()
            let (isClosed, ticket) = shared.withLock { ($0.isClosed, $0.ticket) }
            if isClosed { throw CancellationError() }
            try requireUncut()
            let chunk: EventChunk?
            do {
                chunk =
                    if let ticket { try await fromWindow(ticket) } else { try await fromFiles() }
            } catch StreamError.upstreamChanged where crossesServers {
                leaveWindow()
                if files.place != boundary { restarts += 1 }
                files.jump(to: boundary)
                tracker = GroupTracker()
                continue
            }
            // What was read while the log was cut is not given any more.
            try requireUncut()
            if let chunk { return noted(chunk) }
        }
    }

    private func requireUncut() throws {
        if catalog.readersNumber != number { throw StreamError.takenBack }
    }

    private func fromWindow(_ ticket: LiveWindow.Ticket) async throws -> EventChunk? {
        guard let (chunk, segment) = try await take(ticket) else {
            // Outrun: what comes next is on disk by now.
            leaveWindow()
            return nil
        }
        var place = files.place
        if isAhead {
            // Something came. What the reader has had before, from a writer that did not get to
            // write it, goes by; the rest is found like everything else.
            let end = BinlogPosition(file: chunk.file, offset: chunk.range.end)
            if segment == place.segment, end <= place.position { return nil }
            isAhead = false
            leaveWindow()
            return nil
        }
        let start = WindowPlace(
            segment: segment,
            position: BinlogPosition(file: chunk.file, offset: chunk.range.start))
        if segment != place.segment || chunk.file != place.position.file {
            try files.move(to: start)
        }
        place = start
        place.position.offset = chunk.range.end
        files.jump(to: place)
        return files.filtered(chunk)
    }

    private func take(
        _ ticket: LiveWindow.Ticket
    ) async throws -> (chunk: EventChunk, segment: Int)? {
        if let next = taken.popLast() { return next }
        guard let chunks = try await window.next(ticket, upTo: Self.takenAtOnce) else { return nil }
        taken = chunks
        taken.reverse()
        return taken.popLast()
    }

    /// Chunks that a reader takes at a time, and keeps in memory beside the window.
    private static let takenAtOnce = 16

    private func fromFiles() async throws -> EventChunk? {
        if join() { return takeRest() }
        if let chunk = try await nextOfFiles() { return chunk }
        // Neither in memory nor on disk, or just now in between: waits for whatever comes next.
        let ticket = window.joinAtEnd()
        if join() {
            window.leave(ticket)
            return takeRest()
        }
        if let chunk = try await nextOfFiles() {
            window.leave(ticket)
            return chunk
        }
        isAhead = true
        enter(ticket)
        return nil
    }

    /// The next events of the files; one that is damaged is repaired first, once: what is still not
    /// right then is not in the event.
    private func nextOfFiles() async throws -> EventChunk? {
        while true {
            do {
                return try files.next()
            } catch let damage as DamagedEvent {
                guard let repair, repaired != damage else { throw damage.error() }
                repaired = damage
                try await repair.mend(damage)
            }
        }
    }

    /// Joins the window, if it has what comes next.
    private func join() -> Bool {
        guard let joined = window.join(at: files.place) else { return false }
        rest = joined.rest
        enter(joined.ticket)
        return true
    }

    private func takeRest() -> EventChunk? {
        guard let rest = rest.take() else { return nil }
        var place = files.place
        place.position.offset = rest.range.end
        files.jump(to: place)
        return files.filtered(rest)
    }

    private func enter(_ ticket: LiveWindow.Ticket) {
        let isClosed = shared.withLock { shared in
            if !shared.isClosed { shared.ticket = ticket }
            return shared.isClosed
        }
        if isClosed { window.leave(ticket) }
    }

    private func leaveWindow() {
        taken = []
        let ticket = shared.withLock { $0.ticket.take() }
        if let ticket { window.leave(ticket) }
    }

    private func noted(_ chunk: EventChunk) -> EventChunk {
        let place = files.place
        if place.segment != boundary.segment || place.position.file != boundary.position.file {
            catalog.moveReader(id, place)
            server = catalog.entry(place)?.folder.serverName ?? server
        }
        guard crossesServers else {
            boundary = place
            return chunk
        }
        for entry in chunk.entries where EventChunk.isInFile(entry) {
            let step = tracker.take(EventType(rawValue: entry.type), chunk.event(entry))
            guard step != .inside, step != .begins else { continue }
            boundary = WindowPlace(
                segment: place.segment,
                position: BinlogPosition(file: chunk.file, offset: entry.endPosition))
        }
        return chunk
    }
}
