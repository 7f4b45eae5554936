import MySQLClient
import TestServers
import Testing

extension MigrationTests {
    /// What networks do.
    @Suite("Faults of the network", .serialized)
    struct FaultTests {
        /// A migration whose ways to source and target can be broken.
        private func with(
            _ label: String, _ pair: Pair = .mariadb,
            _ body: (Trial, _ source: FaultProxy, _ target: FaultProxy, Load) async throws -> Void
        ) async throws {
            let seed = Dice.seed(label)
            var trial = try await Trial(pair, label, Shop.schema())
            let source = try FaultProxy(to: trial.source)
            let target = try FaultProxy(to: trial.target)
            defer {
                source.close()
                target.close()
            }
            trial.sourceURL = source.url
            trial.targetURL = target.url
            let load = Load(trial.source, schema: trial.schema, seed: seed, Shop.step)
            do {
                try await body(trial, source, target, load)
            } catch {
                // The tests behind this one are not to be slowed down by it.
                try? await load.stop()
                throw error
            }
            try await load.stop()
            try await trial.catchUp()
            try await trial.expectEqual()
        }

        @Test(
            "a COMMIT that reaches the target after its connection is gone",
            arguments: Pair.sameFamily)
        func lateCommit(_ pair: Pair) async throws {
            try await with("latecommit", pair) { trial, _, target, load in
                let skein = try trial.migrate("--lanes", "2")
                try await trial.copied(skein)
                try await trial.applied(skein)
                for round in 1...4 {
                    let held = target.holdNext(.toServer, matching: "COMMIT")
                    try await held.caught()
                    // The product has noticed and begins anew; then the server gets the COMMIT.
                    try await Task.sleep(for: .milliseconds(100 * round * round))
                    held.deliver()
                    try await load.more(20)
                    try await trial.applied(skein)
                }
                try await trial.stop(skein)
            }
        }

        @Test("a transaction's packet that reaches the target after its connection is gone")
        func latePacket() async throws {
            try await with("latepacket") { trial, _, target, load in
                let skein = try trial.migrate("--lanes", "2")
                try await trial.copied(skein)
                try await trial.applied(skein)
                for text in ["journal", "UPDATE `meta_\(trial.schema)`.`lane`", "accounts"] {
                    let held = target.holdNext(.toServer, matching: text)
                    try await held.caught()
                    try await load.more(30)
                    held.deliver()
                    try await trial.applied(skein)
                }
                try await trial.stop(skein)
            }
        }

        @Test(
            "a packet that arrives after the process was killed and started again",
            arguments: Pair.sameFamily)
        func lateAfterKill(_ pair: Pair) async throws {
            try await with("lateafterkill", pair) { trial, _, target, load in
                var skein = try trial.migrate("--lanes", "2")
                try await trial.copied(skein)
                for text in ["COMMIT", "journal", "COMMIT", "`subtask` SET low_water", "COMMIT"] {
                    try await trial.applied(skein)
                    let held = target.holdNext(.toServer, matching: text)
                    try await held.caught()
                    skein.kill()
                    skein = try trial.migrate("--lanes", "3")
                    try await load.more(10)
                    held.deliver()
                    try await load.more(10)
                }
                try await trial.applied(skein)
                try await trial.stop(skein)
            }
        }

        @Test("connections are cut, also in the middle of packets")
        func cut() async throws {
            try await with("cut") { trial, source, target, load in
                let skein = try trial.migrate("--chunk-rows", "100")
                try await skein.waiting(for: "its start") { trial.phase != nil }
                target.cut()
                try await load.more(10)
                source.cut()
                try await load.more(10)
                target.cutNext(.toServer, after: 30)
                try await trial.copied(skein)
                for round in 0..<3 {
                    source.cutNext(.toClient, matching: Array("transfer".utf8), after: 9 + round)
                    try await load.more(20)
                    target.cutNext(.toServer, matching: Array("journal".utf8), after: 20)
                    try await load.more(20)
                    target.cutNext(.toClient, after: round)
                    try await load.more(20)
                    source.cut()
                    target.cut()
                }
                source.disarm()
                target.disarm()
                try await trial.applied(skein)
                try await trial.stop(skein)
            }
        }

        @Test("a network that stands still for a while, and one that refuses")
        func still() async throws {
            try await with("still") { trial, source, target, load in
                let skein = try trial.migrate()
                try await trial.copied(skein)
                target.freeze()
                try await load.more(100)
                target.resume()
                try await trial.applied(skein)
                source.freeze()
                try await load.more(100)
                source.resume()
                try await trial.applied(skein)
                target.refuseConnections()
                target.cut()
                source.cut()
                try await skein.waiting(for: "a reason") { skein.text.contains("Can't connect") }
                target.acceptConnections()
                try await trial.applied(skein)
                target.setDelay(.milliseconds(20))
                try await load.more(50)
                try await trial.applied(skein)
                target.setDelay(.zero)
                try await trial.stop(skein)
            }
        }

        @Test("orderly restarts of source and target", arguments: Pair.sameFamily)
        func restarts(_ pair: Pair) async throws {
            let seed = Dice.seed("restarts")
            try await TestServer.with(pair.source, name: "restarted") { source in
                try await TestServer.with(pair.target, name: "restarted") { target in
                    let trial = try Trial(
                        source: source, target: target, "restarts", Shop.schema())
                    let load = Load(source, schema: trial.schema, seed: seed, Shop.step)
                    let skein = try trial.migrate("--chunk-rows", "100")
                    try await trial.copied(skein)
                    for server in [source, target] {
                        try await load.more(30)
                        try await server.restart()
                    }
                    try await trial.applied(skein)
                    try await load.stop()
                    try await trial.stop(skein)
                    try await trial.catchUp()
                    try await trial.expectEqual()
                }
            }
        }
    }
}
