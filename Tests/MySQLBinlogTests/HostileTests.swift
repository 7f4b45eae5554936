import Foundation
import MySQLBinlog
import MySQLCore
import Testing

/// Damaged and invented events end in an error; nothing traps, hangs or reads out of bounds.
@Suite struct HostileTests {
    /// A golden event without checksum, and what was known when it came.
    struct Sample: Sendable {
        var body: [UInt8]
        var format: FormatDescription?
        var maps: [UInt64: TableMap]

        func walker() -> Walker {
            var walker = Walker()
            walker.format = format
            walker.maps = maps
            return walker
        }
    }

    static let samples: [Sample] = {
        var out: [Sample] = []
        for golden in Golden.all {
            var walker = Walker()
            for event in golden.events {
                let checksum = walker.format?.checksum ?? .crc32
                let isFormat = event[4] == 15
                let body = Array(event.dropLast(!isFormat && checksum == .crc32 ? 4 : 0))
                out.append(Sample(body: body, format: walker.format, maps: walker.maps))
                out += (try? inner(body, walker)) ?? []
                try? walker.walk(raw: event)
            }
        }
        return out
    }()

    /// What a compressed event holds, as samples of their own.
    static func inner(_ body: [UInt8], _ walker: Walker) throws -> [Sample] {
        let span = body.span.bytes
        let type = try EventHeader(span).type
        var walker = walker
        var out: [Sample] = []
        if type == .transactionPayload {
            var reader = try PayloadReader(span, limit: 1 << 26)
            while let event = try reader.next(in: span) {
                out.append(Sample(body: event, format: walker.format, maps: walker.maps))
                try walker.walk(body: event.span.bytes)
            }
        } else if type.isCompressed {
            let plain = try EventType.decompressed(span, limit: 1 << 26)
            out.append(Sample(body: plain, format: walker.format, maps: walker.maps))
        }
        return out
    }

    /// Walks an event and returns what it failed with. Anything but a BinlogError does not compile.
    static func outcome(_ body: [UInt8], _ walker: inout Walker) -> BinlogError? {
        do throws(BinlogError) {
            if body.count > 4, body[4] == 15 {
                _ = try FormatDescription(body.span.bytes)
            } else {
                try walker.walk(body: body.span.bytes)
            }
            return nil
        } catch {
            return error
        }
    }

    /// Writes an event's length into its header.
    static func resized(_ body: [UInt8]) -> [UInt8] {
        var body = body
        guard body.count >= 13 else { return body }
        for i in 0..<4 { body[9 + i] = UInt8(truncatingIfNeeded: body.count >> (8 * i)) }
        return body
    }

    @Test(arguments: Golden.all)
    func everyTruncationEndsInAnError(golden: Golden) throws {
        var walker = Walker()
        for event in golden.events {
            let step = max(1, event.count / 400)
            for length in stride(from: 0, to: event.count, by: step) {
                var copy = walker
                #expect(throws: BinlogError.self) {
                    try copy.walk(raw: Array(event.prefix(length)))
                }
            }
            try walker.walk(raw: event)
        }
    }

    /// Fixed parts and rows cannot lose bytes even when the header says that nothing is missing.
    @Test func truncatedStructuresAreNoticedWithoutTheHeader() throws {
        let strict: Set<UInt8> = [16, 38, 35, 162, 163, 40, 41, 42, 166, 167, 168]
        // MariaDB's GTID events may end in flags or zeros that can be missing.
        let optional = [162: 2, 163: 2]
        for sample in Self.samples {
            let type = sample.body[4]
            let step = max(1, sample.body.count / 200)
            for length in stride(from: 0, to: sample.body.count, by: step) {
                var walker = sample.walker()
                let failure = Self.outcome(Self.resized(Array(sample.body.prefix(length))), &walker)
                if strict.contains(type),
                    length < sample.body.count - (optional[Int(type)] ?? 0)
                {
                    #expect(failure != nil, "type \(type) cut to \(length) of \(sample.body.count)")
                }
            }
        }
    }

    /// Longer with SKEIN_FUZZ_SECONDS; SKEIN_FUZZ_SEED repeats a run.
    @Test func mutatedEventsNeverTrap() throws {
        let environment = ProcessInfo.processInfo.environment
        let seconds = environment["SKEIN_FUZZ_SECONDS"].flatMap(Double.init) ?? 2
        let seed = environment["SKEIN_FUZZ_SEED"].flatMap(UInt64.init) ?? 20_260_101
        var random = SplitMix(state: seed)
        let samples = Self.samples
        let clock = ContinuousClock()
        let end = clock.now.advanced(by: .seconds(seconds))
        var rounds = 0
        var accepted = 0
        while clock.now < end {
            rounds += 1
            let index = Int(random.next() % UInt64(samples.count))
            let sample = samples[index]
            var body = sample.body
            Self.mutate(&body, with: samples, &random)
            if random.next() % 8 != 0 { body = Self.resized(body) }
            var walker = sample.walker()
            let start = clock.now
            if Self.outcome(body, &walker) == nil { accepted += 1 }
            // A damaged table map meets the rows behind it.
            if body.count > 4, body[4] == 19, index + 1 < samples.count {
                _ = Self.outcome(samples[index + 1].body, &walker)
            }
            #expect(start.duration(to: clock.now) < .seconds(10), "seed \(seed) round \(rounds)")
        }
        print("fuzz: seed \(seed), \(rounds) rounds, \(accepted) accepted")
        #expect(rounds > 100)
    }

    static func mutate(
        _ body: inout [UInt8], with samples: [Sample], _ random: inout SplitMix
    ) {
        let interesting: [UInt8] = [0, 1, 2, 0x7F, 0x80, 0xFB, 0xFC, 0xFD, 0xFE, 0xFF]
        for _ in 0..<(1 + random.next() % 4) {
            guard !body.isEmpty else { return }
            let at = Int(random.next() % UInt64(body.count))
            switch random.next() % 10 {
            case 0: body.removeSubrange(at..<min(body.count, at + Int(random.next() % 9)))
            case 1: body.insert(contentsOf: body[at..<min(body.count, at + 8)], at: at)
            case 2: body = Array(body.prefix(at + 1))
            case 3:
                let other = samples[Int(random.next() % UInt64(samples.count))].body
                let from = Int(random.next() % UInt64(other.count))
                body.replaceSubrange(at..., with: other[from...].prefix(4096))
            case 4...6: body[at] = interesting[Int(random.next() % 10)]
            case 7: body[at] ^= 1 << UInt8(random.next() % 8)
            default: body[at] = UInt8(truncatingIfNeeded: random.next())
            }
        }
    }
}
