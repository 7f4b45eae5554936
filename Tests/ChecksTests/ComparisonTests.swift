import Testing

@testable import Worker

@Suite("When a worker compares") struct ComparisonTests {
    private static func status(
        _ change: (inout SubtaskStatus) -> Void = { _ in }
    ) -> SubtaskStatus {
        var status = SubtaskStatus(
            task: "t", source: "s", stage: .running, unit: .follow, epoch: 1)
        status.progress = MigrationStatus()
        status.progress?.phase = .following
        status.progress?.lagMilliseconds = 40
        change(&status)
        return status
    }

    @Test("sentences that a result has no room for are counted")
    func notes() {
        #expect(SubtaskVerification.notes([], 2) == nil)
        #expect(SubtaskVerification.notes(["a", "b", "a"], 2) == ["a", "b"])
        #expect(
            SubtaskVerification.notes(["a", "b", "c", "b", "d"], 2) == ["a", "b", "and 2 more"])
    }

    @Test("only a target that follows can be compared")
    func following() throws {
        #expect(try Self.status().lag() == .milliseconds(40))
        // It has ended where it was to end.
        let done = Self.status {
            $0.stage = .finished
            $0.progress?.phase = .done
            $0.progress?.lagMilliseconds = nil
        }
        #expect(try done.lag() == .zero)
        for stage in [SubtaskStatus.Stage.paused, .pausing, .stopped, .new] {
            #expect(
                throws: WorkerError.isResting(
                    task: "t", source: "s", reason: "it is \(stage.rawValue)")
            ) { try Self.status { $0.stage = stage }.lag() }
        }
        let waiting = Self.status { $0.progress?.waiting = "connection refused" }
        #expect(
            throws: WorkerError.isResting(task: "t", source: "s", reason: "connection refused")
        ) { try waiting.lag() }
        let failed = Self.status {
            $0.error = SubtaskError(
                code: "c", message: "no such table", remedy: nil, isRetryable: true, time: 0)
        }
        #expect(throws: WorkerError.isResting(task: "t", source: "s", reason: "no such table")) {
            try failed.lag()
        }
        for lag in [nil, 20_001] as [Int64?] {
            let late = Self.status { $0.progress?.lagMilliseconds = lag }
            #expect(throws: WorkerError.isBehind(task: "t", source: "s")) { try late.lag() }
        }
        let copying = Self.status { $0.progress?.phase = .copying }
        #expect(throws: WorkerError.isCopying(task: "t", source: "s")) { try copying.lag() }
    }

    @Test("a difference says nothing when the target has not followed for a third of its time")
    func watching() {
        var watch = LagWatch(settle: .seconds(6))
        let start = ContinuousClock.now
        func note(_ lag: Result<Duration, WorkerError>, _ seconds: Int) {
            watch.note(lag, at: start + .seconds(seconds))
        }
        let resting = WorkerError.isResting(task: "t", source: "s", reason: "it is Paused")
        note(.success(.seconds(2)), 0)
        #expect(!watch.isLate && watch.doubt == nil)
        // A moment does no harm.
        note(.success(.seconds(3)), 1)
        note(.failure(resting), 2)
        #expect(watch.isLate && watch.doubt == nil)
        note(.success(.zero), 3)
        #expect(!watch.isLate && watch.doubt == nil)
        note(.failure(resting), 4)
        note(.failure(resting), 6)
        #expect(watch.doubt == resting.description)
        // What was found meanwhile stays doubtful.
        note(.success(.zero), 7)
        #expect(!watch.isLate && watch.doubt != nil)
        // But for rows that are looked at again.
        watch.settles()
        #expect(watch.doubt == nil)
        note(.failure(resting), 8)
        note(.failure(resting), 10)
        watch.settles()
        #expect(watch.doubt != nil)
    }
}
