import API
import Cluster
import Metadata
import Synchronization
import Testing
import Worker

@Suite("Requests", .enabled(if: TestAPI.isAvailable))
struct RequestTests {
    @Test(
        "a source is added, read, changed, moved and removed; each answer shows the change before it"
    )
    func source() async throws {
        try await TestAPI.with(["w1", "w2"]) { api, workers in
            let http = workers[0].http
            #expect(try await http.send("GET", "/api/v1/sources").data.isEmpty)
            let added = try await http.send("POST", "/api/v1/sources", TestAPI.source("main"))
            #expect(added.status == 201 && added.object?["source_name"] as? String == "main")
            let twice = try await http.send("POST", "/api/v1/sources", TestAPI.source("main"))
            #expect(twice.status == 409 && twice.code == "source.exists")
            let read = try await http.send("GET", "/api/v1/sources/main")
            let revision = try #require(read.object?["revision"] as? Int)
            #expect(
                read.head.contains("ETag: \"\(revision)\"")
                    || read.head.contains("etag: \"\(revision)\""))
            // Another worker's answer, in YAML, without the name that is in the path.
            let yaml = "source: mysql://reader@db9:3307\nworkers: [w1, w2]\nrelay: false\n"
            let put = try await http.send(
                "PUT", "/api/v1/sources/main", yaml,
                headers: ["Content-Type: application/yaml", "If-Match: \"\(revision)\""])
            #expect(put.status == 200 && put.body.contains("db9"))
            let late = try await http.send(
                "PUT", "/api/v1/sources/main", yaml, headers: ["If-Match: \(revision)"])
            #expect(late.status == 412 && late.code == "record.changed")
            for (action, expected) in [
                ("disable", "\"enable\":false"), ("enable", "\"enable\":true"),
                ("relay/enable", "\"relay\":true"), ("relay/disable", "\"relay\":false"),
            ] {
                let done = try await http.send("POST", "/api/v1/sources/main/\(action)")
                #expect(done.status == 200, "\(action) \(done.body)")
                #expect(try await http.send("GET", "/api/v1/sources/main").body.contains(expected))
            }
            let nowhere = try await http.send(
                "POST", "/api/v1/sources/main/relay/purge", #"{"relay_binlog_name":"b.2"}"#)
            #expect(nowhere.code == "source.not-bound")
            try await transfer(api, workers)
            let gone = try await http.send("DELETE", "/api/v1/sources/main")
            #expect(gone.status == 200)
            #expect(try await http.send("GET", "/api/v1/sources/main").code == "source.unknown")
            #expect(try await http.send("DELETE", "/api/v1/sources/main").status == 404)
        }
    }

    private func transfer(_ api: TestAPI, _ workers: [TestAPI.Worker]) async throws {
        let http = workers[0].http
        func move(_ body: String) async throws -> RawHTTP.Answer {
            try await http.send("POST", "/api/v1/sources/main/transfer", body)
        }
        #expect(try await move(#"{"worker_name":"w2"}"#).status == 200)
        #expect(try await move(#"{"worker_name":"w2"}"#).status == 200)
        let moved = try await http.send("GET", "/api/v1/sources/main").object
        #expect(moved?["worker"] as? String == "w2" && moved?["epoch"] as? Int == 1)
        #expect(try await move(#"{"worker_name":"w9"}"#).code == "worker.unknown")
        #expect(try await move("{}").code == "request.malformed")
        try await api.client.put(KeyLayout.drain("w1"), [])
        #expect(try await move(#"{"worker_name":"w1"}"#).code == "worker.unfit")
        // What only its worker can do is done there.
        let purge = "/api/v1/sources/main/relay/purge"
        let freed = try await http.send(
            "POST", purge, #"{"relay_binlog_name":"binlog.000004","force":true}"#)
        #expect(freed.object?["freed_bytes"] as? Int == 4096, "\(freed.body)")
        #expect(workers[1].control.calls.withLock { $0 } == ["purge main binlog.000004 true"])
        let refused = try await http.send(
            "POST", purge, #"{"relay_binlog_name":"binlog.000001"}"#)
        #expect(refused.status == 409 && refused.code == "relay.refused")
        #expect(refused.body.contains("needed by task 't'"))
    }

    @Test("a task is added, started, paused, changed, stopped and removed")
    func task() async throws {
        try await TestAPI.with { api, workers in
            let http = workers[0].http
            func post(_ path: String, _ body: String? = nil) async throws -> RawHTTP.Answer {
                try await http.send("POST", "/api/v1/tasks\(path)", body)
            }
            #expect(try await post("", TestAPI.task("t", ["a", "b"])).code == "source.unknown")
            for name in ["a", "b", "c"] {
                _ = try await http.send("POST", "/api/v1/sources", TestAPI.source(name))
            }
            let added = try await post("", TestAPI.task("t", ["a", "b"]))
            #expect(added.status == 201 && added.body.contains(#""stage":"stopped""#))
            #expect(try await post("", TestAPI.task("t", ["a"])).code == "task.exists")
            #expect(try await http.send("DELETE", "/api/v1/sources/a").code == "source.in-use")
            #expect(try await post("/t/pause").code == "task.stopped")
            #expect(try await post("/t/start", #"{"source_name_list":["a"]}"#).status == 200)
            #expect(
                try await post("/t/start", #"{"source_name_list":["z"]}"#).code == "source.unknown")
            #expect(try await post("/t/start").status == 200)
            let running = TestAPI.task("t", ["a", "c"])
            #expect(try await http.send("PUT", "/api/v1/tasks/t", running).code == "task.running")
            #expect(try await http.send("DELETE", "/api/v1/tasks/t").code == "task.running")
            #expect(try await post("/t/pause").status == 200)
            #expect(try await post("/t/resume").status == 200)
            #expect(try await post("/t/stop").status == 200)
            let put = try await http.send("PUT", "/api/v1/tasks/t", running)
            #expect(
                put.status == 200 && put.object?["source_name_list"] as? [String] == ["a", "c"])
            #expect(try await http.send("DELETE", "/api/v1/sources/b").status == 200)
            #expect(try await http.send("GET", "/api/v1/tasks").data.count == 1)
            #expect(try await post("/t/start").status == 200)
            #expect(try await http.send("DELETE", "/api/v1/tasks/t?force=true").status == 200)
            #expect(try await http.send("GET", "/api/v1/tasks/t").code == "task.unknown")
            let left = try await api.client.count(.prefix(KeyLayout.stages))
            #expect(left == 0)
            #expect(
                try await post("?start=true", TestAPI.task("u", ["a"])).body.contains("running"))
        }
    }

    @Test(
        "the status tells each worker's word, and of a worker that does not answer in a second that"
    )
    func status() async throws {
        let silent = try RawHTTP.silentListener()
        try await TestAPI.with(["w1", "w2"]) { api, workers in
            let http = workers[0].http
            try await api.join("slow", "127.0.0.1:\(silent.port)")
            try await api.join("dead", "127.0.0.1:1")
            for (name, worker) in [
                ("a", "w1"), ("b", "w2"), ("c", "slow"), ("d", "dead"), ("e", nil),
            ] {
                _ = try await http.send("POST", "/api/v1/sources", TestAPI.source(name))
                try await api.bind(name, worker)
            }
            _ = try await http.send(
                "POST", "/api/v1/tasks?start=true", TestAPI.task("t", ["a", "b", "c", "d", "e"]))
            workers[0].control.current.withLock { $0.subtasks = [FakeControl.subtask("t", "a")] }
            workers[1].control.current.withLock { $0.subtasks = [FakeControl.subtask("t", "b")] }
            let start = ContinuousClock.now
            let list = try await http.send("GET", "/api/v1/tasks/t/status")
            let took = start.duration(to: .now)
            #expect(took > .milliseconds(900) && took < .milliseconds(2500), "\(took)")
            #expect(
                list.data.map { $0["stage"] as? String }
                    == ["Running", "Running", "Unknown", "Unknown", "Unknown"], "\(list.body)")
            let errors = list.data.map { $0["error_msg"] as? String ?? "" }
            #expect(
                errors[0] == "" && errors[2].contains("within 1 s") && errors[3].contains("refused")
            )
            #expect(errors[4].contains("no worker"))
            #expect(list.body.contains(#""lag_milliseconds":1500"#))
            let one = try await http.send("GET", "/api/v1/tasks/t/status?source_name_list=b")
            #expect(one.data.count == 1)
            let all = try await http.send("GET", "/api/v1/cluster/workers?with_status=true").data
            #expect(all.map { $0["is_reachable"] as? Bool } == [false, false, true, true])
            #expect(try await http.send("GET", "/api/v1/sources?with_status=true").data.count == 5)
            #expect(try await http.send("GET", "/api/v1/sources/b/status").data.count == 1)
            let verify = try await http.send(
                "POST", "/api/v1/tasks/t/verify", #"{"source_name_list":["b"]}"#)
            #expect(verify.status == 200, "\(verify.body)")
            #expect(workers[1].control.calls.withLock { $0 } == ["verify t b"])
        }
        _ = silent
    }

    @Test("a worker is drained, and forgotten when it is gone")
    func workers() async throws {
        try await TestAPI.with { api, workers in
            let http = workers[0].http
            let path = "/api/v1/cluster/workers"
            #expect(try await http.send("POST", "\(path)/w1/drain").status == 200)
            #expect(try await http.send("GET", path).body.contains("draining"))
            #expect(try await http.send("DELETE", "\(path)/w1").code == "worker.alive")
            #expect(try await http.send("DELETE", "\(path)/w1/drain").status == 200)
            #expect(try await http.send("POST", "\(path)/w7/drain").code == "worker.unknown")
            #expect(try await http.send("DELETE", "\(path)/w7").code == "worker.unknown")
            try await api.client.put(KeyLayout.relay(source: "s", worker: "w7"), [])
            try await api.client.put(KeyLayout.drain("w7"), [])
            try await eventually { try await http.send("GET", path).data.count == 2 }
            #expect(try await http.send("DELETE", "\(path)/w7").status == 200)
            #expect(try await http.send("GET", path).data.count == 1)
            let info = try await http.send("GET", "/api/v1/cluster/info").object
            #expect(info?["is_store_available"] as? Bool == true)
            #expect(info?["answered_by"] as? String == "w1")
        }
    }

    @Test("metrics are the worker's numbers, escaped")
    func metrics() async throws {
        try await TestAPI.with { api, workers in
            workers[0].control.current.withLock {
                $0.subtasks = [FakeControl.subtask("t", "a\"b\\c\nd")]
                $0.relays = [
                    RelayStatus(
                        source: "a",
                        log: .init(
                            state: "running", reason: nil, bytes: 77, limitBytes: nil,
                            position: "binlog.000009:120"))
                ]
            }
            let text = try await workers[0].http.send("GET", "/metrics").body
            let labels = #"{task="t",source="a\"b\\c\nd"}"#
            #expect(text.contains("skein_subtask_lag_seconds\(labels) 1.5\n"))
            #expect(text.contains("skein_subtask_transactions_total\(labels) 1234\n"))
            #expect(text.contains("skein_subtask_binlog_file\(labels) 7\n"))
            #expect(text.contains("skein_subtask_binlog_offset_bytes\(labels) 4711\n"))
            #expect(text.contains("skein_relay_bytes{source=\"a\"} 77\n"))
            #expect(text.contains("skein_relay_binlog_file{source=\"a\"} 9\n"))
            #expect(
                text.contains("skein_http_request_seconds_bucket{route=\"/readyz\",le=\"+Inf\"}"))
            #expect(
                text.contains("stage=\"Running\"} 1\n") && text.contains("stage=\"Paused\"} 0\n"))
            // Every sample belongs to a family that was announced.
            let families = Set(text.matches(of: /[#] TYPE (\S+)/).map { String($0.1) })
            for line in text.split(separator: "\n") where !line.hasPrefix("#") {
                let name = String(line.prefix { $0 != " " && $0 != "{" })
                let base = name.replacing(/_(bucket|sum|count)$/, with: "")
                #expect(families.contains(name) || families.contains(base), "\(name)")
            }
            _ = api
        }
    }
}
