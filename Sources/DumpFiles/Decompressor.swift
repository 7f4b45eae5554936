internal import CZlib
internal import CZstd

/// Unpacks a file as it is read: some bytes at a time, however large it is.
@safe
public final class Decompressor {
    private let compression: DumpCompression
    private let input: () throws -> [UInt8]?
    private var pending: [UInt8] = []
    private var taken = 0
    private var isInputOver = false
    /// Whether the newest member or frame has ended: the input may end here, and nowhere else.
    private var isAtBoundary = true
    private var hasBegun = false
    private let window: UnsafeMutablePointer<UInt8>
    private var gzip: UnsafeMutablePointer<z_stream>?
    private var zstd: OpaquePointer?

    private static let windowBytes = 1 << 17

    /// Makes an unpacker.
    ///
    /// - Parameter input: the next bytes of the file; `nil` at its end.
    public init(
        _ compression: DumpCompression, input: @escaping () throws -> [UInt8]?
    ) throws(DumpFileError) {
        self.compression = compression
        self.input = input
        unsafe window = .allocate(capacity: Self.windowBytes)
        unsafe gzip = nil
        unsafe zstd = nil
        switch compression {
        case .none: break
        case .gzip:
            let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
            unsafe stream.initialize(to: z_stream())
            guard unsafe skein_gunzip_begin(stream) == Z_OK else {
                unsafe stream.deallocate()
                throw DumpFileError("zlib can't begin")
            }
            unsafe gzip = stream
        case .zstd:
            guard let context = unsafe ZSTD_createDCtx() else {
                throw DumpFileError("zstd can't begin")
            }
            unsafe zstd = context
        }
    }

    deinit {
        unsafe window.deallocate()
        if let stream = unsafe gzip {
            unsafe inflateEnd(stream)
            unsafe stream.deallocate()
        }
        if let context = unsafe zstd { unsafe ZSTD_freeDCtx(context) }
    }

    /// Appends the next bytes, at most 128 KiB of what is packed.
    ///
    /// - Returns: false at the end.
    /// - Throws: ``DumpFileError`` when the file is damaged or ends in its middle, and what `input`
    ///   throws.
    public func fill(_ out: inout [UInt8]) throws -> Bool {
        if compression == .none {
            guard let more = try input() else { return false }
            out += more
            return true
        }
        while true {
            if taken == pending.count, !isInputOver {
                taken = 0
                pending = try input() ?? []
                isInputOver = pending.isEmpty
            }
            if isInputOver, taken == pending.count, isAtBoundary {
                guard hasBegun else { throw DumpFileError("it is empty, and no packed file is") }
                return false
            }
            let produced = compression == .gzip ? try inflateSome() : try unzstdSome()
            if produced > 0 {
                unsafe out.append(
                    contentsOf: UnsafeBufferPointer(start: window, count: produced))
                return true
            }
            if isInputOver, taken == pending.count, !isAtBoundary {
                throw DumpFileError("it ends in its middle")
            }
        }
    }

    private func inflateSome() throws(DumpFileError) -> Int {
        guard let stream = unsafe gzip else { return 0 }
        if isAtBoundary, hasBegun, taken < pending.count {
            // Members can follow each other.
            guard unsafe inflateReset(stream) == Z_OK else { throw Self.damaged }
        }
        guard taken < pending.count || !isAtBoundary else { return 0 }
        let start = taken
        // SAFETY: the library stays within the two lengths that it is given.
        let (status, left, room) = unsafe pending.withUnsafeMutableBufferPointer { bytes in
            unsafe stream.pointee.next_in = bytes.baseAddress.map { unsafe $0 + start }
            unsafe stream.pointee.avail_in = UInt32(bytes.count - start)
            unsafe stream.pointee.next_out = window
            unsafe stream.pointee.avail_out = UInt32(Self.windowBytes)
            let status = unsafe inflate(stream, Z_NO_FLUSH)
            return unsafe (
                status, Int(stream.pointee.avail_in), Int(stream.pointee.avail_out)
            )
        }
        taken = pending.count - left
        hasBegun = true
        switch status {
        case Z_STREAM_END: isAtBoundary = true
        case Z_OK, Z_BUF_ERROR: isAtBoundary = false
        default: throw Self.damaged
        }
        return Self.windowBytes - room
    }

    private func unzstdSome() throws(DumpFileError) -> Int {
        guard let context = unsafe zstd, taken < pending.count || !isAtBoundary else { return 0 }
        let start = taken
        // SAFETY: the library stays within the two lengths that it is given.
        let (status, used, produced) = unsafe pending.withUnsafeBufferPointer { bytes in
            var from = unsafe ZSTD_inBuffer(src: bytes.baseAddress, size: bytes.count, pos: start)
            var to = unsafe ZSTD_outBuffer(dst: window, size: Self.windowBytes, pos: 0)
            let status = unsafe ZSTD_decompressStream(context, &to, &from)
            return unsafe (status, from.pos, to.pos)
        }
        guard ZSTD_isError(status) == 0 else { throw Self.damaged }
        taken = used
        hasBegun = true
        isAtBoundary = status == 0
        return produced
    }

    private static let damaged = DumpFileError("it is damaged: it does not unpack")
}
