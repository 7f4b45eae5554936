internal import Glibc
internal import MySQLBinlog
internal import MySQLCore
internal import Runtime
internal import Stream

// The writer when it reads another worker's relay log in place of the source: to take over, what
// is needed and not here, up to where the peer is; as a copy, for as long as it is one. Events are
// written as if they came from the source: the same files in folders of the same names, with the
// same checks, and after a crash the same recovery.

extension RelayWriter {
    /// Where copying starts.
    struct CopyStart {
        /// The peer's folder.
        var folder: RelayFolder
        /// The file that a new folder here begins with; `nil` to go on where the files end.
        var file: String?
    }

    // MARK: taking over

    /// Copies what is needed and not here from peers, one after the other: the next one may have
    /// more, and finishes what another one began. Notes who could not help, and why.
    func fetch() async throws {
        asked = []
        isPeerLost = false
        for peer in log.options.peers {
            do {
                guard let start = try await copyStart(peer, isNeededOnly: true) else { continue }
                let contents = try await peer.contents()
                guard let last = contents.last(where: { !$0.files.isEmpty }), let end = last.end
                else { continue }
                log.board.update { $0.upstream = peer.name }
                try await copy(peer, start, opened: {}) { [self] folder in
                    folder.number > last.folder.number
                        || folder == last.folder && end <= here
                }
                asked.append("\(peer.name) (its relay log ends at \(end))")
            } catch let error as RelayError {
                // Of our own folder: that is not the peer's fault.
                if case .system = error { throw error }
                if case .unreachable = error { isPeerLost = true }
                asked.append("\(peer.name) (\(error))")
            } catch let error as StreamError {
                // What differs is judged by the source.
                asked.append("\(peer.name) (\(error))")
            }
        }
    }

    /// The error for what neither peers nor source have.
    func nobodyHas(_ what: String, _ source: String) -> any Error {
        let all = (asked + [source]).joined(separator: ", ")
        let error = RelayError.missing(what, asked: "\(all), the relay log \(log.options.path)")
        guard isPeerLost else { return error }
        // A peer may come back, but not for ever.
        let since = lackingSince ?? monotonicNanoseconds()
        lackingSince = since
        guard monotonicNanoseconds() - since < Self.peerPatienceNanoseconds else { return error }
        return LaggingUpstream(description: error.description)
    }

    static let peerPatienceNanoseconds: UInt64 = 30_000_000_000

    /// Where the files end.
    private var here: BinlogPosition { BinlogPosition(file: name, offset: length) }

    /// Where a peer is to be read from; `nil` when it has nothing that is needed.
    private func copyStart(
        _ peer: any RelayPeer, isNeededOnly: Bool
    ) async throws -> CopyStart? {
        if file == nil { try open() }
        if let folder, log.isReady.isGiven || isCoveredHere {
            let contents = try await peer.contents()
            let shelf = contents.last { shelf in
                shelf.folder.server == folder.server
                    && shelf.files.contains { $0.name == name }
            }
            if let shelf { return CopyStart(folder: shelf.folder, file: nil) }
            guard !isNeededOnly, case .now = log.options.start, !log.isReady.isGiven else {
                throw RelayError.missing("\(folder)/\(here)", asked: Self.words(contents))
            }
        }
        switch log.options.start {
        case .now:
            guard !isNeededOnly else { return nil }
            let contents = try await peer.contents()
            guard let shelf = contents.last(where: { !$0.files.isEmpty }) else {
                throw RelayError.missing("a first file", asked: peer.name)
            }
            return CopyStart(folder: shelf.folder, file: shelf.files.last?.name)
        case .from(let position, let server, let gtids):
            do {
                let found = try await peer.locate(.position(position, of: server))
                return CopyStart(folder: found.folder, file: found.file)
            } catch RelayError.missing where gtids != .none {
                let found = try await peer.locate(.gtids(gtids))
                return CopyStart(folder: found.folder, file: found.file)
            }
        }
    }

    private static func words(_ contents: [RelayContents]) -> String {
        let folders = contents.map { shelf in
            "\(shelf.folder): \(shelf.files.first?.name ?? "-") to \(shelf.files.last?.name ?? "-")"
        }
        return folders.isEmpty ? "it has nothing" : "it has \(folders.joined(separator: "; "))"
    }

    // MARK: being a copy

    /// Copies a peer's relay log until its stream ends, or ``RelayLog/takeOver()``.
    ///
    /// - Parameter succeeded: called whenever the peer's stream has begun.
    func follow(_ peer: any RelayPeer, _ succeeded: () -> Void) async throws {
        log.board.update { $0.upstream = peer.name }
        guard let start = try await copyStart(peer, isNeededOnly: false) else { return }
        try await copy(peer, start, isOriginal: true) {
            log.becomeReady()
            succeeded()
        } until: { _ in
            false
        }
    }

    // MARK: copying

    /// Copies folder by folder until `isDone` says so; it is given the peer's folder that is read.
    private func copy(
        _ peer: any RelayPeer, _ start: CopyStart, isOriginal: Bool = false, opened: () -> Void,
        until isDone: (RelayFolder) -> Bool
    ) async throws {
        var theirs = start.folder
        if let first = start.file { try beginFolder(server: theirs.server, file: first) }
        while !isDone(theirs) {
            var isOpen = false
            do {
                let reader = try await peer.reader(from: here, in: theirs, behind: try tail())
                isOpen = true
                if isOriginal { log.setCopying(reader) }
                defer {
                    if isOriginal { log.setCopying(nil) }
                    reader.close()
                }
                log.board.update {
                    $0.state = .running
                    $0.reason = nil
                }
                opened()
                while !isDone(theirs) {
                    let chunk = try await reader.next()
                    try await take(chunk, isDry: !reader.hasMore)
                }
            } catch StreamError.upstreamChanged {
                // Also when it says so at once: the peer has cut what is unfinished here.
                if let next = try await crossBorder(peer, theirs) {
                    theirs = next
                } else if !isOpen {
                    throw StreamError.upstreamChanged
                }
            }
        }
        log.window.setDry(true)
    }

    /// Ends the folder where the peer has ended it, and begins the next one.
    ///
    /// - Returns: the peer's next folder; `nil` when this one is not read to its end yet.
    private func crossBorder(
        _ peer: any RelayPeer, _ theirs: RelayFolder
    ) async throws -> RelayFolder? {
        let contents = try await peer.contents()
        guard let index = contents.firstIndex(where: { $0.folder == theirs }),
            let end = contents[index].end
        else {
            throw RelayError.missing("\(theirs)/\(here)", asked: Self.words(contents))
        }
        guard index + 1 < contents.count, let first = contents[index + 1].files.first else {
            // It has been announced, and gets its first file in this moment.
            try await Task.sleep(for: .milliseconds(20))
            return nil
        }
        if here < end { return nil }
        // What the old server did not finish, it never will: the peer has cut it, if there was any.
        guard end.file == name, end.offset >= log.catalog.liveIndex.end else {
            throw StreamError.sourceLostEvents(
                "the relay log of \(peer.name) ends \(theirs) at \(end), and transactions behind "
                    + "that were read of it before")
        }
        if end.offset < length { try file?.truncate(to: end.offset) }
        length = end.offset
        log.catalog.publish(end.offset)
        let next = contents[index + 1].folder
        log.board.warn("the upstream is \(next.server) now")
        try beginFolder(server: next.server, file: first.name)
        return next
    }

    /// The newest events here, from the last whole transaction on.
    private func tail() throws -> EventTail {
        let newest = log.catalog.liveIndex.newest
        var tail = EventTail(at: BinlogPosition(file: name, offset: newest))
        guard let file, let folder, length > newest else { return tail }
        // What is damaged here would look like something that the peer has lost.
        func damage(_ offset: UInt64, _ detail: String) -> DamagedEvent {
            DamagedEvent(
                path: file.path, folder: folder, file: name, offset: offset, detail: detail)
        }
        guard let checksum = try FileScan.format(file)?.checksum else {
            throw damage(4, "its format event")
        }
        var capacity = 256 << 10
        while tail.end < length, tail.end - newest < EventTail.limit {
            let at = tail.end
            let room = min(capacity, Int(length - at))
            let piece = try unsafe EventChunk.read(
                name, at: at, capacity: room, checksum: checksum
            ) { buffer in
                try unsafe file.read(
                    UnsafeMutableRawBufferPointer(rebasing: buffer.prefix(room)), at: at)
            }
            switch piece {
            case .events(let chunk): tail.take(chunk, restarts: false)
            case .needs(let size) where size <= Int(length - at): capacity = size
            case .needs, .incomplete: return tail
            case .damaged(let what): throw damage(at, what)
            }
        }
        return tail
    }
}
