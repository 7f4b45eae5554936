import MySQLBinlog
import MySQLCore
import Testing

@testable import Stream

@Suite("Parts of chunks")
struct ChunkPartsTests {
    @Test("what is in no file moves nothing: a source without changes sends such all the time")
    func place() {
        func chunk(_ events: [(type: EventType, start: UInt64, end: UInt64)]) -> EventChunk {
            let chunk = EventChunk(capacity: events.count * 100, file: "b.000001")
            for event in events {
                var bytes = [UInt8](repeating: 0, count: 100)
                bytes[4] = event.type.rawValue
                chunk.append(
                    bytes.span.bytes, position: event.start, endPosition: event.end,
                    type: event.type.rawValue)
            }
            return chunk
        }
        #expect(chunk([]).placeBehind == nil)
        #expect(chunk([(.heartbeat, 400, 400), (.rotate, 4, 4)]).placeBehind == nil)
        // Inside of a transaction, too.
        let place = BinlogPosition(file: "b.000001", offset: 300)
        #expect(chunk([(.gtid, 100, 200), (.tableMap, 200, 300)]).placeBehind == place)
        #expect(chunk([(.tableMap, 200, 300), (.heartbeat, 300, 300)]).placeBehind == place)
    }
}
