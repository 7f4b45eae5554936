import Foundation
import Synchronization
import Testing
import Worker

@testable import API

@Suite("Metrics", .enabled(if: TestAPI.isAvailable))
struct MetricsTests {
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
            // Times: cumulative, with the longest in the last bucket alone.
            let commit = "skein_subtask_commit_seconds"
            let times = labels.dropLast()
            #expect(text.contains("\(commit)_bucket\(times),le=\"0.0005\"} 1\n"))
            #expect(text.contains("\(commit)_bucket\(times),le=\"0.05\"} 3\n"))
            #expect(text.contains("\(commit)_bucket\(times),le=\"3600\"} 3\n"))
            #expect(text.contains("\(commit)_bucket\(times),le=\"+Inf\"} 4\n"))
            #expect(text.contains("\(commit)_count\(labels) 4\n"))
            #expect(text.contains("skein_subtask_queue_bytes\(labels) 100\n"))
            #expect(text.contains("skein_store_request_seconds_count{method=\"Range\"} "))
            let families = try Exposition(text).families
            #expect(families["skein_subtask_commit_seconds"]?.kind == "histogram")
            #expect(families["skein_store_request_seconds"]?.kind == "histogram")
            // Nothing that a caller can make more of.
            let known: Set = [
                "task", "source", "stage", "code", "retryable", "state", "route", "method",
                "status", "worker", "version", "le",
            ]
            for (name, family) in families {
                for sample in family.samples {
                    #expect(known.isSuperset(of: sample.labels.keys), "\(name)")
                }
                // Base units.
                for unit in ["_ms", "_milliseconds", "_microseconds", "_kib", "_mb", "_percent"] {
                    #expect(!name.hasSuffix(unit), "\(name)")
                }
                #expect((family.kind == "counter") == name.hasSuffix("_total"), "\(name)")
            }
            _ = api
        }
    }

    @Test("the parser of these tests is strict")
    func strictness() {
        let good = "# HELP a_total A.\n# TYPE a_total counter\na_total{x=\"\\\"\\n\"} 1\n"
        #expect(throws: Never.self) { try Exposition(good) }
        for bad in [
            "a_total 1\n", good + "a_total{x=\"\\\"\\n\"} 2\n", good.replacing("1\n", with: "1"),
            good.replacing("counter", with: "count"), good + "a_total{x=\"y} 1\n",
            good + "a_total{x=\"y\",x=\"z\"} 1\n", good + "a_total{X-y=\"y\"} 1\n",
            good + "a_total{x=\"\\t\"} 1\n", good + "a_total -1\n", good + "a_total one\n",
            good + good,
            good + "# HELP b B.\n# TYPE b gauge\nb 1\na_total{x=\"later\"} 1\n",
            "# HELP h H.\n# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\n"
                + "h_count 1\n",
            "# HELP h H.\n# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_sum 1\nh_count 2\n",
            "# HELP h H.\n# TYPE h histogram\nh_bucket{le=\"+Inf\"} 2\nh_sum 1\nh_count 3\n",
        ] {
            #expect(throws: Exposition.Malformed.self, "\(bad)") { try Exposition(bad) }
        }
    }
}
