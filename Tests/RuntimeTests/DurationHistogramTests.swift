import Runtime
import Testing

@Suite("Histograms")
struct DurationHistogramTests {
    @Test("each time is counted once, by the first bound that it does not exceed")
    func buckets() {
        let histogram = DurationHistogram()
        let bounds = DurationHistogram.boundsSeconds
        #expect(bounds == bounds.sorted() && Set(bounds).count == bounds.count)
        for bound in bounds { histogram.record(seconds: bound) }
        histogram.record(seconds: bounds.last! * 2)
        histogram.record(seconds: -5)
        let reading = histogram.reading
        var expected = [UInt64](repeating: 1, count: bounds.count + 1)
        expected[0] = 2
        #expect(reading.counts == expected)
        #expect(reading.count == UInt64(bounds.count) + 2)
        #expect(abs(reading.sumSeconds - bounds.reduce(0, +) - bounds.last! * 2) < 1e-6)
    }

    @Test("durations are seconds")
    func durations() {
        let histogram = DurationHistogram()
        histogram.record(.milliseconds(1500))
        histogram.record(since: .now - .seconds(7))
        let reading = histogram.reading
        #expect(reading.sumSeconds >= 8.5 && reading.count == 2)
        #expect(reading.counts[DurationHistogram.boundsSeconds.firstIndex(of: 5)!] == 1)
    }
}
