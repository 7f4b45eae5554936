import MySQLClient
import MySQLCore
import TestServers
import Testing

@testable import Checkpoint

/// When an operator can set a table's shape.
@Suite("Shapes that are set")
struct StoredShapeTests {
    private static let name = TableName(schema: "s", name: "t")

    private func shape(_ columns: String..., name: TableName = Self.name) -> TableShape {
        TableShape(name: name, columns: columns.map { ColumnShape(name: $0, type: .init(.int)) })
    }

    /// A subtask that follows, with a shape.
    private func following(_ family: TestServer.Family, _ name: String) async throws -> Subtask {
        let subtask = try await Subtask(family, name)
        try subtask.take(1)
        try subtask.coordinator(1).beginFollowing(
            from: Subtask.position(3), consistentFrom: Subtask.position(3), shapes: [shape("a")])
        return subtask
    }

    private func set(
        _ subtask: Subtask, _ shape: TableShape, hasRows: Bool = false, known: SubtaskState? = nil
    ) throws {
        let state = try #require(try known ?? subtask.peek())
        try StoredShapes(meta: subtask.meta, key: subtask.key).set(
            shape, known: state, hasRows: hasRows, try Connection(subtask.options))
    }

    private func stored(_ subtask: Subtask) throws -> [TableShape] {
        try StoredShapes(meta: subtask.meta, key: subtask.key).read(Connection(subtask.options))
            .sorted { $0.name < $1.name }
    }

    @Test("a shape is replaced, and the run that rests is not fenced", arguments: Servers.families)
    func replaced(family: TestServer.Family) async throws {
        let subtask = try await following(family, "shape_set")
        let before = try #require(try subtask.peek())
        try set(subtask, shape("a", "b"))
        #expect(try stored(subtask) == [shape("a", "b")])
        let after = try #require(try subtask.peek())
        #expect(after.run == before.run && after.epoch == before.epoch)
        // A process between two of its runs goes on as before.
        try subtask.take(2, .keep(before.epoch, own: [before.run]))
        // Of a table without a shape it must be said that its rows are there.
        let other = shape("x", name: TableName(schema: "s", name: "other"))
        #expect(throws: UnsettableShape.self) { try set(subtask, other) }
        #expect(try stored(subtask) == [shape("a", "b")])
        try set(subtask, other, hasRows: true)
        #expect(try stored(subtask) == [other, shape("a", "b")])
    }

    @Test(
        "no shape is set under a run, nor where something has changed", arguments: Servers.families)
    func refused(family: TestServer.Family) async throws {
        let subtask = try await following(family, "shape_refused")
        let known = try #require(try subtask.peek())
        func expectRefused(
            _ words: String, _ known: SubtaskState? = nil,
            sourceLocation: SourceLocation = #_sourceLocation
        ) throws {
            let error = try #require(throws: UnsettableShape.self, sourceLocation: sourceLocation) {
                try set(subtask, shape("z"), hasRows: true, known: known)
            }
            #expect(error.detail.contains(words), "\(error)", sourceLocation: sourceLocation)
            #expect(try stored(subtask) == [shape("a")], sourceLocation: sourceLocation)
        }
        // While the coordinator of a run lives.
        let session = try TargetSession(subtask.options, role: .coordinator)
        try session.connection.execute("SET SESSION wait_timeout=900")
        let token = subtask.token(7)
        #expect(
            try session.connection.value("SELECT GET_LOCK(\(token.lockName("c")), 0)") == "1")
        _ = try Takeover(meta: subtask.meta, key: subtask.key).take(
            session, token: token, epoch: .next, lanes: 1)
        try expectRefused("running")
        try session.connection.execute("DO RELEASE_LOCK(\(token.lockName("c")))")
        // A statement is on its way.
        let ddl = try TargetSession(subtask.options, role: .ddl(0))
        try ddl.connection.execute("SET SESSION wait_timeout=900")
        let ledger = DDLLedger(
            session: ddl, meta: subtask.meta, key: subtask.key, lane: 0, token: token)
        try ledger.record(
            DDLIntent(
                identity: Subtask.identity(5), step: .whole, statement: "s", before: [:],
                existAfter: [], goneAfter: [], isIdempotent: true))
        try expectRefused("DDL statement")
        try ledger.abandon()
        // It has gone on since the shape was chosen.
        try subtask.coordinator(7).write(
            mark: Subtask.position(4), carried: AppliedSet(), tail: [])
        try expectRefused("meanwhile", known)
        for phase in ["copy", "start", "complete", "finished"] {
            try subtask.coordinator(7).setPhase(phase)
            try expectRefused(phase == "copy" || phase == "start" ? "yet" : "over")
        }
        try subtask.coordinator(7).setPhase("follow")
        try set(subtask, shape("z"))
        #expect(try stored(subtask) == [shape("z")])
    }
}
