import Foundation
import MySQLBinlog
import MySQLCore
import Testing

/// A binlog file of a real server, with what SELECT said of its tables afterwards.
struct Golden: Sendable, CustomTestStringConvertible {
    let name: String
    /// Raw events, checksums included, of each file.
    let files: [[[UInt8]]]

    var testDescription: String { name }
    var events: [[UInt8]] { files.flatMap { $0 } }

    static let all: [Golden] = [
        "mysql-types", "mysql-json", "mysql-partial", "mysql-images", "mysql-compressed",
        "mysql-control", "mysql-nochecksum", "mariadb-types", "mariadb-compressed",
        "mariadb-control", "mariadb-oldtimes", "mariadb-nochecksum",
    ].map { Golden($0) }

    static func named(_ name: String) -> Golden { all.first { $0.name == name }! }

    init(_ name: String) {
        self.name = name
        var files: [[[UInt8]]] = []
        while let bytes = Self.read("\(name).\(files.count + 1).binlog") {
            files.append(Self.split(bytes))
        }
        self.files = files
    }

    static func read(_ file: String) -> [UInt8]? {
        let url = Bundle.module.bundleURL.appendingPathComponent("Golden/\(file)")
        return (try? Data(contentsOf: url)).map { [UInt8]($0) }
    }

    /// Cuts a file into its events.
    static func split(_ bytes: [UInt8]) -> [[UInt8]] {
        precondition(Array(bytes.prefix(4)) == [0xFE, 0x62, 0x69, 0x6E])
        var out: [[UInt8]] = []
        var at = 4
        while at < bytes.count {
            let size = bytes[(at + 9)..<(at + 13)].reversed().reduce(0) { $0 << 8 | Int($1) }
            out.append(Array(bytes[at..<(at + size)]))
            at += size
        }
        return out
    }

    /// What the server said: texts by table, row (text of `id`) and column.
    func expected() throws -> [String: ExpectedTable] {
        let bytes = try #require(Self.read("\(name).expected"))
        var tables: [String: ExpectedTable] = [:]
        var current = ""
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
            let fields = line.split(separator: "\t", omittingEmptySubsequences: false)
                .map(String.init)
            if fields[0] == "TABLE" {
                current = fields[1]
                tables[current] = ExpectedTable(
                    columns: fields.dropFirst(2).map { field in
                        let parts = field.split(separator: "=", maxSplits: 1).map(String.init)
                        return (parts[0], parts[1])
                    })
            } else {
                tables[current]!.add(fields)
            }
        }
        return tables
    }
}

/// A table as SELECT saw it.
struct ExpectedTable {
    var columns: [(name: String, type: String)]
    var rows: [[UInt8]: [String]] = [:]

    init(columns: [(String, String)]) { self.columns = columns.map { ($0.0, $0.1) } }

    mutating func add(_ fields: [String]) {
        let id = columns.firstIndex { $0.name == "id" }!
        rows[fromHex(fields[id]), default: []] = fields
    }
}

func fromHex(_ text: String) -> [UInt8] {
    let digits = Array(text.utf8).map { UInt8($0 < 58 ? $0 - 48 : ($0 | 32) - 87) }
    return stride(from: 0, to: digits.count - 1, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
}

func toHex(_ bytes: [UInt8]) -> String {
    bytes.map { b in
        let text = String(b, radix: 16, uppercase: true)
        return text.count == 1 ? "0" + text : text
    }.joined()
}

/// CRC32, one bit at a time.
func slowCRC32(_ bytes: [UInt8]) -> UInt32 {
    var crc: UInt32 = .max
    for byte in bytes {
        crc ^= UInt32(byte)
        for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0xEDB8_8320 : crc >> 1 }
    }
    return ~crc
}

/// A small seeded generator, so that a failing seed reproduces.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

extension ByteBuffer {
    /// The content as an array.
    func array() -> [UInt8] { withBytes { [UInt8]($0) } }
}
