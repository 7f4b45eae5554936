import MySQLClient
import MySQLCore
import Synchronization
import TestServers
import Verification

/// Servers that all tests of this module share; each test has schemas of its own.
enum Servers {
    static let mariadbA = Once { try await TestServer.start(.mariadb, name: "verify-a") }
    static let mariadbB = Once { try await TestServer.start(.mariadb, name: "verify-b") }
    static let mysqlA = Once { try await TestServer.start(.mysql, name: "verify-a") }
    static let mysqlB = Once { try await TestServer.start(.mysql, name: "verify-b") }

    static var hasMySQL: Bool { TestServer.isAvailable(.mysql) }

    /// A value made once, by whoever asks first.
    actor Once<Value: Sendable> {
        private let make: @Sendable () async throws -> Value
        private var task: Task<Value, any Error>?

        init(_ make: @escaping @Sendable () async throws -> Value) { self.make = make }

        func get() async throws -> Value {
            let task = task ?? Task { try await make() }
            self.task = task
            return try await task.value
        }
    }
}

/// Two servers and a schema on both, for one test.
struct Trial: Sendable {
    let source: TestServer
    let target: TestServer
    let schema: String

    /// The pairs of families that can be had here.
    enum Pair: String, Sendable, CaseIterable, CustomStringConvertible {
        case mariadbToMariaDB, mariadbToMySQL, mysqlToMariaDB, mysqlToMySQL

        var description: String { rawValue }
        var sourceIsMySQL: Bool { self == .mysqlToMariaDB || self == .mysqlToMySQL }
        var targetIsMySQL: Bool { self == .mariadbToMySQL || self == .mysqlToMySQL }

        static var available: [Pair] { Servers.hasMySQL ? Array(allCases) : [.mariadbToMariaDB] }
        static var acrossFamilies: [Pair] {
            Servers.hasMySQL ? [.mariadbToMySQL, .mysqlToMariaDB] : []
        }
    }

    private static let counter = Mutex(0)

    init(_ pair: Pair = .mariadbToMariaDB, schema: String? = nil) async throws {
        try self.init(
            source: await (pair.sourceIsMySQL ? Servers.mysqlA : Servers.mariadbA).get(),
            target: await (pair.targetIsMySQL ? Servers.mysqlB : Servers.mariadbB).get(),
            schema: schema)
    }

    /// On servers of its own, whose settings it may change.
    init(source: TestServer, target: TestServer, schema: String? = nil) throws {
        self.source = source
        self.target = target
        let number = Self.counter.withLock { n in
            n += 1
            return n
        }
        self.schema = schema ?? "trial_\(number)"
        try both("DROP DATABASE IF EXISTS \(self.schema); CREATE DATABASE \(self.schema)", in: "")
    }

    static let prelude =
        """
        SET NAMES utf8mb4; SET time_zone='+00:00', \
        sql_mode='NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES';\n
        """

    func onSource(_ sql: String) throws {
        try source.sql(Self.prelude + sql, database: schema)
    }

    func onTarget(_ sql: String) throws {
        try target.sql(Self.prelude + sql, database: schema)
    }

    func both(_ sql: String, in database: String? = nil) throws {
        let database = database ?? schema
        for server in [source, target] {
            try server.sql(Self.prelude + sql, database: database.isEmpty ? nil : database)
        }
    }

    static func options(_ server: TestServer, port: UInt16? = nil) -> ConnectionOptions {
        ConnectionOptions(
            port: port ?? server.port, user: TestServer.user,
            password: Password(TestServer.password))
    }

    /// Compares tables of the schema.
    func verify(
        _ tables: String..., change: (inout VerificationOptions) -> Void = { _ in }
    ) async throws -> VerificationReport {
        var options = options(tables)
        change(&options)
        return try await run(options)
    }

    /// Compares, runs the statements that should make the target equal, and compares again.
    func verifyAndFix(
        _ tables: [String], change: (inout VerificationOptions) -> Void = { _ in }
    ) async throws -> (before: VerificationReport, after: VerificationReport, fix: String) {
        let statements = Statements()
        var options = options(tables)
        change(&options)
        options.fixSQL = { statements.add($0) }
        let before = try await run(options)
        try target.sql(statements.text, database: schema)
        options.fixSQL = nil
        return (before, try await run(options), statements.text)
    }

    /// Options for tables of the schema.
    func options(_ tables: [String]) -> VerificationOptions {
        var options = VerificationOptions(
            tables: tables.map {
                let name = TableName(schema: schema, name: $0)
                return (name, name)
            })
        options.settle = .milliseconds(300)
        options.parallelism = 2
        options.patience = .seconds(20)
        return options
    }

    /// Compares.
    func run(
        _ options: VerificationOptions, sourcePort: UInt16? = nil,
        progress: @escaping @Sendable (VerificationProgress) -> Void = { _ in }
    ) async throws -> VerificationReport {
        try await Verifier(
            source: Self.options(source, port: sourcePort), target: Self.options(target),
            options: options, progress: progress
        ).run()
    }
}

/// Statements that a verification wrote.
final class Statements: Sendable {
    private let all = Mutex<[String]>([])

    func add(_ text: String) { all.withLock { $0.append(text) } }
    var text: String { all.withLock { $0.joined(separator: "\n") } }
}

extension VerificationReport {
    /// All differences as text without the schema, sorted.
    var found: [String] {
        tables.flatMap { table in
            table.differences.map {
                $0.description.replacing("\(table.source.schema).", with: "")
            }
        }.sorted()
    }
}
