import Foundation
import MySQLClient
import MySQLCore
import Synchronization
import TestServers
import Testing

/// All tests of whole migrations, one after the other: each keeps the machine busy by itself.
@Suite("Migrations from end to end", .serialized)
struct MigrationTests {
    /// Whether the long tests were asked for.
    static var isFull: Bool { ProcessInfo.processInfo.environment["SKEIN_FULL"] == "1" }
}

/// A pair of server families.
struct Pair: Sendable, CustomTestStringConvertible {
    let source: TestServer.Family
    let target: TestServer.Family

    var testDescription: String { "\(source.rawValue) to \(target.rawValue)" }
    var isAvailable: Bool { TestServer.isAvailable(source) && TestServer.isAvailable(target) }

    static let mariadb = Pair(source: .mariadb, target: .mariadb)
    static let mysql = Pair(source: .mysql, target: .mysql)

    /// All four, as far as they can be had; what is missing is said on standard error.
    static let available: [Pair] = TestServer.Family.allCases.flatMap { source in
        TestServer.Family.allCases.map { Pair(source: source, target: $0) }
    }.filter(\.isAvailable)

    /// MariaDB to itself, and MySQL to itself where it can be had.
    static let sameFamily: [Pair] = [mariadb, mysql].filter(\.isAvailable)
}

/// Servers that tests share which break none of them.
actor SharedServers {
    static let all = SharedServers()
    private var started: [String: Task<TestServer, any Error>] = [:]

    /// The server of a family and a role, started at first use.
    func server(_ family: TestServer.Family, _ role: String) async throws -> TestServer {
        let key = "\(family.rawValue)-\(role)"
        let task = started[key] ?? Task { try await TestServer.start(family, name: role) }
        started[key] = task
        return try await task.value
    }
}

/// A folder for local state.
final class LocalState: Sendable {
    let path = NSTemporaryDirectory() + "skein-state-\(UUID().uuidString)"

    deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// One migration for a test: a schema of its own, a name of its own.
struct Trial: Sendable {
    let source: TestServer
    let target: TestServer
    /// The schema that is migrated.
    let schema: String
    /// What the product is told to connect to; a proxy's when one stands between.
    var sourceURL: String
    var targetURL: String
    /// Local state of the product; gone with the trial.
    let state = LocalState()

    private static let counter = Mutex(0)

    /// Shared servers and a new schema, filled by these statements.
    init(_ pair: Pair = .mariadb, _ label: String, _ statements: String = "") async throws {
        try await self.init(
            source: SharedServers.all.server(pair.source, "source"),
            target: SharedServers.all.server(pair.target, "target"), label, statements)
    }

    /// Servers that the test may break.
    init(
        source: TestServer, target: TestServer, _ label: String, _ statements: String = ""
    ) throws {
        self.source = source
        self.target = target
        sourceURL = source.url
        targetURL = target.url
        let number = Self.counter.withLock { n in
            n += 1
            return n
        }
        schema = "\(label)_\(number)"
        try target.sql("DROP DATABASE IF EXISTS \(schema); DROP DATABASE IF EXISTS \(meta)")
        try source.sql("DROP DATABASE IF EXISTS \(schema); CREATE DATABASE \(schema)")
        if !statements.isEmpty { try onSource(statements) }
    }

    /// The same migration, where another server answers for the source or the target now.
    init(_ trial: Trial, source: TestServer? = nil, target: TestServer? = nil) {
        self.source = source ?? trial.source
        self.target = target ?? trial.target
        schema = trial.schema
        sourceURL = trial.sourceURL
        targetURL = trial.targetURL
    }

    /// The meta schema on the target.
    var meta: String { "meta_\(schema)" }
    /// The judge of the trial's servers.
    var judge: Judge { Judge(source: source, target: target) }

    /// Runs statements in the schema on the source.
    @discardableResult
    func onSource(_ statements: String) throws -> String {
        try source.sql(Self.prelude + statements, database: schema)
    }

    /// Runs statements in the schema on the target.
    @discardableResult
    func onTarget(_ statements: String) throws -> String {
        try target.sql(Self.prelude + statements, database: schema)
    }

    private static let prelude =
        "SET NAMES utf8mb4; SET time_zone='+00:00'; SET sql_mode='NO_AUTO_VALUE_ON_ZERO';\n"

    /// Arguments of `skein migrate` for this trial.
    func arguments(_ more: [String] = []) -> [String] {
        [
            "migrate", "--source", sourceURL, "--target", targetURL, "--source-tls", "disabled",
            "--target-tls", "disabled", "--tables", "\(schema).*", "--name", schema,
            "--source-id", "source", "--meta-schema", meta, "--output", "lines",
            "--chunk-rows", "500", "--state-dir", state.path,
        ] + more
    }

    /// Starts `skein migrate`.
    func migrate(_ more: String...) throws -> SkeinProcess {
        try SkeinProcess(arguments(more))
    }

    /// Runs `skein migrate --until caught-up` to its end and expects success.
    func catchUp(
        _ more: String..., within limit: Duration = .seconds(240),
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let outcome = try await SkeinProcess(arguments(["--until", "caught-up"] + more))
            .end(within: limit)
        #expect(outcome.status == 0, "\(outcome.text)", sourceLocation: sourceLocation)
        if outcome.status != 0 { throw Overdue("not caught up: \(outcome.text)") }
    }

    /// How far the migration is, by the target's meta schema; `nil` before it has begun.
    var phase: String? {
        try? target.connect().value(
            "SELECT phase FROM \(meta).subtask WHERE task=\(utf8Literal(schema))")
    }

    /// Waits until the copy has ended.
    func copied(_ skein: SkeinProcess) async throws {
        try await skein.waiting(.seconds(240), for: "the end of the copy") { phase == "follow" }
    }

    /// Waits until everything that the source has committed by now is visible on the target.
    ///
    /// It does so by a row of a table named `marker`, which must be migrated.
    func applied(_ skein: SkeinProcess) async throws {
        let value = UInt64.random(in: 1...(1 << 62))
        try onSource("INSERT INTO marker VALUES (\(value))")
        try await skein.waiting(.seconds(240), for: "the marker") {
            (try? target.connect(schema).value("SELECT 1 FROM marker WHERE id=\(value)")) == "1"
        }
    }

    /// Ends a run orderly.
    func stop(
        _ skein: SkeinProcess, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        skein.signal(SIGTERM)
        let outcome = try await skein.end()
        #expect(outcome.status == 0, "\(outcome.text)", sourceLocation: sourceLocation)
    }

    /// The trial's own schema must be equal on both servers.
    func expectEqual(
        verifying: Bool = true, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        try await judge.expectEqual(
            [schema], verifying: verifying, sourceLocation: sourceLocation)
    }
}
