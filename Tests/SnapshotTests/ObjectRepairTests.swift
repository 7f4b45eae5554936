import Checkpoint
import MySQLClient
import MySQLCore
import TestServers
import Testing

@testable import Snapshot

/// Views and routines that the target has refused become what they are on the source.
@Suite struct ObjectRepairTests {
    private static let objects = """
        CREATE TABLE t (id INT PRIMARY KEY, v INT);
        CREATE VIEW seen AS SELECT v FROM t;
        CREATE VIEW needs AS SELECT v FROM t;
        CREATE DEFINER=`nobody`@`nowhere` PROCEDURE p() SELECT 1;
        CREATE FUNCTION p() RETURNS INT DETERMINISTIC RETURN 1;
        """

    private func ids(_ f: CopyFixture, _ list: [(StaleObject.Kind, String)]) -> [StaleObject] {
        list.map { StaleObject(StaleObject.ID($0.0, f.table($0.1)), position: "1", reason: "r") }
    }

    private func repair(_ f: CopyFixture, _ stale: [StaleObject]) throws -> ObjectRepair {
        let source = try SwitchOverSource(
            Connection(f.configuration.source), where: { $0.schema == f.schema },
            definitionsOf: stale)
        #expect(source.covers(stale))
        let session = try TargetSession(f.configuration.target, role: .coordinator)
        return try SwitchOver(meta: f.configuration.meta, key: f.configuration.key)
            .repair(stale, from: source, on: session)
    }

    private func asked(_ repair: ObjectRepair) -> [StaleObject] {
        repair.effects.compactMap { if case .stale(let object) = $0 { object } else { nil } }
    }

    @Test(arguments: [TestServer.Family.mariadb, .mysql], [TestServer.Family.mariadb, .mysql])
    func `what was refused is replaced, dropped or created as the source has it`(
        _ from: TestServer.Family, _ to: TestServer.Family
    ) async throws {
        guard TestServer.isAvailable(from), TestServer.isAvailable(to) else { return }
        let allow = "SET GLOBAL log_bin_trust_function_creators=1;"
        var f = try await CopyFixture(
            "snap_repair_\(from.rawValue)_\(to.rawValue)", from: from, to: to,
            allow + "ALTER DATABASE COLLATE utf8mb4_bin;" + Self.objects)
        try f.target.sql("SET GLOBAL local_infile=1;" + allow)
        f.configuration.deferredIndexRows = 0
        try await f.copy()
        try f.source.sql(
            """
            CREATE VIEW made AS SELECT 5 AS v;
            CREATE OR REPLACE VIEW seen AS SELECT id AS v FROM t;
            CREATE OR REPLACE VIEW needs AS SELECT v FROM made;
            DROP PROCEDURE p; DROP FUNCTION p;
            SET sql_mode='ANSI_QUOTES';
            CREATE DEFINER=`nobody`@`nowhere` PROCEDURE p() SELECT "v" FROM made;
            """, database: f.schema)
        // "needs" is read first, and needs another one.
        let stale = ids(
            f,
            [
                (.view, "needs"), (.view, "seen"), (.procedure, "p"), (.function, "p"),
                (.view, "made"),
            ])
        let done = try repair(f, stale)
        #expect(done.refusal == nil, "\(done.refused)")
        #expect(Set(done.effects) == Set(stale.map { .settled($0.id) }))
        try f.target.sql("INSERT INTO t VALUES (3,30)", database: f.schema)
        #expect(
            try f.target.sql(
                "SELECT * FROM seen; SELECT * FROM needs; SELECT ROUTINE_TYPE, DEFINER, SQL_MODE "
                    + "FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA='\(f.schema)'",
                database: f.schema) == "3\n5\nPROCEDURE\tnobody@nowhere\tANSI_QUOTES\n")
        // Once more, as after a crash.
        #expect(try repair(f, stale).refusal == nil)
    }

    @Test(arguments: [TestServer.Family.mariadb, .mysql])
    func `what is refused again stays as it was, until somebody makes it by hand`(
        _ family: TestServer.Family
    ) async throws {
        guard TestServer.isAvailable(family) else { return }
        let f = try await CopyFixture(
            "snap_refused_\(family.rawValue)", from: family, to: family,
            """
            CREATE TABLE t (id INT PRIMARY KEY); CREATE TABLE away (id INT PRIMARY KEY);
            CREATE VIEW seen AS SELECT id FROM t; CREATE VIEW other AS SELECT id FROM t;
            """)
        try f.target.sql("SET GLOBAL local_infile=1")
        try await f.copy()
        try f.target.sql("DROP TABLE away", database: f.schema)
        try f.source.sql(
            """
            CREATE OR REPLACE VIEW seen AS SELECT id FROM away;
            CREATE OR REPLACE VIEW other AS SELECT id FROM away;
            """, database: f.schema)
        let names: [(StaleObject.Kind, String)] = [(.view, "other"), (.view, "seen")]
        var refused = try repair(f, ids(f, names))
        #expect(refused.refused.map(\.id.name.name) == ["other", "seen"])
        #expect("\(refused.refusal!)".contains("view \(f.schema).other"))
        #expect("\(refused.refusal!)".contains("away"))
        func text(_ view: String) throws -> String {
            try f.target.sql("SHOW CREATE VIEW \(view)", database: f.schema)
        }
        #expect(try text("seen").contains("`t`"))
        // One was made by hand since.
        try f.target.sql("CREATE OR REPLACE VIEW seen AS SELECT 8 AS id", database: f.schema)
        refused = try repair(f, asked(refused))
        #expect(refused.refused.map(\.id.name.name) == ["other"])
        #expect(try text("seen").contains("8"))
        // The reason is gone.
        try f.target.sql("CREATE TABLE away (id INT PRIMARY KEY)", database: f.schema)
        #expect(try repair(f, asked(refused)).refusal == nil)
        #expect(try text("other").contains("`away`"))
    }

    @Test func `a routine that is dropped first comes back when the source's is refused`()
        async throws
    {
        guard TestServer.isAvailable(.mysql) else { return }
        let f = try await CopyFixture(
            "snap_repair_back", from: .mariadb, to: .mysql,
            """
            SET GLOBAL log_bin_trust_function_creators=1;
            ALTER DATABASE COLLATE utf8mb4_bin;
            CREATE TABLE t (id INT PRIMARY KEY); CREATE FUNCTION f() RETURNS INT DETERMINISTIC RETURN 1;
            """)
        try f.target.sql("SET GLOBAL local_infile=1; SET GLOBAL log_bin_trust_function_creators=1")
        try await f.copy()
        // MySQL has no such type.
        try f.source.sql(
            "CREATE OR REPLACE FUNCTION f() RETURNS INET6 DETERMINISTIC RETURN '::1'",
            database: f.schema)
        let refused = try repair(f, ids(f, [(.function, "f")]))
        #expect(refused.refused.count == 1)
        #expect(try f.target.sql("SELECT f()", database: f.schema) == "1\n")
        // The source has dropped it since.
        try f.source.sql("DROP FUNCTION f", database: f.schema)
        #expect(try repair(f, asked(refused)).refusal == nil)
        #expect(throws: (any Error).self) { try f.target.sql("SELECT f()", database: f.schema) }
    }
}
