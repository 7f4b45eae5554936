import API
import Foundation
import Synchronization
import Testing
import Worker

@testable import TestServers

@Suite("The document of the API", .enabled(if: TestAPI.isAvailable))
struct DocumentTests {
    private static let file = Repository.folder + "/docs/openapi.json"

    /// The document with a line for each thing, as it lies in the repository.
    private func pretty(_ text: String) throws -> String {
        let object = try JSONSerialization.jsonObject(with: Data(text.utf8))
        let data = try JSONSerialization.data(
            withJSONObject: object, options: [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes])
        return String(decoding: data, as: UTF8.self) + "\n"
    }

    @Test("docs/openapi.json is what a worker serves (SKEIN_WRITE=1 writes it)")
    func current() async throws {
        try await TestAPI.with { _, workers in
            let served = try pretty(
                await workers[0].http.send("GET", "/api/v1/openapi.json").body)
            if ProcessInfo.processInfo.environment["SKEIN_WRITE"] == "1" {
                try served.write(toFile: Self.file, atomically: true, encoding: .utf8)
            }
            #expect(try String(contentsOfFile: Self.file, encoding: .utf8) == served)
        }
    }

    @Test("every path of the document leads to its operation, and nothing else is routed")
    func routed() async throws {
        let text = try String(contentsOfFile: Self.file, encoding: .utf8)
        let object = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
        let paths = try #require(object?["paths"] as? [String: [String: Any]])
        let expected = paths.mapValues { Set($0.keys.map { $0.uppercased() }) }
        try await TestAPI.with { _, workers in
            for (path, methods) in expected {
                let path = path.replacing(/\{\w+\}/, with: "x")
                // The answer to a method that no path has names those that this one has.
                let answer = try await workers[0].http.send("TRACE", path)
                let allowed = answer.head.split(separator: "\r\n").first {
                    $0.lowercased().hasPrefix("allow: ")
                }?.dropFirst(7).split(separator: ", ").map(String.init)
                #expect(Set(allowed ?? []) == methods, "\(path)")
            }
        }
    }

    @Test("answers have the keys that their schemas have, and all that are required")
    func schemas() async throws {
        let text = try String(contentsOfFile: Self.file, encoding: .utf8)
        let document = try #require(
            JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
        let answers = Mutex<[(String, String, String)]>([])
        try await TestAPI.with { api, workers in
            let http = workers[0].http
            func send(_ method: String, _ path: String, _ at: String, _ body: String? = nil)
                async throws
            {
                let answer = try await http.send(method, path, body)
                #expect(answer.status < 300, "\(path) \(answer.body)")
                answers.withLock { $0.append((method.lowercased(), at, answer.body)) }
            }
            let (sources, tasks) = ("/api/v1/sources", "/api/v1/tasks")
            let (source, task) = ("\(sources)/{source_name}", "\(tasks)/{task_name}")
            try await send("POST", sources, sources, TestAPI.source("s"))
            try await api.bind("s", "w1")
            try await send("POST", "\(tasks)?start=true", tasks, TestAPI.task("t", ["s"]))
            workers[0].control.current.withLock {
                $0.subtasks = [FakeControl.subtask("t", "s")]
                $0.relays = [
                    RelayStatus(
                        source: "s",
                        log: .init(
                            state: "running", reason: "r", bytes: 1, limitBytes: 2, position: "b:4")
                    )
                ]
            }
            try await send("GET", "\(sources)?with_status=true", sources)
            try await send("GET", "\(sources)/s", source)
            try await send("GET", "\(sources)/s/status", "\(source)/status")
            try await send("GET", "\(tasks)?with_status=true", tasks)
            try await send("GET", "\(tasks)/t", task)
            try await send("GET", "\(tasks)/t/status", "\(task)/status")
            try await send("POST", "\(tasks)/t/pause", "\(task)/pause")
            try await send(
                "POST", "\(sources)/s/relay/purge", "\(source)/relay/purge",
                #"{"relay_binlog_name":"b.2"}"#)
            try await send("POST", "\(tasks)/t/check", "\(task)/check")
            try await send("POST", sources, sources, TestAPI.source("stopped"))
            try await send("POST", tasks, tasks, TestAPI.task("v", ["stopped"]))
            try await send("GET", "\(tasks)/v/ddl", "\(task)/ddl")
            try await send(
                "POST", "\(tasks)/v/ddl", "\(task)/ddl",
                #"{"decision":"replace","statements":["x"]}"#)
            try await send("GET", "\(tasks)/v/shapes", "\(task)/shapes")
            try await send(
                "PUT", "\(tasks)/v/sources/stopped/shape",
                "\(task)/sources/{source_name}/shape",
                #"{"schema_name":"shop","table_name":"t","from":"source"}"#)
            try await send("POST", "/api/v1/checks", "/api/v1/checks", TestAPI.task("u", ["s"]))
            for path in ["cluster/info", "cluster/workers", "local/status", "local/store"] {
                try await send("GET", "/api/v1/\(path)", "/api/v1/\(path)")
            }
        }
        let checker = SchemaCheck(document: document)
        for (method, path, body) in answers.withLock({ $0 }) {
            let value = try JSONSerialization.jsonObject(with: Data(body.utf8))
            #expect(try checker.problems(of: value, method, path) == [], "\(method) \(path)")
        }
    }

    @Test(
        "a validator of OpenAPI accepts it",
        .enabled(
            if: Self.hasValidator,
            "openapi-spec-validator is not installed: pip install openapi-spec-validator"))
    func valid() throws {
        let (status, output) = try Self.run(["python3", "-m", "openapi_spec_validator", Self.file])
        #expect(status == 0, "\(output)")
    }

    private static var hasValidator: Bool {
        (try? run(["python3", "-c", "import openapi_spec_validator"]).status) == 0
    }

    private static func run(_ arguments: [String]) throws -> (status: Int32, output: String) {
        let ended = try ChildProcess.run(["env"] + arguments)
        return (ended.status, String(decoding: ended.output + ended.errors, as: UTF8.self))
    }
}
