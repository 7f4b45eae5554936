internal import Cluster
internal import Metadata

/// What a worker knows of the cluster, as metrics.
struct ClusterMetrics {
    let cluster: ClusterState
    let isLeader: Bool
    let configuration: APIConfiguration
    let certificateEnd: Double?

    func write(to out: inout MetricsText) {
        func gauge(_ name: String, _ help: String, _ value: Int) {
            out.family(name, .gauge, help)
            out.sample(name, Double(value))
        }
        out.family("skein_info", .gauge, "The worker and its version.")
        out.sample(
            "skein_info", ["worker": configuration.worker, "version": configuration.version], 1)
        gauge("skein_cluster_leader", "1 when this worker leads the cluster.", isLeader ? 1 : 0)
        gauge("skein_cluster_workers", "Workers that are alive.", cluster.sessions.count)
        gauge("skein_cluster_sources", "Sources.", cluster.sources.count)
        gauge("skein_cluster_tasks", "Tasks.", cluster.tasks.count)
        gauge(
            "skein_cluster_unbound_sources", "Sources that should have a worker and have none.",
            cluster.unboundSources)
        gauge(
            "skein_cluster_unreadable_keys", "Keys of the store that this worker does not know.",
            cluster.unreadable.count)
        gauge(
            "skein_worker_bound_sources", "Sources that are bound to this worker.",
            cluster.bindings.values.count { $0.record.worker == configuration.worker })
        if let certificateEnd {
            let name = "skein_certificate_end_timestamp_seconds"
            out.family(name, .gauge, "When this worker's certificate ends, in seconds since 1970.")
            out.sample(name, certificateEnd)
        }
    }
}

extension ClusterState {
    /// How many sources should have a worker and have none.
    var unboundSources: Int {
        sources.count { name, source in
            source.record.isEnabled && bindings[name]?.record.worker == nil
        }
    }
}

/// How the store's answers come, as metrics.
struct StoreMetrics {
    let readings: [RequestMeasures.Reading]

    func write(to out: inout MetricsText) {
        let name = "skein_store_request_seconds"
        out.family(
            name, .histogram, "Requests to the store, all tries of each together, by its methods.")
        for it in readings { out.samples(name, ["method": it.method], it.times) }
        let failures = "skein_store_request_failures_total"
        out.family(failures, .counter, "Requests to the store that failed, by what was told.")
        for it in readings {
            for (code, count) in it.failures.sorted(by: { "\($0.key)" < "\($1.key)" }) {
                out.sample(failures, ["method": it.method, "code": "\(code)"], Double(count))
            }
        }
    }
}
