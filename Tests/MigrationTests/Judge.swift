import MySQLClient
import MySQLCore
import TestServers
import Testing
import Verification

extension TestServer {
    /// Connection options of the product's user.
    var options: ConnectionOptions {
        ConnectionOptions(
            port: port, user: Self.user, password: Password(Self.password),
            tls: TLSOptions(mode: .disabled))
    }

    /// A connection as the product's user, with times in UTC and values as they are.
    func connect(_ schema: String? = nil) throws -> Connection {
        let connection = try Connection(options)
        try connection.execute(
            "SET time_zone='+00:00', sql_mode='NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES'")
        if let schema { try connection.execute("USE \(quoteIdentifier(schema))") }
        return connection
    }
}

/// Says whether a table is the same on two servers, by every value of every row, rows that are
/// equal counted. It shares nothing with the product but the connection.
struct Judge {
    let source: TestServer
    let target: TestServer

    /// A table's rows: how often each digest occurs.
    struct Contents: Equatable {
        var columns: [String]
        var rows: [String: Int] = [:]
        var count: Int { rows.values.reduce(0, +) }
    }

    /// The base tables of a schema.
    static func tables(_ server: TestServer, _ schema: String) throws -> [String] {
        try server.connect().rows(
            "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_TYPE='BASE TABLE' "
                + "AND TABLE_SCHEMA=\(utf8Literal(schema))"
        ).compactMap(\.[0]).sorted()
    }

    /// A value as text that both families write alike.
    private static func expression(_ column: String, _ type: String, _ full: String) -> String {
        let name = quoteIdentifier(column)
        switch type {
        case "float": return "\(name)*1e0"
        case "bit": return "HEX(\(name)+0)"
        case "json": return "HEX(CONVERT(\(name) USING utf8mb4))"
        case "enum", "set": return "\(name)+0"
        case "year", "date", "datetime", "timestamp", "time", "double": return name
        case _ where type.hasSuffix("int") || type == "decimal": return name
        case "geometry", "point", "linestring", "polygon", "multipoint", "multilinestring",
            "multipolygon", "geometrycollection", "geomcollection":
            return "CONCAT(ST_SRID(\(name)), HEX(ST_AsWKB(\(name))))"
        default: return "HEX(\(name))"
        }
    }

    /// The columns of a table in order, and the expression that makes a row one text.
    private static func form(
        _ connection: Connection, _ schema: String, _ table: String
    ) throws -> (columns: [String], row: String) {
        let columns = try connection.rows(
            "SELECT COLUMN_NAME, LOWER(DATA_TYPE), COLUMN_TYPE FROM information_schema.COLUMNS "
                + "WHERE TABLE_SCHEMA=\(utf8Literal(schema)) AND TABLE_NAME=\(utf8Literal(table)) "
                + "ORDER BY ORDINAL_POSITION")
        let parts = columns.map {
            "IFNULL(\(expression($0[0]!, $0[1]!, $0[2]!)),'~')"
        }
        return (columns.map { $0[0]! }, "CONCAT_WS('|',\(parts.joined(separator: ",")))")
    }

    /// All rows of a table.
    static func contents(_ server: TestServer, _ schema: String, _ table: String) throws -> Contents
    {
        let connection = try server.connect()
        let (columns, row) = try form(connection, schema, table)
        guard !columns.isEmpty else { return Contents(columns: []) }
        var out = Contents(columns: columns)
        let name = TableName(schema: schema, name: table).quoted
        try connection.forEachRow("SELECT SHA2(\(row), 256), COUNT(*) FROM \(name) GROUP BY 1") {
            out.rows[$0.string(0) ?? "NULL"] = $0.int(1) ?? 0
        }
        return out
    }

    /// Expects two schemas to hold the same tables with the same rows; Skein's own judge must
    /// agree where it is asked.
    func expectEqual(
        _ schemas: [String], verifying: Bool = true,
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        for schema in schemas {
            let names = try Self.tables(source, schema)
            let others = try Self.tables(target, schema)
            #expect(names == others, sourceLocation: sourceLocation)
            for table in names where others.contains(table) {
                let one = try Self.contents(source, schema, table)
                let two = try Self.contents(target, schema, table)
                #expect(one.columns == two.columns, sourceLocation: sourceLocation)
                if one != two {
                    Issue.record(
                        "\(schema).\(table): \(try difference(schema, table, one, two))",
                        sourceLocation: sourceLocation)
                }
            }
            guard verifying else { continue }
            try await verify(schema, names, sourceLocation)
        }
    }

    private func verify(
        _ schema: String, _ tables: [String], _ sourceLocation: SourceLocation
    ) async throws {
        let names = tables.map { TableName(schema: schema, name: $0) }
        var options = VerificationOptions(tables: names.map { ($0, $0) })
        options.settle = .zero
        let report = try await Verifier(
            source: source.options, target: target.options, options: options
        ).run()
        #expect(report.verdict == .equal, sourceLocation: sourceLocation)
        for table in report.tables where table.verdict != .equal {
            Issue.record(
                """
                \(table.source): \(table.differingRows) rows differ: \(table.differences.prefix(5)) \
                \(table.structure.filter(\.isDifference)) \(table.undecidedReason ?? "")
                """, sourceLocation: sourceLocation)
        }
    }

    /// Some of the rows that one side has more often than the other.
    private func difference(
        _ schema: String, _ table: String, _ one: Contents, _ two: Contents
    ) throws -> String {
        var out = ["\(one.count) rows on the source, \(two.count) on the target"]
        for (server, more, less, what) in [
            (source, one, two, "source"), (target, two, one, "target"),
        ] {
            let surplus = more.rows.filter { $0.value > less.rows[$0.key, default: 0] }
            out.append("\(surplus.count) distinct rows more on the \(what)")
            let connection = try server.connect()
            let (_, row) = try Self.form(connection, schema, table)
            let name = TableName(schema: schema, name: table).quoted
            let list = surplus.keys.sorted().prefix(4).map { "'\($0)'" }.joined(separator: ",")
            guard !list.isEmpty else { continue }
            for found in try connection.rows(
                "SELECT LEFT(\(row),400), COUNT(*) FROM \(name) WHERE SHA2(\(row), 256) IN (\(list)) "
                    + "GROUP BY 1")
            {
                out.append("  \(found[1] ?? "")x \(found[0] ?? "NULL")")
            }
        }
        return out.joined(separator: "\n")
    }
}
