internal import MySQLBinlog
internal import MySQLCore

/// The chunks that hold the newest transaction that a reader was given, up to a few MiB of it: its
/// digest is only wanted when a connection is lost, and is not made for every event on the way.
public struct RecentChunks: Sendable {
    private var chunks: [EventChunk] = []
    private var bytes: UInt64 = 0

    /// Makes one that holds nothing.
    public init() {}

    /// Takes what was handed out next.
    public mutating func take(_ chunk: EventChunk) {
        guard chunk.entries.contains(where: { EventChunk.isInFile($0) }) else { return }
        if chunk.entries.contains(where: EventTail.beginsTransaction) {
            chunks = [chunk]
            bytes = UInt64(chunk.byteCount)
        } else if bytes < EventTail.limit {
            chunks.append(chunk)
            bytes += UInt64(chunk.byteCount)
        }
    }

    /// The newest transaction, or what there is of it; `nil` before the first event.
    public var tail: EventTail? {
        guard let first = chunks.first,
            let entry = first.entries.first(where: { EventChunk.isInFile($0) })
        else { return nil }
        var tail = EventTail(
            at: BinlogPosition(file: first.file, offset: entry.position))
        for chunk in chunks { tail.take(chunk) }
        return tail.isEmpty ? nil : tail
    }
}
