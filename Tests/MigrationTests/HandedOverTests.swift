import Cluster
import Glibc
import Metadata
import MySQLClient
import MySQLCore
import TestServers
import Testing

extension MigrationTests {
    /// Tables that a task of their own has copied, and that the main one takes over.
    @Suite("Handed over tables", .serialized)
    struct HandedOverTests {
        /// `marker` and `m` are the main task's; `t` and `k` are the other one's.
        private static let tables = """
            CREATE TABLE marker (id BIGINT PRIMARY KEY);
            CREATE TABLE m (id INT PRIMARY KEY, v INT NOT NULL);
            CREATE TABLE t (id INT PRIMARY KEY, v INT NOT NULL, x VARCHAR(40));
            CREATE TABLE k (a INT, v VARCHAR(30));
            """

        private static func fill(_ trial: Trial) throws {
            for (table, count) in [("m", 300), ("t", 4000), ("k", 2000)] {
                for start in stride(from: 1, through: count, by: 1000) {
                    let rows = (start...min(start + 999, count)).map { id in
                        switch table {
                        case "m": "(\(id),0)"
                        case "t": "(\(id),0,REPEAT('x',\(id % 40)))"
                        default: "(\(id % 700),'row')"
                        }
                    }
                    try trial.onSource(
                        "INSERT INTO \(table) VALUES \(rows.joined(separator: ","))")
                }
            }
        }

        /// Most transactions change tables of both.
        private static let step: Load.Step = { connection, dice in
            let id = 1 + dice.roll(300)
            switch dice.roll(8) {
            case 0: try connection.execute("DELETE FROM t WHERE id=\(id)")
            case 1:
                try connection.execute(
                    "INSERT INTO t (id, v, x) VALUES (\(10_000 + dice.roll(1_000_000)), 1, 'new')")
            case 2: try connection.execute("INSERT INTO k VALUES (\(id), 'row')")
            case 3: try connection.execute("DELETE FROM k WHERE a=\(id) LIMIT 1")
            default:
                for sql in [
                    "START TRANSACTION", "UPDATE m SET v=v+1 WHERE id=\(id)",
                    "INSERT INTO k VALUES (\(id), 'both')",
                    "INSERT INTO t (id, v) VALUES (\(id), 1) ON DUPLICATE KEY UPDATE v=v+1",
                    "COMMIT",
                ] { try connection.execute(sql) }
            }
        }

        /// The other task's name.
        private static func name(_ trial: Trial) -> String { "big_\(trial.schema)" }

        /// Arguments of `skein migrate` for tables of another task.
        private static func other(
            _ trial: Trial, _ name: String, _ tables: [String], _ more: [String] = []
        ) -> [String] {
            [
                "migrate", "--source", trial.sourceURL, "--target", trial.targetURL,
                "--source-tls", "disabled", "--target-tls", "disabled", "--name", name,
                "--source-id", "source", "--meta-schema", trial.meta, "--output", "lines",
                "--chunk-rows", "100", "--no-relay", "--state-dir", "\(trial.state.path)/\(name)",
            ] + tables.flatMap { ["--tables", "\(trial.schema).\($0)"] } + more
        }

        private static func big(_ trial: Trial, _ more: String...) throws -> SkeinProcess {
            try SkeinProcess(other(trial, name(trial), ["t", "k"], more))
        }

        private static func without(_ trial: Trial, _ tables: String...) -> [String] {
            tables.flatMap { ["--exclude", "\(trial.schema).\($0)"] }
        }

        private static func phase(_ trial: Trial) -> String? {
            try? trial.target.connect().value(
                "SELECT phase FROM \(trial.meta).subtask WHERE task=\(utf8Literal(name(trial)))")
        }

        /// Whose shapes those of `t` and `k` are.
        private static func owners(_ trial: Trial) throws -> [String] {
            try trial.target.connect().rows(
                "SELECT task FROM \(trial.meta).shape WHERE table_name IN ('t', 'k')"
            ).compactMap(\.[0])
        }

        private static func isTaken(_ trial: Trial) -> Bool {
            (try? owners(trial)) == [trial.schema, trial.schema]
        }

        private static let takes = ["--change-rules", "--take-over"]

        /// Whether no run of the other task goes on, as far as the target knows.
        private static func rests(_ trial: Trial) -> Bool {
            let found = try? trial.target.connect().rows(
                "SELECT IS_USED_LOCK(CONCAT('skein:', HEX(LEFT(run, 8)), ':c')) "
                    + "FROM \(trial.meta).subtask WHERE task=\(utf8Literal(name(trial)))"
            ).first
            return found.map { $0[0] == nil } ?? false
        }

        /// Waits until the other task has applied what the source has by now: its copy is passed then.
        private static func passed(_ trial: Trial, _ other: SkeinProcess) async throws {
            let id = 2_000_000 + Int.random(in: 0..<1_000_000)
            try trial.onSource("INSERT INTO t (id, v) VALUES (\(id), 1)")
            try await other.waiting(.seconds(240), for: "the other one's row") {
                (try? trial.target.connect(trial.schema).value("SELECT v FROM t WHERE id=\(id)"))
                    == "1"
            }
        }

        @Test(
            "tables of another task come under load, whichever is behind",
            arguments: Pair.sameFamily, [true, false])
        func underLoad(_ pair: Pair, isOtherAhead: Bool) async throws {
            let trial = try await Trial(pair, "taken", Self.tables)
            try Self.fill(trial)
            let load = Load(
                trial.source, schema: trial.schema, threads: 2, seed: Dice.seed("takenUnderLoad"),
                pause: .milliseconds(10), Self.step)
            let main = try SkeinProcess(trial.arguments(Self.without(trial, "t", "k")))
            try await trial.copied(main)
            // The other one copies over a slow network, and at last over none.
            let proxy = try FaultProxy(to: trial.target)
            defer { proxy.close() }
            proxy.setDelay(.milliseconds(25))
            var far = trial
            far.targetURL = proxy.url
            let other = try Self.big(far)
            try await other.waiting(for: "the other copy") { Self.phase(trial) == "copy" }
            proxy.freeze()
            // The main one goes on meanwhile.
            try await trial.applied(main)
            #expect(Self.phase(trial) == "copy")
            proxy.resume()
            proxy.setDelay(.zero)
            try await other.waiting(.seconds(240), for: "the end of the other copy") {
                Self.phase(trial) == "follow"
            }
            try await load.more(100)
            try await Self.passed(trial, other)
            try await trial.stop(isOtherAhead ? main : other)
            try await load.more(50)
            // The last thing that is known of it differs, too.
            try trial.onSource("ALTER TABLE t ADD c INT NOT NULL DEFAULT 5")
            try await load.more(50)
            if isOtherAhead {
                try await other.waiting(for: "the statement") {
                    try trial.target.connect().value(
                        "SELECT COUNT(*) FROM information_schema.COLUMNS WHERE TABLE_SCHEMA="
                            + "\(utf8Literal(trial.schema)) AND TABLE_NAME='t' AND COLUMN_NAME='c'")
                        == "1"
                }
            } else {
                try await trial.applied(main)
            }
            try await trial.stop(isOtherAhead ? other : main)
            #expect(try Self.owners(trial) == [Self.name(trial), Self.name(trial)])
            let last = try SkeinProcess(trial.arguments(Self.takes + [Self.name(trial)]))
            try await last.waiting(for: "the tables") { Self.isTaken(trial) }
            try await trial.applied(last)
            // The one that was behind came to the other one.
            let met = last.text.split(separator: "\n").filter {
                $0.contains("two tasks come to one place")
            }
            #expect(!met.isEmpty && met.allSatisfy { $0.contains("big_") != isOtherAhead })
            #expect(Self.phase(trial) == nil)
            try trial.onSource("UPDATE t SET c=6 WHERE id%3=0")
            try await load.more(50)
            try await load.stop()
            try await trial.applied(last)
            try await trial.stop(last)
            // Nothing of it was copied here.
            let copied = try trial.target.sql(
                "SELECT DISTINCT table_name FROM \(trial.meta).chunk WHERE copied_rows>0 ORDER BY 1"
            )
            #expect(copied.split(separator: "\n").allSatisfy { $0 != "t" && $0 != "k" })
            try await trial.catchUp("--finish")
            try await trial.expectEqual()
        }

        @Test("tables of another task come through kills of both", arguments: Pair.sameFamily)
        func kills(_ pair: Pair) async throws {
            let seed = Dice.seed("takenKills")
            var dice = Dice(seed: seed)
            var trial = try await Trial(pair, "takenkill", Self.tables)
            try Self.fill(trial)
            let load = Load(
                trial.source, schema: trial.schema, threads: 2, seed: seed,
                pause: .milliseconds(10), Self.step)
            // Orderly ends first: what a killed one has stored may lie before the end of its copy.
            for arguments in [
                trial.arguments(Self.without(trial, "t", "k")),
                Self.other(trial, Self.name(trial), ["t", "k"]),
            ] {
                let outcome = try await SkeinProcess(arguments + ["--until", "caught-up"]).end()
                #expect(outcome.status == 0, "\(outcome.text)")
            }
            let main = try SkeinProcess(trial.arguments(Self.without(trial, "t", "k")))
            let other = try Self.big(trial)
            try await trial.applied(main)
            try await Self.passed(trial, other)
            try await load.more(100)
            #expect(other.kill())
            try await load.more(20)
            #expect(main.kill())
            // Each of the statements is on its way for a while.
            let proxy = try FaultProxy(to: trial.target)
            defer { proxy.close() }
            proxy.setDelay(.milliseconds(10))
            trial.targetURL = proxy.url
            for n in 0..<8 {
                let skein = try SkeinProcess(trial.arguments(Self.takes + [Self.name(trial)]))
                try await Task.sleep(for: .milliseconds(200 + dice.roll(n < 3 ? 1500 : 4000)))
                #expect(skein.kill(), "\(skein.text)")
                // All of it or nothing.
                let owners = Set(try Self.owners(trial))
                #expect(owners == [Self.name(trial)] || owners == [trial.schema])
                if owners == [trial.schema] { break }
            }
            proxy.setDelay(.zero)
            let last = try SkeinProcess(trial.arguments(Self.takes + [Self.name(trial)]))
            try await last.waiting(.seconds(240), for: "the tables") { Self.isTaken(trial) }
            try await load.stop()
            try await trial.applied(last)
            try await trial.stop(last)
            try await trial.catchUp()
            try await trial.expectEqual()
        }

        @Test("what can't be taken over changes nothing, nor does a task that runs")
        func refused() async throws {
            let trial = try await Trial(
                .mariadb, "nottaken",
                Self.tables + """
                    CREATE TABLE n (id INT PRIMARY KEY);
                    CREATE TABLE f (id INT PRIMARY KEY, m INT, FOREIGN KEY (m) REFERENCES m (id));
                    """)
            try Self.fill(trial)
            try trial.onSource("INSERT INTO f VALUES (1, 1); INSERT INTO n VALUES (1)")
            let name = Self.name(trial)
            let rest = Self.without(trial, "t", "k", "n", "f")
            func run(_ arguments: [String]) async throws {
                let outcome = try await SkeinProcess(arguments + ["--until", "caught-up"]).end()
                #expect(outcome.status == 0, "\(outcome.text)")
            }
            try await run(trial.arguments(rest))
            try await run(Self.other(trial, name, ["t", "k"]))
            try await run(Self.other(trial, "tied", ["f"]))
            func records() throws -> [[String?]] {
                try trial.target.connect().rows(
                    "SELECT task, epoch, HEX(run), phase, HEX(identity), HEX(low_water) "
                        + "FROM \(trial.meta).subtask ORDER BY task")
                    + trial.target.connect().rows(
                        "SELECT task, table_name, HEX(shape) FROM \(trial.meta).shape "
                            + "ORDER BY task, table_name")
            }
            let before = try records()
            for (other, excluded, words) in [
                ("nobody", ["n", "f"], "holds nothing of it"),
                (name, ["f"], "nobody has copied"),
                (name, ["n", "f", "k"], "leave out"),
                (name, ["n", "f", "m"], "would leave this task"),
                ("tied", ["t", "k", "n"], "each task has one of them"),
            ] {
                let flags = excluded.flatMap { ["--exclude", "\(trial.schema).\($0)"] }
                let outcome = try await SkeinProcess(
                    trial.arguments(flags + Self.takes + [other])
                ).end()
                #expect(outcome.status == 1, "\(outcome.text)")
                #expect(
                    outcome.text.contains("[migration.take-over]") && outcome.text.contains(words),
                    "\(outcome.text)")
                #expect(try records() == before, "\(words)")
            }
            // Both can go on as they were.
            try trial.onSource("INSERT INTO m VALUES (9000, 1); INSERT INTO t VALUES (9000, 1, '')")
            try await run(trial.arguments(rest))
            let running = try Self.big(trial)
            try await running.waiting(for: "the row") {
                (try? trial.target.connect(trial.schema).value("SELECT v FROM t WHERE id=9000"))
                    == "1"
            }
            // While the other one runs, nothing is taken from it.
            let flags = trial.arguments(Self.without(trial, "n", "f") + Self.takes + [name])
            let early = try await SkeinProcess(flags).end()
            #expect(
                early.status == 1 && early.text.contains("[migration.take-over]")
                    && early.text.contains("it is running"), "\(early.text)")
            try trial.onSource("INSERT INTO t VALUES (9001, 1, '')")
            try await running.waiting(for: "the next row") {
                (try? trial.target.connect(trial.schema).value("SELECT v FROM t WHERE id=9001"))
                    == "1"
            }
            #expect(!Self.isTaken(trial))
            try await trial.stop(running)
            let last = try SkeinProcess(flags)
            try await last.waiting(for: "the tables") { Self.isTaken(trial) }
            try trial.onSource("UPDATE t SET v=2 WHERE id>8999; INSERT INTO k VALUES (1, 'last')")
            try await trial.applied(last)
            try await trial.stop(last)
            #expect(try trial.onTarget("SELECT SUM(v) FROM t WHERE id>8999") == "4\n")
            for table in ["m", "t", "k"] {
                #expect(
                    try Judge.contents(trial.source, trial.schema, table)
                        == Judge.contents(trial.target, trial.schema, table))
            }
        }

        @Test("who has handed over finds no checkpoint, and drops nothing")
        func over() async throws {
            let trial = try await Trial(
                .mariadb, "takenover", Self.tables + "CREATE TABLE n (id INT PRIMARY KEY);")
            try Self.fill(trial)
            try trial.onSource("INSERT INTO n VALUES (1), (2)")
            // Who has not begun can't take anything over.
            let early = try await SkeinProcess(
                trial.arguments(Self.takes + [Self.name(trial)])
            ).end()
            #expect(early.status == 1 && early.text.contains("has not begun yet"), "\(early.text)")
            #expect(trial.phase == nil)
            try await trial.catchUp(
                "--exclude", "\(trial.schema).t", "--exclude",
                "\(trial.schema).k", "--exclude", "\(trial.schema).n")
            // The places of the two differ by events that are no transaction.
            try trial.onSource("FLUSH BINARY LOGS")
            let other = try await Self.big(trial, "--until", "caught-up").end()
            #expect(other.status == 0, "\(other.text)")
            try await trial.catchUp(
                "--exclude", "\(trial.schema).n", "--change-rules", "--take-over", Self.name(trial))
            #expect(Self.isTaken(trial) && Self.phase(trial) == nil)
            let rows = try trial.onTarget("SELECT COUNT(*) FROM t")
            #expect(rows == "4000\n")
            let starts: [[String]] = [
                [], ["--fresh", "--yes"], ["--fresh", "--yes"], ["--mode", "incremental"],
                ["--into-existing"], ["--into-existing", "--fresh", "--yes"],
            ]
            for more in starts {
                let again = try await SkeinProcess(
                    Self.other(trial, Self.name(trial), ["t", "k"], more)
                ).end()
                #expect(
                    again.status != 0 && again.text.contains("[migration.handed-over]"),
                    "\(again.text)")
                #expect(try trial.onTarget("SELECT COUNT(*) FROM t") == rows)
                #expect(Self.isTaken(trial) && Self.phase(trial) == nil)
            }
            // Another table that comes later is the only one that is copied.
            try trial.onSource("UPDATE t SET v=v+1 WHERE id<100; DELETE FROM k WHERE a=3")
            try await trial.catchUp("--change-rules")
            let copied = try trial.target.sql(
                "SELECT DISTINCT table_name FROM \(trial.meta).chunk WHERE copied_rows>0 ORDER BY 1"
            )
            #expect(copied == "n\n")
            try trial.onSource("UPDATE t SET v=v+1 WHERE id<100; INSERT INTO n VALUES (3)")
            try await trial.catchUp()
            try await trial.expectEqual()
        }

        @Test(
            "what is half done when tables come is ended by the task that has them then",
            arguments: Pair.sameFamily)
        func halfDone(_ pair: Pair) async throws {
            let trial = try await Trial(pair, "takenhalf", Self.tables)
            try Self.fill(trial)
            let name = Self.name(trial)
            let main = Self.without(trial, "t", "k") + ["--online-ddl"]
            let other = Self.other(trial, name, ["t", "k"], ["--online-ddl"])
            func run(_ arguments: [String]) async throws {
                let outcome = try await SkeinProcess(arguments + ["--until", "caught-up"]).end()
                #expect(outcome.status == 0, "\(outcome.text)")
            }
            try await run(trial.arguments(main))
            try await run(other)
            // An online schema change of a table that comes, and an XA transaction on both.
            try trial.onSource(
                """
                CREATE TABLE _t_gho LIKE t; ALTER TABLE _t_gho ADD c INT NOT NULL DEFAULT 7;
                INSERT INTO _t_gho (id, v, x) SELECT id, v, x FROM t;
                XA START 'both'; UPDATE m SET v=77 WHERE id=1;
                INSERT INTO k VALUES (1, 'xa'), (1, 'xa'); XA END 'both'; XA PREPARE 'both';
                """)
            try await run(trial.arguments(main))
            try await run(other)
            #expect(try Self.owners(trial) == [name, name])
            // The newest transaction of the main one changes tables of both.
            try trial.onSource(
                """
                START TRANSACTION; UPDATE m SET v=5 WHERE id=2; UPDATE t SET v=5 WHERE id=2;
                UPDATE _t_gho SET v=5 WHERE id=2; INSERT INTO k VALUES (2, 'tail'); COMMIT;
                """)
            try await run(trial.arguments(main))
            try await run(
                trial.arguments(["--online-ddl"] + Self.takes + [name]))
            #expect(Self.isTaken(trial))
            #expect(try trial.onTarget("SELECT v FROM m WHERE id=1") == "0\n")
            try trial.onSource(
                """
                XA COMMIT 'both'; RENAME TABLE t TO _t_del, _t_gho TO t; DROP TABLE _t_del;
                INSERT INTO t VALUES (9000, 1, 'new', 8);
                """)
            try await run(trial.arguments(["--online-ddl"]))
            #expect(try trial.onTarget("SELECT v FROM m WHERE id=1") == "77\n")
            #expect(try trial.onTarget("SELECT COUNT(*) FROM k WHERE v='xa'") == "2\n")
            #expect(try trial.onTarget("SELECT COUNT(*) FROM k WHERE v='tail'") == "1\n")
            #expect(
                try trial.onTarget("SELECT c FROM t WHERE id IN (1, 9000) ORDER BY id") == "7\n8\n")
            try await trial.expectEqual()
        }

        @Test(
            "without GTIDs they come at the same file and offset, through the relay log and without",
            .enabled(if: TestServer.isAvailable(.mysql)), arguments: [true, false])
        func files(isOtherAhead: Bool) async throws {
            let target = try await SharedServers.all.server(.mysql, "target")
            try await TestServer.with(
                .mysql, options: ["--gtid-mode=OFF", "--enforce-gtid-consistency=OFF"],
                name: "takenfiles"
            ) { source in
                let trial = try Trial(source: source, target: target, "takenfile", Self.tables)
                try Self.fill(trial)
                let name = Self.name(trial)
                let main = trial.arguments(Self.without(trial, "t", "k"))
                let other = Self.other(trial, name, ["t", "k"])
                func run(_ arguments: [String]) async throws {
                    let outcome = try await SkeinProcess(arguments + ["--until", "caught-up"])
                        .end()
                    #expect(outcome.status == 0, "\(outcome.text)")
                }
                try await run(main)
                try await run(other)
                let both = """
                    START TRANSACTION; UPDATE m SET v=v+1; UPDATE t SET v=v+1 WHERE id<100;
                    INSERT INTO k VALUES (1, 'both'); COMMIT;
                    """
                // One transaction between the two, and then events that are none.
                try trial.onSource(both + "FLUSH BINARY LOGS")
                try await run(isOtherAhead ? other : main)
                try trial.onSource("FLUSH BINARY LOGS")
                try await run(isOtherAhead ? other : main)
                try await run(trial.arguments(Self.takes + [name]))
                #expect(Self.isTaken(trial))
                #expect(try trial.onTarget("SELECT COUNT(*) FROM k WHERE v='both'") == "1\n")
                try trial.onSource(both)
                try await run(trial.arguments())
                #expect(try trial.onTarget("SELECT COUNT(*) FROM k WHERE v='both'") == "2\n")
                try await trial.expectEqual(verifying: false)
            }
        }

        @Test("a process of the other task that stands still meanwhile does nothing when it wakes")
        func frozen() async throws {
            let trial = try await Trial(.mariadb, "takenfrozen", Self.tables)
            try Self.fill(trial)
            let load = Load(
                trial.source, schema: trial.schema, threads: 2, seed: Dice.seed("takenFrozen"),
                pause: .milliseconds(10), Self.step)
            let main = try SkeinProcess(trial.arguments(Self.without(trial, "t", "k")))
            try await trial.copied(main)
            let begun = try await Self.big(trial, "--until", "caught-up").end()
            #expect(begun.status == 0, "\(begun.text)")
            let other = try Self.big(trial)
            try await Self.passed(trial, other)
            try await load.more(50)
            // Its sessions, and what they have begun, stay until the target ends them.
            other.signal(SIGSTOP)
            try await load.more(50)
            try await trial.stop(main)
            let last = try SkeinProcess(trial.arguments(Self.takes + [Self.name(trial)]))
            try await last.waiting(.seconds(240), for: "the tables") { Self.isTaken(trial) }
            try await trial.applied(last)
            other.signal(SIGCONT)
            let outcome = try await other.end()
            #expect(outcome.status != 0, "\(outcome.text)")
            try await load.more(20)
            try await load.stop()
            try await trial.applied(last)
            try await trial.stop(last)
            #expect(Self.phase(trial) == nil)
            try await trial.expectEqual()
        }

        @Test(
            "a task that runs takes tables over, through kills of its worker",
            .enabled(if: EtcdServer.isInstalled))
        func cluster() async throws {
            let seed = Dice.seed("takenCluster")
            let trial = try await Trial(.mariadb, "takencluster", Self.tables)
            try Self.fill(trial)
            let (schema, name) = (trial.schema, Self.name(trial))
            @Sendable func task(_ tables: String, _ more: String = "") -> String {
                """
                target: TARGET
                sources: [s]
                tables: [\(tables)]
                meta-schema: \(trial.meta)
                chunk-rows: 500
                \(more)
                """
            }
            let mine = "\(schema).marker, \(schema).m"
            let theirs = "\(schema).t, \(schema).k"
            let load = Load(
                trial.source, schema: schema, threads: 2, seed: seed, pause: .milliseconds(10),
                Self.step)
            let cluster = try ClusterTrial("w1")
            let worker = cluster.workers[0]
            try await cluster.running {
                try worker.start()
                try await cluster.add(trial, sources: ["s"], task: schema, task(mine))
                try await cluster.copied(trial)
                try await cluster.add(trial, sources: ["s"], task: name, task(theirs))
                try await cluster.eventually("the other copy") { Self.phase(trial) == "follow" }
                try await load.more(50)
                try trial.onSource("INSERT INTO t (id, v) VALUES (3000000, 1)")
                try await cluster.eventually("the other one's row") {
                    (try? trial.target.connect(schema).value("SELECT v FROM t WHERE id=3000000"))
                        == "1"
                }
                try await cluster.client.put(
                    KeyLayout.stage(task: name, source: "s"), Cluster.Stage.paused.bytes)
                try await cluster.eventually("the pause") { Self.rests(trial) }
                try await cluster.add(
                    trial, sources: ["s"], task: schema,
                    task("\(mine), \(theirs)", "take-over: \(name)"))
                var dice = Dice(seed: seed)
                for _ in 0..<3 {
                    try await Task.sleep(for: .milliseconds(300 + dice.roll(3000)))
                    worker.kill()
                    let owners = Set(try Self.owners(trial))
                    #expect(owners == [name] || owners == [schema])
                    try worker.start()
                }
                try await cluster.eventually("the tables", within: .seconds(240)) {
                    Self.isTaken(trial)
                }
                try await cluster.applied(trial)
                // Started again by mistake, the other one touches nothing.
                try await cluster.client.put(
                    KeyLayout.stage(task: name, source: "s"), Cluster.Stage.running.bytes)
                try await cluster.eventually("the refusal") {
                    worker.process?.text.contains("checkpoint.missing") == true
                }
                #expect(Self.phase(trial) == nil)
                try await load.more(20)
                try await load.stop()
                try await cluster.applied(trial)
            }
            try await trial.expectEqual()
        }
    }
}
