internal import Glibc

/// Wall-clock time in microseconds since 1970, UTC: comparable with the timestamps of binlog
/// events as far as the machines' clocks agree.
public func wallClockMicroseconds() -> Int64 {
    var t = timespec()
    clock_gettime(CLOCK_REALTIME, &t)
    return Int64(t.tv_sec) * 1_000_000 + Int64(t.tv_nsec) / 1000
}

/// Monotonic time in nanoseconds, for measuring durations where `ContinuousClock` is too dear.
@inline(__always)
public func monotonicNanoseconds() -> UInt64 {
    var t = timespec()
    clock_gettime(CLOCK_MONOTONIC, &t)
    return UInt64(t.tv_sec) &* 1_000_000_000 &+ UInt64(t.tv_nsec)
}

/// Resident memory of this process in bytes: now, and at its peak. Zero where `/proc` is missing.
public func residentMemory() -> (current: UInt64, peak: UInt64) {
    guard let file = fopen("/proc/self/status", "r") else { return (0, 0) }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 256)
    var current: UInt64 = 0
    var peak: UInt64 = 0
    while fgets(&line, 256, file) != nil {
        let text = String(
            decoding: line.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        let number = text.split(whereSeparator: { !$0.isNumber }).first.flatMap { UInt64($0) } ?? 0
        if text.hasPrefix("VmRSS:") { current = number * 1024 }
        if text.hasPrefix("VmHWM:") { peak = number * 1024 }
    }
    return (current, peak)
}

/// Sixteen random bytes from the system.
public func randomToken() -> [UInt8] {
    var random = SystemRandomNumberGenerator()
    return (0..<16).map { _ in UInt8.random(in: 0...255, using: &random) }
}

/// Blocks this thread; only for threads that serve one connection.
public func sleepBlocking(_ time: Duration) {
    let (seconds, attoseconds) = time.components
    var t = timespec(tv_sec: Int(seconds), tv_nsec: Int(attoseconds / 1_000_000_000))
    nanosleep(&t, nil)
}
