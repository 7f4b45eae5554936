import Logging
import MySQLClient
import MySQLCore
import Rules
import Runtime
import Stream
import TestServers
import Testing

@testable import Checkpoint
@testable import Settings
@testable import Worker

/// Two tasks of one source in one meta schema, which both follow from one place. `main` has `shop.m`,
/// `big` has `shop.t`; `main` is to have both.
struct TwoTasks: Sendable {
    let options: ConnectionOptions
    let place: SourcePosition
    /// As `main` is to be.
    let settings: MigrationSettings
    /// As it was stored.
    let stored: MigrationIdentity
    let meta = MetaSchema()
    let main = SubtaskKey(task: "main", source: "one")
    let big = SubtaskKey(task: "big", source: "one")

    static let m = TableName(schema: "shop", name: "m")
    static let t = TableName(schema: "shop", name: "t")

    static func selection(_ tables: [String], _ excluded: [String] = []) -> TableSelection {
        TableSelection(
            tables: tables.compactMap { TablePattern($0) },
            excluded: excluded.compactMap { TablePattern($0) })
    }

    static func settings(
        _ name: String, _ options: ConnectionOptions, _ selection: TableSelection
    ) -> MigrationSettings {
        var settings = MigrationSettings(source: options, target: options, selection: selection)
        settings.name = name
        settings.sourceID = "one"
        return settings
    }

    init(_ server: TestServer) throws {
        options = ConnectionOptions(
            host: "127.0.0.1", port: server.port, user: TestServer.user,
            password: Password(TestServer.password))
        try server.sql(
            """
            DROP DATABASE IF EXISTS shop; DROP DATABASE IF EXISTS skein_meta; CREATE DATABASE shop;
            CREATE TABLE shop.m (id INT PRIMARY KEY); CREATE TABLE shop.t (id INT PRIMARY KEY);
            CREATE TABLE shop.x (id INT PRIMARY KEY); INSERT INTO shop.x VALUES (1);
            """)
        let connection = try Connection(options)
        try meta.prepare(connection)
        place = try SourceSession(connection).place()
        let both = Self.selection(["shop.m", "shop.t"])
        settings = Self.settings("main", options, both)
        let before = Self.settings("main", options, Self.selection(["shop.m"]))
        let uuid = place.origin.server
        stored = MigrationIdentity(settings: before, server: uuid)
        let other = Self.settings("big", options, Self.selection(["shop.*"], ["shop.m"]))
        try follow(main, stored, [Self.m])
        try follow(big, MigrationIdentity(settings: other, server: uuid), [Self.t])
    }

    /// Has a subtask of the two tasks' source follow tables that it has created.
    func follow(
        _ key: SubtaskKey, _ identity: MigrationIdentity, _ tables: [TableName]
    ) throws {
        try Self.follow(key, identity, tables, as: .table, on: options, from: place)
    }

    /// Has a subtask follow tables that the target has.
    ///
    /// - Parameter kind: what is recorded of them.
    static func follow(
        _ key: SubtaskKey, _ identity: MigrationIdentity, _ tables: [TableName],
        as kind: StoredObject.Kind, on target: ConnectionOptions, from place: SourcePosition
    ) throws {
        let meta = MetaSchema()
        let session = try TargetSession(target, role: .coordinator)
        let takeover = Takeover(meta: meta, key: key)
        _ = try takeover.create(session, identity: identity.encoded, rules: [1])
        let token = RunToken(randomToken())
        _ = try takeover.take(session, token: token, epoch: .next, lanes: 0)
        let coordinator = Coordinator(session: session, meta: meta, key: key, token: token)
        let shapes = try SchemaReader(session.connection).shapes(of: tables)
        try coordinator.beginFollowing(
            from: place, consistentFrom: place, shapes: Array(shapes.values))
        let objects = StoredObjects(meta: meta, key: key)
        try objects.write(
            tables.map {
                objects.storeStatement(StoredObject(kind: kind, name: $0, definition: []))
            }, by: coordinator)
    }

    func migration(_ settings: MigrationSettings) -> Migration {
        Migration(settings: settings, logger: Logger(label: "test"))
    }

    func peek(_ key: SubtaskKey) throws -> SubtaskState? {
        try Takeover(meta: meta, key: key).peek(Connection(options))
    }

    /// Hands the tables of `big` over to `main`.
    func handOver(_ settings: MigrationSettings) throws -> Bool {
        let known = try #require(try peek(main))
        return try migration(settings).takeOver(
            "big", known, from: stored, to: wanted(settings), Connection(options),
            Connection(options))
    }

    func execute(_ statement: String) throws { try Connection(options).execute(statement) }

    /// What `main` finds when it looks.
    func look(_ settings: MigrationSettings) throws -> HandedOverTables {
        let known = try #require(try peek(main))
        return try migration(settings).tablesToTakeOver(
            from: "big", known, stored, to: wanted(settings), Connection(options),
            Connection(options))
    }

    func wanted(_ settings: MigrationSettings) -> MigrationIdentity {
        MigrationIdentity(settings: settings, server: place.origin.server)
    }

    /// Whether it is refused with these words.
    func refuses(_ settings: MigrationSettings, _ words: String) throws -> Bool {
        do {
            _ = try look(settings)
            return false
        } catch let error as MigrationError {
            guard case .handOver(from: "big", detail: let detail) = error else { throw error }
            return detail.contains(words)
        }
    }
}
