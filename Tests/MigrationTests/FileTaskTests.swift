import Cluster
import Foundation
import Metadata
import MySQLClient
import MySQLCore
import TestServers
import Testing
import Worker

extension MigrationTests {
    /// Tasks of files on workers: `task-mode: dump` and `load`.
    @Suite("Tasks of files", .serialized, .enabled(if: EtcdServer.isInstalled))
    struct FileTaskTests {
        private static func task(
            _ trial: Trial, _ name: String, _ mode: String, directory: String = "./rows"
        ) -> String {
            """
            name: \(name)
            task-mode: \(mode)
            meta-schema: \(trial.meta)
            target-database: TARGET
            mysql-instances:
              - source-id: one
                block-allow-list: list
                mydumper: {threads: 2, chunk-filesize: 1}
                loader: {pool-size: 3, dir: \(directory)}
            block-allow-list: {list: {do-dbs: ["~^\(trial.schema)$"]}}
            """
        }

        private static func hasEnded(_ cluster: ClusterTrial, _ task: String) async throws -> Bool {
            try await cluster.cluster().histories[.init(task: task, source: "one")]?
                .record.finish != nil
        }

        private static func text(_ path: String) -> String {
            (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
        }

        @Test("a dump and then a load on a worker, each killed in the middle: all is there, once")
        func dumpAndLoad() async throws {
            let trial = try await Trial(.mariadb, "filetask", DumpTests.tables)
            try trial.onSource(
                """
                CREATE TABLE big (a INT, t TEXT);
                INSERT INTO big SELECT seq % 1000, REPEAT(CHAR(65 + seq % 26), 400)
                  FROM seq_1_to_50000;
                """)
            let cluster = try ClusterTrial("w1")
            try await cluster.running {
                let worker = cluster.workers[0]
                let folder = worker.folder + "/rows.out"
                try worker.start()
                try await cluster.add(
                    trial, sources: ["one"], task: "out", Self.task(trial, "out", "dump"))
                // It has a directory; then, a table is whole.
                for lines in [1, 2] {
                    try await cluster.eventually("\(lines) lines of the journal") {
                        let journal = Self.text(folder + "/.skein-dump")
                        return journal.split(separator: "\n").count >= lines
                    }
                    worker.kill()
                    try worker.start()
                }
                try await cluster.eventually("the dump's end") {
                    try await Self.hasEnded(cluster, "out")
                }
                let metadata = Self.text(folder + "/metadata")
                #expect(metadata.contains("Finished dump at:"))
                let known = try await cluster.cluster().histories[.init(task: "out", source: "one")]
                #expect(known?.record.dump?.worker == "w1")
                #expect(known?.record.dump?.directory == folder)
                #expect(known?.record.finish?.position?.isEmpty == false)

                // Over is over, whoever starts.
                worker.kill()
                try FileManager.default.moveItem(
                    atPath: folder, toPath: worker.folder + "/rows.in")
                try worker.start()
                try await cluster.add(
                    trial, sources: ["one"], task: "in", Self.task(trial, "in", "load"))
                try await cluster.eventually("its first rows") {
                    (try? trial.onTarget("SELECT 1 FROM big LIMIT 1")) == "1\n"
                }
                worker.kill()
                #expect(!FileManager.default.fileExists(atPath: folder))
                try worker.start()
                try await cluster.eventually("the load's end", within: .seconds(240)) {
                    try await Self.hasEnded(cluster, "in")
                }
                #expect(Self.text(worker.folder + "/rows.in/metadata") == metadata)
                let row = try trial.target.connect().rows(
                    "SELECT phase, source FROM \(trial.meta).subtask WHERE task='in'")
                #expect(row.map { [$0[0], $0[1]] } == [["loaded", "one"]])
            }
            try await trial.judge.expectEqual([trial.schema])
            let theirs = try LoadTests.objects(trial.source, trial.schema)
            #expect(try LoadTests.objects(trial.target, trial.schema) == theirs)
        }

        /// A dump of one table, of many statements, whose rows have no key that could tell that one
        /// came twice.
        private static func writeShard(_ folder: String, _ schema: String, from first: Int) throws {
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: true)
            func write(_ name: String, _ text: String) throws {
                try Data(text.utf8).write(to: URL(filePath: "\(folder)/\(name)"))
            }
            try write("metadata", "Started dump at: a\nFinished dump at: b\n")
            try write("\(schema)-schema-create.sql", "CREATE DATABASE `\(schema)`;\n")
            let columns = first == 0 ? "`a` INT, `t` TEXT" : "`t` TEXT, `a` INT"
            try write(
                "\(schema).t-schema.sql",
                "CREATE TABLE `t` (\(columns)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;\n")
            let filler = String(repeating: "x", count: 400)
            for file in 0..<4 {
                var text = ""
                for row in 0..<5000 {
                    let a = first + file * 5000 + row
                    text +=
                        first == 0
                        ? "INSERT INTO `t` VALUES (\(a),'\(filler)');\n"
                        : "INSERT INTO `t` VALUES ('\(filler)',\(a));\n"
                }
                try write("\(schema).t.0000\(file).sql", text)
            }
        }

        @Test(
            "sources of a task load their shards into one table, killed in the middle, each row once"
        )
        func shards() async throws {
            let trial = try await Trial(.mariadb, "fileshards", "CREATE TABLE other (id INT)")
            let folder = NSTemporaryDirectory() + "skein-shards-\(UUID().uuidString)"
            defer { try? FileManager.default.removeItem(atPath: folder) }
            for (source, first) in [("one", 0), ("two", 100_000)] {
                try Self.writeShard("\(folder).in.\(source)", "shard_\(source)", from: first)
            }
            defer {
                for source in ["one", "two"] {
                    try? FileManager.default.removeItem(atPath: "\(folder).in.\(source)")
                }
            }
            let cluster = try ClusterTrial("w1")
            try await cluster.running {
                let worker = cluster.workers[0]
                try worker.start()
                try await cluster.add(
                    trial, sources: ["one", "two"], task: "in",
                    """
                    name: in
                    task-mode: load
                    meta-schema: \(trial.meta)
                    case-sensitive: true
                    target-database: TARGET
                    mysql-instances:
                      - {source-id: one, route-rules: [all], loader-config-name: files}
                      - {source-id: two, route-rules: [all], loader-config-name: files}
                    loaders: {files: {pool-size: 2, dir: "\(folder)"}}
                    routes:
                      all: {schema-pattern: "shard_*", table-pattern: "*",
                        target-schema: \(trial.schema), target-table: all}
                    """)
                for part in [1, 2] {
                    try await cluster.eventually("some rows, \(part)") {
                        let rows = try? trial.onTarget(
                            "SELECT COUNT(*) >= \(part * 8000) FROM `all`")
                        return rows == "1\n"
                    }
                    worker.kill()
                    try worker.start()
                }
                for source in ["one", "two"] {
                    try await cluster.eventually("the end of \(source)", within: .seconds(240)) {
                        try await cluster.cluster().histories[.init(task: "in", source: source)]?
                            .record.finish != nil
                    }
                }
            }
            #expect(
                try trial.onTarget(
                    "SELECT COUNT(*), COUNT(DISTINCT a), SUM(a < 100000), MAX(a), SUM(LENGTH(t)) "
                        + "FROM `all`") == "40000\t40000\t20000\t119999\t16000000\n")
        }

        @Test("a task's condition and its expressions leave rows out of its dump")
        func chosenRows() async throws {
            let trial = try await Trial(
                .mariadb, "filechosen",
                """
                CREATE TABLE t (id INT PRIMARY KEY, v INT); CREATE TABLE u (id INT);
                INSERT INTO t SELECT seq, seq % 10 FROM seq_1_to_100;
                INSERT INTO u SELECT seq FROM seq_1_to_100;
                """)
            let cluster = try ClusterTrial("w1")
            try await cluster.running {
                let worker = cluster.workers[0]
                try worker.start()
                let task = Self.task(trial, "out", "dump")
                    .replacing("mydumper: {", with: "mydumper: {where: id <= 50 OR id > 90, ")
                    .replacing("loader:", with: "expression-filters: [odd]\n    loader:")
                let rule =
                    "{schema: \(trial.schema), table: t, insert-value-expr: 'v IN (1, 3, 5)'}"
                try await cluster.add(
                    trial, sources: ["one"], task: "out",
                    task + "\nexpression-filter: {odd: \(rule)}\n")
                try await cluster.eventually("the dump's end") {
                    try await Self.hasEnded(cluster, "out")
                }
                let loaded = try await SkeinProcess([
                    "load", "--target", trial.targetURL, "--target-tls", "disabled", "--dir",
                    worker.folder + "/rows.out", "--meta-schema", trial.meta, "--output", "lines",
                ]).end()
                #expect(loaded.status == 0, "\(loaded.text)")
            }
            let rows = try trial.onTarget(
                "SELECT (SELECT COUNT(*) FROM t), (SELECT COUNT(*) FROM t WHERE v IN (1, 3, 5)), "
                    + "(SELECT COUNT(*) FROM u), (SELECT MAX(id) FROM t WHERE id < 90)")
            #expect(rows == "42\t0\t60\t50\n")
        }

        @Test("a load goes on with the files that it was begun with, and with no others")
        func otherFiles() async throws {
            let table = "CREATE TABLE t (id INT PRIMARY KEY, v INT)"
            let trial = try await Trial(
                .mariadb, "fileother", "\(table); INSERT INTO t SELECT seq, 1 FROM seq_1_to_1000;")
            let cluster = try ClusterTrial("w1")
            let folder = cluster.state.path + "/rows.in"
            let dumped = try await SkeinProcess([
                "dump", "--source", trial.sourceURL, "--source-tls", "disabled", "--dir", folder,
                "--tables", "\(trial.schema).*", "--output", "lines",
            ]).end()
            #expect(dumped.status == 0, "\(dumped.text)")
            try trial.target.sql("CREATE DATABASE \(trial.schema)")
            try trial.onTarget(table)
            try await cluster.running {
                let worker = cluster.workers[0]
                // It begins, and writes nothing.
                let lock = try trial.target.connect()
                try lock.execute("LOCK TABLES \(trial.schema).t WRITE")
                try worker.start()
                try await cluster.add(
                    trial, sources: ["one"], task: "in",
                    Self.task(trial, "in", "load", directory: cluster.state.path + "/rows"))
                try await cluster.eventually("its beginning") {
                    try await cluster.cluster().histories[.init(task: "in", source: "one")]?
                        .record.isStarted == true
                }
                worker.kill()
                let file = URL(filePath: "\(folder)/\(trial.schema).t-schema.sql")
                let text = try Data(contentsOf: file)
                try (text + Data("\n".utf8)).write(to: file)
                try worker.start()
                try await cluster.eventually("the refusal") {
                    worker.process?.text.contains("something else than a load of this dump") == true
                }
                #expect(try await !Self.hasEnded(cluster, "in"))
                try text.write(to: file)
                try lock.execute("UNLOCK TABLES")
                try await cluster.client.put(
                    KeyLayout.stage(task: "in", source: "one"), Cluster.Stage.running.bytes)
                try await cluster.eventually("its end") {
                    try await Self.hasEnded(cluster, "in")
                }
            }
            try await trial.judge.expectEqual([trial.schema])
        }

        @Test("a load whose rules differ from the files' names in case alone loads nothing")
        func openCase() async throws {
            let trial = try await Trial(
                .mariadb, "filecase",
                "CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1);")
            let cluster = try ClusterTrial("w1")
            let folder = cluster.state.path + "/rows.in"
            let dumped = try await SkeinProcess([
                "dump", "--source", trial.sourceURL, "--source-tls", "disabled", "--dir", folder,
                "--tables", "\(trial.schema).*", "--output", "lines",
            ]).end()
            #expect(dumped.status == 0, "\(dumped.text)")
            let task = Self.task(trial, "in", "load", directory: cluster.state.path + "/rows")
                .replacing("\"~^\(trial.schema)$\"", with: trial.schema.uppercased())
            try await cluster.running {
                let worker = cluster.workers[0]
                try worker.start()
                try await cluster.add(trial, sources: ["one"], task: "in", task)
                try await cluster.eventually("the refusal") {
                    worker.process?.text.contains("depends on whether case counts") == true
                }
                #expect(try await !Self.hasEnded(cluster, "in"))
            }
        }

        @Test("a dump whose directory is not there any more is not begun anew silently")
        func goneDirectory() async throws {
            let trial = try await Trial(
                .mariadb, "filegone",
                """
                CREATE TABLE t (id INT PRIMARY KEY, v INT);
                INSERT INTO t SELECT seq, seq FROM seq_1_to_1000;
                """)
            let cluster = try ClusterTrial("w1")
            try await cluster.running {
                let worker = cluster.workers[0]
                let folder = worker.folder + "/rows.out"
                let files = FileManager.default
                // The dump can't come to its end.
                let lock = try trial.source.connect()
                try lock.execute("LOCK TABLES \(trial.schema).t WRITE")
                try worker.start()
                try await cluster.add(
                    trial, sources: ["one"], task: "out", Self.task(trial, "out", "dump"))
                try await cluster.eventually("its beginning") {
                    try await cluster.cluster().histories[.init(task: "out", source: "one")]?
                        .record.dump != nil
                }
                #expect(files.fileExists(atPath: folder + "/.skein-dump"))
                worker.kill()
                try files.moveItem(atPath: folder, toPath: folder + ".away")
                try worker.start()
                try await cluster.eventually("the refusal") {
                    worker.process?.text.contains("the dump was begun on worker w1") == true
                }
                #expect(!files.fileExists(atPath: folder))
                #expect(try await !Self.hasEnded(cluster, "out"))

                try files.moveItem(atPath: folder + ".away", toPath: folder)
                try lock.execute("UNLOCK TABLES")
                try await cluster.client.put(
                    KeyLayout.stage(task: "out", source: "one"), Cluster.Stage.running.bytes)
                try await cluster.eventually("its end") {
                    try await Self.hasEnded(cluster, "out")
                }
                #expect(Self.text(folder + "/metadata").contains("Finished dump at:"))
            }
        }
    }
}
