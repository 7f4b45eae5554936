import Metadata
import Synchronization
import Testing

/// What a request says that nobody reads must not be passed over: the answer would be that it was
/// done.
@Suite("Words that a request does not have", .enabled(if: TestAPI.isAvailable))
struct RequestWordTests {
    /// Method, path below the API's, body, and what the answer says beside the code.
    private static let cases: [(String, String, String?, String)] = [
        ("POST", "sources/a/relay/disable", #"{"worker_name_list":["w2"]}"#, "worker_name"),
        ("POST", "sources/a/relay/enable", #"{"workerName":"w2"}"#, "worker_name"),
        ("POST", "sources/a/relay/purge", #"{"relay_binlog_name":"b.2","forced":true}"#, "force"),
        ("POST", "sources/a/disable", #"{"worker_name":"w1"}"#, "it takes no body"),
        ("POST", "sources/a/disable", "now", "not readable"),
        ("POST", "sources/a/disable", "[]", "JSON object"),
        ("POST", "sources/a/transfer", #"{"worker_name":"w1","x":1}"#, "x"),
        ("DELETE", "sources/a", #"{"force":true}"#, "it takes no body"),
        ("POST", "tasks/t/start", #"{"remove_meta":true}"#, "remove_meta"),
        ("POST", "tasks/t/start", #"{"start_time":"2026-01-01 00:00:00"}"#, "start_time"),
        ("POST", "tasks/t/stop", #"{"source_names":["a"]}"#, "source_name_list"),
        ("POST", "tasks/t/stop?source_name_list=a", nil, "it takes no parameters"),
        ("POST", "tasks/t/stop?source_name_list=a", "{}", "it takes no parameters"),
        ("DELETE", "tasks/t?forced=true", nil, #"did you mean \"force\"?"#),
        ("GET", "tasks/t/status?source_name=a", nil, "source_name_list"),
        ("GET", "tasks/t/status?source_name_list=a&source_name_list=b", nil, "given twice"),
        ("GET", "sources?status=true", nil, "with_status"),
        ("POST", "tasks/t/ddl", #"{"decision":"skip","sources":["a"]}"#, "sources"),
        (
            "PUT", "tasks/t/sources/a/shape",
            #"{"schema_name":"s","table_name":"t","from":"source","sql":"x"}"#, "sql"
        ),
    ]

    @Test("are refused with the nearest name, and nothing is changed")
    func refused() async throws {
        try await TestAPI.with { api, workers in
            let http = workers[0].http
            for name in ["a", "b"] {
                _ = try await http.send("POST", "/api/v1/sources", TestAPI.source(name))
            }
            _ = try await http.send(
                "POST", "/api/v1/tasks?start=true", TestAPI.task("t", ["a", "b"]))
            try await api.bind("a", "w1")
            let before = try await api.client.list(.prefix("skein/")).values
            for (method, path, body, words) in Self.cases {
                let answer = try await http.send(method, "/api/v1/\(path)", body)
                let what = "\(method) \(path) \(body ?? "")"
                #expect(
                    answer.status == 400 && answer.code == "request.malformed",
                    "\(what): \(answer.body)")
                #expect(answer.body.contains(words), "\(what): \(answer.body)")
            }
            let after = try await api.client.list(.prefix("skein/")).values
            #expect(
                after.map { [$0.key, "\($0.modRevision)"] }
                    == before.map { [$0.key, "\($0.modRevision)"] })
            #expect(workers[0].control.calls.withLock { $0 } == [])
        }
    }

    @Test("are none where a request has all of them, an empty body or no body")
    func accepted() async throws {
        try await TestAPI.with { api, workers in
            let http = workers[0].http
            _ = try await http.send("POST", "/api/v1/sources", TestAPI.source("a"))
            _ = try await http.send("POST", "/api/v1/tasks", TestAPI.task("t", ["a"]))
            try await api.bind("a", "w1")
            for (method, path, body) in [
                ("POST", "sources/a/disable", nil), ("POST", "sources/a/enable", "{}"),
                ("POST", "sources/a/enable", " \n"), ("POST", "tasks/t/start", nil),
                ("POST", "tasks/t/stop", #"{"source_name_list":["a"]}"#),
                ("GET", "tasks/t/status?source_name_list=a", nil),
                (
                    "POST", "sources/a/relay/purge",
                    #"{"relay_binlog_name":"b.2","force":false}"#
                ),
                ("DELETE", "tasks/t?force=true", nil),
            ] as [(String, String, String?)] {
                let answer = try await http.send(method, "/api/v1/\(path)", body)
                #expect(answer.status == 200, "\(method) \(path): \(answer.body)")
            }
            // Whoever looks whether a worker is there may keep caches away.
            for path in ["/healthz?x=1", "/metrics?x=1"] {
                #expect(try await http.send("GET", path).status == 200)
            }
        }
    }
}
