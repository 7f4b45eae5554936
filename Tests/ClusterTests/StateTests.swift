import Metadata
import Settings
import Synchronization
import Testing
import Worker

@testable import Cluster

@Suite("What a worker knows of the store")
struct StateTests {
    private static func value(
        _ key: String, _ bytes: [UInt8], at revision: Revision, lease: LeaseID? = nil
    ) -> KeyValue {
        KeyValue(
            key: key, value: bytes, createRevision: revision, modRevision: revision, lease: lease)
    }

    private static let damaged = Array("{\"a newer\": \"record\"}".utf8)

    private static func session(_ name: String) throws -> [UInt8] {
        try WorkerSession(name: name, identity: name, address: "\(name):1").bytes()
    }

    /// One worker that runs one subtask.
    private static func values() throws -> [KeyValue] {
        try [
            value(KeyLayout.session("w"), session("w"), at: 1, lease: LeaseID(7)),
            value(KeyLayout.source("s"), SourceRecord(settings: "{}").bytes(), at: 2),
            value(KeyLayout.task("t"), TaskRecord(settings: "{}").bytes(), at: 3),
            value(KeyLayout.stage(task: "t", source: "s"), Stage.running.bytes, at: 4),
            value(KeyLayout.binding("s"), Binding(worker: "w", epoch: 3).bytes(), at: 5),
        ]
    }

    private static var keys: [String] {
        [
            KeyLayout.session("w"), KeyLayout.source("s"), KeyLayout.task("t"),
            KeyLayout.stage(task: "t", source: "s"), KeyLayout.binding("s"),
        ]
    }

    private static func orders(_ state: ClusterState) -> [String: SourceOrder] {
        var book = OrderBook(worker: "w") { _ in throw SettingsError("not read here") }
        return book.orders(state)
    }

    @Test(
        "a record that can't be read says what it said last, and is told of",
        arguments: keys, [false, true])
    func unreadable(_ key: String, _ isReadAnew: Bool) throws {
        var state = ClusterState()
        state.apply(.all(try Self.values(), at: 5))
        let before = Self.orders(state)
        #expect(before["s"]?.subtasks["t"]?.wanted == .running)
        let damaged = Self.value(key, Self.damaged, at: 6, lease: LeaseID(7))
        if isReadAnew {
            let others = try Self.values().filter { $0.key != key }
            state.apply(.all(others + [damaged], at: 6))
        } else {
            state.apply(.changes([.put(damaged)]))
        }
        #expect(state.unreadable == [key])
        #expect(state.changedBindings(balancing: true) == [])
        let after = Self.orders(state)
        #expect(after["s"]?.epoch == 3)
        #expect(after["s"]?.subtasks["t"]?.wanted == .running)
        // Readable again, and gone.
        let good = try #require(try Self.values().first { $0.key == key })
        state.apply(.changes([.put(good)]))
        #expect(state.unreadable.isEmpty)
        state.apply(.changes([.put(damaged), .delete(key, at: 8)]))
        #expect(state.unreadable.isEmpty)
    }

    @Test("what was never read is left alone: no binding is taken away, no worker is dead")
    func neverRead() throws {
        for key in [KeyLayout.session("w"), KeyLayout.source("s")] {
            var state = ClusterState()
            let others = try Self.values().filter { $0.key != key }
            state.apply(.all(others + [Self.value(key, Self.damaged, at: 6)], at: 6))
            #expect(state.changedBindings(balancing: true) == [], "\(key)")
        }
    }

    /// Another source of the same worker, with a task of its own.
    private static func others() throws -> [KeyValue] {
        try [
            value(KeyLayout.source("s2"), SourceRecord(settings: "{}").bytes(), at: 2),
            value(KeyLayout.task("t2"), TaskRecord(settings: "{}").bytes(), at: 3),
            value(KeyLayout.stage(task: "t2", source: "s2"), Stage.running.bytes, at: 4),
            value(KeyLayout.binding("s2"), Binding(worker: "w", epoch: 4).bytes(), at: 5),
        ]
    }

    @Test("orders name the tasks that may be there, of records that were never read; no others do")
    func unreadTasks() throws {
        var state = ClusterState()
        state.apply(.all(try Self.values() + Self.others(), at: 5))
        #expect(Self.orders(state)["s"]?.unreadTasks == [])
        for key in [KeyLayout.task("t"), KeyLayout.stage(task: "t", source: "s")] {
            var state = ClusterState()
            let others = try Self.values().filter { $0.key != key } + Self.others()
            state.apply(.all(others + [Self.value(key, Self.damaged, at: 6)], at: 6))
            let order = try #require(Self.orders(state)["s"])
            #expect(order.subtasks.isEmpty && order.unreadTasks == ["t"], "\(key)")
            #expect(Self.orders(state)["s2"]?.unreadTasks == [], "\(key)")
            let good = try #require(try Self.values().first { $0.key == key })
            state.apply(.changes([.put(good)]))
            #expect(Self.orders(state)["s"]?.unreadTasks == [])
        }
    }

    @Test("what is left of a task, or a subtask, that has gone is no task that may be there")
    func unreadRemains() throws {
        var state = ClusterState()
        let damaged = [
            // The task was removed; it was never on that source.
            KeyLayout.stage(task: "removed", source: "s"),
            KeyLayout.history(task: "t", source: "s2"),
        ].map { Self.value($0, Self.damaged, at: 6) }
        state.apply(.all(try Self.values() + Self.others() + damaged, at: 6))
        #expect(state.unreadable.count == 2 && state.unreadSubtasks.isEmpty)
    }

    @Test("without its history, nothing of a subtask runs on a guess")
    func unreadableHistory() throws {
        let key = KeyLayout.history(task: "t", source: "s")
        var state = ClusterState()
        state.apply(.all(try Self.values() + [Self.value(key, Self.damaged, at: 6)], at: 6))
        let order = try #require(Self.orders(state)["s"]?.subtasks["t"])
        #expect(throws: ClusterError.unreadable(key)) { try order.settings.get() }
    }

    private static func copies(
        _ replicas: Int, named: Set<String>? = nil, allowed: Set<String>? = nil,
        workers: [String], holders: [String] = [], draining: String? = nil
    ) throws -> Set<String> {
        var record = SourceRecord(settings: "{}", allowedWorkers: allowed)
        record.relayReplicas = replicas
        record.relayWorkers = named
        var values = try workers.map { name in
            value(KeyLayout.session(name), try session(name), at: 1, lease: LeaseID(7))
        }
        values.append(value(KeyLayout.source("s"), try record.bytes(), at: 2))
        values.append(
            value(KeyLayout.binding("s"), try Binding(worker: "w", epoch: 1).bytes(), at: 3))
        for holder in holders {
            values.append(value(KeyLayout.relay(source: "s", worker: holder), [], at: 4))
        }
        if let draining { values.append(value(KeyLayout.drain(draining), [], at: 5)) }
        var state = ClusterState()
        state.apply(.all(values, at: 5))
        return state.relayCopies()["s"] ?? []
    }

    @Test("copies of a relay log are as many as wanted, elsewhere, and stay where they are")
    func copies() throws {
        let all = ["w", "a", "b", "c", "d"]
        #expect(try Self.copies(1, workers: all).isEmpty)
        #expect(try Self.copies(3, workers: ["w"]).isEmpty)
        let two = try Self.copies(3, workers: all)
        #expect(two.count == 2 && !two.contains("w"))
        // One of the others goes: nothing changes.
        let other = try #require(all.first { $0 != "w" && !two.contains($0) })
        #expect(try Self.copies(3, workers: all.filter { $0 != other }) == two)
        // Those that have it keep it, whatever the names say.
        for holder in ["a", "b", "c", "d"] {
            #expect(try Self.copies(2, workers: all, holders: [holder, "w"]) == [holder])
            #expect(try Self.copies(2, named: [holder], workers: all) == [holder])
            #expect(try Self.copies(1, named: [holder, "w"], workers: all) == [holder])
            #expect(try Self.copies(2, allowed: ["w", holder], workers: all) == [holder])
            #expect(
                try !Self.copies(2, workers: all, holders: [holder], draining: holder)
                    .contains(holder))
        }
        #expect(try Self.copies(9, workers: all) == ["a", "b", "c", "d"])
        #expect(try Self.copies(2, named: ["gone"], workers: all).count == 1)
    }

    private static func rests(_ state: ClusterState, of worker: String) -> [String: RelayRestOrder]?
    {
        let book = OrderBook(
            worker: worker, readSource: { _, _ in throw SettingsError("not read here") }
        ) { _ in throw SettingsError("not read here") }
        return book.rests(state)
    }

    @Test("what was left of a relay log is kept for tasks that go on, until their worker has it")
    func rests() throws {
        let holding = RelayHolding(
            server: "0-7", last: "bin.000009", needs: ["t": "bin.000005"])
        var finished = SubtaskHistory()
        finished.finish = .init(position: nil, time: 1)
        var values = try Self.values()
        values += [
            Self.value(KeyLayout.task("over"), try TaskRecord(settings: "{}").bytes(), at: 6),
            Self.value(KeyLayout.stage(task: "over", source: "s"), Stage.running.bytes, at: 6),
            Self.value(
                KeyLayout.history(task: "over", source: "s"), try finished.bytes(), at: 6),
            Self.value(KeyLayout.stage(task: "removed", source: "s"), Stage.paused.bytes, at: 6),
            Self.value(KeyLayout.relay(source: "s", worker: "w"), try holding.bytes(), at: 6),
            Self.value(KeyLayout.relay(source: "s", worker: "v"), [], at: 6),
        ]
        var state = ClusterState()
        state.apply(.all(values, at: 6))
        #expect(state.relays["s"] == ["v", "w"])
        let order = try #require(Self.rests(state, of: "v")?["s"])
        #expect(order.tasks == ["t"] && order.holding == holding)
        // It is its own.
        #expect(Self.rests(state, of: "w")?["s"]?.holding == nil)
        // One that has gone has taken its disk with it.
        var gone = state
        gone.apply(.changes([.delete(KeyLayout.session("w"), at: 7)]))
        #expect(Self.rests(gone, of: "v")?["s"]?.holding == nil)
        #expect(Self.rests(gone, of: "v")?["s"]?.tasks == ["t"])
        // A source that nobody runs is still there; one that was removed is not.
        var without = state
        without.apply(
            .changes([
                .put(
                    Self.value(
                        KeyLayout.binding("s"), try Binding(worker: nil, epoch: 4).bytes(), at: 7))
            ]))
        #expect(Self.rests(without, of: "v")?["s"]?.tasks == ["t"])
        without.apply(.changes([.delete(KeyLayout.source("s"), at: 8)]))
        #expect(Self.rests(without, of: "v")?.isEmpty == true)
    }

    @Test("a record that can't be read keeps what its own task and source need, and nothing else")
    func unreadRests() throws {
        var finished = SubtaskHistory()
        finished.finish = .init(position: nil, time: 1)
        let history = KeyLayout.history(task: "t", source: "s")
        let values =
            try Self.values() + Self.others()
            + [Self.value(history, try finished.bytes(), at: 5)]
        var whole = ClusterState()
        whole.apply(.all(values, at: 5))
        // It is over.
        #expect(Self.rests(whole, of: "v")?["s"]?.tasks == [])
        for key in [
            KeyLayout.task("t"), KeyLayout.stage(task: "t", source: "s"), history,
            KeyLayout.source("s"),
        ] {
            // Read before, or never.
            var known = whole
            known.apply(.changes([.put(Self.value(key, Self.damaged, at: 6))]))
            var unknown = ClusterState()
            unknown.apply(
                .all(
                    values.filter { $0.key != key } + [Self.value(key, Self.damaged, at: 6)], at: 6)
            )
            for state in [known, unknown] {
                let rests = try #require(Self.rests(state, of: "v"))
                // The source was not removed, whatever else is not known.
                let order = try #require(rests["s"], "\(key)")
                let unread: Set<String> = key == KeyLayout.source("s") ? [] : ["t"]
                #expect(order.tasks == unread && order.unreadTasks == unread, "\(key)")
                #expect(throws: (any Error).self) { try order.settings() }
                #expect(rests["s2"]?.tasks == ["t2"] && rests["s2"]?.unreadTasks == [], "\(key)")
                #expect(state.unreadSources == (unread.isEmpty ? ["s"] : []), "\(key)")
            }
        }
    }

    @Test("an epoch that nothing is greater than is no reason to crash")
    func lastEpoch() throws {
        var state = ClusterState()
        let binding = try Binding(worker: "gone", epoch: .max).bytes()
        state.apply(.all(try Self.values(), at: 5))
        state.apply(.changes([.put(Self.value(KeyLayout.binding("s"), binding, at: 6))]))
        #expect(state.changedBindings(balancing: true) == [])
    }
}
