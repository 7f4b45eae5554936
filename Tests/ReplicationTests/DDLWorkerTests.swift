import Checkpoint
import MySQLClient
import MySQLCore
import MySQLSyntax
import Rules
import Runtime
import TestServers
import Testing

@testable import Replication

/// What a run finds that comes after a kill between a statement and its mark.
@Suite("DDL after a crash")
struct DDLWorkerTests {
    static let lane = 1

    /// What the crashed run was about to send.
    struct Plan {
        var sql: String
        var tables: [String]
        var existAfter: [String]
        var goneAfter: [String] = []
    }

    static let swap = Plan(
        sql: "RENAME TABLE a TO x, b TO a, x TO b", tables: ["a", "b", "x"],
        existAfter: ["a", "b"], goneAfter: ["x"])
    static let truncate = Plan(
        sql: "TRUNCATE TABLE a", tables: ["a"], existAfter: ["a"])
    static let alter = Plan(
        sql: "ALTER TABLE a ADD COLUMN more INT", tables: ["a"], existAfter: ["a"])
    static let create = Plan(
        sql: "CREATE TABLE made (id INT)", tables: ["made"], existAfter: ["made"])
    static let drop = Plan(
        sql: "DROP TABLE b", tables: ["b"], existAfter: [], goneAfter: ["b"])

    /// Whether the server may tell table ids, and what the user is called.
    func rig(
        _ family: TestServer.Family, _ name: String, seesIDs: Bool = true
    ) async throws -> (TargetRig, ConnectionOptions) {
        let rig = try await TargetRig(family, name)
        try rig.server.sql(
            """
            CREATE TABLE a (id INT PRIMARY KEY); CREATE TABLE b LIKE a;
            INSERT INTO a VALUES (1); INSERT INTO b VALUES (2);
            """, database: rig.schema)
        var options = rig.options
        guard !seesIDs else { return (rig, options) }
        try rig.server.sql(
            """
            CREATE USER IF NOT EXISTS blind@'%' IDENTIFIED BY '\(TestServer.password)';
            GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX ON *.* TO blind@'%';
            """)
        options.user = "blind"
        return (rig, options)
    }

    func worker(
        _ rig: TargetRig, _ options: ConnectionOptions, _ n: UInt8, mapping: TableMapping? = nil
    ) throws -> (DDLWorker, DDLLedger, Connection, SubtaskState) {
        let state = try rig.take(n)
        let session = try TargetSession(options, role: .ddl(Self.lane))
        // On a busy machine a test may be away for longer than a run ever is.
        try session.connection.execute("SET SESSION wait_timeout=900")
        let ledger = DDLLedger(
            session: session, meta: rig.meta, key: rig.key, lane: Self.lane, token: rig.token(n))
        let shared = mapping.map { mapping in
            let others = OtherSources(meta: rig.meta, key: rig.key) {
                mapping.places(of: $0, source: $1)
            }
            return (mapping, others)
        }
        let worker = DDLWorker(
            session: session, ledger: ledger, marks: MarkBoard(),
            tables: MergedTables(meta: rig.meta, key: rig.key), source: rig.key.source,
            shared: shared)
        return (worker, ledger, session.connection, state)
    }

    /// Leaves the intent of a statement as a run that dies does, after it sent it or before.
    ///
    /// - Parameter recorded: what it makes of the tables that it records.
    func crash(
        _ plan: Plan, _ rig: TargetRig, _ options: ConnectionOptions, afterwards: Bool,
        isRepeatable: Bool = false, recorded: (inout TableTrace) -> Void = { _ in }
    ) throws {
        let (_, ledger, connection, _) = try worker(rig, options, 1)
        func name(_ table: String) -> TableName { TableName(schema: rig.schema, name: table) }
        var before: [TableName: TableTrace] = [:]
        for table in plan.tables {
            var trace = try ledger.trace(name(table))
            recorded(&trace)
            before[name(table)] = trace
        }
        let statement = try parseStatement(
            plan.sql,
            context: SyntaxContext(
                version: connection.serverVersion, defaultSchema: rig.schema))
        let ddl = try #require(statement.ddl)
        try ledger.record(
            DDLIntent(
                identity: TargetRig.identity(9), step: .whole, statement: plan.sql, before: before,
                existAfter: plan.existAfter.map(name), goneAfter: plan.goneAfter.map(name),
                isIdempotent: ddl.isSafeToRunIfUnseen, isRepeatable: isRepeatable))
        if afterwards { try connection.execute("USE \(rig.schema); \(plan.sql)") }
    }

    func marked(_ rig: TargetRig) throws -> Bool {
        try rig.done(2).contains(TargetRig.identity(9))
    }

    func hasIntent(_ rig: TargetRig) throws -> Bool {
        try rig.server.sql("SELECT COUNT(*) FROM \(rig.meta.name).ddl") != "0\n"
    }

    static let plans = ["swap", "truncate", "alter", "create", "drop"]

    static func plan(_ name: String) -> Plan {
        switch name {
        case "swap": swap
        case "truncate": truncate
        case "alter": alter
        case "create": create
        default: drop
        }
    }

    @Test(
        "a statement that has run is marked, one that has not is forgotten (D2, D3, D4)",
        arguments: Servers.families, plans)
    func decided(family: TestServer.Family, name: String) async throws {
        for afterwards in [true, false] {
            let (rig, options) = try await rig(family, "ddl\(name)\(afterwards)")
            try crash(Self.plan(name), rig, options, afterwards: afterwards)
            let (worker, _, _, stateworker) = try worker(rig, options, 2)
            let found = try worker.recover(stateworker).applied
            #expect(found == (afterwards ? TargetRig.identity(9) : nil))
            #expect(try marked(rig) == afterwards)
            #expect(try !hasIntent(rig))
            // Nothing ran again, nothing was undone.
            if name == "swap" {
                let first = try rig.server.sql("SELECT id FROM a", database: rig.schema)
                #expect(first == (afterwards ? "2\n" : "1\n"))
            }
        }
    }

    @Test(
        "without table ids only what may run twice is run again (D3, D5)",
        arguments: Servers.families)
    func blind(family: TestServer.Family) async throws {
        for afterwards in [true, false] {
            // Nobody can tell whether two equal tables were swapped: stop and ask.
            let (swapped, user) = try await rig(family, "blindswap\(afterwards)", seesIDs: false)
            try crash(Self.swap, swapped, user, afterwards: afterwards)
            let (asking, _, _, stateasking) = try worker(swapped, user, 2)
            #expect {
                try asking.recover(stateasking)
            } throws: {
                if case ReplicationError.undecidedDDL = $0 { true } else { false }
            }
            #expect(try hasIntent(swapped))
            #expect(try !marked(swapped))
            // To truncate once more changes nothing, since nothing was written meanwhile.
            let (emptied, _) = try await rig(family, "blindtruncate\(afterwards)", seesIDs: false)
            try crash(Self.truncate, emptied, user, afterwards: afterwards)
            let (again, _, _, stateagain) = try worker(emptied, user, 2)
            #expect(try again.recover(stateagain) == DDLRecovery())
            #expect(try !hasIntent(emptied))
            // A shape tells where it changes.
            let (altered, _) = try await rig(family, "blindalter\(afterwards)", seesIDs: false)
            try crash(Self.alter, altered, user, afterwards: afterwards)
            let (knowing, _, _, stateknowing) = try worker(altered, user, 2)
            #expect(
                try knowing.recover(stateknowing).applied
                    == (afterwards ? TargetRig.identity(9) : nil))
        }
    }

    @Test("tables that are neither as before nor as after stop it", arguments: Servers.families)
    func neither(family: TestServer.Family) async throws {
        let (rig, options) = try await rig(family, "ddlneither")
        try crash(Self.swap, rig, options, afterwards: false)
        try rig.server.sql("RENAME TABLE a TO x", database: rig.schema)
        let (worker, _, _, stateworker) = try worker(rig, options, 2)
        #expect {
            try worker.recover(stateworker)
        } throws: {
            if case ReplicationError.undecidedDDL = $0 { true } else { false }
        }
        #expect(try hasIntent(rig))
    }

    // MARK: several parts

    static let parts = [
        "ALTER TABLE a ADD COLUMN c1 INT DEFAULT 1", "ALTER TABLE a MODIFY c1 BIGINT DEFAULT 2",
        "CREATE INDEX c1 ON a (c1)",
    ]

    func request(_ rig: TargetRig, _ parts: [String] = parts) -> DDLRequest {
        let name = TableName(schema: rig.schema, name: "a")
        return DDLRequest(
            identity: TargetRig.identity(9),
            parts: parts.map {
                DDLRequest.Part(
                    sql: Array($0.utf8), defaultSchema: rig.schema, settings: [], tables: [name],
                    existAfter: [name], goneAfter: [], isIdempotent: false)
            })
    }

    func perform(_ request: DDLRequest, _ worker: DDLWorker) async throws {
        let mailbox = Mailbox<DDLWorker.Message>()
        mailbox.send(.run(request, Reply<DDLOutcome>()))
        mailbox.send(.end)
        try await worker.run(mailbox)
    }

    @Test(
        "a list of statements goes on where a crash has left it", arguments: Servers.families,
        0..<3)
    func parts(family: TestServer.Family, index: Int) async throws {
        // Before the part was sent, behind it, and, but for the first one, before its intent.
        for place in 0..<(index == 0 ? 2 : 3) {
            let (rig, options) = try await rig(family, "ddlparts\(index)\(place)")
            let (_, ledger, connection, _) = try worker(rig, options, 1)
            let request = request(rig)
            let table = TableName(schema: rig.schema, name: "a")
            let number = request.numbers[index]
            try connection.execute("USE \(rig.schema)")
            func record(_ i: Int) throws {
                try ledger.record(
                    DDLIntent(
                        identity: request.identity, step: .whole, statement: Self.parts[i],
                        before: [table: ledger.trace(table)], existAfter: [table], goneAfter: [],
                        isIdempotent: false, part: request.numbers[i]))
            }
            for i in 0..<index {
                try record(i)
                try connection.execute(Self.parts[i])
                try ledger.await(request.numbers[i + 1], of: request.identity)
            }
            if place < 2 { try record(index) }
            if place == 1 { try connection.execute(Self.parts[index]) }
            let (next, _, _, state) = try worker(rig, options, 2)
            let found = try next.recover(state)
            let isLast = place == 1 && index == 2
            #expect(found.applied == (isLast ? request.identity : nil))
            #expect(try hasIntent(rig) == (!isLast && (index > 0 || place == 1)))
            if !isLast {
                #expect(try !marked(rig))
                try await perform(request, next)
            }
            #expect(try marked(rig))
            #expect(try !hasIntent(rig))
            #expect(
                try rig.server.sql("SELECT c1 FROM a", database: rig.schema) == "1\n")
            let shown = try rig.server.sql("SHOW CREATE TABLE a", database: rig.schema)
            #expect(shown.contains("KEY `c1` (`c1`)") && shown.contains("bigint"))
            #expect(number.count == 3)
        }
    }

    @Test("half of one list is never gone on with by another", arguments: Servers.families)
    func otherParts(family: TestServer.Family) async throws {
        let (rig, options) = try await rig(family, "ddlotherparts")
        let (_, ledger, connection, _) = try worker(rig, options, 1)
        let request = request(rig)
        let table = TableName(schema: rig.schema, name: "a")
        try ledger.record(
            DDLIntent(
                identity: request.identity, step: .whole, statement: Self.parts[0],
                before: [table: ledger.trace(table)], existAfter: [table], goneAfter: [],
                isIdempotent: false, part: request.numbers[0]))
        try connection.execute("USE \(rig.schema); \(Self.parts[0])")
        let (next, _, _, state) = try worker(rig, options, 2)
        _ = try next.recover(state)
        let other = self.request(rig, [Self.parts[0], "ALTER TABLE a ADD COLUMN c2 INT"])
        await #expect {
            try await perform(other, next)
        } throws: {
            if case ReplicationError.undecidedDDL = $0 { true } else { false }
        }
        #expect(try hasIntent(rig))
        #expect(try rig.server.sql("SHOW COLUMNS FROM a LIKE 'c2'", database: rig.schema) == "")
    }

    @Test("a part that is refused leaves those before it recorded", arguments: Servers.families)
    func refusedPart(family: TestServer.Family) async throws {
        let (rig, options) = try await rig(family, "ddlrefusedpart")
        let (first, _, _, state) = try worker(rig, options, 1)
        _ = try first.recover(state)
        var parts = Self.parts
        parts[1] = "ALTER TABLE a ADD UNIQUE KEY u (c1)"
        try rig.server.sql("INSERT INTO a VALUES (5)", database: rig.schema)
        let request = request(rig, parts)
        await #expect {
            try await perform(request, first)
        } throws: {
            if case ReplicationError.refusedStatement = $0 { true } else { false }
        }
        #expect(try hasIntent(rig))
        // The reason is gone, and the rest runs.
        try rig.server.sql("DELETE FROM a WHERE id=5", database: rig.schema)
        let (next, _, _, again) = try worker(rig, options, 2)
        _ = try next.recover(again)
        try await perform(request, next)
        #expect(try marked(rig))
        #expect(try !hasIntent(rig))
    }

    // MARK: refusals

    /// Runs a statement as the stream's next, and gives its error.
    private func refusal(
        _ rig: TargetRig, _ sql: String, settings: [String] = [], mayFail: Bool = false,
        by user: ConnectionOptions? = nil
    ) async throws -> (any Error)? {
        let (worker, _, _, _) = try worker(rig, user ?? rig.options, 2)
        let mailbox = Mailbox<DDLWorker.Message>()
        let reply = Reply<DDLOutcome>()
        let name = TableName(schema: rig.schema, name: "a")
        mailbox.send(
            .run(
                DDLRequest(
                    identity: TargetRig.identity(9), sql: Array(sql.utf8),
                    defaultSchema: rig.schema, settings: settings, tables: [name],
                    existAfter: [name], goneAfter: [], isIdempotent: false, mayFail: mayFail),
                reply))
        mailbox.send(.end)
        do {
            try await worker.run(mailbox)
            return nil
        } catch {
            return error
        }
    }

    @Test(
        "a statement that waits too long for somebody's lock is no refusal",
        arguments: Servers.families)
    func locked(family: TestServer.Family) async throws {
        let (rig, _) = try await rig(family, "ddllocked")
        let reader = try Connection(rig.options)
        try reader.execute("START TRANSACTION")
        _ = try reader.rows("SELECT * FROM \(rig.schema).a")
        for mayFail in [false, true] {
            let error = try await refusal(
                rig, "ALTER TABLE a ADD COLUMN c INT", settings: ["lock_wait_timeout=1"],
                mayFail: mayFail)
            let server = try #require(error as? MySQLError)
            #expect(server.code == 1205 && server.retry != .no)
            #expect(try !hasIntent(rig))
            #expect(try !marked(rig))
        }
        try reader.execute("COMMIT")
        #expect(try await refusal(rig, "ALTER TABLE a ADD COLUMN c INT") == nil)
        #expect(try marked(rig))
    }

    @Test(
        "a statement is not run in another session than its own", arguments: Servers.families)
    func session(family: TestServer.Family) async throws {
        let (rig, _) = try await rig(family, "ddlsession")
        let error = try await refusal(
            rig, "ALTER TABLE a ADD COLUMN c INT", settings: ["sql_mode='NONE_SUCH'"])
        guard case ReplicationError.refusedStatement? = error as? ReplicationError else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(try !hasIntent(rig))
        #expect(try rig.server.sql("SHOW COLUMNS FROM a LIKE 'c'", database: rig.schema) == "")
    }

    @Test("the session of a statement needs no privilege", arguments: Servers.families)
    func unprivileged(family: TestServer.Family) async throws {
        let (rig, user) = try await rig(family, "ddlplain", seesIDs: false)
        let error = try await refusal(
            rig, "ALTER TABLE \"a\" ADD COLUMN c DATETIME(6) DEFAULT NOW(6)",
            settings: [
                "timestamp=1700000000.123456", "sql_mode='ANSI_QUOTES,STRICT_ALL_TABLES'",
                "character_set_client=latin1", "collation_connection=latin1_swedish_ci",
                "collation_server=utf8mb4_bin", "time_zone='+02:00'", "foreign_key_checks=0",
                "unique_checks=0",
            ], by: user)
        #expect(error == nil, "\(error.map { "\($0)" } ?? "")")
        let value = try rig.server.sql("SELECT c FROM a", database: rig.schema)
        #expect(value == "2023-11-15 00:13:20.123456\n")
    }

    @Test("a statement's modes are not those of its record")
    func modes() async throws {
        let (rig, _) = try await rig(.mariadb, "ddlmodes")
        for column in ["c", "d"] {
            let error = try await refusal(
                rig, "ALTER TABLE a ADD COLUMN \(column) VARCHAR2(9) DEFAULT ''",
                settings: ["sql_mode='ORACLE,EMPTY_STRING_IS_NULL'"])
            #expect(error == nil, "\(error.map { "\($0)" } ?? "")")
            #expect(try marked(rig))
        }
    }

    @Test("a refusal and its record show no password", arguments: Servers.families)
    func secrets(family: TestServer.Family) async throws {
        let (rig, _) = try await rig(family, "ddlsecret")
        let sql =
            "ALTER TABLE a ADD COLUMN c NOTYPE COMMENT 'x' CONNECTION='mysql://u:hunter2@h/d/t'"
        let error = try await refusal(rig, sql)
        #expect(error != nil)
        #expect(!"\(error.map { "\($0)" } ?? "")".contains("hunter2"))
    }

    @Test("rows and columns of other sources are left alone, and only theirs")
    func shared() async throws {
        let (rig, options) = try await rig(.mariadb, "ddlshared")
        var mapping = try TableMapping(
            SourceRules(tables: BlockAllowList(doSchemas: [rig.schema])))
        // What the other one has as s.a goes to a; its s.b to b, if it has one.
        let other = SourceRules(
            tables: BlockAllowList(doSchemas: ["s"]),
            routes: [RouteRule(name: "r", schemaPattern: "s", targetSchema: rig.schema)])
        mapping.share(with: ["other": try TableMapping(other)])
        func run(_ sql: String, _ table: String) async throws {
            let worker = try worker(rig, options, 1, mapping: mapping).0
            let name = TableName(schema: rig.schema, name: table)
            try await perform(
                DDLRequest(
                    identity: TargetRig.identity(9), sql: Array(sql.utf8),
                    defaultSchema: rig.schema, settings: [], tables: [name], existAfter: [name],
                    goneAfter: [], isIdempotent: true, mayFail: false), worker)
        }
        func refused(_ table: String, _ isExpected: (ReplicationError) -> Bool) async throws {
            do {
                try await run("TRUNCATE TABLE \(table)", table)
                Issue.record("it ran")
            } catch let error as ReplicationError {
                #expect(isExpected(error), "\(error)")
            }
        }
        let meta = rig.meta.name
        let task = rig.key.task
        try rig.server.sql(
            """
            INSERT INTO \(meta).subtask (task, source, epoch, run, beat, phase)
                VALUES ('\(task)','other',1,X'00',0,'copy')
            """)
        // Where it writes is not known yet.
        try await refused("a") { if case .othersAreCopied = $0 { true } else { false } }
        try rig.server.sql(
            """
            UPDATE \(meta).subtask SET phase='follow' WHERE source='other';
            INSERT INTO \(meta).shape (task, source, schema_name, table_name, shape)
                VALUES ('\(task)','other','s','a','{}')
            """)
        try await refused("a") {
            if case .refusedStatement = $0 { "\($0)".contains("other sources") } else { false }
        }
        #expect(try rig.server.sql("SELECT COUNT(*) FROM a", database: rig.schema) == "1\n")
        try await run("TRUNCATE TABLE b", "b")
        #expect(try rig.server.sql("SELECT COUNT(*) FROM b", database: rig.schema) == "0\n")
    }

    @Test("what a server calls things is read from it", arguments: Servers.families)
    func dialect(family: TestServer.Family) async throws {
        let server = try await Servers.shared(family)
        let connection = try Connection(TargetRig.options(server.port))
        let dialect = try ServerDialect(connection)
        #expect(dialect.collations[8] == "latin1_swedish_ci")
        #expect(dialect.collations[46] == "utf8mb4_bin")
        #expect(dialect.charset("utf8") == dialect.charset("utf8mb3"))
        #expect(dialect.charset("utf8mb4") == "utf8mb4")
        #expect(dialect.charset("klingon") == nil)
        #expect(dialect.collation("utf8_general_ci") != nil)
        #expect(
            dialect.collation("utf8mb4_uca1400_nopad_ai_ci")
                == (family == .mysql ? "utf8mb4_0900_ai_ci" : "utf8mb4_uca1400_nopad_ai_ci"))
        #expect(dialect.lowerCaseTableNames == 0)
        #expect(dialect.explicitDefaultsForTimestamp == true)
        #expect(dialect.systemOffsets.count == 134)
    }
}
