import Checkpoint
import Logging
import MySQLClient
import MySQLCore
import Rules
import Runtime
import Settings
import TestServers
import Testing

@testable import Worker

@Suite struct StaleRulesTests {
    @Test("rules change nothing when another process has written since the look")
    func staleLook() async throws {
        try await TestServer.with(.mariadb) { server in
            try server.sql("CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY)")
            let options = ConnectionOptions(
                host: "127.0.0.1", port: server.port, user: TestServer.user,
                password: Password(TestServer.password))
            let pattern = try #require(TablePattern("shop.*"))
            var settings = MigrationSettings(
                source: options, target: options, selection: TableSelection(tables: [pattern]))
            settings.name = "task"
            settings.sourceID = "one"
            let new = MigrationIdentity(
                settings: settings, server: ServerUUID(high: 0, low: 1))
            var old = new
            old.excluded = ["shop.never"]
            let key = SubtaskKey(task: "task", source: "one")
            let migration = Migration(settings: settings, logger: Logger(label: "test"))
            let (stored, wanted) = (old, new)
            try await withThread("test") {
                let connection = try Connection(options)
                try MetaSchema().prepare(connection)
                let takeover = Takeover(meta: MetaSchema(), key: key)
                let session = try TargetSession(options, role: .coordinator)
                _ = try takeover.create(
                    session, identity: stored.encoded, rules: [1], phase: "follow")
                func change(_ look: SubtaskState) throws -> Bool {
                    try migration.changeRules(
                        look, from: stored, to: wanted, because: "", Connection(options),
                        connection)
                }
                func identity() throws -> [UInt8]? { try takeover.peek(connection)?.identity }
                let look = try #require(try takeover.peek(connection))
                for other in ["phase='finished'", "phase='follow', identity=x'0102'"] {
                    try connection.execute("UPDATE skein_meta.subtask SET \(other); COMMIT")
                    let before = try identity()
                    #expect(try !change(look))
                    #expect(try identity() == before)
                }
                try connection.execute(
                    "UPDATE skein_meta.subtask SET identity=\(hexLiteral(stored.encoded)); COMMIT")
                #expect(try change(look))
                #expect(try identity() == wanted.encoded)
            }
        }
    }

    @Test("rules that were stored compare names as their source does")
    func storedNames() async throws {
        try await TestServer.with(.mariadb) { server in
            let options = ConnectionOptions(
                host: "127.0.0.1", port: server.port, user: TestServer.user,
                password: Password(TestServer.password))
            var settings = MigrationSettings(
                source: options, target: options, selection: TableSelection(tables: []))
            try settings.take(SourceRules(tables: BlockAllowList(doSchemas: ["Shop"])))
            let stored = MigrationIdentity(settings: settings, server: ServerUUID(high: 0, low: 1))
            let selected = try await withThread("test") {
                let mapping = try stored.mapping(Connection(options))
                return ["Shop", "shop"].map {
                    mapping?.selects(TableName(schema: $0, name: "t")) == true
                }
            }
            #expect(selected == [true, false])
        }
    }

    @Test("rules that were stored know the clock of their zone, which the record does not hold")
    func storedZones() throws {
        let options = ConnectionOptions(user: "u")
        var settings = MigrationSettings(
            source: options, target: options, selection: TableSelection(tables: []))
        var rules = SourceRules(expressionFilters: [
            ExpressionFilterRule(
                name: "e", schema: "shop", table: "t", deleteExpression: "ts < '2026-01-01'")
        ])
        rules.timeZone = NamedZone(name: "Asia/Kolkata", clock: nil)
        try settings.take(rules)
        let identity = MigrationIdentity(settings: settings, server: ServerUUID(high: 0, low: 1))
        let stored = try #require(MigrationIdentity(encoded: identity.encoded))
        #expect(stored == identity)
        let zone = try #require(stored.sourceRules?.timeZone)
        #expect(zone.name == "Asia/Kolkata" && zone.clock?.offset(at: 0) == 19_800)
    }
}
