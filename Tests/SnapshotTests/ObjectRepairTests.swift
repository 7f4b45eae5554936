import Checkpoint
import MySQLClient
import MySQLCore
import Runtime
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

    /// - Parameters:
    ///   - port: that of a proxy in front of the target.
    ///   - recorded: what the subtask has records of.
    private func repair(
        _ f: CopyFixture, _ stale: [StaleObject], through port: UInt16? = nil,
        recorded: [StaleObject] = []
    ) throws -> ObjectRepair {
        let source = try SwitchOverSource(
            Connection(f.configuration.source), where: { $0.schema == f.schema },
            definitionsOf: stale)
        #expect(source.covers(stale))
        var target = f.configuration.target
        if let port {
            target.port = port
            // The proxy looks into packets.
            target.tls = TLSOptions(mode: .disabled)
        }
        let session = try TargetSession(target, role: .coordinator)
        let (meta, key) = (f.configuration.meta, f.configuration.key)
        let token = RunToken(randomToken())
        _ = try Takeover(meta: meta, key: key).take(session, token: token, epoch: .next, lanes: 0)
        try DDLLock(session: session, meta: meta, key: key).take()
        let coordinator = Coordinator(session: session, meta: meta, key: key, token: token)
        try StaleObjects(meta: meta, key: key).write(
            recorded.map { .stale($0) }, by: coordinator)
        return try SwitchOver(meta: meta, key: key).repair(
            stale, from: source, on: session, by: coordinator)
    }

    /// What is granted on single routines of the schema to users of the test.
    private func grants(_ f: CopyFixture) throws -> String {
        try f.target.sql(
            """
            SELECT User, Routine_name, Routine_type, Proc_priv FROM mysql.procs_priv
            WHERE Db='\(f.schema)' AND User LIKE '\(f.schema) %' ORDER BY 1, 3
            """)
    }

    /// Kinds of the subtask's records that a replacement under way has.
    private func records(_ f: CopyFixture) throws -> String {
        try f.target.sql(
            "SELECT kind FROM skein_meta.object WHERE task='\(f.schema)' AND kind LIKE 'had.%'")
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

    @Test(arguments: [TestServer.Family.mariadb, .mysql])
    func `what was granted on a routine alone is granted on the one that replaces it`(
        _ family: TestServer.Family
    ) async throws {
        guard TestServer.isAvailable(family) else { return }
        let allow = "SET GLOBAL log_bin_trust_function_creators=1;"
        let f = try await CopyFixture(
            "snap_grant_\(family.rawValue)", from: family, to: family,
            allow + """
                CREATE TABLE t (id INT PRIMARY KEY); CREATE PROCEDURE p() SELECT 1;
                CREATE FUNCTION p() RETURNS INT DETERMINISTIC RETURN 1;
                """)
        try f.target.sql("SET GLOBAL local_infile=1;" + allow)
        try await f.copy()
        let users = ["'\(f.schema) o`clock'@'%'", "'\(f.schema) b'@'localhost'"]
        for user in users {
            try f.target.sql(
                "DROP USER IF EXISTS \(user); CREATE USER \(user) IDENTIFIED BY 'Xy7%x'")
        }
        try f.target.sql(
            """
            GRANT EXECUTE ON PROCEDURE p TO \(users[0]);
            GRANT EXECUTE, ALTER ROUTINE ON PROCEDURE p TO \(users[1]) WITH GRANT OPTION;
            GRANT EXECUTE ON FUNCTION p TO \(users[1]);
            """, database: f.schema)
        let before = try grants(f)
        #expect(before.split(separator: "\n").count == 3)
        try f.source.sql(
            """
            DROP PROCEDURE p; DROP FUNCTION p; CREATE PROCEDURE p() SELECT 2;
            CREATE FUNCTION p() RETURNS INT DETERMINISTIC RETURN 3;
            """, database: f.schema)
        let done = try repair(f, ids(f, [(.procedure, "p"), (.function, "p")]))
        #expect(done.refusal == nil, "\(done.refused)")
        #expect(try f.target.sql("CALL p(); SELECT p()", database: f.schema) == "2\n3\n")
        #expect(try grants(f) == before)
        #expect(try records(f) == "")
        for user in users { try f.target.sql("DROP USER \(user)") }
    }

    @Test func `a routine that was dropped when its run ended comes back as it was`() async throws {
        guard TestServer.isAvailable(.mysql) else { return }
        let f = try await CopyFixture(
            "snap_repair_cut", from: .mariadb, to: .mysql,
            """
            SET GLOBAL log_bin_trust_function_creators=1;
            ALTER DATABASE COLLATE utf8mb4_bin;
            CREATE TABLE t (id INT PRIMARY KEY); CREATE FUNCTION f() RETURNS INT DETERMINISTIC RETURN 1;
            """)
        try f.target.sql("SET GLOBAL local_infile=1; SET GLOBAL log_bin_trust_function_creators=1")
        try await f.copy()
        let user = "'\(f.schema) a'@'%'"
        try f.target.sql(
            """
            DROP USER IF EXISTS \(user); CREATE USER \(user) IDENTIFIED BY 'Xy7%x';
            GRANT EXECUTE ON FUNCTION f TO \(user);
            """, database: f.schema)
        let before = try grants(f)
        #expect(before != "")
        try f.source.sql(
            "CREATE OR REPLACE FUNCTION f() RETURNS INT DETERMINISTIC RETURN 2",
            database: f.schema)
        let stale = ids(f, [(.function, "f")])
        let proxy = try FaultProxy(to: f.target)
        defer { proxy.close() }
        proxy.cutNext(.toServer, matching: Array("RETURN 2".utf8))
        let cut = #expect(throws: MySQLError.self) { try repair(f, stale, through: proxy.port) }
        #expect(cut?.isConnectionLost == true, "\(String(describing: cut))")
        #expect(throws: (any Error).self) { try f.target.sql("SELECT f()", database: f.schema) }
        #expect(try records(f) == "had.function\n")
        // MySQL has no such type, so that what there was has to come back.
        try f.source.sql(
            "CREATE OR REPLACE FUNCTION f() RETURNS INET6 DETERMINISTIC RETURN '::1'",
            database: f.schema)
        let refused = try repair(f, stale)
        #expect(refused.refused.count == 1)
        #expect(try f.target.sql("SELECT f()", database: f.schema) == "1\n")
        #expect(try grants(f) == before)
        #expect(try records(f) == "")
        // Ended behind CREATE, with nothing granted yet.
        try f.source.sql(
            "CREATE OR REPLACE FUNCTION f() RETURNS INT DETERMINISTIC RETURN 3",
            database: f.schema)
        let other = try FaultProxy(to: f.target)
        defer { other.close() }
        let held = other.holdNext(.toServer, matching: "RETURN 3")
        #expect(throws: MySQLError.self) {
            try repair(f, asked(refused), through: other.port)
        }
        try await held.caught()
        held.deliver()
        // The next one waits for the lock that the connection has until its statement has ended.
        let done = try repair(f, asked(refused))
        #expect(done.refusal == nil, "\(done.refused)")
        #expect(try f.target.sql("SELECT f()", database: f.schema) == "3\n")
        #expect(try grants(f) == before)
        #expect(try records(f) == "")
        try f.target.sql("DROP USER \(user)")
    }

    @Test func `what comes back is nobody's work, and is what it was`() async throws {
        guard TestServer.isAvailable(.mysql) else { return }
        let f = try await CopyFixture(
            "snap_repair_asked", from: .mariadb, to: .mysql,
            """
            SET GLOBAL log_bin_trust_function_creators=1;
            ALTER DATABASE COLLATE utf8mb4_bin;
            CREATE TABLE t (id INT PRIMARY KEY); CREATE FUNCTION f() RETURNS INT DETERMINISTIC RETURN 1;
            """)
        try f.target.sql("SET GLOBAL local_infile=1; SET GLOBAL log_bin_trust_function_creators=1")
        try await f.copy()
        try f.target.sql(
            "SET NAMES latin1; DROP FUNCTION f; "
                + "CREATE FUNCTION f() RETURNS INT DETERMINISTIC RETURN 1", database: f.schema)
        // MySQL has no such type; the other one has the first looked at again.
        try f.source.sql(
            "CREATE OR REPLACE FUNCTION f() RETURNS INET6 DETERMINISTIC RETURN '::1'; "
                + "CREATE VIEW made AS SELECT 5 AS v", database: f.schema)
        var stale = ids(f, [(.function, "f"), (.view, "made")])
        func digest() throws -> StaleObject.Asked {
            let target = try Connection(f.configuration.target)
            return try ObjectDefinition(stale[0].id, on: target).asked(on: target)
        }
        // An operator was asked while it was refused without having been touched.
        let asked = try digest()
        stale[0].asked = asked
        let refused = try repair(f, stale)
        #expect(refused.refused.map(\.id.name.name) == ["f"])
        #expect(try f.target.sql("SELECT f(); SELECT v FROM made", database: f.schema) == "1\n5\n")
        #expect(
            try f.target.sql(
                "SELECT CHARACTER_SET_CLIENT, COLLATION_CONNECTION "
                    + "FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA='\(f.schema)'")
                == "latin1\tlatin1_swedish_ci\n")
        #expect(try digest() == asked)
        #expect(try repair(f, self.asked(refused)).refused.map(\.id.name.name) == ["f"])
    }

    @Test func `a routine that was dropped when its run ended comes back when rules leave it out`()
        async throws
    {
        guard TestServer.isAvailable(.mysql) else { return }
        let f = try await CopyFixture(
            "snap_repair_out", from: .mysql, to: .mysql,
            """
            SET GLOBAL log_bin_trust_function_creators=1;
            CREATE TABLE t (id INT PRIMARY KEY); CREATE FUNCTION f() RETURNS INT DETERMINISTIC RETURN 1;
            """)
        try f.target.sql("SET GLOBAL local_infile=1; SET GLOBAL log_bin_trust_function_creators=1")
        try await f.copy()
        let user = "'\(f.schema) a'@'%'"
        try f.target.sql(
            """
            DROP USER IF EXISTS \(user); CREATE USER \(user) IDENTIFIED BY 'Xy7%x';
            GRANT EXECUTE ON FUNCTION f TO \(user);
            """, database: f.schema)
        let before = try grants(f)
        #expect(before != "")
        try f.source.sql(
            "DROP FUNCTION f; CREATE FUNCTION f() RETURNS INT DETERMINISTIC RETURN 2",
            database: f.schema)
        let stale = ids(f, [(.function, "f")])
        let proxy = try FaultProxy(to: f.target)
        defer { proxy.close() }
        proxy.cutNext(.toServer, matching: Array("RETURN 2".utf8))
        #expect(throws: MySQLError.self) { try repair(f, stale, through: proxy.port) }
        #expect(throws: (any Error).self) { try f.target.sql("SELECT f()", database: f.schema) }
        #expect(try records(f) == "had.function\n")
        #expect(try repair(f, [], recorded: stale).refusal == nil)
        #expect(try f.target.sql("SELECT f()", database: f.schema) == "1\n")
        #expect(try grants(f) == before)
        #expect(try records(f) == "")
        // Nothing was left of what it was tried under.
        #expect(
            try f.target.sql(
                "SELECT COUNT(*) FROM information_schema.ROUTINES "
                    + "WHERE ROUTINE_SCHEMA='\(f.schema)'") == "1\n")
        try f.target.sql("DROP USER \(user)")
    }

    @Test func `what was revoked before a routine was dropped is not granted again`()
        async throws
    {
        guard TestServer.isAvailable(.mysql) else { return }
        let f = try await CopyFixture(
            "snap_repair_revoked", from: .mysql, to: .mysql,
            """
            SET GLOBAL log_bin_trust_function_creators=1;
            CREATE TABLE t (id INT PRIMARY KEY); CREATE FUNCTION f() RETURNS INT DETERMINISTIC RETURN 1;
            """)
        try f.target.sql("SET GLOBAL local_infile=1; SET GLOBAL log_bin_trust_function_creators=1")
        try await f.copy()
        let user = "'\(f.schema) a'@'%'"
        try f.target.sql(
            """
            DROP USER IF EXISTS \(user); CREATE USER \(user) IDENTIFIED BY 'Xy7%x';
            GRANT EXECUTE ON FUNCTION f TO \(user);
            """, database: f.schema)
        try f.source.sql(
            "DROP FUNCTION f; CREATE FUNCTION f() RETURNS INT DETERMINISTIC RETURN 2",
            database: f.schema)
        // The server tells by seconds when a routine was made.
        try await Task.sleep(for: .seconds(4))
        let stale = ids(f, [(.function, "f")])
        let proxy = try FaultProxy(to: f.target)
        defer { proxy.close() }
        proxy.cutNext(
            .toServer, matching: Array("DROP FUNCTION IF EXISTS `\(f.schema)`.`f`".utf8))
        #expect(throws: MySQLError.self) { try repair(f, stale, through: proxy.port) }
        #expect(try records(f) == "had.function\n")
        try f.target.sql("REVOKE EXECUTE ON FUNCTION f FROM \(user)", database: f.schema)
        #expect(try repair(f, stale).refusal == nil)
        #expect(try f.target.sql("SELECT f()", database: f.schema) == "2\n")
        #expect(try grants(f) == "")
        #expect(try records(f) == "")
        try f.target.sql("DROP USER \(user)")
    }

    /// Names and definitions of the schema's routines on the target.
    private func routines(_ f: CopyFixture) throws -> [String] {
        try f.target.sql(
            """
            SELECT IF(ROUTINE_NAME LIKE 'skein probe%','probe',ROUTINE_NAME), ROUTINE_DEFINITION
            FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA='\(f.schema)' ORDER BY 1
            """
        ).split(separator: "\n").map(String.init)
    }

    @Test func `what a routine is tried under goes with the next run, whatever became of it`()
        async throws
    {
        guard TestServer.isAvailable(.mysql) else { return }
        let f = try await CopyFixture(
            "snap_repair_probe", from: .mysql, to: .mysql,
            "CREATE TABLE t (id INT PRIMARY KEY); CREATE PROCEDURE p() SELECT 1;")
        try f.target.sql("SET GLOBAL local_infile=1")
        try await f.copy()
        try f.source.sql(
            "DROP PROCEDURE p; CREATE PROCEDURE p() SELECT 2", database: f.schema)
        let stale = ids(f, [(.procedure, "p")])
        func cut() throws {
            let proxy = try FaultProxy(to: f.target)
            defer { proxy.close() }
            proxy.cutNext(
                .toServer,
                matching: Array("DROP PROCEDURE IF EXISTS `\(f.schema)`.`skein probe".utf8))
            #expect(throws: MySQLError.self) { try repair(f, stale, through: proxy.port) }
            #expect(try routines(f) == ["p\tSELECT 1", "probe\tSELECT 1"])
            #expect(try records(f) == "had.procedure\n")
        }
        // A statement of the stream has settled it since.
        try cut()
        #expect(try repair(f, []).refusal == nil)
        #expect(try routines(f) == ["p\tSELECT 1"])
        #expect(try records(f) == "")
        // It is there without a record, which another task with the same one may have.
        try cut()
        try f.target.sql(
            "DELETE FROM skein_meta.object WHERE task='\(f.schema)' AND kind LIKE 'had.%'")
        #expect(try repair(f, stale).refusal == nil)
        #expect(try routines(f) == ["p\tSELECT 2"])
        // The source has dropped it since.
        try f.target.sql(
            "DROP PROCEDURE p; CREATE PROCEDURE p() SELECT 1", database: f.schema)
        try cut()
        try f.source.sql("DROP PROCEDURE p", database: f.schema)
        #expect(try repair(f, stale).refusal == nil)
        #expect(try routines(f) == [])
        #expect(try records(f) == "")
    }

    @Test func `a user who may alter one routine, and what that user creates, has it replaced`()
        async throws
    {
        guard TestServer.isAvailable(.mysql) else { return }
        let user = "`snap_repair_narrow u`@`%`"
        func procedure(_ n: Int) -> String {
            "CREATE DEFINER=\(user) PROCEDURE p() SELECT \(n)"
        }
        var f = try await CopyFixture(
            "snap_repair_narrow", from: .mysql, to: .mysql,
            "CREATE TABLE t (id INT PRIMARY KEY); \(procedure(1));")
        let target = f.target
        try target.sql(
            """
            SET GLOBAL local_infile=1; DROP USER IF EXISTS \(user);
            CREATE USER \(user) IDENTIFIED BY '\(TestServer.password)';
            """)
        try await f.copy()
        try target.sql(
            """
            GRANT SELECT, INSERT, UPDATE, DELETE ON skein_meta.* TO \(user);
            GRANT SELECT ON mysql.procs_priv TO \(user);
            GRANT SELECT, CREATE ROUTINE ON \(f.schema).* TO \(user);
            GRANT EXECUTE, ALTER ROUTINE ON PROCEDURE p TO \(user);
            """, database: f.schema)
        f.configuration.target.user = "snap_repair_narrow u"
        let stale = ids(f, [(.procedure, "p")])
        try f.source.sql("DROP PROCEDURE p; \(procedure(2))", database: f.schema)
        let done = try repair(f, stale)
        #expect(done.refusal == nil, "\(done.refused)")
        #expect(try routines(f) == ["p\tSELECT 2"])
        // Without that, what is tried can't be dropped, and what replaces it could not be.
        defer { _ = try? target.sql("SET GLOBAL automatic_sp_privileges=1") }
        try target.sql("SET GLOBAL automatic_sp_privileges=0")
        try f.source.sql("DROP PROCEDURE p; \(procedure(3))", database: f.schema)
        let refused = try repair(f, stale)
        #expect("\(refused.refusal!)".contains("ALTER ROUTINE on the schema"))
        #expect(try routines(f) == ["p\tSELECT 2", "probe\tSELECT 2"])
        #expect(try records(f) == "had.procedure\n")
        try target.sql("GRANT ALTER ROUTINE ON \(f.schema).* TO \(user)")
        #expect(try repair(f, asked(refused)).refusal == nil)
        #expect(try routines(f) == ["p\tSELECT 3"])
        #expect(try records(f) == "")
        try target.sql("DROP DATABASE \(f.schema); DROP USER \(user)")
    }

    @Test func `a routine's definition gets another name where its own is, and nowhere else`() {
        func named(_ text: String, _ kind: SourceObject.Kind = .procedure) -> String? {
            SourceObject(kind, TableName(schema: "s", name: "p"), text, row: [:])
                .named("a`b")?.statement
        }
        #expect(
            named("CREATE DEFINER=`p`@`%` PROCEDURE `p`(`p` INT)\nCALL `p`(1)")
                == "CREATE DEFINER=`p`@`%` PROCEDURE `a``b`(`p` INT)\nCALL `p`(1)")
        #expect(
            named("CREATE DEFINER=`a`` FUNCTION ``p`@`` FUNCTION `p```() RETURNS INT RETURN 1")
                == nil)
        #expect(
            named("CREATE DEFINER=`a`` FUNCTION `@`h` FUNCTION `p```() RETURNS INT", .function)
                == "CREATE DEFINER=`a`` FUNCTION `@`h` FUNCTION `a``b`() RETURNS INT")
        #expect(named("CREATE DEFINER=`p`@`%` PROCEDURE `p`()", .function) == nil)
        #expect(named("CREATE DEFINER=`p`@`%` PROCEDURE `p") == nil)
        #expect(named("CREATE PROCEDURE `p`()") == nil)
        // As a server shows one that was made under ANSI_QUOTES.
        #expect(
            named(#"CREATE DEFINER="p"@"%" PROCEDURE "p"("p" INT) CALL "p"(1)"#)
                == #"CREATE DEFINER="p"@"%" PROCEDURE `a``b`("p" INT) CALL "p"(1)"#)
        #expect(
            named(#"CREATE DEFINER="a`"" FUNCTION "@"h" FUNCTION "p"""() RETURNS INT"#, .function)
                == #"CREATE DEFINER="a`"" FUNCTION "@"h" FUNCTION `a``b`() RETURNS INT"#)
        #expect(named(#"CREATE DEFINER="p"@"%" PROCEDURE "p`("#) == nil)
    }
}
