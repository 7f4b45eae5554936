import Foundation
import MySQLClient
import MySQLCore
import TestServers
import Testing

@testable import Checkpoint

/// Runs something that blocks on a thread of its own.
private func aside<R: Sendable>(_ body: @escaping @Sendable () -> R) async -> R {
    await withCheckedContinuation { continuation in
        Thread.detachNewThread { continuation.resume(returning: body()) }
    }
}

/// Two subtasks of one source in one meta schema, which both follow, at position 5. Token 1 is of
/// the one that takes over, token 11 of the other one.
private struct Pair {
    let main: Subtask
    let donor = SubtaskKey(task: "big", source: "source")

    static func table(_ name: String) -> TableName { TableName(schema: "s", name: name) }

    static func shape(_ name: String) -> TableShape {
        TableShape(
            name: table(name), columns: [ColumnShape(name: "id", type: ColumnType(.int))], keys: [])
    }

    static func object(
        _ kind: StoredObject.Kind, _ name: String, _ definition: UInt8 = 0
    ) -> StoredObject {
        StoredObject(kind: kind, name: table(name), definition: [definition])
    }

    init(_ family: TestServer.Family, _ name: String) async throws {
        main = try await Subtask(family, name)
        let session = try TargetSession(main.options, role: .coordinator)
        _ = try Takeover(meta: main.meta, key: donor).create(session, identity: [5], rules: [3])
        try follow(
            main.key, 1, ["a", "b"],
            [Self.object(.view, "v", 1), Self.object(.left, "t"), Self.object(.loose, "t", 9)])
        try follow(
            donor, 11, ["t", "u"],
            [
                Self.object(.view, "v", 2), Self.object(.view, "w", 2),
                Self.object(.table, "t", 2), Self.object(.table, "u", 2),
                Self.object(.table, "gone", 2),
                Self.object(.loose, "u", 2), Self.object(.online, "_u_gho", 2),
                Self.object(.trigger, "tr", 2), Self.object(.staleFunction, "f", 2),
                Self.object(.left, "x"), Self.object(.left, "a"), Self.object(.defaults, "d", 2),
                Self.object(.decision, "k", 2),
            ])
    }

    private func follow(
        _ key: SubtaskKey, _ n: UInt8, _ tables: [String], _ objects: [StoredObject]
    ) throws {
        try take(key, n)
        let coordinator = try coordinator(key, n)
        let ledger = CopyLedger(meta: main.meta, key: key)
        try ledger.record(
            SnapshotRecord(
                id: 1, low: Subtask.position(3), high: Subtask.position(4), isExact: false),
            by: coordinator)
        let stored = StoredObjects(meta: main.meta, key: key)
        try stored.write(
            tables.map {
                try ledger.insertStatement(
                    ChunkRecord(
                        table: Self.table($0), chunk: 0, snapshot: 1, from: nil, to: nil, rows: 4))
            }, by: coordinator)
        try coordinator.beginFollowing(
            from: Subtask.position(5), consistentFrom: Subtask.position(4),
            shapes: tables.map { Self.shape($0) })
        try stored.write(objects.map { stored.storeStatement($0) }, by: coordinator)
    }

    @discardableResult
    func take(_ key: SubtaskKey, _ n: UInt8, lanes: Int = 0) throws -> SubtaskState {
        let session = try TargetSession(main.options, role: .coordinator)
        return try Takeover(meta: main.meta, key: key).take(
            session, token: main.token(n), epoch: .next, lanes: lanes)
    }

    func coordinator(
        _ key: SubtaskKey, _ n: UInt8, _ session: TargetSession? = nil
    ) throws -> Coordinator {
        Coordinator(
            session: try session ?? TargetSession(main.options, role: .coordinator),
            meta: main.meta, key: key, token: main.token(n))
    }

    /// All of the other one's tables.
    static var all: Coordinator.HandOver {
        Coordinator.HandOver(
            identity: [7], known: [table("a"), table("b")], tables: [table("t"), table("u")])
    }

    /// As the product does it: both on one session.
    func handOver(
        _ handOver: Coordinator.HandOver = Self.all, main n: UInt8 = 1, donor m: UInt8 = 11
    ) throws -> Coordinator.HandOverOutcome {
        let session = try TargetSession(main.options, role: .coordinator)
        return try coordinator(main.key, n, session).take(
            over: coordinator(donor, m, session), handOver)
    }

    func peek(_ key: SubtaskKey) throws -> SubtaskState? {
        try Takeover(meta: main.meta, key: key).peek(Connection(main.options))
    }

    func execute(_ statements: String...) throws {
        let connection = try Connection(main.options)
        for statement in statements { try connection.execute(statement) }
    }

    /// All that the meta schema has but for how often a run has shown that it lives.
    func contents() throws -> [[String?]] {
        let connection = try Connection(main.options)
        var out: [[String?]] = []
        for (table, columns) in [
            (
                "subtask",
                "epoch, HEX(run), phase, HEX(identity), HEX(low_water), HEX(carried), HEX(tail), "
                    + "HEX(rules), HEX(consistent_from)"
            ),
            ("lane", "lane, HEX(run), HEX(done)"), ("ddl", "HEX(statement)"),
            ("shape", "schema_name, table_name, HEX(shape)"),
            ("snapshot", "snapshot_id, HEX(low), HEX(high), kind"),
            (
                "chunk",
                "schema_name, table_name, snapshot_id, chunk, HEX(from_key), HEX(to_key), "
                    + "copied_rows"
            ),
            ("object", "kind, schema_name, table_name, HEX(definition)"),
        ] {
            let rows = try connection.rows(
                "SELECT task, source, \(columns) FROM \(main.meta.table(table))")
            out += rows.map { ["\(table)"] + $0 }
                .sorted { "\($0)" < "\($1)" }
        }
        return out
    }
}

@Suite("Tables that one subtask takes over from another one")
struct HandOverTests {
    @Test(
        "all of the other one's records come, and nothing is left of it",
        arguments: Servers.families)
    func taken(family: TestServer.Family) async throws {
        let pair = try await Pair(family, "handover")
        let before = try pair.contents()
        let known = try #require(try pair.peek(pair.main.key))
        #expect(try pair.handOver() == .done)
        let after = try pair.contents()
        #expect(
            after.filter { $0[1] == pair.donor.task }
                == [["object", pair.donor.task, "", "handed", "", "", "01"]])
        // Shapes are what they were, byte for byte.
        func shapes(_ rows: [[String?]]) -> [[String?]] {
            rows.filter { $0[0] == "shape" }.map { Array($0.dropFirst(3)) }
                .sorted { "\($0)" < "\($1)" }
        }
        #expect(shapes(after) == shapes(before) && shapes(after).count == 4)
        let state = try #require(try pair.peek(pair.main.key))
        #expect(state.identity == [7] && state.phase == "follow")
        #expect(state.lowWater == known.lowWater && state.consistentFrom == known.consistentFrom)
        #expect(state.run == known.run && state.tail == known.tail && state.carried.isEmpty)
        let connection = try Connection(pair.main.options)
        let ledger = CopyLedger(meta: pair.main.meta, key: pair.main.key)
        // A later copy of others finds every table whole.
        let ranges = try ledger.ranges(connection).mapValues { [$0.low, $0.high] }
        let copied = [Subtask.position(3), Subtask.position(4)]
        let come = [Subtask.position(5), Subtask.position(5)]
        #expect(
            ranges == [
                Pair.table("a"): copied, Pair.table("b"): copied, Pair.table("t"): come,
                Pair.table("u"): come,
            ])
        #expect(
            try ledger.chunks(connection).allSatisfy { $0.from == nil && $0.to == nil })
        let objects = try StoredObjects(meta: pair.main.meta, key: pair.main.key).read(connection)
        #expect(
            Set(objects) == [
                Pair.object(.view, "v", 1), Pair.object(.view, "w", 2), Pair.object(.table, "t", 2),
                Pair.object(.table, "u", 2), Pair.object(.left, "x"),
                Pair.object(.loose, "u", 2), Pair.object(.online, "_u_gho", 2),
                Pair.object(.trigger, "tr", 2), Pair.object(.staleFunction, "f", 2),
            ])
        // Who starts it again is told that there is none.
        let error = #expect(throws: CheckpointError.self) { try pair.take(pair.donor, 12) }
        guard case .missing = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        let handed = HandedTask(pair.donor.task, meta: pair.main.meta)
        #expect(try handed.hasHandedOver(connection))
        let others = try handed.tablesOfOthers(connection)
        #expect(others.allSatisfy { $0.owner == pair.main.key })
        #expect(others.map { $0.table } == ["a", "b", "t", "u"].map { Pair.table($0) })
        let main = HandedTask(pair.main.key.task, meta: pair.main.meta)
        #expect(try !main.hasHandedOver(connection) && main.tablesOfOthers(connection).isEmpty)
        // A meta schema that is half made.
        try connection.execute("DROP TABLE \(pair.main.meta.table("object"))")
        #expect(try !handed.hasHandedOver(connection))
        #expect(try !handed.hasHandedOver(connection, isBinding: false))
    }

    @Test(
        "who begins waits for a hand-over that is not decided yet", arguments: Servers.families,
        [true, false])
    func handing(family: TestServer.Family, isCommitted: Bool) async throws {
        let pair = try await Pair(family, "handover_begun\(isCommitted)")
        let handed = HandedTask(pair.donor.task, meta: pair.main.meta)
        let options = pair.main.options
        let connection = try Connection(options)
        try connection.execute("START TRANSACTION")
        try handed.note(connection)
        async let found = aside {
            try? handed.hasHandedOver(Connection(options))
        }
        try await Task.sleep(for: .milliseconds(300))
        try connection.execute(isCommitted ? "COMMIT" : "ROLLBACK")
        #expect(await found == isCommitted)
    }

    @Test(
        "tables that the other one has found there come to who keeps such",
        arguments: Servers.families)
    func existing(family: TestServer.Family) async throws {
        let pair = try await Pair(family, "handover_there")
        let stored = StoredObjects(meta: pair.main.meta, key: pair.donor)
        try pair.execute(stored.removeStatement(.table, Pair.table("u")))
        var handOver = Pair.all
        handOver.keepsExisting = true
        #expect(try pair.handOver(handOver) == .done)
        let objects = try StoredObjects(meta: pair.main.meta, key: pair.main.key).read(
            Connection(pair.main.options))
        #expect(objects.filter { $0.kind == .table }.map(\.name) == [Pair.table("t")])
        // So they stay, whatever the settings are later.
        let look = SubtaskLook(meta: pair.main.meta, key: pair.main.key)
        #expect(try look.foundTable(Connection(pair.main.options)) == Pair.table("u"))
    }

    @Test(
        "what rules have left out stays known, and so does a task of DM's",
        arguments: Servers.families)
    func noted(family: TestServer.Family) async throws {
        let pair = try await Pair(family, "handover_noted")
        let stored = StoredObjects(meta: pair.main.meta, key: pair.donor)
        let adopted = try StoredObject(
            kind: .adopted, name: Adoption.name,
            encoding: Adoption(task: "dm", end: Subtask.position(4)))
        try pair.execute(stored.storeStatement(adopted))
        var handOver = Pair.all
        handOver.loose = [Pair.table("a"), Pair.table("t")]
        let view = StaleObject(
            StaleObject.ID(.view, Pair.table("late")), position: "here", reason: "it was left out")
        handOver.stale = [view]
        #expect(try pair.handOver(handOver) == .done)
        let connection = try Connection(pair.main.options)
        let objects = try StoredObjects(meta: pair.main.meta, key: pair.main.key).read(connection)
        #expect(
            Set(objects.filter { $0.kind == .loose }.map(\.name))
                == Set(["a", "t", "u"].map { Pair.table($0) }))
        #expect(try StaleObjects.select(objects.filter { $0.kind == .staleView }) == [view])
        #expect(!objects.contains { $0.kind == .adopted })
        #expect(
            try AdoptedTask("dm", source: pair.donor.source, meta: pair.main.meta)
                .isTaken(connection))
    }

    @Test(
        "two that hold other GTIDs are at one place where the source has had all of them",
        arguments: Servers.families)
    func knownPlace(family: TestServer.Family) async throws {
        let pair = try await Pair(family, "handover_known")
        var mark = Subtask.position(6)
        mark.binlog = Subtask.position(5).binlog
        try pair.coordinator(pair.main.key, 1).write(mark: mark, carried: AppliedSet(), tail: [])
        var handOver = Pair.all
        #expect(try pair.handOver(handOver) == .unmet)
        handOver.reference = mark
        #expect(try pair.handOver(handOver) == .done)
    }

    /// Why nothing is handed over.
    enum Obstacle: String, CaseIterable, Sendable {
        case mainAhead, donorAhead, mainCarries, donorCarries, otherGTIDs
        case mainChangesTables, donorChangesTables
        case mainCopyOpen, donorCopyOpen, donorCopyWithoutEnd, donorWholeLater
        case mainHasMore, donorHasMore, bothFollow
        case donorCopies, donorIsComplete
        case identity, coming, restart, stopped, mainStopped, replacing, adopted, bothOnline
        case donorReplaced, wasThere, otherSource

        /// `nil`: it is refused in words.
        var outcome: Coordinator.HandOverOutcome? {
            switch self {
            case .mainAhead, .donorAhead, .mainCarries, .donorCarries, .otherGTIDs: .unmet
            case .mainChangesTables, .donorChangesTables: .undecided
            case .mainHasMore, .donorHasMore, .donorCopies, .donorIsComplete, .donorReplaced:
                .outdated
            default: nil
            }
        }
    }

    @Test(
        "what does not fit changes nothing of either", arguments: Servers.families,
        Obstacle.allCases)
    func refused(family: TestServer.Family, obstacle: Obstacle) async throws {
        let pair = try await Pair(family, "ho_\(obstacle.rawValue.lowercased())")
        let (meta, main, donor) = (pair.main.meta, pair.main.key, pair.donor)
        var handOver = Pair.all
        func add(_ object: StoredObject, to key: SubtaskKey) throws {
            try pair.execute(StoredObjects(meta: meta, key: key).storeStatement(object))
        }
        func add(_ shape: String, to key: SubtaskKey) throws {
            try pair.execute(StoredShapes(meta: meta, key: key).storeStatement(Pair.shape(shape)))
        }
        func write(_ key: SubtaskKey, _ n: UInt8, _ mark: Int, _ carried: IdentitySet) throws {
            try pair.coordinator(key, n).write(
                mark: Subtask.position(mark), carried: AppliedSet(carried), tail: [])
        }
        func intend(_ key: SubtaskKey) throws {
            try pair.execute(
                "INSERT INTO \(meta.table("ddl")) (task, source, identity, step, statement, "
                    + "before_state, context) VALUES (\(key.values),x'01',0,x'01',x'01',x'01')")
        }
        func readUp(_ key: SubtaskKey, _ high: Int?) throws {
            try pair.execute(
                CopyLedger(meta: meta, key: key).storeStatement(
                    SnapshotRecord(
                        id: 1, low: Subtask.position(3), high: high.map { Subtask.position($0) },
                        isExact: false)))
        }
        func assign(_ assignment: String) throws {
            try pair.execute(
                "UPDATE \(meta.table("subtask")) SET \(assignment) WHERE \(donor.condition)")
        }
        switch obstacle {
        case .mainAhead: try write(main, 1, 6, IdentitySet())
        case .donorAhead: try write(donor, 11, 6, IdentitySet())
        case .mainCarries: try write(main, 1, 5, Subtask.set(7))
        case .donorCarries: try write(donor, 11, 5, Subtask.set(7))
        case .otherGTIDs:
            // By file and offset they are at one place: one of them has got from another server what
            // may lie behind it.
            var mark = Subtask.position(6)
            mark.binlog = Subtask.position(5).binlog
            try pair.coordinator(main, 1).write(mark: mark, carried: AppliedSet(), tail: [])
            // What the source had elsewhere says nothing of it.
            handOver.reference = Subtask.position(7)
        case .mainChangesTables: try intend(main)
        case .donorChangesTables: try intend(donor)
        case .mainCopyOpen: try readUp(main, 6)
        case .donorCopyOpen: try readUp(donor, 6)
        case .donorCopyWithoutEnd: try readUp(donor, nil)
        case .donorWholeLater:
            try assign("consistent_from=\(hexLiteral(Subtask.position(6).encoded))")
        case .mainHasMore: try add("c", to: main)
        case .donorHasMore: try add("c", to: donor)
        case .bothFollow:
            try add("a", to: donor)
            handOver.tables.insert(Pair.table("a"))
        case .donorCopies: try assign("phase='copy'")
        case .donorIsComplete: try assign("phase='complete'")
        case .identity: try add(Pair.object(.identity, "t"), to: donor)
        case .coming: try add(Pair.object(.coming, "t"), to: donor)
        case .restart: try add(Pair.object(.restart, "t"), to: donor)
        case .stopped: try add(Pair.object(.stopped, ""), to: donor)
        case .mainStopped: try add(Pair.object(.stopped, ""), to: main)
        case .replacing: try add(Pair.object(.hadView, "v"), to: donor)
        case .adopted:
            let adoption = Adoption(task: "dm", end: Subtask.position(6))
            try add(
                StoredObject(kind: .adopted, name: Adoption.name, encoding: adoption), to: donor)
        case .bothOnline: try add(Pair.object(.online, "_u_gho"), to: main)
        case .donorReplaced: try pair.take(donor, 12)
        case .wasThere:
            try pair.execute(
                StoredObjects(meta: meta, key: donor).removeStatement(.table, Pair.table("u")))
        case .otherSource:
            _ = try Takeover(meta: meta, key: SubtaskKey(task: donor.task, source: "second"))
                .create(
                    TargetSession(pair.main.options, role: .coordinator), identity: [5], rules: [3])
        }
        let before = try pair.contents()
        let outcome = try pair.handOver(handOver)
        if let expected = obstacle.outcome {
            #expect(outcome == expected)
        } else if case .refused(let why) = outcome {
            #expect(!why.isEmpty)
        } else {
            Issue.record("\(outcome)")
        }
        #expect(try pair.contents() == before)
    }

    @Test("who was replaced itself, takes nothing over", arguments: Servers.families)
    func replaced(family: TestServer.Family) async throws {
        let pair = try await Pair(family, "handover_replaced")
        try pair.take(pair.main.key, 2)
        let before = try pair.contents()
        #expect(throws: CheckpointError.self) { try pair.handOver() }
        #expect(try pair.contents() == before)
        // Lanes that may apply something are none to hand over beside.
        try pair.take(pair.donor, 12, lanes: 2)
        let laned = try pair.contents()
        #expect(throws: CheckpointError.self) { try pair.handOver(main: 2, donor: 12) }
        #expect(try pair.contents() == laned)
        try pair.take(pair.donor, 13)
        #expect(try pair.handOver(main: 2, donor: 13) == .done)
    }

    @Test(
        "what an old lane of the other one sends late changes nothing behind it",
        arguments: Servers.families)
    func latePacket(family: TestServer.Family) async throws {
        let pair = try await Pair(family, "handover_late")
        try pair.take(pair.donor, 12, lanes: 2)
        let proxy = try FaultProxy(to: pair.main.server)
        defer { proxy.close() }
        let session = try pair.main.session(proxy: proxy)
        var sql = ByteBuffer(capacity: 256)
        sql.append("START TRANSACTION;")
        Fence(meta: pair.main.meta, key: pair.donor, lane: 0, token: pair.main.token(12)).append(
            to: &sql, done: Subtask.set(7).encoded)
        // Its COMMIT is in the packet, too: nothing but the fence is in its way.
        sql.append(";INSERT INTO \(pair.main.data).t SELECT 1 FROM DUAL WHERE ROW_COUNT()=1;COMMIT")
        let held = proxy.holdNext(.toServer, matching: "START TRANSACTION;UPDATE")
        #expect(throws: MySQLError.self) { try session.connection.execute(sql) { _ in } }
        try await held.caught()
        #expect(try pair.take(pair.donor, 13).carried.isEmpty)
        #expect(try pair.handOver(donor: 13) == .done)
        let after = try pair.contents()
        held.deliver()
        #expect(try await Subtask.eventually { proxy.connections == 0 })
        try await Task.sleep(for: .milliseconds(100))
        #expect(try pair.main.rows() == [])
        #expect(try pair.contents() == after)
    }

    @Test(
        "what an old lane of the other one has on its way is waited for, and refuses it",
        arguments: Servers.families)
    func lateCommit(family: TestServer.Family) async throws {
        let pair = try await Pair(family, "handover_commit")
        try pair.take(pair.donor, 12, lanes: 2)
        let proxy = try FaultProxy(to: pair.main.server)
        defer { proxy.close() }
        let session = try pair.main.session(proxy: proxy)
        let fence = Fence(
            meta: pair.main.meta, key: pair.donor, lane: 0, token: pair.main.token(12))
        try pair.main.begin(session, fence, done: Subtask.set(7), row: 1)
        let held = proxy.holdNext(.toServer, matching: "COMMIT")
        #expect(throws: MySQLError.self) { try session.connection.execute("COMMIT") }
        try await held.caught()
        async let taken = aside { try? pair.take(pair.donor, 13) }
        try await Task.sleep(for: .milliseconds(300))
        held.deliver()
        #expect(await taken?.carried == Subtask.set(7))
        // It lies above the place where the other one would go on.
        let before = try pair.contents()
        #expect(try pair.handOver(donor: 13) == .unmet)
        #expect(try pair.contents() == before)
    }

    @Test(
        "whether a COMMIT without a reply took effect, the next takeover finds out",
        arguments: Servers.families, [true, false])
    func lostReply(family: TestServer.Family, isDelivered: Bool) async throws {
        let pair = try await Pair(family, "handover_reply\(isDelivered)")
        let before = try pair.contents()
        let proxy = try FaultProxy(to: pair.main.server)
        defer { proxy.close() }
        let session = try TargetSession(
            Servers.plain(pair.main.server, proxy), role: .coordinator)
        let main = try pair.coordinator(pair.main.key, 1, session)
        let donor = try pair.coordinator(pair.donor, 11, session)
        let commit = proxy.holdNext(.toServer, matching: "COMMIT")
        let error = #expect(throws: MySQLError.self) { try main.take(over: donor, Pair.all) }
        #expect(error?.isConnectionLost == true)
        try await commit.caught()
        // Until it is decided, only what was before can be read.
        #expect(try pair.peek(pair.main.key)?.identity != [7])
        async let taken = aside {
            for _ in 0..<20 {
                if let state = try? pair.take(pair.main.key, 2) { return state as SubtaskState? }
            }
            return nil
        }
        try await Task.sleep(for: .milliseconds(300))
        if isDelivered { commit.deliver() } else { commit.drop() }
        let state = try #require(await taken)
        #expect((state.identity == [7]) == isDelivered)
        #expect(try (pair.peek(pair.donor) == nil) == isDelivered)
        // All but the row of what has taken over now.
        func rest(_ rows: [[String?]]) -> [[String?]] { rows.filter { $0[0] != "subtask" } }
        #expect(try (rest(pair.contents()) == rest(before)) != isDelivered)
    }
}
