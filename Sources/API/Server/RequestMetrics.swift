internal import Synchronization

/// How many requests came, and how long they took. The labels are the API's own paths, so that no
/// caller can make more of them.
final class RequestMetrics: Sendable {
    private struct Key: Hashable {
        let route: String
        let method: String
        let status: Int
    }
    private struct Histogram {
        var counts = [UInt64](repeating: 0, count: RequestMetrics.bounds.count)
        var total: UInt64 = 0
        var sum = 0.0
    }
    /// Upper bounds in seconds.
    private static let bounds = [0.001, 0.005, 0.02, 0.1, 0.5, 1, 2, 5]
    private let state = Mutex<(requests: [Key: UInt64], times: [String: Histogram])>(([:], [:]))

    /// Counts an answered request.
    func record(route: String, method: String, status: Int, seconds: Duration) {
        let time =
            Double(seconds.components.seconds) + Double(seconds.components.attoseconds) / 1e18
        state.withLock { state in
            state.requests[Key(route: route, method: method, status: status), default: 0] += 1
            var histogram = state.times[route] ?? Histogram()
            for (index, bound) in Self.bounds.enumerated() where time <= bound {
                histogram.counts[index] += 1
            }
            histogram.total += 1
            histogram.sum += time
            state.times[route] = histogram
        }
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
            for (bound, count) in zip(Self.bounds, histogram.counts) {
                out.sample(name + "_bucket", ["route": route, "le": "\(bound)"], Double(count))
            }
            out.sample(
                name + "_bucket", ["route": route, "le": "+Inf"], Double(histogram.total))
            out.sample(name + "_sum", ["route": route], histogram.sum)
            out.sample(name + "_count", ["route": route], Double(histogram.total))
        }
    }
}
