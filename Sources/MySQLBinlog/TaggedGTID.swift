internal import MySQLCore

// The GTID_TAGGED event (8.3 and later) is written by MySQL's serialization library: a version, the
// size of the message, the last field that must be understood, and then fields, each with its
// number in front. Integers take 1 to 9 bytes: as many as the first byte has trailing ones, plus
// one; the value is in the bits above, little-endian. Signed ones are zig-zag coded.

extension Cursor {
    /// An unsigned integer of 1 to 9 bytes.
    @_lifetime(self: copy self)
    mutating func varlen(_ what: StaticString) throws(BinlogError) -> UInt64 {
        let first = try u8(what)
        let more = (~first).trailingZeroBitCount
        let start = try take(more, what)
        if more == 8 { return span.u64(start) }
        let high = more == 0 ? 0 : span.little(start, more)
        // Eight bits less the ones and the zero behind them are in the first byte.
        let inFirst = UInt64(7 - more)
        return UInt64(first) >> UInt64(more + 1) | high << inFirst
    }

    /// The same for a signed integer.
    @_lifetime(self: copy self)
    mutating func varlenSigned(_ what: StaticString) throws(BinlogError) -> Int64 {
        let raw = try varlen(what)
        let magnitude = Int64(bitPattern: raw >> 1)
        return raw & 1 == 0 ? magnitude : ~magnitude
    }

    /// A tag: its length in a variable-length integer, then at most 32 characters.
    @_lifetime(self: copy self)
    mutating func tag() throws(BinlogError) -> String {
        let length = try varlen("a tag's length")
        guard length <= 32 else { throw malformed(event, at: at, "a tag exceeds 32 characters") }
        let text = try text(Int(length), "a tag")
        let fits = text.utf8.enumerated().allSatisfy { i, c in
            switch c {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "_"): true
            case UInt8(ascii: "0")...UInt8(ascii: "9"): i > 0
            default: false
            }
        }
        guard fits else { throw malformed(event, at: at, "a tag has an invalid character") }
        return text
    }
}

extension GTIDEvent {
    /// Last field that this version understands.
    private static let lastKnownField: UInt64 = 11

    /// Reads the fields of an event of type 42.
    mutating func readTagged(_ cursor: inout Cursor) throws(BinlogError) {
        let start = cursor.at
        let version = try cursor.varlen("the serialization's version")
        guard version == 1 else {
            throw BinlogError(
                .unsupportedFormat, .taggedGTID, at: start, "serialization version \(version)")
        }
        let size = try cursor.varlen("the message's size")
        guard size >= UInt64(cursor.at - start), size - UInt64(cursor.at - start) <= cursor.left
        else { throw truncated(.taggedGTID, at: cursor.at, "the message") }
        var fields = try cursor.part(size - UInt64(cursor.at - start), "the message")
        // A field that must not be skipped and is not known makes the event unreadable.
        let needed = try fields.varlen("the last field that is needed")
        guard needed <= Self.lastKnownField + 1 else {
            throw BinlogError(
                .unsupportedFormat, .taggedGTID, at: fields.at, "field \(needed) is not known")
        }
        var seen: UInt64 = 0
        while !fields.isAtEnd {
            let field = try fields.varlen("a field's number")
            guard field <= Self.lastKnownField else { break }
            guard seen & (1 << field) == 0 else {
                throw malformed(.taggedGTID, at: fields.at, "a field is there twice")
            }
            seen |= 1 << field
            try readField(field, &fields)
        }
        guard seen & 0b1111 == 0b1111 else {
            throw malformed(.taggedGTID, at: fields.at, "UUID, number or tag is missing")
        }
        if seen & (1 << 7) == 0 { originalCommitMicroseconds = immediateCommitMicroseconds }
        if seen & (1 << 10) == 0 { originalServerVersion = immediateServerVersion }
    }

    private mutating func readField(
        _ field: UInt64, _ fields: inout Cursor
    ) throws(BinlogError) {
        switch field {
        case 0: mayHaveStatements = try fields.varlen("the flags") & 1 != 0
        case 1: uuid = try Self.serializedUUID(&fields)
        case 2: number = UInt64(bitPattern: try fields.varlenSigned("the number"))
        case 3: tag = try fields.tag()
        case 4: lastCommitted = try fields.varlenSigned("the logical clock")
        case 5: sequenceNumber = try fields.varlenSigned("the logical clock")
        case 6: immediateCommitMicroseconds = try fields.varlen("the commit time")
        case 7: originalCommitMicroseconds = try fields.varlen("the original commit time")
        case 8: transactionLength = try fields.varlen("the transaction's length")
        case 9: immediateServerVersion = try Self.version(&fields)
        case 10: originalServerVersion = try Self.version(&fields)
        default: _ = try fields.varlen("the commit group's ticket")
        }
    }

    private static func version(_ fields: inout Cursor) throws(BinlogError) -> UInt32 {
        UInt32(truncatingIfNeeded: try fields.varlen("a server's version"))
    }

    /// Sixteen integers of one or two bytes each.
    private static func serializedUUID(
        _ fields: inout Cursor
    ) throws(BinlogError) -> ServerUUID {
        var uuid = ServerUUID(high: 0, low: 0)
        for i in 0..<16 {
            let byte = try fields.varlen("a UUID")
            guard byte < 256 else {
                throw malformed(.taggedGTID, at: fields.at, "a byte of the UUID exceeds 255")
            }
            if i < 8 { uuid.high = uuid.high << 8 | byte } else { uuid.low = uuid.low << 8 | byte }
        }
        return uuid
    }
}
