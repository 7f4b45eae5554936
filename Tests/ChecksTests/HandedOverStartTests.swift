import Logging
import MySQLClient
import MySQLCore
import Rules
import Runtime
import Stream
import TestServers
import Testing

@testable import Checkpoint
@testable import Settings
@testable import Worker

@Suite("Starts beside a task that takes tables over, or has taken some")
struct HandedOverStartTests {
    /// Whether a start of `big` is refused because of what `main` has.
    private static func isRefused(_ migration: Migration) async -> Bool {
        do {
            let outcome = try await migration.run()
            Issue.record("it has begun: \(outcome)")
            return false
        } catch let error as MigrationError {
            if case .handedOver(task: "big", to: "main", TwoTasks.t) = error { return true }
            Issue.record(error)
            return false
        } catch {
            Issue.record(error)
            return false
        }
    }

    /// Waits until something holds; false after a minute.
    private static func eventually(_ condition: () throws -> Bool) async throws -> Bool {
        for _ in 0..<1200 {
            if try condition() { return true }
            try await Task.sleep(for: .milliseconds(50))
        }
        return false
    }

    @Test(
        "who has handed over is stopped wherever it begins, and touches nothing",
        .timeLimit(.minutes(5)))
    func begins() async throws {
        try await TestServer.with(.mariadb) { server in
            let tasks = try TwoTasks(server)
            #expect(try tasks.handOver(tasks.settings))
            try tasks.execute("INSERT INTO shop.t VALUES (7)")
            var settings = TwoTasks.settings(
                "big", tasks.options, TwoTasks.selection(["shop.t"]))
            // Source and target are one server.
            settings.ignoredChecks = [Prechecks.every]
            settings.keepsRelay = false
            settings.until = .caughtUp
            let first = await Self.isRefused(tasks.migration(settings))
            #expect(try first && tasks.peek(tasks.big) == nil)
            // The record comes between the first look and the row: who hands over looks at rows
            // behind the record, so that one of the two sees the other one.
            try tasks.execute("DELETE FROM skein_meta.object WHERE kind='handed'")
            let late = try Connection(tasks.options)
            try late.execute("START TRANSACTION")
            try HandedTask("big", meta: tasks.meta).note(late)
            let migration = tasks.migration(settings)
            async let second = Self.isRefused(migration)
            let hasRow = try await Self.eventually { try tasks.peek(tasks.big) != nil }
            try late.execute("COMMIT")
            let isRefused = await second
            #expect(hasRow && isRefused)
            // It has a row now, and nothing else.
            #expect(try tasks.peek(tasks.big)?.phase == "copy")
            let again = await Self.isRefused(tasks.migration(settings))
            try tasks.execute("UPDATE skein_meta.subtask SET phase='start' WHERE task='big'")
            var incremental = settings
            incremental.mode = .incremental
            let fromStart = await Self.isRefused(tasks.migration(incremental))
            #expect(again && fromStart)
            // To start over would drop what the other task has, whatever this one did last.
            try tasks.execute("UPDATE skein_meta.subtask SET phase='follow' WHERE task='big'")
            settings.fresh = true
            let anew = await Self.isRefused(tasks.migration(settings))
            #expect(anew)
            let connection = try Connection(tasks.options)
            #expect(try connection.value("SELECT COUNT(*) FROM shop.t") == "1")
            #expect(
                try connection.value("SELECT COUNT(*) FROM skein_meta.lane WHERE task='big'") == "0"
            )
        }
    }

    @Test("a first start goes through in a meta schema that is half made", .timeLimit(.minutes(5)))
    func halfMade() async throws {
        try await CheckPair.with(.mariadb) { pair in
            try pair.source.sql(
                """
                CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY);
                INSERT INTO shop.t VALUES (1), (2);
                """)
            var settings = MigrationSettings(
                source: try pair.options(pair.source, nil),
                target: try pair.options(pair.target, nil),
                selection: TwoTasks.selection(["shop.t"]))
            settings.keepsRelay = false
            settings.until = .caughtUp
            let target = try Connection(settings.target)
            try MetaSchema().prepare(target)
            // As a process leaves it that is killed while it makes the schema.
            let tables = try target.rows(
                "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA='skein_meta'"
            ).compactMap(\.[0])
            for table in tables where !["version", "subtask"].contains(table) {
                try target.execute("DROP TABLE skein_meta.\(table)")
            }
            try target.execute("DELETE FROM skein_meta.version")
            let migration = Migration(settings: settings, logger: Logger(label: "test"))
            let outcome = try await migration.run()
            guard case .reached = outcome else {
                Issue.record("\(outcome)")
                return
            }
            #expect(try target.value("SELECT COUNT(*) FROM shop.t") == "2")
            #expect(
                try target.value(
                    "SELECT COUNT(*) FROM information_schema.TABLES "
                        + "WHERE TABLE_SCHEMA='skein_meta'") == "\(tables.count)")
        }
    }

    @Test(
        "that a table was there before is forgotten when the source drops it, and goes with its name",
        .timeLimit(.minutes(5)))
    func found() async throws {
        try await CheckPair.with(.mariadb) { pair in
            let schema = """
                CREATE DATABASE shop; CREATE TABLE shop.m (id INT PRIMARY KEY);
                CREATE TABLE shop.t (id INT PRIMARY KEY); CREATE TABLE shop.u (id INT PRIMARY KEY);
                """
            try pair.source.sql(schema)
            try pair.target.sql(schema)
            var settings = MigrationSettings(
                source: try pair.options(pair.source, nil),
                target: try pair.options(pair.target, nil),
                selection: TwoTasks.selection(["shop.*"]))
            let key = SubtaskKey(task: "main", source: "one")
            settings.name = key.task
            settings.sourceID = key.source
            settings.intoExisting = true
            settings.keepsRelay = false
            settings.until = .caughtUp
            let target = try Connection(settings.target)
            try MetaSchema().prepare(target)
            let place = try SourceSession(Connection(settings.source)).place()
            try TwoTasks.follow(
                key, MigrationIdentity(settings: settings, server: place.origin.server),
                ["m", "t", "u"].map { TableName(schema: "shop", name: $0) }, as: .found,
                on: settings.target, from: place)
            try pair.source.sql(
                "DROP TABLE shop.t; RENAME TABLE shop.u TO shop.v; INSERT INTO shop.v VALUES (5)")
            let migration = Migration(settings: settings, logger: Logger(label: "test"))
            let outcome = try await migration.run()
            guard case .reached = outcome else {
                Issue.record("\(outcome)")
                return
            }
            #expect(try target.value("SELECT id FROM shop.v") == "5")
            let found = try StoredObjects(meta: MetaSchema(), key: key).read(target)
                .filter { $0.kind == .found }.map(\.name.name)
            #expect(found == ["m", "v"])
        }
    }

    @Test(
        "rules that change behind the look are not taken for those that it has found",
        .timeLimit(.minutes(5)), arguments: [true, false])
    func decidedBehindLook(isHandedOver: Bool) async throws {
        try await TestServer.with(.mariadb) { server in
            let tasks = try TwoTasks(server)
            let known = try #require(try tasks.peek(tasks.main))
            let wanted = tasks.wanted(tasks.settings)
            let others = TwoTasks.settings(
                "main", tasks.options, TwoTasks.selection(["shop.m", "shop.x"]))
            let identity = isHandedOver ? wanted : tasks.wanted(others)
            // An earlier try whose COMMIT is on its way, or another process with other rules.
            let late = try Connection(tasks.options)
            try late.execute("START TRANSACTION")
            try late.execute(
                "UPDATE skein_meta.subtask SET identity=\(hexLiteral(identity.encoded)) "
                    + "WHERE \(tasks.main.condition)")
            if isHandedOver {
                try late.execute(
                    "UPDATE skein_meta.shape SET task='main' WHERE \(tasks.big.condition)")
                try late.execute("DELETE FROM skein_meta.subtask WHERE \(tasks.big.condition)")
            }
            async let taken = withThread("late") {
                try tasks.migration(tasks.settings).takeOver(
                    "big", known, from: tasks.stored, to: wanted, Connection(tasks.options),
                    Connection(tasks.options))
            }
            let isWaiting = try await Self.eventually {
                try Connection(tasks.options).value(
                    "SELECT COUNT(*) FROM information_schema.INNODB_TRX "
                        + "WHERE trx_state='LOCK WAIT'") != "0"
            }
            try late.execute("COMMIT")
            let isTaken = try await taken
            // What is there then is looked at anew.
            #expect(isWaiting && !isTaken)
            #expect(try tasks.peek(tasks.main)?.identity == identity.encoded)
            #expect(try (tasks.peek(tasks.big) == nil) == isHandedOver)
            let shapes = try StoredShapes(meta: tasks.meta, key: tasks.main).read(
                Connection(tasks.options))
            let tables: Set = isHandedOver ? [TwoTasks.m, TwoTasks.t] : [TwoTasks.m]
            #expect(Set(shapes.map(\.name)) == tables)
        }
    }

    @Test("a run of the other task that ends in moments is waited for", .timeLimit(.minutes(5)))
    func draining() async throws {
        try await TestServer.with(.mariadb) { server in
            let tasks = try TwoTasks(server)
            var settings = tasks.settings
            settings.takeOver = "big"
            settings.changesRules = true
            settings.keepsRelay = false
            settings.until = .caughtUp
            let run = try #require(try tasks.peek(tasks.big)).run
            let session = try TargetSession(tasks.options, role: .coordinator)
            try session.holdLock(run)
            let migration = tasks.migration(settings)
            async let outcome = migration.run()
            let isShown = try await Self.eventually {
                migration.board.current.waiting?.contains("big seems to run") == true
            }
            // It shows that it lives, and ends.
            try Coordinator(session: session, meta: tasks.meta, key: tasks.big, token: run).beat()
            try await Task.sleep(for: .seconds(1))
            try session.releaseLock(run)
            let end = try await outcome
            guard isShown, case .reached = end else {
                Issue.record("\(isShown): \(end)")
                return
            }
            #expect(try tasks.peek(tasks.big) == nil)
            #expect(migration.board.current.waiting == nil)
            let shapes = try StoredShapes(meta: tasks.meta, key: tasks.main).read(
                Connection(tasks.options))
            #expect(Set(shapes.map(\.name)) == [TwoTasks.m, TwoTasks.t])
        }
    }

    @Test("a source of which the other task has nothing takes its rules alone")
    func sources() async throws {
        try await TestServer.with(.mariadb) { server in
            try await withThread("test") {
                let tasks = try TwoTasks(server)
                let two = SubtaskKey(task: "main", source: "two")
                try tasks.follow(two, tasks.stored, [TwoTasks.m])
                func take(_ key: SubtaskKey, _ tables: [String], from name: String = "big") throws
                    -> Bool
                {
                    var settings = TwoTasks.settings(
                        "main", tasks.options, TwoTasks.selection(tables))
                    settings.sourceID = key.source
                    settings.takeOver = name
                    let known = try #require(try tasks.peek(key))
                    return try tasks.migration(settings).takeRules(
                        known, from: tasks.stored, to: tasks.wanted(settings), because: "tables",
                        Connection(tasks.options), Connection(tasks.options))
                }
                func refuses(_ tables: [String], from name: String = "big") throws -> Bool {
                    do {
                        _ = try take(two, tables, from: name)
                        return false
                    } catch MigrationError.handOver(from: name, detail: _) {
                        return true
                    }
                }
                // What comes in there is not copied in the place of what nobody hands over.
                #expect(try refuses(["shop.m", "shop.x"]))
                #expect(try refuses(["shop.m", "none.*"], from: "main"))
                #expect(try tasks.peek(two)?.identity == tasks.stored.encoded)
                #expect(try take(two, ["shop.m", "none.*"]))
                let state = try #require(try tasks.peek(two))
                #expect(state.identity != tasks.stored.encoded && state.phase == "follow")
                // The other task is as it was, for the source that it has.
                #expect(try tasks.peek(tasks.big)?.phase == "follow")
                #expect(try take(tasks.main, ["shop.m", "shop.t"]))
                #expect(try tasks.peek(tasks.big) == nil)
                let shapes = try StoredShapes(meta: tasks.meta, key: tasks.main).read(
                    Connection(tasks.options))
                #expect(Set(shapes.map(\.name)) == [TwoTasks.m, TwoTasks.t])
            }
        }
    }
}
