import API
import Foundation
import TestServers
import Testing

/// New settings of a source, and what other requests have changed of it meanwhile.
@Suite("Updates of sources", .enabled(if: TestAPI.isAvailable))
struct SourceUpdateTests {
    private static func settings(_ http: RawHTTP, _ name: String) async throws -> [String: Any] {
        let answer = try await http.send("GET", "/api/v1/sources/\(name)")
        return answer.object?["settings"] as? [String: Any] ?? [:]
    }

    private static let files: [(text: String, relay: String)] = [
        (TestAPI.source("s"), "relay"),
        (
            """
            {"source-id":"s","enable-relay":true,\
            "from":{"host":"db1","user":"reader","password":"pw"}}
            """, "enable-relay"
        ),
    ]

    @Test(
        "keep what enable, relay start and relay stop have done, unless it is named",
        arguments: [0, 1])
    func kept(form: Int) async throws {
        let (file, relay) = Self.files[form]
        // The first time it is not named, so that it can't be kept by being said again.
        let plain = file.replacing("\"enable-relay\":true,", with: "")
        try await TestAPI.with { _, workers in
            let http = workers[0].http
            func put(_ more: String = "") async throws {
                let text = plain.dropLast(plain.hasSuffix("\n") ? 2 : 1) + more + "}"
                let answer = try await http.send("PUT", "/api/v1/sources/s", String(text))
                #expect(answer.status == 200, "\(answer.body)")
            }
            func post(_ action: String, _ body: String? = nil) async throws {
                let answer = try await http.send("POST", "/api/v1/sources/s/\(action)", body)
                #expect(answer.status == 200, "\(answer.body)")
            }
            #expect(try await http.send("POST", "/api/v1/sources", file).status == 201)
            try await post("disable")
            try await post("relay/enable", #"{"worker_name":"w1"}"#)
            try await post("relay/disable")
            try await put()
            var found = try await Self.settings(http, "s")
            #expect(found["enable"] as? Bool == false)
            #expect(found["relay-workers"] as? [String] == ["w1"])
            #expect(found[relay] as? Bool ?? false == false)
            try await post("relay/enable")
            try await put()
            #expect(try await Self.settings(http, "s")[relay] as? Bool == true)
            // Named, it counts.
            try await put(#","enable":true,"relay-workers":[],"\#(relay)":false"#)
            found = try await Self.settings(http, "s")
            #expect(found["enable"] == nil && found["relay-workers"] == nil, "\(found)")
            #expect(found[relay] as? Bool ?? false == false)
            // Without a value it is not named.
            try await post("disable")
            try await put(#","enable":null"#)
            #expect(try await Self.settings(http, "s")["enable"] as? Bool == false)
            // What no other request changes is replaced as a whole.
            try await put(#","workers":["w1"],"relay-replicas":2"#)
            try await put()
            found = try await Self.settings(http, "s")
            #expect(found["workers"] == nil && found["relay-replicas"] == nil, "\(found)")
        }
    }

    @Test("send from the command line what the file names, and no more")
    func commandLine() async throws {
        try await TestAPI.with { _, workers in
            let skein = SkeinCommandLine(environment: [
                "SKEIN_ENDPOINT": "127.0.0.1:\(workers[0].http.port)",
                "SKEIN_SOURCE_PASSWORD": "pw",
            ])
            func run(_ arguments: String..., input: String = "") async throws {
                let outcome = try await skein.run(arguments, input: input)
                #expect(outcome.status == 0, "\(arguments) \(outcome)")
            }
            for (name, server, relay) in [
                ("short", "source", "relay"), ("file", "from", "enable-relay"),
            ] {
                let text = "source-id: \(name)\n\(server): {host: db1, user: reader}\n"
                try await run("source", "add", "-", input: text)
                try await run("source", "disable", name)
                try await run("relay", "start", name, "--worker", "w1")
                try await run("relay", relay == "relay" ? "stop" : "start", name)
                try await run("source", "update", "-", input: text)
                var found = try await Self.settings(workers[0].http, name)
                #expect(found["enable"] as? Bool == false, "\(found)")
                #expect(found["relay-workers"] as? [String] == ["w1"], "\(found)")
                #expect(found[relay] as? Bool ?? false == (relay != "relay"), "\(found)")
                let all = text + "enable: true\nrelay-workers: []\n\(relay): \(relay == "relay")\n"
                try await run("source", "update", "-", input: all)
                found = try await Self.settings(workers[0].http, name)
                #expect(found["enable"] == nil && found["relay-workers"] == nil, "\(found)")
                #expect(found[relay] as? Bool ?? false == (relay == "relay"), "\(found)")
            }
        }
    }
}
