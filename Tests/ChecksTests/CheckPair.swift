import MySQLClient
import MySQLCore
import Rules
import Runtime
import Settings
import TestServers
import Worker

/// A source and a target for checks, and what they find.
struct CheckPair: Sendable {
    let source: TestServer
    let target: TestServer

    /// Runs `body` with two new servers.
    static func with(
        _ family: TestServer.Family, sourceOptions: [String] = [], targetOptions: [String] = [],
        targetFamily: TestServer.Family? = nil, _ body: (CheckPair) async throws -> Void
    ) async throws {
        // Without these, every result would have warnings that belong to the servers for tests.
        let durable = ["--sync-binlog=1", "--innodb-flush-log-at-trx-commit=1"]
        // Kernels allow few asynchronous requests in all, and many servers may run at once.
        let modest = ["--innodb-use-native-aio=OFF"]
        try await TestServer.with(family, options: modest + durable + sourceOptions, name: "source")
        { a in
            let other = targetFamily ?? family
            try await TestServer.with(other, options: modest + targetOptions, name: "target") { b in
                try await body(CheckPair(source: a, target: b))
            }
        }
    }

    /// The results of all checks by name.
    func results(
        _ tables: [String] = ["shop.*"], exclude: [String] = [], sourceUser: String? = nil,
        targetUser: String? = nil, change: @Sendable (inout MigrationSettings) -> Void = { _ in }
    ) async throws -> [String: CheckResult] {
        var settings = MigrationSettings(
            source: try options(source, sourceUser), target: try options(target, targetUser),
            selection: TableSelection(
                tables: tables.compactMap { TablePattern($0) },
                excluded: exclude.compactMap { TablePattern($0) }))
        change(&settings)
        let complete = settings
        let results = try await withThread("checks") {
            try Prechecks(settings: complete).run(
                source: Connection(complete.source), target: Connection(complete.target))
        }
        return Dictionary(uniqueKeysWithValues: results.map { ($0.name, $0) })
    }

    /// How to connect to one of the servers.
    func options(_ server: TestServer, _ user: String?) throws -> ConnectionOptions {
        var options = try ConnectionOptions(url: server.url)
        options.password = Password(TestServer.password)
        if let user { options.user = user }
        return options
    }

    /// Creates a user with the password of tests on a server.
    func createUser(_ name: String, _ grants: String..., on server: TestServer) throws {
        try server.sql("CREATE USER \(name)@'%' IDENTIFIED BY '\(TestServer.password)'")
        for grant in grants { try server.sql("GRANT \(grant) TO \(name)@'%'") }
    }
}

/// Families whose servers can run here.
let families = TestServer.Family.allCases.filter { TestServer.isAvailable($0) }
