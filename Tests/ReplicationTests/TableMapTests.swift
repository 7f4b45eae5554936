import Foundation
import MySQLBinlog
import MySQLCore
import MySQLSyntax
import Rules
import Testing

@testable import Replication

/// Whether shapes are what table maps of real servers say.
@Suite("What table maps say")
struct TableMapTests {
    /// A table map, and the shape that the statements before it make.
    struct Told {
        var map: TableMap
        var event: [UInt8]
        var shape: TableShape

        var hasMetadata: Bool { map.metadata.isUnsigned != nil || map.metadata.collations != nil }
    }

    /// A binlog file of `Tests/MySQLBinlogTests/Golden`.
    struct Binlog: Sendable, CustomTestStringConvertible {
        var name: String
        var version: String
        var testDescription: String { name }
    }

    static let binlogs = [
        Binlog(name: "mysql-types", version: "9.7.4"),
        Binlog(name: "mysql-control", version: "9.7.4"),
        Binlog(name: "mysql-json", version: "9.7.4"),
        Binlog(name: "mariadb-types", version: "10.11.19-MariaDB"),
        Binlog(name: "mariadb-control", version: "10.11.19-MariaDB"),
    ]

    private static let collations: [UInt16: String] = [
        1: "big5_chinese_ci", 8: "latin1_swedish_ci", 11: "ascii_general_ci",
        13: "sjis_japanese_ci", 28: "gbk_chinese_ci", 33: "utf8mb3_general_ci",
        35: "ucs2_general_ci", 45: "utf8mb4_general_ci", 46: "utf8mb4_bin", 47: "latin1_bin",
        48: "latin1_general_ci", 54: "utf16_general_ci", 60: "utf32_general_ci",
        63: "binary", 65: "ascii_bin", 83: "utf8mb3_bin", 224: "utf8mb4_unicode_ci",
        255: "utf8mb4_0900_ai_ci",
    ]

    private static func session(_ version: String) -> StatementSession {
        var dialect = ServerDialect(version: ServerVersion(version))
        dialect.collations = collations
        dialect.explicitDefaultsForTimestamp = true
        return StatementSession(source: dialect, target: dialect)
    }

    private static func told(_ binlog: Binlog) throws -> [Told] {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent()
        let file = folder.appendingPathComponent(
            "MySQLBinlogTests/Golden/\(binlog.name).1.binlog")
        let bytes = [UInt8](try Data(contentsOf: file))
        let session = session(binlog.version)
        var state = SchemaState()
        var checksum = ChecksumAlgorithm.crc32
        var out: [Told] = []
        var at = 4
        while at < bytes.count {
            let size = bytes[(at + 9)..<(at + 13)].reversed().reduce(0) { $0 << 8 | Int($1) }
            let event = Array(bytes[at..<(at + size)])
            at += size
            let span = event.span.bytes
            let header = try EventHeader(span)
            if header.type == .formatDescription { checksum = try FormatDescription(span).checksum }
            let body = try FormatDescription.body(of: span, checksum: checksum)
            switch header.type {
            case .query:
                let query = try QueryEvent(body)
                let context = session.context(of: query)
                guard let ddl = try? parseStatement(query.sql, context: context).ddl else {
                    continue
                }
                // An ALTER that MariaDB logs in two phases comes twice.
                _ = try? state.apply(ddl, context: context)
            case .tableMap:
                let map = try TableMap(body, family: ServerVersion(binlog.version).family)
                let name = TableName(schema: map.schema, name: map.table)
                guard let shape = state.tables[name] else { continue }
                out.append(
                    Told(map: map, event: Array(event.prefix(body.byteCount)), shape: shape))
            default: continue
            }
        }
        return out
    }

    @Test("tables of real servers are what their maps say", arguments: binlogs)
    func agreement(_ binlog: Binlog) throws {
        let all = try Self.told(binlog)
        #expect(!all.isEmpty)
        for told in all {
            let claims = TableMapClaims(told.map, collations: Self.collations)
            #expect(claims.difference(from: told.shape) == nil, "\(told.shape.name)")
        }
    }

    @Test("another sign, character set or primary key is a difference", arguments: binlogs)
    func differences(_ binlog: Binlog) throws {
        var compared = (signs: 0, charsets: 0, keys: 0)
        for told in try Self.told(binlog) where told.hasMetadata {
            let claims = TableMapClaims(told.map, collations: Self.collations)
            for (i, column) in told.shape.columns.enumerated() {
                var shape = told.shape
                switch column.type.kind {
                case .tinyint, .smallint, .mediumint, .int, .bigint, .decimal, .float, .double:
                    shape.columns[i].type.isUnsigned.toggle()
                    let detail = try #require(claims.difference(from: shape))
                    #expect(detail.hasPrefix("column \(column.name) is "), "\(detail)")
                    #expect(detail.contains("unsigned") && detail.contains(" signed"))
                    compared.signs += 1
                case .char, .varchar, .text, .tinytext:
                    shape.columns[i].charset = "koi8r"
                    shape.columns[i].collation = "koi8r_general_ci"
                    let detail = try #require(
                        claims.difference(from: shape), "\(told.shape.name) \(column)")
                    #expect(detail.hasPrefix("column \(column.name) is in character set "))
                    #expect(detail.hasSuffix("koi8r is known"), "\(detail)")
                    compared.charsets += 1
                default: continue
                }
            }
            guard told.map.metadata.primaryKey != nil else { continue }
            var shape = told.shape
            shape.keys.removeAll(where: \.isPrimary)
            #expect(claims.difference(from: shape)?.contains("primary key") == true)
            shape.keys.append(
                KeyShape(
                    name: "PRIMARY",
                    parts: [KeyPart(column: shape.columns.last?.name, prefixLength: 3)],
                    isUnique: true))
            #expect(claims.difference(from: shape)?.contains("primary key") == true)
            compared.keys += 1
        }
        guard binlog.name.hasSuffix("-types") else { return }
        #expect(compared.signs > 10 && compared.charsets > 4 && compared.keys > 3, "\(compared)")
    }

    @Test("a shape with INT in place of INT UNSIGNED ends at the next table map")
    func sign() throws {
        for binlog in Self.binlogs where binlog.name.hasSuffix("-types") {
            let told = try #require(
                try Self.told(binlog).first {
                    $0.hasMetadata && $0.shape.columns.contains { $0.type.isInteger }
                })
            let mapping = TableMapping(
                TableSelection(tables: [try #require(TablePattern("*.*"))]))
            func note(_ shape: TableShape) throws {
                var state = SchemaState()
                state.tables[shape.name] = shape
                let session = Self.session(binlog.version)
                let catalog = TableCatalog(
                    sourceVersion: session.source.version, mapping: mapping, state: state,
                    windows: [:], consistentFrom: nil, session: session)
                catalog.beginTransaction(TargetRig.identity(5))
                _ = try catalog.note(told.event.span.bytes, position: TargetRig.position(5))
            }
            try note(told.shape)
            var other = told.shape
            let index = try #require(other.columns.firstIndex { $0.type.isInteger })
            other.columns[index].type.isUnsigned.toggle()
            #expect {
                try note(other)
            } throws: { error in
                guard case ReplicationError.shapeMismatch(let name, _, let detail) = error else {
                    return false
                }
                return name == told.shape.name
                    && detail.contains("column \(other.columns[index].name) is ")
            }
        }
    }
}
