import TestServers
import Testing

extension MigrationTests {
    /// Pairs for scenarios: each family to itself; every pair in the long run.
    private static let pairs = isFull ? Pair.available : Pair.sameFamily

    /// What keys and values need on their way through the binlog.
    @Suite("Keys and values", .serialized)
    struct ScenarioTests {
        @Test("keys", arguments: Scenario.cases(Scenario.keys, MigrationTests.pairs))
        func keys(_ each: Scenario.Case) async throws {
            try await each.scenario.run(each.pair, isTold: true)
        }

        @Test("habits", arguments: Scenario.cases(Scenario.habits, MigrationTests.pairs))
        func habits(_ each: Scenario.Case) async throws {
            try await each.scenario.run(each.pair)
        }

        @Test("values", arguments: Scenario.cases(Scenario.values, MigrationTests.pairs))
        func values(_ each: Scenario.Case) async throws {
            try await each.scenario.run(each.pair, isTold: true)
        }
    }
}
