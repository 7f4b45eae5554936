internal import Foundation
internal import GRPCCore
internal import Runtime
internal import Stream
internal import SwiftProtobuf

// EventBatch is written and read by hand, so that events are copied once on each side; generated
// code would copy them three times. The encoding is that of peer.proto, which a test compares.

/// One chunk of events on its way to another worker.
struct OutgoingBatch: Sendable {
    var chunk: EventChunk
    var server: String
    var hasMore: Bool
}

/// One chunk of events that another worker has sent.
struct IncomingBatch: Sendable {
    var chunk: EventChunk
    var server: String
    var hasMore: Bool
}

struct EventBatchSerializer: MessageSerializer {
    func serialize<Bytes: GRPCContiguousBytes>(_ batch: OutgoingBatch) throws -> Bytes {
        let chunk = batch.chunk
        let head: [UInt8] = try PeerBatchHead.with {
            $0.file = chunk.file
            $0.server = batch.server
            $0.hasChecksums_p = chunk.hasChecksums
            $0.hasMore_p = batch.hasMore
            $0.runs = chunk.runs.map { run in
                PeerRun.with {
                    $0.position = run.position
                    $0.bytes = UInt32(run.byteCount)
                    $0.isOutside = !run.isInFile
                }
            }
        }.serializedBytes()
        let count = chunk.eventByteCount
        var front: [UInt8] = [Field.head]
        Self.append(head.count, to: &front)
        front += head
        front.append(Field.events)
        Self.append(count, to: &front)
        var bytes = Bytes(repeating: 0, count: front.count + count)
        bytes.withUnsafeMutableBytes { buffer in
            front.withUnsafeBytes { buffer.copyMemory(from: $0) }
            chunk.copyEvents(to: UnsafeMutableRawBufferPointer(rebasing: buffer[front.count...]))
        }
        return bytes
    }

    private static func append(_ number: Int, to bytes: inout [UInt8]) {
        var rest = UInt64(number)
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }
}

struct EventBatchDeserializer: MessageDeserializer {
    /// Pieces as large as the chunks that are read from files.
    private let pool = ChunkPool(pieceBytes: 256 << 10)

    func deserialize<Bytes: GRPCContiguousBytes>(_ bytes: Bytes) throws -> IncomingBatch {
        try bytes.withUnsafeBytes { buffer in
            var at = 0
            let head = try Self.part(Field.head, of: buffer, &at)
            let events = try Self.part(Field.events, of: buffer, &at)
            guard at == buffer.count else { throw Self.malformed }
            let message = try PeerBatchHead(serializedBytes: Array(head))
            let runs = message.runs.map { run in
                EventChunk.Run(
                    position: run.position, byteCount: Int(run.bytes), isInFile: !run.isOutside)
            }
            let chunk = try EventChunk(
                runs, of: message.file, hasChecksums: message.hasChecksums_p, copying: events,
                receivedMicroseconds: wallClockMicroseconds(), pool: pool)
            return IncomingBatch(
                chunk: chunk, server: message.server, hasMore: message.hasMore_p)
        }
    }

    /// The next field, which must be this one.
    private static func part(
        _ field: UInt8, of buffer: UnsafeRawBufferPointer, _ at: inout Int
    ) throws -> UnsafeRawBufferPointer {
        guard at < buffer.count, buffer[at] == field else { throw malformed }
        at += 1
        var length: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            guard at < buffer.count, shift < 35 else { throw malformed }
            let byte = buffer[at]
            at += 1
            length |= UInt64(byte & 0x7F) << shift
            shift += 7
            if byte < 0x80 { break }
        }
        guard length <= UInt64(buffer.count - at) else { throw malformed }
        let start = at
        at += Int(length)
        return UnsafeRawBufferPointer(rebasing: buffer[start..<at])
    }

    private static var malformed: StreamError {
        .unreadable("a worker has sent a batch of events that makes no sense")
    }
}

/// The keys of EventBatch's fields: number and wire type, length-delimited both.
private enum Field {
    static let head: UInt8 = 0x0A
    static let events: UInt8 = 0x12
}
