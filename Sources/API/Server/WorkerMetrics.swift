internal import Cluster
internal import MySQLCore
internal import Worker

/// What a worker measures of its subtasks and relay logs, as metrics.
struct WorkerMetrics {
    let status: WorkerStatus

    private typealias Progress = MigrationStatus

    private func labels(_ it: SubtaskStatus) -> KeyValuePairs<String, String> {
        ["task": it.task, "source": it.source]
    }

    func write(to out: inout MetricsText) {
        writeStages(&out)
        gauge(&out, "skein_subtask_lag_seconds", "How far the target is behind the source.") {
            $0.lagMilliseconds.map { Double($0) / 1000 }
        }
        counter(&out, "skein_subtask_transactions_total", "Source transactions applied.") {
            $0.transactions
        }
        counter(&out, "skein_subtask_row_changes_total", "Row changes applied.") { $0.rowChanges }
        counter(&out, "skein_subtask_binlog_bytes_total", "Bytes of binlog read.") {
            $0.binlogBytes
        }
        counter(&out, "skein_subtask_ddl_statements_total", "DDL statements applied.") {
            $0.ddlStatements
        }
        counter(&out, "skein_subtask_retries_total", "Tries again after errors that may pass.") {
            $0.retries
        }
        gauge(&out, "skein_subtask_copied_rows", "Rows copied.") {
            Double($0.tables.reduce(UInt64(0)) { $0 &+ $1.rows })
        }
        gauge(&out, "skein_subtask_expected_rows", "Rows to copy, as the source estimates them.") {
            Double(
                $0.tables.reduce(UInt64(0)) { $0 &+ max($1.rows, $1.isDone ? 0 : $1.estimatedRows) }
            )
        }
        gauge(&out, "skein_subtask_copied_bytes", "Bytes copied.") {
            Double($0.tables.reduce(UInt64(0)) { $0 &+ $1.bytes })
        }
        place(&out, "skein_subtask_binlog", "up to which all is durably applied") { $0.position }
        place(&out, "skein_subtask_source_binlog", "that the source has written") {
            $0.sourcePosition
        }
        writeRelays(&out)
    }

    private func writeStages(_ out: inout MetricsText) {
        out.family(
            "skein_subtask_stage", .gauge, "1 for the stage that a subtask is in, 0 for others.")
        for it in status.subtasks {
            let stages: [SubtaskStatus.Stage] = [
                .new, .running, .pausing, .paused, .stopped, .finished,
            ]
            for stage in stages {
                out.sample(
                    "skein_subtask_stage",
                    ["task": it.task, "source": it.source, "stage": stage.rawValue],
                    it.stage == stage ? 1 : 0)
            }
        }
        out.family("skein_subtask_error", .gauge, "1 for the error that a subtask has, by code.")
        for it in status.subtasks {
            guard let error = it.error else { continue }
            out.sample(
                "skein_subtask_error",
                [
                    "task": it.task, "source": it.source, "code": error.code,
                    "retryable": "\(error.isRetryable)",
                ], 1)
        }
        out.family("skein_subtask_attempts", .gauge, "Tries since a subtask was last well.")
        for it in status.subtasks {
            out.sample("skein_subtask_attempts", labels(it), Double(it.attempts))
        }
        out.family("skein_subtask_epoch", .gauge, "Epoch of the binding that a subtask runs under.")
        for it in status.subtasks {
            out.sample("skein_subtask_epoch", labels(it), Double(it.epoch))
        }
    }

    private func writeRelays(_ out: inout MetricsText) {
        out.family("skein_relay_bytes", .gauge, "Bytes of a relay log's files.")
        for relay in status.relays {
            out.sample("skein_relay_bytes", ["source": relay.source], Double(relay.log.bytes))
        }
        out.family("skein_relay_limit_bytes", .gauge, "Bytes that a relay log may take.")
        for relay in status.relays {
            guard let limit = relay.log.limitBytes else { continue }
            out.sample("skein_relay_limit_bytes", ["source": relay.source], Double(limit))
        }
        out.family("skein_relay_state", .gauge, "1 for the state that a relay log is in.")
        for relay in status.relays {
            for state in ["connecting", "running", "paused", "ended"] {
                out.sample(
                    "skein_relay_state", ["source": relay.source, "state": state],
                    relay.log.state == state ? 1 : 0)
            }
        }
        let places = status.relays.map { relay in
            (["source": relay.source] as KeyValuePairs, binlog(relay.log.position))
        }
        place(&out, "skein_relay_binlog", "up to which a relay log is written", places)
    }

    // MARK: Families

    private func gauge(
        _ out: inout MetricsText, _ name: String, _ help: String,
        _ value: (MigrationStatus) -> Double?
    ) {
        out.family(name, .gauge, help)
        for it in status.subtasks {
            guard let value = it.progress.flatMap(value) else { continue }
            out.sample(name, labels(it), value)
        }
    }

    private func counter(
        _ out: inout MetricsText, _ name: String, _ help: String,
        _ value: (MigrationStatus) -> UInt64
    ) {
        out.family(name, .counter, help)
        for it in status.subtasks {
            guard let progress = it.progress else { continue }
            out.sample(name, labels(it), Double(value(progress)))
        }
    }

    private func place(
        _ out: inout MetricsText, _ name: String, _ what: String,
        _ text: (MigrationStatus) -> String?
    ) {
        place(
            &out, name, what,
            status.subtasks.map { (labels($0), binlog($0.progress.flatMap(text))) })
    }

    /// A position is two numbers: one would not tell a new file from a step back.
    private func place(
        _ out: inout MetricsText, _ name: String, _ what: String,
        _ places: [(KeyValuePairs<String, String>, BinlogPosition?)]
    ) {
        out.family(name + "_file", .gauge, "Number of the binlog file \(what).")
        for (labels, position) in places {
            if let position { out.sample(name + "_file", labels, Double(position.fileNumber)) }
        }
        out.family(name + "_offset_bytes", .gauge, "Offset in the binlog file \(what).")
        for (labels, position) in places {
            if let position { out.sample(name + "_offset_bytes", labels, Double(position.offset)) }
        }
    }

    /// The binlog's place in a position's text; the GTIDs behind it have no number.
    private func binlog(_ text: String?) -> BinlogPosition? {
        text.flatMap { BinlogPosition(String($0.prefix { $0 != " " })) }
    }
}

/// What a worker knows of the cluster, as metrics.
struct ClusterMetrics {
    let cluster: ClusterState
    let isLeader: Bool
    let configuration: APIConfiguration

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
