import Foundation
import MySQLBinlog
import MySQLCore
import Testing

/// A JSON value with an encoder of MySQL's binary form and a printer, both slow and obvious.
indirect enum JSONModel: Equatable {
    case null, bool(Bool), int(Int64), uint(UInt64), double(Double), string([UInt8])
    case array([JSONModel]), object([(key: [UInt8], value: JSONModel)])

    static func == (a: JSONModel, b: JSONModel) -> Bool { a.text == b.text }

    var text: String {
        switch self {
        case .null: return "null"
        case .bool(let value): return value ? "true" : "false"
        case .int(let value): return "\(value)"
        case .uint(let value): return "\(value)"
        case .double(let value):
            let text = ValueTests.served(value)
            return text.contains(".") || text.contains("e") ? text : text + ".0"
        case .string(let bytes): return Self.quoted(bytes)
        case .array(let members): return "[" + members.map(\.text).joined(separator: ", ") + "]"
        case .object(let members):
            return "{"
                + members.map { "\(Self.quoted($0.key)): \($0.value.text)" }
                .joined(separator: ", ") + "}"
        }
    }

    static func quoted(_ bytes: [UInt8]) -> String {
        var out: [UInt8] = [0x22]
        for c in bytes {
            switch c {
            case 0x22, 0x5C: out += [0x5C, c]
            case 8: out += Array("\\b".utf8)
            case 9: out += Array("\\t".utf8)
            case 10: out += Array("\\n".utf8)
            case 12: out += Array("\\f".utf8)
            case 13: out += Array("\\r".utf8)
            case 0..<32: out += Array("\\u00\(c < 16 ? "0" : "")\(String(c, radix: 16))".utf8)
            default: out.append(c)
            }
        }
        return String(decoding: out + [0x22], as: UTF8.self)
    }

    /// Type byte and bytes, without the type byte in front. Small where everything fits.
    var encoded: (type: UInt8, bytes: [UInt8]) {
        func little(_ value: UInt64, _ n: Int) -> [UInt8] {
            (0..<n).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
        }
        switch self {
        case .null: return (4, [0])
        case .bool(let value): return (4, [value ? 1 : 2])
        case .int(let value):
            let raw = UInt64(bitPattern: value)
            if Int16(exactly: value) != nil { return (5, little(raw, 2)) }
            if Int32(exactly: value) != nil { return (7, little(raw, 4)) }
            return (9, little(raw, 8))
        case .uint(let value):
            if value < 65536 { return (6, little(value, 2)) }
            if value < 1 << 32 { return (8, little(value, 4)) }
            return (10, little(value, 8))
        case .double(let value): return (11, little(value.bitPattern, 8))
        case .string(let bytes):
            var length: [UInt8] = []
            var rest = bytes.count
            repeat {
                length.append(UInt8(rest & 127) | (rest > 127 ? 128 : 0))
                rest >>= 7
            } while rest > 0
            return (12, length + bytes)
        case .array(let members):
            return Self.container(members.map { ([], $0) }, isObject: false)
        case .object(let members):
            return Self.container(members.map { ($0.key, $0.value) }, isObject: true)
        }
    }

    static func container(
        _ members: [([UInt8], JSONModel)], isObject: Bool
    ) -> (type: UInt8, bytes: [UInt8]) {
        for wide in [2, 4] {
            func number(_ value: Int) -> [UInt8] {
                (0..<wide).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
            }
            let head = 2 * wide + members.count * (wide + 1 + (isObject ? wide + 2 : 0))
            var keys: [UInt8] = []
            var keyTable: [UInt8] = []
            for (key, _) in members where isObject {
                keyTable += number(head + keys.count)
                keyTable += [UInt8(key.count & 255), UInt8(key.count >> 8)]
                keys += key
            }
            var data = keys
            var valueTable: [UInt8] = []
            for (_, value) in members {
                let (type, bytes) = value.encoded
                let isInside = type == 4 || bytes.count <= wide && type >= 5 && type <= 8
                valueTable.append(type)
                if isInside {
                    valueTable += bytes + [UInt8](repeating: 0, count: wide - bytes.count)
                } else {
                    valueTable += number(head + data.count)
                    data += bytes
                }
            }
            let size = head + data.count
            if wide == 2, size > 65535 { continue }
            let bytes = number(members.count) + number(size) + keyTable + valueTable + data
            return ((isObject ? 0 : 2) + (wide == 4 ? 1 : 0), bytes)
        }
        preconditionFailure("too large for a test")
    }

    var bytes: [UInt8] { [encoded.type] + encoded.bytes }

    static func random(_ depth: Int, _ random: inout SplitMix) -> JSONModel {
        func bytes() -> [UInt8] {
            let length = random.next() % 40 == 0 ? 300 : random.next() % 12
            return (0..<length).map { _ in UInt8(random.next() % 128) }
                + Array("é€😀".utf8.prefix(0))
        }
        switch random.next() % (depth > 0 ? 9 : 6) {
        case 0: return .null
        case 1: return .bool(random.next() % 2 == 0)
        case 2: return .int(Int64(bitPattern: random.next()) >> Int64(random.next() % 63))
        case 3: return .uint(random.next() >> (random.next() % 63))
        case 4: return .double(Double(Int32(truncatingIfNeeded: random.next())) / 64)
        case 5: return .string(bytes())
        case 6, 7:
            return .array((0..<(random.next() % 6)).map { _ in Self.random(depth - 1, &random) })
        default:
            var members: [[UInt8]: JSONModel] = [:]
            for _ in 0..<(random.next() % 6) { members[bytes()] = Self.random(depth - 1, &random) }
            return .object(
                members.sorted { Self.precedes($0.key, $1.key) }.map { ($0.key, $0.value) })
        }
    }

    static func precedes(_ a: [UInt8], _ b: [UInt8]) -> Bool {
        a.count != b.count ? a.count < b.count : a.lexicographicallyPrecedes(b)
    }
}

@Suite struct JSONTests {
    static let layout = ColumnLayout(type: .json, metadata: 4)!

    @Test(arguments: 0..<20)
    func randomDocumentsComeOutAsTheModelPrintsThem(seed: Int) throws {
        var random = SplitMix(state: UInt64(seed))
        for _ in 0..<50 {
            let model = JSONModel.random(5, &random)
            let found = try text(Self.layout, model.bytes)
            #expect(found == model.text)
            // Another reader agrees that it is JSON.
            _ = try JSONSerialization.jsonObject(with: Data(found.utf8), options: .fragmentsAllowed)
            for length in stride(from: 1, to: model.bytes.count, by: 7) {
                _ = try? text(Self.layout, Array(model.bytes.prefix(length)))
            }
        }
    }

    @Test func sharedPartsCannotMakeTextsGrowWithoutBound() {
        // 90 levels of arrays whose members are all the next level: 20^90 values as text.
        var bytes: [UInt8] = [2]
        let count = 20
        let size = 4 + 3 * count
        for level in 0..<90 {
            let left = (90 - level) * size
            bytes += [UInt8(count), 0, UInt8(left & 255), UInt8(left >> 8)]
            for _ in 0..<count {
                bytes += level == 89 ? [4, 0, 0] : [2, UInt8(size & 255), UInt8(size >> 8)]
            }
        }
        #expect(throws: BinlogError.self) { try text(Self.layout, bytes) }
        // The same with one long string.
        var strings: [UInt8] = [2, 200, 0]
        let total = 4 + 3 * 200 + 2 + 10_000
        strings += [UInt8(total & 255), UInt8(total >> 8)]
        for _ in 0..<200 { strings += [12, UInt8(604 & 255), UInt8(604 >> 8)] }
        strings += [0x90, 0x4E] + [UInt8](repeating: 0x61, count: 10_000)
        #expect(throws: BinlogError.self) { try text(Self.layout, strings) }
    }

    @Test func depthIsLimited() throws {
        func nested(_ depth: Int) -> JSONModel {
            (0..<depth).reduce(JSONModel.int(1)) { inner, _ in .array([inner]) }
        }
        #expect(try text(Self.layout, nested(100).bytes) == nested(100).text)
        #expect(throws: BinlogError.self) { try text(Self.layout, nested(101).bytes) }
    }

    @Test func longBinariesAreInLines() throws {
        // Opaque VARBINARY of 60 bytes: base64 in lines of 76 characters, as the server prints.
        let bytes: [UInt8] = [15, 253, 60] + [UInt8](repeating: 0, count: 60)
        let line = String(repeating: "A", count: 76)
        #expect(try text(Self.layout, bytes) == "\"base64:type253:\(line)\\nAAAA\"")
    }

    /// Differences of a value: operation, path, new value.
    static func differences(_ list: [(UInt8, String, JSONModel?)]) -> [UInt8] {
        list.flatMap { operation, path, value -> [UInt8] in
            [operation, UInt8(path.utf8.count)] + Array(path.utf8)
                + (value.map { [UInt8($0.bytes.count)] + $0.bytes } ?? [])
        }
    }

    static func update(
        _ before: JSONModel, _ list: [(UInt8, String, JSONModel?)]
    ) throws(BinlogError) -> String {
        let old = before.bytes
        let new = differences(list)
        let event = old + new
        var out = ByteBuffer()
        try layout.appendUpdatedJSON(
            event.span.bytes, before: ColumnValue(offset: 0, length: Int32(old.count)),
            differences: ColumnValue(offset: Int32(old.count), length: Int32(new.count)),
            into: &out)
        return out.string()
    }

    static func key(_ name: String, _ value: JSONModel) -> (key: [UInt8], value: JSONModel) {
        (Array(name.utf8), value)
    }

    @Test func differencesChangeWhatTheirPathsName() throws {
        let before = JSONModel.object([
            Self.key("a", .int(1)), Self.key("b", .array([.int(1), .int(2), .int(3)])),
            Self.key("x y", .object([Self.key("q", .null)])),
        ])
        let cases: [([(UInt8, String, JSONModel?)], String)] = [
            ([], #"{"a": 1, "b": [1, 2, 3], "x y": {"q": null}}"#),
            ([(0, "$.a", .bool(true))], #"{"a": true, "b": [1, 2, 3], "x y": {"q": null}}"#),
            ([(0, "$", .int(5))], "5"),
            ([(1, "$.aa", .int(9))], #"{"a": 1, "b": [1, 2, 3], "aa": 9, "x y": {"q": null}}"#),
            (
                [(2, "$.b[0]", nil), (2, "$.b[last]", nil)],
                #"{"a": 1, "b": [2], "x y": {"q": null}}"#
            ),
            ([(1, "$.b[1]", .int(9))], #"{"a": 1, "b": [1, 9, 2, 3], "x y": {"q": null}}"#),
            ([(1, "$.b[77]", .int(9))], #"{"a": 1, "b": [1, 2, 3, 9], "x y": {"q": null}}"#),
            ([(0, #"$."x y".q"#, .array([]))], #"{"a": 1, "b": [1, 2, 3], "x y": {"q": []}}"#),
            ([(0, #"$."x\u0020y"."q""#, .int(1))], #"{"a": 1, "b": [1, 2, 3], "x y": {"q": 1}}"#),
        ]
        for (list, expected) in cases { #expect(try Self.update(before, list) == expected) }
        let misfits: [(UInt8, String, JSONModel?)] = [
            (0, "$.z", .int(1)), (1, "$.a", .int(1)), (2, "$.b[3]", nil), (2, "$", nil),
            (0, "$.a.b", .int(1)), (1, "$.a[0]", .int(1)), (1, "$.b.c", .int(1)),
        ]
        for misfit in misfits {
            let failure = #expect(throws: BinlogError.self) { try Self.update(before, [misfit]) }
            #expect(failure?.code == .misfit)
        }
        for path in ["", "a", "$.", "$[", "$[a]", "$[*]", "$.*", "$**", "$.\"a", "$[1", "$[lost]"] {
            #expect(throws: BinlogError.self) { try Self.update(before, [(2, path, nil)]) }
        }
        #expect(throws: BinlogError.self) { try Self.update(before, [(3, "$.a", nil)]) }
    }
}
