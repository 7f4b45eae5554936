internal import CDeflate

/// The nineteen bytes in front of every event.
///
///     offset  0  u32  timestamp, seconds since 1970 (0 in made-up events)
///             4  u8   type
///             5  u32  id of the server that wrote the event first
///             9  u32  size of the whole event, header and checksum included
///            13  u32  offset of the event's end in its file, modulo 2^32; 0 when unknown
///            17  u16  flags
public struct EventHeader: Sendable, Hashable {
    /// Bytes of a header.
    public static let size = 19

    /// Seconds since 1970; 0 in made-up events.
    public var timestamp: UInt32
    /// The event's type.
    public var type: EventType
    /// Id of the server that wrote the event first.
    public var serverID: UInt32
    /// Size of the whole event in bytes, header and checksum included.
    public var size: UInt32
    /// Where the event ends in its file, modulo 2^32. 0 where the server does not say: in events
    /// inside a payload, and in MariaDB 11.4 and later inside transactions. Positions are therefore
    /// counted by whoever follows the stream.
    public var logPosition: UInt32
    /// Flags.
    public var flags: EventFlags

    /// Reads the header at the start of `span`, which may hold more or less than the whole event.
    @inline(__always)
    public init(_ span: RawSpan) throws(BinlogError) {
        guard span.byteCount >= Self.size else {
            throw truncated(nil, at: span.byteCount, "its header")
        }
        timestamp = span.u32(0)
        type = EventType(span.u8(4))
        serverID = span.u32(5)
        size = span.u32(9)
        logPosition = span.u32(13)
        flags = EventFlags(rawValue: span.u16(17))
        if size < UInt32(Self.size) {
            throw malformed(type, at: 9, "the size of the event is less than its header")
        }
    }

    /// Throws unless `event` is exactly one event: as long as its header says.
    @inline(__always)
    public func checkSize(of event: RawSpan) throws(BinlogError) {
        guard Int(size) == event.byteCount else {
            throw malformed(type, at: 9, "the event is not as long as its header says")
        }
    }

    /// Whether the last four bytes are the CRC32 of all before them. A format event's checksum is
    /// that of a closed file, so its in-use flag counts as not set.
    public static func verifyChecksum(_ event: RawSpan) -> Bool {
        let content = event.byteCount - 4
        guard content >= size else { return false }
        let inUse = event.u8(4) == 15 && event.u8(17) & 1 != 0
        let sum = unsafe event.withUnsafeBytes { bytes -> UInt32 in
            guard let base = bytes.baseAddress else { return 0 }
            guard inUse else { return unsafe libdeflate_crc32(0, base, content) }
            var flags = event.u8(17) & 0xFE
            var sum = unsafe libdeflate_crc32(0, base, 17)
            sum = unsafe libdeflate_crc32(sum, &flags, 1)
            return unsafe libdeflate_crc32(sum, base + 18, content - 18)
        }
        return sum == event.u32(content)
    }
}
