import Checkpoint
import MySQLClient
import MySQLCore
import TestServers
import Testing

@testable import Replication

// What is found after a crash by another user than the one that went, or on another server.
extension DDLWorkerTests {
    private func isUndecided(_ body: () throws -> Void) -> Bool {
        do {
            try body()
            return false
        } catch ReplicationError.undecidedDDL {
            return true
        } catch {
            Issue.record("\(error)")
            return false
        }
    }

    @Test(
        "table ids that nobody could see before, or now, tell nothing (D10)",
        arguments: Servers.families)
    func privilege(family: TestServer.Family) async throws {
        for seesThen in [false, true] {
            for afterwards in [false, true] {
                let label = "\(seesThen)\(afterwards)"
                let (swapped, blind) = try await rig(family, "privswap\(label)", seesIDs: false)
                let (then, now) =
                    seesThen ? (swapped.options, blind) : (blind, swapped.options)
                try crash(Self.swap, swapped, then, afterwards: afterwards)
                let (asking, _, _, stateasking) = try worker(swapped, now, 2)
                #expect(isUndecided { _ = try asking.recover(stateasking) })
                #expect(try hasIntent(swapped))
                #expect(try !marked(swapped))
                // It has not run, or changes nothing when it runs again.
                let (emptied, _) = try await rig(family, "privtrunc\(label)", seesIDs: false)
                try crash(Self.truncate, emptied, then, afterwards: afterwards)
                let (again, _, _, stateagain) = try worker(emptied, now, 2)
                #expect(try again.recover(stateagain) == DDLRecovery())
                #expect(try !hasIntent(emptied))
                #expect(try !marked(emptied))
            }
        }
    }

    @Test(
        "table ids of another server tell nothing (D10)", arguments: Servers.families,
        DDLWorkerTests.plans)
    func otherServer(family: TestServer.Family, name: String) async throws {
        for afterwards in [false, true] {
            let (rig, options) = try await rig(family, "otherserver\(name)\(afterwards)")
            // As the server noted it whose replica answers now.
            try crash(Self.plan(name), rig, options, afterwards: afterwards) { trace in
                guard trace.definition != nil else { return }
                trace.witness?.server = "another"
                trace.tableID = trace.tableID.map { "9\($0)" }
            }
            let (next, _, _, state) = try worker(rig, options, 2)
            if name == "swap" {
                #expect(isUndecided { _ = try next.recover(state) })
                #expect(try hasIntent(rig) && !marked(rig))
                continue
            }
            // To truncate again changes nothing.
            let isMarked = afterwards && name != "truncate"
            let found = try next.recover(state)
            #expect(found.applied == (isMarked ? TargetRig.identity(9) : nil))
            #expect(try marked(rig) == isMarked)
            #expect(try !hasIntent(rig))
        }
    }

    @Test(
        "another version of the server may word definitions otherwise (D11)",
        arguments: Servers.families, DDLWorkerTests.plans)
    func otherVersion(family: TestServer.Family, name: String) async throws {
        let (rig, options) = try await rig(family, "otherversion\(name)")
        try crash(Self.plan(name), rig, options, afterwards: false) { trace in
            trace.witness?.server = "another"
            trace.witness?.version = "1.2.3"
            trace.definition = trace.definition.map { $0 + " WORDED=OTHERWISE" }
        }
        let (next, _, _, state) = try worker(rig, options, 2)
        // That a table has come or gone shows all the same.
        guard name == "create" || name == "drop" else {
            #expect(isUndecided { _ = try next.recover(state) })
            #expect(try hasIntent(rig) && !marked(rig))
            return
        }
        #expect(try next.recover(state) == DDLRecovery())
        #expect(try !hasIntent(rig) && !marked(rig))
    }

    @Test(
        "what another source has done to a merged table is not taken for a statement's own",
        arguments: Servers.families)
    func merged(family: TestServer.Family) async throws {
        for afterwards in [false, true] {
            let (rig, options) = try await rig(family, "mergedrecovery\(afterwards)")
            try crash(Self.alter, rig, options, afterwards: afterwards, isRepeatable: true)
            try rig.server.sql("ALTER TABLE a ADD COLUMN theirs INT", database: rig.schema)
            let (worker, _, _, state) = try worker(rig, options, 2)
            // It comes again, and what is left of it is found out from the table.
            #expect(try worker.recover(state) == DDLRecovery())
            #expect(try !hasIntent(rig) && !marked(rig))
        }
    }

    @Test("an id that can't be read is no missing one", arguments: Servers.families)
    func traceError(family: TestServer.Family) async throws {
        let (rig, options) = try await rig(family, "ddltraceerror")
        let (_, ledger, connection, _) = try worker(rig, options, 1)
        let name = TableName(schema: rig.schema, name: "a")
        #expect(try ledger.trace(name).tableID != nil)
        try connection.execute("SET SESSION sql_big_selects=0, max_join_size=1")
        #expect(throws: MySQLError.self) { try ledger.trace(name) }
    }

    @Test(
        "a DROP of several tables that was cut short drops the others (D14)",
        arguments: Servers.families)
    func halfDropped(family: TestServer.Family) async throws {
        let both = Plan(
            sql: "DROP TABLE IF EXISTS a, b", tables: ["a", "b"], existAfter: [],
            goneAfter: ["a", "b"])
        let (rig, options) = try await rig(family, "ddlhalf")
        try crash(both, rig, options, afterwards: false)
        try rig.server.sql("DROP TABLE a", database: rig.schema)
        let (next, _, _, state) = try worker(rig, options, 2)
        #expect(try next.recover(state) == DDLRecovery())
        #expect(try !marked(rig))
        #expect(try !hasIntent(rig))
        // What is left is another table than it was: somebody else's.
        let (other, user) = try await self.rig(family, "ddlhalfother")
        try crash(both, other, user, afterwards: false)
        try other.server.sql("DROP TABLE a; ALTER TABLE b ADD x INT", database: other.schema)
        let (asking, _, _, stateasking) = try worker(other, user, 2)
        #expect(isUndecided { _ = try asking.recover(stateasking) })
    }

    // MARK: rows behind a statement

    @Test(
        "rows wait for all statements that run in the place of one (D12)",
        arguments: Servers.families, ["SET step=", "x'", "MODIFY c1", "SET step=2"])
    func openingParts(family: TestServer.Family, place: String) async throws {
        // A run that dies behind the first statement, before the second one's intent, before that
        // statement, and behind it.
        let label = place.filter { $0.isLetter || $0.isNumber }
        let (rig, options) = try await rig(family, "ddlopening\(label)")
        var request = request(rig, Array(Self.parts.prefix(2)))
        request.isOpening = true
        let proxy = try FaultProxy(to: rig.server)
        defer { proxy.close() }
        let (dying, _, _, state) = try worker(rig, TargetRig.options(proxy.port), 1)
        _ = try dying.recover(state)
        let second = hexLiteral(Array(Self.parts[1].utf8))
        let held = proxy.holdNext(.toServer, matching: place == "x'" ? second : place)
        await #expect(throws: MySQLError.self) { try await perform(request, dying) }
        held.drop()
        proxy.cut()
        let (next, _, _, taken) = try worker(rig, options, 2)
        let found = try next.recover(taken)
        let haveAllRun = place == "SET step=2"
        #expect(found == DDLRecovery(opened: haveAllRun ? request.identity : nil))
        if !haveAllRun { try await perform(request, next) }
        let step = try rig.server.sql("SELECT step FROM \(rig.meta.name).ddl")
        #expect(step == "\(DDLStep.opened.rawValue)\n")
        let shown = try rig.server.sql("SHOW CREATE TABLE a", database: rig.schema)
        #expect(shown.contains("`c1` bigint"), "\(shown)")
        #expect(try !marked(rig))
    }
}
