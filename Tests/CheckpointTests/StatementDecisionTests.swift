import MySQLClient
import MySQLCore
import TestServers
import Testing

@testable import Checkpoint

/// When an operator can decide about a statement.
@Suite("Decisions about statements")
struct StatementDecisionTests {
    private static let lane = 2

    private func ledger(_ subtask: Subtask, _ n: UInt8) throws -> DDLLedger {
        let session = try TargetSession(subtask.options, role: .ddl(Self.lane))
        // On a busy machine a test may be away for longer than a run ever is.
        try session.connection.execute("SET SESSION wait_timeout=900")
        return DDLLedger(
            session: session, meta: subtask.meta, key: subtask.key, lane: Self.lane,
            token: subtask.token(n))
    }

    @Test("a decision for another statement than the one that stands there is refused")
    func other() async throws {
        let subtask = try await Subtask(.mariadb, "other")
        try subtask.take(1, lanes: 3)
        let ledger = try ledger(subtask, 1)
        func stop(_ n: Int) throws {
            try ledger.note(
                StoppedStatement(
                    identity: Subtask.identity(n), position: "p\(n)", statement: "s",
                    reason: "r"))
        }
        let decisions = StatementDecisions(meta: subtask.meta, key: subtask.key)
        let connection = try Connection(subtask.options)
        // Looked at, and gone on from meanwhile: another one stands there.
        try stop(5)
        _ = try decisions.decide(.skip, at: "p5", connection)
        _ = try decisions.revert(at: "p5", connection)
        try stop(6)
        func expectRefused(_ body: () throws -> StoppedStatement) throws {
            let error = try #require(throws: UndecidableStatement.self) { try body() }
            #expect(error.isOther && error.description.contains("p5"), "\(error)")
        }
        try expectRefused { try decisions.decide(.skip, at: "p5", connection) }
        #expect(try decisions.read(connection).decisions.isEmpty)
        _ = try decisions.decide(.inject(["i"]), at: "p6", connection)
        try expectRefused { try decisions.revert(at: "p5", connection) }
        #expect(try decisions.read(connection).decisions.values.map { $0 } == [.inject(["i"])])
        // Nothing stands there at all.
        let fresh = try await Subtask(.mariadb, "fresh")
        try fresh.take(1, lanes: 3)
        let none = StatementDecisions(meta: fresh.meta, key: fresh.key)
        try expectRefused { try none.decide(.skip, at: "p5", Connection(fresh.options)) }
    }

    @Test("nothing can be decided about a statement that has run", arguments: Servers.families)
    func hasRun(family: TestServer.Family) async throws {
        let subtask = try await Subtask(family, "decided")
        try subtask.take(1, lanes: 3)
        let ledger = try ledger(subtask, 1)
        try ledger.note(
            StoppedStatement(
                identity: Subtask.identity(5), position: "p", statement: "s", reason: "r"))
        let decisions = StatementDecisions(meta: subtask.meta, key: subtask.key)
        let connection = try Connection(subtask.options)
        // That another one has run is no matter.
        try ledger.complete(Subtask.identity(4))
        _ = try decisions.decide(.skip, connection)
        _ = try decisions.revert(connection)
        _ = try decisions.decide(.inject(["i"]), connection)
        func expectRefused(sourceLocation: SourceLocation = #_sourceLocation) throws {
            for decision in [StatementDecision.skip, .replace(["x"]), .inject(["x"])] {
                #expect(throws: UndecidableStatement.self, sourceLocation: sourceLocation) {
                    try decisions.decide(decision, connection)
                }
            }
            #expect(throws: UndecidableStatement.self, sourceLocation: sourceLocation) {
                try decisions.revert(connection)
            }
            #expect(
                try decisions.read(connection).decisions
                    == [Subtask.identity(5).decisionKey: .inject(["i"])],
                sourceLocation: sourceLocation)
        }
        // In the row of the run that ran it, and in what a later run took over.
        try ledger.complete(Subtask.identity(5))
        try expectRefused()
        #expect(try subtask.take(2, lanes: 3).carried == Subtask.set(4, 5))
        try expectRefused()
    }
}
