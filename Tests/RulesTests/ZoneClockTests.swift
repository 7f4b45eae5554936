import Foundation
import Rules
import Testing

@Suite("Clocks of time zones")
struct ZoneClockTests {
    private static let names = [
        "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia",
    ]

    private func bytes(_ name: String) throws -> [UInt8] {
        let data = try #require(FileManager.default.contents(atPath: "/usr/share/zoneinfo/" + name))
        return [UInt8](data)
    }

    private func clock(_ name: String) throws -> ZoneClock {
        try #require(ZoneClock(zoneFile: try bytes(name)))
    }

    /// Seconds since 1970 of a time in UTC: `2026-03-29 01:00:00`.
    private func seconds(_ text: String) throws -> Int64 {
        let date = try Date(text.replacing(" ", with: "T") + "Z", strategy: .iso8601)
        return Int64(date.timeIntervalSince1970)
    }

    /// A file of the zone database with instants, the types from each on, and offsets of types.
    private func file(
        _ instants: [Int64], _ kinds: [UInt8], _ offsets: [Int32], _ rule: String,
        leaps: Int32 = 0
    ) -> [UInt8] {
        func big(_ value: some FixedWidthInteger) -> [UInt8] {
            (0..<(value.bitWidth / 8)).reversed().map {
                UInt8(truncatingIfNeeded: value >> ($0 * 8))
            }
        }
        func header(_ counts: [Int32]) -> [UInt8] {
            var out = Array("TZif2".utf8)
            out += [UInt8](repeating: 0, count: 15)
            for count in counts { out += big(count) }
            return out
        }
        let name = Array("LMT\0".utf8)
        var out = header([0, 0, 0, 0, 1, 4])
        out += [UInt8](repeating: 0, count: 6)
        out += name
        out += header([0, 0, leaps, Int32(instants.count), Int32(offsets.count), 4])
        out += instants.flatMap { big($0) }
        out += kinds
        for offset in offsets {
            out += big(offset)
            out += [0, 0]
        }
        out += name
        out += [UInt8](repeating: 0, count: Int(leaps) * 12)
        out += Array("\n\(rule)\n".utf8)
        return out
    }

    @Test(
        "every instant of TIMESTAMP is as far from UTC as another library says",
        arguments: Self.names)
    func instants(name: String) throws {
        let clock = try clock(name)
        let judge = try #require(TimeZone(identifier: name))
        var g = Seeded(11)
        for _ in 0..<4000 {
            let instant = Int64(g.below(Int(UInt32.max)))
            let wanted = judge.secondsFromGMT(for: Date(timeIntervalSince1970: Double(instant)))
            #expect(clock.offset(at: instant) == Int64(wanted), "\(name) at \(instant)")
        }
    }

    @Test("clocks change at their second")
    func edges() throws {
        for (name, change, before, after) in [
            ("Europe/Berlin", "2026-03-29 01:00:00", 3600, 7200),
            ("Europe/Berlin", "2026-10-25 01:00:00", 7200, 3600),
            // Behind the last change that files list.
            ("Europe/Berlin", "2099-03-29 01:00:00", 3600, 7200),
            ("America/New_York", "2026-03-08 07:00:00", -18_000, -14_400),
            ("America/New_York", "2026-11-01 06:00:00", -14_400, -18_000),
            ("Australia/Lord_Howe", "2026-04-04 15:00:00", 39_600, 37_800),
            ("Australia/Lord_Howe", "2026-10-03 15:30:00", 37_800, 39_600),
            // The 30th of December 2011 was left out.
            ("Pacific/Apia", "2011-12-30 10:00:00", -36_000, 50_400),
        ] {
            let clock = try clock(name)
            let at = try seconds(change)
            #expect(clock.offset(at: at - 1) == Int64(before), "\(name) \(change)")
            #expect(clock.offset(at: at) == Int64(after), "\(name) \(change)")
        }
        let kolkata = try clock("Asia/Kolkata")
        for instant in [0, 1_800_000_000, Int64(UInt32.max)] {
            #expect(kolkata.offset(at: instant) == 19_800)
        }
    }

    @Test("a local time is the first instant that shows it, or where clocks are set forward")
    func localTimes() throws {
        for (name, local, instant) in [
            ("Europe/Berlin", "2026-07-01 12:00:00", "2026-07-01 10:00:00"),
            ("Europe/Berlin", "2026-10-25 02:30:00", "2026-10-25 00:30:00"),
            ("Europe/Berlin", "2026-10-25 03:00:00", "2026-10-25 02:00:00"),
            ("Europe/Berlin", "2026-03-29 01:59:59", "2026-03-29 00:59:59"),
            ("Europe/Berlin", "2026-03-29 02:30:00", "2026-03-29 01:00:00"),
            ("Europe/Berlin", "2026-03-29 03:00:00", "2026-03-29 01:00:00"),
            ("Pacific/Apia", "2011-12-30 12:00:00", "2011-12-30 10:00:00"),
            ("Pacific/Apia", "2011-12-31 00:00:00", "2011-12-30 10:00:00"),
        ] {
            let found = try clock(name).instant(ofLocal: try seconds(local))
            let wanted = try seconds(instant)
            #expect(found == wanted, "\(name) \(local)")
        }
        #expect(ZoneClock(offset: 3600).instant(ofLocal: 7200) == 3600)
    }

    @Test("local times are what a search through all instants finds", arguments: Self.names)
    func searchedTimes(name: String) throws {
        let clock = try clock(name)
        var g = Seeded(12)
        // These zones change at full half hours.
        let step: Int64 = 1800
        for _ in 0..<2000 {
            let local = Int64(g.below(Int(UInt32.max) / Int(step))) * step
            var wanted: Int64?
            for instant in stride(from: local - 93_600, through: local + 93_600, by: Int(step)) {
                let shown = instant + clock.offset(at: instant)
                if shown == local {
                    wanted = instant
                    break
                }
                // The first later one, unless the time itself comes.
                if shown > local, wanted == nil { wanted = instant }
            }
            #expect(clock.instant(ofLocal: local) == wanted, "\(name) \(local)")
        }
    }

    @Test("rules of every form go on where lists end")
    func rules() throws {
        let begin = try seconds("2030-01-01 00:00:00")
        for (rule, at, before, after) in [
            ("CET-1CEST,M3.5.0,M10.5.0/3", "2031-03-30 01:00:00", 3600, 7200),
            ("<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2031-03-30 01:00:00", -7200, -3600),
            // The days of a rule that never counts, and one that counts, a 29th of February.
            ("AAA3BBB,J60/0,J300/0", "2032-03-01 03:00:00", -10_800, -7200),
            ("AAA3BBB,59/0,299/0", "2032-02-29 03:00:00", -10_800, -7200),
            // South of the equator the year begins in summer.
            ("AEST-10AEDT,M10.1.0,M4.1.0/3", "2031-04-05 16:00:00", 39_600, 36_000),
            // Clocks that are set back in winter: there summer is the exception's name.
            ("IST-1GMT0,M10.5.0,M3.5.0/1", "2031-10-26 01:00:00", 3600, 0),
        ] {
            let clock = try #require(ZoneClock(zoneFile: file([begin], [0], [0], rule)), "\(rule)")
            let change = try seconds(at)
            #expect(clock.offset(at: begin + 1) == 0)
            #expect(clock.offset(at: change - 1) == Int64(before), "\(rule)")
            #expect(clock.offset(at: change) == Int64(after), "\(rule)")
        }
        // Summer all year long.
        let always = try #require(
            ZoneClock(zoneFile: file([begin], [0], [-14_400], "EST5EDT,0/0,J365/25")))
        for year in 2031...2040 {
            for second in [-1, 0, 3600] {
                let instant = try seconds("\(year)-01-01 05:00:00") + Int64(second)
                #expect(always.offset(at: instant) == -14_400)
            }
        }
        let fixed = try #require(ZoneClock(zoneFile: file([], [], [0], "<+03>-3")))
        #expect(fixed.offset(at: 0) == 10_800 && !fixed.isUTC)
        #expect(try #require(ZoneClock(zoneFile: file([], [], [0], "GMT0"))).isUTC)
    }

    @Test("what is no file of the zone database is refused, however it ends")
    func malformed() throws {
        let whole = try bytes("Europe/Berlin")
        for length in 0..<whole.count {
            #expect(ZoneClock(zoneFile: Array(whole[..<length])) == nil, "\(length)")
        }
        var g = Seeded(13)
        for _ in 0..<300 {
            var changed = whole
            for _ in 0...g.below(4) {
                changed[g.below(changed.count)] = UInt8(g.below(256))
            }
            // Whatever it says, it is said without a trap.
            _ = ZoneClock(zoneFile: changed)?.offset(at: 1_800_000_000)
        }
        #expect(ZoneClock(zoneFile: file([0], [0], [0], "CET-1")) != nil)
        for wrong in [
            file([0, 0], [0, 0], [0], ""), file([0], [1], [0], ""), file([0], [0], [200_000], ""),
            file([Int64.max], [0], [0], ""), file([0], [0], [0], "", leaps: 1),
            file([0], [0], [0], "CET"), file([0], [0], [0], "CET-1CEST"),
            file([0], [0], [0], "CET-1CEST,M13.5.0,M10.5.0"),
            file([0], [0], [0], "CET-1CEST,M3.5.0,M10.5.0/3x"), file([0], [0], [0], "C<E"),
        ] { #expect(ZoneClock(zoneFile: wrong) == nil) }
    }
}
