import Glibc
import MySQLClient
import TestServers
import Testing

extension MigrationTests {
    /// Another server answers behind the address: of the source, of the target.
    @Suite("Failover", .serialized)
    struct FailoverTests {
        /// Two servers of a family, the second a replica of the first.
        private func withPair(
            _ family: TestServer.Family, _ name: String,
            _ body: (TestServer, TestServer) async throws -> Void
        ) async throws {
            try await TestServer.with(family, name: "\(name)-a") { first in
                try await TestServer.with(family, name: "\(name)-b") { second in
                    try Replica.start(second, of: first)
                    try await body(first, second)
                }
            }
        }

        @Test(
            "a source's replica is promoted, and the old source comes back as its replica and is promoted again",
            arguments: Pair.sameFamily)
        func source(_ pair: Pair) async throws {
            let seed = Dice.seed("failover")
            let target = try await SharedServers.all.server(pair.target, "target")
            try await withPair(pair.source, "source") { first, second in
                var trial = try Trial(
                    source: first, target: target, "sourcefailover", Shop.schema(rows: 300))
                let proxy = try FaultProxy(to: first)
                defer { proxy.close() }
                trial.sourceURL = proxy.url
                var skein = try trial.migrate("--lanes", "2")
                try await trial.copied(skein)
                var (primary, replica) = (first, second)
                for round in 0..<3 {
                    let load = Load(
                        primary, schema: trial.schema, seed: seed &+ UInt64(round), Shop.step)
                    try await load.more(40)
                    try await load.stop()
                    let now = Trial(trial, source: primary)
                    if round == 1 {
                        // The target is behind when the source moves.
                        skein.signal(SIGTERM)
                        _ = try await skein.end()
                    } else {
                        try await now.applied(skein)
                    }
                    try now.onSource("INSERT INTO journal VALUES (-1,'last of \(round)',NULL)")
                    try await Replica.caughtUp(replica, with: primary)
                    try Replica.promote(replica)
                    proxy.forward(to: replica)
                    proxy.cut()
                    // What the old primary wrote is in the new one; now it follows that.
                    try Replica.start(primary, of: replica)
                    swap(&primary, &replica)
                    if round == 1 { skein = try trial.migrate("--lanes", "3") }
                    try await Trial(trial, source: primary).applied(skein)
                }
                try await trial.stop(skein)
                // The mark is on the server that answers now; and once more from there.
                try await trial.catchUp()
                try await Trial(trial, source: primary).expectEqual()
            }
        }

        @Test("a promoted replica that lacks what the target has applied is not followed")
        func behind() async throws {
            let target = try await SharedServers.all.server(.mariadb, "target")
            try await withPair(.mariadb, "behind") { first, second in
                var trial = try Trial(
                    source: first, target: target, "behind", Shop.schema(rows: 50))
                let proxy = try FaultProxy(to: first)
                defer { proxy.close() }
                trial.sourceURL = proxy.url
                try await trial.catchUp()
                try await Replica.caughtUp(second, with: first)
                try Replica.stop(second)
                try trial.onSource("INSERT INTO marker VALUES (1); INSERT INTO marker VALUES (2)")
                try await trial.catchUp()
                try Replica.promote(second)
                proxy.forward(to: second)
                // As many transactions of its own, under the same numbers.
                try second.sql("INSERT INTO marker VALUES (3)", database: trial.schema)
                try second.sql("INSERT INTO marker VALUES (4)", database: trial.schema)
                try second.sql("INSERT INTO marker VALUES (5)", database: trial.schema)
                let outcome = try await trial.migrate("--until", "caught-up").end()
                #expect(outcome.status == 1, "\(outcome.text)")
                #expect(outcome.text.contains("source.lost"), "\(outcome.text)")
                #expect(try trial.onTarget("SELECT GROUP_CONCAT(id) FROM marker") == "1,2\n")
            }
        }

        @Test(
            "a target's replica is promoted while old connections still reach the old one (T1, T2)",
            arguments: Pair.sameFamily)
        func target(_ pair: Pair) async throws {
            let seed = Dice.seed("targetfailover")
            let source = try await SharedServers.all.server(pair.source, "source")
            try await withPair(pair.target, "target") { first, second in
                var trial = try Trial(
                    source: source, target: first, "targetfailover", Shop.schema(rows: 300))
                let proxy = try FaultProxy(to: first)
                defer { proxy.close() }
                trial.targetURL = proxy.url
                let skein = try trial.migrate("--lanes", "3")
                try await trial.copied(skein)
                let load = Load(source, schema: trial.schema, seed: seed, Shop.step)
                try await load.more(40)
                try await trial.applied(skein)
                try await Replica.caughtUp(second, with: first)
                // What is applied from here on the promoted server does not have.
                try Replica.stop(second)
                try await load.more(60)
                try await trial.applied(skein)
                try Replica.promote(second)
                proxy.forward(to: second)
                // One lane loses its connection; the others could go on with the old server.
                proxy.cutNext(.toServer, matching: Array("`lane` SET".utf8))
                let after = Trial(trial, target: second)
                try await load.more(60)
                try await after.applied(skein)
                let left = try first.sql("SELECT COUNT(*) FROM marker", database: trial.schema)
                try await load.more(30)
                try await after.applied(skein)
                try await load.stop()
                try await after.stop(skein)
                // Nothing reaches the old server any more.
                #expect(
                    try first.sql("SELECT COUNT(*) FROM marker", database: trial.schema) == left)
                try await after.catchUp()
                try await after.expectEqual()
            }
        }

        @Test(
            "a statement that the promoted server lacks runs there, whatever its table ids (D10)",
            arguments: Pair.sameFamily)
        func statement(_ pair: Pair) async throws {
            let source = try await SharedServers.all.server(pair.source, "source")
            try await withPair(pair.target, "target") { first, second in
                // The replica numbers its tables in another way.
                try second.sql(
                    "SET sql_log_bin=0; CREATE DATABASE own; CREATE TABLE own.x (a INT)")
                var trial = try Trial(
                    source: source, target: first, "ddlfailover",
                    """
                    CREATE TABLE marker (id BIGINT PRIMARY KEY);
                    CREATE TABLE items (id INT PRIMARY KEY, a INT);
                    INSERT INTO items VALUES (1,1),(2,2),(3,3)
                    """)
                let proxy = try FaultProxy(to: first)
                defer { proxy.close() }
                trial.targetURL = proxy.url
                let skein = try trial.migrate()
                try await trial.copied(skein)
                try await trial.applied(skein)
                let held = proxy.holdNext(
                    .toServer, matching: "TRUNCATE", closingClient: false)
                try trial.onSource("TRUNCATE TABLE items; INSERT INTO items VALUES (7,7)")
                try await held.caught()
                // The intent is there, what it is of is not.
                try await Replica.caughtUp(second, with: first)
                #expect(try second.sql("SELECT COUNT(*) FROM \(trial.meta).ddl") == "1\n")
                try Replica.promote(second)
                proxy.forward(to: second)
                held.drop()
                proxy.cut()
                let after = Trial(trial, target: second)
                try await after.applied(skein)
                try await after.stop(skein)
                #expect(try after.onTarget("SELECT id FROM items") == "7\n")
                try await after.expectEqual()
            }
        }
    }
}
