internal import MySQLBinlog
internal import MySQLCore

/// One use of a key by a transaction: what the conflict scheduler sees. The lowest bit tells
/// writes from reads.
struct KeyUse: Sendable, Hashable {
    let bits: UInt64

    init(_ hash: UInt64, writes: Bool) { bits = hash & ~1 | (writes ? 1 : 0) }

    var hash: UInt64 { bits & ~1 }
    var writes: Bool { bits & 1 != 0 }
}

/// How a unique key's, or a foreign key's, values are hashed.
///
/// Two values that the server takes for equal under any collation must hash alike; values that
/// differ may (that only adds a dependency). Text in case- or accent-insensitive collations is
/// folded: case, trailing spaces, ignorable control characters, and the letters that some
/// languages' rules make equal. Beyond ASCII no folding is sure to be as coarse as all collations,
/// so such a value *writes the key as a whole*, and every folded value *reads* it.
struct KeyPlan: Sendable {
    struct Part: Sendable {
        let column: Int
        /// Characters or bytes that count; all when 0.
        let prefix: Int
        let isText: Bool
        /// Whether texts must be folded; otherwise only trailing spaces are left out.
        let isFolded: Bool
        /// Whether bytes can be looked at as ASCII at all, and letters by themselves.
        let isASCIICompatible: Bool
    }

    let parts: [Part]
    let seed: UInt64
    /// Set when values can't be known from the row image: expressions, generated columns. Every
    /// row then writes the key as a whole.
    let isOpaque: Bool
    /// Whether rows that use it write it, or (child rows and their parents' keys) only read it.
    let writes: Bool
    /// Set when others may know nothing of their values, and so write the key as a whole.
    let readsWhole: Bool

    init(
        parts: [Part], seed: UInt64, isOpaque: Bool, writes: Bool, readsWhole: Bool = false
    ) {
        self.parts = parts
        self.seed = seed & ~1
        self.isOpaque = isOpaque
        self.writes = writes
        self.readsWhole = readsWhole
    }

    /// - Parameter target: the columns that the table has on the target, whose collations may take
    ///   more values for equal than the source's do.
    static func part(
        _ shape: TableShape, column index: Int, prefix: Int?, target: [ColumnShape] = []
    ) -> Part {
        let column = shape.columns[index]
        let name = column.name.lowercased()
        let both = [column] + target.filter { $0.name.lowercased() == name }
        let wide = ["ucs2", "utf16", "utf16le", "utf32", "swe7"]
        let isTailored = both.contains { Self.isTailored($0.collation ?? "") }
        return Part(
            column: index, prefix: prefix ?? 0, isText: both.contains { $0.type.isText },
            isFolded: both.contains { $0.type.isText && !isExact($0.collation ?? "") },
            isASCIICompatible: !wide.contains(column.charset ?? "") && !isTailored)
    }

    /// Whether the collation takes more texts in ASCII for equal than what folding does: in
    /// Lithuanian `ch` is `c`, in MySQL's Hungarian `ccs` is `cscs`, and in Mac's M is N.
    private static func isTailored(_ collation: String) -> Bool {
        collation.contains("lithuanian") || collation.contains("_hu_0900")
            || collation.hasPrefix("macce_")
    }

    private static func isExact(_ collation: String) -> Bool {
        collation.hasSuffix("_bin") || collation == "binary"
    }

    /// What an image tells of a key's values.
    enum Telling {
        /// All of them; they were used by themselves.
        case values
        /// Not all of them, though they may have come or gone: the key was written as a whole.
        case lack
        /// Nothing that has to be known.
        case nothing
    }

    /// Adds what one row image does with the key.
    ///
    /// - Parameter changed: the columns of an update's image after, when `values` are of one of its
    ///   two images. A key that has none of them stays as it is.
    @inline(__always)
    func use(
        _ event: RawSpan, _ values: [ColumnValue], changed: RowsEvent.Columns? = nil,
        _ scratch: inout ByteBuffer, _ add: (KeyUse) -> Void
    ) -> Telling {
        if isOpaque {
            add(KeyUse(seed, writes: writes))
            return .nothing
        }
        var hash = seed
        var readsWhole = readsWhole
        for part in parts {
            let value = values[part.column]
            if value.isNull { return .nothing }  // NULL equals nothing
            if value.isAbsent {
                if let changed, !parts.contains(where: { changed.contains($0.column, in: event) }) {
                    return .nothing
                }
                add(KeyUse(seed, writes: true))
                return .lack
            }
            let span = ColumnPlan.slice(event, value)
            if part.isFolded {
                readsWhole = true
                guard part.isASCIICompatible, Self.fold(span, part.prefix, &scratch) else {
                    // Also where the row only reads its parent's key: the parent's folded value
                    // reads the whole, and two reads would not keep their order.
                    add(KeyUse(seed, writes: true))
                    return .nothing
                }
                hash = Digest.combine(hash, Digest.hash(scratch.bytes, seed: 7))
            } else {
                hash = Digest.combine(hash, Self.hashExact(span, part))
            }
        }
        add(KeyUse(hash, writes: writes))
        if readsWhole { add(KeyUse(seed, writes: false)) }
        return .values
    }

    @inline(__always)
    private static func hashExact(_ span: RawSpan, _ part: Part) -> UInt64 {
        // The sign alone is the other zero of a floating point number, which equals the first.
        // Of bytes (as of texts) only a prefix may count, however many there are.
        let isWhole = !part.isText && part.prefix == 0
        if span.byteCount == 4 && isWhole {
            let bits = unsafe span.unsafeLoadUnaligned(as: UInt32.self)
            return bits == 1 << 31 ? 0 : UInt64(bits)
        }
        if span.byteCount == 8 && isWhole {
            let bits = unsafe span.unsafeLoadUnaligned(as: UInt64.self)
            return bits == 1 << 63 ? 0 : bits
        }
        var n = span.byteCount
        // A prefix of characters is at least as many bytes: comparing fewer bytes is coarser.
        if part.prefix > 0 { n = min(n, part.prefix) }
        if part.isText {
            // A space of two or four bytes is a space and zeros, in either order.
            while n > 0 {
                let last = unsafe span.unsafeLoad(fromByteOffset: n - 1, as: UInt8.self)
                guard last == 0x20 || (last == 0 && !part.isASCIICompatible) else { break }
                n -= 1
            }
        } else if part.prefix > 0 {
            // Zero bytes at the end of BINARY are not logged, whatever the prefix cuts off.
            while n > 0, unsafe span.unsafeLoad(fromByteOffset: n - 1, as: UInt8.self) == 0 {
                n -= 1
            }
        }
        return Digest.hash(span.extracting(0..<n), seed: 3)
    }

    /// Writes the folded form of an ASCII text; false when there is anything beyond ASCII.
    private static func fold(
        _ span: RawSpan, _ prefix: Int, _ scratch: inout ByteBuffer
    ) -> Bool {
        scratch.removeAll()
        let n = span.byteCount
        for i in 0..<n {
            let c = unsafe span.unsafeLoad(fromByteOffset: i, as: UInt8.self)
            if c >= 0x80 { return false }
            if prefix > 0, i >= prefix { continue }
            if c < 0x20 || c == 0x7F { continue }  // ignorable in Unicode collations
            scratch.append(foldedLetters[Int(c)])
        }
        var length = scratch.count
        while length > 0,
            unsafe scratch.bytes.unsafeLoad(fromByteOffset: length - 1, as: UInt8.self) == 0x20
        {
            length -= 1
        }
        scratch.truncate(to: length)
        return true
    }
}

/// ASCII folded at least as coarsely as any collation does: lower case; i, j and y are one letter
/// in Latin or in Baltic rules, and so are u, v and w.
private let foldedLetters: [UInt8] = (0..<128).map { c in
    let lower = c >= 0x41 && c <= 0x5A ? UInt8(c) | 0x20 : UInt8(c)
    switch lower {
    case UInt8(ascii: "j"), UInt8(ascii: "y"): return UInt8(ascii: "i")
    case UInt8(ascii: "v"), UInt8(ascii: "w"): return UInt8(ascii: "u")
    default: return lower
    }
}
