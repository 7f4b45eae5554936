import TestServers
import Testing

@testable import Snapshot

/// Definitions are texts that depend on the session in which they are read, and run.
@Suite("Sessions that definitions go through") struct DefinitionSessionTests {
    @Test(
        "a source's time zone and mode change no definition",
        arguments: TestServer.Family.allCases.filter { TestServer.isAvailable($0) })
    func sessions(_ family: TestServer.Family) async throws {
        try await TestServer.with(family, name: "zone") { source in
            let f = try await CopyFixture(
                "snap_zone_\(family.rawValue)", from: family, to: family, source: source,
                """
                CREATE TABLE p (id INT PRIMARY KEY,
                    ts TIMESTAMP NOT NULL DEFAULT '2020-01-01 00:00:00');
                CREATE TABLE c (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES p (id));
                CREATE TABLE free (id INT PRIMARY KEY,
                    ts TIMESTAMP NOT NULL DEFAULT '2021-07-01 12:00:00');
                INSERT INTO p (id) VALUES (1); INSERT INTO free (id) VALUES (1);
                CREATE VIEW names AS SELECT id AS "the id" FROM p;
                """)
            try source.sql(
                "SET GLOBAL time_zone='+05:00', sql_mode='ANSI_QUOTES,PIPES_AS_CONCAT'")
            try await f.copy()
            for table in ["p", "free"] {
                let query =
                    "INSERT INTO \(table) (id) VALUES (2); "
                    + "SELECT UNIX_TIMESTAMP(ts) FROM \(table) ORDER BY id"
                let there = try source.sql(query, database: f.schema)
                #expect(try f.target.sql(query, database: f.schema) == there)
            }
            #expect(
                try f.target.sql("SELECT `the id` FROM names ORDER BY 1", database: f.schema)
                    == "1\n2\n")
        }
    }
}
