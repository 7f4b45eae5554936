import Foundation
import Testing
import Worker

@testable import Commands

@Suite("Waiting for a comparison")
struct VerificationWaitTests {
    private static func status(_ state: String?) throws -> SubtaskStatus {
        var it = SubtaskStatus(task: "t", source: "s", stage: .running, unit: .follow, epoch: 1)
        if let state {
            let text = """
                {"state":"\(state)","begun":1,"tablesTotal":1,"tablesDone":0,"rows":0,\
                "differingRows":0,"tables":[]}
                """
            it.verification = try JSONDecoder().decode(
                SubtaskVerification.self, from: Data(text.utf8))
        }
        return it
    }

    @Test("it goes on while one of the subtasks is compared, and ends when none is")
    func states() throws {
        var wait = VerificationWait()
        let now = ContinuousClock.now
        for (states, isOver) in [
            (["waiting"], false), (["running"], false), (["running", "equal"], false),
            (["equal", "different"], true), (["undecided"], true), (["failed"], true),
            ([nil], true),
        ] as [([String?], Bool)] {
            let words = try states.enumerated().map { ("s\($0)", try Self.status($1)) }
            #expect(wait.isOver(words, now: now) == isOver, "\(states)")
        }
    }

    @Test("a worker that says nothing is waited for, and not for ever")
    func silence() throws {
        var wait = VerificationWait()
        let begun = ContinuousClock.now
        func isOver(_ status: SubtaskStatus?, at seconds: Int) -> Bool {
            wait.isOver([("s", status)], now: begun + .seconds(seconds))
        }
        #expect(!isOver(nil, at: 0))
        #expect(!isOver(nil, at: 29))
        // It was there meanwhile.
        #expect(!isOver(try Self.status("running"), at: 29))
        #expect(!isOver(nil, at: 40))
        #expect(!isOver(nil, at: 69))
        #expect(isOver(nil, at: 70))
    }

    @Test("what can't be found out is no success")
    func end() {
        #expect(VerificationWait.end([.equal, .equal]) == nil)
        #expect(VerificationWait.end([.equal, nil]) == .error)
        #expect(VerificationWait.end([.equal, .undecided]) == .error)
        #expect(VerificationWait.end([nil, .different]) == .different)
        #expect(VerificationWait.end([]) == .error)
    }
}
