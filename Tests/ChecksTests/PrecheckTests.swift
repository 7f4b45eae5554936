import MySQLClient
import Settings
import TestServers
import Testing

@testable import Worker

@Suite("Pre-checks on real servers", .serialized)
struct PrecheckTests {
    @Test("two plain servers have no error", arguments: families)
    func plain(_ family: TestServer.Family) async throws {
        try await CheckPair.with(family) { pair in
            try pair.source.sql(
                "CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY, a TEXT)")
            let results = try await pair.results()
            #expect(results.count == Prechecks.names.count)
            let bad = results.values.filter { $0.verdict == .error }
            #expect(bad.isEmpty, "\(bad)")
            #expect(results["table-keys"]?.verdict == .ok)
            #expect(results["selection"]?.message.hasPrefix("1 table") == true)
        }
    }

    @Test("what tables need is found by table", arguments: families)
    func tables(_ family: TestServer.Family) async throws {
        try await CheckPair.with(family) { pair in
            try pair.source.sql(
                """
                CREATE DATABASE shop; USE shop;
                CREATE TABLE keyless (a INT);
                CREATE TABLE nullable (a INT, UNIQUE KEY (a));
                CREATE TABLE flat (id INT PRIMARY KEY) ENGINE=MyISAM;
                CREATE TABLE parent (id INT PRIMARY KEY);
                CREATE TABLE child (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES
                    parent (id) ON DELETE CASCADE);
                CREATE TABLE other (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES
                    parent (id));
                CREATE TABLE computed (id INT PRIMARY KEY, b INT AS (id + 1));
                """)
            let results = try await pair.results(["shop.*", "sohp.*"])
            #expect(results["table-keys"]?.verdict == .warning)
            #expect(results["table-keys"]?.message.hasSuffix("shop.keyless, shop.nullable") == true)
            #expect(results["engines"]?.verdict == .error)
            #expect(results["engines"]?.message.contains("shop.flat (MyISAM)") == true)
            #expect(results["selection"]?.message == "no table matches sohp.*")
            #expect(results["generated-columns"]?.message.contains("shop.computed") == true)
            #expect(results["foreign-keys"]?.verdict == .ok)

            let cut = try await pair.results(exclude: ["shop.parent"])
            #expect(cut["foreign-keys"]?.verdict == .error)
            #expect(cut["foreign-keys"]?.message.contains("shop.child → shop.parent") == true)
            let plain = try await pair.results(exclude: ["shop.parent", "shop.child"])
            #expect(plain["foreign-keys"]?.verdict == .error)
            try pair.target.sql(
                "CREATE DATABASE shop; CREATE TABLE shop.parent (id INT PRIMARY KEY)")
            let kept = try await pair.results(exclude: ["shop.parent", "shop.child"])
            #expect(kept["foreign-keys"]?.verdict == .warning)

            let none = try await pair.results(["nothing.*"])
            #expect(none["selection"]?.refuses == true)
        }
    }

    @Test("what the target holds already is looked at", arguments: families)
    func targetTables(_ family: TestServer.Family) async throws {
        try await CheckPair.with(family) { pair in
            let schema = """
                CREATE DATABASE shop; USE shop;
                CREATE TABLE a (id INT PRIMARY KEY, t VARCHAR(10), KEY (t));
                CREATE TABLE b (id INT PRIMARY KEY);
                """
            try pair.source.sql(schema)
            #expect(try await pair.results()["target-tables"]?.verdict == .ok)
            try pair.target.sql(schema + "ALTER TABLE a DROP KEY t")
            #expect(
                try await pair.results()["target-tables"]?.message == "2 empty tables will be used")
            try pair.target.sql("INSERT INTO shop.b VALUES (1)")
            let filled = try await pair.results()["target-tables"]
            #expect(filled?.verdict == .error)
            #expect(filled?.message == "target tables are not empty: shop.b")
            let allowed = try await pair.results { $0.intoExisting = true }
            #expect(allowed["target-tables"]?.verdict == .warning)
            let fresh = try await pair.results { $0.fresh = true }
            #expect(fresh["target-tables"]?.verdict == .ok)
            let ignored = try await pair.results { $0.ignoredChecks = ["target-tables"] }
            #expect(ignored["target-tables"]?.isIgnored == true)
            #expect(ignored["target-tables"]?.refuses == false)
            let all = try await pair.results { $0.ignoredChecks = [Prechecks.every] }
            #expect(all["target-tables"]?.isIgnored == true)

            for (change, why) in [
                ("MODIFY t VARCHAR(20)", "t: varchar(20) in place of varchar(10)"),
                ("DROP COLUMN t", "no column t"), ("ADD COLUMN x INT", "further column x"),
                ("ADD UNIQUE KEY (t)", "other unique keys"),
                ("MODIFY t VARCHAR(10) NOT NULL", "NULL is allowed on one side only"),
            ] {
                try pair.target.sql("ALTER TABLE shop.a \(change)")
                let found = try await pair.results()["target-tables"]
                #expect(found?.verdict == .error && found?.message.contains(why) == true, "\(why)")
                try pair.target.sql(
                    "DROP TABLE shop.a; "
                        + "CREATE TABLE shop.a (id INT PRIMARY KEY, t VARCHAR(10))")
            }

            // One counts for the other where families differ, but bytes are copied as they are.
            try pair.source.sql("ALTER TABLE shop.a ADD l LONGTEXT CHARACTER SET utf8mb4")
            for (charset, isRefused) in [("latin1", true), ("utf8mb4", false)] {
                try pair.target.sql(
                    "DROP TABLE shop.a; CREATE TABLE shop.a (id INT PRIMARY KEY, t VARCHAR(10), "
                        + "l LONGTEXT CHARACTER SET \(charset))")
                let found = try await pair.results()["target-tables"]?.message
                #expect(
                    found?.contains("l: character set latin1 in place of utf8mb4") == isRefused,
                    "\(charset)")
            }

            // Values are rounded to D digits.
            for (there, why) in [
                ("FLOAT(7,3)", nil), ("FLOAT(7,2)", "float(7,2)"), ("FLOAT", "float"),
                ("DOUBLE(7,3)", "double(7,3)"),
            ] {
                for (server, type) in [(pair.source, "FLOAT(7,3)"), (pair.target, there)] {
                    try server.sql(
                        "DROP TABLE shop.a; CREATE TABLE shop.a (id INT PRIMARY KEY, f \(type))")
                }
                let found = try await pair.results()["target-tables"]
                #expect(found?.message.contains("another shape") == (why != nil), "\(there)")
                #expect(
                    why.map { found?.message.contains("f: \($0) in place of float(7,3)") == true }
                        ?? true)
            }

            try pair.target.sql(
                "CREATE TRIGGER shop.tr BEFORE INSERT ON shop.a FOR EACH ROW SET NEW.id = 1")
            let trigger = try await pair.results()["target-triggers"]
            #expect(trigger?.verdict == .error && trigger?.message.contains("tr on shop.a") == true)
            try pair.target.sql("DROP TABLE shop.a; CREATE VIEW shop.a AS SELECT 1")
            #expect(try await pair.results()["target-views"]?.verdict == .error)
        }
    }

    @Test("missing privileges are named with the statements that grant them", arguments: families)
    func privileges(_ family: TestServer.Family) async throws {
        try await CheckPair.with(family) { pair in
            try pair.source.sql(
                "CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY)")
            try pair.createUser("few", "SELECT ON shop.*", on: pair.source)
            try pair.createUser("few", "SELECT ON shop.*", on: pair.target)
            let few = try await pair.results(sourceUser: "few", targetUser: "few")
            let source = few["source-privileges"]
            #expect(source?.verdict == .error)
            #expect(
                source?.remedy.contains("GRANT REPLICATION SLAVE ON *.* TO 'few'@'%'") == true)
            let monitor = family == .mariadb ? "BINLOG MONITOR" : "REPLICATION CLIENT"
            #expect(source?.message.contains(monitor) == true)
            #expect(few["target-privileges"]?.message.contains("INSERT") == true)
            #expect(few["target-privileges"]?.message.contains("`skein_meta`.*") == true)
            // Questions that the account may not ask make their checks skipped, not failed.
            #expect(few["source-replica"]?.verdict == .skipped)

            try pair.createUser(
                "enough", "SELECT ON shop.*", "REPLICATION SLAVE, REPLICATION CLIENT ON *.*",
                on: pair.source)
            try pair.createUser(
                "enough", "ALL PRIVILEGES ON shop.*", "ALL PRIVILEGES ON skein_meta.*",
                on: pair.target)
            let enough = try await pair.results(sourceUser: "enough", targetUser: "enough")
            #expect(enough["source-privileges"]?.verdict == .ok)
            #expect(enough["target-privileges"]?.verdict == .ok)
            #expect(enough["read-views"]?.verdict == .ok)
        }
    }

    @Test("privileges of an active role count", arguments: families)
    func roles(_ family: TestServer.Family) async throws {
        try await CheckPair.with(family) { pair in
            try pair.source.sql(
                """
                CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY);
                CREATE ROLE mover; GRANT SELECT, REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO mover
                """)
            try pair.createUser("worker", "mover", on: pair.source)
            try pair.source.sql(
                family == .mariadb
                    ? "SET DEFAULT ROLE mover FOR worker@'%'"
                    : "SET DEFAULT ROLE mover TO worker@'%'")
            let results = try await pair.results(sourceUser: "worker")
            #expect(results["source-privileges"]?.verdict == .ok)
        }
    }

    @Test("tables without a key need an exact view")
    func exactViews() async throws {
        guard families.contains(.mysql) else { return }
        try await CheckPair.with(.mysql) { pair in
            try pair.source.sql("CREATE DATABASE shop; CREATE TABLE shop.t (a INT)")
            try pair.createUser(
                "u", "SELECT ON shop.*", "REPLICATION SLAVE, REPLICATION CLIENT ON *.*",
                on: pair.source)
            #expect(try await pair.results(sourceUser: "u")["read-views"]?.verdict == .error)
            try pair.source.sql("GRANT LOCK TABLES ON shop.* TO u@'%'")
            #expect(try await pair.results(sourceUser: "u")["read-views"]?.verdict == .warning)
            try pair.source.sql("GRANT RELOAD ON *.* TO u@'%'")
            #expect(try await pair.results(sourceUser: "u")["read-views"]?.verdict == .ok)
        }
    }
}
