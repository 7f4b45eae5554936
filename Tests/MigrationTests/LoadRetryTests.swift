import MySQLClient
import TestServers
import Testing

extension MigrationTests {
    /// Loads that were begun before, by this version or an earlier one.
    @Suite("Loads that go on", .serialized)
    struct LoadRetryTests {
        private static func folder(_ schema: String, _ engine: String) throws -> LoadTests.Folder {
            let folder = LoadTests.Folder()
            try folder.write([
                "metadata": "Started dump at: a\nFinished dump at: b\n",
                "\(schema)-schema-create.sql": "CREATE DATABASE `\(schema)`;\n",
                "\(schema).t-schema.sql": "CREATE TABLE t (id INT) ENGINE=\(engine);\n",
                "\(schema).t.sql": "INSERT INTO t VALUES (1),(2);\n",
            ])
            return folder
        }

        private static func waitingRows(_ trial: Trial) throws -> String {
            try trial.target.sql(
                "SELECT COUNT(*) FROM information_schema.PROCESSLIST "
                    + "WHERE INFO LIKE 'INSERT INTO `\(trial.schema)`.`t`%'")
        }

        @Test(
            "killed in the first INSERT into a table without transactions, it starts over",
            arguments: ["there", "earlier"])
        func firstInsert(_ state: String) async throws {
            let trial = try await Trial(.mariadb, "load_first_\(state)")
            let (schema, meta) = (trial.schema, trial.meta)
            let folder = try Self.folder(schema, "MyISAM")
            if state == "there" {
                try trial.target.sql("CREATE DATABASE \(schema)")
                try trial.onTarget("CREATE TABLE t (id INT) ENGINE=MyISAM")
            } else {
                let whole = try await LoadTests.load(trial, folder).end()
                #expect(whole.status == 0, "\(whole.text)")
                // What an earlier version leaves when it is killed behind CREATE TABLE.
                try trial.target.sql(
                    """
                    UPDATE `\(meta)`.subtask SET phase='load';
                    DELETE FROM `\(meta)`.chunk;
                    UPDATE `\(meta)`.object SET definition=CONCAT(x'01', SUBSTRING(definition, 3))
                      WHERE kind='table';
                    TRUNCATE `\(schema)`.t
                    """)
            }
            let blocker = try trial.target.connect()
            try blocker.execute("LOCK TABLES \(schema).t READ")
            let skein = try LoadTests.load(trial, folder)
            try await skein.waiting(for: "a waiting row") {
                try Self.waitingRows(trial) != "0\n"
            }
            skein.kill()
            try blocker.execute("UNLOCK TABLES")
            let deadline = ContinuousClock.now + .seconds(120)
            while try Self.waitingRows(trial) != "0\n" {
                try #require(ContinuousClock.now < deadline)
                try await Task.sleep(for: .milliseconds(10))
            }
            // Whatever the server has made of the statement: some of its rows are there.
            try trial.onTarget("INSERT INTO t VALUES (1)")
            let outcome = try await LoadTests.load(trial, folder).end()
            #expect(outcome.status == 0, "\(outcome.text)")
            #expect(try trial.onTarget("SELECT id FROM t ORDER BY id") == "1\n2\n")
        }

        @Test("rows that others wrote before it has begun a table without transactions stay")
        func strangers() async throws {
            let trial = try await Trial(.mariadb, "load_strangers")
            let (schema, meta) = (trial.schema, trial.meta)
            let folder = try Self.folder(schema, "MyISAM")
            let whole = try await LoadTests.load(trial, folder).end()
            #expect(whole.status == 0, "\(whole.text)")
            // As it is when it is killed behind CREATE TABLE, and somebody finds the table.
            try trial.target.sql(
                """
                UPDATE `\(meta)`.subtask SET phase='load';
                DELETE FROM `\(meta)`.chunk;
                TRUNCATE `\(schema)`.t; INSERT INTO `\(schema)`.t VALUES (9)
                """)
            for _ in 1...2 {
                let refused = try await LoadTests.load(trial, folder).end()
                #expect(refused.status == 1)
                #expect(refused.text.contains("did not write"), "\(refused.text)")
                #expect(try trial.onTarget("SELECT id FROM t") == "9\n")
            }
            try trial.onTarget("TRUNCATE t")
            let outcome = try await LoadTests.load(trial, folder).end()
            #expect(outcome.status == 0, "\(outcome.text)")
            #expect(try trial.onTarget("SELECT id FROM t ORDER BY id") == "1\n2\n")
        }

        @Test("a load that loses an empty table between two tries claims it again")
        func betweenTries() async throws {
            let near = try await Trial(.mariadb, "load_between")
            let schema = near.schema
            let proxy = try FaultProxy(to: near.target)
            defer { proxy.close() }
            var far = near
            far.targetURL = proxy.url
            let folder = LoadTests.Folder()
            // The larger file comes first, and waits for a lock of the whole empty table.
            let values = (1...200).map { "(\($0))" }.joined(separator: ",")
            try folder.write([
                "metadata": "Started dump at: one\nFinished dump at: b\n",
                "\(schema)-schema-create.sql": "CREATE DATABASE `\(schema)`;\n",
                "\(schema).heavy-schema.sql": "CREATE TABLE heavy (id INT) ENGINE=InnoDB;\n",
                "\(schema).heavy.sql": "INSERT INTO heavy VALUES \(values);\n",
                "\(schema).t-schema.sql": "CREATE TABLE t (id INT) ENGINE=InnoDB;\n",
                "\(schema).t.sql": "INSERT INTO t VALUES (1),(2);\n",
            ])
            try near.target.sql("CREATE DATABASE \(schema)")
            try near.onTarget("CREATE TABLE heavy (id INT) ENGINE=InnoDB")
            let blocker = try near.target.connect()
            try blocker.execute("START TRANSACTION")
            _ = try blocker.rows("SELECT * FROM \(schema).heavy FOR UPDATE")
            let skein = try LoadTests.load(far, folder, ["--lanes", "1"])
            try await skein.waiting(for: "a waiting row") {
                try near.target.sql(
                    "SELECT COUNT(*) FROM information_schema.PROCESSLIST "
                        + "WHERE INFO LIKE 'INSERT INTO `\(schema)`.`heavy`%'") != "0\n"
            }
            // Its tries end before they have a session.
            proxy.refuseConnections()
            proxy.cut()
            try blocker.execute("ROLLBACK")
            let small = try Self.folder(schema, "InnoDB")
            let deadline = ContinuousClock.now + .seconds(180)
            var other = try await LoadTests.load(near, small).end()
            // The server may not have seen yet that the sessions are gone.
            while other.text.contains("is at work on it") {
                try #require(ContinuousClock.now < deadline)
                other = try await LoadTests.load(near, small).end()
            }
            #expect(other.status == 0, "\(other.text)")
            #expect(try near.onTarget("SELECT COUNT(*) FROM t") == "2\n")
            try near.onTarget("DROP TABLE t")
            proxy.acceptConnections()
            let outcome = try await skein.end()
            #expect(outcome.status == 0, "\(outcome.text)")
            let counts = "SELECT COUNT(*) FROM heavy UNION ALL SELECT COUNT(*) FROM t"
            #expect(try near.onTarget(counts) == "200\n2\n")
        }

        @Test("what has the name of a table that it has made, and is none, is not emptied")
        func noTable() async throws {
            let trial = try await Trial(.mariadb, "load_no_table")
            let (schema, meta) = (trial.schema, trial.meta)
            let folder = try Self.folder(schema, "InnoDB")
            let whole = try await LoadTests.load(trial, folder).end()
            #expect(whole.status == 0, "\(whole.text)")
            try trial.target.sql(
                "UPDATE `\(meta)`.subtask SET phase='load'; DELETE FROM `\(meta)`.chunk")
            try trial.onTarget("DROP TABLE t; CREATE SEQUENCE t START WITH 5")
            let refused = try await LoadTests.load(trial, folder).end()
            #expect(refused.status == 1)
            #expect(refused.text.contains("as far as can be told"), "\(refused.text)")
            #expect(try trial.onTarget("SELECT next_not_cached_value FROM t") == "5\n")
            try trial.onTarget("DROP SEQUENCE t")
            let last = try await LoadTests.load(trial, folder).end()
            #expect(last.status == 0, "\(last.text)")
            #expect(try trial.onTarget("SELECT id FROM t ORDER BY id") == "1\n2\n")
        }
    }
}
