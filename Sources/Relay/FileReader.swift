internal import Glibc
internal import MySQLBinlog
internal import MySQLCore
internal import Stream

/// Reads a relay log's files from a place on, from file to file and from folder to folder, as far
/// as they are published. One task at a time.
final class FileReader {
    private let catalog: Catalog
    /// Where the next event is.
    private(set) var place: WindowPlace
    /// Transactions that are left out, until everything of it has been passed.
    private(set) var skipped: GTIDState?
    /// Whether it goes on where the server changed.
    private let crossesServers: Bool
    /// An event that is cut short at the end of all is not there yet: no damage.
    private let endsQuietly: Bool
    private var hasEnded = false
    /// The file that the one that is read says will follow, once its last event has been read.
    private var announced: String?
    private var file: OpenFile?
    private var checksum = ChecksumAlgorithm.none
    /// The format of the file that was read last.
    private(set) var format: FormatDescription?
    private var capacity = pieceBytes
    private var isSkipping = false
    private let pool = ChunkPool(pieceBytes: pieceBytes, limit: 32)
    private static let pieceBytes = 256 << 10

    init(
        _ catalog: Catalog, at place: WindowPlace, skipping gtids: GTIDState?,
        crossesServers: Bool, endsQuietly: Bool = false
    ) {
        self.endsQuietly = endsQuietly
        self.catalog = catalog
        self.place = place
        skipped = gtids
        self.crossesServers = crossesServers
    }

    /// The next events; `nil` at the end of what is published.
    ///
    /// - Throws: ``RelayError``, ``DamagedEvent`` (what follows can be read when it is repaired),
    ///   `StreamError.upstreamChanged` at the end of a folder.
    func next() throws -> EventChunk? {
        while true {
            guard let (folder, entry, _) = catalog.entry(place) else {
                if isAheadOfAll { return nil }
                throw RelayError.missing(
                    "\(place.position)", asked: "the relay log \(catalog.directory.path)")
            }
            if place.position.offset > entry.size, entry.isClosed { try passEnd(entry) }
            if place.position.offset >= entry.size {
                guard entry.isClosed, let next = catalog.place(after: place) else { return nil }
                try requireNext(next)
                try move(to: next)
                continue
            }
            guard let chunk = try read(folder, entry) else {
                if hasEnded { return nil }
                continue
            }
            place.position.offset = chunk.range.end
            if let kept = filtered(chunk) { return kept }
        }
    }

    /// Whether the place is in a file that the writer has not begun yet: a reader was given what a
    /// writer that ended then did not get to write.
    private var isAheadOfAll: Bool {
        guard let shelf = catalog.shelves.last, shelf.folder.number == place.segment,
            let end = shelf.end
        else { return false }
        return end.position.fileNumber < place.position.fileNumber
    }

    /// The place lies behind the end of a file that does not grow any more.
    private func passEnd(_ entry: Catalog.Entry) throws {
        if let next = catalog.place(after: place), next.segment != place.segment {
            // What the old server did not finish was cut.
            try requireNoHole(before: next)
            throw StreamError.upstreamChanged
        }
        throw RelayError.missing(
            "\(place.position), behind the end of the file at \(entry.size),",
            asked: "the relay log \(catalog.directory.path)")
    }

    /// Goes on at another place: behind events that came another way.
    func jump(to place: WindowPlace) {
        if place.segment != self.place.segment || place.position.file != self.place.position.file {
            file = nil
            announced = nil
        }
        self.place = place
    }

    /// The next folder can be one of the same server that begins with a later file: nobody needed
    /// what was between when it began. To begin again would lead here once more.
    private func requireNoHole(before next: WindowPlace) throws {
        guard let here = catalog.folder(place.segment), let there = catalog.folder(next.segment),
            here.server == there.server,
            next.position.fileNumber > place.position.fileNumber
        else { return }
        throw RelayError.missing(
            "what lies between \(here)/\(place.position) and \(there)/\(next.position)",
            asked: "the relay log \(catalog.directory.path)")
    }

    /// A file that somebody has removed, or that was lost with its disk, is no end of the stream:
    /// what follows in the folder may be a later one. A file that ends in order names the next;
    /// behind one that a crash has ended it has the next number.
    private func requireNext(_ next: WindowPlace) throws {
        guard next.segment == place.segment else { return }
        let follows =
            announced.map { $0 == next.position.file }
            ?? (next.position.fileNumber == place.position.fileNumber &+ 1)
        if try follows || announced == nil && isContinued(by: next) { return }
        throw RelayError.missing(
            "what lies between \(place.position) and \(next.position)",
            asked: "the relay log \(catalog.directory.path)")
    }

    /// Whether a file begins with all GTIDs that there are at the end of this one: servers pass
    /// over numbers when they find files that they do not know.
    private func isContinued(by next: WindowPlace) throws -> Bool {
        guard let shelf = catalog.shelves.first(where: { $0.folder.number == place.segment }),
            let here = shelf.files.first(where: { $0.name == place.position.file }),
            let there = shelf.files.first(where: { $0.name == next.position.file })
        else { return false }
        let before = try catalog.previous(shelf.folder, there)
        return try !before.description.isEmpty && before == catalog.index(shelf.folder, here).gtids
    }

    /// Goes on with another file, and checks that nothing is missing where the server changed.
    func move(to next: WindowPlace) throws {
        if next.segment != place.segment {
            try requireNoHole(before: next)
            guard crossesServers else { throw StreamError.upstreamChanged }
            var known = try catalog.gtids(atEndOf: place.segment)
            if let skipped { known.formUnion(skipped) }
            guard let (folder, entry, _) = catalog.entry(next) else { return }
            let needed = try catalog.previous(folder, entry)
            guard known.isSuperset(of: needed) else {
                throw RelayError.missing(
                    "what lies between \(known) and \(needed)",
                    asked: "the relay log \(catalog.directory.path)")
            }
            skipped = known
        } else if let skipped, let (folder, entry, _) = catalog.entry(next),
            case let before = try catalog.previous(folder, entry), before != .none,
            before.isSuperset(of: skipped)
        {
            self.skipped = nil
        }
        file = nil
        announced = nil
        capacity = Self.pieceBytes
        place = next
    }

    private func read(_ folder: RelayFolder, _ entry: Catalog.Entry) throws -> EventChunk? {
        let path = catalog.directory.file(folder, entry.name)
        let file: OpenFile
        if let open = self.file {
            file = open
        } else {
            file = try OpenFile(path, O_RDONLY)
            guard let format = try FileScan.format(file) else {
                throw damage(path, folder, 4, "its format event")
            }
            checksum = format.checksum
            self.format = format
            self.file = file
        }
        let at = place.position.offset
        let room = min(capacity, Int(entry.size - at))
        let piece = try unsafe EventChunk.read(
            entry.name, at: at, capacity: room, checksum: checksum, pool: pool
        ) { buffer in
            try unsafe file.read(
                UnsafeMutableRawBufferPointer(rebasing: buffer.prefix(room)), at: at)
        }
        switch piece {
        case .events(let chunk):
            capacity = Self.pieceBytes
            if let last = chunk.entries.last, last.type == EventType.rotate.rawValue {
                announced = try? RotateEvent(chunk.event(last)).file
            }
            return chunk
        case .needs(let size) where UInt64(size) <= entry.size - at:
            capacity = size
            return nil
        case .needs, .incomplete:
            if endsQuietly, catalog.entry(place)?.isLast == true {
                hasEnded = true
                return nil
            }
            throw damage(path, folder, at, "it is cut short there")
        case .damaged(let what):
            throw damage(path, folder, at, what)
        }
    }

    private func damage(
        _ path: String, _ folder: RelayFolder, _ offset: UInt64, _ what: String
    ) -> DamagedEvent {
        file = nil
        return DamagedEvent(
            path: path, folder: folder, file: place.position.file, offset: offset, detail: what)
    }

    /// Leaves out the transactions that are to be skipped.
    func filtered(_ chunk: EventChunk) -> EventChunk? {
        guard let skipped else { return chunk }
        return chunk.filtered { entry in
            let type = EventType(rawValue: entry.type)
            switch type {
            case .gtid, .taggedGTID, .anonymousGTID, .mariadbGTID:
                let identity = GroupTracker.identity(of: chunk.event(entry), type)
                isSkipping = identity.map { skipped.contains($0) } ?? false
                return !isSkipping
            case .formatDescription, .rotate, .stop, .previousGTIDs, .gtidList,
                .binlogCheckpoint, .heartbeat, .heartbeatV2:
                return true
            default:
                return !isSkipping
            }
        }
    }
}

/// An event of a relay log's file that is not what was written.
struct DamagedEvent: Error, Hashable {
    var path: String
    var folder: RelayFolder
    var file: String
    var offset: UInt64
    var detail: String

    /// The error for whoever can't repair it.
    func error(_ more: String = "") -> RelayError {
        .damaged(path: path, offset: offset, detail: detail + more)
    }
}
