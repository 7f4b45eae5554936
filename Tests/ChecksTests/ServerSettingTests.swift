import MySQLClient
import Settings
import TestServers
import Testing

@testable import Worker

/// Each check that a server's setting can make fail.
@Suite("Pre-checks of server settings", .serialized)
struct ServerSettingTests {
    /// Changes that can be made while the servers run: which server, statement, check, verdict.
    private struct Change {
        var onSource: Bool
        var set: String
        var reset: String
        var check: String
        var verdict: CheckResult.Verdict

        init(
            source set: String, _ reset: String, _ check: String, _ verdict: CheckResult.Verdict
        ) {
            (onSource, self.set, self.reset) = (true, set, reset)
            (self.check, self.verdict) = (check, verdict)
        }

        init(
            target set: String, _ reset: String, _ check: String, _ verdict: CheckResult.Verdict
        ) {
            (onSource, self.set, self.reset) = (false, set, reset)
            (self.check, self.verdict) = (check, verdict)
        }
    }

    private static func changes(_ family: TestServer.Family) -> [Change] {
        let both: [Change] = [
            .init(source: "binlog_format=MIXED", "binlog_format=ROW", "binlog-format", .error),
            .init(
                source: "binlog_row_image=MINIMAL", "binlog_row_image=FULL", "binlog-row-image",
                .error),
            .init(
                source: "binlog_checksum=NONE", "binlog_checksum=CRC32", "binlog-checksum",
                .warning),
            .init(source: "sync_binlog=0", "sync_binlog=1", "source-durability", .warning),
            .init(
                source: "binlog_expire_logs_seconds=3600", "binlog_expire_logs_seconds=0",
                "binlog-retention", .warning),
            .init(source: "max_connections=11", "max_connections=100", "source-connections", .ok),
            .init(
                target: "max_connections=10", "max_connections=100", "target-connections", .error),
            .init(target: "read_only=ON", "read_only=OFF", "target-read-only", .warning),
            .init(
                target: "binlog_format=STATEMENT", "binlog_format=ROW", "target-binlog-format",
                .error),
            .init(target: "local_infile=OFF", "local_infile=ON", "local-infile", .warning),
            .init(
                target: "max_allowed_packet=1048576", "max_allowed_packet=268435456",
                "max-allowed-packet", .warning),
            .init(target: "sql_mode='ANSI_QUOTES'", "sql_mode=DEFAULT", "sql-mode", .warning),
            .init(target: "time_zone='+05:00'", "time_zone='SYSTEM'", "time-zone", .warning),
        ]
        switch family {
        case .mariadb:
            return both + [
                .init(source: "gtid_strict_mode=OFF", "gtid_strict_mode=ON", "gtid", .warning),
                .init(
                    target: "innodb_force_primary_key=ON", "innodb_force_primary_key=OFF",
                    "target-requires-keys", .error),
            ]
        case .mysql:
            return both + [
                .init(
                    source: "binlog_row_value_options='PARTIAL_JSON'",
                    "binlog_row_value_options=''", "binlog-row-value-options", .warning),
                .init(
                    source: "binlog_order_commits=OFF", "binlog_order_commits=ON",
                    "binlog-order-commits", .warning),
                .init(source: "gtid_mode=ON_PERMISSIVE", "gtid_mode=ON", "gtid", .warning),
                .init(
                    target: "super_read_only=ON", "super_read_only=OFF; SET GLOBAL read_only=OFF",
                    "target-read-only", .error),
                .init(
                    target: "sql_require_primary_key=ON", "sql_require_primary_key=OFF",
                    "target-requires-keys", .error),
                .init(
                    target: "sql_generate_invisible_primary_key=ON",
                    "sql_generate_invisible_primary_key=OFF", "target-requires-keys", .error),
            ]
        }
    }

    @Test(
        "a setting that matters is found, and is gone when it is changed back", arguments: families)
    func settings(_ family: TestServer.Family) async throws {
        try await CheckPair.with(family) { pair in
            try pair.source.sql("CREATE DATABASE shop; CREATE TABLE shop.t (a INT, b INT)")
            let before = try await pair.results()
            for change in Self.changes(family) {
                let server = change.onSource ? pair.source : pair.target
                try server.sql("SET GLOBAL \(change.set)")
                let found = try await pair.results()[change.check]
                #expect(found?.verdict == change.verdict, "\(change.set): \(found as Any)")
                #expect(change.verdict == .ok || found?.remedy.isEmpty == false)
                try server.sql("SET GLOBAL \(change.reset)")
                let after = try await pair.results()[change.check]
                #expect(after?.verdict == before[change.check]?.verdict, "\(change.reset)")
            }
        }
    }

    @Test("a source without binlog is refused", arguments: families)
    func noBinlog(_ family: TestServer.Family) async throws {
        let off =
            family == .mysql
            ? ["--skip-log-bin", "--gtid-mode=OFF", "--enforce-gtid-consistency=OFF"]
            : ["--skip-log-bin"]
        try await CheckPair.with(family, sourceOptions: off) { pair in
            try pair.source.sql("CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY)")
            let results = try await pair.results()
            #expect(results["binlog-enabled"]?.verdict == .error)
            if family == .mysql { #expect(results["gtid"]?.verdict == .warning) }
        }
    }

    @Test("schemas that a binlog filter hides are named", arguments: families)
    func filters(_ family: TestServer.Family) async throws {
        let options = ["--binlog-ignore-db=shop", "--lower-case-table-names=1"]
        try await CheckPair.with(
            family, sourceOptions: family == .mariadb ? options : Array(options.prefix(1))
        ) { pair in
            try pair.source.sql("CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY)")
            let results = try await pair.results()
            #expect(results["binlog-filters"]?.verdict == .error)
            if family == .mariadb {
                #expect(results["lower-case-table-names"]?.verdict == .warning)
            }
        }
    }

    @Test("a server id that is taken is refused", arguments: families)
    func serverID(_ family: TestServer.Family) async throws {
        try await CheckPair.with(family) { pair in
            let own = try #require(
                UInt32(try pair.source.sql("SELECT @@server_id").filter { $0.isNumber }))
            try pair.source.sql("CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY)")
            #expect(try await pair.results { $0.serverID = own }["server-id"]?.verdict == .error)
            let free = try await pair.results { $0.serverID = own ^ 1 }
            #expect(free["server-id"]?.verdict == .ok)
        }
    }

    @Test("source and target in one are refused", arguments: families)
    func sameServer(_ family: TestServer.Family) async throws {
        try await TestServer.with(family) { server in
            try server.sql("CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY)")
            let results = try await CheckPair(source: server, target: server).results()
            #expect(results["same-server"]?.verdict == .error)
        }
    }

    @Test(
        "undecided XA transactions, and events that would run twice, are found", arguments: families
    )
    func transactionsAndEvents(_ family: TestServer.Family) async throws {
        try await CheckPair.with(family, targetOptions: ["--event-scheduler=ON"]) { pair in
            let schema = "CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY);"
            let event = "CREATE EVENT shop.e ON SCHEDULE EVERY 1 DAY DO DELETE FROM shop.t"
            try pair.source.sql(schema + event)
            #expect(try await pair.results()["event-scheduler"]?.verdict == .ok)
            try pair.source.sql(
                "XA START 'x'; INSERT INTO shop.t VALUES (1); XA END 'x'; XA PREPARE 'x'")
            #expect(try await pair.results()["xa"]?.verdict == .warning)
            try pair.target.sql(schema + event)
            #expect(try await pair.results()["event-scheduler"]?.verdict == .error)
            try pair.target.sql("SET GLOBAL event_scheduler=OFF")
            #expect(try await pair.results()["event-scheduler"]?.verdict == .warning)
        }
    }

    @Test("what one family has and the other lacks is found")
    func families_() async throws {
        guard families.contains(.mysql) else { return }
        try await CheckPair.with(.mariadb, targetFamily: .mysql) { pair in
            try pair.source.sql(
                """
                CREATE DATABASE shop COLLATE utf8mb4_general_ci; USE shop;
                CREATE TABLE u (id UUID PRIMARY KEY);
                CREATE TABLE a (id INT PRIMARY KEY) ENGINE=Aria;
                CREATE TABLE c (id VARCHAR(10) COLLATE utf8mb4_nopad_bin PRIMARY KEY);
                CREATE TABLE v (id INT PRIMARY KEY) WITH SYSTEM VERSIONING;
                CREATE SEQUENCE s;
                CREATE TABLE p (id INT PRIMARY KEY, n INT, `b``c` INT,
                    g INT AS (n + 1) STORED, h INT AS (`b``c` + 1) STORED, w INT AS (id + 1));
                CREATE TABLE c1 (id INT PRIMARY KEY, `B``c` INT, g INT AS (`b``c` + 1) STORED,
                    FOREIGN KEY (`b``c`) REFERENCES p (id) ON DELETE CASCADE);
                CREATE TABLE c2 (id INT PRIMARY KEY, n INT, g INT AS (n + 1) STORED,
                    FOREIGN KEY (n) REFERENCES p (id));
                CREATE TABLE c3 (id INT PRIMARY KEY, n INT, g INT AS (n + 1) VIRTUAL,
                    FOREIGN KEY (n) REFERENCES p (id) ON DELETE SET NULL);
                CREATE TABLE c4 (id INT PRIMARY KEY, n INT, m INT, g INT AS (m + 1) STORED,
                    FOREIGN KEY (n) REFERENCES p (id) ON UPDATE CASCADE);
                """)
            let results = try await pair.results()
            let refused = results["foreign-keys"]
            #expect(refused?.refuses == true)
            #expect(
                refused?.message.hasSuffix("computed from: shop.c1 B`c → shop.p (g)") == true,
                "\(String(describing: refused))")
            #expect(results["column-types"]?.message.contains("shop.u id (uuid)") == true)
            #expect(results["target-engines"]?.message.contains("shop.a (Aria)") == true)
            #expect(results["collations"]?.message.contains("utf8mb4_nopad_bin (shop.c)") == true)
            #expect(results["table-kinds"]?.message.contains("shop.s (sequence)") == true)
            #expect(results["table-kinds"]?.message.contains("shop.v (system versioned)") == true)
            for name in ["column-types", "target-engines", "collations", "table-kinds"] {
                #expect(results[name]?.refuses == true)
            }
        }
        try await CheckPair.with(.mysql, targetFamily: .mariadb) { pair in
            try pair.source.sql(
                """
                CREATE DATABASE shop COLLATE utf8mb4_0900_ai_ci; USE shop;
                CREATE TABLE t (id INT PRIMARY KEY, j JSON, v VECTOR(3));
                """)
            let results = try await pair.results()
            #expect(results["column-types"]?.message.contains("shop.t v (vector)") == true)
            #expect(results["collations"]?.verdict == .warning)
        }
    }

    @Test("5,000 tables take no more statements than one")
    func manyTables() async throws {
        let options = [
            "--table-open-cache=400", "--sync-binlog=0", "--innodb-file-per-table=OFF",
            "--innodb-flush-log-at-trx-commit=0",
        ]
        try await CheckPair.with(.mariadb, sourceOptions: options) { pair in
            let tables = (0..<5000).map { "CREATE TABLE t\($0) (id INT PRIMARY KEY, a INT);" }
            let sql = "CREATE DATABASE shop; USE shop; SET SESSION sql_log_bin=0;"
            try pair.source.sql(sql + tables.joined())
            func asked(_ tables: [String]) async throws -> (Int, String) {
                func count() throws -> Int {
                    let row = try pair.source.sql("SHOW GLOBAL STATUS LIKE 'Questions'")
                    return Int(row.filter(\.isNumber)) ?? 0
                }
                let before = try count()
                let results = try await pair.results(tables)
                return (try count() - before, results["selection"]?.message ?? "")
            }
            let (one, _) = try await asked(["shop.t1"])
            let (all, selected) = try await asked(["shop.*"])
            #expect(selected.hasPrefix("5000 tables"))
            #expect(one > 0 && all <= one + 10, "\(one), then \(all)")
        }
    }
}
