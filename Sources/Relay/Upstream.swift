internal import Glibc
internal import MySQLBinlog
internal import MySQLClient
internal import MySQLCore
internal import Stream

/// A connected source, with everything checked that must hold before a byte of it is taken.
struct Upstream {
    let stream: DirectStream
    /// Where the stream goes on: behind what is there already.
    let place: WindowPlace
    /// Events that came with the check, behind the place.
    var rest: EventChunk?
    /// The folder is a new one: another server answers.
    var isFolderNew = false
}

/// Questions to a source before its events are read.
struct UpstreamSession {
    let options: ConnectionOptions
    let serverID: UInt32
    let session: SourceSession
    let server: ServerUUID
    /// The server as folders are named after it.
    let folderName: String
    let files: [(name: String, size: UInt64)]
    /// Ends what a connection here is waited for.
    private let interruption: Interruption

    init(_ options: ConnectionOptions, serverID: UInt32, interruption: Interruption) throws {
        self.options = options
        self.serverID = serverID
        self.interruption = interruption
        let connection = try Connection(options)
        interruption.watch(connection.interrupter)
        session = SourceSession(connection)
        server = try session.serverName()
        if connection.family == .mariadb {
            let value = try connection.value("SELECT @@global.gtid_domain_id") ?? "0"
            guard let domain = UInt32(value) else {
                throw StreamError.unreadable("\(value) is no domain's number")
            }
            folderName = "\(domain)-\(server.low)"
        } else {
            folderName = server.description
        }
        files = try session.files()
        if files.isEmpty { throw StreamError.noBinlog }
    }

    /// The id of another connection: two with one id would throw each other out.
    private var secondID: UInt32 { serverID ^ 0x2000_0000 }

    /// Starts the stream at what is already there, and compares the newest transaction with it.
    ///
    /// - Parameters:
    ///   - folder: the one that the file is in.
    ///   - place: the end of the last file.
    ///   - newest: where its newest transaction starts; 4 when there is none.
    /// - Throws: `StreamError.sourceLostEvents` when the source has something else;
    ///   ``DamagedEvent`` when what differs is not what was written here.
    func resume(
        _ file: OpenFile, in folder: RelayFolder, at place: WindowPlace, newest: UInt64
    ) throws -> Upstream {
        let name = place.position.file
        let end = place.position.offset
        guard let theirs = files.first(where: { $0.name == name }) else {
            let oldest = BinlogPosition(file: files[0].name, offset: 4)
            guard place.position < oldest else {
                throw StreamError.sourceLostEvents("it has no \(name) any more, only older files")
            }
            throw StreamError.purged(place.position, detail: "oldest file: \(oldest.file)")
        }
        guard theirs.size >= end else {
            throw StreamError.sourceLostEvents(
                "its \(name) ends at \(theirs.size), and \(end) was read of it before")
        }
        if newest > 4 { try compareHead(file, folder, name) }
        let stream = try stream(from: BinlogPosition(file: name, offset: newest))
        var reached = newest
        while reached < end {
            let chunk: EventChunk
            do {
                chunk = try stream.next()
                try Task.checkCancellation()
            } catch let error as MySQLError where error.code == MySQLErrorCode.binlogReadFailed {
                throw StreamError.sourceLostEvents(error.message)
            }
            for entry in chunk.entries where EventChunk.isInFile(entry) {
                guard entry.position < end else { break }
                guard chunk.file == name, entry.endPosition <= end,
                    try isEqual(chunk.wholeEvent(entry), file, at: entry.position)
                else {
                    if chunk.file == name {
                        try requireSound(file, folder, name, entry.position, upTo: end)
                    }
                    throw StreamError.sourceLostEvents(
                        "the event at \(name):\(entry.position) is another one now")
                }
                reached = entry.endPosition
            }
            if reached >= end {
                let rest = chunk.filtered { $0.position >= end }
                return Upstream(stream: stream, place: place, rest: rest)
            }
        }
        return Upstream(stream: stream, place: place)
    }

    /// The stream, from the server that was asked about everything else. Behind a virtual address
    /// another one may answer by now: then all is asked again.
    private func stream(from position: BinlogPosition) throws -> DirectStream {
        do {
            return try DirectStream(
                options, from: .position(position), serverID: serverID, on: server,
                interruption: interruption)
        } catch StreamError.upstreamChanged {
            throw ChangingUpstream(
                description: "\(options.server) led to another server than a moment ago")
        }
    }

    /// Whether an event is the one in the file. A format event is compared without its flags, one
    /// of which says that the server still writes the file.
    private func isEqual(_ event: RawSpan, _ file: OpenFile, at offset: UInt64) throws -> Bool {
        var ours = try file.bytes(event.byteCount, at: offset)
        var theirs = unsafe event.withUnsafeBytes { unsafe Array($0) }
        if theirs.count > 23, theirs[4] == EventType.formatDescription.rawValue {
            for index in [17, 18] + Array((theirs.count - 4)..<theirs.count)
            where index < ours.count {
                ours[index] = 0
                theirs[index] = 0
            }
        }
        return ours == theirs
    }

    /// Throws when an event that differs from the source's is damaged: that says nothing of the
    /// source.
    private func requireSound(
        _ file: OpenFile, _ folder: RelayFolder, _ name: String, _ offset: UInt64,
        upTo end: UInt64
    ) throws {
        let scan = FileScan(file: file, name: name)
        guard let detail = try scan.damage(at: offset, upTo: end) else { return }
        throw DamagedEvent(
            path: file.path, folder: folder, file: name, offset: offset, detail: detail)
    }

    /// Compares the file's first event, which names the life of the binlog.
    private func compareHead(_ file: OpenFile, _ folder: RelayFolder, _ name: String) throws {
        let start = BinlogPosition(file: name, offset: 4)
        var isSame: Bool?
        try head(start) { span, header in
            guard header.type == .formatDescription else { return true }
            isSame = try isEqual(span, file, at: 4)
            return false
        }
        guard isSame == true else {
            try requireSound(file, folder, name, 4, upTo: file.size)
            throw StreamError.sourceLostEvents("its \(name) begins differently now")
        }
    }

    /// Reads a file's first events until `body` returns false.
    private func head(
        _ start: BinlogPosition, _ body: (RawSpan, EventHeader) throws -> Bool
    ) throws {
        let connection = try Connection(options)
        interruption.watch(connection.interrupter)
        guard try SourceSession(connection).serverName() == server else {
            throw ChangingUpstream(
                description: "\(options.server) led to another server than a moment ago")
        }
        let dump = try BinlogDump(
            connection, from: .position(start), serverID: secondID, waits: false)
        while true {
            let goesOn: Bool? = try unsafe dump.next { packet in
                let span = unsafe RawSpan(_unsafeBytes: packet)
                return try body(span, EventHeader(span))
            }
            if goesOn != true { break }
        }
    }

    /// Whether a position's file is there: only the server itself can say.
    func hasFile(_ position: BinlogPosition, of server: ServerUUID) -> Bool {
        server == self.server && files.contains { $0.name == position.file }
    }

    /// Starts a stream at a file's first event.
    func begin(file: String, segment: Int) throws -> Upstream {
        let position = BinlogPosition(file: file, offset: 4)
        return Upstream(
            stream: try stream(from: position),
            place: WindowPlace(segment: segment, position: position),
            isFolderNew: true)
    }

    /// The newest file that has everything behind a set of transactions.
    func file(behind gtids: GTIDState) throws -> String {
        var oldest = GTIDState.none
        for file in files.reversed() {
            oldest = try previous(file.name)
            if oldest != .none, gtids.isSuperset(of: oldest) { return file.name }
        }
        throw RelayError.missing(
            "what lies between \(gtids) and \(oldest)", asked: options.server)
    }

    /// The GTIDs before a file.
    func previous(_ name: String) throws -> GTIDState {
        var builder = IndexBuilder()
        var checksum = ChecksumAlgorithm.none
        try head(BinlogPosition(file: name, offset: 4)) { span, header in
            switch header.type {
            case .formatDescription:
                checksum = try FormatDescription(span).checksum
                return true
            case .previousGTIDs, .gtidList:
                builder.take(
                    header.type, try FormatDescription.body(of: span, checksum: checksum), at: 4,
                    end: 4)
                return false
            case .rotate: return true
            default: return header.flags.contains(.artificial) || header.type == .startEncryption
            }
        }
        return builder.finished().previous
    }

    /// MariaDB's GTIDs from a file on, in order.
    func gtids(from name: String, _ body: (MariaDBGTID) throws -> Void) throws {
        var checksum = ChecksumAlgorithm.none
        try head(BinlogPosition(file: name, offset: 4)) { span, header in
            if header.type == .formatDescription {
                checksum = try FormatDescription(span).checksum
            } else if header.type == .mariadbGTID {
                let event = try FormatDescription.body(of: span, checksum: checksum)
                try body(MariaDBGTIDEvent(event).gtid)
            }
            return true
        }
    }

    /// Up to where a file here is the same as the server's; 4 when nothing is. What is damaged here
    /// is no difference, as long as something behind it is the same.
    func agreement(_ file: OpenFile, _ name: String, upTo size: UInt64) throws -> UInt64 {
        guard let theirs = files.first(where: { $0.name == name }) else { return 4 }
        let limit = min(theirs.size, size)
        guard limit > 4 else { return 4 }
        let stream = try stream(from: BinlogPosition(file: name, offset: 4))
        let scan = FileScan(file: file, name: name)
        var (reached, compared): (UInt64, UInt64) = (4, 4)
        while compared < limit {
            let chunk: EventChunk
            do {
                chunk = try stream.next()
                try Task.checkCancellation()
            } catch let error as MySQLError where error.code == MySQLErrorCode.binlogReadFailed {
                return reached
            }
            for entry in chunk.entries where EventChunk.isInFile(entry) {
                guard chunk.file == name, entry.endPosition <= limit else { return reached }
                if try isEqual(chunk.wholeEvent(entry), file, at: entry.position) {
                    reached = entry.endPosition
                } else if try scan.damage(at: entry.position, upTo: size) == nil {
                    return reached
                }
                compared = entry.endPosition
            }
        }
        return reached
    }
}

/// Two connections, made one after the other, were to two servers.
struct ChangingUpstream: Error, CustomStringConvertible {
    let description: String
}
