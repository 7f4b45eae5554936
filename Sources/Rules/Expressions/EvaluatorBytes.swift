internal import MySQLBinlog
internal import MySQLCore

/// Bytes and characters of texts, wherever they are.
extension RowEvaluator {
    @inline(__always)
    func byte(_ place: TextPlace, _ i: Int, _ event: RawSpan) -> UInt8 {
        if place.isInEvent {
            return unsafe event.unsafeLoad(fromByteOffset: place.offset + i, as: UInt8.self)
        }
        let bytes = buffer.bytes
        return unsafe bytes.unsafeLoad(fromByteOffset: place.offset + i, as: UInt8.self)
    }

    func bytes(_ place: TextPlace, _ event: RawSpan) -> [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(place.length)
        for i in 0..<place.length { out.append(byte(place, i, event)) }
        return out
    }

    mutating func append(_ place: TextPlace, _ event: RawSpan) {
        if place.isInEvent {
            buffer.append(event, place.offset, place.length)
        } else {
            for i in 0..<place.length { buffer.append(byte(place, i, event)) }
        }
    }

    /// The same text behind everything else in the buffer, where it can be cut.
    mutating func append(scalar c: UInt32) {
        func tail(_ shift: UInt32) -> UInt8 { UInt8(truncatingIfNeeded: c >> shift & 0x3F | 0x80) }
        switch c {
        case 0..<0x80: buffer.append(UInt8(c))
        case 0x80..<0x800:
            buffer.append(UInt8(c >> 6 | 0xC0))
            buffer.append(tail(0))
        case 0x800..<0x10000:
            buffer.append(UInt8(c >> 12 | 0xE0))
            buffer.append(tail(6))
            buffer.append(tail(0))
        default:
            buffer.append(UInt8(c >> 18 & 7 | 0xF0))
            buffer.append(tail(12))
            buffer.append(tail(6))
            buffer.append(tail(0))
        }
    }

    /// The character that begins at `i`, which is moved behind it. Bytes that are no UTF-8 are
    /// characters of their own.
    @inline(__always)
    func scalar(
        _ place: TextPlace, _ i: inout Int, _ isBytes: Bool, _ event: RawSpan
    ) -> UInt32 {
        let first = byte(place, i, event)
        i += 1
        if first < 0x80 || isBytes { return UInt32(first) }
        return longScalar(first, place, &i, event)
    }

    @inline(never)
    private func longScalar(
        _ first: UInt8, _ place: TextPlace, _ i: inout Int, _ event: RawSpan
    ) -> UInt32 {
        let count = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : first >= 0xC2 ? 1 : 0
        guard count > 0, i + count <= place.length else { return UInt32(first) }
        var value = UInt32(first) & (0x3F >> UInt32(count))
        for j in 0..<count {
            let c = byte(place, i + j, event)
            guard c & 0xC0 == 0x80 else { return UInt32(first) }
            value = value << 6 | UInt32(c & 0x3F)
        }
        i += count
        return value
    }

    /// Characters of a text.
    func scalars(_ place: TextPlace, _ order: TextOrder, _ event: RawSpan) -> [UInt32] {
        var out: [UInt32] = []
        var i = 0
        while i < place.length {
            out.append(scalar(place, &i, order.folding == .bytes, event))
        }
        return out
    }

    /// The text of a text or member; `nil` for other values.
    @inline(__always)
    func place(_ value: ExpressionValue) -> TextPlace? {
        switch value {
        case .text(let place): place
        case .member(_, let place): place
        default: nil
        }
    }

    /// The value as text, printed into the buffer where it is none; `nil` for NULL.
    mutating func toText(_ value: ExpressionValue) -> TextPlace? {
        let start = buffer.count
        switch value {
        case .null: return nil
        case .text(let place), .member(_, let place): return place
        case .signed(let v): buffer.appendDecimal(v)
        case .unsigned(let v): buffer.appendDecimal(v)
        case .decimal(let v): buffer.append(v.description)
        case .double(let v): buffer.appendDouble(v)
        case .temporal(let v): buffer.append(v.description)
        }
        return made(from: start)
    }

    // MARK: Comparison

    /// -1, 0 or 1.
    func compareTexts(
        _ a: TextPlace, _ b: TextPlace, _ order: TextOrder, _ event: RawSpan
    ) -> Int {
        if order.folding == .bytes, !order.ignoresTrailingSpaces {
            for i in 0..<min(a.length, b.length) {
                let x = byte(a, i, event)
                let y = byte(b, i, event)
                if x != y { return x < y ? -1 : 1 }
            }
            return a.length < b.length ? -1 : a.length == b.length ? 0 : 1
        }
        let isBytes = order.folding == .bytes
        let space = order.weight(32)
        var i = 0
        var j = 0
        while true {
            // Characters that don't count have no weight.
            var x: UInt32 = 0
            while x == 0, i < a.length { x = order.weight(scalar(a, &i, isBytes, event)) }
            var y: UInt32 = 0
            while y == 0, j < b.length { y = order.weight(scalar(b, &j, isBytes, event)) }
            if x == 0, y == 0 { break }
            if x == 0 {
                x = order.ignoresTrailingSpaces ? space : 0
            } else if y == 0 {
                y = order.ignoresTrailingSpaces ? space : 0
            }
            if x != y { return x < y ? -1 : 1 }
        }
        switch order.folding {
        case .unicodeAccents, .unicodeExact: return compareExactly(a, b, order, event)
        default: return 0
        }
    }

    /// Texts of the same letters: accents, then case.
    private func compareExactly(
        _ a: TextPlace, _ b: TextPlace, _ order: TextOrder, _ event: RawSpan
    ) -> Int {
        var x = scalars(a, order, event).filter { order.weight($0) != 0 }
        var y = scalars(b, order, event).filter { order.weight($0) != 0 }
        if order.ignoresTrailingSpaces {
            while x.last == 32 { x.removeLast() }
            while y.last == 32 { y.removeLast() }
        }
        let left = x.map(foldCase)
        let right = y.map(foldCase)
        if left != right { return left.lexicographicallyPrecedes(right) ? -1 : 1 }
        if order.folding == .unicodeAccents || x == y { return 0 }
        // Small letters come first, and have the larger numbers.
        return y.lexicographicallyPrecedes(x) ? -1 : 1
    }

    // MARK: Patterns

    /// LIKE: one place to come back to is enough, so the time is at most the lengths' product.
    func like(
        _ text: TextPlace, _ pattern: TextPlace, _ escape: UInt32, _ order: TextOrder,
        _ event: RawSpan
    ) -> Bool {
        let isBytes = order.folding == .bytes
        var t = 0
        var p = 0
        var back: (text: Int, pattern: Int)?
        while true {
            var next = p
            if p < pattern.length {
                var c = scalar(pattern, &next, isBytes, event)
                if c == 0x25, escape != 0x25 {
                    back = (t, next)
                    p = next
                    continue
                }
                let isAny = c == 0x5F && escape != 0x5F
                if c == escape, escape != 0, next < pattern.length {
                    c = scalar(pattern, &next, isBytes, event)
                }
                if t < text.length {
                    var after = t
                    let d = scalar(text, &after, isBytes, event)
                    if isAny || c == d || isSame(c, d, order) {
                        t = after
                        p = next
                        continue
                    }
                }
            } else if t == text.length {
                return true
            }
            guard let place = back, place.text < text.length else { return false }
            var after = place.text
            _ = scalar(text, &after, isBytes, event)
            back = (after, place.pattern)
            t = after
            p = place.pattern
        }
    }

    func isSame(_ c: UInt32, _ d: UInt32, _ order: TextOrder) -> Bool {
        switch order.folding {
        case .bytes, .codePoints, .unicodeExact: c == d
        case .unicodeAccents: foldCase(c) == foldCase(d)
        default: order.weight(c) == order.weight(d)
        }
    }

    /// Whether a regular expression matches anywhere in a text.
    mutating func isFound(_ pattern: Int, _ text: TextPlace, _ event: RawSpan) -> Bool {
        // A small one in its place meanwhile.
        var matcher = RegexMatcher(RegexProgram())
        swap(&matcher, &matchers[pattern])
        var i = 0
        let found = matcher.isFound {
            i < text.length ? scalar(text, &i, false, event) : nil
        }
        swap(&matcher, &matchers[pattern])
        return found
    }
}
