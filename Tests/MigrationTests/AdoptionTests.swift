import Glibc
import MySQLClient
import MySQLCore
import TestServers
import Testing

extension MigrationTests {
    /// `--adopt`: a task that DM has followed until now.
    @Suite("Taking over from DM", .serialized)
    struct AdoptionTests {
        static let tables = """
            CREATE TABLE marker (id BIGINT PRIMARY KEY);
            CREATE TABLE t (id INT PRIMARY KEY, u INT UNIQUE, v VARCHAR(40));
            """

        /// One transaction of a source: rows that are made, changed, deleted and made anew, that move
        /// to other keys in both directions, and that swap their unique values.
        private static let step: Load.Step = { connection, dice in
            let (a, b) = (dice.roll(60), dice.roll(60))
            let fresh = Int(dice.roll(1 << 30)) + 100_000
            let statements: [String]
            switch dice.roll(7) {
            case 0: statements = ["INSERT INTO t VALUES (\(a),\(fresh),'made')"]
            case 1: statements = ["DELETE FROM t WHERE id=\(a)"]
            case 2:
                statements = ["UPDATE t SET v=RIGHT(CONCAT(v,'\(dice.roll(10))'),30) WHERE id=\(a)"]
            case 3: statements = ["UPDATE t SET id=\(b) WHERE id=\(a)"]
            case 4:
                statements = [
                    "DELETE FROM t WHERE id=\(a)", "INSERT INTO t VALUES (\(a),\(fresh),'anew')",
                ]
            default:
                statements = [
                    "SET @a=(SELECT u FROM t WHERE id=\(a)), @b=(SELECT u FROM t WHERE id=\(b))",
                    "UPDATE t SET u=-1 WHERE id=\(a)", "UPDATE t SET u=@a WHERE id=\(b)",
                    "UPDATE t SET u=@b WHERE id=\(a)",
                ]
            }
            try connection.execute("START TRANSACTION")
            for statement in statements { try connection.execute(statement) }
            try connection.execute("COMMIT")
        }

        /// A place of the source, as DM writes it.
        struct Place {
            var file: String
            var offset: String
            var gtids: String

            /// Where the source's binlog ends, with GTIDs or without.
            init(_ server: TestServer, gtids: Bool = true) throws {
                let source = try server.connect()
                let isMariaDB = source.family == .mariadb
                let row = try source.rows(
                    !isMariaDB && source.serverVersion.isAtLeast(8, 2)
                        ? "SHOW BINARY LOG STATUS" : "SHOW MASTER STATUS")[0]
                (file, offset) = (row[0] ?? "", row[1] ?? "")
                let set = try source.value(
                    isMariaDB ? "SELECT @@gtid_binlog_pos" : "SELECT @@gtid_executed")
                self.gtids = gtids ? (set ?? "").filter { !$0.isNewline } : ""
            }

            var sql: String { "'\(file)',\(offset),'\(gtids)'" }
        }

        /// The tables of DM's, in its own words.
        static func tablesOfDM(_ meta: String) -> String {
            """
            CREATE DATABASE \(meta);
            CREATE TABLE \(meta).dm_syncer_checkpoint (
                id VARCHAR(32) NOT NULL, cp_schema VARCHAR(128) NOT NULL,
                cp_table VARCHAR(128) NOT NULL, binlog_name VARCHAR(128), binlog_pos INT UNSIGNED,
                binlog_gtid TEXT, exit_safe_binlog_name VARCHAR(128) DEFAULT '',
                exit_safe_binlog_pos INT UNSIGNED DEFAULT 0, exit_safe_binlog_gtid TEXT,
                table_info JSON NOT NULL, is_global BOOLEAN,
                create_time timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP,
                update_time timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP
                    ON UPDATE CURRENT_TIMESTAMP,
                UNIQUE KEY uk_id_schema_table (id, cp_schema, cp_table));
            CREATE TABLE \(meta).dm_syncer_sharding_meta (
                source_id VARCHAR(32) NOT NULL, target_table_id VARCHAR(144) NOT NULL,
                source_table_id VARCHAR(144) NOT NULL, active_index INT, is_global BOOLEAN,
                data JSON NOT NULL,
                UNIQUE KEY uk_source_id_table_id_source
                    (source_id, target_table_id, source_table_id));
            CREATE TABLE \(meta).dm_onlineddl (
                id VARCHAR(32) NOT NULL, ghost_schema VARCHAR(128) NOT NULL,
                ghost_table VARCHAR(128) NOT NULL, ddls text,
                update_time timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP
                    ON UPDATE CURRENT_TIMESTAMP,
                UNIQUE KEY uk_id_schema_table (id, ghost_schema, ghost_table));
            CREATE TABLE \(meta).dm_loader_checkpoint (
                id char(32) NOT NULL, filename varchar(255) NOT NULL, cp_schema varchar(128) NOT NULL,
                cp_table varchar(128) NOT NULL, `offset` bigint NOT NULL, end_pos bigint NOT NULL,
                UNIQUE KEY uk_id_f (id,filename));
            CREATE TABLE \(meta).dm_lightning_checkpoint_list (
                task_name varchar(255) NOT NULL, source_name varchar(255) NOT NULL,
                status varchar(10) NOT NULL DEFAULT 'init' COMMENT 'init,running,finished',
                PRIMARY KEY (task_name, source_name));
            """
        }

        /// A migration that DM has run.
        struct Left {
            let trial: Trial
            var meta: String { "dm_\(trial.schema)" }
            /// What `skein migrate` is told.
            var flags: [String] { ["--adopt", "dm", "--adopt-meta", meta, "--adopt-wait", "1s"] }

            init(
                _ pair: Pair, _ label: String, _ tables: String = AdoptionTests.tables
            ) async throws {
                try self.init(try await Trial(pair, label, tables), tables)
            }

            /// A trial whose source has the tables.
            init(_ trial: Trial, _ tables: String = AdoptionTests.tables) throws {
                self.trial = trial
                try trial.target.sql("DROP DATABASE IF EXISTS \(meta)")
                try trial.target.sql(AdoptionTests.tablesOfDM(meta))
                try trial.target.sql("CREATE DATABASE \(trial.schema)")
                try trial.onTarget(tables)
            }

            /// Writes DM's checkpoint.
            func checkpoint(_ global: Place, exit: Place? = nil, table: Place? = nil) throws {
                try trial.target.sql(
                    """
                    REPLACE INTO \(meta).dm_syncer_checkpoint (id, cp_schema, cp_table, binlog_name,
                        binlog_pos, binlog_gtid, exit_safe_binlog_name, exit_safe_binlog_pos,
                        exit_safe_binlog_gtid, table_info, is_global)
                    VALUES ('source','\(trial.schema)','t',\((table ?? global).sql),'',0,'','null',0),
                        ('source','','',\(global.sql),\(exit?.sql ?? "'',0,''"),'null',1)
                    """)
            }

            /// Runs it until it ends.
            func run(_ more: String...) async throws -> SkeinProcess.Outcome {
                try await SkeinProcess(
                    trial.arguments(flags + ["--until", "caught-up"] + more)
                ).end(within: .seconds(240))
            }
        }

        /// Whether DM was killed, or ended by an error and has noted how far it was.
        enum Ending: CaseIterable, Sendable { case killed, failed }

        @Test(
            "rows of any moment since DM's checkpoint become the source's, through kills",
            arguments: Pair.sameFamily, Ending.allCases)
        func converges(_ pair: Pair, _ ending: Ending) async throws {
            let seed = Dice.seed("adoption")
            var dice = Dice(seed: seed)
            let left = try await Left(pair, "adopt")
            let trial = left.trial
            let rows = (0..<40).map { "(\($0),\($0 + 1),'r\($0)')" }.joined(separator: ",")
            try trial.onSource(
                "INSERT INTO t VALUES \(rows); INSERT INTO t VALUES (900,900,'far')")
            func read() throws -> [Int: String] {
                var out: [Int: String] = [:]
                for row in try trial.source.connect(trial.schema).rows("SELECT id, u, v FROM t") {
                    out[Int(row[0] ?? "") ?? 0] =
                        "(\(row[0] ?? ""),\(row[1] ?? "NULL"),'\(row[2] ?? "")')"
                }
                return out
            }
            let global = try Place(trial.source, gtids: ending == .killed || dice.roll(2) == 0)
            var moments = [try read()]
            let connection = try trial.source.connect(trial.schema)
            for round in 1...240 {
                do { try Self.step(connection, &dice) } catch {
                    try connection.execute("ROLLBACK")
                }
                if round % 30 == 0 { moments.append(try read()) }
            }
            // DM has applied each key as far as it got, and stopped there. Of two that want the same
            // unique value the later one has it: the other one has given it up by then.
            var picked: [(moment: Int, row: String)] = []
            for id in Set(moments.flatMap(\.keys)) {
                let moment = dice.roll(moments.count)
                if let row = moments[moment][id] { picked.append((moment, row)) }
            }
            picked.sort { ($1.moment, $0.row) < ($0.moment, $1.row) }
            for row in picked { try trial.onTarget("INSERT IGNORE INTO t VALUES \(row.row)") }
            let exit = try Place(trial.source, gtids: !global.gtids.isEmpty)
            try left.checkpoint(global, exit: ending == .failed ? exit : nil)
            // Without it the first row that is not as it was then stops.
            let strict = try await SkeinProcess(
                trial.arguments([
                    "--name", "strict", "--mode", "incremental", "--until", "caught-up",
                    "--start-position", "\(global.file):\(global.offset)",
                ])
            ).end(within: .seconds(120))
            #expect(strict.status == 1 && strict.text.contains("apply."), "\(strict.text)")
            let load = Load(
                trial.source, schema: trial.schema, seed: seed, pause: .milliseconds(2), Self.step)
            var isBegun = false
            for round in 0..<6 {
                let skein = try SkeinProcess(trial.arguments(left.flags))
                // Before it has begun, and then at any instant behind it.
                if round > 0, !isBegun {
                    try await trial.copied(skein)
                    isBegun = true
                }
                try await Task.sleep(for: .milliseconds(round == 0 ? 900 : 40 + dice.roll(400)))
                #expect(skein.kill(), "\(skein.text)")
            }
            let skein = try SkeinProcess(trial.arguments(left.flags))
            try await load.more(200)
            try await load.stop()
            try await trial.applied(skein)
            try await trial.stop(skein)
            #expect(skein.text.contains("its own checkpoint"), "\(skein.text)")
            try await trial.expectEqual()
            // It is over: what somebody else does to the target now is found.
            try trial.onTarget("DELETE FROM t WHERE id=900")
            try trial.onSource("UPDATE t SET v='last' WHERE id=900")
            let after = try await left.run()
            #expect(after.status == 1 && after.text.contains("[apply."), "\(after.text)")
        }

        @Test(
            "the stretch ends where DM can have been, exactly", arguments: Pair.sameFamily,
            [true, false])
        func exactEnd(_ pair: Pair, _ hasGTIDs: Bool) async throws {
            for isNoted in [true, false] {
                let left = try await Left(pair, "adoptend")
                let trial = left.trial
                try trial.onSource("INSERT INTO t VALUES (1,1,'a'),(2,2,'b')")
                let global = try Place(trial.source, gtids: hasGTIDs)
                try trial.onSource("UPDATE t SET v='x' WHERE id=1")
                let exit = try Place(trial.source, gtids: hasGTIDs)
                // A change of a row that DM can only have made if it went further than it noted.
                try trial.onSource("UPDATE t SET v='y' WHERE id=2")
                try trial.onTarget("INSERT INTO t VALUES (1,1,'x')")
                try left.checkpoint(global, exit: isNoted ? exit : nil, table: exit)
                let outcome = try await left.run()
                if isNoted {
                    #expect(
                        outcome.status == 1 && outcome.text.contains("[apply.rows]"),
                        "\(outcome.text)")
                    #expect(try trial.onTarget("SELECT v FROM t") == "x\n")
                    try trial.onTarget("INSERT INTO t VALUES (2,2,'b')")
                    try await trial.catchUp("--mode", "incremental")
                } else {
                    #expect(outcome.status == 0, "\(outcome.text)")
                }
                try await trial.expectEqual()
                // DM's tables are only read.
                #expect(
                    try trial.target.sql("SELECT binlog_pos FROM \(left.meta).dm_syncer_checkpoint")
                        .split(separator: "\n").contains(Substring(global.offset)))
            }
        }

        @Test("a table point beyond the noted place makes that one doubtful")
        func doubt() async throws {
            let left = try await Left(.mariadb, "adoptdoubt")
            let trial = left.trial
            try trial.onSource("INSERT INTO t VALUES (1,1,'a'),(2,2,'b')")
            let global = try Place(trial.source)
            try trial.onSource("UPDATE t SET v='x' WHERE id=1")
            let exit = try Place(trial.source)
            try trial.onSource("UPDATE t SET v='y' WHERE id=2")
            try trial.onTarget("INSERT INTO t VALUES (1,1,'x')")
            try left.checkpoint(global, exit: exit, table: try Place(trial.source))
            let outcome = try await left.run()
            #expect(outcome.status == 0, "\(outcome.text)")
            try await trial.expectEqual()
            // GTIDs from a time when DM used them contradict its files.
            let stale = try await Left(.mariadb, "adoptstale")
            try stale.trial.onSource("INSERT INTO t VALUES (1,1,'a'),(2,2,'b')")
            var kept = try Place(stale.trial.source)
            let old = kept
            try stale.trial.onSource("UPDATE t SET v='x' WHERE id=1")
            kept = try Place(stale.trial.source)
            kept.gtids = old.gtids
            try stale.trial.onSource("UPDATE t SET v='y' WHERE id=2")
            try stale.trial.onTarget("INSERT INTO t VALUES (1,1,'x'),(2,2,'y')")
            try stale.checkpoint(kept, exit: kept)
            let second = try await stale.run()
            #expect(second.status == 0, "\(second.text)")
            try await stale.trial.expectEqual()
        }

        @Test("statements behind the checkpoint: those DM has not run are run, others are refused")
        func statements() async throws {
            for hasRun in [false, true] {
                let left = try await Left(.mariadb, "adoptddl")
                let trial = left.trial
                let global = try Place(trial.source)
                try trial.onSource(
                    """
                    INSERT INTO t VALUES (1,1,'a'); ALTER TABLE t ADD w INT;
                    INSERT INTO t VALUES (2,2,'b',2); UPDATE t SET w=1 WHERE id=1;
                    """)
                try trial.onTarget("INSERT INTO t VALUES (1,1,'a')")
                if hasRun { try trial.onTarget("ALTER TABLE t ADD w INT") }
                try left.checkpoint(global)
                let outcome = try await left.run()
                if hasRun {
                    #expect(
                        outcome.status == 1 && outcome.text.contains("[apply.unsupported]"),
                        "\(outcome.text)")
                    #expect(trial.phase == "start")
                } else {
                    #expect(outcome.status == 0, "\(outcome.text)")
                    try await trial.expectEqual()
                }
            }
        }
    }
}
