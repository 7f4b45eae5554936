internal import NIOCore

/// Answers the server's HTTP/2 PING frames itself, and takes them out of the byte stream.
///
/// etcd's gRPC server sends a PING with nearly every response, to estimate the bandwidth, and has
/// no switch for that. NIOHTTP2 (1.46) counts them as control frames and closes the connection with
/// ENHANCE_YOUR_CALM after 200 in 30 seconds: 200 quick calls would end every watch and every call
/// under way. Neither limit can be set through the gRPC transport. So this handler stands between
/// the socket (or TLS) and `NIOHTTP2Handler`, on the client's side only: there is no connection
/// preface in what a server sends.
///
/// Answers to our own PINGs, by which the transport finds dead connections, are passed on.
final class HTTP2PingResponder: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private static let headerLength = 9
    private static let pingLength = 8
    private static let pingType: UInt8 = 6
    private static let acknowledged: UInt8 = 1

    /// The beginning of a frame's header, or a PING that is not complete.
    private var incomplete: ByteBuffer?
    /// What is still to come of the payload of a frame that is passed on.
    private var payloadLeft = 0
    private var hasAnswered = false

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        if var earlier = incomplete {
            incomplete = nil
            earlier.writeBuffer(&bytes)
            bytes = earlier
        }
        // `bytes` from its reader index up to `place` is to be passed on.
        var place = bytes.readerIndex
        while place < bytes.writerIndex {
            if payloadLeft > 0 {
                let count = min(payloadLeft, bytes.writerIndex - place)
                payloadLeft -= count
                place += count
                continue
            }
            guard let header = header(at: place, of: bytes) else { break }
            guard header.isPing else {
                payloadLeft = header.length
                place += Self.headerLength
                continue
            }
            let payload = place + Self.headerLength
            guard let opaque = bytes.getSlice(at: payload, length: Self.pingLength) else { break }
            pass(upTo: place, of: &bytes, context: context)
            answer(opaque, context: context)
            place = payload + Self.pingLength
            bytes.moveReaderIndex(to: place)
        }
        pass(upTo: place, of: &bytes, context: context)
        if bytes.readableBytes > 0 { incomplete = bytes }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if hasAnswered {
            hasAnswered = false
            context.flush()
        }
        context.fireChannelReadComplete()
    }

    private func header(at place: Int, of bytes: ByteBuffer) -> (length: Int, isPing: Bool)? {
        guard place + Self.headerLength <= bytes.writerIndex,
            let high = bytes.getInteger(at: place, as: UInt8.self),
            let low = bytes.getInteger(at: place + 1, as: UInt16.self),
            let type = bytes.getInteger(at: place + 3, as: UInt8.self),
            let flags = bytes.getInteger(at: place + 4, as: UInt8.self)
        else { return nil }
        let length = Int(high) << 16 | Int(low)
        // A PING of another length is the peer's error, for the next handler to judge.
        let isPing =
            type == Self.pingType && flags & Self.acknowledged == 0 && length == Self.pingLength
        return (length, isPing)
    }

    private func pass(upTo place: Int, of bytes: inout ByteBuffer, context: ChannelHandlerContext) {
        guard let part = bytes.readSlice(length: place - bytes.readerIndex),
            part.readableBytes > 0
        else { return }
        context.fireChannelRead(wrapInboundOut(part))
    }

    private func answer(_ opaque: ByteBuffer, context: ChannelHandlerContext) {
        var frame = context.channel.allocator.buffer(
            capacity: Self.headerLength + Self.pingLength)
        frame.writeBytes([0, 0, UInt8(Self.pingLength), Self.pingType, Self.acknowledged])
        frame.writeInteger(UInt32(0))  // the connection itself
        frame.writeImmutableBuffer(opaque)
        context.write(wrapOutboundOut(frame), promise: nil)
        hasAnswered = true
    }
}
