import MySQLCore
import Testing
import Worker

@testable import Commands

@Suite("Rates and times to go")
struct RateMeterTests {
    private let second: UInt64 = 1_000_000_000

    private func copying(_ rows: UInt64, of estimated: UInt64) -> MigrationStatus {
        var status = MigrationStatus()
        status.phase = .copying
        var table = MigrationStatus.Table(
            name: TableName(schema: "shop", name: "orders"), estimatedRows: estimated)
        table.rows = rows
        table.bytes = rows * 100
        status.tables = [table]
        return status
    }

    private func following(_ transactions: UInt64, lag: Int64?) -> MigrationStatus {
        var status = MigrationStatus()
        status.phase = .following
        status.transactions = transactions
        status.lagMilliseconds = lag
        return status
    }

    @Test("a steady copy has its rate, and the time that is left by it")
    func steady() {
        var meter = RateMeter()
        for t in 0...20 {
            meter.add(copying(UInt64(t) * 1000, of: 100_000), at: UInt64(t) * second)
        }
        #expect(meter.rates.rows == 1000 && meter.rates.bytes == 100_000)
        #expect(meter.timeLeft == .about(seconds: 80))
    }

    @Test("nothing is promised in the first seconds and below one percent")
    func tooEarly() {
        var meter = RateMeter()
        #expect(meter.timeLeft == .unknown && meter.rates == RateMeter.Rates())
        for t in 0...4 { meter.add(copying(UInt64(t) * 1000, of: 100_000), at: UInt64(t) * second) }
        #expect(meter.timeLeft == .unknown)
        var slow = RateMeter()
        for t in 0...20 { slow.add(copying(UInt64(t) * 10, of: 100_000), at: UInt64(t) * second) }
        #expect(slow.timeLeft == .unknown && slow.rates.rows == 10)
    }

    @Test("a stall is seen within the window")
    func stall() {
        var meter = RateMeter()
        for t in 0...40 {
            meter.add(copying(UInt64(min(t, 20)) * 1000, of: 100_000), at: UInt64(t) * second)
        }
        #expect(meter.rates.rows == 0 && meter.timeLeft == .stalled)
    }

    @Test("a table with more rows than estimated makes the time a lower bound")
    func moreThanEstimated() {
        var meter = RateMeter()
        for t in 0...20 {
            var status = copying(UInt64(t) * 1000, of: 5000)
            status.tables.append(
                MigrationStatus.Table(
                    name: TableName(schema: "shop", name: "later"), estimatedRows: 10_000))
            meter.add(status, at: UInt64(t) * second)
        }
        #expect(meter.timeLeft == .atLeast(seconds: 10))
        var alone = RateMeter()
        for t in 0...20 { alone.add(copying(UInt64(t) * 1000, of: 5000), at: UInt64(t) * second) }
        #expect(alone.timeLeft == .unknown, "nobody knows how many rows are left")
    }

    @Test("the rate follows a change of speed within ten seconds")
    func window() {
        var meter = RateMeter()
        var rows: UInt64 = 0
        for t in 0...100 {
            rows += t <= 50 ? 100 : 1000
            meter.add(copying(rows, of: 1_000_000), at: UInt64(t) * second)
        }
        #expect(meter.rates.rows == 1000)
    }

    @Test("counters that begin anew give no negative rate")
    func restart() {
        var meter = RateMeter()
        meter.add(copying(50_000, of: 100_000), at: 0)
        meter.add(copying(100, of: 100_000), at: second)
        #expect(meter.rates.rows == 0)
        meter.add(copying(1100, of: 100_000), at: 2 * second)
        #expect(meter.rates.rows == 1000)
    }

    @Test("a shrinking lag says when it is gone, a growing one says that it is not")
    func lag() {
        var shrinking = RateMeter()
        var growing = RateMeter()
        var still = RateMeter()
        for t in 0...8 {
            shrinking.add(following(0, lag: 60_000 - Int64(t) * 2000), at: UInt64(t) * second)
            growing.add(following(0, lag: 60_000 + Int64(t) * 900), at: UInt64(t) * second)
            still.add(following(0, lag: 60_000), at: UInt64(t) * second)
        }
        #expect(shrinking.timeLeft == .about(seconds: 22))
        #expect(growing.timeLeft == .fallingBehind && still.timeLeft == .stalled)
    }

    @Test("a small lag needs no words")
    func smallLag() {
        var meter = RateMeter()
        for t in 0...20 { meter.add(following(UInt64(t) * 50, lag: 12), at: UInt64(t) * second) }
        #expect(meter.timeLeft == .unknown && meter.rates.transactions == 50)
    }

    @Test("two statuses at the same moment divide by nothing")
    func sameMoment() {
        var meter = RateMeter()
        meter.add(copying(1, of: 10), at: 5)
        meter.add(copying(2, of: 10), at: 5)
        #expect(meter.rates == RateMeter.Rates())
    }
}
