internal import CDeflate

/// An event that says nothing, in place of one that a server keeps to itself: in the files that an
/// encrypting MariaDB writes, START_ENCRYPTION is behind the format event. MariaDB 10.11.19 sends
/// it, flagged as ignorable; versions that send the format event by itself (sql_repl.cc,
/// send_format_descriptor_event) read over it. What follows keeps its place by this one.
///
/// It is IGNORABLE (28) with the flag that says so, which every reader of binlogs passes over.
public enum FillerEvent {
    /// Bytes that START_ENCRYPTION can take: header, scheme (1), key version (4), nonce (12), and
    /// the checksum; a few more are for other schemes.
    public static let sizes = 36...64

    /// The event.
    ///
    /// - Parameters:
    ///   - position: where it starts in its file.
    ///   - size: its size in bytes, checksum included; at least a header's and a checksum's.
    public static func make(
        at position: UInt64, size: Int, checksum: ChecksumAlgorithm
    ) -> [UInt8] {
        var event = [UInt8](repeating: 0, count: size)
        func put(_ value: UInt32, at offset: Int) {
            for i in 0..<4 { event[offset + i] = UInt8(truncatingIfNeeded: value >> (8 * i)) }
        }
        event[4] = EventType.ignorable.rawValue
        put(UInt32(size), at: 9)
        put(UInt32(truncatingIfNeeded: position + UInt64(size)), at: 13)
        event[17] = UInt8(EventFlags.ignorable.rawValue)
        if checksum == .crc32 {
            let sum = unsafe event.withUnsafeBytes { bytes in
                unsafe libdeflate_crc32(0, bytes.baseAddress, size - 4)
            }
            put(sum, at: size - 4)
        }
        return event
    }
}
