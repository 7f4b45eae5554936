import Logging
import MySQLClient
import MySQLCore
import Rules
import Runtime
import Stream
import Synchronization
import TestServers
import Testing

@testable import Checkpoint
@testable import Settings
@testable import Worker

@Suite("Looks at tables that another task hands over")
struct TakingOverTests {
    @Test("the look finds what would be lost, and refuses it before the two meet")
    func looks() async throws {
        try await TestServer.with(.mariadb) { server in
            try await withThread("test") {
                let tasks = try TwoTasks(server)
                let found = try tasks.look(tasks.settings)
                #expect(found.areMet && found.change.tables == [TwoTasks.t])
                #expect(!found.ownRules.hasOthers && !found.change.keepsExisting)
                // The task's other sources write beside what is finished by the old rules.
                var shared = tasks.settings
                shared.share(with: ["two": TableMapping(TwoTasks.selection(["shop.m"]))])
                #expect(try tasks.look(shared).ownRules.hasOthers)

                // Rows of its copy may hold what comes behind the mark.
                var later = tasks.place
                later.binlog.offset += 1 << 20
                switch later.gtids {
                case .mariadb(var gtids):
                    gtids.last[77] = MariaDBGTID(domain: 77, server: 1, sequence: 1)
                    later.gtids = .mariadb(gtids)
                default: break
                }
                for key in [tasks.big, tasks.main] {
                    let ledger = CopyLedger(meta: tasks.meta, key: key)
                    let table = key == tasks.big ? TwoTasks.t : TwoTasks.m
                    let record = SnapshotRecord(
                        id: 1, low: tasks.place, high: later, isExact: false)
                    try tasks.execute(ledger.storeStatement(record))
                    // Nothing has been copied in it.
                    #expect(try tasks.look(tasks.settings).areMet)
                    try tasks.execute(
                        ledger.insertStatement(
                            ChunkRecord(
                                table: table, chunk: 0, snapshot: 1, from: nil, to: nil, rows: 1)))
                    #expect(
                        try tasks.refuses(
                            tasks.settings, "\(key.task) has not passed its copy yet"))
                    try tasks.execute(ledger.forgetStatement(table))
                }

                // What the other one has found on the target, this one must keep, too.
                let objects = StoredObjects(meta: tasks.meta, key: tasks.big)
                try tasks.execute(objects.removeStatement(.table, TwoTasks.t))
                #expect(try tasks.refuses(tasks.settings, "give this task into-existing"))
                var keeping = tasks.settings
                keeping.intoExisting = true
                #expect(try tasks.look(keeping).change.keepsExisting)
            }
        }
    }

    @Test(
        "tables that the other one has found there are never dropped", .timeLimit(.minutes(5)))
    func found() async throws {
        try await TestServer.with(.mariadb) { server in
            let tasks = try TwoTasks(server)
            var keeping = tasks.settings
            keeping.intoExisting = true
            keeping.keepsRelay = false
            keeping.until = .caughtUp
            let settings = keeping
            try await withThread("test") {
                let objects = StoredObjects(meta: tasks.meta, key: tasks.big)
                try tasks.execute(objects.removeStatement(.table, TwoTasks.t))
                #expect(try tasks.handOver(settings))
                try tasks.execute("INSERT INTO shop.t VALUES (7)")
            }
            for isFresh in [true, false] {
                var careless = settings
                careless.fresh = isFresh
                careless.intoExisting = isFresh
                do {
                    _ = try await tasks.migration(careless).run()
                    Issue.record("it has begun")
                } catch {
                    #expect("\(error)".contains("had not created it"), "\(error)")
                }
            }
            let rows = try Connection(tasks.options).value("SELECT COUNT(*) FROM shop.t")
            #expect(rows == "1")
        }
    }

    @Test("what the other one has let go, and lies there, must not come beside its rows")
    func left() async throws {
        try await TestServer.with(.mariadb) { server in
            try await withThread("test") {
                let tasks = try TwoTasks(server)
                let all = TwoTasks.settings(
                    "main", tasks.options, TwoTasks.selection(["shop.*"]))
                // Its rules have wanted it since, and it has not been created yet.
                #expect(try tasks.look(all).areMet)
                let objects = StoredObjects(meta: tasks.meta, key: tasks.big)
                let x = TableName(schema: "shop", name: "x")
                try tasks.execute(
                    objects.storeStatement(StoredObject(kind: .left, name: x, definition: [])))
                #expect(try tasks.refuses(all, "rows of before are on the target"))
                try tasks.execute("DELETE FROM shop.x")
                #expect(try tasks.look(all).areMet)
            }
        }
    }

    @Test("what has been handed over by a COMMIT without a reply is found, and not refused")
    func lostReply() async throws {
        try await TestServer.with(.mariadb) { server in
            try await withThread("test") {
                let tasks = try TwoTasks(server)
                let known = try #require(try tasks.peek(tasks.main))
                let wanted = tasks.wanted(tasks.settings)
                func takeOver() throws -> Bool {
                    try tasks.migration(tasks.settings).takeOver(
                        "big", known, from: tasks.stored, to: wanted, Connection(tasks.options),
                        Connection(tasks.options))
                }
                // As the look finds both where the COMMIT takes effect behind what it was given.
                try tasks.execute(
                    "DELETE FROM skein_meta.subtask WHERE \(tasks.big.condition)")
                #expect(throws: MigrationError.self) { try takeOver() }
                try tasks.execute(
                    "UPDATE skein_meta.subtask SET identity=\(hexLiteral(wanted.encoded)) "
                        + "WHERE \(tasks.main.condition)")
                #expect(try !takeOver())
            }
        }
    }

    @Test("a run of the other task that goes on is refused, and sessions of one that is over end")
    func running() async throws {
        try await TestServer.with(.mariadb) { server in
            let tasks = try TwoTasks(server)
            let migration = tasks.migration(tasks.settings)
            let beats = try await withThread("test") {
                let state = try #require(try tasks.peek(tasks.big))
                let session = try TargetSession(tasks.options, role: .coordinator)
                try session.holdLock(state.run)
                func beat() throws -> String? {
                    do {
                        _ = try tasks.look(tasks.settings)
                        return nil
                    } catch let runs as DonorRuns {
                        return runs.beat
                    }
                }
                let first = try beat()
                try Coordinator(
                    session: session, meta: tasks.meta, key: tasks.big, token: state.run
                ).beat()
                let second = try beat()
                try session.releaseLock(state.run)
                #expect(try tasks.look(tasks.settings).areMet)
                return [first, second]
            }
            #expect(beats[0] != nil && beats[1] != nil && beats[0] != beats[1])
            func refuses(_ beats: [String?], after time: Duration = .zero) async throws -> Bool {
                var rest = Migration.DonorRest()
                for (n, beat) in beats.enumerated() {
                    if n == beats.count - 1 { rest.since = ContinuousClock.now - time }
                    do {
                        try await migration.wait(for: DonorRuns(name: "big", beat: beat), &rest)
                    } catch is MigrationError {
                        return n == beats.count - 1
                    }
                }
                return false
            }
            let rests = try await refuses([beats[0], beats[0]])
            let outlives = try await refuses([beats[0], beats[0]], after: .seconds(11))
            #expect(!rests && !outlives)
            // It may be ending: what it has read is applied first. That is shown meanwhile.
            let drains = try await refuses(beats)
            #expect(!drains && migration.board.current.waiting?.contains("big") == true)
            var rest = Migration.DonorRest(seen: DonorRuns(name: "big", beat: nil))
            migration.endWait(&rest)
            #expect(rest.seen == nil && migration.board.current.waiting == nil)
            let runs = try await refuses(beats, after: .seconds(11))
            // Nothing that hangs there is waited for without an end.
            let hangs = try await refuses([beats[0], beats[0]], after: .seconds(600))
            #expect(runs && hangs)
        }
    }

    @Test("errant transactions are refused, which the source never sends", .timeLimit(.minutes(5)))
    func errant() async throws {
        try await TestServer.with(.mariadb) { server in
            let tasks = try TwoTasks(server)
            var tables = try tasks.look(tasks.settings)
            var elsewhere = tasks.place
            elsewhere.origin.server = ServerUUID(high: 0, low: 99)
            var gtids = MariaDBGTIDPosition()
            gtids.last[0] = MariaDBGTID(domain: 0, server: 99, sequence: 1 << 40)
            elsewhere.gtids = .mariadb(gtids)
            try tasks.execute(
                "UPDATE skein_meta.subtask SET low_water=\(hexLiteral(elsewhere.encoded)) "
                    + "WHERE \(tasks.big.condition)")
            tables = HandedOverTables(
                name: tables.name, donor: tables.donor,
                donorState: try #require(try tasks.peek(tasks.big)), donorRules: tables.donorRules,
                ownRules: tables.ownRules, change: tables.change, areMet: false)
            do {
                try await tasks.migration(tasks.settings).meet(UnmetTables(tables), time: 1)
                Issue.record("they have met")
            } catch let error as MigrationError {
                #expect(error.description.contains("does not have everything"))
            }
        }
    }

    @Test("a run that has nothing to do and is not at its place ends")
    func standstill() throws {
        func place(_ offset: UInt64) -> SourcePosition {
            SourcePosition(
                origin: Origin(server: ServerUUID(high: 0, low: 1), life: 0),
                binlog: BinlogPosition(file: "b.000001", offset: offset), gtids: .none)
        }
        let start = ContinuousClock.now
        var standstill = Standstill()
        let steps: [(second: Int, mark: UInt64, read: UInt64, isIdle: Bool, isOver: Bool)] = [
            (0, 4, 4, true, false), (9, 4, 4, true, false), (10, 4, 4, true, true),
            // It goes on, or has something to do.
            (11, 5, 5, true, false), (20, 5, 5, true, false), (20, 5, 5, false, false),
            (25, 5, 5, true, false), (34, 5, 5, true, false), (35, 5, 5, true, true),
            // A large transaction comes, of which nothing is applied yet.
            (36, 5, 6, true, false), (45, 5, 7, true, false), (54, 5, 8, true, false),
            (63, 5, 8, true, false), (64, 5, 8, true, true),
        ]
        for step in steps {
            #expect(
                standstill.lasts(
                    .seconds(10), at: place(step.mark), read: place(step.read).binlog,
                    isIdle: step.isIdle, now: start + .seconds(step.second)) == step.isOver,
                "\(step)")
        }
    }

    @Test("what the two wait for is said until they have met")
    func waiting() async throws {
        try await TestServer.with(.mariadb) { server in
            let tasks = try TwoTasks(server)
            let migration = tasks.migration(tasks.settings)
            let state = try #require(try tasks.peek(tasks.main))
            migration.meetingText.withLock { $0 = "big comes" }
            migration.didTakeOver(state)
            #expect(migration.board.current.waiting == "big comes")
            migration.meetingText.withLock { $0 = nil }
            migration.didTakeOver(state)
            #expect(migration.board.current.waiting == nil)
        }
    }

    @Test("who has handed over does not begin anew on what another task has")
    func handedOver() async throws {
        try await TestServer.with(.mariadb) { server in
            try await withThread("test") {
                let tasks = try TwoTasks(server)
                let taken = try tasks.handOver(tasks.settings)
                #expect(try taken && tasks.peek(tasks.big) == nil)
                func refuses(
                    _ name: String, _ tables: [String], source: String = "one",
                    beside others: [String: [String]] = [:]
                ) throws -> Bool {
                    var settings = TwoTasks.settings(
                        name, tasks.options, TwoTasks.selection(tables))
                    settings.sourceID = source
                    settings.share(
                        with: others.mapValues { TableMapping(TwoTasks.selection($0)) })
                    do {
                        try tasks.migration(settings).requireNotHandedOver(
                            Connection(tasks.options), Connection(tasks.options))
                        return false
                    } catch let error as MigrationError {
                        guard case .handedOver(task: name, to: "main", TwoTasks.t) = error else {
                            throw error
                        }
                        return true
                    }
                }
                #expect(try refuses("big", ["shop.t"]))
                // Other tables are free, and so are other tasks, which have handed nothing over.
                #expect(try !refuses("big", ["shop.x"]))
                #expect(try !refuses("other", ["shop.t"]))
                // Where it goes counts, and not its name alone.
                var elsewhere = TwoTasks.settings(
                    "big", tasks.options, TwoTasks.selection(["shop.t"]))
                try elsewhere.take(
                    SourceRules(
                        tables: BlockAllowList(doSchemas: ["shop"]),
                        routes: [
                            RouteRule(name: "r", schemaPattern: "shop", targetSchema: "copies")
                        ]))
                func refusesElsewhere() throws -> Bool {
                    do {
                        try tasks.migration(elsewhere).requireNotHandedOver(
                            Connection(tasks.options), Connection(tasks.options))
                        return false
                    } catch MigrationError.handedOver {
                        return true
                    }
                }
                #expect(try !refusesElsewhere())
                // The source has dropped it, and may create it again.
                try tasks.execute("DROP TABLE shop.t")
                #expect(try refuses("big", ["shop.t"]) && !refusesElsewhere())
                try tasks.execute("CREATE TABLE shop.t (id INT PRIMARY KEY)")
                // A source that had not begun: where its rows go, the other task has tables.
                #expect(try refuses("big", ["shop.t"], source: "two", beside: ["one": ["shop.t"]]))
                #expect(try !refuses("big", ["shop.x"], source: "two", beside: ["one": ["shop.t"]]))
                // All is copied anew: what is wanted has no shape meanwhile, but rules.
                try tasks.execute("DELETE FROM skein_meta.shape")
                try tasks.execute("DELETE FROM skein_meta.object WHERE task='main'")
                try tasks.execute("UPDATE skein_meta.subtask SET phase='copy' WHERE task='main'")
                #expect(try refuses("big", ["shop.t"]))
                #expect(try !refuses("big", ["shop.x"]))
                #expect(try !refusesElsewhere())
                // Rules that nobody can read may lead anywhere.
                let identity = try #require(try tasks.peek(tasks.main)).identity
                func store(_ identity: [UInt8]) throws {
                    try tasks.execute(
                        "UPDATE skein_meta.subtask SET identity=\(hexLiteral(identity)) "
                            + "WHERE \(tasks.main.condition)")
                }
                try store([1])
                #expect(try refusesElsewhere())
                try store(identity)
                // Nobody has them any more.
                try tasks.execute("DELETE FROM skein_meta.subtask WHERE task='main'")
                #expect(try !refuses("big", ["shop.t"]))
            }
        }
    }
}
