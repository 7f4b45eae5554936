import API
import Cluster
import Foundation
import Metadata
import Settings
import Synchronization
import TestServers
import Testing
import Worker

@Suite("The service", .enabled(if: TestAPI.isAvailable))
struct ServiceTests {
    private static func page() throws -> String {
        try String(contentsOfFile: Repository.folder + "/docs/api.md", encoding: .utf8)
    }

    @Test("every code, every metric and every key of settings is described")
    func described() async throws {
        let page = try Self.page()
        for code in APIProblem.Code.allCases {
            #expect(page.contains("`\(code.rawValue)`"), "\(code.rawValue)")
            let row = page.split(separator: "\n").first {
                $0.hasPrefix("| ") && $0.contains("`\(code.rawValue)`")
            }
            #expect(row?.contains("| \(code.status) |") == true, "\(code.rawValue)")
        }
        try await TestAPI.with { _, workers in
            workers[0].control.current.withLock { $0.subtasks = [FakeControl.subtask("t", "s")] }
            let text = try await workers[0].http.send("GET", "/metrics").body
            for match in text.matches(of: /[#] TYPE skein_([a-z_]+)/) {
                // The page leaves out what a metric shares with the one before it.
                let words = match.1.split(separator: "_")
                let isThere = words.indices.contains { start in
                    let tail = words[start...].joined(separator: "_")
                    return page.contains("`_\(tail)`") || page.contains("`skein_\(match.1)`")
                }
                #expect(isThere, "skein_\(match.1)")
            }
        }
    }

    @Test("cancelled, it answers what it has begun, and ends although clients stay connected")
    func ends() async throws {
        try await TestAPI.with { api, _ in
            let configuration = APIConfiguration(
                worker: "w2", version: "test", port: 0, secrets: api.secrets)
            let server = try APIServer(
                configuration: configuration, client: api.client, control: FakeControl("w2"),
                log: api.log.logger)
            let silent = try RawHTTP.silentListener()
            let running = Task { try await server.run() }
            try await eventually { server.port != nil }
            let http = RawHTTP(port: server.port ?? 0)
            try await eventually { try await http.send("GET", "/readyz").status == 200 }
            try await api.join("slow", "127.0.0.1:\(silent.port)")
            try await eventually {
                try await http.send("GET", "/api/v1/cluster/workers").data.count == 2
            }
            let idle = try RawHTTP.connect(http.port)
            // It takes a second, and the server is told to end in its middle.
            async let answer = http.send("GET", "/api/v1/cluster/workers?with_status=true")
            try await Task.sleep(for: .milliseconds(300))
            let start = ContinuousClock.now
            running.cancel()
            #expect(try await answer.status == 200)
            _ = await running.result
            #expect(start.duration(to: .now) < .seconds(30))
            _ = idle
        }
    }

    @Test("a worker with another key than the cluster's says so, and serves nothing")
    func otherKey() async throws {
        try await TestAPI.with { api, _ in
            try await eventually {
                try await api.client.get(KeyLayout.root + "secret-key") != nil
            }
            let stranger = APIConfiguration(
                worker: "w2", version: "test", port: 0, secrets: SecretCipher())
            let server = try APIServer(
                configuration: stranger, client: api.client, control: FakeControl("w2"),
                log: api.log.logger)
            await #expect { try await server.run() } throws: {
                "\($0)".contains("another key file")
            }
        }
    }

    @Test("it goes away in order while clients are just connecting")
    func leaves() async throws {
        try await TestAPI.with { api, _ in
            for round in 0..<10 {
                let configuration = APIConfiguration(
                    worker: "w2", version: "test", port: 0, secrets: api.secrets)
                let server = try APIServer(
                    configuration: configuration, client: api.client, control: FakeControl("w2"),
                    log: api.log.logger)
                let running = Task { try await server.run() }
                try await eventually { server.port != nil }
                try await Loopback.knocking(at: server.port ?? 0) {
                    try await Task.sleep(for: .milliseconds(20 + round))
                    running.cancel()
                    _ = await running.result
                }
            }
        }
    }

    @Test("the status of a thousand subtasks on three workers comes in less than a second")
    func thousand() async throws {
        try await TestAPI.with(["w1", "w2", "w3"]) { api, workers in
            let names = (0..<1000).map { "s\($0)" }
            let tasks = (0..<50).map { task in names[(task * 20)..<(task * 20 + 20)] }
            for (number, sources) in tasks.enumerated() {
                var steps: [Metadata.Operation] = []
                for (index, source) in sources.enumerated() {
                    let settings = try SourceSettings(
                        Array(TestAPI.source(source).utf8), .json, file: "t")
                    let key = KeyLayout.source(source)
                    let record = SourceRecord(
                        settings: try settings.stored(api.secrets, key: key))
                    steps.append(.put(key, try record.bytes()))
                    let worker = "w\(index % 3 + 1)"
                    steps.append(
                        .put(
                            KeyLayout.binding(source), try Binding(worker: worker, epoch: 1).bytes()
                        ))
                    steps.append(
                        .put(
                            KeyLayout.stage(task: "t\(number)", source: source), Stage.running.bytes
                        ))
                    workers[index % 3].control.current.withLock {
                        $0.subtasks.append(FakeControl.subtask("t\(number)", source))
                    }
                }
                let name = "t\(number)"
                let settings = try TaskSettings(
                    Array(TestAPI.task(name, Array(sources)).utf8), .json, file: "t")
                let record = TaskRecord(
                    settings: try settings.stored(api.secrets, key: KeyLayout.task(name)))
                steps.append(.put(KeyLayout.task(name), try record.bytes()))
                try await api.client.transaction(then: steps)
            }
            let http = workers[0].http
            try await eventually { try await http.send("GET", "/api/v1/tasks").data.count == 50 }
            var times: [Duration] = []
            for path in ["/api/v1/tasks?with_status=true", "/api/v1/sources?with_status=true"] {
                let start = ContinuousClock.now
                let answer = try await http.send("GET", path)
                times.append(start.duration(to: .now))
                #expect(answer.status == 200 && !answer.body.contains("error_msg"))
            }
            // Built without optimisation, on a busy machine: the release build takes a tenth.
            #expect(times.allSatisfy { $0 < .seconds(3) }, "\(times)")
            print("status of 1,000 subtasks and of 1,000 sources:", times)
        }
    }
}
