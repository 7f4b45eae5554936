internal import Worker

/// One line of `--output json`. Keys are stable: they are added to, never renamed or removed,
/// and all are always there, null where nothing is known.
enum StatusRecord {
    /// A line of type `status`.
    static func status(
        _ status: MigrationStatus, _ meter: RateMeter, task: String, microseconds: Int64
    ) -> JSONObject {
        let rates = meter.rates
        var out = begin("status", microseconds)
        out.set("task", task)
        out.set("phase", status.phase.rawValue)
        out.set("tables_total", status.tables.count)
        out.set("tables_done", status.tablesDone)
        out.set("rows", status.copiedRows)
        out.set("rows_estimated", status.expectedRows)
        out.set("bytes", status.copiedBytes)
        out.set("rows_per_second", rate: rates.rows)
        out.set("bytes_per_second", rate: rates.bytes)
        out.set("seconds_left", secondsLeft(meter.timeLeft))
        out.set("transactions", status.transactions)
        out.set("row_changes", status.rowChanges)
        out.set("binlog_bytes", status.binlogBytes)
        out.set("ddl_statements", status.ddlStatements)
        out.set("transactions_per_second", rate: rates.transactions)
        out.set("row_changes_per_second", rate: rates.rowChanges)
        out.set("binlog_bytes_per_second", rate: rates.binlogBytes)
        out.set("lag_ms", status.lagMilliseconds)
        out.set("position", status.position)
        out.set("source_position", status.sourcePosition)
        out.set("relay_state", status.relay?.state)
        out.set("relay_bytes", status.relay?.bytes)
        out.set("relay_limit_bytes", status.relay?.limitBytes)
        out.set("relay_position", status.relay?.position)
        out.set("waiting", status.waiting ?? status.relay?.reason)
        out.set("retries", status.retries)
        out.set("warnings", status.warnings)
        return out
    }

    /// A line of type `check`: one pre-check.
    static func check(_ result: CheckResult, microseconds: Int64) -> JSONObject {
        var out = begin("check", microseconds)
        out.set("name", result.name)
        out.set("verdict", result.verdict.rawValue)
        out.set("ignored", result.isIgnored)
        out.set("message", result.message)
        out.set("remedy", result.remedy.isEmpty ? nil : result.remedy)
        return out
    }

    /// The last line, of type `end`.
    static func end(_ outcome: MigrationOutcome, task: String, microseconds: Int64) -> JSONObject {
        var out = begin("end", microseconds)
        out.set("task", task)
        switch outcome {
        case .reached(let position):
            out.set("outcome", "reached")
            out.set("position", position)
        case .stopped(let position):
            out.set("outcome", "stopped")
            out.set("position", position)
        case .finished:
            out.set("outcome", "finished")
            out.set("position", String?.none)
        }
        return out
    }

    /// An object with `type` and `time`.
    static func begin(_ type: String, _ microseconds: Int64) -> JSONObject {
        var out = JSONObject()
        out.set("type", type)
        out.set("time", Wording.utc(microseconds: microseconds))
        return out
    }

    private static func secondsLeft(_ left: RateMeter.TimeLeft) -> Int64? {
        switch left {
        case .about(let seconds), .atLeast(let seconds): seconds
        case .unknown, .stalled, .fallingBehind: nil
        }
    }
}
