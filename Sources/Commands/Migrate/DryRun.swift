internal import MySQLClient
internal import Runtime
internal import Settings
internal import Worker

/// `--dry-run`: what would be done, found out without writing anything.
struct DryRun: Sendable {
    let settings: MigrationSettings
    let isJSON: Bool

    /// Prints pre-checks and plan.
    ///
    /// - Throws: ``PrecheckFailure`` when a check refuses, after everything was printed.
    func run() async throws {
        let settings = settings
        if settings.files != nil { return try await runForFiles() }
        let (results, plan) = try await withThread("dry-run") {
            let source = try Connection(settings.source)
            let target = try Connection(settings.target)
            return (
                try Prechecks(settings: settings).run(source: source, target: target),
                try MigrationPlan(settings: settings, source: source, target: target)
            )
        }
        let now = wallClockMicroseconds()
        for result in results {
            printData(
                isJSON
                    ? StatusRecord.check(result, microseconds: now).description
                    : CheckLines.text(result, width: Terminal.outputWidth))
        }
        if isJSON {
            printData(PlanLines.record(plan, microseconds: now).description)
        } else {
            for line in PlanLines.text(plan) { printData(line) }
        }
        if results.contains(where: \.refuses) { throw PrecheckFailure(results: results) }
    }

    /// Sees whether the server of a task that dumps or loads answers.
    private func runForFiles() async throws {
        let settings = settings
        let results = try await withThread("dry-run") {
            try Prechecks(settings: settings).runForFiles()
        }
        let now = wallClockMicroseconds()
        for result in results {
            printData(
                isJSON
                    ? StatusRecord.check(result, microseconds: now).description
                    : CheckLines.text(result, width: Terminal.outputWidth))
        }
    }
}
