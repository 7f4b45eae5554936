import Foundation
import Glibc
import TestServers
import Testing

extension MigrationTests {
    /// Ends of processes at any instant: nothing may be lost, nothing doubled.
    @Suite("Killed at any instant", .serialized)
    struct KillTests {
        /// How often skein is killed in all; half of it during the copy.
        private static let kills =
            ProcessInfo.processInfo.environment["SKEIN_KILLS"].flatMap { Int($0) } ?? 20

        /// Rests for a while that the dice choose, shorter ones more often.
        private func rest(_ dice: inout Dice, milliseconds: Int) async throws {
            let limit = 1 + dice.roll(milliseconds)
            try await Task.sleep(for: .milliseconds(dice.roll(limit) + 1))
        }

        @Test("skein, while it copies under load")
        func duringCopy() async throws {
            let seed = Dice.seed("duringCopy")
            var dice = Dice(seed: seed)
            var trial = try await Trial(.mariadb, "killcopy", Shop.schema(rows: 10_000))
            // A target that is far away: the copy lasts long enough to be killed often.
            let proxy = try FaultProxy(to: trial.target)
            defer { proxy.close() }
            trial.targetURL = proxy.url
            proxy.setDelay(.milliseconds(4))
            let load = Load(
                trial.source, schema: trial.schema, seed: seed, pause: .milliseconds(20), Shop.step)
            var during = 0
            for _ in 0..<Self.kills / 2 {
                let skein = try trial.migrate("--chunk-rows", "100")
                try await skein.waiting(for: "its start") {
                    trial.phase != nil || skein.status != nil
                }
                if trial.phase == "follow" { break }
                try await rest(&dice, milliseconds: 2000)
                if trial.phase == "copy" { during += 1 }
                #expect(skein.kill(), "\(skein.text)")
            }
            #expect(during >= Self.kills / 4, "\(during) kills were during the copy")
            try await load.more(50)
            try await load.stop()
            proxy.setDelay(.zero)
            try await trial.catchUp()
            try await trial.expectEqual()
        }

        @Test("skein, while it follows a load, tables without a key among it")
        func duringReplication() async throws {
            let seed = Dice.seed("duringReplication")
            var dice = Dice(seed: seed)
            let trial = try await Trial(.mariadb, "killfollow", Shop.schema())
            var skein = try trial.migrate()
            try await trial.copied(skein)
            let load = Load(
                trial.source, schema: trial.schema, threads: 3, seed: seed,
                pause: .milliseconds(2), Shop.step)
            for _ in 0..<(Self.kills - Self.kills / 2) {
                try await rest(&dice, milliseconds: 3000)
                #expect(skein.kill(), "\(skein.text)")
                skein = try trial.migrate("--lanes", "\(1 + dice.roll(6))")
            }
            try await trial.applied(skein)
            skein.kill()
            try await load.stop()
            try await trial.catchUp()
            try await trial.expectEqual()
        }

        @Test("the target, during copy and replication", arguments: Pair.sameFamily)
        func target(_ pair: Pair) async throws {
            let seed = Dice.seed("target")
            var dice = Dice(seed: seed)
            let source = try await SharedServers.all.server(pair.source, "source")
            try await TestServer.with(pair.target, name: "killed") { target in
                let trial = try Trial(
                    source: source, target: target, "killtarget", Shop.schema(rows: 6000))
                let load = Load(source, schema: trial.schema, seed: seed, Shop.step)
                let skein = try trial.migrate("--chunk-rows", "100")
                try await skein.waiting(for: "its start") { trial.phase != nil }
                for round in 0..<4 {
                    if round == 2 { try await trial.copied(skein) }
                    try await rest(&dice, milliseconds: 1500)
                    await target.kill()
                    try await rest(&dice, milliseconds: 300)
                    try await target.restart()
                }
                try await trial.applied(skein)
                try await load.stop()
                try await trial.stop(skein)
                try await trial.catchUp()
                try await trial.expectEqual()
            }
        }

        @Test("the source, during copy and replication", arguments: Pair.sameFamily)
        func source(_ pair: Pair) async throws {
            let seed = Dice.seed("source")
            var dice = Dice(seed: seed)
            let target = try await SharedServers.all.server(pair.target, "target")
            try await TestServer.with(pair.source, durable: true, name: "killed") { source in
                let trial = try Trial(
                    source: source, target: target, "killsource", Shop.schema(rows: 6000))
                let load = Load(source, schema: trial.schema, seed: seed, Shop.step)
                let skein = try trial.migrate("--chunk-rows", "100")
                try await skein.waiting(for: "its start") { trial.phase != nil }
                for round in 0..<4 {
                    if round == 2 { try await trial.copied(skein) }
                    try await rest(&dice, milliseconds: 1500)
                    await source.kill()
                    try await rest(&dice, milliseconds: 300)
                    try await source.restart()
                }
                try await load.more(20)
                try await trial.applied(skein)
                try await load.stop()
                try await trial.stop(skein)
                try await trial.catchUp()
                try await trial.expectEqual()
            }
        }
    }
}
