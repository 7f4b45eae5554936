/// A small seeded generator, so that a failing case comes back.
struct Seeded: RandomNumberGenerator {
    var state: UInt64

    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    mutating func below(_ n: Int) -> Int { Int(next() % UInt64(n)) }

    mutating func pick<T>(_ all: [T]) -> T { all[below(all.count)] }

    mutating func word(_ alphabet: [String], upTo n: Int) -> String {
        (0..<below(n + 1)).map { _ in pick(alphabet) }.joined()
    }
}
