internal import MySQLCore
internal import Runtime
internal import Worker

/// What a worker measures of its subtasks and relay logs, as metrics.
struct WorkerMetrics {
    let status: WorkerStatus
    let measures: [SubtaskMeasures]

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
            Double($0.files?.rows ?? $0.tables.reduce(UInt64(0)) { $0 &+ $1.rows })
        }
        gauge(&out, "skein_subtask_expected_rows", "Rows to copy, as the source estimates them.") {
            Double(
                $0.tables.reduce(UInt64(0)) { $0 &+ max($1.rows, $1.isDone ? 0 : $1.estimatedRows) }
            )
        }
        gauge(&out, "skein_subtask_copied_bytes", "Bytes copied.") {
            Double($0.files?.bytes ?? $0.tables.reduce(UInt64(0)) { $0 &+ $1.bytes })
        }
        place(&out, "skein_subtask_binlog", "up to which all is durably applied") { $0.position }
        place(&out, "skein_subtask_source_binlog", "that the source has written") {
            $0.sourcePosition
        }
        times(
            &out, "skein_subtask_commit_seconds",
            "Target transactions, from the first statement to the answer to COMMIT."
        ) { $0.commit }
        times(
            &out, "skein_subtask_transaction_lag_seconds",
            "From a transaction's commit on the source to its commit on the target."
        ) { $0.lag }
        times(&out, "skein_subtask_ddl_seconds", "DDL statements on the target.") { $0.ddl }
        times(
            &out, "skein_subtask_chunk_seconds",
            "Chunks of the copy, from the query to the commit on the target."
        ) { $0.chunk }
        queue(
            &out, "skein_subtask_queue_bytes", "Bytes of transactions that wait or are applied."
        ) { $0.queueBytes }
        queue(
            &out, "skein_subtask_queue_limit_bytes",
            "Bytes in the queue from which on nothing more is read."
        ) { $0.queueLimitBytes }
        writeValidations(&out)
        writeRelays(&out)
    }

    private func writeValidations(_ out: inout MetricsText) {
        counter(
            &out, "skein_subtask_validated_rows_total", "Changed rows that were compared."
        ) { $0.validation?.rows }
        counter(
            &out, "skein_subtask_unvalidated_rows_total",
            "Changed rows that could not be compared."
        ) { $0.validation?.lostRows }
        gauge(&out, "skein_subtask_pending_rows", "Changed rows that differed just now.") {
            $0.validation.map { Double($0.pendingRows) }
        }
        gauge(
            &out, "skein_subtask_differing_rows",
            "Changed rows that differ for longer than they may."
        ) { $0.validation.map { Double($0.differingRows) } }
        place(&out, "skein_subtask_validated_binlog", "up to which changed rows are compared") {
            $0.validation?.position
        }
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

    /// Those of which nothing was measured are left out: a worker may have a thousand that rest.
    private func times(
        _ out: inout MetricsText, _ name: String, _ help: String,
        _ value: (SubtaskMeasures) -> DurationHistogram.Reading
    ) {
        out.family(name, .histogram, help)
        for it in measures where value(it).count > 0 {
            out.samples(name, ["task": it.task, "source": it.source], value(it))
        }
    }

    private func queue(
        _ out: inout MetricsText, _ name: String, _ help: String,
        _ value: (SubtaskMeasures) -> Int
    ) {
        out.family(name, .gauge, help)
        for it in measures where it.queueLimitBytes > 0 {
            out.sample(name, ["task": it.task, "source": it.source], Double(value(it)))
        }
    }

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
        _ value: (MigrationStatus) -> UInt64?
    ) {
        out.family(name, .counter, help)
        for it in status.subtasks {
            guard let value = it.progress.flatMap(value) else { continue }
            out.sample(name, labels(it), Double(value))
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
