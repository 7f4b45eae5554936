import Testing

@testable import Runtime

@Suite("Waiting for each other")
struct WaitingTests {
    private struct Failed: Error {}

    @Test("requests are read in the order in which they were sent")
    func mailboxOrder() async throws {
        let mailbox = Mailbox<Int>()
        for n in 0..<100 { mailbox.send(n) }
        for n in 0..<100 { #expect(try await mailbox.next() == n) }
    }

    @Test("a reader that waits is woken, and none is lost")
    func mailboxWakes() async throws {
        let mailbox = Mailbox<Int>()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                for n in 0..<1000 {
                    mailbox.send(n)
                    if n % 7 == 0 { await Task.yield() }
                }
            }
            for n in 0..<1000 { #expect(try await mailbox.next() == n) }
            try await group.waitForAll()
        }
    }

    @Test("a nudge is added only when nothing waits")
    func nudge() async throws {
        let mailbox = Mailbox<Int>()
        mailbox.nudge(1)
        mailbox.nudge(2)
        mailbox.send(3)
        #expect(try await mailbox.next() == 1)
        #expect(try await mailbox.next() == 3)
    }

    @Test("a failure ends every wait, now and later, with its first error")
    func mailboxFails() async {
        let mailbox = Mailbox<Int>()
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await #expect(throws: Failed.self) { try await mailbox.next() } }
            group.addTask {
                try? await Task.sleep(for: .milliseconds(10))
                mailbox.fail(Failed())
                mailbox.fail(CancellationError())
            }
        }
        mailbox.send(1)
        await #expect(throws: Failed.self) { try await mailbox.next() }
    }

    @Test("a cancelled reader ends")
    func mailboxCancelled() async {
        let mailbox = Mailbox<Int>()
        let task = Task { try await mailbox.next() }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
    }

    @Test("the first answer counts, whether it comes before or after the question")
    func reply() async throws {
        let early = Reply<Int>()
        early.resolve(.success(1))
        early.resolve(.failure(Failed()))
        #expect(try await early.value() == 1)
        let late = Reply<Int>()
        async let value = late.value()
        try await Task.sleep(for: .milliseconds(5))
        late.resolve(.success(2))
        #expect(try await value == 2)
        let failed = Reply<Int>()
        failed.resolve(.failure(Failed()))
        await #expect(throws: Failed.self) { try await failed.value() }
    }

    @Test("who no longer waits for an answer is let go")
    func replyCancelled() async {
        let reply = Reply<Int>()
        let task = Task { try await reply.value() }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        reply.resolve(.success(1))
    }

    @Test("a latch wakes everybody, once and for good")
    func latch() async {
        let latch = Latch()
        #expect(!latch.isSet)
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<20 { group.addTask { await latch.wait() } }
            group.addTask { latch.set() }
        }
        await latch.wait()
        #expect(latch.isSet)
        latch.set()
    }

    @Test("a cancelled wait for a latch ends, whenever the cancellation comes")
    func latchCancelled() async {
        let latch = Latch()
        for round in 0..<300 {
            let task = Task { await latch.wait() }
            for _ in 0..<(round % 5) { await Task.yield() }
            task.cancel()
            await task.value
        }
        #expect(!latch.isSet)
    }

    @Test("a wait with a limit says whether the latch was set")
    func latchLimit() async {
        let latch = Latch()
        #expect(await !latch.wait(upTo: .milliseconds(10)))
        latch.set()
        #expect(await latch.wait(upTo: .seconds(600)))
    }

    @Test("a value that is given reaches everybody who waits")
    func awaited() async throws {
        let awaited = Awaited<Int>()
        try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<5 { group.addTask { try await awaited.value {} } }
            awaited.give(.success(7))
            awaited.give(.failure(Failed()))
            for try await value in group { #expect(value == 7) }
        }
    }

    private struct Seeded: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return state ^ state >> 29
        }
    }

    @Test("waits double up to their limit, each varied by at most a quarter")
    func backoff() {
        for seed: UInt64 in 0..<100 {
            var random = Seeded(state: seed)
            var backoff = Backoff(first: .milliseconds(100), limit: .seconds(1))
            for _ in 0..<2 {
                for wanted in [100, 200, 400, 800, 1000, 1000, 1000] {
                    let delay = backoff.delay(using: &random)
                    #expect(delay >= .milliseconds(wanted) * 0.75)
                    #expect(delay <= .milliseconds(wanted) * 1.25)
                }
                backoff.reset()
            }
        }
    }
}
