import Checkpoint
import MySQLClient
import MySQLCore
import Runtime
import TestServers
import Testing

@testable import Replication

/// What is known of views and routines of which the target has refused a statement.
@Suite("Views and routines that were refused")
struct StaleObjectTests {
    private let workers = DDLWorkerTests()

    /// A request on views and routines, as the stream makes it.
    private func request(
        _ rig: TargetRig, _ number: Int, _ sql: String, _ uses: ObjectUse...
    ) -> DDLRequest {
        var request = DDLRequest(
            identity: TargetRig.identity(number), sql: Array(sql.utf8),
            defaultSchema: rig.schema, settings: [], tables: [], existAfter: [], goneAfter: [],
            isIdempotent: true, mayFail: true)
        request.position = TargetRig.position(number)
        request.objects = uses
        return request
    }

    private func view(_ rig: TargetRig, _ name: String) -> ObjectUse {
        ObjectUse(
            id: StaleObject.ID(.view, TableName(schema: rig.schema, name: name)), isSettled: true)
    }

    private func run(_ request: DDLRequest, _ worker: DDLWorker) async throws {
        let mailbox = Mailbox<DDLWorker.Message>()
        let reply = Reply<DDLOutcome>()
        mailbox.send(.run(request, reply))
        mailbox.send(.end)
        try await worker.run(mailbox)
        _ = try await reply.value()
    }

    private func stale(_ rig: TargetRig) throws -> [String] {
        try StaleObjects(meta: rig.meta, key: rig.key).read(Connection(rig.options)).map {
            $0.id.description.replacing("\(rig.schema).", with: "")
        }
    }

    @Test(
        "a refusal is recorded until the object is what a statement says",
        arguments: Servers.families)
    func recorded(family: TestServer.Family) async throws {
        let (rig, options) = try await workers.rig(family, "stale")
        let (worker, _, _, _) = try workers.worker(rig, options, 2)
        try rig.server.sql(
            "CREATE VIEW v AS SELECT 1; CREATE PROCEDURE v() SELECT 1", database: rig.schema)
        let missing = "SELECT * FROM missing"
        let procedure = StaleObject.ID(.procedure, TableName(schema: rig.schema, name: "v"))
        try await run(
            request(rig, 1, "CREATE OR REPLACE VIEW v AS \(missing)", view(rig, "v")), worker)
        #expect(try stale(rig) == ["view v"])
        let found = try StaleObjects(meta: rig.meta, key: rig.key).read(Connection(rig.options))
        #expect(found[0].reason.contains("missing"))
        #expect(found[0].position == "\(TargetRig.position(1))")
        // A procedure of that name is another object.
        try await run(
            request(
                rig, 2, "CREATE PROCEDURE v() SELECT 2", ObjectUse(id: procedure, isSettled: true)),
            worker)
        #expect(try stale(rig) == ["procedure v", "view v"])
        // What says nothing of the body settles nothing.
        try await run(
            request(
                rig, 3, "ALTER PROCEDURE v COMMENT 'x'", ObjectUse(id: procedure, isSettled: false)
            ), worker)
        try await run(request(rig, 4, "DROP VIEW v, w", view(rig, "v"), view(rig, "w")), worker)
        #expect(try stale(rig) == ["procedure v", "view v", "view w"])
        try await run(
            request(rig, 5, "CREATE OR REPLACE VIEW v AS SELECT 2", view(rig, "v")), worker)
        try await run(
            request(
                rig, 6, "DROP PROCEDURE v", ObjectUse(id: procedure, isSettled: true)), worker)
        #expect(try stale(rig) == ["view w"])
        let mapping = try rig.catalog().mapping
        var gone = request(rig, 7, "")
        gone.mayFail = false
        gone.emptiedSchema = (rig.schema, mapping)
        try await run(gone, worker)
        #expect(try stale(rig) == [])
    }

    @Test("that somebody was asked is forgotten when the object has changed")
    func asked() async throws {
        let (rig, options) = try await workers.rig(.mariadb, "staleasked")
        let (worker, _, _, _) = try workers.worker(rig, options, 2)
        let records = StaleObjects(meta: rig.meta, key: rig.key)
        let id = StaleObject.ID(.procedure, TableName(schema: rig.schema, name: "p"))
        var object = StaleObject(id, position: "here", reason: "why")
        object.asked = StaleObject.Asked(version: "1", digest: "2")
        let session = try TargetSession(options, role: .coordinator)
        let coordinator = Coordinator(
            session: session, meta: rig.meta, key: rig.key, token: rig.token(2))
        try records.write([.stale(object)], by: coordinator)
        try rig.server.sql("CREATE PROCEDURE p() SELECT 1", database: rig.schema)
        try await run(
            request(
                rig, 1, "ALTER PROCEDURE p COMMENT 'x'", ObjectUse(id: id, isSettled: false)),
            worker)
        let found = try records.read(Connection(options))
        #expect(found.map(\.id) == [id])
        #expect(found.map(\.asked) == [nil])
        #expect(found.map(\.reason) == ["why"])
    }

    @Test(
        "a kill between a refusal and its record changes nothing", arguments: Servers.families)
    func killed(family: TestServer.Family) async throws {
        let (rig, options) = try await workers.rig(family, "stalekilled")
        try rig.server.sql("CREATE VIEW v AS SELECT 1", database: rig.schema)
        let sql = "CREATE OR REPLACE VIEW v AS SELECT * FROM missing"
        // A run that dies behind the statement leaves this.
        let (_, ledger, _, _) = try workers.worker(rig, options, 1)
        try ledger.record(
            DDLIntent(
                identity: TargetRig.identity(9), step: .whole, statement: sql, before: [:],
                existAfter: [], goneAfter: [], isIdempotent: true))
        #expect(throws: (any Error).self) { try rig.server.sql(sql, database: rig.schema) }
        #expect(try stale(rig) == [])
        let (worker, _, _, state) = try workers.worker(rig, options, 2)
        #expect(try worker.recover(state).applied == nil)
        try await run(request(rig, 9, sql, view(rig, "v")), worker)
        #expect(try stale(rig) == ["view v"])
        #expect(try workers.marked(rig))
        #expect(try !workers.hasIntent(rig))
        // The record and the mark are one: a run that was replaced writes neither.
        let late = request(rig, 10, "CREATE OR REPLACE VIEW v AS SELECT 3", view(rig, "v"))
        try rig.take(3)
        await #expect(throws: CheckpointError.self) { try await run(late, worker) }
        #expect(try stale(rig) == ["view v"])
    }

    @Test("what a statement means for its objects")
    func uses() throws {
        let rig = try StatementRig()
        func uses(_ sql: String) throws -> [String] {
            guard case .run(let request, _, _) = try rig.decide(sql) else { return ["not run"] }
            return request.objects.map { "\($0.id)\($0.isSettled ? "" : " in part")" }
        }
        #expect(try uses("CREATE OR REPLACE VIEW v AS SELECT 1") == ["view shop.v"])
        #expect(try uses("ALTER VIEW v AS SELECT 1") == ["view shop.v"])
        #expect(try uses("CREATE VIEW IF NOT EXISTS v AS SELECT 1") == ["view shop.v in part"])
        #expect(try uses("DROP VIEW IF EXISTS v, w") == ["view shop.v", "view shop.w"])
        #expect(try uses("CREATE PROCEDURE p() SELECT 1") == ["procedure shop.p"])
        #expect(try uses("ALTER PROCEDURE p COMMENT 'x'") == ["procedure shop.p in part"])
        #expect(try uses("DROP FUNCTION f") == ["function shop.f"])
        #expect(try uses("CREATE FUNCTION f RETURNS INT SONAME 'f.so'") == [])
    }
}
