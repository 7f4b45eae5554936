import TestServers
import Testing

extension MigrationTests {
    /// Dumps of servers that tell case apart.
    @Suite("Loads of names that differ in case", .serialized)
    struct LoadNameTests {
        private static func folder(_ schema: String, _ other: String) throws -> LoadTests.Folder {
            let folder = LoadTests.Folder()
            var files = ["metadata": "Started dump at: \(other)\nFinished dump at: b\n"]
            for (i, name) in ["\(schema).t", other].enumerated() {
                let parts = name.split(separator: ".")
                files["\(parts[0])-schema-create.sql"] = "CREATE DATABASE `\(parts[0])`;\n"
                files["\(name)-schema.sql"] = "CREATE TABLE `\(parts[1])` (id INT);\n"
                files["\(name).sql"] = "INSERT INTO `\(parts[1])` VALUES (\(i)),(\(i));\n"
            }
            try folder.write(files)
            return folder
        }

        @Test("where they would be one they are refused, and nothing is touched")
        func folded() async throws {
            let target = try await TestServer.start(
                .mariadb, options: ["--lower-case-table-names=1"], name: "load-lower")
            let source = try await SharedServers.all.server(.mariadb, "source")
            let trial = try Trial(source: source, target: target, "load_case")
            let schema = trial.schema
            let before = try target.sql("SHOW DATABASES")
            let upper = schema.uppercased()
            for other in ["\(schema).T", "\(upper).u"] {
                let folder = try Self.folder(schema, other)
                for _ in 1...2 {
                    let refused = try await LoadTests.load(trial, folder).end()
                    #expect(refused.status == 1)
                    #expect(refused.text.contains("differ in case alone"), "\(refused.text)")
                    #expect(refused.text.contains(schema), "\(refused.text)")
                }
            }
            #expect(try target.sql("SHOW DATABASES") == before)
            let folder = try Self.folder(schema, "\(schema).T")
            let one = try await LoadTests.load(trial, folder, ["--exclude", "\(schema).T"]).end()
            #expect(one.status == 0, "\(one.text)")
            #expect(try trial.onTarget("SELECT id FROM t") == "0\n0\n")
            await target.discard()
        }

        @Test("where they are two they stay two")
        func apart() async throws {
            let trial = try await Trial(.mariadb, "load_case_two")
            let folder = try Self.folder(trial.schema, "\(trial.schema).T")
            let outcome = try await LoadTests.load(trial, folder).end()
            #expect(outcome.status == 0, "\(outcome.text)")
            #expect(
                try trial.onTarget("SELECT id FROM t UNION ALL SELECT id FROM T")
                    == "0\n0\n1\n1\n")
        }
    }
}
