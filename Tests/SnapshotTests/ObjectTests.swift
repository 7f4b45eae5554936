import Checkpoint
import MySQLClient
import MySQLCore
import TestServers
import Testing

@testable import Snapshot

@Suite struct ObjectTests {
    static let objects = """
        CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, v INT, w VARCHAR(20), KEY v (v), KEY vw (v, w), UNIQUE KEY u (w));
        INSERT INTO t (v, w) VALUES (1,'a'),(2,'b');
        CREATE TABLE log (id INT PRIMARY KEY AUTO_INCREMENT, what VARCHAR(20));
        CREATE TABLE parent (id INT PRIMARY KEY, x INT, KEY x (x));
        CREATE TABLE child (id INT PRIMARY KEY, px INT, y INT, KEY px (px), KEY y (y), CONSTRAINT fk FOREIGN KEY (px) REFERENCES parent (x));
        INSERT INTO child VALUES (1, NULL, 5);
        DELIMITER //
        CREATE DEFINER=`nobody`@`nowhere` FUNCTION orphan(x INT) RETURNS INT DETERMINISTIC RETURN x * 2//
        CREATE FUNCTION double_it(x INT) RETURNS INT DETERMINISTIC RETURN x * 2//
        CREATE PROCEDURE add_row(IN x INT) BEGIN INSERT INTO t (v) VALUES (x); END//
        CREATE TRIGGER t1 AFTER INSERT ON t FOR EACH ROW INSERT INTO log (what) VALUES ('first')//
        CREATE TRIGGER t2 AFTER INSERT ON t FOR EACH ROW INSERT INTO log (what) VALUES ('second')//
        CREATE EVENT e1 ON SCHEDULE EVERY 1 DAY ENABLE DO DELETE FROM log//
        DELIMITER ;
        CREATE VIEW z_base AS SELECT id, double_it(v) AS d FROM t;
        CREATE VIEW a_above AS SELECT d FROM z_base WHERE d > 2;
        """

    /// Servers differ in what they show of such a view; none is left out without a word.
    @Test(arguments: TestServer.Family.allCases.filter { TestServer.isAvailable($0) })
    func `a view of what is gone is copied, or named`(family: TestServer.Family) async throws {
        let f = try await CopyFixture(
            "snap_gone_view", from: family, to: family, "CREATE TABLE t (id INT PRIMARY KEY)")
        let other = "\(f.schema)_other"
        try f.source.sql(
            """
            DROP DATABASE IF EXISTS \(other); CREATE DATABASE \(other);
            CREATE TABLE \(other).t (id INT); CREATE VIEW v AS SELECT id FROM \(other).t;
            DROP DATABASE \(other);
            """, database: f.schema)
        var refusal: (any Error)?
        do { try await f.copy() } catch { refusal = error }
        let there = try f.target.sql(
            "SHOW FULL TABLES WHERE Table_type='VIEW'", database: f.schema)
        #expect(!there.isEmpty || refusal.map { "\($0)".contains("\(f.schema).v") } == true)
    }

    @Test(arguments: [TestServer.Family.mariadb, .mysql], [TestServer.Family.mariadb, .mysql])
    func `objects follow the rows, triggers and events the switch-over`(
        _ from: TestServer.Family, _ to: TestServer.Family
    ) async throws {
        guard TestServer.isAvailable(from), TestServer.isAvailable(to) else { return }
        var f = try await CopyFixture(
            "snap_objects_\(from.rawValue)_\(to.rawValue)", from: from, to: to,
            (from == .mysql ? "SET SESSION restrict_fk_on_non_standard_key=OFF;" : "")
                + "ALTER DATABASE COLLATE utf8mb4_bin; SET GLOBAL log_bin_trust_function_creators=1;"
                + Self.objects)
        try f.target.sql("SET GLOBAL local_infile=1; SET GLOBAL log_bin_trust_function_creators=1")
        f.configuration.deferredIndexRows = 0
        try await f.copy()
        for table in ["t", "log", "child"] { #expect(try f.agree(table), "\(table)") }
        #expect(try f.target.sql("SHOW TRIGGERS; SHOW EVENTS", database: f.schema) == "")
        #expect(
            try f.target.sql(
                """
                SELECT DEFINER FROM information_schema.ROUTINES
                WHERE ROUTINE_SCHEMA='\(f.schema)' AND ROUTINE_NAME='orphan'
                """) == "nobody@nowhere\n")
        for table in ["t", "child", "parent"] {
            let connection = try Connection(f.configuration.target)
            let shape = try SchemaReader(connection).shape(of: f.table(table))
            let wanted = try SchemaReader(Connection(f.configuration.source))
                .shape(of: f.table(table))
            #expect(Set(shape!.keys) == Set(wanted!.keys), "\(table)")
        }
        let session = try TargetSession(f.configuration.target, role: .coordinator)
        let switchOver = SwitchOver(meta: f.configuration.meta, key: f.configuration.key)
        try switchOver.create(on: session, isResumed: false)
        #expect(try f.target.sql("SHOW EVENTS", database: f.schema).contains("DISABLED"))
        // Once more, as after a crash; but not as somebody else's work.
        try switchOver.create(on: session, isResumed: true)
        #expect(throws: SnapshotError.self) {
            try switchOver.create(on: session, isResumed: false)
        }
        try switchOver.enable(on: session)
        try switchOver.enable(on: session)
        try f.target.sql("INSERT INTO t (v) VALUES (3)", database: f.schema)
        #expect(
            try f.target.sql("SELECT what FROM log ORDER BY id", database: f.schema)
                == "first\nsecond\n")
        #expect(try f.target.sql("SHOW EVENTS", database: f.schema).contains("ENABLED"))
    }
}
