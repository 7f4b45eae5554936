internal import CZlib
internal import CZstd
public import MySQLCore

/// Packs a file as it is written.
@safe
public final class Compressor {
    private let compression: DumpCompression
    private var gzip: UnsafeMutablePointer<z_stream>?
    private var zstd: OpaquePointer?
    private let window: UnsafeMutablePointer<UInt8>

    private static let windowBytes = 1 << 17

    /// Makes a packer of one file.
    public init(_ compression: DumpCompression) throws(DumpFileError) {
        self.compression = compression
        unsafe window = .allocate(capacity: Self.windowBytes)
        unsafe gzip = nil
        unsafe zstd = nil
        switch compression {
        case .none: break
        case .gzip:
            let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
            unsafe stream.initialize(to: z_stream())
            guard unsafe skein_gzip_begin(stream, 6) == Z_OK else {
                unsafe stream.deallocate()
                throw DumpFileError("zlib can't begin")
            }
            unsafe gzip = stream
        case .zstd:
            guard let context = unsafe ZSTD_createCCtx() else {
                throw DumpFileError("zstd can't begin")
            }
            unsafe ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, 3)
            unsafe ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1)
            unsafe zstd = context
        }
    }

    deinit {
        unsafe window.deallocate()
        if let stream = unsafe gzip {
            unsafe deflateEnd(stream)
            unsafe stream.deallocate()
        }
        if let context = unsafe zstd { unsafe ZSTD_freeCCtx(context) }
    }

    /// Packs bytes; what has to be written by now is appended.
    public func append(_ bytes: RawSpan, to out: inout ByteBuffer) throws(DumpFileError) {
        try pack(bytes, isLast: false, &out)
    }

    /// Ends the file.
    public func finish(_ out: inout ByteBuffer) throws(DumpFileError) {
        try pack(RawSpan(), isLast: true, &out)
    }

    private func pack(
        _ bytes: RawSpan, isLast: Bool, _ out: inout ByteBuffer
    ) throws(DumpFileError) {
        if compression == .none {
            out.append(bytes)
            return
        }
        var taken = 0
        while true {
            let rest = bytes.extracting(taken..<bytes.byteCount)
            let (used, produced, isDone) =
                compression == .gzip
                ? try deflateSome(rest, isLast) : try zstdSome(rest, isLast)
            taken += used
            out.append(
                unsafe RawSpan(
                    _unsafeStart: UnsafeRawPointer(window), byteCount: produced))
            if isDone { return }
        }
    }

    private func deflateSome(
        _ bytes: RawSpan, _ isLast: Bool
    ) throws(DumpFileError) -> (Int, Int, Bool) {
        guard let stream = unsafe gzip else { return (bytes.byteCount, 0, true) }
        let count = min(bytes.byteCount, 1 << 30)
        // SAFETY: the library reads `avail_in` bytes and writes `avail_out` ones; it never writes
        // to its input.
        let (status, left, room) = unsafe bytes.withUnsafeBytes { input in
            unsafe stream.pointee.next_in = UnsafeMutablePointer(
                mutating: input.baseAddress?.assumingMemoryBound(to: UInt8.self))
            unsafe stream.pointee.avail_in = UInt32(count)
            unsafe stream.pointee.next_out = window
            unsafe stream.pointee.avail_out = UInt32(Self.windowBytes)
            let status = unsafe deflate(stream, isLast ? Z_FINISH : Z_NO_FLUSH)
            return unsafe (
                status, Int(stream.pointee.avail_in), Int(stream.pointee.avail_out)
            )
        }
        guard status == Z_OK || status == Z_STREAM_END || status == Z_BUF_ERROR else {
            throw DumpFileError("zlib can't pack")
        }
        let used = count - left
        let isDone =
            isLast ? status == Z_STREAM_END : used == bytes.byteCount && room > 0
        return (used, Self.windowBytes - room, isDone)
    }

    private func zstdSome(
        _ bytes: RawSpan, _ isLast: Bool
    ) throws(DumpFileError) -> (Int, Int, Bool) {
        guard let context = unsafe zstd else { return (bytes.byteCount, 0, true) }
        // SAFETY: the library stays within the two lengths that it is given.
        let (status, used, produced) = unsafe bytes.withUnsafeBytes { input in
            var from = unsafe ZSTD_inBuffer(src: input.baseAddress, size: input.count, pos: 0)
            var to = unsafe ZSTD_outBuffer(dst: window, size: Self.windowBytes, pos: 0)
            let status = unsafe ZSTD_compressStream2(
                context, &to, &from, isLast ? ZSTD_e_end : ZSTD_e_continue)
            return unsafe (status, from.pos, to.pos)
        }
        guard ZSTD_isError(status) == 0 else { throw DumpFileError("zstd can't pack") }
        let isDone = isLast ? status == 0 : used == bytes.byteCount
        return (used, produced, isDone)
    }
}
