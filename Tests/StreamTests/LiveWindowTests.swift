import MySQLBinlog
import MySQLCore
import Synchronization
import Testing

@testable import Stream

@Suite("The live window")
struct LiveWindowTests {
    /// A chunk of events of 100 bytes, numbered by where they start.
    private static func chunk(_ file: String, _ start: UInt64, events: Int) -> EventChunk {
        let chunk = EventChunk(capacity: events * 100, file: file)
        for n in 0..<events {
            var bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: n), count: 100)
            bytes[4] = 2
            let at = start + UInt64(n) * 100
            chunk.append(bytes.span.bytes, position: at, endPosition: at + 100, type: 2)
        }
        return chunk
    }

    private static func place(_ file: String, _ offset: UInt64) -> WindowPlace {
        WindowPlace(segment: 1, position: BinlogPosition(file: file, offset: offset))
    }

    private static func filled(_ budget: Int = 1 << 20) -> LiveWindow {
        let window = LiveWindow(budget: budget)
        window.begin(at: place("b.000001", 4))
        window.append(chunk("b.000001", 4, events: 10), segment: 1, isDry: false)
        window.append(chunk("b.000001", 1004, events: 5), segment: 1, isDry: false)
        window.append(chunk("b.000002", 4, events: 3), segment: 1, isDry: true)
        return window
    }

    @Test("a reader joins at any event's start, at the end of a file, and at the very end")
    func join() async throws {
        let window = Self.filled()
        for (file, offset, expected) in [
            ("b.000001", 4, 4), ("b.000001", 304, 304), ("b.000001", 1004, 1004),
            ("b.000001", 1304, 1304), ("b.000001", 1504, 4), ("b.000002", 104, 104),
        ] as [(String, UInt64, UInt64)] {
            let joined = try #require(window.join(at: Self.place(file, offset)), "\(offset)")
            var first = joined.rest
            if first == nil { first = try await window.next(joined.ticket)?.chunk }
            #expect(first?.entries.first?.position == expected)
            window.leave(joined.ticket)
        }
        #expect(window.join(at: Self.place("b.000002", 304)) != nil)
        for place in [
            Self.place("b.000001", 300), Self.place("b.000000", 4), Self.place("b.000003", 4),
            WindowPlace(segment: 2, position: BinlogPosition(file: "b.000002", offset: 4)),
        ] { #expect(window.join(at: place) == nil, "\(place)") }
    }

    @Test("who was outrun is told, and the newest chunk always stays")
    func outrun() async throws {
        let window = Self.filled(4000)
        let joined = try #require(window.join(at: Self.place("b.000002", 304)))
        window.append(Self.chunk("b.000002", 304, events: 10), segment: 1, isDry: true)
        window.append(Self.chunk("b.000002", 1304, events: 30), segment: 1, isDry: true)
        #expect(try await window.next(joined.ticket) == nil)
        #expect(window.join(at: Self.place("b.000002", 1304)) != nil)
        #expect(window.use.bytes > 3000)
    }

    @Test("chunks that are taken together are few, or about a MiB")
    func following() async throws {
        let window = LiveWindow()
        window.begin(at: Self.place("b.000001", 4))
        let ticket = window.joinAtEnd()
        for n in 0..<30 {
            let start = 4 + UInt64(n) * 100_000
            window.append(
                Self.chunk("b.000001", start, events: 1000), segment: 1, isDry: n == 29)
        }
        #expect(try await window.next(ticket)?.chunk.range.start == 4)
        #expect(try await window.next(ticket, upTo: 2)?.count == 2)
        var (taken, end) = (3, UInt64(300_004))
        while taken < 30 {
            let chunks = try #require(try await window.next(ticket, upTo: 100))
            #expect(chunks.count > 1 || taken == 29)
            #expect(chunks.dropLast().reduce(0) { $0 + $1.chunk.cost } < 1 << 20)
            for chunk in chunks {
                #expect(chunk.chunk.range.start == end)
                end = chunk.chunk.range.end
            }
            taken += chunks.count
        }
        #expect(taken == 30 && end == 3_000_004)
    }

    @Test("readers are woken by what comes, by a failure, and when they leave")
    func waking() async throws {
        let window = Self.filled()
        func waiting(_ body: @escaping @Sendable (LiveWindow.Ticket) -> Void) async throws
            -> UInt64?
        {
            let ticket = window.joinAtEnd()
            return try await withThrowingTaskGroup(of: UInt64?.self) { group in
                group.addTask { try await window.next(ticket)?.chunk.entries.first?.position }
                try await Task.sleep(for: .milliseconds(20))
                body(ticket)
                return try await group.next() ?? nil
            }
        }
        let came = try await waiting { _ in
            window.append(Self.chunk("b.000002", 304, events: 1), segment: 1, isDry: true)
        }
        #expect(came == 304)
        await #expect(throws: CancellationError.self) {
            _ = try await waiting { window.leave($0) }
        }
        await #expect(throws: StreamError.upstreamChanged) {
            _ = try await waiting { _ in window.failReaders(StreamError.upstreamChanged) }
        }
        // Others may come after that; after a failure for good nobody may.
        window.fail(StreamError.noBinlog)
        await #expect(throws: StreamError.noBinlog) {
            _ = try await window.next(window.joinAtEnd())
        }
    }

    @Test("any number of readers and one writer see every event once, however small the window")
    func race() async throws {
        let window = LiveWindow(budget: 20_000)
        window.begin(at: Self.place("b.000001", 4))
        let tickets = (0..<4).map { _ in window.joinAtEnd() }
        let total = 3000
        await withTaskGroup(of: Void.self) { group in
            for (n, ticket) in tickets.enumerated() {
                group.addTask {
                    var next: UInt64 = 4
                    var ticket = ticket
                    while next < UInt64(4 + total * 300) {
                        guard let chunk = try? await window.next(ticket)?.chunk else {
                            // Outrun: as if the rest came from a file.
                            window.leave(ticket)
                            ticket = window.joinAtEnd()
                            guard let chunk = try? await window.next(ticket)?.chunk else {
                                continue
                            }
                            #expect(chunk.range.start >= next)
                            next = chunk.range.end
                            continue
                        }
                        #expect(chunk.range.start == next, "reader \(n)")
                        next = chunk.range.end
                    }
                    window.leave(ticket)
                }
            }
            group.addTask {
                for n in 0..<total {
                    window.append(
                        Self.chunk("b.000001", UInt64(4 + n * 300), events: 3), segment: 1,
                        isDry: true)
                    if n % 16 == 0 || n > total - 40 {
                        try? await Task.sleep(for: .microseconds(200))
                    }
                }
                // Who was outrun at the very end needs one more.
                for n in total..<(total + 200) where window.use.readers > 0 {
                    window.append(
                        Self.chunk("b.000001", UInt64(4 + n * 300), events: 3), segment: 1,
                        isDry: true)
                    try? await Task.sleep(for: .milliseconds(5))
                }
            }
        }
    }

    @Test("events that fill half of the budget wake the reader before the writer waits for it")
    func largeEvents() async throws {
        let window = LiveWindow(budget: 2000)
        window.begin(at: Self.place("b.000001", 4))
        let joined = try #require(window.join(at: Self.place("b.000001", 4)))
        let reader = Task { try await window.next(joined.ticket)?.chunk.entries.count }
        while !window.hasWaiters { try await Task.sleep(for: .milliseconds(1)) }
        // More is to follow, so that nobody is woken at once.
        window.append(Self.chunk("b.000001", 4, events: 40), segment: 1, isDry: false)
        #expect(await window.room())
        #expect(try await reader.value == 40)
    }

    /// What `body` returns; `nil` when it does not end.
    private static func bounded<R: Sendable>(
        _ body: @escaping @Sendable () async throws -> R
    ) async throws -> R? {
        try await withThrowingTaskGroup(of: R?.self) { group in
            group.addTask { try await body() }
            group.addTask {
                try await Task.sleep(for: .seconds(60))
                return nil
            }
            defer { group.cancelAll() }
            return try await group.next() ?? nil
        }
    }

    @Test("readers that wait are woken every few chunks, and at once when nothing more is to come")
    func wakingInTurn() async throws {
        let window = LiveWindow()
        window.begin(at: Self.place("b.000001", 4))
        var end: UInt64 = 4
        func append(isDry: Bool) {
            window.append(Self.chunk("b.000001", end, events: 1), segment: 1, isDry: isDry)
            end += 100
        }
        let ticket = window.joinAtEnd()
        var seen = end
        func waiting() async throws -> Task<UInt64?, any Error> {
            while seen < end {
                seen = try await window.next(ticket, upTo: 100)?.last?.chunk.range.end ?? seen
            }
            let task = Task { try await window.next(ticket)?.chunk.range.start }
            while !window.hasWaiters { try await Task.sleep(for: .milliseconds(1)) }
            return task
        }
        func takes(_ task: Task<UInt64?, any Error>, _ start: UInt64) async throws {
            #expect(try await task.value == start)
            seen = start + 100
        }
        var task = try await waiting()
        append(isDry: true)
        #expect(!window.hasWaiters)
        try await takes(task, 4)
        // More is to come: until it is known that nothing does.
        task = try await waiting()
        append(isDry: false)
        #expect(window.hasWaiters)
        window.setDry(true)
        #expect(!window.hasWaiters)
        try await takes(task, 104)
        // Or until there are some, however long more is to come.
        task = try await waiting()
        for _ in 0..<32 { append(isDry: false) }
        #expect(!window.hasWaiters)
        try await takes(task, 204)
        // Or until some time has passed.
        window.setDry(true)
        task = try await waiting()
        let next = end
        append(isDry: false)
        #expect(window.hasWaiters)
        try await Task.sleep(for: .milliseconds(20))
        append(isDry: false)
        #expect(!window.hasWaiters)
        try await takes(task, next)
    }

    @Test("with nobody to read, a window keeps little; with somebody, its budget")
    func idle() {
        let window = LiveWindow(budget: 8 << 20)
        window.begin(at: Self.place("b.000001", 4))
        var end: UInt64 = 4
        func append(_ count: Int) {
            for _ in 0..<count {
                window.append(Self.chunk("b.000001", end, events: 1000), segment: 1, isDry: true)
                end += 100_000
            }
        }
        append(40)
        #expect(window.use.bytes <= 1 << 20 && window.use.bytes > 1 << 19)
        let ticket = window.joinAtEnd()
        append(20)
        #expect(window.use.bytes > 2 << 20)
        append(200)
        #expect(window.use.bytes <= 8 << 20 && window.use.bytes > 7 << 20)
        window.leave(ticket)
        append(1)
        #expect(window.use.bytes <= 1 << 20)
    }

    @Test("what lay in the window when the log was cut can't be joined any more")
    func takenBack() async throws {
        let window = Self.filled()
        let reader = try #require(window.join(at: Self.place("b.000001", 304)))
        window.failReaders(StreamError.takenBack)
        window.begin(at: Self.place("b.000001", 1004))
        #expect(window.use.bytes == 0)
        for (file, offset) in [
            ("b.000001", 4), ("b.000001", 304), ("b.000001", 1504), ("b.000002", 4),
            ("b.000002", 304),
        ] as [(String, UInt64)] {
            #expect(window.join(at: Self.place(file, offset)) == nil, "\(file):\(offset)")
        }
        await #expect(throws: StreamError.takenBack) { _ = try await window.next(reader.ticket) }
        // Who begins now is given what comes from there on.
        let joined = try #require(window.join(at: Self.place("b.000001", 1004)))
        window.append(Self.chunk("b.000001", 1004, events: 2), segment: 1, isDry: true)
        let first = try await window.next(joined.ticket)
        #expect(first?.chunk.range.start == 1004 && first?.chunk.range.end == 1204)
    }

    @Test("behind what was dropped, each place leads to its own event")
    func joinBehindDropped() async throws {
        let window = LiveWindow(budget: 6000)
        window.begin(at: Self.place("b.000001", 4))
        // Somebody reads, so that the budget counts.
        let other = window.joinAtEnd()
        for n in 0..<100 {
            window.append(
                Self.chunk("b.000001", UInt64(4 + n * 1000), events: 10), segment: 1, isDry: true)
        }
        var joinable = 0
        for offset in stride(from: UInt64(4), to: 100_004, by: 100) {
            guard let joined = window.join(at: Self.place("b.000001", offset)) else {
                #expect(joinable == 0, "\(offset)")
                continue
            }
            joinable += 1
            var first = joined.rest
            if first == nil { first = try await window.next(joined.ticket)?.chunk }
            #expect(first?.range.start == offset)
            // The next one follows it, at once.
            if let end = first?.range.end, end < 100_004 {
                #expect(try await window.next(joined.ticket)?.chunk.range.start == end)
            }
            window.leave(joined.ticket)
        }
        #expect(joinable >= 10 && joinable <= 60)
        window.leave(other)
    }

    @Test("a writer waits for the fastest reader alone, and for nobody when none is left")
    func room() async throws {
        let window = LiveWindow(budget: 2000)
        window.begin(at: Self.place("b.000001", 4))
        let hasNobody = await window.room()
        #expect(!hasNobody)
        let (fast, slow) = (window.joinAtEnd(), window.joinAtEnd())
        window.append(Self.chunk("b.000001", 4, events: 40), segment: 1, isDry: true)
        let goesOn = try await Self.bounded { () async throws -> Bool in
            async let room = window.room()
            try await Task.sleep(for: .milliseconds(20))
            _ = try await window.next(fast)
            return await room
        }
        #expect(goesOn == true)
        window.append(Self.chunk("b.000001", 4004, events: 40), segment: 1, isDry: true)
        let stillGoesOn = try await Self.bounded { () async throws -> Bool in
            async let room = window.room()
            try await Task.sleep(for: .milliseconds(20))
            window.leave(fast)
            try await Task.sleep(for: .milliseconds(20))
            window.leave(slow)
            return await room
        }
        #expect(stillGoesOn == false)
    }

    @Test("a reader is told whether more is there, or will come at once")
    func hasMore() async throws {
        let window = Self.filled()
        let behind = try #require(window.join(at: Self.place("b.000002", 4)))
        #expect(window.hasMore(behind.ticket))
        _ = try await window.next(behind.ticket)
        #expect(!window.hasMore(behind.ticket))
        window.append(Self.chunk("b.000002", 304, events: 1), segment: 1, isDry: false)
        _ = try await window.next(behind.ticket)
        #expect(window.hasMore(behind.ticket))
        window.setDry(true)
        #expect(!window.hasMore(behind.ticket))
        window.leave(behind.ticket)
        #expect(!window.hasMore(behind.ticket))
    }
}
