internal import MySQLBinlog
public import MySQLClient
public import MySQLCore

extension Origin {
    /// The origin of a source's binlog file: the server's name and a digest of server version and
    /// creation time in the file's format event, read at offset 4. Flags and checksum are left
    /// out, since a dump changes them.
    ///
    /// - Parameter options: the source; a connection of its own is made, since a dump ends it.
    public static func read(
        _ options: ConnectionOptions, file: String, serverID: UInt32
    ) throws -> Origin {
        let connection = try Connection(options)
        let server = try SourceSession(connection).serverName()
        let dump = try BinlogDump(
            connection, from: .position(BinlogPosition(file: file, offset: 4)),
            // Not the id itself: a stream that has it already would be thrown out.
            serverID: serverID ^ 0x0040_0000, waits: false)
        var life: UInt64?
        while life == nil {
            let more: Bool? = try unsafe dump.next { packet in
                let span = unsafe RawSpan(_unsafeBytes: packet)
                let header = try EventHeader(span)
                guard header.type == .formatDescription else { return true }
                life = digest(try FormatDescription(span))
                return false
            }
            if more == nil { break }
        }
        guard let life else {
            throw StreamError.unreadable("file \(file) has no format event")
        }
        return Origin(server: server, life: life)
    }

    private static func digest(_ format: FormatDescription) -> UInt64 {
        var buffer = ByteBuffer(capacity: 128)
        buffer.append(format.serverVersion.description)
        return Digest.hash(buffer.bytes, seed: UInt64(format.created))
    }
}
