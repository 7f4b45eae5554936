internal import MySQLBinlog
internal import MySQLCore

extension FileIndex {
    /// The stored form; see `FileIndex.swift`.
    func encoded(fileSize: UInt64) -> [UInt8] {
        var out = Array("SKIX".utf8) + [1]
        out.little(fileSize)
        out.little(end)
        out.little(newest)
        out.append(checksum.rawValue)
        let zero = Origin(server: ServerUUID(high: 0, low: 0), life: 0)
        out.blob(
            SourcePosition(
                origin: zero, binlog: BinlogPosition(file: "", offset: 0), gtids: previous
            ).encoded)
        out.little(UInt32(segments.count))
        for segment in segments {
            out.little(segment.offset)
            out.blob(segment.identities.encoded)
        }
        let sum = Digest.hash(unsafe out.span.bytes, seed: 0)
        out.little(sum)
        return out
    }

    /// Reads the stored form; `nil` when it is damaged, or of another state of the file.
    init?(encoded bytes: [UInt8], fileSize: UInt64) {
        guard bytes.count > 50, bytes.starts(with: Array("SKIX".utf8)), bytes[4] == 1 else {
            return nil
        }
        let body = Array(bytes.dropLast(8))
        let sum = Digest.hash(unsafe body.span.bytes, seed: 0)
        var tail = StoredBytes(bytes: bytes, at: bytes.count - 8)
        guard tail.number(8) == sum else { return nil }
        var cursor = StoredBytes(bytes: body, at: 5)
        guard cursor.number(8) == fileSize, let end = cursor.number(8),
            let newest = cursor.number(8),
            let checksum = cursor.number(1).flatMap({
                ChecksumAlgorithm(rawValue: UInt8(truncatingIfNeeded: $0))
            }),
            let position = cursor.blob().flatMap({ try? SourcePosition(encoded: $0) }),
            let count = cursor.number(4)
        else { return nil }
        self.init()
        self.end = end
        self.newest = newest
        self.checksum = checksum
        previous = position.gtids
        for _ in 0..<count {
            guard let offset = cursor.number(8),
                let identities = cursor.blob().flatMap({ try? IdentitySet(encoded: $0) })
            else { return nil }
            segments.append(Segment(offset: offset, identities: identities))
        }
    }
}

private struct StoredBytes {
    let bytes: [UInt8]
    var at: Int

    mutating func number(_ count: Int) -> UInt64? {
        guard bytes.count - at >= count else { return nil }
        defer { at += count }
        return (0..<count).reduce(0) { $0 | UInt64(bytes[at + $1]) << UInt64(8 * $1) }
    }

    mutating func blob() -> [UInt8]? {
        guard let count = number(4), bytes.count - at >= Int(count) else { return nil }
        defer { at += Int(count) }
        return Array(bytes[at..<(at + Int(count))])
    }
}

extension [UInt8] {
    fileprivate mutating func little(_ value: some FixedWidthInteger) {
        unsafe Swift.withUnsafeBytes(of: value.littleEndian) { unsafe append(contentsOf: $0) }
    }

    fileprivate mutating func blob(_ bytes: [UInt8]) {
        little(UInt32(bytes.count))
        append(contentsOf: bytes)
    }
}
