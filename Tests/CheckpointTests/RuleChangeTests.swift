import MySQLClient
import MySQLCore
import TestServers
import Testing

@testable import Checkpoint

@Suite("Other rules for a subtask that follows")
struct RuleChangeTests {
    private static func table(_ name: String) -> TableName { TableName(schema: "s", name: name) }

    /// A subtask that follows `a`, `b` and `c`, at position 5; the mark has not passed `b`'s copy.
    private static func following(_ family: TestServer.Family, _ name: String) async throws
        -> (Subtask, Coordinator, CopyLedger)
    {
        let subtask = try await Subtask(family, name)
        try subtask.take(1)
        let coordinator = try subtask.coordinator(1)
        let ledger = CopyLedger(meta: subtask.meta, key: subtask.key)
        for (id, position) in [(1, 3), (2, 8)] {
            try ledger.record(
                SnapshotRecord(
                    id: id, low: Subtask.position(position), high: Subtask.position(position),
                    isExact: true), by: coordinator)
        }
        let chunks = [("a", 1), ("b", 2), ("gone", 1), ("old", 1)].map { name, snapshot in
            ChunkRecord(
                table: table(name), chunk: 0, snapshot: snapshot, from: nil, to: nil, rows: 4)
        }
        let objects = StoredObjects(meta: subtask.meta, key: subtask.key)
        try objects.write(
            chunks.map { try ledger.insertStatement($0) }
                + [
                    objects.storeStatement(
                        StoredObject(kind: .table, name: table("old"), definition: []))
                ],
            by: coordinator)
        let shapes = ["a", "b", "c", "old"].map {
            TableShape(
                name: table($0), columns: [ColumnShape(name: "id", type: ColumnType(.int))],
                keys: [])
        }
        try coordinator.beginFollowing(
            from: Subtask.position(5), consistentFrom: Subtask.position(8), shapes: shapes)
        return (subtask, coordinator, ledger)
    }

    private static func change(_ known: [String], coming: [String], leaving: [String] = [])
        -> Coordinator.RuleChange
    {
        var change = Coordinator.RuleChange(identity: [7], known: Set(known.map(table)))
        change.coming = coming.map(table)
        change.leaving = leaving.map(table)
        change.copied = [table("b")]
        change.mark = Subtask.position(5)
        return change
    }

    @Test(
        "tables that are followed are whole as of the mark when others come",
        arguments: Servers.families)
    func settled(family: TestServer.Family) async throws {
        let (subtask, coordinator, ledger) = try await Self.following(family, "settled")
        let known = ["a", "b", "c", "old"]
        guard
            case .done = try coordinator.change(
                Self.change(known, coming: ["n", "gone"], leaving: ["old"]))
        else { return #expect(Bool(false)) }
        let connection = try Connection(subtask.options)
        let state = try #require(try subtask.peek())
        #expect(state.phase == "copy" && state.identity == [7])
        #expect(state.lowWater == Subtask.position(5))
        // What is between, keeps its range; what the stream has made, has one now; of what comes, and
        // of what has left, nothing of before counts.
        let ranges = try ledger.ranges(connection)
        #expect(
            ranges.mapValues { [$0.low, $0.high] } == [
                Self.table("a"): [Subtask.position(5), Subtask.position(5)],
                Self.table("b"): [Subtask.position(8), Subtask.position(8)],
                Self.table("c"): [Subtask.position(5), Subtask.position(5)],
            ])
        #expect(try ledger.snapshots(connection).map(\.low) == [8, 5].map { Subtask.position($0) })
        func records() throws -> [String] {
            try StoredObjects(meta: subtask.meta, key: subtask.key).read(connection)
                .map { "\($0.kind.rawValue) \($0.name.name)" }
        }
        #expect(try records() == ["coming gone", "coming n", "left old"])
        // The end of the copy: nothing comes any more.
        try coordinator.beginFollowing(
            from: Subtask.position(9), consistentFrom: Subtask.position(9), shapes: [],
            replacing: [])
        // Views and routines were copied with the first tables, wherever others are copied.
        let place = StoredObject(
            kind: .objects, name: TableName(schema: "", name: ""),
            definition: Subtask.position(8).encoded)
        func objects() throws -> [StoredObject] {
            try StoredObjects(meta: subtask.meta, key: subtask.key).read(connection)
        }
        #expect(try records() == ["left old", "objects "])
        #expect(try objects().last == place)
        #expect(try subtask.peek()?.lowWater == Subtask.position(5))
        try coordinator.beginFollowing(
            from: Subtask.position(12), consistentFrom: Subtask.position(12), shapes: [],
            replacing: [])
        #expect(try objects().last == place)
        #expect(try subtask.peek()?.consistentFrom == Subtask.position(12))
        try coordinator.beginFollowing(
            from: Subtask.position(12), consistentFrom: Subtask.position(12), shapes: [])
        #expect(try records() == ["left old"])
    }

    @Test(
        "that the target had tables before is forgotten with those that the rules do not reach",
        arguments: Servers.families)
    func forgotten(family: TestServer.Family) async throws {
        let (subtask, coordinator, _) = try await Self.following(family, "rulesforget")
        let connection = try Connection(subtask.options)
        let objects = StoredObjects(meta: subtask.meta, key: subtask.key)
        try objects.write(
            ["a", "old", "gone", "away"].map {
                objects.storeStatement(
                    StoredObject(kind: .found, name: Self.table($0), definition: []))
            }, by: coordinator)
        func found() throws -> [String] {
            try objects.read(connection).filter { $0.kind == .found }.map(\.name.name)
        }
        var change = Self.change(["a", "b", "c", "old"], coming: [], leaving: ["old"])
        change.forgotten = [Self.table("gone")]
        // Nothing of it where something is not as it was found.
        var outdated = change
        outdated.known = [Self.table("a")]
        guard case .outdated = try coordinator.change(outdated) else {
            return #expect(Bool(false))
        }
        #expect(try found() == ["a", "away", "gone", "old"])
        guard case .done = try coordinator.change(change) else { return #expect(Bool(false)) }
        #expect(try found() == ["a", "away"])
    }

    @Test(
        "what was found otherwise, or is not decided, changes nothing", arguments: Servers.families)
    func refused(family: TestServer.Family) async throws {
        let (subtask, coordinator, ledger) = try await Self.following(family, "notsettled")
        let connection = try Connection(subtask.options)
        let before = try ledger.chunks(connection)
        guard case .outdated = try coordinator.change(Self.change(["a"], coming: ["n"])) else {
            return #expect(Bool(false))
        }
        // Nobody's token.
        try subtask.take(2)
        #expect(throws: CheckpointError.self) {
            _ = try coordinator.change(Self.change(["a", "b", "c", "old"], coming: ["n"]))
        }
        #expect(try subtask.peek()?.phase == "follow" && ledger.chunks(connection) == before)
    }

    @Test("when all that was to be copied has left, it follows on", arguments: Servers.families)
    func takenOut(family: TestServer.Family) async throws {
        let (subtask, coordinator, ledger) = try await Self.following(family, "takenout")
        let known = ["a", "b", "c", "old"]
        _ = try coordinator.change(Self.change(known, coming: ["n"]))
        #expect(try subtask.peek()?.phase == "copy")
        var change = Self.change(known, coming: [], leaving: ["n"])
        change.isCopying = true
        _ = try coordinator.change(change)
        #expect(try subtask.peek()?.phase == "copy")
        change.isCopying = false
        _ = try coordinator.change(change)
        #expect(try subtask.peek()?.phase == "follow")
        #expect(
            try ledger.ranges(Connection(subtask.options)).keys.map(\.name).sorted()
                == ["a", "b", "c", "old"])
    }

    @Test("a mark passes a copy when all of it lies behind")
    func passed() {
        func range(_ n: Int) -> CopyRange {
            CopyRange(low: Subtask.position(1), high: Subtask.position(n))
        }
        #expect(range(4).isPassed(by: Subtask.position(4)))
        #expect(!range(5).isPassed(by: Subtask.position(4)))
        // Numbers of MariaDB need not rise: the place decides, too.
        var early = Subtask.position(4)
        early.binlog.offset = 7
        #expect(!range(4).isPassed(by: early))
        var other = Subtask.position(4)
        other.origin = Origin(server: ServerUUID(high: 9, low: 9), life: 2)
        other.gtids = .none
        #expect(!range(4).isPassed(by: other))
    }
}
