import Foundation
import Metadata
import TestServers
import Testing

@Suite(
    "Files in DM's words, at the API and from the command line", .enabled(if: TestAPI.isAvailable))
struct TaskFileRequestTests {
    private static let source = """
        source-id: main
        enable-relay: true
        from: {host: db1, user: reader, password: s3cret}
        """
    private static let task = """
        name: shop
        task-mode: all
        target-database: {host: db2, user: writer, password: "${WRITER}"}
        mysql-instances:
          - {source-id: main, block-allow-list: shop, syncer: {worker-count: 4, batch: 5}}
        block-allow-list: {shop: {do-dbs: [shop]}}

        """
    private static let routed = task.replacing("block-allow-list: shop,", with: "route-rules: [r],")
        .replacing(
            "block-allow-list: {shop: {do-dbs: [shop]}}",
            with: "routes: {r: {schema-pattern: a, target-schema: b}}\nshard-mode: pessimistic"
        ).replacing("\"${WRITER}\"}", with: "\"${WRITER}\", session: {sql_mode: ANSI}}")

    @Test("are stored as they are, without passwords in clear, and name their sources")
    func stored() async throws {
        try await TestAPI.with { api, workers in
            let http = workers[0].http
            let yaml = ["Content-Type: application/yaml"]
            let added = try await http.send("POST", "/api/v1/sources", Self.source, headers: yaml)
            #expect(added.status == 201, "\(added.body)")
            let literal = Self.task.replacing("${WRITER}", with: "t0p")
            let task = try await http.send(
                "POST", "/api/v1/tasks?start=true", literal, headers: yaml)
            #expect(task.status == 201, "\(task.body)")
            #expect(task.object?["source_name_list"] as? [String] == ["main"])
            let read = try await http.send("GET", "/api/v1/tasks/shop")
            #expect(read.body.contains("\"worker-count\":4") && read.body.contains("\"batch\":5"))
            #expect(!read.body.contains("t0p"))
            let values = try await api.client.list(.prefix("skein/")).values
            for value in values {
                let text = String(decoding: value.value, as: UTF8.self)
                #expect(!text.contains("t0p") && !text.contains("s3cret"), "\(value.key)")
            }
            // What it names counts: the source is in use.
            #expect(try await http.send("DELETE", "/api/v1/sources/main").status == 409)
            let relay = try await http.send("POST", "/api/v1/sources/main/relay/disable")
            #expect(relay.status == 200)
            #expect(
                !(try await http.send("GET", "/api/v1/sources/main").body)
                    .contains("\"enable-relay\":true"))
            // Without a password, the old one stays.
            _ = try await http.send("POST", "/api/v1/tasks/shop/stop")
            let update = try await http.send(
                "PUT", "/api/v1/tasks/shop",
                literal.replacing(", password: \"t0p\"", with: "").replacing("4", with: "7"),
                headers: yaml)
            #expect(
                update.status == 200 && update.body.contains("\"worker-count\":7"), "\(update.body)"
            )
        }
    }

    @Test("with what the engines can't act on, are refused by name and change nothing")
    func refused() async throws {
        try await TestAPI.with { _, workers in
            let http = workers[0].http
            let yaml = ["Content-Type: application/yaml"]
            _ = try await http.send("POST", "/api/v1/sources", Self.source, headers: yaml)
            let answer = try await http.send(
                "POST", "/api/v1/tasks", Self.routed, headers: yaml)
            #expect(answer.status == 400 && answer.code == "settings.invalid")
            #expect(answer.body.contains("target-database.session"), "\(answer.body)")
            #expect(try await http.send("GET", "/api/v1/tasks/shop").status == 404)
            let session = ", session: {sql_mode: ANSI}}"
            let source = try await http.send(
                "POST", "/api/v1/sources",
                Self.source.replacing("main", with: "b").replacing("}", with: session),
                headers: yaml)
            #expect(source.status == 400 && source.body.contains("from.session"), "\(source.body)")
        }
    }

    @Test("are written, checked and started from the command line")
    func commands() async throws {
        try await TestAPI.with { _, workers in
            let folder = try TestPlaces.newFolder("task-files")
            let skein = SkeinCommandLine(environment: [
                "SKEIN_ENDPOINT": "127.0.0.1:\(workers[0].http.port)", "WRITER": "t0p",
                "SKEIN_TARGET_PASSWORD": "other",
            ])
            func write(_ name: String, _ text: String) throws -> String {
                let path = "\(folder)/\(name)"
                try text.write(toFile: path, atomically: true, encoding: .utf8)
                return path
            }
            let source = try write("source.yaml", Self.source)
            let task = try write("task.yaml", Self.task)
            let routed = try write("routed.yaml", Self.routed)
            let checked = try await skein.run(["task", "check", task])
            #expect(checked.status == 0, "\(checked)")
            #expect(
                checked.output.contains("worker-count: 4") && checked.output.contains("port: 3306"))
            #expect(!checked.output.contains("t0p") && checked.errors.contains("task.yaml:5:"))
            #expect(
                checked.errors.contains(
                    "warning: \"mysql-instances[0].syncer.batch\" has no effect"))
            let json = try await skein.run(["task", "check", routed, "--output", "json"])
            #expect(json.status == 2 && json.output.contains("\"unsupported\":["), "\(json)")
            let told = try await skein.run(["task", "explain", routed, "--table", "a.t"])
            #expect(told.status == 0 && told.errors.contains("can't be acted on"), "\(told)")
            #expect(told.output.contains("main    target") && told.output.contains("routes.r"))
            let refused = try await skein.run(["task", "start", routed])
            #expect(
                refused.status == 2
                    && refused.errors.contains("\"target-database.session\" can't be acted on"))
            #expect(try await skein.run(["source", "add", source]).status == 0)
            let started = try await skein.run(["task", "start", task])
            #expect(
                started.status == 0 && started.output.contains("was added and started"),
                "\(started)")
            let new = folder + "/new.yaml"
            let arguments = [
                "task", "init", "--name", "two", "--target", "mysql://w@db9:3310", "--source",
                "main",
                "--tables", "shop.*", "--file", new,
            ]
            #expect(try await skein.run(arguments).status == 0)
            let again = try await skein.run(arguments)
            #expect(again.status == 2 && again.errors.contains("File exists"), "\(again)")
            let first = try await skein.run(["task", "check", new])
            #expect(first.status == 0 && first.errors == "", "\(first)")
            let missing = try await skein.run(["task", "init", "--name", "x"])
            #expect(
                missing.status == 2 && missing.errors.contains("--target is missing"), "\(missing)")
        }
    }
}
