import MySQLBinlog
import Testing

@Suite("An event in place of one that is not sent") struct FillerEventTests {
    @Test("is whole, lies where it should, and is passed over", arguments: FillerEvent.sizes)
    func passedOver(size: Int) throws {
        for checksum in [ChecksumAlgorithm.none, .crc32] {
            for position: UInt64 in [256, 0x1_0000_0100] {
                let event = FillerEvent.make(at: position, size: size, checksum: checksum)
                #expect(event.count == size)
                let header = try EventHeader(event.span.bytes)
                try header.checkSize(of: event.span.bytes)
                #expect(
                    header.logPosition == UInt32(truncatingIfNeeded: position + UInt64(size)))
                #expect(header.type.treatment(flags: header.flags) == .skip)
                #expect(EventHeader.verifyChecksum(event.span.bytes) == (checksum == .crc32))
                var tracker = GroupTracker()
                #expect(tracker.take(header.type, event.span.bytes) == .outside)
            }
        }
    }
}
