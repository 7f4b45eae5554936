import Checkpoint
import MySQLClient
import MySQLCore
import Relay
import Rules
import Runtime
import Settings
import Stream
import TestServers
import Testing

@testable import Worker

@Suite("What a relay log is told of a target") struct TargetHoldingTests {
    private static let key = SubtaskKey(task: "held", source: "s")
    private static let old = RunToken(randomToken())

    private static func settings(_ server: TestServer) throws -> MigrationSettings {
        var options = try ConnectionOptions(url: server.url)
        options.password = Password(TestServer.password)
        var settings = MigrationSettings(
            source: options, target: options,
            selection: TableSelection(
                tables: [TablePattern("shop.*")].compactMap { $0 }, excluded: []))
        settings.name = key.task
        settings.sourceID = key.source
        return settings
    }

    /// Runs `body` with a target that a run of epoch 3 has been following to.
    private static func with(
        _ family: TestServer.Family,
        _ body: (MigrationSettings, MetaSchema, TargetSession) throws -> Void
    ) async throws {
        try await TestServer.with(family) { server in
            let settings = try settings(server)
            let meta = MetaSchema(name: settings.metaSchema)
            let session = try TargetSession(settings.target, role: .coordinator)
            try meta.prepare(session.connection)
            let takeover = Takeover(meta: meta, key: key)
            _ = try takeover.create(session, identity: [1], rules: [1], phase: "follow")
            _ = try takeover.take(session, token: old, epoch: .binding(3), lanes: 1)
            let place = SourcePosition(
                origin: Origin(server: ServerUUID(high: 0, low: 1), life: 0),
                binlog: BinlogPosition(file: "bin.000001", offset: 4), gtids: .none)
            try Coordinator(session: session, meta: meta, key: key, token: old)
                .write(mark: place, carried: AppliedSet(), tail: [])
            try body(settings, meta, try TargetSession(settings.target, role: .lane(0)))
        }
    }

    /// What a worker that was frozen does when it wakes.
    private static func commitsLater(
        _ meta: MetaSchema, _ lane: TargetSession, token: RunToken = old
    ) throws -> Bool {
        try lane.connection.execute("START TRANSACTION")
        defer { _ = try? lane.connection.execute("ROLLBACK") }
        do {
            try Fence(meta: meta, key: key, lane: 0, token: token).run(lane.connection, done: [])
            try lane.connection.execute("COMMIT")
            return true
        } catch CheckpointError.fenced {
            return false
        }
    }

    @Test(
        "nothing of an older run can be committed once a target has said what it holds",
        arguments: families, [7, nil] as [UInt64?])
    func fenced(family: TestServer.Family, epoch: UInt64?) async throws {
        try await Self.with(family) { settings, meta, lane in
            #expect(try Self.commitsLater(meta, lane))
            let fences = RelayFences()
            let own = OwnRuns(fences: fences)
            let held = try RelayCheckpoint.read(
                settings, reads: false, fences: fences,
                policy: { stored in epoch.map { .binding($0) } ?? own.policy(over: stored) })
            #expect(held?.isReading == false && held?.held.positions.count == 1)
            #expect(try Self.commitsLater(meta, lane) == false)
            // A run of this process that it has ended begins again, and once.
            #expect(fences.tokens.count == 1 && fences.take() && !fences.take())
            let session = try TargetSession(settings.target, role: .coordinator)
            let next: EpochPolicy = epoch.map { .binding($0) } ?? .keep(3, own: fences.tokens)
            _ = try Takeover(meta: meta, key: Self.key).take(
                session, token: RunToken(randomToken()), epoch: next, lanes: 1)
        }
    }

    @Test("a statement that may have run counts as held, marked or not", arguments: families)
    func unmarked(family: TestServer.Family) async throws {
        try await Self.with(family) { settings, meta, lane in
            let identity = TransactionIdentity(
                stream: .mariadb(domain: 0, server: 1), number: 7)
            try DDLLedger(session: lane, meta: meta, key: Self.key, lane: 0, token: Self.old)
                .record(
                    DDLIntent(
                        identity: identity, step: .whole, statement: "ALTER TABLE t ADD c INT",
                        before: [:], existAfter: [], goneAfter: [], isIdempotent: false))
            let held = try RelayCheckpoint.read(
                settings, reads: false, fences: RelayFences(), policy: { _ in .binding(7) })
            #expect(held?.held.others.contains(identity) == true)
        }
    }

    @Test("who reads the log says it itself, and goes on until then", arguments: families)
    func reading(family: TestServer.Family) async throws {
        try await Self.with(family) { settings, meta, lane in
            let held = try RelayCheckpoint.read(
                settings, reads: true, fences: RelayFences(), policy: { _ in .binding(7) })
            #expect(held?.isReading == true)
            #expect(try Self.commitsLater(meta, lane))
        }
    }

    @Test("a worker whose binding is older waits, and stops nobody", arguments: families)
    func older(family: TestServer.Family) async throws {
        try await Self.with(family) { settings, meta, lane in
            #expect(throws: CheckpointError.self) {
                try RelayCheckpoint.read(
                    settings, reads: false, fences: RelayFences(), policy: { _ in .binding(2) })
            }
            let goesOn = try Self.commitsLater(meta, lane)
            #expect(goesOn)
        }
    }

    @Test(
        "a process that is not the newest any more ends no run of the newer one",
        arguments: families)
    func cutOff(family: TestServer.Family) async throws {
        try await Self.with(family) { settings, meta, lane in
            let fences = RelayFences()
            let own = OwnRuns(fences: fences)
            _ = own.begin(Self.old)
            own.took(3)
            func ask() throws -> RelayCheckpoint? {
                try RelayCheckpoint.read(
                    settings, reads: false, fences: fences, policy: { own.policy(over: $0) })
            }
            // As long as nobody is newer it may ask again and again.
            for _ in 0..<2 { #expect(try ask()?.held.positions.count == 1) }
            let newer = RunToken(randomToken())
            _ = try Takeover(meta: meta, key: Self.key).take(
                TargetSession(settings.target, role: .coordinator), token: newer, epoch: .next,
                lanes: 1)
            _ = fences.take()
            #expect(throws: CheckpointError.self) { try ask() }
            // A run that ends now does so by the newer one, and not by this question.
            #expect(!fences.take())
            let goesOn = try Self.commitsLater(meta, lane, token: newer)
            #expect(goesOn)
        }
    }

    @Test("a process that has not taken over yet sees what any other one has left")
    func first() async throws {
        try await Self.with(.mariadb) { settings, meta, lane in
            let fences = RelayFences()
            let own = OwnRuns(fences: fences)
            let held = try RelayCheckpoint.read(
                settings, reads: false, fences: fences, policy: { own.policy(over: $0) })
            #expect(held?.held.positions.count == 1)
            #expect(try Self.commitsLater(meta, lane) == false)
            guard case .next = own.begin(RunToken(randomToken())) else {
                Issue.record("its first takeover begins an epoch")
                return
            }
        }
    }
}
