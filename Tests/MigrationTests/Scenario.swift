import TestServers
import Testing

/// Tables, and changes to them while the product follows. Afterwards both sides must be equal.
struct Scenario: Sendable, CustomTestStringConvertible {
    let name: String
    /// Runs on the source before the copy.
    let tables: String
    /// Runs on the source while it is followed.
    let changes: String
    /// Families that have what it needs; by default all.
    var families: Set<TestServer.Family> = [.mariadb, .mysql]
    /// Whether servers of different families hold the same afterwards, by the letter.
    var crosses = true
    /// Whether the changes are made while nobody follows, so that they are applied in large batches.
    var isBacklog = false

    var testDescription: String { name }

    /// Runs it on a pair of servers.
    ///
    /// - Parameter isTold: the source's table maps say all of its tables, so that all is compared.
    func run(_ pair: Pair, isTold: Bool = false) async throws {
        let trial = try await Trial(
            pair, "scenario",
            "CREATE TABLE marker (id BIGINT PRIMARY KEY);\n" + tables)
        if isTold { try trial.onSource("SET GLOBAL binlog_row_metadata=FULL") }
        let skein = try trial.migrate()
        try await trial.copied(skein)
        try await trial.applied(skein)
        if isBacklog {
            try await trial.stop(skein)
            try trial.onSource(changes)
            try await trial.catchUp()
            return try await trial.expectEqual()
        }
        try trial.onSource(changes)
        try await trial.applied(skein)
        try await trial.stop(skein)
        try await trial.expectEqual()
    }

    /// Every scenario that can run on a pair.
    static func cases(_ scenarios: [Scenario], _ pairs: [Pair]) -> [Case] {
        pairs.flatMap { pair in
            scenarios.filter {
                $0.families.contains(pair.source) && $0.families.contains(pair.target)
                    && ($0.crosses || pair.source == pair.target)
            }.map { Case(scenario: $0, pair: pair) }
        }
    }

    /// A scenario on a pair.
    struct Case: Sendable, CustomTestStringConvertible {
        let scenario: Scenario
        let pair: Pair

        var testDescription: String { "\(scenario.name), \(pair.testDescription)" }
    }
}
