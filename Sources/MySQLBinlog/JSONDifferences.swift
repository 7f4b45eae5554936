public import MySQLCore

/// One step of an update that is logged as differences of a JSON value (PARTIAL_JSON).
///
///     u8      0 replace, 1 insert, 2 remove
///     lenenc  length of the path; the path
///     lenenc  length of the new value; the value as binary JSON (not for remove)
public struct JSONDifference: Sendable, Hashable {
    /// What happens to the place that the path names.
    public enum Operation: UInt8, Sendable, Hashable {
        /// Its value, which exists, is replaced.
        case replace
        /// A member, or a cell in front of the one that is there, is inserted.
        case insert
        /// The member or cell, which exists, is removed.
        case remove
    }

    /// What happens.
    public var operation: Operation
    /// Where the path's text is in the event.
    public var path: Range<Int>
    /// Where the new value, binary JSON, is in the event; empty for ``Operation/remove``.
    public var value: Range<Int>

    /// Reads the difference at the cursor.
    init(_ cursor: inout Cursor) throws(BinlogError) {
        let raw = try cursor.u8("a difference")
        guard let operation = Operation(rawValue: raw) else {
            throw malformed(cursor.event, at: cursor.at - 1, "an unknown kind of JSON difference")
        }
        self.operation = operation
        path = try cursor.lengthEncodedRange("a JSON path")
        value =
            operation == .remove
            ? cursor.at..<cursor.at : try cursor.lengthEncodedRange("a JSON value")
    }

    /// All differences of one value of an after image, in the order in which they apply. For those
    /// who have no value before (minimal images) and hand the steps to a server.
    public static func all(
        _ event: RawSpan, _ value: ColumnValue
    ) throws(BinlogError) -> [JSONDifference] {
        var all = try Cursor(event, .partialUpdateRows, at: Int(value.offset))
        guard value.hasValue else { throw malformed(nil, at: all.at, "a NULL has no differences") }
        var cursor = try all.part(UInt64(value.length), "the differences of a JSON value")
        var out: [JSONDifference] = []
        while !cursor.isAtEnd { out.append(try JSONDifference(&cursor)) }
        return out
    }
}

/// A JSON document taken apart for changing it. Scalars are kept as their text.
private final class JSONNode {
    var scalar: [UInt8] = []
    var keys: [[UInt8]] = []
    var members: [JSONNode] = []
    var kind: Kind

    enum Kind { case scalar, object, array }

    init(_ kind: Kind) { self.kind = kind }

    /// Where a key is, or would be: the server orders by length, then by bytes.
    func find(_ key: [UInt8]) -> (index: Int, isFound: Bool) {
        var low = 0
        var high = keys.count
        while low < high {
            let middle = (low + high) / 2
            if Self.precedes(keys[middle], key) { low = middle + 1 } else { high = middle }
        }
        return (low, low < keys.count && keys[low] == key)
    }

    static func precedes(_ a: [UInt8], _ b: [UInt8]) -> Bool {
        a.count != b.count ? a.count < b.count : a.lexicographicallyPrecedes(b)
    }

    func append(into out: inout ByteBuffer) {
        switch kind {
        case .scalar: out.append(scalar)
        case .array:
            out.append(UInt8(ascii: "["))
            for (i, member) in members.enumerated() {
                if i > 0 { out.append(", ") }
                member.append(into: &out)
            }
            out.append(UInt8(ascii: "]"))
        case .object:
            out.append(UInt8(ascii: "{"))
            for (i, member) in members.enumerated() {
                if i > 0 { out.append(", ") }
                let key = keys[i]
                out.appendJSONString(unsafe key.span.bytes, 0, key.count)
                out.append(": ")
                member.append(into: &out)
            }
            out.append(UInt8(ascii: "}"))
        }
    }
}

extension JSONReader {
    @_lifetime(self: copy self)
    fileprivate mutating func node(
        _ place: Place, depth: Int, _ scratch: inout ByteBuffer
    ) throws(BinlogError) -> JSONNode {
        switch place.shape {
        case .smallObject, .largeObject, .smallArray, .largeArray: break
        default:
            scratch.removeAll()
            try appendScalar(place, into: &scratch)
            let node = JSONNode(.scalar)
            node.scalar = unsafe scratch.withBytes { unsafe [UInt8]($0) }
            return node
        }
        guard depth < Self.maxDepth else { throw fail(place.start, "JSON nested too deeply") }
        let c = try container(place)
        let node = JSONNode(c.isObject ? .object : .array)
        node.members.reserveCapacity(c.count)
        for i in 0..<c.count {
            if c.isObject {
                let range = try key(c, i)
                let name = span.array(range.lowerBound, range.count)
                guard node.keys.last.map({ JSONNode.precedes($0, name) }) ?? true else {
                    throw fail(range.lowerBound, "the keys of a JSON object are out of order")
                }
                node.keys.append(name)
            }
            node.members.append(try self.node(try member(c, i), depth: depth + 1, &scratch))
        }
        return node
    }
}

extension ColumnLayout {
    /// Appends the text of a JSON value after an update that was logged as differences.
    ///
    /// - Parameters:
    ///   - before: the column's value in the before image, with a value.
    ///   - differences: its value in the after image, where
    ///     ``RowImages/isDifference(jsonColumn:in:)``.
    public func appendUpdatedJSON(
        _ event: RawSpan, before: ColumnValue, differences: ColumnValue,
        into out: inout ByteBuffer
    ) throws(BinlogError) {
        guard type == .json else { throw malformed(nil, at: 0, "not a JSON column") }
        let start = try check(event, before)
        let at = try check(event, differences)
        var scratch = ByteBuffer(capacity: 256)
        var reader = JSONReader(event, budget: Int(before.length))
        let place = try reader.root(start, Int(before.length))
        var root = try reader.node(place, depth: 0, &scratch)
        var all = try Cursor(event, .partialUpdateRows, at: at)
        var cursor = try all.part(UInt64(differences.length), "the differences of a JSON value")
        while !cursor.isAtEnd { try Self.apply(&cursor, &root, &scratch) }
        root.append(into: &out)
    }

    private static func apply(
        _ cursor: inout Cursor, _ root: inout JSONNode, _ scratch: inout ByteBuffer
    ) throws(BinlogError) {
        let start = cursor.at
        let difference = try JSONDifference(&cursor)
        guard let path = JSONPath(cursor.span.extracting(difference.path)),
            path.legs.count <= JSONReader.maxDepth
        else { throw malformed(cursor.event, at: start, "an unreadable JSON path") }
        var value: JSONNode?
        if difference.operation != .remove {
            let range = difference.value
            var reader = JSONReader(cursor.span, budget: range.count)
            let place = try reader.root(range.lowerBound, range.count)
            value = try reader.node(place, depth: path.legs.count, &scratch)
        }
        guard let last = path.legs.last else {
            // The whole document: only replacing it makes sense.
            guard difference.operation == .replace, let value else { throw misfit(start) }
            root = value
            return
        }
        var node = root
        for leg in path.legs.dropLast() {
            guard let next = find(leg, in: node) else { throw misfit(start) }
            node = node.members[next]
        }
        try change(node, last, difference.operation, value, at: start)
    }

    /// Index of the member that a leg names.
    private static func find(_ leg: JSONPath.Leg, in node: JSONNode) -> Int? {
        switch leg {
        case .member(let key):
            guard node.kind == .object else { return nil }
            let place = node.find(key)
            return place.isFound ? place.index : nil
        case .cell(let index):
            guard node.kind == .array, index < node.members.count else { return nil }
            return index
        case .cellFromEnd(let index):
            guard node.kind == .array, index < node.members.count else { return nil }
            return node.members.count - 1 - index
        }
    }

    private static func change(
        _ node: JSONNode, _ leg: JSONPath.Leg, _ operation: JSONDifference.Operation,
        _ value: JSONNode?, at start: Int
    ) throws(BinlogError) {
        let index = find(leg, in: node)
        switch (operation, index, value) {
        case (.replace, .some(let index), .some(let value)):
            node.members[index] = value
        case (.remove, .some(let index), _):
            node.members.remove(at: index)
            if node.kind == .object { node.keys.remove(at: index) }
        case (.insert, _, .some(let value)):
            switch leg {
            case .member(let key) where node.kind == .object && index == nil:
                let place = node.find(key).index
                node.keys.insert(key, at: place)
                node.members.insert(value, at: place)
            case .cell(let at) where node.kind == .array:
                // Beyond either end means at that end.
                node.members.insert(value, at: min(at, node.members.count))
            case .cellFromEnd(let at) where node.kind == .array:
                node.members.insert(value, at: max(node.members.count - 1 - at, 0))
            default: throw misfit(start)
            }
        default: throw misfit(start)
        }
    }

    private static func misfit(_ at: Int) -> BinlogError {
        BinlogError(
            .misfit, .partialUpdateRows, at: at,
            "a JSON difference names a place that the value before does not have")
    }
}
