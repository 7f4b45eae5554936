public import MySQLCore

/// How a file's events end.
public enum ChecksumAlgorithm: UInt8, Sendable, Hashable {
    /// Events have no checksum.
    case none = 0
    /// Four bytes CRC32, as zlib computes it.
    case crc32 = 1
}

/// The format event at the head of every file and stream.
///
///     offset 19  u16     binlog version, 4
///            21  50 B    server version, zero padded
///            71  u32     when the server started, 0 but in the first file after a start
///            75  u8      length of headers, 19
///            76  u8 ..   length of the fixed part of each event type, from type 1 on
///            -5  u8      checksum algorithm
///            -4  u32     checksum of this event, also where the algorithm is none
public struct FormatDescription: Sendable, Hashable {
    /// The file format's version; only 4 exists.
    public var binlogVersion: UInt16
    /// The server that wrote the file.
    public var serverVersion: ServerVersion
    /// When that server started, in seconds since 1970; not 0 only in the first file after that,
    /// which tells a replica that all sessions (and their temporary tables) are gone.
    public var created: UInt32
    /// Length of event headers.
    public var headerLength: UInt8
    /// Length of the fixed part of event type `index + 1`.
    public var postHeaderLengths: [UInt8]
    /// How events end. A stream may differ from the file that it is read from: what was negotiated
    /// counts, so this can be set.
    public var checksum: ChecksumAlgorithm

    /// The family of the server that wrote the file.
    public var family: ServerFamily { serverVersion.family }

    /// Length of the fixed part of events of a type; 0 where the writer knows no such type.
    public func postHeaderLength(_ type: EventType) -> Int {
        let index = Int(type.rawValue) - 1
        return postHeaderLengths.indices.contains(index) ? Int(postHeaderLengths[index]) : 0
    }

    /// Decodes a format event, its checksum included.
    public init(_ event: RawSpan) throws(BinlogError) {
        let header = try EventHeader(event)
        let type = EventType.formatDescription
        guard header.type == type else {
            throw malformed(header.type, at: 4, "a format event was expected")
        }
        var cursor = try Cursor(event, type, at: EventHeader.size)
        binlogVersion = try cursor.u16("the binlog version")
        guard binlogVersion == 4 else {
            throw BinlogError(
                .unsupportedFormat, type, at: 19, "binlog version \(binlogVersion) is not 4")
        }
        let version = try cursor.bytes(50, "the server version")
        serverVersion = ServerVersion(
            String(decoding: version.prefix { $0 != 0 }, as: UTF8.self))
        created = try cursor.u32("the creation time")
        headerLength = try cursor.u8("the header length")
        guard headerLength == EventHeader.size else {
            throw BinlogError(
                .unsupportedFormat, type, at: 75, "headers of \(headerLength) bytes")
        }
        guard cursor.left > 5 else { throw truncated(type, at: cursor.at, "the type table") }
        postHeaderLengths = try cursor.bytes(cursor.left - 5, "the type table")
        let algorithm = try cursor.u8("the checksum algorithm")
        guard let checksum = ChecksumAlgorithm(rawValue: algorithm) else {
            throw BinlogError(
                .unsupportedFormat, type, at: cursor.at - 1, "checksum algorithm \(algorithm)")
        }
        self.checksum = checksum
        try checkLengths()
    }

    /// The decoders rely on these fixed parts; other lengths are those of servers before their
    /// release, whose events would be read wrong.
    private func checkLengths() throws(BinlogError) {
        let expected: [(EventType, Int)] = [
            (.query, 13), (.rotate, 8), (.tableMap, 8), (.writeRowsV1, 8), (.updateRowsV1, 8),
            (.deleteRowsV1, 8), (.writeRows, 10), (.updateRows, 10), (.deleteRows, 10),
            (.partialUpdateRows, 10), (.mariadbGTID, 19), (.gtidList, 4),
        ]
        for (type, length) in expected {
            let found = postHeaderLength(type)
            guard found == length || found == 0 else {
                throw BinlogError(
                    .unsupportedFormat, .formatDescription, at: 75 + Int(type.rawValue),
                    "the fixed part of \(type) events has \(found) bytes, not \(length)")
            }
        }
    }

    /// An event without its checksum, header included: what all decoders take. All offsets that
    /// they return count from the start of the header.
    @inline(__always)
    @_lifetime(copy event)
    public func body(of event: RawSpan) throws(BinlogError) -> RawSpan {
        try Self.body(of: event, checksum: checksum)
    }

    /// The same before a format event is known, for example for the rotate event that starts every
    /// stream, which has a checksum if one was negotiated.
    @inline(__always)
    @_lifetime(copy event)
    public static func body(
        of event: RawSpan, checksum: ChecksumAlgorithm
    ) throws(BinlogError) -> RawSpan {
        // Format events carry a checksum whatever the algorithm is.
        guard event.byteCount > EventHeader.size else { return event }
        guard checksum == .crc32 || event.u8(4) == 15 else { return event }
        guard event.byteCount >= EventHeader.size + 4 else {
            throw truncated(EventType(event.u8(4)), at: event.byteCount, "its checksum")
        }
        return event.extracting(droppingLast: 4)
    }
}
