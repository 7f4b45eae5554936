import Checkpoint
import MySQLClient
import MySQLCore
import MySQLSyntax
import Rules
import Runtime
import TestServers
import Testing

@testable import Replication

// What workers of several sources do to one table, and tell each other of it.
extension DDLWorkerTests {
    /// The table `a`, to which both sources lead theirs.
    func target(_ rig: TargetRig) -> TableName { TableName(schema: rig.schema, name: "a") }

    /// What is told of the tables that go there.
    private func told(_ rig: TargetRig) throws -> [MergedTables.Member] {
        try MergedTables(meta: rig.meta, key: rig.key)
            .read(target(rig), Connection(rig.options))
    }

    /// A table of a source that is like `a`.
    private func table(
        _ rig: TargetRig, _ name: String, schema: String, plus columns: [String] = []
    ) -> NotedTable {
        let name = TableName(schema: schema, name: name)
        let id = ColumnShape(name: "id", type: ColumnType(.int), isNullable: false)
        let more = columns.map {
            ColumnShape(name: $0, type: ColumnType(.int), isNullable: true)
        }
        let shape = TableShape(
            name: name, columns: [id] + more,
            keys: [KeyShape(name: "PRIMARY", parts: [KeyPart(column: "id")], isUnique: true)])
        return NotedTable(name: name, target: target(rig), shape: shape)
    }

    /// What one of the two sources, `source` and `other`, leads to `a`, and to `b`.
    private func mapping(_ rig: TargetRig, of source: String) throws -> TableMapping {
        func rules(_ schema: String) -> SourceRules {
            SourceRules(
                tables: BlockAllowList(doSchemas: [schema]),
                routes: ["a": "o_*", "b": "p_*"].sorted { $0.key < $1.key }.map { target, names in
                    RouteRule(
                        name: target, schemaPattern: schema, tablePattern: names,
                        targetSchema: rig.schema, targetTable: target)
                })
        }
        let isOther = source == "other"
        var mapping = try TableMapping(rules(isOther ? "theirs" : "mine"))
        let rest = try TableMapping(ofOther: rules(isOther ? "mine" : "theirs"))
        mapping.share(with: isOther ? [rig.key.source: rest] : ["other": rest])
        return mapping
    }

    /// A worker of one of the two, as of a run that follows.
    private func worker(_ rig: TargetRig, of source: String) throws -> DDLWorker {
        let key = SubtaskKey(task: rig.key.task, source: source)
        let token = rig.token(source == "other" ? 101 : 102)
        let coordinator = try TargetSession(rig.options, role: .coordinator)
        let takeover = Takeover(meta: rig.meta, key: key)
        _ = try takeover.create(coordinator, identity: [1], rules: [1])
        _ = try takeover.take(coordinator, token: token, epoch: .next, lanes: 2)
        try rig.server.sql("UPDATE \(rig.meta.name).subtask SET phase='follow'")
        let session = try TargetSession(rig.options, role: .ddl(Self.lane))
        // On a busy machine a test may be away for longer than a run ever is.
        try session.connection.execute("SET SESSION wait_timeout=900")
        let mapping = try mapping(rig, of: source)
        let others = OtherSources(meta: rig.meta, key: key) {
            mapping.places(of: $0, source: $1)
        }
        return DDLWorker(
            session: session,
            ledger: DDLLedger(
                session: session, meta: rig.meta, key: key, lane: Self.lane, token: token),
            marks: MarkBoard(), tables: MergedTables(meta: rig.meta, key: key), source: source,
            shared: (mapping, others), followsMerged: true)
    }

    /// Has a source empty the table.
    ///
    /// - Parameter foundAlone: whether it was found to be its alone.
    private func truncate(
        _ rig: TargetRig, of source: String = "source", foundAlone: Bool = true
    ) async throws {
        let target = target(rig)
        var request = DDLRequest(
            identity: TargetRig.identity(9), sql: Array("TRUNCATE TABLE a".utf8),
            defaultSchema: rig.schema, settings: [], tables: [target], existAfter: [target],
            goneAfter: [], isIdempotent: true, mayFail: false)
        if foundAlone { request.foundAlone = [target] }
        try await perform(request, worker(rig, of: source))
    }

    private func rows(_ rig: TargetRig) throws -> String {
        try rig.server.sql("SELECT COUNT(*) FROM a", database: rig.schema)
    }

    /// Whether a session of the server is at such a statement within ten seconds.
    private func isRunning(_ rig: TargetRig, _ pattern: String) async throws -> Bool {
        try await TargetRig.eventually {
            try rig.server.sql(
                "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE '\(pattern)'")
                != "0\n"
        }
    }

    @Test(
        "a statement that takes rows away looks who has come to its table (D31)",
        arguments: Servers.families)
    func comers(family: TestServer.Family) async throws {
        let (rig, _) = try await rig(family, "mergedcomers")
        try worker(rig, of: "other").note([table(rig, "o_1", schema: "theirs")], areNew: false)
        for foundAlone in [true, false] {
            do {
                try await truncate(rig, foundAlone: foundAlone)
                Issue.record("it ran")
            } catch ReplicationError.othersHaveCome(let table) {
                #expect(foundAlone && table == target(rig))
            } catch ReplicationError.refusedStatement {
                #expect(!foundAlone)
            }
        }
        #expect(try rows(rig) == "1\n")
    }

    @Test(
        "statements that take rows away and those of other sources wait for each other (D31)",
        arguments: Servers.families)
    func turns(family: TestServer.Family) async throws {
        let (rig, _) = try await rig(family, "mergedturns")
        let target = target(rig)
        let members = MergedTables(meta: rig.meta, key: rig.key)
        // Another source makes a table of its own.
        let theirs = try Connection(rig.options)
        try #require(try members.lock(target, theirs))
        let other = try worker(rig, of: "other")
        let waiting = Task { try await withThread("ddl") { try await truncate(rig) } }
        _ = try await isRunning(rig, "SELECT GET_LOCK(''skein:merged:%")
        try other.note([table(rig, "o_1", schema: "theirs")], areNew: false)
        try members.unlock(target, theirs)
        await #expect(throws: ReplicationError.othersHaveCome(target)) { try await waiting.value }
        #expect(try rows(rig) == "1\n")
        // It is gone again, and the statement waits for somebody who reads the table.
        try other.note(
            [
                NotedTable(
                    name: TableName(schema: "theirs", name: "o_1"), target: target, shape: nil)
            ], areNew: false)
        let reader = try Connection(rig.options)
        try reader.execute("START TRANSACTION")
        _ = try reader.rows("SELECT id FROM \(target.quoted)")
        async let running: Void = withThread("ddl") { try await truncate(rig) }
        #expect(try await isRunning(rig, "TRUNCATE TABLE a"))
        #expect(try !members.lock(target, theirs))
        try reader.execute("COMMIT")
        try await running
        #expect(try rows(rig) == "0\n")
        #expect(try members.lock(target, theirs))
    }

    /// Has a source do something to a table of its own that goes to `a`.
    ///
    /// - Parameter version: of its server, where that is another one than the target's.
    func change(
        _ rig: TargetRig, of source: String, _ sql: String, from before: NotedTable? = nil,
        to after: NotedTable, version: ServerVersion? = nil
    ) async throws {
        let worker = try worker(rig, of: source)
        let context = SyntaxContext(
            version: version ?? worker.session.connection.serverVersion, defaultSchema: rig.schema)
        let statement = try parseStatement(sql, context: context)
        let kind: MergedChange.Kind =
            switch statement.ddl {
            case .alterTable(let alter)?: .alter(alter)
            case .dropIndex(let drop)?:
                .key(
                    AlterTable(table: drop.table, actions: [.dropKey(drop.name, ifExists: false)]))
            default: .create
            }
        let target = target(rig)
        var request = DDLRequest(
            identity: TargetRig.identity(7), sql: Array(sql.utf8), defaultSchema: rig.schema,
            settings: [], tables: [target], existAfter: [target], goneAfter: [],
            isIdempotent: false, mayFail: false)
        request.isPartial = true
        request.merged = MergedChange(
            kind: kind, statement: statement, context: context, table: after.name, target: target,
            before: before?.shape, after: try #require(after.shape), own: [:], filled: [])
        try await perform(request, worker)
    }

    private func create(_ rig: TargetRig, of source: String) async throws {
        let made = table(rig, "o_9", schema: source == "other" ? "theirs" : "mine")
        try await change(rig, of: source, "CREATE TABLE a (id INT PRIMARY KEY)", to: made)
    }

    /// Expects that something waits for a source.
    private func expectWaiting(
        for source: String, _ body: () async throws -> Void
    ) async {
        do {
            try await body()
            Issue.record("it ran")
        } catch ReplicationError.othersAreAwaited(_, let detail) {
            #expect(detail.contains("source \(source)"), "\(detail)")
        } catch {
            Issue.record(error)
        }
    }

    @Test(
        "nobody changes a table by which another source is to see what has run (D32)",
        arguments: Servers.families)
    func undecided(family: TestServer.Family) async throws {
        for isRepeatable in [false, true] {
            let (rig, options) = try await rig(family, "mergedundecided\(isRepeatable)")
            try crash(
                Self.alter, rig, options, afterwards: false, isRepeatable: isRepeatable)
            if isRepeatable {
                // It does not see it by the table: nobody waits for it.
                try await create(rig, of: "other")
                #expect(try told(rig).map(\.source) == ["other"])
                continue
            }
            await expectWaiting(for: rig.key.source) { try await create(rig, of: "other") }
            await expectWaiting(for: rig.key.source) { try await truncate(rig, of: "other") }
            #expect(try told(rig).isEmpty && rows(rig) == "1\n")
            let (next, _, _, state) = try worker(rig, options, 2)
            #expect(try next.recover(state) == DDLRecovery())
            try await create(rig, of: "other")
            #expect(try told(rig).map(\.source) == ["other"])
        }
    }

    /// Tells of a table of the other source that has dropped columns.
    private func tell(_ rig: TargetRig, _ noted: NotedTable, dropped: [String]) throws {
        let members = MergedTables(meta: rig.meta, key: rig.key)
        let table = MergedTable(
            target: noted.target, shape: try #require(noted.shape), dropped: dropped)
        try Connection(rig.options).execute(
            members.storeStatement(.init(source: "other", name: noted.name, table: table)))
    }

    @Test(
        "what a source tells while a statement of another one runs stays told (D33)",
        arguments: Servers.families)
    func toldMeanwhile(family: TestServer.Family) async throws {
        let (rig, _) = try await rig(family, "mergedmeanwhile")
        let other = try worker(rig, of: "other")
        let theirs = table(rig, "o_1", schema: "theirs")
        try tell(rig, theirs, dropped: ["more"])
        let reader = try Connection(rig.options)
        try reader.execute("START TRANSACTION")
        _ = try reader.rows("SELECT id FROM \(target(rig).quoted)")
        let sql = "ALTER TABLE a ADD COLUMN more INT"
        async let running: Void = withThread("ddl") {
            try await change(
                rig, of: rig.key.source, sql, from: table(rig, "o_1", schema: "mine"),
                to: table(rig, "o_1", schema: "mine", plus: ["more"]))
        }
        #expect(try await isRunning(rig, sql))
        // It is dropped.
        try other.note(
            [NotedTable(name: theirs.name, target: theirs.target, shape: nil)], areNew: false)
        try reader.execute("COMMIT")
        try await running
        #expect(try told(rig).map(\.name.schema) == ["mine"])
    }

    @Test(
        "what the target does not have any more is nothing that tables have left there (D34)",
        arguments: Servers.families)
    func left(family: TestServer.Family) async throws {
        let (rig, _) = try await rig(family, "mergedleft")
        let theirs = table(rig, "o_1", schema: "theirs")
        func dropped() throws -> [[String]] { try told(rig).map(\.table.dropped) }
        // The last table drops a column that the other one has dropped before; killed behind it, the
        // statement comes again, and the target has lost the column already.
        for isThere in [true, false] {
            if isThere {
                try rig.server.sql("ALTER TABLE a ADD COLUMN more INT", database: rig.schema)
            }
            try tell(rig, theirs, dropped: ["more"])
            try await change(
                rig, of: rig.key.source, "ALTER TABLE a DROP COLUMN more",
                from: table(rig, "o_1", schema: "mine", plus: ["more"]),
                to: table(rig, "o_1", schema: "mine"))
            #expect(try dropped() == [[], []])
        }
        // One that it gets anew is another one.
        try tell(rig, theirs, dropped: ["more"])
        try await change(
            rig, of: rig.key.source, "ALTER TABLE a ADD COLUMN more INT",
            from: table(rig, "o_1", schema: "mine"),
            to: table(rig, "o_1", schema: "mine", plus: ["more"]))
        #expect(try dropped() == [[], []])
        // What has run, and is told when it comes again.
        let other = try worker(rig, of: "other")
        let columns: [(String, left: [String])] = [("more", ["more"]), ("less", [])]
        for (column, left) in columns {
            try other.note([table(rig, "o_2", schema: "theirs", plus: [column])], areNew: false)
            try other.note([table(rig, "o_2", schema: "theirs")], areNew: false)
            #expect(try dropped() == [[], left, []])
            try other.note(
                [
                    NotedTable(
                        name: TableName(schema: "theirs", name: "o_2"), target: target(rig),
                        shape: nil)
                ], areNew: false)
        }
    }

    @Test(
        "only tables that may go there are waited for, by name", arguments: Servers.families)
    func followedElsewhere(family: TestServer.Family) async throws {
        let (rig, _) = try await rig(family, "mergedelsewhere")
        let source = rig.key.source
        func follow(_ name: String) throws {
            try rig.server.sql(
                """
                INSERT INTO \(rig.meta.name).shape (task, source, schema_name, table_name, shape)
                    VALUES ('\(rig.key.task)','other','theirs','\(name)','{}')
                """)
        }
        // Whether case counts there is not known here: it goes to `b`, or keeps its name.
        try follow("P_1")
        try await truncate(rig)
        #expect(try rows(rig) == "0\n")
        try await create(rig, of: source)
        // This one goes to `a`, or keeps its name, as it tells.
        try follow("O_1")
        await expectWaiting(for: "other") { try await create(rig, of: source) }
        let name = TableName(schema: "theirs", name: "O_1")
        let shape = table(rig, "O_1", schema: "theirs").shape
        try tell(rig, NotedTable(name: name, target: name, shape: shape), dropped: [])
        try await create(rig, of: source)
        // And this one is known to go there.
        try follow("o_2")
        await expectWaiting(for: "other") { try await create(rig, of: source) }
        try tell(rig, table(rig, "o_2", schema: "theirs"), dropped: [])
        try await create(rig, of: source)
    }

    @Test("a run that begins forgets nothing that it does not know")
    func startNotes() async throws {
        let (rig, options) = try await rig(.mariadb, "mergedstart")
        let (worker, _, _, _) = try worker(rig, options, 1)
        let made = table(rig, "o_2", schema: "mine")
        try worker.note([made], areNew: false)
        // By the mark there is only the other one.
        try worker.note([table(rig, "o_1", schema: "mine")], areNew: true)
        #expect(try told(rig).map(\.name.name) == ["o_1", "o_2"])
        try worker.note(
            [NotedTable(name: made.name, target: made.target, shape: nil)], areNew: true)
        #expect(try told(rig).map(\.name.name) == ["o_1"])
    }
}
