internal import Runtime
internal import Worker

/// Shows a migration's status until it is cancelled: live, as lines, or as JSON.
struct MigrationProgress: Sendable {
    let view: LiveView
    let board: StatusBoard
    let mode: OutputMode
    let terminal: Terminal
    /// Time between two lines; the live view is drawn five times a second.
    var lineInterval: Duration = .seconds(5)

    /// Runs until its task is cancelled, and shows the last status before it returns.
    func run() async {
        let began = monotonicNanoseconds()
        var meter = RateMeter()
        var warned: Set<String> = []
        while true {
            let isLast = Task.isCancelled
            let status = board.current
            let now = monotonicNanoseconds()
            meter.add(status, at: now)
            if mode != .json {
                for warning in status.warnings where warned.insert(warning).inserted {
                    terminal.print("warning: \(TextFitting.printable(warning))")
                }
            }
            show(status, meter, elapsedSeconds: Int64((now - began) / 1_000_000_000))
            if isLast { break }
            // A cancelled sleep ends early, and the loop comes around once more.
            _ = try? await Task.sleep(for: mode == .live ? .milliseconds(200) : lineInterval)
        }
        terminal.release()
    }

    /// Shows the status while `body` runs.
    func showing<R: Sendable>(_ body: @Sendable () async throws -> R) async throws -> R {
        try await alongside({ await run() }, body)
    }

    private func show(_ status: MigrationStatus, _ meter: RateMeter, elapsedSeconds: Int64) {
        switch mode {
        case .json:
            let now = wallClockMicroseconds()
            let record = StatusRecord.status(status, meter, task: view.task, microseconds: now)
            printData(record.description)
        case .live:
            let (width, height) = terminal.size
            terminal.show(
                view.lines(
                    status, meter, elapsedSeconds: elapsedSeconds, width: width,
                    height: height - 1))
        case .lines, .auto:
            printData(StatusLine.text(status, meter, elapsedSeconds: elapsedSeconds))
        }
    }
}
