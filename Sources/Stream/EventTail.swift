internal import MySQLBinlog
public import MySQLCore

/// The events that somebody had last, as a digest: who goes on elsewhere compares it, since a
/// position or a GTID alone does not tell whether the events before it are the same ones.
///
/// It begins at the newest transaction, or where its file begins, and covers a few MiB at most.
/// Format events are left out: a flag in them changes.
public struct EventTail: Sendable, Hashable {
    /// Bytes that are covered at most, but for the last event.
    public static let limit: UInt64 = 4 << 20

    /// The file.
    public var file: String
    /// Where the first event starts.
    public var start: UInt64
    /// Where the last one ends.
    public var end: UInt64
    /// Of all the events' bytes.
    public var digest: UInt64

    /// Makes a tail.
    public init(file: String, start: UInt64, end: UInt64, digest: UInt64) {
        self.file = file
        self.start = start
        self.end = end
        self.digest = digest
    }

    /// Makes one that covers nothing yet.
    public init(at position: BinlogPosition) {
        self.init(file: position.file, start: position.offset, end: position.offset, digest: 0)
    }

    /// Whether there is nothing to compare.
    public var isEmpty: Bool { start == end }

    /// Takes what was handed out next.
    ///
    /// - Parameter restarts: whether it begins anew at each transaction.
    public mutating func take(_ chunk: EventChunk, restarts: Bool = true) {
        for entry in chunk.entries where EventChunk.isInFile(entry) {
            if chunk.file != file || (restarts && Self.beginsTransaction(entry)) {
                self = EventTail(at: BinlogPosition(file: chunk.file, offset: entry.position))
            }
            // One that has reached its limit, or misses something, is not continued.
            guard entry.position == end, end - start < Self.limit else { continue }
            add(chunk, entry)
        }
    }

    static func beginsTransaction(_ entry: EventChunk.Entry) -> Bool {
        switch EventType(rawValue: entry.type) {
        case .gtid, .taggedGTID, .anonymousGTID, .mariadbGTID: true
        default: false
        }
    }

    private mutating func add(_ chunk: EventChunk, _ entry: EventChunk.Entry) {
        end = entry.endPosition
        guard entry.type != EventType.formatDescription.rawValue else { return }
        digest = Digest.combine(digest, Digest.hash(chunk.wholeEvent(entry), seed: 0x5461_696C))
    }

    /// Whether a reader that was opened at the tail's start is given the same events. It waits for
    /// events that have not come yet.
    ///
    /// - Throws: what ends the reader's stream.
    public func isMet(by reader: any EventReader) async throws -> Bool {
        var theirs = EventTail(at: BinlogPosition(file: file, offset: start))
        while theirs.end < end {
            guard theirs.meet(self, in: try await reader.next()) else { return false }
        }
        return theirs == self
    }

    /// Takes events up to where another tail ends, which began where this one did.
    ///
    /// - Returns: false when they are others.
    mutating func meet(_ other: EventTail, in chunk: EventChunk) -> Bool {
        for entry in chunk.entries where EventChunk.isInFile(entry) {
            guard end < other.end else { break }
            guard chunk.file == file, entry.position == end else { return false }
            add(chunk, entry)
        }
        return end < other.end || self == other
    }
}
