import API
import Foundation
import Settings
import Synchronization
import Testing
import Worker

/// Requests about checkpoints: who may ask, what is wrong, and what reaches the engines.
@Suite("Requests about checkpoints", .enabled(if: TestAPI.isAvailable))
struct CheckpointRequestTests {
    private static let path = "/api/v1/tasks/t"

    private static func with(
        _ sources: [String],
        configure: @Sendable @escaping (inout APIConfiguration) -> Void = { _ in },
        token: String? = nil,
        _ body: @Sendable @escaping (TestAPI, RawHTTP, FakeControl) async throws -> Void
    ) async throws {
        try await TestAPI.with(configure: configure) { api, workers in
            let http = workers[0].http
            for source in sources {
                let made = try await http.send(
                    "POST", "/api/v1/sources", TestAPI.source(source), token: token)
                #expect(made.status == 201, "\(made.body)")
            }
            let made = try await http.send(
                "POST", "/api/v1/tasks", TestAPI.task("t", sources), token: token)
            #expect(made.status == 201, "\(made.body)")
            workers[0].control.calls.withLock { $0 = [] }
            try await body(api, http, workers[0].control)
        }
    }

    @Test("a token that may only look shows, and changes nothing")
    func roles() async throws {
        try await Self.with(
            ["stopped"],
            configure: { configuration in
                configuration.tokens.add("look", .read)
                configuration.tokens.add("change", .admin)
            }, token: "change"
        ) { _, http, control in
            let skip = #"{"decision":"skip"}"#
            let shape = #"{"schema_name":"shop","table_name":"t","from":"source"}"#
            let put = "\(Self.path)/sources/stopped/shape"
            for token in [nil, "wrong"] {
                for (method, path, body) in [
                    ("GET", "\(Self.path)/ddl", nil), ("GET", "\(Self.path)/shapes", nil),
                    ("POST", "\(Self.path)/ddl", skip), ("PUT", put, shape),
                ] as [(String, String, String?)] {
                    let answer = try await http.send(method, path, body, token: token)
                    #expect(answer.code == "auth.required", "\(path) \(answer.body)")
                }
            }
            #expect(
                try await http.send("POST", "\(Self.path)/ddl", skip, token: "look").code
                    == "auth.forbidden")
            #expect(
                try await http.send("PUT", put, shape, token: "look").code == "auth.forbidden")
            #expect(control.calls.withLock { $0 } == [])
            for path in ["ddl", "shapes"] {
                let answer = try await http.send("GET", "\(Self.path)/\(path)", token: "look")
                #expect(answer.status == 200, "\(answer.body)")
            }
            #expect(
                try await http.send("POST", "\(Self.path)/ddl", skip, token: "change").status
                    == 200)
            #expect(try await http.send("PUT", put, shape, token: "change").status == 200)
            #expect(control.calls.withLock { $0.count } == 4)
        }
    }

    @Test("a decision reaches the subtask that has stopped, with its statements and no others")
    func decisions() async throws {
        try await Self.with(["a", "stopped-1", "b"]) { api, http, control in
            let list = try await http.send("GET", "\(Self.path)/ddl")
            #expect(
                list.data.map { $0["position"] as? String } == [nil, "binlog.000007:4711", nil],
                "\(list.body)")
            control.calls.withLock { $0 = [] }
            let answer = try await http.send(
                "POST", "\(Self.path)/ddl",
                #"{"decision":"replace","statements":["ALTER TABLE shop.t ADD y INT"]}"#)
            #expect(answer.status == 200 && answer.data.count == 1, "\(answer.body)")
            #expect(answer.data.first?["source_name"] as? String == "stopped-1")
            #expect(
                control.calls.withLock { $0.last }
                    == #"replace(["ALTER TABLE shop.t ADD y INT"]) t stopped-1"#)
            // Asked for by name, a subtask that has not stopped is an error.
            let other = try await http.send(
                "POST", "\(Self.path)/ddl", #"{"decision":"skip","source_name_list":["a"]}"#)
            #expect(other.status == 409 && other.code == "ddl.refused", "\(other.body)")
            // Texts of statements and passwords are in no log.
            #expect(!api.log.text.contains("ALTER TABLE") && !api.log.text.contains("pw"))
        }
    }

    @Test("of several that have stopped, the one that is meant must be named")
    func ambiguous() async throws {
        try await Self.with(["stopped-1", "stopped-2"]) { _, http, control in
            let skip = try await http.send(
                "POST", "\(Self.path)/ddl", #"{"decision":"skip"}"#)
            #expect(skip.code == "ddl.refused" && skip.body.contains("stopped-2"), "\(skip.body)")
            #expect(skip.body.contains("name the sources"))
            #expect(control.calls.withLock { $0.allSatisfy { $0.hasPrefix("show") } })
            let both = try await http.send(
                "POST", "\(Self.path)/ddl",
                #"{"decision":"skip","source_name_list":["stopped-2","stopped-1","stopped-2"]}"#)
            #expect(both.data.map { $0["decision"] as? String } == ["skip", "skip"])
        }
        try await Self.with(["a", "b"]) { _, http, _ in
            let none = try await http.send(
                "POST", "\(Self.path)/ddl", #"{"decision":"skip"}"#)
            #expect(none.code == "ddl.refused" && none.body.contains("no statement"))
        }
    }

    @Test("a change is for the place that was looked at, and is refused where there is another")
    func seen() async throws {
        try await Self.with(["stopped-1", "stopped-2", "many"]) { _, http, control in
            func decide(_ more: String) async throws -> RawHTTP.Answer {
                try await http.send("POST", "\(Self.path)/ddl", #"{"decision":"skip"\#(more)}"#)
            }
            let one = #","source_name_list":["stopped-1"]"#
            let here = #","position":"binlog.000007:4711""#
            let there = #","position":"binlog.000007:47""#
            #expect(try await decide(one + here).data.first?["decision"] as? String == "skip")
            let moved = try await decide(one + there)
            #expect(moved.status == 412 && moved.code == "record.changed", "\(moved.body)")
            let several = try await decide(#","source_name_list":["stopped-1","stopped-2"]"# + here)
            #expect(several.code == "request.malformed", "\(several.body)")
            func set(_ source: String, _ more: String) async throws -> RawHTTP.Answer {
                try await http.send(
                    "PUT", "\(Self.path)/sources/\(source)/shape",
                    #"{"schema_name":"shop","table_name":"t","from":"source"\#(more)}"#)
            }
            #expect(try await set("stopped-1", here).status == 200)
            let elsewhere = try await set("stopped-1", there)
            #expect(elsewhere.status == 412 && elsewhere.code == "record.changed")
            let busy = try await set("many", "")
            #expect(busy.status == 503 && busy.code == "unavailable", "\(busy.body)")
            #expect(control.calls.withLock { $0.count } == 5)
        }
    }

    private static let mistakes: [(String, String, String?, String)] = [
        ("POST", "ddl", "", "request.malformed"),
        ("POST", "ddl", "{}", "request.malformed"),
        ("POST", "ddl", #"{"decision":"drop"}"#, "request.malformed"),
        ("POST", "ddl", #"{"decision":7}"#, "request.malformed"),
        ("POST", "ddl", #"{"decision":"replace"}"#, "request.malformed"),
        ("POST", "ddl", #"{"decision":"inject","statements":[]}"#, "request.malformed"),
        ("POST", "ddl", #"{"decision":"inject","statements":[" "]}"#, "request.malformed"),
        ("POST", "ddl", #"{"decision":"skip","statements":["x"]}"#, "request.malformed"),
        ("POST", "ddl", #"{"decision":"skip","source_name_list":[]}"#, "request.malformed"),
        ("POST", "ddl", #"{"decision":"skip","source_name_list":["z"]}"#, "source.unknown"),
        ("GET", "ddl?source_name_list=z", nil, "source.unknown"),
        ("GET", "shapes?source_name_list=z", nil, "source.unknown"),
        ("GET", "shapes?table_name=t", nil, "request.malformed"),
        ("GET", "shapes?schema_name=s&table_name=", nil, "request.malformed"),
        ("PUT", "sources/stopped/shape", "{}", "request.malformed"),
        ("PUT", "sources/stopped/shape", shape(), "request.malformed"),
        ("PUT", "sources/stopped/shape", shape(#","from":"there""#), "request.malformed"),
        (
            "PUT", "sources/stopped/shape", shape(#","from":"source","sql_content":"x""#),
            "request.malformed"
        ),
        (
            "PUT", "sources/stopped/shape", shape(#","from":"source""#, schema: ""),
            "request.malformed"
        ),
        ("PUT", "sources/z/shape", shape(#","from":"source""#), "source.unknown"),
    ]

    private static func shape(_ more: String = "", schema: String = "s") -> String {
        #"{"schema_name":"\#(schema)","table_name":"t"\#(more)}"#
    }

    @Test("what is wrong is said, and reaches nobody")
    func malformed() async throws {
        try await Self.with(["stopped"]) { _, http, control in
            for (method, path, body, code) in Self.mistakes {
                let answer = try await http.send(method, "\(Self.path)/\(path)", body)
                #expect(answer.code == code, "\(method) \(path) \(body ?? ""): \(answer.body)")
            }
            for (method, path) in [
                ("GET", "ddl"), ("GET", "shapes"), ("POST", "ddl"),
                ("PUT", "sources/stopped/shape"),
            ] {
                let body =
                    path == "ddl"
                    ? #"{"decision":"skip"}"#
                    : #"{"schema_name":"s","table_name":"t","from":"source"}"#
                let answer = try await http.send(
                    method, "/api/v1/tasks/none/\(path)", method == "GET" ? nil : body)
                #expect(answer.code == "task.unknown", "\(method) \(path): \(answer.body)")
            }
            #expect(control.calls.withLock { $0 } == [])
        }
    }

    @Test("a shape reaches the engines as it was given, and refusals come back with a remedy")
    func shapes() async throws {
        try await Self.with(["stopped", "away", "new"]) { _, http, control in
            let put = "\(Self.path)/sources/stopped/shape"
            let answer = try await http.send(
                "PUT", put,
                #"{"schema_name":"shop","table_name":"a b","sql_content":"CREATE TABLE x (a INT)"}"#
            )
            #expect(answer.status == 200, "\(answer.body)")
            let call = control.calls.withLock { $0.last } ?? ""
            #expect(
                call.contains("CREATE TABLE x (a INT)") && call.contains("hasRows: false"),
                "\(call)")
            _ = try await http.send(
                "PUT", put,
                #"{"schema_name":"shop","table_name":"t","from":"target","rows_are_there":true}"#)
            let second = control.calls.withLock { $0.last } ?? ""
            #expect(second.contains("target") && second.contains("hasRows: true"), "\(second)")
            let wrong = try await http.send(
                "PUT", put, #"{"schema_name":"shop","table_name":"wrong","from":"source"}"#)
            #expect(wrong.status == 409 && wrong.code == "shape.refused", "\(wrong.body)")
            #expect(wrong.object?["remedy"] as? String == "r")
            let one = try await http.send(
                "GET",
                "\(Self.path)/shapes?source_name_list=stopped&schema_name=shop&table_name=a%20b")
            #expect(one.data.count == 1, "\(one.body)")
            #expect(control.calls.withLock { $0.last }?.contains("a b") == true)
            let away = try await http.send("GET", "\(Self.path)/ddl?source_name_list=away")
            #expect(away.status == 502 && away.code == "server.failed", "\(away.body)")
            let new = try await http.send("GET", "\(Self.path)/ddl?source_name_list=new")
            #expect(new.status == 409 && new.code == "checkpoint.missing", "\(new.body)")
        }
    }
}
