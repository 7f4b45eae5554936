import API
import Cluster
import Foundation
import Metadata
import MySQLClient
import Settings
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
            // The password goes to another server only when it is given again.
            let yaml = """
                source: {url: 'mysql://reader@db9:3307', password: pw}
                workers: [w1, w2]
                relay: false

                """
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
        // A damaged record ends nobody.
        let old = try await api.client.get(KeyLayout.binding("main"))
        try await api.bind("main", "w2", epoch: .max)
        #expect(try await move(#"{"worker_name":"w1"}"#).code == "record.unreadable")
        try await api.client.put(KeyLayout.binding("main"), old?.value ?? [])
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
        // It says what the log begins with, not what was asked for.
        let short = try await http.send("POST", purge, #"{"relay_binlog_name":"binlog.000009"}"#)
        #expect(short.body.contains("begins with binlog.000006 now: from there"), "\(short.body)")
        #expect(freed.body.contains("begins with binlog.000004 now\""), "\(freed.body)")
    }

    @Test("a password stays with its server, user and TLS; elsewhere it has to be given again")
    func passwords() async throws {
        try await TestAPI.with { api, workers in
            let http = workers[0].http
            func put(_ path: String, _ body: String) async throws -> RawHTTP.Answer {
                try await http.send("PUT", "/api/v1/\(path)", body)
            }
            _ = try await http.send("POST", "/api/v1/sources", TestAPI.source("s"))
            _ = try await http.send("POST", "/api/v1/tasks", TestAPI.task("t", ["s"]))
            func password() async throws -> String {
                let key = KeyLayout.source("s")
                let value = try #require(try await api.client.get(key))
                let record = try JSONDecoder().decode(SourceRecord.self, from: Data(value.value))
                return try SourceSettings(stored: record.settings, api.secrets, key: key).server
                    .password.text
            }
            let same = #"{"source":{"host":"db1","user":"reader"},"server-id":77}"#
            #expect(try await put("sources/s", same).status == 200)
            #expect(try await password() == "pw")
            for (field, value) in [
                ("host", #""evil""#), ("port", "3399"), ("user", #""other""#),
                ("tls", #""disabled""#), ("socket", #""/tmp/s""#),
            ] {
                var server = ["host": #""db1""#, "user": #""reader""#]
                server[field] = value
                let fields = server.map { "\"\($0)\":\($1)" }.joined(separator: ",")
                let answer = try await put("sources/s", "{\"source\":{\(fields)}}")
                #expect(answer.status == 400 && answer.code == "settings.password", "\(field)")
            }
            #expect(try await password() == "pw")
            let task = TestAPI.task("t", ["s"], password: "")
            #expect(try await put("tasks/t", task).status == 200)
            let moved = task.replacing("db2", with: "evil")
            #expect(try await put("tasks/t", moved).code == "settings.password")
            let given = TestAPI.task("t", ["s"]).replacing("db2", with: "db9")
            #expect(try await put("tasks/t", given).status == 200)
        }
    }

    @Test("the status of 1,000 tasks on three workers comes in one answer")
    func manyTasks() async throws {
        try await TestAPI.with(["w0", "w1", "w2"]) { api, workers in
            let count = 1000
            for n in 0..<count {
                let (source, task) = (KeyLayout.source("s\(n)"), KeyLayout.task("t\(n)"))
                let settings = #"{"name":"t\#(n)","sources":["s\#(n)"],"tables":["a.*"]}"#
                try await api.client.transaction(then: [
                    .put(source, try SourceRecord(settings: "{}").bytes()),
                    .put(task, try TaskRecord(settings: settings).bytes()),
                    .put(KeyLayout.stage(task: "t\(n)", source: "s\(n)"), Stage.running.bytes),
                    .put(
                        KeyLayout.binding("s\(n)"),
                        try Binding(worker: "w\(n % 3)", epoch: 1).bytes()),
                ])
            }
            for (index, worker) in workers.enumerated() {
                worker.control.current.withLock {
                    $0.subtasks = stride(from: index, to: count, by: 3).map {
                        FakeControl.subtask("t\($0)", "s\($0)")
                    }
                }
            }
            let http = workers[0].http
            try await eventually { try await http.send("GET", "/api/v1/tasks").data.count == count }
            let begun = ContinuousClock.now
            let answer = try await http.send("GET", "/api/v1/tasks?with_status=true")
            print("status of 1,000 tasks: \(begun.duration(to: .now))")
            let stages = answer.data.flatMap { $0["status_list"] as? [[String: Any]] ?? [] }
            #expect(stages.count { $0["stage"] as? String == "Running" } == count)
        }
    }

    @Test("what has reached its goal runs again only when it is meant")
    func finished() async throws {
        try await TestAPI.with { api, workers in
            let http = workers[0].http
            for name in ["a", "b"] {
                _ = try await http.send("POST", "/api/v1/sources", TestAPI.source(name))
            }
            _ = try await http.send(
                "POST", "/api/v1/tasks?start=true", TestAPI.task("t", ["a", "b"]))
            func finish(_ source: String) async throws {
                var history = SubtaskHistory()
                history.isStarted = true
                history.finish = .init(position: "b:4", time: 1)
                try await api.client.put(
                    KeyLayout.history(task: "t", source: source), history.bytes())
            }
            func history(_ source: String) async throws -> SubtaskHistory? {
                try await api.client.get(KeyLayout.history(task: "t", source: source))
                    .flatMap { SubtaskHistory(bytes: $0.value) }
            }
            func post(_ action: String, _ body: String? = nil) async throws -> String {
                let answer = try await http.send("POST", "/api/v1/tasks/t/\(action)", body)
                #expect(answer.status == 200, "\(answer.body)")
                return answer.body
            }
            try await finish("a")
            // It is known without its worker.
            try await eventually {
                try await http.send("GET", "/api/v1/tasks/t/status").body.contains("Finished")
            }
            for action in ["resume", "start", "pause", "resume", "stop", "start"] {
                let said = try await post(action)
                #expect(try await history("a")?.finish != nil, "\(action)")
                // The answer says so.
                let isToRun = action != "pause" && action != "stop"
                #expect(
                    said.contains(
                        isToRun ? "running on 'b'; it stays finished on 'a'" : " on 'a', 'b'\""),
                    "\(action): \(said)")
            }
            let named = try await post("resume", #"{"source_name_list":["a","a"]}"#)
            #expect(named.contains("running on 'a'\""), "\(named)")
            #expect(try await history("a")?.finish == nil)
            #expect(try await history("a")?.isStarted == true)
            // All of them are over: it can only be meant.
            for source in ["a", "b"] { try await finish(source) }
            _ = try await post("start")
            for source in ["a", "b"] { #expect(try await history(source)?.finish == nil) }
            // Settings with another goal: what was reached is not that. Others leave it as it is.
            _ = try await post("stop")
            func put(_ change: (String) -> String) async throws {
                let answer = try await http.send(
                    "PUT", "/api/v1/tasks/t", change(TestAPI.task("t", ["a", "b"])))
                #expect(answer.status == 200, "\(answer.body)")
            }
            func with(_ more: String) -> (String) -> String {
                { $0.dropLast() + ",\(more)}" }
            }
            for change in [
                with(#""until":"caught-up""#), with(#""mode":"full""#),
                { $0.replacing("db2", with: "db3") },
            ] {
                try await finish("a")
                try await put(change)
                #expect(try await history("a")?.finish == nil)
                #expect(try await history("a")?.isStarted == true)
                try await finish("a")
                try await put { change($0).dropLast() + #","lanes":3}"# }
                #expect(try await history("a")?.finish != nil)
                try await put(change)
                try await put { $0 }
            }
            // Nothing is left of a task that is removed.
            #expect(try await http.send("DELETE", "/api/v1/tasks/t?force=true").status == 200)
            #expect(try await api.client.count(.prefix(KeyLayout.histories)) == 0)
        }
    }

    @Test("resuming a subtask that its target refuses gives it an epoch above the target's")
    func fenced() async throws {
        try await TestAPI.with { api, workers in
            let http = workers[0].http
            _ = try await http.send("POST", "/api/v1/sources", TestAPI.source("s"))
            _ = try await http.send("POST", "/api/v1/tasks?start=true", TestAPI.task("t", ["s"]))
            let key = KeyLayout.history(task: "t", source: "s")
            func fence(by epoch: Int64) async throws {
                var history = SubtaskHistory()
                history.isStarted = true
                history.fencedBy = epoch
                try await api.client.put(key, history.bytes())
            }
            func epoch() async throws -> Int? {
                try await http.send("GET", "/api/v1/sources/s").object?["epoch"] as? Int
            }
            func worker() async throws -> String? {
                try await http.send("GET", "/api/v1/sources/s").object?["worker"] as? String
            }
            try await api.bind("s", "w1", epoch: 1)
            try await fence(by: 40)
            #expect(try await http.send("POST", "/api/v1/tasks/t/pause").status == 200)
            #expect(try await epoch() == 1)
            #expect(try await http.send("POST", "/api/v1/tasks/t/resume").status == 200)
            #expect(try await epoch() == 41)
            #expect(try await worker() == "w1")
            #expect(try await http.send("POST", "/api/v1/tasks/t/resume").status == 200)
            #expect(try await epoch() == 41)
            // Bound anew since: what was found then is no reason any more.
            try await fence(by: 40)
            #expect(try await http.send("POST", "/api/v1/tasks/t/resume").status == 200)
            #expect(try await epoch() == 41)
            try await fence(by: .max)
            let refused = try await http.send("POST", "/api/v1/tasks/t/resume")
            #expect(refused.status == 409 && refused.code == "task.fenced")
        }
    }

    @Test("a task is checked by a worker, from settings and by its name, and nothing is stored")
    func checks() async throws {
        try await TestAPI.with { api, workers in
            let http = workers[0].http
            for name in ["good", "bad"] {
                _ = try await http.send("POST", "/api/v1/sources", TestAPI.source(name))
            }
            let task = TestAPI.task("t", ["good", "bad"], password: "target-pw")
            let checked = try await http.send("POST", "/api/v1/checks", task)
            #expect(checked.status == 200, "\(checked.body)")
            #expect(
                checked.data.map { $0["source_name"] as? String } == ["bad", "good"]
                    && checked.data.map { $0["is_passed"] as? Bool } == [false, true])
            #expect(!checked.body.contains("target-pw"))
            #expect(try await http.send("GET", "/api/v1/tasks").data.isEmpty)
            #expect(
                Set(workers[0].control.calls.withLock { $0 })
                    == ["check good target-pw", "check bad target-pw"])
            _ = try await http.send("POST", "/api/v1/tasks", task)
            let known = try await http.send("POST", "/api/v1/tasks/t/check")
            #expect(known.body == checked.body)
            #expect(
                try await http.send("POST", "/api/v1/tasks/x/check").code == "task.unknown")
            let unknown = try await http.send(
                "POST", "/api/v1/checks", TestAPI.task("t", ["nowhere"]))
            #expect(unknown.code == "source.unknown")
        }
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
            let other = TestAPI.task("t", ["a", "b"])
            for change in [
                ("db2", "db3"), (#""tables""#, #""into-existing":true,"tables""#),
                (#""tables""#, #""mode":"full","tables""#), ("writer", "other"),
            ] {
                let text = other.replacing(change.0, with: change.1)
                #expect(try await http.send("PUT", "/api/v1/tasks/t", text).code == "task.running")
            }
            // Other tables, and how fast.
            let tables = other.replacing("shop.*", with: "shop.a").replacing(
                #""tables""#, with: #""lanes":7,"readers":2,"memory":"1GiB","tables""#)
            let wider = try await http.send("PUT", "/api/v1/tasks/t", tables)
            #expect(wider.status == 200 && wider.body.contains("shop.a"), "\(wider.body)")
            #expect(wider.body.contains(#""stage":"running""#))
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
            #expect(took > .milliseconds(900) && took < .seconds(20), "\(took)")
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

    @Test("a comparison is begun on every source that can, and asked for again it goes on")
    func verify() async throws {
        try await TestAPI.with { api, workers in
            let http = workers[0].http
            for name in ["a", "b", "behind", "busy"] {
                _ = try await http.send("POST", "/api/v1/sources", TestAPI.source(name))
                try await api.bind(name, "w1")
            }
            _ = try await http.send(
                "POST", "/api/v1/tasks", TestAPI.task("t", ["a", "behind", "b", "busy"]))
            func post(_ body: String?) async throws -> RawHTTP.Answer {
                try await http.send("POST", "/api/v1/tasks/t/verify", body)
            }
            let none = try await post(#"{"source_name_list":[]}"#)
            #expect(none.code == "request.malformed", "\(none.body)")
            let unknown = try await post(#"{"source_name_list":["a","z"]}"#)
            #expect(unknown.code == "source.unknown", "\(unknown.body)")
            #expect(workers[0].control.calls.withLock { $0 } == [])
            // One that refuses keeps no other one from it, and is named.
            let all = try await post(nil)
            #expect(all.status == 409 && all.code == "verify.refused", "\(all.body)")
            #expect(all.body.contains("on 'behind' task 't' is not compared"), "\(all.body)")
            #expect(all.body.contains("is being compared on 'a', 'b', 'busy'"), "\(all.body)")
            #expect(workers[0].control.calls.withLock { $0 } == ["verify t a", "verify t b"])
            let again = try await post(#"{"source_name_list":["busy","a"]}"#)
            #expect(again.status == 200 && again.body.contains("'a', 'busy'"), "\(again.body)")
        }
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
}
