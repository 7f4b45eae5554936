internal import MySQLCore
internal import Runtime
internal import Synchronization
internal import Verification

/// A verification's progress, written by it and read by the view.
final class VerificationBoard: Sendable {
    private let progress = Mutex(VerificationProgress())

    /// The progress now.
    var current: VerificationProgress { progress.withLock { $0 } }

    /// Takes over newer progress.
    func set(_ new: VerificationProgress) { progress.withLock { $0 = new } }
}

/// Shows a verification's progress: live, as lines, or as JSON.
struct VerificationView: Sendable {
    let board: VerificationBoard
    let mode: OutputMode
    let terminal: Terminal
    /// Time between two lines; the live view is drawn five times a second.
    var lineInterval: Duration = .seconds(5)

    /// Shows the progress while `body` runs.
    func showing<R: Sendable>(_ body: @Sendable () async throws -> R) async throws -> R {
        try await alongside({ await run() }, body)
    }

    private func run() async {
        var rate = SlidingRate()
        let began = monotonicNanoseconds()
        while true {
            let isLast = Task.isCancelled
            let progress = board.current
            let now = monotonicNanoseconds()
            rate.add(progress.rows, at: now)
            show(progress, rate.perSecond, Int64((now - began) / 1_000_000_000))
            if isLast { break }
            _ = try? await Task.sleep(for: mode == .live ? .milliseconds(200) : lineInterval)
        }
        terminal.release()
    }

    private func show(_ progress: VerificationProgress, _ rate: Double, _ seconds: Int64) {
        switch mode {
        case .json:
            printData(Self.record(progress, rate, wallClockMicroseconds()).description)
        case .live:
            let (width, height) = terminal.size
            let lines = Self.lines(progress, rate, seconds, width)
            terminal.show(Array(lines.prefix(max(1, height - 1))))
        case .lines, .auto:
            printData(Self.line(progress, rate, seconds))
        }
    }

    /// The live view's lines.
    static func lines(
        _ progress: VerificationProgress, _ rate: Double, _ seconds: Int64, _ width: Int
    ) -> [StyledLine] {
        func label(_ text: String, _ style: StyledLine.Style = .dim) -> StyledLine {
            StyledLine(TextFitting.padded(text, 11), style)
        }
        var title = StyledLine("verify", .strong)
        title.add("  " + Wording.clock(seconds: seconds), .dim)
        let expected = max(progress.estimatedRows, progress.rows)
        let isDone = progress.tables > 0 && progress.tablesDone == progress.tables
        let fraction = expected > 0 ? Double(progress.rows) / Double(expected) : 0
        var bar = label(progress.phase.rawValue, .accent)
        let tail = " " + Bar.percent(fraction, isDone: isDone)
        let parts = Bar.text(
            isDone ? 1 : fraction, columns: max(10, min(60, width - bar.width - tail.count)))
        bar.add(parts.done, .good)
        bar.add(parts.open, .dim)
        bar.add(tail)
        var tables = label("tables")
        tables.add("\(progress.tablesDone) of \(progress.tables) done")
        if let current = progress.currentTable, !isDone { tables.add("  \(current)", .dim) }
        var rows = label("rows")
        rows.add(
            TextFitting.padded(
                "\(Wording.count(progress.rows)) of ~\(Wording.roughCount(Double(expected)))", 30))
        rows.add("\(Wording.roughCount(rate)) rows/s")
        var differences = label("differ")
        differences.add(
            Wording.count(progress.differences), progress.differences > 0 ? .bad : .plain)
        if progress.pendingRows > 0 {
            differences.add(
                "  \(Wording.count(UInt64(progress.pendingRows))) are looked at again", .caution)
        }
        return [title, bar, tables, rows, differences]
    }

    /// The plain line.
    static func line(
        _ progress: VerificationProgress, _ rate: Double, _ seconds: Int64
    ) -> String {
        "\(Wording.clock(seconds: seconds)) \(progress.phase.rawValue) "
            + "\(progress.tablesDone)/\(progress.tables) tables, "
            + "\(Wording.count(progress.rows)) of "
            + "~\(Wording.roughCount(Double(max(progress.estimatedRows, progress.rows)))) rows, "
            + "\(Wording.roughCount(rate)) rows/s, \(Wording.count(progress.differences)) differ, "
            + "\(progress.pendingRows) are looked at again"
    }

    /// The line of type `verify_status`; all keys are always there.
    static func record(
        _ progress: VerificationProgress, _ rate: Double, _ microseconds: Int64
    ) -> JSONObject {
        var out = StatusRecord.begin("verify_status", microseconds)
        out.set("phase", progress.phase.rawValue)
        out.set("tables_total", progress.tables)
        out.set("tables_done", progress.tablesDone)
        out.set("chunks", progress.chunks)
        out.set("rows", progress.rows)
        out.set("rows_estimated", progress.estimatedRows)
        out.set("bytes", progress.bytes)
        out.set("rows_per_second", rate: rate)
        out.set("pending_rows", progress.pendingRows)
        out.set("differing_rows", progress.differences)
        out.set("current_table", progress.currentTable?.description)
        return out
    }
}
