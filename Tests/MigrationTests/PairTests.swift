import TestServers
import Testing

extension MigrationTests {
    /// The main job on every pair of families.
    @Suite("The main job", .serialized)
    struct PairTests {
        @Test("MySQL 9 can be had", .enabled(if: !TestServer.isAvailable(.mysql)))
        func mysqlIsMissing() {
            print("*** MIGRATIONS FROM AND TO MYSQL 9 ARE NOT TESTED ***")
        }

        @Test("copies, follows under load, and both sides are equal", arguments: Pair.available)
        func mainJob(_ pair: Pair) async throws {
            let trial = try await Trial(pair, "main", Shop.schema())
            let seed = Dice.seed("mainJob")
            let load = Load(trial.source, schema: trial.schema, seed: seed, Shop.step)
            let skein = try trial.migrate()
            try await trial.copied(skein)
            try await load.more(300)
            try await trial.applied(skein)
            try await load.more(100)
            try await trial.stop(skein)
            try await load.more(100)
            let last = try trial.migrate("--until", "caught-up")
            try await load.more(50)
            try await load.stop()
            let outcome = try await last.end()
            #expect(outcome.status == 0, "\(outcome.text)")
            try await trial.catchUp()
            try await trial.expectEqual()
        }
    }
}
