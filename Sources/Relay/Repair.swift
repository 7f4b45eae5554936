internal import Glibc
internal import MySQLBinlog
internal import MySQLClient
internal import MySQLCore
internal import Stream

/// Gets events that were damaged on disk again from the server that wrote them.
struct Repair: Sendable {
    let source: ConnectionOptions
    let serverID: UInt32

    /// Puts one event in place again. It is compared with the place it has in the file before a
    /// byte is written.
    ///
    /// - Throws: ``RelayError/damaged`` with who was asked, when it can't be had.
    func mend(
        _ path: String, _ folder: RelayFolder, _ name: String, _ offset: UInt64, _ what: String
    ) throws {
        func failed(_ why: String) -> RelayError {
            .damaged(
                path: path, offset: offset, detail: "\(what); \(source.server) was asked: \(why)")
        }
        let event: [UInt8]
        do {
            let connection = try Connection(source)
            guard try SourceSession(connection).serverName() == folder.serverName else {
                throw failed("it is another server than the one that wrote the file")
            }
            guard let found = try fetch(connection, name, offset) else {
                throw failed("it has no event there")
            }
            event = found
        } catch let error as MySQLError {
            throw failed(error.message)
        }
        let end = UInt32(truncatingIfNeeded: offset + UInt64(event.count))
        let header = try EventHeader(unsafe event.span.bytes)
        guard header.logPosition == end || header.logPosition == 0 else {
            throw failed("its event there lies somewhere else")
        }
        let file = try OpenFile(path, O_RDWR)
        var done = 0
        try unsafe event.withUnsafeBytes { try unsafe file.write($0, at: offset, done: &done) }
        try file.sync()
    }

    /// The event at an offset of the server's file.
    private func fetch(
        _ connection: Connection, _ name: String, _ offset: UInt64
    ) throws -> [UInt8]? {
        let dump = try BinlogDump(
            connection, from: .position(BinlogPosition(file: name, offset: offset)),
            serverID: serverID, waits: false)
        var checksum = ChecksumAlgorithm.none
        var found: [UInt8]?
        while true {
            let goesOn: Bool? = try unsafe dump.next { packet in
                let span = unsafe RawSpan(_unsafeBytes: packet)
                let header = try EventHeader(span)
                if header.type == .formatDescription {
                    checksum = try FormatDescription(span).checksum
                    if offset != 4 { return true }
                }
                if header.type == .heartbeat { return true }
                if header.type == .rotate, header.timestamp == 0 { return true }
                if header.flags.contains(.artificial) { return true }
                if checksum == .crc32, !EventHeader.verifyChecksum(span) { return false }
                found = unsafe Array(packet)
                return false
            }
            if goesOn != true { break }
        }
        return found
    }
}
