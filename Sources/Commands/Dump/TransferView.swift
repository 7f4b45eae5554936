internal import Glibc
internal import Runtime
internal import Snapshot

/// Shows how far a dump or a load is: live, as lines, or as JSON.
struct TransferView: Sendable {
    /// What is shown.
    enum Kind: String, Sendable { case dump, load }

    let kind: Kind
    let progress: TransferProgress
    let mode: OutputMode
    let terminal: Terminal
    /// Time between two lines; the live view is drawn five times a second.
    var lineInterval: Duration = .seconds(5)

    /// Runs `body` and shows its progress; a signal cancels it.
    ///
    /// - Returns: `nil` after a signal.
    func interruptible<R: Sendable>(
        _ body: @escaping @Sendable () async throws -> R
    ) async throws -> R? {
        let stop = Latch()
        return try await StopSignals.shared.handling { _ in
            terminal.print("stopping; again to leave at once")
            stop.set()
        } _: {
            try await alongside({ await run() }) {
                try await withThrowingTaskGroup(of: R?.self) { group in
                    group.addTask { try await body() }
                    group.addTask {
                        await stop.wait()
                        return nil
                    }
                    defer { group.cancelAll() }
                    return try await group.next() ?? nil
                }
            }
        }
    }

    /// Says how it ended, without a result.
    static func report(_ words: String, _ kind: Kind, _ mode: OutputMode) {
        guard mode == .json else { return printData(words) }
        var out = StatusRecord.begin("\(kind.rawValue)_stopped", wallClockMicroseconds())
        out.set("message", words)
        printData(out.description)
    }

    /// Sixteen random bytes.
    static func randomBytes() -> [UInt8] {
        var random = SystemRandomNumberGenerator()
        return (0..<16).map { _ in UInt8.random(in: .min ... .max, using: &random) }
    }

    private func run() async {
        var rate = SlidingRate()
        let began = monotonicNanoseconds()
        while true {
            let isLast = Task.isCancelled
            let state = progress.current
            let now = monotonicNanoseconds()
            rate.add(state.rows, at: now)
            show(state, rate.perSecond, Int64((now - began) / 1_000_000_000))
            if isLast { break }
            _ = try? await Task.sleep(for: mode == .live ? .milliseconds(200) : lineInterval)
        }
        terminal.release()
    }

    private func show(_ state: TransferProgress.State, _ rate: Double, _ seconds: Int64) {
        switch mode {
        case .json: printData(record(state, rate, wallClockMicroseconds()).description)
        case .live: terminal.show(lines(state, rate, seconds))
        case .lines, .auto: printData(line(state, rate, seconds))
        }
    }

    /// The live view's lines.
    func lines(
        _ state: TransferProgress.State, _ rate: Double, _ seconds: Int64
    ) -> [StyledLine] {
        func label(_ text: String) -> StyledLine {
            StyledLine(TextFitting.padded(text, 11), .dim)
        }
        var title = StyledLine(kind.rawValue, .strong)
        title.add("  " + Wording.clock(seconds: seconds), .dim)
        title.add("  " + state.stage.rawValue, .accent)
        var files = label("files")
        files.add("\(state.filesDone) of \(state.files) done, \(state.tables) tables")
        var rows = label("rows")
        rows.add(TextFitting.padded(Wording.count(state.rows), 20))
        rows.add("\(Wording.roughCount(rate)) rows/s, \(Wording.bytes(Double(state.bytes)))")
        var out = [title, files, rows]
        if let reason = state.waiting {
            var waiting = label("waits")
            waiting.add(TextFitting.printable(reason), .caution)
            out.append(waiting)
        }
        return out
    }

    /// The plain line.
    func line(_ state: TransferProgress.State, _ rate: Double, _ seconds: Int64) -> String {
        "\(Wording.clock(seconds: seconds)) \(state.stage.rawValue) "
            + "\(state.filesDone)/\(state.files) files, \(state.tables) tables, "
            + "\(Wording.count(state.rows)) rows, \(Wording.roughCount(rate)) rows/s"
            + (state.waiting.map { ", waits: \(TextFitting.printable($0))" } ?? "")
    }

    /// The line of type `dump_status` or `load_status`; all keys are always there.
    func record(
        _ state: TransferProgress.State, _ rate: Double, _ microseconds: Int64
    ) -> JSONObject {
        var out = StatusRecord.begin("\(kind.rawValue)_status", microseconds)
        out.set("stage", state.stage.rawValue)
        out.set("tables_total", state.tables)
        out.set("tables_done", state.tablesDone)
        out.set("files_total", state.files)
        out.set("files_done", state.filesDone)
        out.set("rows", state.rows)
        out.set("rows_estimated", state.estimatedRows)
        out.set("bytes", state.bytes)
        out.set("rows_per_second", rate: rate)
        out.set("waiting", state.waiting)
        return out
    }
}
