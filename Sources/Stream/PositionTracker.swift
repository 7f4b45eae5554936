public import MySQLBinlog
public import MySQLCore

/// Counts where events are in their file, in 64 bits: `log_pos` has 32, is 0 inside MariaDB 11.4's
/// groups, and events that the server makes up for a reader are in no file at all.
public struct PositionTracker: Sendable, Hashable {
    /// The file that the next event is in.
    public private(set) var file: String
    /// Where the next event starts.
    public private(set) var offset: UInt64

    /// Starts at a position; a stream's first ROTATE event corrects it.
    public init(_ position: BinlogPosition) {
        file = position.file
        offset = position.offset
    }

    /// Where an event starts and ends in its file, and moves on.
    ///
    /// - Returns: start and end; equal for an event that is in no file.
    public mutating func advance(
        _ header: EventHeader, _ event: RawSpan
    ) throws(BinlogError) -> (start: UInt64, end: UInt64) {
        let start = offset
        // Far from what any file has, near to what would overflow.
        guard start < 1 << 62 else {
            throw BinlogError(.malformed, header.type, at: 0, "a position beyond all files")
        }
        if header.type == .rotate {
            let rotate = try RotateEvent(event)
            // A made-up ROTATE opens every stream; the file's own one closes it.
            file = rotate.file
            offset = rotate.position
            return rotate.isArtificial ? (start, start) : (start, start + UInt64(header.size))
        }
        if header.type == .heartbeat || header.type == .heartbeatV2
            || header.flags.contains(.artificial)
        {
            return (start, start)
        }
        if header.logPosition == 0 {
            // What a server sends ahead of a start inside a file.
            if header.type == .formatDescription || header.type == .startEncryption {
                return (start, start)
            }
            offset = start + UInt64(header.size)
            return (start, offset)
        }
        let end = Self.widen(header.logPosition, notBelow: start + UInt64(header.size))
        offset = end
        return (end - UInt64(header.size), end)
    }

    /// The 64-bit offset with these low 32 bits that is nearest at or above `expected`. Servers may
    /// leave out events (a GTID start), never repeat any.
    static func widen(_ low: UInt32, notBelow expected: UInt64) -> UInt64 {
        var value = expected & ~0xFFFF_FFFF | UInt64(low)
        if value < expected { value += 1 << 32 }
        return value
    }
}
