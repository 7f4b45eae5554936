internal import Runtime
internal import Synchronization

/// How many requests came, and how long they took. The labels are the API's own paths, so that no
/// caller can make more of them.
final class RequestMetrics: Sendable {
    private struct Key: Hashable {
        let route: String
        let method: String
        let status: Int
    }
    private let state = Mutex<(requests: [Key: UInt64], times: [String: DurationHistogram])>(
        ([:], [:]))

    /// Counts an answered request.
    func record(route: String, method: String, status: Int, time: Duration) {
        let histogram = state.withLock { state in
            state.requests[Key(route: route, method: method, status: status), default: 0] += 1
            let histogram = state.times[route] ?? DurationHistogram()
            state.times[route] = histogram
            return histogram
        }
        histogram.record(time)
    }

    /// Writes the families.
    func write(to out: inout MetricsText) {
        let (requests, times) = state.withLock { ($0.requests, $0.times) }
        out.family("skein_http_requests_total", .counter, "Requests that were answered.")
        let keys = requests.keys.sorted {
            ($0.route, $0.method, $0.status) < ($1.route, $1.method, $1.status)
        }
        for key in keys {
            out.sample(
                "skein_http_requests_total",
                ["route": key.route, "method": key.method, "status": "\(key.status)"],
                Double(requests[key] ?? 0))
        }
        let name = "skein_http_request_seconds"
        out.family(name, .histogram, "Time from the head of a request to its answer.")
        for (route, histogram) in times.sorted(by: { $0.key < $1.key }) {
            out.samples(name, ["route": route], histogram.reading)
        }
    }
}
