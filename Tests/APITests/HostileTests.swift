import Cluster
import Foundation
import Glibc
import Logging
import Metadata
import Settings
import Synchronization
import Testing

@testable import API

@Suite("Wrong, hostile and unlucky requests", .enabled(if: TestAPI.isAvailable))
struct HostileTests {
    @Test("wrong input of every kind gets its code, and harms nothing")
    func wrongInput() async throws {
        try await TestAPI.with { api, workers in
            let http = workers[0].http
            let json = "Content-Type: application/json"
            let deep = String(repeating: "[", count: 100_000)
            let cases: [(String, String, String?, [String], Int, String)] = [
                ("GET", "/", nil, [], 404, "request.unknown-path"),
                ("GET", "/api/v1/nothing", nil, [], 404, "request.unknown-path"),
                ("GET", "/api/v1/sources/", nil, [], 400, "request.malformed"),
                ("PATCH", "/api/v1/sources", nil, [], 405, "request.method"),
                ("DELETE", "/api/v1/tasks/t/status", nil, [], 405, "request.method"),
                ("GET", "/api/v1/sources/a%2Fb", nil, [], 400, "request.malformed"),
                ("GET", "/api/v1/sources/..%2f..", nil, [], 400, "request.malformed"),
                ("GET", "/api/v1/sources/%ff", nil, [], 400, "request.malformed"),
                ("GET", "/api/v1/sources?with_status=maybe", nil, [], 400, "request.malformed"),
                ("POST", "/api/v1/sources", nil, [], 400, "settings.invalid"),
                ("POST", "/api/v1/sources", "", [json], 400, "settings.invalid"),
                ("POST", "/api/v1/sources", "{", [json], 400, "settings.invalid"),
                ("POST", "/api/v1/sources", "null", [json], 400, "settings.invalid"),
                ("POST", "/api/v1/sources", deep, [json], 400, "settings.invalid"),
                ("POST", "/api/v1/sources", deep, [], 400, "settings.invalid"),
                ("POST", "/api/v1/sources", "a: &x [*x]", [], 400, "settings.invalid"),
                ("POST", "/api/v1/sources", "a: b: c", [], 400, "settings.invalid"),
                ("POST", "/api/v1/sources", "\u{0}\u{1}", [], 400, "settings.invalid"),
                (
                    "POST", "/api/v1/sources", "<xml/>", ["Content-Type: text/xml"], 400,
                    "request.malformed"
                ),
                ("POST", "/api/v1/sources", TestAPI.source("a/b"), [json], 400, "settings.invalid"),
                ("POST", "/api/v1/tasks", TestAPI.task("t", []), [json], 400, "settings.invalid"),
                ("PUT", "/api/v1/sources/x", TestAPI.source("y"), [json], 400, "settings.invalid"),
                ("PUT", "/api/v1/sources/x", TestAPI.source("x"), [json], 404, "source.unknown"),
                (
                    "PUT", "/api/v1/sources/x", TestAPI.source("x"), ["If-Match: no"], 400,
                    "request.malformed"
                ),
                ("DELETE", "/api/v1/sources/x", nil, ["If-Match: 7"], 400, "request.malformed"),
                ("POST", "/api/v1/tasks/x/start", "[1]", [json], 400, "request.malformed"),
                (
                    "POST", "/api/v1/tasks/x/start", #"{"source_name_list":5}"#, [json], 400,
                    "request.malformed"
                ),
                ("POST", "/api/v1/tasks/x/start", nil, [], 404, "task.unknown"),
                ("POST", "/api/v1/sources/x/enable", nil, [], 404, "source.unknown"),
                (
                    "POST", "/api/v1/sources/x/transfer", #"{"worker_name":"../x"}"#, [json], 404,
                    "worker.unknown"
                ),
                (
                    "POST", "/api/v1/sources", "x", ["Content-Length: 99999999"], 413,
                    "request.too-large"
                ),
                ("GET", "/api/v1/sources", nil, ["Host: evil.test"], 403, "request.host"),
                (
                    "POST", "/api/v1/sources", "{}", ["Origin: http://evil.test"], 403,
                    "request.host"
                ),
            ]
            for (method, path, body, headers, status, code) in cases {
                let answer = try await http.send(method, path, body, headers: headers)
                let what = "\(method) \(path) \(body?.prefix(40) ?? "") \(headers)"
                #expect(answer.status == status && answer.code == code, "\(what): \(answer.body)")
            }
            #expect(try await http.send("PATCH", "/api/v1/sources").head.contains("GET, POST"))
            for nonsense in ["\u{0}\u{1}\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n"] {
                _ = try await http.exchange([nonsense])
            }
            let huge =
                "GET / HTTP/1.1\r\nHost: x\r\nA: \(String(repeating: "a", count: 1 << 20))\r\n\r\n"
            _ = try await http.exchange([huge])
            #expect(try await http.send("GET", "/healthz").status == 200)
            #expect(try await api.client.count(.prefix(KeyLayout.sources)) == 0)
        }
    }

    @Test("a name that somebody has made to point to a worker is not the worker's, on any address")
    func names() async throws {
        try await TestAPI.with(configure: {
            $0.host = "0.0.0.0"
            $0.isInsecure = true
            $0.advertisedHost = "Worker.example"
        }) { _, workers in
            let http = workers[0].http
            for (host, status) in [
                ("evil.example:8261", 403), ("evil.example", 403), ("127.0.0.1.evil.example", 403),
                ("", 403), ("worker.example:8261", 200), ("10.0.0.2:8261", 200),
                ("[fe80::1]:8261", 200), ("localhost:1", 200),
            ] {
                let answer = try await http.send(
                    "GET", "/api/v1/sources", headers: ["Host: \(host)"])
                #expect(answer.status == status, "\(host): \(answer.body)")
            }
        }
    }

    @Test("a store that refuses to be read ends nothing; what it said last is answered")
    func refusedReading() async throws {
        let followed = FollowedState()
        let tries = Mutex(0)
        let running = Task {
            try await followed.run(Logger(label: "api") { _ in SwiftLogNoOpLogHandler() }) { tell in
                switch tries.withLock({
                    $0 += 1
                    return $0
                }) {
                case 1: throw MetadataError(.refused, "permission denied")
                case 2:
                    tell(.all([], at: 7))
                    throw MetadataError(.invalid, "corrupt")
                default: try await Task.sleep(for: .seconds(3600))
                }
            }
        }
        try await eventually { tries.withLock { $0 } == 3 }
        #expect(followed.isKnown && followed.cluster.revision == 7)
        running.cancel()
        await #expect(throws: CancellationError.self) { try await running.value }
    }

    @Test("a body that is too large or too slow is refused, and a silent client is let go")
    func bodies() async throws {
        try await TestAPI.with(configure: { $0.arrivalLimit = .seconds(1) }) { _, workers in
            let http = workers[0].http
            let head = "POST /api/v1/sources HTTP/1.1\r\nHost: 127.0.0.1:\(http.port)\r\n"
            let chunk = "10000\r\n\(String(repeating: "x", count: 0x10000))\r\n"
            let chunked = try await http.exchange(
                [head + "Transfer-Encoding: chunked\r\n\r\n"] + Array(repeating: chunk, count: 40))
            #expect(chunked.status == 413 && chunked.code == "request.too-large")
            let slow = try await http.exchange(
                [head + "Content-Length: 9\r\n\r\n"] + Array(repeating: "a", count: 6),
                pause: 300_000)
            #expect(slow.status == 408 && slow.code == "request.too-slow", "\(slow)")
            // Whoever is refused can't hold the connection by a body that never ends.
            let refused = try await http.exchange(
                ["POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 999\r\n\r\n"]
                    + Array(repeating: "a", count: 16), pause: 300_000)
            #expect(refused.code == "request.unknown-path")
            let start = ContinuousClock.now
            let silent = try await http.exchange(["POST /api"])
            #expect(silent.status == 0 && start.duration(to: .now) < .seconds(8))
        }
    }

    @Test(
        "a token is needed, must be known, and may only do what its role may",
        .timeLimit(.minutes(5)))
    func tokens() async throws {
        try await TestAPI.with(
            ["w1", "w2"],
            configure: {
                $0.tokens.add("look", .read)
                $0.tokens.add("change", .admin)
            }
        ) { api, workers in
            let http = workers[0].http
            let paths = try await http.send("GET", "/api/v1/openapi.json").object?["paths"]
            let table = try #require(paths as? [String: [String: [String: Any]]])
            var open: [String] = []
            for (path, methods) in table {
                for (method, operation) in methods {
                    let path = path.replacing(/\{\w+\}/, with: "x")
                    func send(_ token: String?) async throws -> RawHTTP.Answer {
                        try await http.send(method.uppercased(), path, token: token)
                    }
                    let none = try await send(nil)
                    if (operation["security"] as? [Any])?.isEmpty == true {
                        open.append(path)
                        #expect(none.status == 200, "\(path)")
                        continue
                    }
                    #expect(none.status == 401 && none.code == "auth.required", "\(path)")
                    #expect(none.head.lowercased().contains("www-authenticate: bearer"))
                    #expect(try await send("guess").status == 401, "\(path)")
                    let read = try await send("look")
                    #expect((read.code == "auth.forbidden") == (method != "get"), "\(path)")
                    #expect(try await ![401, 403].contains(send("change").status), "\(path)")
                }
            }
            #expect(open.sorted() == ["/api/v1/openapi.json", "/healthz", "/readyz"])
            // Workers trust each other by the cluster's key, whatever the caller's role.
            _ = try await http.send("POST", "/api/v1/sources", TestAPI.source("s"), token: "change")
            try await api.bind("s", "w2")
            let status = try await http.send(
                "GET", "/api/v1/cluster/workers?with_status=1", token: "look")
            #expect(status.code == "request.malformed")
            let all = try await http.send(
                "GET", "/api/v1/cluster/workers?with_status=true", token: "look")
            #expect(all.data.map { $0["is_reachable"] as? Bool } == [true, true], "\(all.body)")
        }
    }

    @Test("of many who change one thing at once, all but one are told")
    func races() async throws {
        try await TestAPI.with { api, workers in
            let http = workers[0].http
            func all(_ body: @Sendable @escaping (Int) async throws -> Int) async throws -> [Int] {
                try await withThrowingTaskGroup(of: Int.self) { group in
                    for number in 0..<16 { group.addTask { try await body(number) } }
                    return try await group.reduce(into: []) { $0.append($1) }
                }
            }
            let created = try await all { number in
                try await http.send(
                    "POST", "/api/v1/sources", TestAPI.source("s", password: "p\(number)")
                ).status
            }
            #expect(created.count { $0 == 201 } == 1 && created.count { $0 == 409 } == 15)
            let seen =
                try await http.send("GET", "/api/v1/sources/s").object?["revision"] as? Int ?? 0
            let updated = try await all { number in
                try await http.send(
                    "PUT", "/api/v1/sources/s",
                    "source: {url: 'mysql://u@h\(number)', password: p}",
                    headers: ["If-Match: \(seen)"]
                ).status
            }
            #expect(updated.count { $0 == 200 } == 1 && updated.count { $0 == 412 } == 15)
            // Changes of different parts of one record all arrive.
            let actions = ["disable", "relay/disable"]
            let parts = try await all { number in
                try await http.send("POST", "/api/v1/sources/s/\(actions[number % 2])").status
            }
            #expect(parts.allSatisfy { $0 == 200 }, "\(parts)")
            let both = try await http.send("GET", "/api/v1/sources/s").body
            #expect(both.contains("\"enable\":false") && both.contains("\"relay\":false"))
            for round in 0..<12 {
                _ = try await http.send("POST", "/api/v1/sources", TestAPI.source("r\(round)"))
                async let task = http.send(
                    "POST", "/api/v1/tasks", TestAPI.task("t\(round)", ["r\(round)"]))
                async let removal = http.send("DELETE", "/api/v1/sources/r\(round)")
                let (made, removed) = try await (task.status, removal.status)
                #expect(
                    [[201, 409], [404, 200]].contains([made, removed]), "\(made) \(removed)")
            }
            _ = api
        }
    }

    @Test("without the store changes are refused in time, and what is known is still told")
    func noMajority() async throws {
        try await TestAPI.with { api, workers in
            let http = workers[0].http
            _ = try await http.send("POST", "/api/v1/sources", TestAPI.source("s"))
            let pid = try #require(api.store.pid)
            // A member that hangs; the supervisor would start a dead one again.
            kill(pid, SIGSTOP)
            let start = ContinuousClock.now
            let refused = try await http.send("POST", "/api/v1/sources", TestAPI.source("t"))
            #expect([503, 504].contains(refused.status), "\(refused.body)")
            #expect(["unavailable", "outcome-unknown"].contains(refused.code ?? ""))
            #expect(start.duration(to: .now) < .seconds(8))
            let known = try await http.send("GET", "/api/v1/sources")
            #expect(known.status == 200 && known.data.count == 1)
            let again = try await http.send("POST", "/api/v1/sources/s/disable")
            #expect(again.status == 503 && again.code == "unavailable", "\(again.body)")
            #expect(again.body.contains("replication goes on"))
            let info = try await http.send("GET", "/api/v1/cluster/info").object
            #expect(info?["is_store_available"] as? Bool == false)
            #expect(try await http.send("GET", "/healthz").status == 200)
            if let pid = api.store.pid { kill(pid, SIGCONT) }
            try await eventually {
                try await http.send("POST", "/api/v1/sources/s/disable").status == 200
            }
        }
    }

    @Test("no answer, no log line, no metric and no value in the store shows a password")
    func secrets() async throws {
        try await TestAPI.with { api, workers in
            let http = workers[0].http
            let secret = "hunter2-\u{00fc}ber"
            var seen = ""
            func send(_ method: String, _ path: String, _ body: String? = nil) async throws {
                let answer = try await http.send(method, path, body)
                seen += "\(method) \(path)\n\(answer.head)\n\(answer.body)\n"
            }
            try await send("POST", "/api/v1/sources", TestAPI.source("s", password: secret))
            try await send("POST", "/api/v1/sources", TestAPI.source("s", password: secret))
            try await send("POST", "/api/v1/tasks", TestAPI.task("t", ["s"], password: secret))
            try await send("PUT", "/api/v1/sources/s", TestAPI.source("s", password: secret))
            // A password in every wrong place.
            for body in [
                "source-id: x\nsource: mysql://u:\(secret)@h",
                "source-id: x\nsource: {host: h, user: u, passwort: \(secret)}",
                "source-id: x\nsource: {host: h, user: u, password: [\(secret)]}",
                "source-id: x\nsource: {host: h, user: u, password: \(secret)",
                "{\"source\":{\"password\":\"\(secret)\"",
            ] { try await send("POST", "/api/v1/sources", body) }
            for path in [
                "/api/v1/sources", "/api/v1/sources/s", "/api/v1/tasks", "/api/v1/tasks/t",
                "/api/v1/tasks/t/status", "/api/v1/cluster/info", "/api/v1/local/status",
                "/metrics",
            ] { try await send("GET", path) }
            try await send("POST", "/api/v1/sources/s/relay/disable")
            let stored = try await api.client.list(.prefix(KeyLayout.root)).values
            seen += stored.map { "\($0.key) \(String(decoding: $0.value, as: UTF8.self))" }
                .joined(separator: "\n")
            seen += api.log.text
            #expect(seen.contains("password-encrypted") && seen.contains("skein_info"))
            #expect(!seen.contains("hunter2"))
            // It is there all the same, also after updates that did not give it.
            try await send("PUT", "/api/v1/sources/s", "source: mysql://reader@db1")
            let value = try #require(try await api.client.get(KeyLayout.source("s")))
            let record = try JSONDecoder().decode(SourceRecord.self, from: Data(value.value))
            let settings = try SourceSettings(
                stored: record.settings, api.secrets, key: KeyLayout.source("s"))
            #expect(settings.sentText.contains("hunter2"))
        }
    }

    @Test("a thousand connections at once are served")
    func connections() async throws {
        try await TestAPI.with { _, workers in
            let http = workers[0].http
            var limit = rlimit()
            getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
            // This process holds both ends.
            try #require(limit.rlim_cur >= 2300, "the limit of open files was not raised")
            var files: [Int32] = []
            defer { for file in files { close(file) } }
            for _ in 0..<1000 { files.append(try RawHTTP.connect(http.port)) }
            let request = "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
            for file in files {
                _ = request.withCString { Glibc.send(file, $0, request.utf8.count, 0) }
            }
            var served = 0
            var buffer = [UInt8](repeating: 0, count: 4096)
            for file in files where read(file, &buffer, buffer.count) > 12 {
                if String(decoding: buffer[..<12], as: UTF8.self) == "HTTP/1.1 200" { served += 1 }
            }
            #expect(served == 1000)
            #expect(try await http.send("GET", "/api/v1/sources").status == 200)
        }
    }
}

extension SourceSettings {
    /// With the password.
    fileprivate var sentText: String { (try? sent().document) ?? "" }
}
