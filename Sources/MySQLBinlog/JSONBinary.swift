public import MySQLCore

// MySQL's binary JSON. A value is a type byte and what the type says: numbers, a string behind its
// length (seven bits per byte), an object or array with a table of where its members are. Members
// are found by offsets from the container's start; small containers use 2 bytes for them, large
// ones 4. Small numbers and literals stand in the table itself.
//
//     0, 1 small/large object   2, 3 small/large array   4 literal   5..10 integers   11 double
//     12 string   15 opaque: a value of a column type, e.g. decimal or datetime

/// Reads binary JSON and writes the text that the server prints. Offsets in hostile bytes may point
/// anywhere, so that parts could be shared and the text grow without bound; a budget of bytes to
/// visit, the value's own length, ends that.
struct JSONReader: ~Escapable {
    let span: RawSpan
    private var budget: Int

    /// Levels that the server allows.
    static let maxDepth = 100

    @_lifetime(copy span)
    init(_ span: RawSpan, budget: Int) {
        self.span = span
        self.budget = budget
    }

    enum Shape: UInt8 {
        case smallObject, largeObject, smallArray, largeArray, literal, int16, uint16, int32, uint32
        case int64, uint64, double, string
        case opaque = 15
    }

    /// A value's type and where its bytes are; for values inside a table, the place in the table.
    struct Place {
        var shape: Shape
        var start: Int
        /// Where the container that holds it ends.
        var end: Int
    }

    func fail(_ at: Int, _ what: StaticString) -> BinlogError { malformed(nil, at: at, what) }

    /// Checks that `n` bytes are there, and takes them from the budget.
    @_lifetime(self: copy self)
    mutating func visit(_ at: Int, _ n: Int, end: Int) throws(BinlogError) {
        guard n >= 0, at >= 0, at <= end, n <= end - at else {
            throw fail(at, "a JSON value reaches beyond its end")
        }
        budget -= n
        guard budget >= 0 else { throw fail(at, "parts of a JSON value overlap") }
    }

    func shape(_ byte: UInt8, at: Int) throws(BinlogError) -> Shape {
        guard let shape = Shape(rawValue: byte) else {
            throw fail(at, "an unknown type of JSON value")
        }
        return shape
    }

    /// The value that fills `length` bytes from `offset` on, type byte first.
    @_lifetime(self: copy self)
    mutating func root(_ offset: Int, _ length: Int) throws(BinlogError) -> Place {
        try visit(offset, 1, end: offset + length)
        return Place(
            shape: try shape(span.u8(offset), at: offset), start: offset + 1, end: offset + length)
    }

    /// A container's table of members.
    struct Container {
        var isObject: Bool
        var isLarge: Bool
        var start: Int
        var end: Int
        var count: Int

        var wide: Int { isLarge ? 4 : 2 }
        func keyEntry(_ i: Int) -> Int { start + 2 * wide + i * (wide + 2) }
        func valueEntry(_ i: Int) -> Int {
            start + 2 * wide + (isObject ? count * (wide + 2) : 0) + i * (wide + 1)
        }
    }

    /// Reads the head of an object or array.
    @_lifetime(self: copy self)
    mutating func container(_ place: Place) throws(BinlogError) -> Container {
        let isLarge = place.shape == .largeObject || place.shape == .largeArray
        let isObject = place.shape == .smallObject || place.shape == .largeObject
        let wide = isLarge ? 4 : 2
        try visit(place.start, 2 * wide, end: place.end)
        let count = number(place.start, wide)
        let size = number(place.start + wide, wide)
        guard size <= place.end - place.start else {
            throw fail(place.start, "a JSON container is larger than what holds it")
        }
        let end = place.start + size
        let container = Container(
            isObject: isObject, isLarge: isLarge, start: place.start, end: end, count: count)
        let entry = wide + 1 + (isObject ? wide + 2 : 0)
        guard count <= (size - min(size, 2 * wide)) / entry else {
            throw fail(place.start, "a JSON container has fewer entries than it says")
        }
        try visit(place.start + 2 * wide, count * entry, end: end)
        return container
    }

    func number(_ at: Int, _ wide: Int) -> Int {
        wide == 4 ? Int(span.u32(at)) : Int(span.u16(at))
    }

    /// Where the key of a member is.
    @_lifetime(self: copy self)
    mutating func key(_ c: Container, _ i: Int) throws(BinlogError) -> Range<Int> {
        let entry = c.keyEntry(i)
        let at = c.start + number(entry, c.wide)
        let length = Int(span.u16(entry + c.wide))
        try visit(at, length, end: c.end)
        return at..<(at + length)
    }

    /// Where a member's value is.
    func member(_ c: Container, _ i: Int) throws(BinlogError) -> Place {
        let entry = c.valueEntry(i)
        let shape = try shape(span.u8(entry), at: entry)
        let isInside =
            switch shape {
            case .literal, .int16, .uint16: true
            case .int32, .uint32: c.isLarge
            default: false
            }
        if isInside { return Place(shape: shape, start: entry + 1, end: entry + 1 + c.wide) }
        let offset = number(entry + 1, c.wide)
        guard offset < c.end - c.start else {
            throw fail(entry, "a JSON member is outside of its container")
        }
        return Place(shape: shape, start: c.start + offset, end: c.end)
    }

    /// A length of one to five bytes, seven bits each.
    @_lifetime(self: copy self)
    mutating func varLength(_ place: Place, at: inout Int) throws(BinlogError) -> Int {
        var length = 0
        for shift in stride(from: 0, through: 28, by: 7) {
            try visit(at, 1, end: place.end)
            let byte = span.u8(at)
            at += 1
            length |= Int(byte & 0x7F) << shift
            if byte & 0x80 == 0 { return length }
        }
        throw fail(at, "a JSON length has too many bytes")
    }

    /// Appends a value's text.
    @_lifetime(self: copy self)
    mutating func append(
        _ place: Place, depth: Int, into out: inout ByteBuffer
    ) throws(BinlogError) {
        switch place.shape {
        case .smallObject, .largeObject, .smallArray, .largeArray:
            try appendContainer(place, depth: depth, into: &out)
        default:
            try appendScalar(place, into: &out)
        }
    }

    @_lifetime(self: copy self)
    private mutating func appendContainer(
        _ place: Place, depth: Int, into out: inout ByteBuffer
    ) throws(BinlogError) {
        guard depth < Self.maxDepth else { throw fail(place.start, "JSON nested too deeply") }
        let c = try container(place)
        out.append(UInt8(ascii: c.isObject ? "{" : "["))
        for i in 0..<c.count {
            if i > 0 { out.append(", ") }
            if c.isObject {
                let key = try key(c, i)
                out.appendJSONString(span, key.lowerBound, key.count)
                out.append(": ")
            }
            try append(try member(c, i), depth: depth + 1, into: &out)
        }
        out.append(UInt8(ascii: c.isObject ? "}" : "]"))
    }

    @_lifetime(self: copy self)
    mutating func appendScalar(_ place: Place, into out: inout ByteBuffer) throws(BinlogError) {
        var at = place.start
        switch place.shape {
        case .literal:
            try checkInside(place, 1)
            switch span.u8(at) {
            case 0: out.append("null")
            case 1: out.append("true")
            case 2: out.append("false")
            default: throw fail(at, "an unknown JSON literal")
            }
        case .int16:
            try checkInside(place, 2)
            out.appendDecimal(Int64(Int16(bitPattern: span.u16(at))))
        case .uint16:
            try checkInside(place, 2)
            out.appendDecimal(UInt64(span.u16(at)))
        case .int32:
            try checkInside(place, 4)
            out.appendDecimal(Int64(Int32(bitPattern: span.u32(at))))
        case .uint32:
            try checkInside(place, 4)
            out.appendDecimal(UInt64(span.u32(at)))
        case .int64:
            try checkInside(place, 8)
            out.appendDecimal(Int64(bitPattern: span.u64(at)))
        case .uint64:
            try checkInside(place, 8)
            out.appendDecimal(span.u64(at))
        case .double:
            try checkInside(place, 8)
            out.appendJSONDouble(Double(bitPattern: span.u64(at)))
        case .string:
            let length = try varLength(place, at: &at)
            try visit(at, length, end: place.end)
            out.appendJSONString(span, at, length)
        case .opaque:
            try visit(at, 1, end: place.end)
            let type = span.u8(at)
            at += 1
            let length = try varLength(place, at: &at)
            try visit(at, length, end: place.end)
            try appendOpaque(type, at, length, into: &out)
        case .smallObject, .largeObject, .smallArray, .largeArray:
            throw fail(at, "a JSON container was read as a scalar")
        }
    }

    /// Numbers are short; they need no budget, since an entry or a type byte was paid for each.
    private func checkInside(_ place: Place, _ n: Int) throws(BinlogError) {
        guard place.start >= 0, place.end <= span.byteCount, n <= place.end - place.start else {
            throw fail(place.start, "a JSON number reaches beyond its end")
        }
    }
}

extension JSONDifference {
    /// Appends the text of ``value``, as the server prints it.
    public func appendValue(_ event: RawSpan, into out: inout ByteBuffer) throws(BinlogError) {
        guard event.has(value.lowerBound, value.count) else {
            throw truncated(.partialUpdateRows, at: value.lowerBound, "a JSON value")
        }
        var reader = JSONReader(event, budget: value.count)
        let root = try reader.root(value.lowerBound, value.count)
        try reader.append(root, depth: 0, into: &out)
    }
}

extension ColumnLayout {
    /// Appends a JSON column's value as the server prints it. No bytes at all, which servers write
    /// for values that `INSERT IGNORE` made up, are `null`.
    func appendJSON(
        _ event: RawSpan, _ offset: Int, _ length: Int, into out: inout ByteBuffer
    ) throws(BinlogError) {
        guard length > 0 else { return out.append("null") }
        var reader = JSONReader(event, budget: length)
        let root = try reader.root(offset, length)
        try reader.append(root, depth: 0, into: &out)
    }
}
