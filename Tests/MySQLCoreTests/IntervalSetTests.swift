import MySQLCore
import Testing

@Suite struct IntervalSetTests {
    /// A plain set of numbers is the slow, obvious model.
    @Test(arguments: 0..<40)
    func agreesWithAPlainSetUnderRandomOperations(seed: Int) {
        var random = SplitMix(state: UInt64(seed) &* 7919 &+ 1)
        var set = IntervalSet()
        var model: Set<UInt64> = []
        for _ in 0..<300 {
            let low = random.next() % 60
            let high = low + random.next() % 8
            switch random.next() % 3 {
            case 0:
                set.remove(low...high)
                model.subtract(low...high)
            default:
                set.insert(low...high)
                model.formUnion(low...high)
            }
            #expect((0..<70).allSatisfy { set.contains($0) == model.contains($0) })
            #expect(set.count == UInt64(model.count))
            #expect(
                zip(set.intervals, set.intervals.dropFirst()).allSatisfy {
                    $0.upperBound + 1 < $1.lowerBound
                })
        }
    }

    @Test func reachesBothEndsOfTheRange() {
        var set = IntervalSet(0...0)
        set.insert(.max ... .max)
        set.insert(1...5)
        #expect(set.intervals == [0...5, .max ... .max])
        set.remove(0...UInt64.max)
        #expect(set.isEmpty)
    }
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
