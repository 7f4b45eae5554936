import Checkpoint
import MySQLClient
import MySQLCore
import Rules
import Runtime
import Stream
import Synchronization
import TestServers
import Testing

@testable import Replication

/// A source of which it is not decided yet what of it is true.
private final class UndecidedSource: EventSource {
    let isAsked = Latch()

    func settle(_ held: HeldTransactions) async throws {
        isAsked.set()
        try await Task.sleep(for: .seconds(3600))
    }

    func reader(from place: StreamPlace) async throws -> any EventReader {
        throw StreamError.takenBack
    }

    func holds(_ file: String, of server: ServerUUID) -> Bool { false }
}

@Suite("An engine that is asked to stop") struct StoppingTests {
    @Test(
        "ends as if nothing was read while its source asks others", arguments: Servers.families)
    func undecided(family: TestServer.Family) async throws {
        let rig = try await TargetRig(family, "undecided")
        try rig.take(1)
        let place = SourcePosition(
            origin: Origin(server: ServerUUID(high: 0, low: 1), life: 0),
            binlog: BinlogPosition(file: "bin.000001", offset: 4), gtids: .none)
        let coordinator = Coordinator(
            session: try TargetSession(rig.options, role: .coordinator), meta: rig.meta,
            key: rig.key, token: rig.token(1))
        try coordinator.write(mark: place, carried: AppliedSet(), tail: [])
        try coordinator.setPhase("follow")
        let source = UndecidedSource()
        var configuration = ReplicationConfiguration(
            source: rig.options, target: rig.options,
            tables: TableMapping(TableSelection(tables: [], excluded: [])),
            meta: rig.meta, key: rig.key, serverID: 7)
        configuration.events = source
        let engine = ReplicationEngine(configuration, progress: ReplicationProgress())
        let hasEnded = await withTaskGroup(of: Bool.self) { group in
            group.addTask {
                do {
                    try await engine.run(epoch: .next, token: rig.token(2)) { _ in }
                    return true
                } catch {
                    Issue.record(error)
                    return false
                }
            }
            group.addTask {
                await source.isAsked.wait()
                engine.stop()
                try? await Task.sleep(for: .seconds(60))
                return false
            }
            defer { group.cancelAll() }
            return await group.next() ?? false
        }
        #expect(hasEnded)
        let state = try Takeover(meta: rig.meta, key: rig.key).peek(Connection(rig.options))
        #expect(state?.lowWater == place && state?.run == rig.token(2))
    }
}
