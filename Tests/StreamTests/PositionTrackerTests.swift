import MySQLBinlog
import MySQLCore
import Testing

@testable import Stream

@Suite("Where events are")
struct PositionTrackerTests {
    private static func event(
        _ type: UInt8, size: Int = 100, position: UInt64 = 0, flags: UInt16 = 0,
        body: [UInt8]? = nil
    ) -> [UInt8] {
        func little(_ value: UInt64, _ n: Int) -> [UInt8] {
            (0..<n).map { UInt8(truncatingIfNeeded: value >> (8 * UInt64($0))) }
        }
        let content = body ?? [UInt8](repeating: 0, count: size - 19)
        return little(1, 4) + [type] + little(1, 4) + little(UInt64(19 + content.count), 4)
            + little(position & 0xFFFF_FFFF, 4) + little(UInt64(flags), 2) + content
    }

    private static func rotate(_ file: String, _ position: UInt64, artificial: Bool) -> [UInt8] {
        event(
            4, position: artificial ? 0 : 500, flags: artificial ? 0x20 : 0,
            body: (0..<8).map { UInt8(truncatingIfNeeded: position >> (8 * UInt64($0))) }
                + Array(file.utf8))
    }

    private static func advance(
        _ tracker: inout PositionTracker, _ event: [UInt8]
    ) throws -> [UInt64] {
        let place = try tracker.advance(EventHeader(event.span.bytes), event.span.bytes)
        return [place.start, place.end]
    }

    @Test("offsets go on beyond 4 GiB, where the server's field begins again")
    func wrap() throws {
        let limit: UInt64 = 1 << 32
        for start in [limit - 100, limit - 50, limit * 3 - 99, limit, limit * 2 - 1] {
            var tracker = PositionTracker(BinlogPosition(file: "b.1", offset: start))
            for n: UInt64 in 0..<5 {
                let end = start + 100 * (n + 1)
                // A field of 0 is what an offset of a multiple of 4 GiB leaves, too.
                #expect(
                    try Self.advance(&tracker, Self.event(2, position: end)) == [end - 100, end])
            }
            #expect(tracker.offset == start + 500)
        }
    }

    @Test("events that were left out are jumped over, also across 4 GiB")
    func gaps() throws {
        var tracker = PositionTracker(BinlogPosition(file: "b.1", offset: 1000))
        #expect(try Self.advance(&tracker, Self.event(2, position: 5000)) == [4900, 5000])
        let far: UInt64 = (1 << 32) + 300
        #expect(try Self.advance(&tracker, Self.event(2, position: far)) == [far - 100, far])
    }

    @Test("events without a position follow the one before")
    func noPosition() throws {
        var tracker = PositionTracker(BinlogPosition(file: "b.1", offset: 1000))
        #expect(try Self.advance(&tracker, Self.event(19, position: 0)) == [1000, 1100])
        #expect(try Self.advance(&tracker, Self.event(30, position: 0)) == [1100, 1200])
        #expect(try Self.advance(&tracker, Self.event(16, position: 1300)) == [1200, 1300])
    }

    @Test("events that are in no file take no room")
    func artificial() throws {
        var tracker = PositionTracker(BinlogPosition(file: "b.1", offset: 1000))
        for event in [
            Self.event(27, position: 1000), Self.event(41), Self.event(2, flags: 0x20),
            Self.event(15, position: 0), Self.event(164, position: 0),
        ] { #expect(try Self.advance(&tracker, event) == [1000, 1000]) }
        #expect(tracker.offset == 1000)
        // At the head of a file it is the file's own.
        var head = PositionTracker(BinlogPosition(file: "b.1", offset: 4))
        #expect(try Self.advance(&head, Self.event(15, position: 104)) == [4, 104])
    }

    @Test("a rotation leads to the next file: a made-up one takes no room, the file's own does")
    func rotation() throws {
        var tracker = PositionTracker(BinlogPosition(file: "", offset: 4))
        let first = Self.rotate("bin.000009", 5_000_000_000, artificial: true)
        #expect(try Self.advance(&tracker, first) == [4, 4])
        #expect(tracker.file == "bin.000009" && tracker.offset == 5_000_000_000)
        let own = Self.rotate("bin.000010", 4, artificial: false)
        #expect(
            try Self.advance(&tracker, own) == [5_000_000_000, 5_000_000_000 + UInt64(own.count)])
        #expect(tracker.file == "bin.000010" && tracker.offset == 4)
    }
}
