import Foundation
import MySQLBinlog
import MySQLCore
import MySQLSyntax
import Rules
import Testing

@Suite("TIMESTAMP in a zone whose clocks change")
struct ZoneExpressionTests {
    private static let shape = TableShape(
        name: TableName(schema: "db", name: "t"),
        columns: [
            ColumnShape(name: "ts", type: ColumnType(.timestamp)),
            ColumnShape(name: "fs", type: ColumnType(.timestamp, decimals: 3)),
        ])

    /// `t (ts TIMESTAMP, fs TIMESTAMP(3))`.
    private static let map: TableMap? = {
        var event = [UInt8](repeating: 0, count: 19)
        event += [1, 0, 0, 0, 0, 0, 0, 0, 2] + Array("db".utf8) + [0, 1] + Array("t".utf8) + [0]
        event += [2, 17, 17, 2, 0, 3, 3]
        return try? TableMap(event.span.bytes, family: .mysql)
    }()

    private static func clock(_ name: String) -> ZoneClock? {
        FileManager.default.contents(atPath: "/usr/share/zoneinfo/" + name)
            .flatMap { ZoneClock(zoneFile: [UInt8]($0)) }
    }

    /// What an expression makes of a row whose columns have this instant, `fs` with .123 more.
    private func value(
        _ text: String, at instant: UInt32?, zone: String = "Europe/Berlin"
    ) throws -> String? {
        let clock = try #require(Self.clock(zone))
        let map = try #require(Self.map)
        let context = SyntaxContext(version: ServerVersion("8.4.0"))
        var event: [UInt8] = []
        var places: [ColumnValue] = []
        if let instant {
            let big = [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: instant >> $0) }
            // 1230 in units of 1/10000 of a second; zero is zero with its fraction.
            let fraction: [UInt8] = instant == 0 ? [0, 0] : [0x04, 0xCE]
            places.append(ColumnValue(offset: 0, length: 4))
            places.append(ColumnValue(offset: 4, length: 6))
            event = big + big + fraction
        } else {
            places = Array(repeating: ColumnValue(offset: 0, length: -1), count: 2)
        }
        var evaluator = RowEvaluator(
            try RowExpression(text, shape: Self.shape, context: context, clock: clock))
        return try evaluator.text(event.span.bytes, places, map)
    }

    @Test("a row's instant is shown as the zone's clocks show it, with its fraction")
    func columns() throws {
        // 2026-03-29 00:59:59 and 01:00:00 UTC: the clocks go from 2 to 3.
        #expect(try value("ts", at: 1_774_745_999) == "2026-03-29 01:59:59")
        #expect(try value("ts", at: 1_774_746_000) == "2026-03-29 03:00:00")
        #expect(try value("fs", at: 1_774_746_000) == "2026-03-29 03:00:00.123")
        // 2026-10-25 00:30 and 01:30 UTC: half past two, twice.
        for instant: UInt32 in [1_792_888_200, 1_792_891_800] {
            #expect(try value("ts = '2026-10-25 02:30:00'", at: instant) == "1")
        }
        // The last second that a signed number of 32 bits holds, and that an unsigned one does.
        #expect(try value("ts", at: 2_147_483_647) == "2038-01-19 04:14:07")
        #expect(try value("ts", at: 4_294_967_295) == "2106-02-07 07:28:15")
        #expect(
            try value("HOUR(ts)", at: 1_774_746_000, zone: "Asia/Kolkata") == "6")
        // 2011-12-30 10:00 UTC is the next day but one of the second before.
        let apia = "Pacific/Apia"
        #expect(try value("ts", at: 1_325_239_199, zone: apia) == "2011-12-29 23:59:59")
        #expect(try value("ts", at: 1_325_239_200, zone: apia) == "2011-12-31 00:00:00")
    }

    @Test("NULL and zero are in no zone")
    func exceptions() throws {
        #expect(try value("ts", at: nil) == nil)
        #expect(try value("UNIX_TIMESTAMP(ts)", at: nil) == nil)
        #expect(try value("ts", at: 0) == "0000-00-00 00:00:00")
        #expect(try value("fs", at: 0) == "0000-00-00 00:00:00.000")
        #expect(try value("UNIX_TIMESTAMP(ts)", at: 0) == "0")
    }

    @Test("seconds of a column are its instant's, of a text the first that the clocks show it at")
    func seconds() throws {
        for instant: UInt32 in [1_792_888_200, 1_792_891_800] {
            #expect(try value("UNIX_TIMESTAMP(ts)", at: instant) == "\(instant)")
            #expect(try value("UNIX_TIMESTAMP(fs)", at: instant) == "\(instant).123")
            // Not the column, but a value made of it.
            #expect(try value("UNIX_TIMESTAMP(IFNULL(ts, ts))", at: instant) == "1792888200")
            #expect(
                try value("FROM_UNIXTIME(\(instant))", at: instant) == "2026-10-25 02:30:00")
        }
        #expect(try value("UNIX_TIMESTAMP('2026-10-25 02:30:00')", at: 1) == "1792888200")
        #expect(try value("UNIX_TIMESTAMP('2026-03-29 02:30:00')", at: 1) == "1774746000")
        #expect(try value("FROM_UNIXTIME(1774746000)", at: 1) == "2026-03-29 03:00:00")
    }

    @Test("a copy, which reads in UTC, sees what rows of the binary log are seen as")
    func copies() throws {
        let version = ServerVersion("8.4.0")
        func condition(_ text: String, _ set: (inout SourceRules) -> Void) throws -> String? {
            var rules = SourceRules(expressionFilters: [
                ExpressionFilterRule(name: "e", schema: "db", table: "t", insertExpression: text)
            ])
            set(&rules)
            return try TableMapping(rules).copyCondition(of: Self.shape, source: version)
        }
        let local = "INTERVAL 28800 SECOND)"
        for (text, wanted) in [
            ("ts > '2026-01-01'", "(IF(UNIX_TIMESTAMP(ts)=0,ts,ts+\(local) > '2026-01-01')"),
            (
                "`db`.t.`ts` = ts OR ts IS NULL",
                "(IF(UNIX_TIMESTAMP(`db`.t.`ts`)=0,`db`.t.`ts`,`db`.t.`ts`+\(local) = "
                    + "IF(UNIX_TIMESTAMP(ts)=0,ts,ts+\(local) OR "
                    + "IF(UNIX_TIMESTAMP(ts)=0,ts,ts+\(local) IS NULL)"
            ),
            // What counts seconds of the column itself is in no zone.
            ("UNIX_TIMESTAMP( `ts` ) > 5", "(UNIX_TIMESTAMP( `ts` ) > 5)"),
            ("'ts' = 'ts'", "('ts' = 'ts')"),
        ] {
            let given = try condition(text) { $0.timeZoneOffset = 28_800 }
            #expect(given == wanted + " IS NOT TRUE")
        }
        let apia = try #require(
            try condition("ts < '2012-01-01'") {
                $0.timeZone = NamedZone(name: "Pacific/Apia", clock: Self.clock("Pacific/Apia"))
            })
        #expect(apia.contains("IF(UNIX_TIMESTAMP(ts)<1325239200,"))
        #expect(apia.hasSuffix(" SECOND) < '2012-01-01') IS NOT TRUE"))
        for text in ["UNIX_TIMESTAMP('2026-01-01') > 1", "FROM_UNIXTIME(5) > ts"] {
            #expect {
                try condition(text) { $0.timeZoneOffset = 28_800 }
            } throws: {
                "\($0)".contains("rows are copied in UTC")
            }
            let given = try condition(text) { $0.timeZoneOffset = 0 }
            #expect(given == "(\(text)) IS NOT TRUE")
        }
    }

    @Test("rules of a record know a zone's name and not its clock, and evaluate nothing with it")
    func records() throws {
        var rules = SourceRules(expressionFilters: [
            ExpressionFilterRule(
                name: "e", schema: "db", table: "t", insertExpression: "ts > '2026-01-01'")
        ])
        rules.timeZone = NamedZone(name: "Europe/Berlin", clock: Self.clock("Europe/Berlin"))
        let version = ServerVersion("8.4.0")
        let mapping = try TableMapping(rules)
        #expect(try mapping.expressions(for: Self.shape, source: version)?.inserts.count == 1)
        let text = try JSONEncoder().encode(rules)
        let written = String(decoding: text, as: UTF8.self)
        #expect(written.contains("\"timeZone\"") && written.contains("Berlin"))
        let stored = try JSONDecoder().decode(SourceRules.self, from: text)
        #expect(stored == rules && stored.timeZone?.clock == nil)
        let old = try TableMapping(stored)
        #expect(old.leavesOutRows(of: Self.shape.name))
        #expect {
            try old.expressions(for: Self.shape, source: version)
        } throws: {
            "\($0)".contains("nothing is known here of the zone 'Europe/Berlin'")
        }
        // What was stored before zones had names reads as it did.
        rules.timeZone = nil
        rules.timeZoneOffset = 3600
        let before = try JSONEncoder().encode(rules)
        #expect(!String(decoding: before, as: UTF8.self).contains("\"timeZone\""))
    }
}
