import Checkpoint
import MySQLClient
import MySQLCore
import MySQLSyntax
import TestServers
import Testing

@testable import Replication

/// What a run finds that comes after a kill between a statement and its mark.
@Suite("DDL after a crash")
struct DDLWorkerTests {
    private static let lane = 1

    /// What the crashed run was about to send.
    private struct Plan {
        var sql: String
        var tables: [String]
        var existAfter: [String]
        var goneAfter: [String] = []
    }

    private static let swap = Plan(
        sql: "RENAME TABLE a TO x, b TO a, x TO b", tables: ["a", "b", "x"],
        existAfter: ["a", "b"], goneAfter: ["x"])
    private static let truncate = Plan(
        sql: "TRUNCATE TABLE a", tables: ["a"], existAfter: ["a"])
    private static let alter = Plan(
        sql: "ALTER TABLE a ADD COLUMN more INT", tables: ["a"], existAfter: ["a"])
    private static let create = Plan(
        sql: "CREATE TABLE made (id INT)", tables: ["made"], existAfter: ["made"])
    private static let drop = Plan(
        sql: "DROP TABLE b", tables: ["b"], existAfter: [], goneAfter: ["b"])

    /// Whether the server may tell table ids, and what the user is called.
    private func rig(
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

    private func worker(
        _ rig: TargetRig, _ options: ConnectionOptions, _ n: UInt8
    ) throws -> (DDLWorker, DDLLedger, Connection) {
        try rig.take(n)
        let session = try TargetSession(options, role: .ddl(Self.lane))
        let ledger = DDLLedger(
            session: session, meta: rig.meta, key: rig.key, lane: Self.lane, token: rig.token(n))
        let worker = DDLWorker(session: session, ledger: ledger, marks: MarkBoard())
        return (worker, ledger, session.connection)
    }

    /// Leaves the intent of a statement as a run that dies does, after it sent it or before.
    private func crash(
        _ plan: Plan, _ rig: TargetRig, _ options: ConnectionOptions, afterwards: Bool
    ) throws {
        let (_, ledger, connection) = try worker(rig, options, 1)
        func name(_ table: String) -> TableName { TableName(schema: rig.schema, name: table) }
        var before: [TableName: TableTrace] = [:]
        for table in plan.tables { before[name(table)] = try ledger.trace(name(table)) }
        let statement = try parseStatement(
            plan.sql,
            context: SyntaxContext(
                version: connection.serverVersion, defaultSchema: rig.schema))
        let ddl = try #require(statement.ddl)
        try ledger.record(
            DDLIntent(
                identity: TargetRig.identity(9), step: 0, statement: plan.sql, before: before,
                existAfter: plan.existAfter.map(name), goneAfter: plan.goneAfter.map(name),
                isIdempotent: ddl.isSafeToRunIfUnseen))
        if afterwards { try connection.execute("USE \(rig.schema); \(plan.sql)") }
    }

    private func marked(_ rig: TargetRig) throws -> Bool {
        try rig.done(2).contains(TargetRig.identity(9))
    }

    private func hasIntent(_ rig: TargetRig) throws -> Bool {
        try rig.server.sql("SELECT COUNT(*) FROM \(rig.meta.name).ddl") != "0\n"
    }

    static let plans = ["swap", "truncate", "alter", "create", "drop"]

    private static func plan(_ name: String) -> Plan {
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
            let (worker, _, _) = try worker(rig, options, 2)
            let found = try worker.recover()
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
            let (asking, _, _) = try worker(swapped, user, 2)
            #expect {
                try asking.recover()
            } throws: {
                if case ReplicationError.undecidedDDL = $0 { true } else { false }
            }
            #expect(try hasIntent(swapped))
            #expect(try !marked(swapped))
            // To truncate once more changes nothing, since nothing was written meanwhile.
            let (emptied, _) = try await rig(family, "blindtruncate\(afterwards)", seesIDs: false)
            try crash(Self.truncate, emptied, user, afterwards: afterwards)
            let (again, _, _) = try worker(emptied, user, 2)
            #expect(try again.recover() == nil)
            #expect(try !hasIntent(emptied))
            // A shape tells where it changes.
            let (altered, _) = try await rig(family, "blindalter\(afterwards)", seesIDs: false)
            try crash(Self.alter, altered, user, afterwards: afterwards)
            let (knowing, _, _) = try worker(altered, user, 2)
            #expect(try knowing.recover() == (afterwards ? TargetRig.identity(9) : nil))
        }
    }

    @Test("tables that are neither as before nor as after stop it", arguments: Servers.families)
    func neither(family: TestServer.Family) async throws {
        let (rig, options) = try await rig(family, "ddlneither")
        try crash(Self.swap, rig, options, afterwards: false)
        try rig.server.sql("RENAME TABLE a TO x", database: rig.schema)
        let (worker, _, _) = try worker(rig, options, 2)
        #expect {
            try worker.recover()
        } throws: {
            if case ReplicationError.undecidedDDL = $0 { true } else { false }
        }
        #expect(try hasIntent(rig))
    }
}
