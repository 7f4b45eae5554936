internal import Glibc
internal import MySQLBinlog
internal import MySQLClient
internal import MySQLCore
internal import Stream

/// Gets events that were damaged on disk again: from the server that wrote them, or, when that has
/// them no more, from another worker's relay log.
struct Repair: Sendable {
    let source: ConnectionOptions
    let serverID: UInt32
    /// Asked after the source, in this order.
    let peers: [any RelayPeer]
    /// A file is read from its start for events beyond this offset: the protocol has no more bits.
    var offsetLimit = UInt64(UInt32.max)

    /// Why somebody could not help.
    private struct Unhelpful: Error {
        let why: String
        init(_ why: String) { self.why = why }
    }

    /// Puts one event in place again. It must be of the same life of the server's binlog, and lie
    /// where it lay, before a byte is written.
    ///
    /// - Throws: ``RelayError/damaged`` with who was asked, when it can't be had.
    func mend(_ damage: DamagedEvent) async throws {
        var asked: [String] = []
        do {
            let interruption = Interruption()
            let event = try await withTaskCancellationHandler {
                try askSource(damage, interruption)
            } onCancel: {
                // It may read gigabytes to get there.
                interruption.interrupt()
            }
            return try write(event, damage)
        } catch let error as Unhelpful {
            asked.append("\(source.server) was asked: \(error.why)")
        } catch let error as MySQLError {
            asked.append("\(source.server) was asked: \(error.message)")
        } catch let error as StreamError {
            asked.append("\(source.server) was asked: \(error)")
        }
        for peer in peers {
            do {
                return try write(try await ask(peer, damage), damage)
            } catch let error as Unhelpful {
                asked.append("\(peer.name) was asked: \(error.why)")
            } catch let error as StreamError {
                asked.append("\(peer.name) was asked: \(error)")
            } catch let error as RelayError {
                if case .system = error { throw error }
                asked.append("\(peer.name) was asked: \(error)")
            }
            try Task.checkCancellation()
        }
        // Somebody else who met it may have asked at the same time, and have been served.
        let file = try OpenFile(damage.path, O_RDONLY)
        let scan = FileScan(file: file, name: damage.file)
        if try scan.damage(at: damage.offset, upTo: file.size) == nil { return }
        throw damage.error(asked.map { "; \($0)" }.joined())
    }

    private func write(_ event: [UInt8], _ damage: DamagedEvent) throws {
        let end = UInt32(truncatingIfNeeded: damage.offset + UInt64(event.count))
        let header = try EventHeader(unsafe event.span.bytes)
        guard header.logPosition == end || header.logPosition == 0 else {
            throw Unhelpful("its event there lies somewhere else")
        }
        let file = try OpenFile(damage.path, O_RDWR)
        var done = 0
        if damage.offset == 4 {
            // What is in front of the first event may be what is damaged.
            try unsafe RelayDirectory.magic.withUnsafeBytes {
                try unsafe file.write($0, at: 0, done: &done)
            }
            done = 0
        }
        try unsafe event.withUnsafeBytes {
            try unsafe file.write($0, at: damage.offset, done: &done)
        }
        try file.sync()
    }

    /// Throws unless somebody's file begins like the damaged one: after RESET MASTER another life's
    /// events are under the same names.
    private func check(_ head: [UInt8], _ damage: DamagedEvent) throws {
        guard damage.offset != 4 else { return }
        let file = try OpenFile(damage.path, O_RDONLY)
        guard try FileScan.format(file) != nil else { return }
        guard Self.life(try file.bytes(head.count, at: 4)) == Self.life(head) else {
            throw Unhelpful("its \(damage.file) begins differently")
        }
    }

    /// A format event but for its flags and what they change: one of them says that the server
    /// still writes the file.
    private static func life(_ event: [UInt8]) -> [UInt8] {
        var event = event
        for index in [17, 18] where index < event.count { event[index] = 0 }
        return event.dropLast(4)
    }

    // MARK: the source

    private func askSource(
        _ damage: DamagedEvent, _ interruption: Interruption
    ) throws -> [UInt8] {
        let connection = try Connection(source)
        interruption.watch(connection.interrupter)
        let session = SourceSession(connection)
        guard try session.serverName() == damage.folder.serverName else {
            throw Unhelpful("it is another server than the one that wrote the file")
        }
        guard let file = try session.files().first(where: { $0.name == damage.file }) else {
            throw Unhelpful("it has no such file")
        }
        // Who asks for what may come waits for it.
        guard file.size > damage.offset else { throw Unhelpful("its file ends before that") }
        if damage.offset != 4 { try check(try fetch(damage, 4, interruption), damage) }
        return try fetch(damage, damage.offset, interruption)
    }

    /// The event at an offset of the server's file.
    private func fetch(
        _ damage: DamagedEvent, _ offset: UInt64, _ interruption: Interruption
    ) throws -> [UInt8] {
        let position = BinlogPosition(file: damage.file, offset: offset)
        let stream = try DirectStream(
            source, from: .position(position), serverID: serverID, offsetLimit: offsetLimit,
            on: damage.folder.serverName, interruption: interruption)
        while true {
            let chunk = try stream.next()
            try Task.checkCancellation()
            guard
                let first = chunk.entries.first(where: { entry in
                    EventChunk.isInFile(entry)
                        && (chunk.file != damage.file || entry.position >= offset)
                })
            else { continue }
            guard chunk.file == damage.file, first.position == offset else {
                throw Unhelpful("it has no event there")
            }
            return unsafe chunk.wholeEvent(first).withUnsafeBytes { unsafe Array($0) }
        }
    }

    // MARK: a peer

    private func ask(_ peer: any RelayPeer, _ damage: DamagedEvent) async throws -> [UInt8] {
        let shelf = try await peer.contents().last { shelf in
            shelf.folder.server == damage.folder.server
                && shelf.files.contains { $0.name == damage.file && $0.size > damage.offset }
        }
        guard let shelf else { throw Unhelpful("it does not have it either") }
        if damage.offset != 4 {
            try check(try await fetch(peer, shelf.folder, damage, 4), damage)
        }
        return try await fetch(peer, shelf.folder, damage, damage.offset)
    }

    /// The event at an offset of the peer's file.
    private func fetch(
        _ peer: any RelayPeer, _ folder: RelayFolder, _ damage: DamagedEvent, _ offset: UInt64
    ) async throws -> [UInt8] {
        let position = BinlogPosition(file: damage.file, offset: offset)
        let reader = try await peer.reader(
            from: position, in: folder, behind: EventTail(at: position))
        defer { reader.close() }
        while true {
            let chunk = try await reader.next()
            guard let first = chunk.entries.first(where: { EventChunk.isInFile($0) }) else {
                continue
            }
            guard chunk.file == damage.file, first.position == offset else {
                throw Unhelpful("it has no event there")
            }
            return unsafe chunk.wholeEvent(first).withUnsafeBytes { unsafe Array($0) }
        }
    }
}
