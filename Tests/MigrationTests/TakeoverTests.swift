import Glibc
import TestServers
import Testing

extension MigrationTests {
    /// Two processes for the same migration: the later one wins.
    @Suite("One writer", .serialized)
    struct TakeoverTests {
        @Test("the process that started later wins, the earlier one stops with status 4")
        func laterWins() async throws {
            let seed = Dice.seed("laterWins")
            let trial = try await Trial(.mariadb, "twice", Shop.schema())
            let load = Load(trial.source, schema: trial.schema, seed: seed, Shop.step)
            let first = try trial.migrate()
            try await trial.copied(first)
            try await load.more(100)
            let second = try trial.migrate()
            let outcome = try await first.end()
            #expect(outcome.status == 4, "\(outcome.text)")
            #expect(outcome.text.contains("checkpoint.fenced"), "\(outcome.text)")
            try await load.more(100)
            try await trial.applied(second)
            try await load.stop()
            try await trial.stop(second)
            try await trial.catchUp()
            try await trial.expectEqual()
        }

        @Test("it wins during the copy too")
        func duringCopy() async throws {
            let trial = try await Trial(.mariadb, "twicecopy", Shop.schema(rows: 10_000))
            let first = try trial.migrate("--chunk-rows", "50")
            try await first.waiting(for: "its first rows") {
                (try? trial.onTarget("SELECT 1 FROM accounts LIMIT 1")) == "1\n"
            }
            let second = try trial.migrate("--until", "caught-up")
            let outcome = try await first.end()
            #expect(outcome.status == 4, "\(outcome.text)")
            let last = try await second.end()
            #expect(last.status == 0, "\(last.text)")
            try await trial.expectEqual()
        }

        @Test("a copy that lost its connections does not take back what another has taken over")
        func lostDuringCopy() async throws {
            let trial = try await Trial(.mariadb, "lostcopy", Shop.schema(rows: 10_000))
            let proxy = try FaultProxy(to: trial.target)
            defer { proxy.close() }
            proxy.setDelay(.milliseconds(10))
            var far = trial
            far.targetURL = proxy.url
            let first = try far.migrate("--chunk-rows", "50")
            try await first.waiting(for: "its first rows") {
                (try? trial.onTarget("SELECT 1 FROM accounts LIMIT 1")) == "1\n"
            }
            first.signal(SIGSTOP)
            let second = try trial.migrate()
            try await trial.copied(second)
            // What it meets when it wakes up is no word of the fence.
            proxy.cut()
            first.signal(SIGCONT)
            let outcome = try await first.end()
            #expect(outcome.status == 4, "\(outcome.text)")
            #expect(second.status == nil, "\(second.text)")
            try await trial.applied(second)
            try await trial.stop(second)
            try await trial.expectEqual()
        }

        @Test("a frozen process loses its place, and when it wakes up it changes nothing")
        func frozen() async throws {
            let seed = Dice.seed("frozen")
            let trial = try await Trial(.mariadb, "frozen", Shop.schema())
            let load = Load(
                trial.source, schema: trial.schema, seed: seed, pause: .milliseconds(1), Shop.step)
            let first = try trial.migrate()
            try await trial.copied(first)
            try await trial.applied(first)
            // Somewhere in the middle of its work, likely inside a transaction.
            first.signal(SIGSTOP)
            let second = try trial.migrate()
            try await load.more(50)
            try await trial.applied(second)
            first.signal(SIGCONT)
            let outcome = try await first.end()
            #expect(outcome.status == 4, "\(outcome.text)")
            try await trial.applied(second)
            try await load.stop()
            try await trial.stop(second)
            try await trial.catchUp()
            try await trial.expectEqual()
        }

        @Test("frozen again and again, at any instant", arguments: [1, 2, 3])
        func frozenOften(_ round: Int) async throws {
            let seed = Dice.seed("frozenOften")
            var dice = Dice(seed: seed)
            let trial = try await Trial(.mariadb, "frozenoften", Shop.schema(rows: 1000))
            let load = Load(
                trial.source, schema: trial.schema, threads: 4, seed: seed,
                pause: .milliseconds(1), Shop.step)
            let first = try trial.migrate("--lanes", "2")
            try await trial.copied(first)
            try await Task.sleep(for: .milliseconds(dice.roll(700)))
            first.signal(SIGSTOP)
            try await Task.sleep(for: .milliseconds(dice.roll(100)))
            let second = try trial.migrate("--lanes", "3")
            try await Task.sleep(for: .milliseconds(dice.roll(2500)))
            first.signal(SIGCONT)
            // Whichever took over last: the other is fenced.
            try await first.waiting(for: "one of them to stop") {
                first.status != nil || second.status != nil
            }
            let (loser, winner) = first.status != nil ? (first, second) : (second, first)
            #expect(loser.status == 4, "\(loser.text)")
            try await trial.applied(winner)
            try await load.stop()
            try await trial.stop(winner)
            try await trial.catchUp()
            try await trial.expectEqual()
        }
    }
}
