/// Where a stream of bytes stands between MySQL's packets: three bytes of payload length, one of
/// sequence number, payload.
struct PacketFraming {
    /// What a step found at the head of the bytes.
    enum Step {
        /// Bytes that pass as they are.
        case piece(ArraySlice<UInt8>)
        /// A whole packet, header included.
        case packet([UInt8])
        /// The beginning of a packet, kept until the rest comes.
        case incomplete
    }

    /// The packet that is being collected whole.
    private var partial: [UInt8] = []
    /// The header of a packet that passes in pieces, as far as it has come.
    private var header: [UInt8] = []
    /// Bytes still to come of the packet that passes in pieces.
    private var rest = 0

    /// Takes bytes from the head of what has come.
    ///
    /// - Parameter wholePackets: collect packets from the next packet's beginning on. A packet of
    ///   which a part has passed already passes to its end.
    mutating func take(_ bytes: inout ArraySlice<UInt8>, wholePackets: Bool) -> Step {
        if rest > 0 {
            let piece = bytes.prefix(rest)
            rest -= piece.count
            bytes = bytes.dropFirst(piece.count)
            return .piece(piece)
        }
        if header.isEmpty, wholePackets || !partial.isEmpty { return collect(&bytes) }
        let piece = bytes.prefix(4 - header.count)
        bytes = bytes.dropFirst(piece.count)
        header += piece
        if header.count == 4 {
            rest = Self.length(header)
            header = []
        }
        return .piece(piece)
    }

    private mutating func collect(_ bytes: inout ArraySlice<UInt8>) -> Step {
        var wanted = 4 - partial.count
        if wanted <= 0 { wanted += Self.length(partial) }
        let piece = bytes.prefix(wanted)
        bytes = bytes.dropFirst(piece.count)
        partial += piece
        guard partial.count >= 4, partial.count == 4 + Self.length(partial) else {
            return .incomplete
        }
        defer { partial = [] }
        return .packet(partial)
    }

    private static func length(_ header: [UInt8]) -> Int {
        Int(header[0]) | Int(header[1]) << 8 | Int(header[2]) << 16
    }
}
