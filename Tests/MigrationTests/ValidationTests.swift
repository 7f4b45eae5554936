import Cluster
import Foundation
import Metadata
import TestServers
import Testing

extension MigrationTests {
    /// Rows that are compared while a task follows (`validators`).
    @Suite("Validation of changed rows", .serialized, .enabled(if: EtcdServer.isInstalled))
    struct ValidationTests {
        private static func task(_ trial: Trial) -> String {
            """
            name: \(trial.schema)
            task-mode: all
            meta-schema: \(trial.meta)
            target-database: TARGET
            mysql-instances:
              - {source-id: s, block-allow-list: own, validator-config-name: v}
            block-allow-list:
              own: {do-dbs: ["\(trial.schema)"]}
            validators:
              v: {mode: full, validate-interval: 500ms, row-error-delay: 2s, meta-flush-interval: 1s}
            """
        }

        private struct Answer: Decodable {
            struct Table: Decodable {
                var name: String
                var differingRows: Int
            }
            struct Validation: Decodable {
                var state: String
                var rows: UInt64
                var lostRows: UInt64
                var pendingRows: Int
                var differingRows: Int
                var tables: [Table]
                var notes: [String]
            }
            struct Progress: Decodable { var validation: Validation? }
            struct Status: Decodable { var progress: Progress? }
            struct Subtask: Decodable { var status: Status? }
            var data: [Subtask]
        }

        private func ask(
            _ worker: ServeProcess, _ trial: Trial
        ) async throws -> Answer.Validation? {
            let outcome = try await SkeinProcess([
                "task", "status", trial.schema, "--output", "json", "--endpoint", worker.address,
            ]).end()
            guard outcome.status == 0, let start = outcome.text.firstIndex(of: "{") else {
                return nil
            }
            let decoder = JSONDecoder()
            decoder.keyDecodingStrategy = .convertFromSnakeCase
            let answer = try? decoder.decode(
                Answer.self, from: Data(outcome.text[start...].utf8))
            return answer?.data.first?.status?.progress?.validation
        }

        @Test(
            "a row that arrives wrong is told, through kill -9, until it is right",
            arguments: Pair.sameFamily)
        func wrongRow(pair: Pair) async throws {
            let trial = try await Trial(
                pair, "validated",
                """
                CREATE TABLE marker (id BIGINT UNSIGNED PRIMARY KEY);
                CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20)); INSERT INTO t VALUES (1,'a');
                CREATE TABLE twins (a INT); INSERT INTO twins VALUES (1);
                """)
            let cluster = try ClusterTrial("w1")
            let worker = cluster.workers[0]
            try await cluster.running {
                try worker.start()
                try await cluster.add(
                    trial, sources: ["s"], task: trial.schema, Self.task(trial))
                try await cluster.copied(trial)
                try trial.onSource(
                    "INSERT INTO t VALUES (2,'b'),(3,'c'); UPDATE t SET v='z' WHERE id=1")
                try await cluster.applied(trial)
                try await cluster.eventually("rows are looked at") {
                    guard let it = try await self.ask(worker, trial) else { return false }
                    return it.rows >= 4 && it.pendingRows == 0 && it.state == "running"
                }
                // What the target makes of a row nobody else knows of.
                try trial.onTarget(
                    """
                    CREATE TRIGGER spoil BEFORE INSERT ON t FOR EACH ROW \
                    SET NEW.v = IF(NEW.id = 77, 'spoilt', NEW.v)
                    """)
                try trial.onSource(
                    "INSERT INTO t VALUES (77,'good'),(78,'good'); INSERT INTO twins VALUES (2)")
                try await cluster.applied(trial)
                #expect(try trial.onTarget("SELECT v FROM t WHERE id=77") == "spoilt\n")
                try await cluster.eventually("the row differs for too long") {
                    try await self.ask(worker, trial)?.differingRows == 1
                }
                var found = try #require(try await ask(worker, trial))
                #expect(found.tables.map(\.name) == ["\(trial.schema).t"])
                #expect(found.notes.contains { $0.contains("twins is not compared") })
                #expect(found.lostRows == 0)
                let errors = try await SkeinProcess([
                    "task", "errors", trial.schema, "--endpoint", worker.address,
                ]).end()
                #expect(errors.text.contains("differ on source and target"), "\(errors.text)")
                let lines = try await SkeinProcess([
                    "task", "status", trial.schema, "--endpoint", worker.address,
                ]).end()
                #expect(lines.text.contains("compares changed rows"), "\(lines.text)")

                worker.kill()
                try worker.start()
                try await cluster.eventually("it is known after a kill") {
                    try await self.ask(worker, trial)?.differingRows == 1
                }
                // A statement, and rows behind it.
                try trial.onSource(
                    "ALTER TABLE t ADD COLUMN n INT FIRST; INSERT INTO t VALUES (5,79,'good')")
                try await cluster.applied(trial)
                try trial.onTarget("DROP TRIGGER spoil; UPDATE t SET v='good' WHERE id=77")
                try await cluster.eventually("it is right") {
                    guard let it = try await self.ask(worker, trial) else { return false }
                    return it.differingRows == 0 && it.pendingRows == 0
                }
                found = try #require(try await ask(worker, trial))
                #expect(found.lostRows == 0)
            }
            try await trial.expectEqual()
        }
    }
}
