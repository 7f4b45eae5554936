import Testing
import Worker

@testable import Commands

@Suite("Live view and lines")
struct LiveViewTests {
    private func frame(
        _ sample: (MigrationStatus, RateMeter), width: Int = 80, height: Int = 24
    ) -> String {
        Samples.view.lines(
            sample.0, sample.1, elapsedSeconds: 725, width: width, height: height
        ).map { $0.rendered(width: width, colors: false) }.joined(separator: "\n")
    }

    @Test("a copy at 80 columns")
    func copying() {
        #expect(
            frame(Samples.copying())
                == """
                migrate  skein@db1:3306 → skein@db2:3306                                   12:05
                copying    ━━━━━━━━━━━━━━━━━━─────────────────────────────  40%  about 30 s left
                tables     1 of 4 done
                rows       925,234 of ~2.30 M            46.2 k rows/s
                data       452 MiB                       22.6 MiB/s
                  shop.orders                        ━━━━───────  45%  904,000 of ~2.00 M
                  shop.order_…ith_a_rather_long_name ───────────   6%  20,000 of ~300 k
                """)
    }

    @Test("following at 80 columns")
    func following() {
        #expect(
            frame(Samples.following())
                == """
                migrate  skein@db1:3306 → skein@db2:3306                                   12:05
                following  lag 12 ms
                applied    34,600 transactions           1.23 k/s
                           82,000 row changes            4.10 k/s
                binlog     20.0 MiB                      1.00 MiB/s
                DDL        2 statements
                position   bin.000003:12345 (0-1-1000)
                source     bin.000003:14000
                """)
    }

    @Test("what is waited for is said in full, broken into lines")
    func waiting() {
        var sample = Samples.following()
        sample.0.lagMilliseconds = 75_000
        sample.0.waiting =
            "the target accepts no writes now (ERROR 1290): it may be a replica; next try in 8 s"
        #expect(
            frame(sample, width: 60)
                == """
                migrate  skein@db1:3306 → skein@db2:3306               12:05
                following  lag 1 min 15 s
                applied    34,600 transactions           1.23 k/s
                           82,000 row changes            4.10 k/s
                binlog     20.0 MiB                      1.00 MiB/s
                DDL        2 statements
                position   bin.000003:12345 (0-1-1000)
                source     bin.000003:14000
                waiting    the target accepts no writes now (ERROR 1290): it
                           may be a replica; next try in 8 s
                """)
    }

    @Test("no line is wider than the terminal, and no frame is higher")
    func fits() {
        for sample in [Samples.copying(), Samples.following()] {
            for width in 1...140 {
                for height in [1, 2, 5, 24] {
                    let lines = Samples.view.lines(
                        sample.0, sample.1, elapsedSeconds: 1, width: width, height: height)
                    #expect(lines.count <= height)
                    for line in lines {
                        let text = line.rendered(width: width, colors: false)
                        #expect(TextFitting.width(text) <= width)
                    }
                }
            }
        }
    }

    @Test("names can't move the cursor")
    func control() {
        var sample = Samples.following()
        sample.0.position = "a\u{1B}[2Jb\nc"
        let text = frame(sample)
        #expect(text.contains("a\u{FFFD}[2Jb\u{FFFD}c"))
    }

    @Test("colours end where they begin, and cost no columns")
    func colors() {
        var line = StyledLine("abc", .strong)
        line.add("def", .good)
        #expect(
            line.rendered(width: 4, colors: true) == "\u{1B}[1mabc\u{1B}[0m\u{1B}[32m…\u{1B}[0m")
        #expect(line.rendered(width: 9, colors: false) == "abcdef")
    }

    @Test("a bar is full, and says 100 %, only when all is done")
    func bars() {
        #expect(Bar.text(0.5, columns: 4) == ("━━", "──"))
        #expect(Bar.text(2, columns: 4) == ("━━━━", ""))
        #expect(Bar.text(.nan, columns: 2) == ("", "──"))
        #expect(Bar.percent(0.999, isDone: false) == " 99%")
        #expect(Bar.percent(1, isDone: false) == " 99%")
        #expect(Bar.percent(0.2, isDone: true) == "100%")
        #expect(Bar.percent(0, isDone: false) == "  0%")
    }

    @Test("after the window became narrower, the broken lines are counted")
    func narrower() {
        #expect(Terminal.moveToTop([], 80, 80) == "\r")
        #expect(Terminal.moveToTop([80, 10], 80, 80) == "\u{1B}[2A\r")
        #expect(Terminal.moveToTop([80, 10], 80, 40) == "\u{1B}[3A\r")
        #expect(Terminal.moveToTop([80, 10], 80, 120) == "\u{1B}[2A\r")
    }

    @Test("plain lines say the same")
    func lines() {
        let (copy, copyMeter) = Samples.copying()
        #expect(
            StatusLine.text(copy, copyMeter, elapsedSeconds: 725)
                == "12:05 copying 1/4 tables, 925,234 of ~2.30 M rows, 452 MiB, 46.2 k rows/s, "
                + "22.6 MiB/s, about 30 s left")
        let (follow, followMeter) = Samples.following()
        #expect(
            StatusLine.text(follow, followMeter, elapsedSeconds: 7265)
                == "2:01:05 following lag 12 ms, 34,600 transactions, 1.23 k/s, "
                + "at bin.000003:12345 (0-1-1000)")
    }
}
