internal import CXXHash

/// XXH3 hashes. They are stable across versions and machines (the algorithm's documented output),
/// so digests may be stored; they are not meant to resist an attacker.
public enum Digest {
    /// 64-bit hash of a span, for the conflict scheduler's keys.
    @inline(__always)
    public static func hash(_ span: RawSpan, seed: UInt64) -> UInt64 {
        unsafe span.withUnsafeBytes { unsafe skein_xxh3_64($0.baseAddress, $0.count, seed) }
    }

    /// 128-bit digest of a span as sixteen bytes in canonical (big-endian) order.
    public static func digest(_ span: RawSpan) -> [UInt8] {
        unsafe [UInt8](unsafeUninitializedCapacity: 16) { out, count in
            unsafe span.withUnsafeBytes {
                unsafe skein_xxh3_128($0.baseAddress, $0.count, out.baseAddress)
            }
            count = 16
        }
    }

    /// 128-bit digest of a text's UTF-8.
    public static func digest(text: String) -> [UInt8] {
        var buffer = ByteBuffer(capacity: text.utf8.count)
        buffer.append(text)
        return digest(buffer.bytes)
    }

    /// Mixes two hashes into one; the order matters.
    @inline(__always)
    public static func combine(_ a: UInt64, _ b: UInt64) -> UInt64 {
        var x = (a ^ (b &+ 0x9E37_79B9_7F4A_7C15 &+ (a << 6) &+ (a >> 2)))
        x ^= x >> 32
        x &*= 0xD6E8_FEB8_6659_FD93
        x ^= x >> 32
        return x
    }
}
