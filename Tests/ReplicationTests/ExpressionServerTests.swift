import Foundation
import MySQLBinlog
import MySQLClient
import MySQLCore
import MySQLSyntax
import Rules
import TestServers
import Testing

/// Filters' expressions over the rows of a server's binary log, compared with what the server
/// itself makes of them.
@Suite("Expressions as the servers evaluate them")
struct ExpressionServerTests {
    private static let families = TestServer.Family.allCases.filter { TestServer.isAvailable($0) }

    private static let table = """
        CREATE TABLE t (
          id INT PRIMARY KEY, a INT, b BIGINT, u INT UNSIGNED, big BIGINT UNSIGNED,
          d DECIMAL(10,3), e DECIMAL(20,6), f DOUBLE, y YEAR, bi BIT(10),
          s VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci,
          t VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
          l VARCHAR(20) CHARACTER SET latin1 COLLATE latin1_swedish_ci,
          n VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci,
          vb VARBINARY(10), fb BINARY(4),
          dt DATE, ts DATETIME(3), st TIMESTAMP NULL, ti TIME,
          en ENUM('small','Medium','LARGE'), se SET('a','b','c'))
        CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci
        """

    private static func literal(_ g: inout SplitMix, _ n: Int, _ make: (inout SplitMix) -> String)
        -> String
    {
        g.oneIn(n) ? "NULL" : make(&g)
    }

    /// One row's values as SQL.
    private static func row(_ id: Int, _ g: inout SplitMix) -> String {
        func text(_ g: inout SplitMix) -> String { "'" + ExpressionMaker.word(&g) + "'" }
        let values: [String] = [
            "\(id)",
            literal(&g, 6) { "\($0.below(41) - 20)" },
            literal(&g, 6) {
                $0.oneIn(4) ? "\($0.below(1 << 50) - 1 << 49)" : "\($0.below(9) - 4)"
            },
            literal(&g, 6) { "\($0.below(50))" },
            literal(&g, 6) { $0.oneIn(3) ? "18446744073709551615" : "\($0.below(20))" },
            literal(&g, 6) { "\($0.below(4000) - 2000).\($0.below(1000))" },
            literal(&g, 6) { "\($0.below(200) - 100).\($0.below(1_000_000))" },
            literal(&g, 6) { "\($0.below(200) - 100).\($0.below(4) * 25)" },
            literal(&g, 6) { "\(1990 + $0.below(40))" },
            literal(&g, 6) { "\($0.below(1024))" },
            literal(&g, 8, text), literal(&g, 8, text), literal(&g, 8, text),
            literal(&g, 8, text),
            literal(&g, 6) { "'\(["ab", "AB", "a ", "", "b"][$0.below(5)])'" },
            literal(&g, 6) { "'\(["ab", "AB", "a", "", "b"][$0.below(5)])'" },
            literal(&g, 6, ExpressionMaker.day),
            literal(&g, 6) { ExpressionMaker.moment(&$0) },
            literal(&g, 6) { ExpressionMaker.moment(&$0) },
            literal(&g, 6) { "'\($0.oneIn(2) ? "-" : "")\($0.below(30)):\(10 + $0.below(50)):07'" },
            literal(&g, 6) { "\(1 + $0.below(3))" },
            literal(&g, 6) { "\($0.below(8))" },
        ]
        return "(" + values.joined(separator: ",") + ")"
    }

    private struct Rows {
        var map: TableMap
        var events: [(bytes: [UInt8], places: [[ColumnValue]])] = []
    }

    /// All rows that the server's binary logs have of the table.
    private func logged(_ server: TestServer) throws -> Rows {
        var rows: Rows?
        let names = try server.sql("SHOW BINARY LOGS").split(separator: "\n")
            .map { String($0.split(separator: "\t")[0]) }
        for name in names {
            let path = try FileManager.default.subpathsOfDirectory(atPath: server.folder)
                .first { $0.hasSuffix("/" + name) || $0 == name }
            guard let path else { continue }
            let bytes = [UInt8](
                try Data(contentsOf: URL(fileURLWithPath: server.folder + "/" + path)))
            var format: FormatDescription?
            var at = 4
            while at + 19 <= bytes.count {
                let size = bytes[(at + 9)..<(at + 13)].reversed().reduce(0) { $0 << 8 | Int($1) }
                let raw = Array(bytes[at..<(at + size)])
                at += size
                let header = try EventHeader(raw.span.bytes)
                if header.type == .formatDescription {
                    format = try FormatDescription(raw.span.bytes)
                    continue
                }
                let body = Array(raw[..<(raw.count - (format?.checksum == .crc32 ? 4 : 0))])
                if header.type == .tableMap {
                    let map = try TableMap(
                        body.span.bytes, family: format?.family ?? .mysql)
                    if map.schema == "x", map.table == "t" { rows = rows ?? Rows(map: map) }
                } else if header.type.isRows, let map = rows?.map {
                    var event = try RowsEvent(body.span.bytes)
                    guard event.tableID == map.tableID else { continue }
                    var places: [[ColumnValue]] = []
                    while let images = try event.next(in: body.span.bytes, map: map) {
                        var values: [ColumnValue] = []
                        try map.locate(
                            imageAt: images.afterOffset, columns: event.after,
                            in: body.span.bytes, into: &values)
                        places.append(values)
                    }
                    rows?.events.append((body, places))
                }
            }
        }
        return try #require(rows)
    }

    @Test(
        "thousands of random expressions are what the server says", arguments: Self.families)
    func agree(family: TestServer.Family) async throws {
        let log = family == .mariadb ? ["--log-bin=log", "--binlog-format=ROW"] : []
        try await TestServer.with(family, options: log, name: "expressions") { server in
            var g = SplitMix(20_261_121)
            let count = 40
            let rows = (1...count).map { Self.row($0, &g) }.joined(separator: ",")
            try server.sql(
                """
                CREATE DATABASE x CHARACTER SET utf8mb4; USE x; SET NAMES utf8mb4;
                SET time_zone = '+02:00'; \(Self.table); INSERT INTO t VALUES \(rows);
                """)
            let version = ServerVersion(
                try server.sql("SELECT VERSION()").trimmingCharacters(in: .newlines))
            let context = SyntaxContext(version: version, defaultSchema: "x")
            var state = SchemaState()
            let create = try parseStatement(Self.table, context: context)
            _ = try state.apply(try #require(create.ddl), context: context)
            let shape = try #require(state.tables[TableName(schema: "x", name: "t")])
            let logged = try logged(server)
            #expect(logged.events.reduce(0) { $0 + $1.places.count } == count)

            var options = ConnectionOptions(
                port: server.port, user: TestServer.user,
                password: Password(TestServer.password))
            options.tls.mode = .disabled
            let connection = try Connection(options)
            _ = try connection.execute("USE x")
            _ = try connection.execute("SET time_zone = '+02:00'")
            _ = try connection.execute(
                family == .mysql
                    ? "SET NAMES utf8mb4" : "SET NAMES utf8mb4 COLLATE utf8mb4_general_ci")
            var compared = 0
            var refused: [String: Int] = [:]
            var wrong = 0
            for _ in 0..<6000 {
                // Others, whose servers wait for them with a limit, need the thread, too.
                await Task.yield()
                let text = ExpressionMaker.condition(&g, 3, family)
                let expression: RowExpression
                do throws(ExpressionError) {
                    expression = try RowExpression(
                        text, shape: shape, context: context, clock: ZoneClock(offset: 7200))
                } catch {
                    if case .unsupported = error.kind {
                        refused[error.reason, default: 0] += 1
                    } else {
                        Issue.record("\(text): \(error)")
                    }
                    continue
                }
                let told: [[String?]]
                do throws(MySQLError) {
                    told = try connection.rows(
                        """
                        SELECT CASE WHEN v THEN 'T' WHEN v IS NULL THEN 'N' ELSE 'F' END
                        FROM (SELECT id, (\(text)) AS v FROM t) AS q ORDER BY id
                        """)
                } catch {
                    // Out of range of BIGINT, or a mix of collations that only the server sees.
                    refused["server: \(error.code)", default: 0] += 1
                    let isKnown = [1690, 1267, 1270, 1271].contains(error.code)
                    if !isKnown { Issue.record("\(text): \(error)") }
                    continue
                }
                var evaluator = RowEvaluator(expression)
                var ours: [String] = []
                evaluate: for event in logged.events {
                    for places in event.places {
                        do throws(ExpressionFailure) {
                            let value = try evaluator.text(
                                event.bytes.span.bytes, places, logged.map)
                            let isTrue = try evaluator.isTrue(
                                event.bytes.span.bytes, places, logged.map)
                            ours.append(value == nil ? "N" : isTrue ? "T" : "F")
                        } catch {
                            ours.append("\(error)")
                        }
                    }
                }
                compared += 1
                let theirs = told.map { $0[0] ?? "" }
                if ours != theirs {
                    // Decimals of more than 38 digits are refused, not wrong.
                    if ours.contains(where: { $0.contains("38 digits") }) {
                        refused["38 digits", default: 0] += 1
                        continue
                    }
                    wrong += 1
                    let ids = zip(ours, theirs).enumerated().filter { $1.0 != $1.1 }
                        .map { "\($0 + 1): \($1.0) for \($1.1)" }
                    if wrong <= 30 {
                        let first = ids.first?.prefix { $0 != ":" } ?? ""
                        let row = try connection.rows("SELECT * FROM t WHERE id = \(first)")
                        Issue.record(
                            "\(text)\n  rows \(ids.prefix(4).joined(separator: ", "))\n  \(row)")
                    }
                }
            }
            #expect(wrong == 0)
            #expect(compared > 4000, "\(refused)")
        }
    }

    @Test("seconds since 1970 end where the server's end", arguments: Self.families)
    func seconds(family: TestServer.Family) async throws {
        let log = family == .mariadb ? ["--log-bin=log", "--binlog-format=ROW"] : []
        try await TestServer.with(family, options: log, name: "seconds") { server in
            let table =
                "CREATE TABLE t (id INT PRIMARY KEY, d DATETIME(1), n BIGINT, m DECIMAL(15,1))"
            let rows = [
                ("0000-00-00", "-1", "-0.1"), ("2020-00-01", "0", "0.9"),
                ("1969-12-31 23:59:59.9", "1", "1.5"),
                ("1970-01-01 00:00:00", "2147483647", "2147483647.9"),
                ("2038-01-19 03:14:07.9", "2147483648", "2147483648.0"),
                ("2038-01-19 03:14:08", "4294967295", "4294967295.9"),
                ("2106-02-07 06:28:15.9", "4294967296", "4294967296.1"),
                ("2106-02-07 06:28:16", "32536771199", "32536771199.9"),
                ("3001-01-18 23:59:59.9", "32536771200", "32536771200.0"),
                ("3001-01-19 00:00:00", "99999999999", "99999999999.9"),
            ]
            let values = rows.enumerated().map { "(\($0),'\($1.0)',\($1.1),\($1.2))" }
            try server.sql(
                """
                CREATE DATABASE x; USE x; SET time_zone = '+00:00', sql_mode = ''; \(table);
                INSERT INTO t VALUES \(values.joined(separator: ","));
                """)
            let version = ServerVersion(
                try server.sql("SELECT VERSION()").trimmingCharacters(in: .newlines))
            let context = SyntaxContext(version: version, defaultSchema: "x")
            var state = SchemaState()
            _ = try state.apply(
                try #require(try parseStatement(table, context: context).ddl), context: context)
            let shape = try #require(state.tables[TableName(schema: "x", name: "t")])
            let logged = try logged(server)
            for text in [
                "UNIX_TIMESTAMP(d)", "UNIX_TIMESTAMP(d) = 0", "FROM_UNIXTIME(n)",
                "FROM_UNIXTIME(m)", "FROM_UNIXTIME(n) IS NULL",
            ] {
                let told = try server.sql(
                    "SET time_zone='+00:00'; SELECT IFNULL(CAST((\(text)) AS CHAR),'NULL') "
                        + "FROM x.t ORDER BY id"
                ).split(separator: "\n").map { String($0) }
                var evaluator = RowEvaluator(
                    try RowExpression(text, shape: shape, context: context))
                var ours: [String] = []
                for event in logged.events {
                    for places in event.places {
                        ours.append(
                            try evaluator.text(event.bytes.span.bytes, places, logged.map) ?? "NULL"
                        )
                    }
                }
                #expect(ours == told, "\(text)")
            }
        }
    }

    @Test("TIMESTAMP in a zone with a name is what the server shows", arguments: Self.families)
    func zones(family: TestServer.Family) async throws {
        let log = family == .mariadb ? ["--log-bin=log", "--binlog-format=ROW"] : []
        try await TestServer.with(family, options: log, name: "zones") { server in
            let zones = [
                "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe",
                "Pacific/Apia",
            ]
            for zone in zones { try server.loadZone(zone) }
            var instants = [
                // The first and the last second, and some around changes of the clocks.
                1, 2_147_483_647, 1_774_745_999, 1_774_746_000, 1_792_888_200, 1_792_891_800,
                1_772_953_199, 1_772_953_200, 1_793_511_000, 1_793_514_600, 1_325_239_199,
                1_325_239_200, 1_775_314_799, 1_775_314_800, 1_791_041_399, 1_791_041_400,
            ]
            var g = SplitMix(20_261_123)
            for _ in 0..<300 { instants.append(1 + g.below(2_147_483_646)) }
            let rows = instants.enumerated().map {
                "(\($0), FROM_UNIXTIME(\($1)), FROM_UNIXTIME(\($1).123))"
            }
            let table =
                "CREATE TABLE t (id INT PRIMARY KEY, st TIMESTAMP NULL, fs TIMESTAMP(3) NULL)"
            try server.sql(
                """
                CREATE DATABASE x; USE x; SET time_zone = '+00:00', sql_mode = ''; \(table);
                INSERT INTO t VALUES \(rows.joined(separator: ",")), (9998, 0, 0),
                  (9999, NULL, NULL);
                """)
            let version = ServerVersion(
                try server.sql("SELECT VERSION()").trimmingCharacters(in: .newlines))
            let context = SyntaxContext(version: version, defaultSchema: "x")
            var state = SchemaState()
            let create = try parseStatement(table, context: context)
            _ = try state.apply(try #require(create.ddl), context: context)
            let shape = try #require(state.tables[TableName(schema: "x", name: "t")])
            let logged = try logged(server)
            var options = ConnectionOptions(
                port: server.port, user: TestServer.user,
                password: Password(TestServer.password))
            options.tls.mode = .disabled
            let connection = try Connection(options)
            _ = try connection.execute("USE x")
            for zone in zones {
                let data = try #require(
                    FileManager.default.contents(atPath: "/usr/share/zoneinfo/" + zone))
                let clock = try #require(ZoneClock(zoneFile: [UInt8](data)))
                _ = try connection.execute("SET time_zone = '\(zone)'")
                for text in [
                    "st", "fs", "HOUR(st)", "DATE(fs)", "st < '2012-01-01'",
                    "UNIX_TIMESTAMP(st)", "UNIX_TIMESTAMP(fs)",
                    "FROM_UNIXTIME(UNIX_TIMESTAMP(st))",
                    // No column any more: half an hour or an hour comes twice.
                    "UNIX_TIMESTAMP(st + INTERVAL 0 HOUR)",
                    // This may be a time that never comes.
                    "UNIX_TIMESTAMP(st + INTERVAL 1 HOUR) - UNIX_TIMESTAMP(st)",
                    "UNIX_TIMESTAMP(TIMESTAMP '2026-03-29 02:30:00')",
                    "UNIX_TIMESTAMP(TIMESTAMP '2011-12-30 12:00:00')",
                ] {
                    // What is shown an hour later is beyond TIMESTAMP for the last second.
                    let isLater = text.contains("1 HOUR")
                    let told = try connection.rows(
                        "SELECT CAST((\(text)) AS CHAR) FROM t ORDER BY id")
                    var evaluator = RowEvaluator(
                        try RowExpression(text, shape: shape, context: context, clock: clock))
                    var ours: [String?] = []
                    for event in logged.events {
                        for places in event.places {
                            ours.append(
                                try evaluator.text(event.bytes.span.bytes, places, logged.map))
                        }
                    }
                    #expect(ours.count == told.count && ours.count == instants.count + 2)
                    let wrong = zip(ours, told).enumerated().filter { i, pair in
                        // Servers differ in what they make of zero.
                        if i == instants.count { return false }
                        if isLater, i < instants.count, instants[i] > 2_147_476_447 {
                            return false
                        }
                        return pair.0 != pair.1[0]
                    }
                    let shown = wrong.prefix(4).map { i, pair in
                        "\(instants.indices.contains(i) ? instants[i] : 0): "
                            + "\(pair.0 ?? "NULL") for \(pair.1[0] ?? "NULL")"
                    }
                    #expect(shown == [], "\(text) in \(zone)")
                }
                // What a copy makes of them, whose sessions are in UTC.
                _ = try connection.execute(
                    "SET time_zone = '+00:00', sql_mode = 'ALLOW_INVALID_DATES'")
                for text in [
                    "st > '2010-06-01 12:00:00'", "st = '2026-10-25 02:30:00'", "HOUR(st) < 7",
                    "fs LIKE '%:30:00.123'", "CONCAT(fs) > '2011-12-31'", "DATE(st) < '2011-12-31'",
                    "st >= '2000-01-01' AND fs <= '2026-03-29 02:30:00' OR fs IS NULL",
                    "UNIX_TIMESTAMP(st) < 1000000000 AND MONTH(st) <> 1",
                    "x.t.st + INTERVAL 1 DAY < '2026-03-30 03:00:00'",
                ] {
                    var rules = SourceRules(expressionFilters: [
                        ExpressionFilterRule(
                            name: "e", schema: "x", table: "t", insertExpression: text)
                    ])
                    rules.timeZone = NamedZone(name: zone, clock: clock)
                    let mapping = try TableMapping(rules)
                    let condition = try #require(
                        try mapping.copyCondition(of: shape, source: version))
                    let taken = try connection.rows("SELECT \(condition) FROM t ORDER BY id")
                    var evaluator = RowEvaluator(
                        try RowExpression(text, shape: shape, context: context, clock: clock))
                    var ours: [String?] = []
                    for event in logged.events {
                        for places in event.places {
                            let isTrue = try evaluator.isTrue(
                                event.bytes.span.bytes, places, logged.map)
                            ours.append(isTrue ? "0" : "1")
                        }
                    }
                    #expect(ours == taken.map { $0[0] }, "\(text) copied in \(zone)")
                }
            }
        }
    }
}
