import NIOCore
import NIOEmbedded
import Testing

@testable import Metadata

@Suite("HTTP/2 PINGs are answered before they are counted")
struct PingResponderTests {
    private func frame(_ type: UInt8, flags: UInt8 = 0, stream: UInt32 = 0, _ payload: [UInt8])
        -> [UInt8]
    {
        let length = payload.count
        return [UInt8(length >> 16 & 255), UInt8(length >> 8 & 255), UInt8(length & 255)]
            + [type, flags]
            + [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: stream >> $0) } + payload
    }

    private func read(_ channel: EmbeddedChannel, outbound: Bool) throws -> [UInt8] {
        var bytes: [UInt8] = []
        while let part = outbound
            ? try channel.readOutbound(as: ByteBuffer.self)
            : try channel.readInbound(as: ByteBuffer.self)
        {
            bytes += part.readableBytesView
        }
        return bytes
    }

    /// Data that looks like a PING, PINGs, an answer to one, and one of a wrong length.
    private var stream: (bytes: [UInt8], passed: [UInt8], answers: [UInt8]) {
        let opaque: [UInt8] = [1, 2, 3, 4, 5, 6, 7, 8]
        let ping = frame(6, opaque)
        let others = [
            frame(4, []), frame(0, stream: 1, ping + ping), frame(6, flags: 1, opaque),
            frame(6, [1, 2]), frame(0, stream: 3, Array(repeating: 6, count: 300)),
        ]
        let bytes = ping + others.flatMap { $0 + ping } + ping
        let answers = (0..<(others.count + 2)).flatMap { _ in frame(6, flags: 1, opaque) }
        return (bytes, others.flatMap { $0 }, answers)
    }

    @Test("however the bytes are cut, all but PINGs pass and every PING is answered")
    func cuts() throws {
        let (bytes, passed, answers) = stream
        for size in 1...bytes.count {
            let channel = EmbeddedChannel(handler: HTTP2PingResponder())
            for start in stride(from: 0, to: bytes.count, by: size) {
                let part = bytes[start..<min(start + size, bytes.count)]
                try channel.writeInbound(ByteBuffer(bytes: part))
            }
            #expect(try read(channel, outbound: false) == passed, "in parts of \(size)")
            #expect(try read(channel, outbound: true) == answers, "in parts of \(size)")
            _ = try channel.finish()
        }
    }
}
