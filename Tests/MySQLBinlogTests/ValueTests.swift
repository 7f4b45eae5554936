import Foundation
import MySQLBinlog
import MySQLCore
import Testing

/// Reads values out of arrays.
func text(
    _ layout: ColumnLayout, _ bytes: [UInt8], isUnsigned: Bool = false
) throws(BinlogError) -> String {
    var out = ByteBuffer()
    let place = ColumnValue(offset: 0, length: Int32(bytes.count))
    try layout.appendText(bytes.span.bytes, place, isUnsigned: isUnsigned, into: &out)
    return out.string()
}

/// Values against slow, obvious models.
@Suite struct ValueTests {
    /// Encodes a decimal from its digits, group by group.
    static func encode(whole: String, fraction: String, isNegative: Bool) -> [UInt8] {
        func group(_ digits: Substring) -> [UInt8] {
            guard !digits.isEmpty else { return [] }
            let size = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4][digits.count]
            let value = UInt32(digits)!
            return (0..<size).reversed().map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
        }
        var bytes: [UInt8] = []
        var rest = Substring(whole)
        bytes += group(rest.prefix(whole.count % 9))
        rest = rest.dropFirst(whole.count % 9)
        while !rest.isEmpty {
            bytes += group(rest.prefix(9))
            rest = rest.dropFirst(9)
        }
        rest = Substring(fraction)
        while !rest.isEmpty {
            bytes += group(rest.prefix(9))
            rest = rest.dropFirst(9)
        }
        if isNegative { bytes = bytes.map { ~$0 } }
        bytes[0] ^= 0x80
        return bytes
    }

    @Test(arguments: 0..<20)
    func decimalsComeOutAsTheirDigits(seed: Int) throws {
        var random = SplitMix(state: UInt64(seed))
        for _ in 0..<200 {
            let precision = Int.random(in: 1...65, using: &random)
            let scale = Int.random(in: 0...min(38, precision), using: &random)
            // Runs of zeros and nines are where carries and leading zeros go wrong.
            let style = Int.random(in: 0..<4, using: &random)
            func digits(_ n: Int) -> String {
                String(
                    (0..<n).map { _ -> Character in
                        switch style {
                        case 0: "0"
                        case 1: "9"
                        case 2: Bool.random(using: &random) ? "0" : "7"
                        default: Character(String(Int.random(in: 0...9, using: &random)))
                        }
                    })
            }
            let whole = digits(precision - scale)
            let fraction = digits(scale)
            let isZero = (whole + fraction).allSatisfy { $0 == "0" }
            let isNegative = !isZero && Bool.random(using: &random)
            let bytes = Self.encode(whole: whole, fraction: fraction, isNegative: isNegative)
            let stripped = whole.drop { $0 == "0" }
            let expected =
                (isNegative ? "-" : "") + (stripped.isEmpty ? "0" : stripped)
                + (scale > 0 ? "." + fraction : "")
            let layout = try #require(
                ColumnLayout(type: .newdecimal, metadata: UInt16(precision << 8 | scale)))
            #expect(Int(layout.width) == bytes.count)
            #expect(try text(layout, bytes) == expected)
        }
    }

    @Test func integersOfAllWidths() throws {
        func little(_ value: Int64, _ n: Int) -> [UInt8] {
            (0..<n).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
        }
        let types: [(WireType, Int)] = [
            (.tiny, 1), (.short, 2), (.int24, 3), (.long, 4), (.longlong, 8),
        ]
        for (type, size) in types {
            let layout = try #require(ColumnLayout(type: type))
            let top = Int64(1) << (8 * size - 1)
            for value in [0, 1, -1, top &- 1, 0 &- top, 42, -42] {
                #expect(try text(layout, little(value, size)) == "\(value)")
                let unsigned = UInt64(bitPattern: value) & (UInt64.max >> (64 - 8 * size))
                #expect(try text(layout, little(value, size), isUnsigned: true) == "\(unsigned)")
            }
            #expect(throws: BinlogError.self) { try text(layout, little(0, size - 1)) }
            #expect(throws: BinlogError.self) { try text(layout, little(0, size + 1)) }
        }
    }

    /// How the server lays out digits: plainly, unless that takes many zeros.
    static func served(_ value: Double) -> String {
        if value == 0 { return value.sign == .minus ? "-0" : "0" }
        var parts = value.magnitude.description.split(separator: "e").map(String.init)
        if parts.count == 1 { parts.append("0") }
        let pair = parts[0].split(separator: ".").map(String.init)
        var digits = pair[0] + (pair.count > 1 ? pair[1] : "")
        var point = pair[0].count + Int(parts[1])!
        while digits.hasPrefix("0") {
            digits.removeFirst()
            point -= 1
        }
        while digits.hasSuffix("0") { digits.removeLast() }
        let sign = value < 0 ? "-" : ""
        if point < -14 || point > 15 && digits.count <= point {
            let rest = digits.dropFirst()
            return "\(sign)\(digits.prefix(1))\(rest.isEmpty ? "" : ".")\(rest)e\(point - 1)"
        }
        if point <= 0 { return "\(sign)0.\(String(repeating: "0", count: -point))\(digits)" }
        if digits.count <= point {
            return sign + digits + String(repeating: "0", count: point - digits.count)
        }
        return "\(sign)\(digits.prefix(point)).\(digits.dropFirst(point))"
    }

    @Test(arguments: 0..<10)
    func doublesReadBackAsTheSameNumber(seed: Int) throws {
        var random = SplitMix(state: UInt64(seed))
        for round in 0..<800 {
            let value: Double
            switch round % 4 {
            case 0: value = Double(bitPattern: random.next())
            case 1: value = Double(Int64.random(in: -99_999_999...99_999_999, using: &random)) / 100
            case 2: value = Double(Int64(bitPattern: random.next()) >> Int64(random.next() % 63))
            default:
                value =
                    Double.random(in: -1...1, using: &random)
                    * pow(10, Double(Int.random(in: -20...20, using: &random)))
            }
            guard value.isFinite else { continue }
            var out = ByteBuffer()
            out.appendDouble(value)
            #expect(Double(out.string())?.bitPattern == value.bitPattern)
            #expect(out.string() == Self.served(value))
            let float = Float(value)
            guard float.isFinite else { continue }
            out.removeAll()
            out.appendFloat(float)
            #expect(Float(out.string()) == float)
        }
        var out = ByteBuffer()
        for value in [Double.nan, .infinity, -.infinity] { out.appendDouble(value) }
        #expect(out.string().contains("inf"))
    }

    @Test func timestampsFollowTheCalendar() throws {
        // The model counts days one by one.
        var year = 1970
        var month = 1
        var day = 1
        let lengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        let layout = try #require(ColumnLayout(type: .timestamp2, metadata: 3))
        for days in 0..<49_710 {
            let seconds = UInt32(days) * 86_400 + UInt32(days * 7919 % 86_400)
            let bytes = (0..<4).reversed().map { UInt8(truncatingIfNeeded: seconds >> (8 * $0)) }
            let time = seconds % 86_400
            func two(_ n: Int) -> String { n < 10 ? "0\(n)" : "\(n)" }
            if days > 0 {
                let date = "\(year)-\(two(month))-\(two(day))"
                let clock =
                    "\(two(Int(time / 3600))):\(two(Int(time / 60 % 60))):\(two(Int(time % 60)))"
                let expected = "\(date) \(clock).012"
                if days % 13 == 0 || day >= 28 || day == 1 {
                    #expect(try text(layout, bytes + [0, 120]) == expected)
                }
            }
            let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
            day += 1
            if day > lengths[month - 1] + (month == 2 && isLeap ? 1 : 0) {
                day = 1
                month += 1
            }
            if month > 12 {
                month = 1
                year += 1
            }
        }
        #expect(try text(layout, [0, 0, 0, 0, 0, 0]) == "0000-00-00 00:00:00.000")
        #expect(throws: BinlogError.self) { try text(layout, [0, 0, 0, 0, 0x27, 0x10]) }
    }

    @Test(arguments: 0...6)
    func timesOfEveryPrecision(decimals: Int) throws {
        let layout = try #require(ColumnLayout(type: .time2, metadata: UInt16(decimals)))
        let bytes = (decimals + 1) / 2
        var random = SplitMix(state: UInt64(decimals))
        for _ in 0..<500 {
            let hour = Int.random(in: 0...838, using: &random)
            let minute = Int.random(in: 0...59, using: &random)
            let second = Int.random(in: 0...59, using: &random)
            let unit = [1, 100, 10_000, 1_000_000][bytes]
            // Odd precisions have a zero in their last stored digit.
            var fraction = Int.random(in: 0..<unit, using: &random)
            if decimals % 2 == 1 { fraction = fraction / 10 * 10 }
            let isNegative = Bool.random(using: &random)
            let packed = (hour << 12 | minute << 6 | second) << (8 * bytes) | fraction
            let stored = (isNegative ? -packed : packed) + 0x800000 << (8 * bytes)
            let raw = (0..<(3 + bytes)).reversed().map {
                UInt8(truncatingIfNeeded: stored >> (8 * $0))
            }
            func pad(_ n: Int, _ width: Int) -> String {
                let text = String(n)
                return String(repeating: "0", count: max(0, width - text.count)) + text
            }
            let sign = isNegative && packed > 0 ? "-" : ""
            let rest = decimals > 0 ? "." + pad(fraction, 2 * bytes).prefix(decimals) : ""
            let expected = "\(sign)\(pad(hour, 2)):\(pad(minute, 2)):\(pad(second, 2))\(rest)"
            #expect(try text(layout, raw) == expected)
        }
    }

    @Test(arguments: 0..<5)
    func inet6TextsAreReadBackByTheSystem(seed: Int) throws {
        var random = SplitMix(state: UInt64(seed))
        for _ in 0..<300 {
            var bytes = [UInt8](repeating: 0, count: 16)
            for i in 0..<16 where random.next() % 3 == 0 { bytes[i] = UInt8(random.next() & 255) }
            var out = ByteBuffer()
            var trimmed = bytes
            while trimmed.last == 0 { trimmed.removeLast() }
            out.appendINET6(trimmed.span.bytes)
            var parsed = in6_addr()
            #expect(inet_pton(AF_INET6, out.string(), &parsed) == 1, "\(out.string())")
            #expect(withUnsafeBytes(of: &parsed) { Array($0) } == bytes, "\(out.string())")
        }
    }

    @Test func compressedColumnsOfEveryKind() throws {
        let layout = try #require(ColumnLayout(type: .blobCompressed, metadata: 4))
        #expect(try text(layout, []) == "")
        #expect(try text(layout, [0x00] + Array("plain".utf8)) == "plain")
        let zlib: [UInt8] = [0x78, 0x9C, 0x4B, 0x4C, 0x4A, 0x06, 0x00, 0x02, 0x4D, 0x01, 0x27]
        #expect(try text(layout, [0x81, 3] + zlib) == "abc")
        #expect(try text(layout, [0x89, 3] + zlib[2..<7]) == "abc")
        for wrong: [UInt8] in [
            [0x81, 2] + zlib, [0x81, 4] + zlib, [0x81, 3] + zlib.dropLast(3), [0x70, 1], [0x80],
            [0x87, 1, 1, 1, 1, 1, 1, 1, 1], [0x84, 255, 255, 255, 255, 1, 2], [0x81],
        ] {
            #expect(throws: BinlogError.self) { try text(layout, wrong) }
        }
    }
}
