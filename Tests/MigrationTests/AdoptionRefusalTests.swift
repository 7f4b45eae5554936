import Glibc
import MySQLClient
import TestServers
import Testing

extension MigrationTests.AdoptionTests {
    @Test("what only DM can end is refused by name, and nothing is begun")
    func open() async throws {
        let left = try await Left(.mariadb, "adoptopen")
        let trial = left.trial
        try left.checkpoint(try Place(trial.source))
        for (table, values, words) in [
            ("syncer_sharding_meta", "('source','`all`.`t`','',0,1,'[]')", "`all`.`t`"),
            ("onlineddl", "('source','shop','_t_gho','[]',NOW())", "shop._t_gho"),
            ("loader_checkpoint", "('source','shop.t.1.sql','shop','t',10,20)", "shop.t.1.sql"),
            ("lightning_checkpoint_list", "('dm','source','running')", "not finished (running)"),
        ] {
            let name = "\(left.meta).dm_\(table)"
            try trial.target.sql("INSERT INTO \(name) VALUES \(values)")
            let checked = try await left.run()
            #expect(checked.status == 5, "\(checked.text)")
            #expect(checked.text.contains("adopt") && checked.text.contains(words))
            // Nobody can ask for it to be passed over.
            let ignored = try await left.run("--ignore-check", "adopt")
            #expect(ignored.status == 1, "\(ignored.text)")
            #expect(ignored.text.contains("[migration.adopt]") && ignored.text.contains(words))
            #expect(trial.phase == "start")
            try trial.target.sql("DELETE FROM \(name); DROP DATABASE \(trial.meta)")
        }
        // Another source of the task has that open.
        try trial.target.sql(
            "INSERT INTO \(left.meta).dm_onlineddl VALUES ('other','shop','_t_gho','[]',NOW())")
        #expect(try await left.run().status == 0)
        try await trial.expectEqual()
    }

    @Test("a checkpoint that is not there is refused, with what there is")
    func missing() async throws {
        let left = try await Left(.mariadb, "adoptnone")
        let trial = left.trial
        let place = try Place(trial.source)
        func expect(_ words: String, _ flags: [String] = []) async throws {
            let outcome = try await SkeinProcess(trial.arguments(left.flags + flags)).end()
            #expect(outcome.status == 5 && outcome.text.contains(words), "\(outcome.text)")
            #expect(trial.phase == nil)
        }
        try await expect("DM has not begun to follow")
        try left.checkpoint(place)
        try await expect("no table", ["--adopt", "other"])
        try await expect("no table", ["--adopt-meta", "other"])
        try await expect("what DM calls the source: source", ["--source-id", "s2"])
        try trial.target.sql("DELETE FROM \(left.meta).dm_syncer_checkpoint WHERE is_global=1")
        try await expect("no global place")
        // A file of a relay log that had another server before, without GTIDs.
        var relay = place
        relay.gtids = ""
        relay.file = place.file.replacing(".", with: "|000002.")
        try left.checkpoint(relay)
        try await expect("relay log")
        // Of the first server it is the source's own.
        relay.file = place.file.replacing(".", with: "|000001.")
        try left.checkpoint(relay)
        let own = try await left.run()
        #expect(own.status == 0, "\(own.text)")
        var gone = place
        gone.file = "no-such-file.000001"
        gone.gtids = ""
        try left.checkpoint(gone)
        try trial.target.sql("DROP DATABASE \(trial.meta)")
        try await expect("no binlog file")
    }

    @Test("while DM still writes its checkpoint nothing is begun")
    func running() async throws {
        let left = try await Left(.mariadb, "adoptruns")
        let trial = left.trial
        try left.checkpoint(try Place(trial.source))
        let skein = try SkeinProcess(trial.arguments(left.flags + ["--adopt-wait", "60s"]))
        try await skein.waiting(for: "its row") { trial.phase == "start" }
        try trial.onSource("INSERT INTO t VALUES (1,1,'a')")
        try left.checkpoint(try Place(trial.source))
        let outcome = try await skein.end()
        #expect(outcome.status == 1 && outcome.text.contains("[migration.adopt]"))
        #expect(outcome.text.contains("still running"), "\(outcome.text)")
        #expect(trial.phase == "start")
        // A statement of DM's that waits is seen at once.
        let holder = try trial.target.connect(left.meta)
        try holder.execute("START TRANSACTION")
        try holder.execute("SELECT * FROM dm_syncer_checkpoint FOR UPDATE")
        let writer = Load(
            trial.target, schema: left.meta, threads: 1, seed: 1
        ) { connection, _ in
            try connection.execute("UPDATE dm_syncer_checkpoint SET is_global=is_global")
        }
        let target = try trial.target.connect()
        while try target.value(
            "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE 'UPDATE dm_%'")
            == "0"
        {
            try await Task.sleep(for: .milliseconds(20))
        }
        let seen = try await left.run("--ignore-check", "adopt")
        #expect(seen.status == 1 && seen.text.contains("writes its checkpoint"), "\(seen.text)")
        try holder.execute("COMMIT")
        try await writer.stop()
        try trial.onTarget("INSERT INTO t VALUES (1,1,'a')")
        let after = try await left.run()
        #expect(after.status == 0, "\(after.text)")
        try await trial.expectEqual()
    }

    @Test("tables that can't take changes twice are named, unless nothing is repeated")
    func unrepeatable() async throws {
        let tables = """
            CREATE TABLE t (id INT PRIMARY KEY, v INT);
            CREATE TABLE log (v INT);
            CREATE TABLE parent (id INT PRIMARY KEY);
            CREATE TABLE child (id INT PRIMARY KEY, p INT,
                FOREIGN KEY (p) REFERENCES parent (id) ON DELETE CASCADE);
            """
        for isOrderly in [true, false] {
            let left = try await Left(.mariadb, "adoptkeys", tables)
            let trial = left.trial
            let place = try Place(trial.source)
            try trial.onSource("INSERT INTO log VALUES (1),(1); INSERT INTO t VALUES (1,1)")
            try left.checkpoint(place)
            let refused = try await left.run()
            #expect(refused.status == 5 && refused.text.contains("adopt-tables"))
            for table in ["log", "parent", "child"] {
                #expect(refused.text.contains("\(trial.schema).\(table)"), "\(refused.text)")
            }
            #expect(!refused.text.contains("\(trial.schema).t,"), "\(refused.text)")
            if isOrderly {
                // A person knows that DM was stopped orderly.
                let outcome = try await left.run("--ignore-check", "adopt-tables")
                #expect(outcome.status == 0, "\(outcome.text)")
            } else {
                // Or DM says where it was, and that is where it goes on.
                try trial.onTarget("INSERT INTO log VALUES (1),(1); INSERT INTO t VALUES (1,1)")
                let now = try Place(trial.source)
                try left.checkpoint(now, exit: now)
                try trial.onSource("INSERT INTO log VALUES (1)")
                let outcome = try await left.run()
                #expect(outcome.status == 0, "\(outcome.text)")
            }
            try await trial.expectEqual()
        }
    }

    @Test(
        "a replica may lack what DM has read elsewhere: it has to catch up",
        arguments: Pair.sameFamily)
    func replica(_ pair: Pair) async throws {
        let tables = "CREATE TABLE t (id INT PRIMARY KEY, v INT); CREATE TABLE log (v INT);"
        let words = pair.source == .mariadb ? "SLAVE" : "REPLICA"
        let target = try await SharedServers.all.server(pair.target, "target")
        try await TestServer.with(pair.source, name: "read") { primary in
            try await TestServer.with(pair.source, name: "named") { named in
                try Replica.start(named, of: primary)
                let read = try Trial(source: primary, target: target, "adoptreplica", tables)
                var trial = Trial(read, source: named)
                trial.sourceURL = named.url
                let left = try Left(trial, tables)
                // It has everything up to the place, and then lags behind, or is cut off.
                for thread in ["SQL_THREAD", "IO_THREAD"] {
                    try await Replica.caughtUp(named, with: primary)
                    try left.checkpoint(try Place(primary))
                    try named.sql("STOP \(words) \(thread)")
                    let rows = "INSERT INTO log VALUES (1),(1); UPDATE t SET v=1;"
                    try read.onSource(rows)
                    try trial.onTarget(rows)
                    let checked = try await left.run()
                    #expect(checked.status == 5, "\(checked.text)")
                    #expect(checked.text.contains("may lack what DM has read"), "\(checked.text)")
                    let ignored = try await left.run("--ignore-check", "all")
                    #expect(
                        ignored.status == 1 && ignored.text.contains("[migration.adopt]")
                            && ignored.text.contains("does not run"), "\(ignored.text)")
                    #expect(trial.phase == "start")
                    try named.sql("START \(words) \(thread)")
                }
                // What has caught up is held to have all of it: those changes are repeated.
                try await Replica.caughtUp(named, with: primary)
                let keyless = try await left.run()
                #expect(
                    keyless.status == 5 && keyless.text.contains("adopt-tables"),
                    "\(keyless.text)")
                let outcome = try await left.run("--exclude", "\(trial.schema).log")
                #expect(outcome.status == 0, "\(outcome.text)")
                try await trial.expectEqual()
            }
        }
    }

    @Test("that Skein has gone on with a task of DM's is known, whatever becomes of its checkpoint")
    func known() async throws {
        let tables = "CREATE TABLE t (id INT PRIMARY KEY, v INT); CREATE TABLE log (v INT);"
        let left = try await Left(.mariadb, "adoptknown", tables)
        let trial = left.trial
        let rows = "INSERT INTO t VALUES (1,1); INSERT INTO log VALUES (1);"
        try trial.onSource(rows)
        try trial.onTarget(rows)
        // An error has stopped DM, and it has said where it was: nothing is repeated.
        let place = try Place(trial.source)
        try left.checkpoint(place, exit: place)
        try trial.onSource(
            "INSERT INTO log VALUES (2),(2); UPDATE t SET v=2 WHERE id=1; INSERT INTO t VALUES (2,2)"
        )
        let first = try await left.run()
        #expect(first.status == 0, "\(first.text)")
        try await trial.expectEqual()
        let count = "SELECT COUNT(*) FROM log"
        func expectRefusal(_ flags: String...) async throws {
            let outcome = try await SkeinProcess(
                trial.arguments(left.flags + ["--until", "caught-up"] + flags)
            ).end()
            #expect(outcome.status == 5, "\(flags): \(outcome.text)")
            #expect(
                outcome.text.contains("adopt-tables")
                    && outcome.text.contains("\(trial.schema).log"), "\(flags): \(outcome.text)")
            let expected = try trial.onSource(count)
            #expect(try trial.onTarget(count) == expected)
        }
        // What is refused costs nothing: it goes on from its own checkpoint.
        try await expectRefusal("--fresh", "--yes")
        #expect(trial.phase == "follow")
        try trial.onSource("INSERT INTO log VALUES (3); UPDATE t SET v=3 WHERE id=2")
        let second = try await left.run()
        #expect(second.status == 0 && second.text.contains("its own checkpoint"), "\(second.text)")
        try await trial.expectEqual()
        // Its checkpoint is forgotten, and it has not begun again.
        let skein = try SkeinProcess(
            trial.arguments(
                left.flags + [
                    "--fresh", "--yes", "--ignore-check", "adopt-tables", "--adopt-wait", "60s",
                ]))
        try await skein.waiting(for: "its row") { trial.phase == "start" }
        #expect(skein.kill(), "\(skein.text)")
        try await expectRefusal()
        try await expectRefusal("--fresh", "--yes")
        try await expectRefusal()
        // Nor does another name believe DM; what can be repeated is.
        try await expectRefusal("--name", "other")
        let other = try await left.run("--name", "other", "--exclude", "\(trial.schema).log")
        #expect(other.status == 0, "\(other.text)")
        try await trial.expectEqual()
        // It does not hinder a copy, and outlives it.
        try await trial.catchUp("--fresh", "--yes")
        try await trial.expectEqual()
        try await expectRefusal("--name", "third")
        try await trial.expectEqual()
    }

    @Test("what can't be begun anew is not forgotten: DDL behind DM's place that has run")
    func changed() async throws {
        let left = try await Left(
            .mariadb, "adoptchanged", "CREATE TABLE t (id INT PRIMARY KEY, v INT);")
        let trial = left.trial
        try left.checkpoint(try Place(trial.source))
        try trial.onSource("INSERT INTO t VALUES (1,1); ALTER TABLE t ADD c INT")
        #expect(try await left.run().status == 0)
        try await trial.expectEqual()
        let outcome = try await left.run("--fresh", "--yes")
        #expect(
            outcome.status == 1 && outcome.text.contains("[apply.unsupported]"), "\(outcome.text)")
        #expect(trial.phase == "follow")
        try trial.onSource("INSERT INTO t VALUES (2,2,2)")
        #expect(try await left.run().status == 0)
        try await trial.expectEqual()
    }

    @Test("so are tables of which filters leave something out")
    func filtered() async throws {
        let left = try await Left(.mariadb, "adoptfilter")
        let trial = left.trial
        try left.checkpoint(try Place(trial.source))
        try trial.onSource("INSERT INTO t VALUES (1,1,'a')")
        let cluster = try ClusterTrial("w0")
        try await cluster.running {
            try cluster.workers[0].start()
            try await cluster.add(
                trial, sources: ["source"], task: "dm",
                """
                name: dm
                task-mode: incremental
                adopt: true
                adopt-wait: 1s
                ignore-checks: [adopt]
                meta-schema: \(left.meta)
                target-database: TARGET
                mysql-instances: [{source-id: source, filter-rules: [f], block-allow-list: l}]
                filters: {f: {schema-pattern: '*', table-pattern: t, events: [delete], action: Ignore}}
                block-allow-list: {l: {do-dbs: [\(trial.schema)]}}
                """)
            try await cluster.eventually("the refusal") {
                cluster.workers[0].process?.text.contains("adopt-tables") == true
            }
        }
        #expect(try trial.onTarget("SELECT COUNT(*) FROM t") == "0\n")
    }

    @Test("a migration with a checkpoint of its own goes on from that")
    func ownCheckpoint() async throws {
        let left = try await Left(.mariadb, "adoptown")
        let trial = left.trial
        try left.checkpoint(try Place(trial.source))
        try trial.onSource("INSERT INTO t VALUES (1,1,'a')")
        let first = try await left.run()
        #expect(first.status == 0, "\(first.text)")
        // DM's tables are not even asked for.
        try trial.target.sql("DROP DATABASE \(left.meta)")
        try trial.onSource("INSERT INTO t VALUES (2,2,'b')")
        let second = try await left.run()
        #expect(second.status == 0 && second.text.contains("its own checkpoint"), "\(second.text)")
        try await trial.expectEqual()
        for flags in [
            ["--mode", "full"], ["--start-position", "bin.000001:4"],
        ] {
            #expect(try await left.run("--fresh", "--yes", flags[0], flags[1]).status == 2)
        }
    }

    @Test("DM's own file, run by workers: through kill -9 before and behind its beginning")
    func file() async throws {
        let left = try await Left(.mariadb, "adoptfile")
        let trial = left.trial
        let rows = (1...50).map { "(\($0),\($0),'r\($0)')" }.joined(separator: ",")
        try trial.onSource("INSERT INTO t VALUES \(rows)")
        try left.checkpoint(try Place(trial.source))
        try trial.onSource(
            """
            START TRANSACTION; UPDATE t SET u=-1 WHERE id=1; UPDATE t SET u=1 WHERE id=2;
            UPDATE t SET u=2 WHERE id=1; COMMIT;
            UPDATE t SET id=id+100 WHERE id BETWEEN 10 AND 19; DELETE FROM t WHERE id=30;
            """)
        // DM got as far as this with some, and not with others.
        try trial.onTarget(
            "INSERT INTO t VALUES \(rows); DELETE FROM t WHERE id IN (30,10,12); "
                + "UPDATE t SET u=NULL WHERE id=1; UPDATE t SET u=1 WHERE id=2; "
                + "INSERT INTO t VALUES (110,10,'r10')")
        let cluster = try ClusterTrial("w0")
        let worker = cluster.workers[0]
        try await cluster.running {
            try worker.start()
            try await cluster.add(
                trial, sources: ["source"], task: "dm",
                """
                name: dm
                task-mode: all
                adopt: true
                adopt-wait: 4s
                meta-schema: \(left.meta)
                target-database: TARGET
                mysql-instances: [{source-id: source, block-allow-list: l}]
                block-allow-list: {l: {do-dbs: [\(trial.schema)]}}
                """)
            func phase() -> String? {
                try? trial.target.connect().value("SELECT phase FROM \(left.meta).subtask")
            }
            try await cluster.eventually("its row") { phase() == "start" }
            worker.kill()
            try worker.start()
            try await cluster.eventually("its beginning") { phase() == "follow" }
            worker.kill()
            try trial.onSource("UPDATE t SET v='more' WHERE id<6")
            try worker.start()
            try await cluster.applied(trial)
        }
        try await trial.expectEqual()
    }

    @Test(
        "a source that fails over within the stretch: it ends at the same transaction",
        arguments: Pair.sameFamily)
    func failover(_ pair: Pair) async throws {
        let target = try await SharedServers.all.server(pair.target, "target")
        try await TestServer.with(pair.source, name: "adopt-a") { first in
            try await TestServer.with(pair.source, name: "adopt-b") { second in
                // Files of the two have other places.
                try second.sql("CREATE DATABASE before_it; DROP DATABASE before_it")
                if pair.source == .mysql {
                    try second.sql("RESET BINARY LOGS AND GTIDS; FLUSH BINARY LOGS")
                } else {
                    try second.sql("RESET MASTER; FLUSH BINARY LOGS")
                }
                try Replica.start(second, of: first)
                var trial = try Trial(
                    source: first, target: target, "adoptfail",
                    MigrationTests.AdoptionTests.tables)
                let proxy = try FaultProxy(to: first)
                defer { proxy.close() }
                trial.sourceURL = proxy.url
                let left = try Left(trial)
                try trial.onSource("INSERT INTO t VALUES (1,1,'a'),(2,2,'b'),(900,900,'far')")
                try left.checkpoint(try Place(first))
                try trial.onSource(
                    "UPDATE t SET v='x' WHERE id=1; UPDATE t SET id=3 WHERE id=2; "
                        + "INSERT INTO t VALUES (2,4,'again')")
                try trial.onTarget("INSERT INTO t VALUES (1,1,'x'),(2,4,'again'),(3,2,'b')")
                // It begins, and waits at its first row.
                let holder = try target.connect(trial.schema)
                try holder.execute("START TRANSACTION")
                try holder.execute("SELECT * FROM t WHERE id=1 FOR UPDATE")
                let skein = try SkeinProcess(trial.arguments(left.flags + ["--no-relay"]))
                try await trial.copied(skein)
                try await Task.sleep(for: .milliseconds(500))
                #expect(skein.kill(), "\(skein.text)")
                try trial.onSource("UPDATE t SET v='behind' WHERE id=900")
                try await Replica.caughtUp(second, with: first)
                try Replica.promote(second)
                proxy.forward(to: second)
                proxy.cut()
                try holder.execute("COMMIT")
                // The change behind the stretch finds no row; those within have come through.
                let exact = try await left.run("--no-relay")
                #expect(
                    exact.status == 1 && exact.text.contains("[apply.rows]"), "\(exact.text)")
                #expect(try trial.onTarget("SELECT id FROM t ORDER BY id") == "1\n2\n3\n")
                try trial.onTarget("INSERT INTO t VALUES (900,900,'far')")
                let outcome = try await left.run("--no-relay")
                #expect(outcome.status == 0, "\(outcome.text)")
                try await Trial(trial, source: second).expectEqual()
            }
        }
    }
}
