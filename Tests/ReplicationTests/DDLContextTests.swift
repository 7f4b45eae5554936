import Checkpoint
import MySQLClient
import MySQLCore
import Runtime
import TestServers
import Testing

@testable import Replication

/// What the context of one statement must not do to the record of the next, or to its meaning.
extension DDLWorkerTests {
    private func request(
        _ rig: TargetRig, _ sql: String, number: Int = 9, in schema: String?,
        settings: [String] = [], tables: [String] = ["a"], mayFail: Bool = false
    ) -> DDLRequest {
        let names = tables.map { TableName(schema: rig.schema, name: $0) }
        return DDLRequest(
            identity: TargetRig.identity(number), sql: Array(sql.utf8), defaultSchema: schema,
            settings: settings, tables: names, existAfter: names, goneAfter: [],
            isIdempotent: false, mayFail: mayFail)
    }

    /// Runs statements one after the other, and gives the last one's outcome.
    @discardableResult
    private func run(_ requests: [DDLRequest], _ worker: DDLWorker) async throws -> DDLOutcome? {
        let mailbox = Mailbox<DDLWorker.Message>()
        var last: Reply<DDLOutcome>?
        for request in requests {
            let reply = Reply<DDLOutcome>()
            mailbox.send(.run(request, reply))
            last = reply
        }
        mailbox.send(.end)
        try await worker.run(mailbox)
        return try await last?.value()
    }

    @Test(
        "a statement that never ran is not taken for run because of the session before it",
        arguments: Servers.families, ["time_zone='+02:00'", "sql_mode='ANSI_QUOTES'"])
    func context(family: TestServer.Family, setting: String) async throws {
        let (rig, options) = try await rig(family, "ddlcontext\(setting.prefix(3))")
        try rig.server.sql(
            "ALTER TABLE a ADD t TIMESTAMP NOT NULL DEFAULT '2020-01-01 12:00:00'",
            database: rig.schema)
        let (first, ledger, _, state) = try worker(rig, options, 1)
        _ = try first.recover(state)
        // It is refused, with its session half made, or runs.
        let other = request(
            rig, "ALTER TABLE a ADD c INT", in: rig.schema, settings: [setting])
        let refused = request(
            rig, "CREATE VIEW v AS SELECT nothing FROM a", number: 10, in: rig.schema,
            settings: [setting, "time_zone='No/Where'"], mayFail: true)
        try await run([other, refused], first)
        let a = TableName(schema: rig.schema, name: "a")
        try ledger.record(
            DDLIntent(
                identity: TargetRig.identity(11), step: .whole, statement: "TRUNCATE a",
                before: ledger.traces(of: [a]), existAfter: [a], goneAfter: [],
                isIdempotent: true))
        let (second, _, _, again) = try worker(rig, options, 2)
        #expect(try second.recover(again) == DDLRecovery())
        #expect(try !rig.done(2).contains(TargetRig.identity(11)))
    }

    @Test(
        "a statement means nothing of another schema where the target lacks its own",
        arguments: Servers.families)
    func misplaced(family: TestServer.Family) async throws {
        let (rig, options) = try await rig(family, "ddlmisplaced")
        try rig.server.sql(
            "CREATE PROCEDURE p() SELECT 1; CREATE VIEW v AS SELECT 1", database: rig.schema)
        let (worker, _, _, state) = try worker(rig, options, 1)
        _ = try worker.recover(state)
        let own = request(rig, "ALTER TABLE a ADD c INT", in: rig.schema)
        var number = 10
        for sql in ["DROP PROCEDURE p", "CREATE OR REPLACE VIEW v AS SELECT 2", "DROP VIEW v"] {
            number += 1
            let outcome = try await run(
                (number == 11 ? [own] : [])
                    + [request(rig, sql, number: number, in: "absent", tables: [], mayFail: true)],
                worker)
            #expect(outcome?.warning?.contains("absent") == true, "\(outcome?.warning ?? "")")
        }
        #expect(
            try rig.server.sql(
                "SELECT COUNT(*) FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA=DATABASE()",
                database: rig.schema) == "1\n")
        #expect(try rig.server.sql("SELECT * FROM v", database: rig.schema) == "1\n")
        // One that names its schemas itself needs none to stand in.
        try await run(
            [request(rig, "ALTER TABLE \(rig.schema).a ADD d INT", number: 20, in: "absent")],
            worker)
        for sql in ["DROP TABLE a", "CREATE TABLE made (id INT)", "ALTER TABLE a ADD e INT"] {
            number += 1
            let next = request(rig, sql, number: number, in: "absent")
            await #expect {
                try await run([next], worker)
            } throws: {
                if case ReplicationError.refusedStatement = $0 { true } else { false }
            }
        }
        #expect(
            try rig.server.sql(
                "SELECT GROUP_CONCAT(COLUMN_NAME ORDER BY COLUMN_NAME) FROM "
                    + "information_schema.COLUMNS WHERE TABLE_SCHEMA=DATABASE() AND TABLE_NAME='a'",
                database: rig.schema) == "c,d,id\n")
    }

    @Test("what is Skein's own text runs where its tables are: filters of binlogs may go by that")
    func own() async throws {
        let (rig, options) = try await rig(.mariadb, "ddlown")
        let (worker, _, connection, state) = try worker(rig, options, 1)
        _ = try worker.recover(state)
        try await run([request(rig, "ALTER TABLE \(rig.schema).a ADD c INT", in: nil)], worker)
        #expect(try connection.value("SELECT DATABASE()") == rig.schema)
    }

    @Test(
        "a schema that the target's user may not enter stops no statement that doesn't need it",
        arguments: Servers.families)
    func denied(family: TestServer.Family) async throws {
        let (rig, _) = try await rig(family, "ddldenied")
        try rig.server.sql(
            """
            CREATE USER IF NOT EXISTS narrow@'%' IDENTIFIED BY '\(TestServer.password)';
            GRANT ALL ON \(rig.schema).* TO narrow@'%'; GRANT ALL ON \(rig.meta.name).* TO narrow@'%';
            """)
        var options = rig.options
        options.user = "narrow"
        options.database = nil
        let (worker, _, _, state) = try worker(rig, options, 1)
        _ = try worker.recover(state)
        try await run(
            [request(rig, "ALTER TABLE \(rig.schema).a ADD c INT", in: "mysql")], worker)
        #expect(try rig.server.sql("SELECT c FROM a", database: rig.schema) == "NULL\n")
    }

    @Test("the record of a statement stays small, and one that is too large is refused by name")
    func large() async throws {
        let (rig, options) = try await rig(.mariadb, "ddllarge")
        let columns = (0..<100).map { "a_rather_long_name_of_a_column_\($0) INT" }
            .joined(separator: ",")
        let names = (0..<200).map { "wide_\($0)" }
        try rig.server.sql(
            names.map { "CREATE TABLE \($0) (\(columns));" }.joined(), database: rig.schema)
        let tables = names.map { TableName(schema: rig.schema, name: $0) }
        let (_, ledger, connection, _) = try worker(rig, options, 1)
        func intent(_ statement: String) throws -> DDLIntent {
            DDLIntent(
                identity: TargetRig.identity(9), step: .whole, statement: statement,
                before: try ledger.traces(of: tables), existAfter: [], goneAfter: tables,
                isIdempotent: true)
        }
        let limit = Int(try connection.value("SELECT @@max_allowed_packet") ?? "") ?? 0
        try connection.execute("COMMIT")
        #expect(throws: IntentTooLarge.self) {
            try ledger.record(intent(String(repeating: "x", count: limit / 2)))
        }
        #expect(try !hasIntent(rig))
        var later = try intent(String(repeating: "x", count: limit / 2))
        later.part = DDLPartNumber(index: 1, count: 2, digest: "")
        #expect(throws: IntentTooLarge.self) { try ledger.record(later) }
        let whole = try intent("DROP DATABASE many")
        try ledger.record(whole)
        let length = try rig.server.sql(
            "SELECT MAX(LENGTH(context)) FROM \(rig.meta.name).ddl")
        #expect(Int(length.dropLast())! < 200 * 400, "\(length)")
        #expect(try ledger.read() == whole)
    }
}
