import Checkpoint
import DumpFiles
import Foundation
import Glibc
import MySQLClient
import MySQLCore
import MySQLSyntax
import Rules
import Runtime
import TestServers
import Testing

@testable import Snapshot

@Suite("Runs of a load") struct LoadRunTests {
    /// A dump of one table with two rows, and what it is loaded by.
    private final class Stand: Sendable {
        let server: TestServer
        let schema: String
        let path = NSTemporaryDirectory() + "skein-load-\(UUID().uuidString)"
        let progress = TransferProgress()
        let configuration: LoadConfiguration

        var key: SubtaskKey { SubtaskKey(task: schema, source: "dump") }
        var meta: MetaSchema { configuration.meta }

        init(
            _ schema: String, _ server: TestServer, port: UInt16? = nil, epoch: UInt64? = nil
        ) throws {
            self.server = server
            self.schema = schema
            var options = CopyFixture.options(server)
            // So that a proxy can look into packets.
            options.tls.mode = .disabled
            if let port { options.port = port }
            let all = try #require(TablePattern("*.*"))
            var configuration = LoadConfiguration(
                target: options, directory: path,
                selection: ObjectSelection(TableSelection(tables: [all])))
            configuration.meta = MetaSchema(name: "meta_\(schema)")
            configuration.name = schema
            configuration.source = "dump"
            configuration.lanes = 1
            configuration.epoch = epoch
            self.configuration = configuration
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: true)
            let files = [
                "metadata": "Started dump at: a\nFinished dump at: b\n",
                "\(schema)-schema-create.sql": "CREATE DATABASE `\(schema)`;\n",
                "\(schema).t-schema.sql": "CREATE TABLE t (id INT) ENGINE=InnoDB;\n",
                "\(schema).t.sql": "INSERT INTO t VALUES (1),(2);\n",
            ]
            for (name, text) in files {
                try Data(text.utf8).write(to: URL(filePath: "\(path)/\(name)"))
            }
            try server.sql(
                "DROP DATABASE IF EXISTS \(schema); DROP DATABASE IF EXISTS \(meta.name)")
        }

        deinit { try? FileManager.default.removeItem(atPath: path) }

        func load() async throws -> LoadResult {
            let engine = LoadEngine(configuration: configuration, progress: progress)
            return try await engine.run { RunToken(randomToken()) }
        }

        /// The statement during which somebody else has the load's DDL lock.
        private var statement: String { "SELECT SLEEP(600) AS \(schema)" }

        /// Takes the DDL lock, and executes something, so that its session is not ended.
        func hold() async throws -> Task<Void, any Error> {
            try meta.prepare(try Connection(configuration.target))
            let holding = Task { [self] in
                try await withThread("holder") { [self] in
                    let session = try TargetSession(configuration.target, role: .ddl(1))
                    try DDLLock(session: session, meta: meta, key: key).take()
                    _ = try? session.connection.value(statement)
                }
            }
            try await Self.eventually { try sleeper() != nil }
            return holding
        }

        private func sleeper() throws -> String? {
            try server.sql(
                "SELECT ID FROM information_schema.PROCESSLIST "
                    + "WHERE INFO LIKE 'SELECT SLEEP(600) AS \(schema)'"
            ).split(separator: "\n").first.map(String.init)
        }

        /// Ends what ``hold()`` has begun.
        func release(_ holding: Task<Void, any Error>) async throws {
            if let id = try sleeper() { try server.sql("KILL QUERY \(id)") }
            try await holding.value
        }

        func number(_ column: String) throws -> Int {
            let text = try server.sql(
                "SELECT \(column) FROM \(meta.name).subtask WHERE task='\(schema)'")
            return Int(text.split(separator: "\n").first ?? "") ?? 0
        }

        static func eventually(_ condition: () throws -> Bool) async throws {
            let deadline = ContinuousClock.now + .seconds(120)
            while try !condition() {
                try #require(ContinuousClock.now < deadline)
                try await Task.sleep(for: .milliseconds(20))
            }
        }

        func isWaiting() -> Bool {
            progress.current.waiting?.contains("a definition of the previous run") == true
        }

        func rows(_ server: TestServer) throws -> String {
            try server.sql("SELECT id FROM \(schema).t ORDER BY id")
        }
    }

    @Test("the wait for an earlier run's definition is told of, and its sessions stay open")
    func definitionWait() async throws {
        let stand = try Stand("load_waits", try await SharedServers.target(.mariadb))
        let holding = try await stand.hold()
        let loading = Task { try await stand.load() }
        try await Stand.eventually { stand.isWaiting() }
        let first = try stand.number("beat")
        try await Stand.eventually { try stand.number("beat") > first }
        try await stand.release(holding)
        let result = try await loading.value
        #expect(result.rows == 2)
        #expect(stand.progress.current.waiting == nil)
        #expect(try stand.rows(stand.server) == "1\n2\n")
    }

    @Test(
        "under a binding a run that another load has ended is tried again, a replaced one is not",
        arguments: [true, false])
    func ended(isClaim: Bool) async throws {
        let stand = try Stand(
            "load_bound_\(isClaim)", try await SharedServers.target(.mariadb), epoch: 5)
        let holding = try await stand.hold()
        let loading = Task { try await stand.load() }
        try await Stand.eventually { stand.isWaiting() }
        let token = String(repeating: isClaim ? "00" : "07", count: 16)
        // What taking a table over does, or a process under the same binding.
        try stand.server.sql(
            """
            DELETE FROM \(stand.meta.name).lane WHERE task='\(stand.schema)';
            UPDATE \(stand.meta.name).subtask SET run=x'\(token)', beat=beat+1
              WHERE task='\(stand.schema)'
            """)
        if isClaim {
            // The next run has a token of its own.
            try await Stand.eventually {
                try stand.server.sql(
                    "SELECT HEX(run) FROM \(stand.meta.name).subtask "
                        + "WHERE task='\(stand.schema)'") != "\(token)\n"
            }
            try await stand.release(holding)
            let result = try await loading.value
            #expect(result.rows == 2)
            #expect(try stand.rows(stand.server) == "1\n2\n")
        } else {
            let error = await #expect(throws: CheckpointError.self) { try await loading.value }
            let isFenced = if case .fenced? = error { true } else { false }
            #expect(isFenced, "\(String(describing: error))")
            try await stand.release(holding)
        }
        #expect(try stand.number("epoch") == 5)
    }

    @Test("sessions that have reached two servers write nothing, and are tried again")
    func apart() async throws {
        let first = try await SharedServers.target(.mariadb)
        let proxy = try FaultProxy(to: first)
        defer { proxy.close() }
        let stand = try Stand("load_apart", first, port: proxy.port)
        try await TestServer.with(.mariadb, name: "second") { second in
            // The coordinator's session is open, and the one that runs definitions is not.
            let held = proxy.holdNext(
                .toServer, matching: "lower_case_table_names", closingClient: false)
            let loading = Task { try await stand.load() }
            try await held.caught(within: .seconds(60))
            proxy.forward(to: second)
            held.deliver()
            let result = try await loading.value
            #expect(result.rows == 2)
            #expect(try stand.rows(second) == "1\n2\n")
            #expect(
                try first.sql(
                    "SELECT COUNT(*) FROM information_schema.SCHEMATA "
                        + "WHERE SCHEMA_NAME='\(stand.schema)'") == "0\n")
        }
    }

    @Test("a session stays open while its lane passes over rows that come slowly")
    func slowFile() async throws {
        let f = try await CopyFixture("load_reads", "CREATE TABLE t (id INT)")
        try f.target.sql(
            "CREATE DATABASE load_reads; CREATE TABLE load_reads.t (id INT) ENGINE=InnoDB")
        let (options, meta) = (f.configuration.target, f.configuration.meta)
        let (key, table) = (f.configuration.key, f.table("t"))
        let folder = NSTemporaryDirectory() + "skein-reads-\(UUID().uuidString)"
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let name = try #require(DumpFileName("load_reads.t.sql"))
        let path = "\(folder)/load_reads.t.sql"
        try #require(mkfifo(path, 0o600) == 0)
        // Whoever writes into it is not ended when the lane has ended before.
        let reader = open(path, O_RDONLY | O_NONBLOCK)
        defer { close(reader) }
        // Twelve seconds, of which the server waits for five.
        let pieces = ["INSERT INTO `t` VALUES (0)"] + (1...24).map { ",(\($0))" } + [";\n"]
        let passed = pieces.prefix(24)
        Thread.detachNewThread {
            guard let pipe = FileHandle(forWritingAtPath: path) else { return }
            for piece in pieces {
                pipe.write(Data(piece.utf8))
                Thread.sleep(forTimeInterval: 0.5)
            }
            try? pipe.close()
        }
        try await withThread("lane") {
            let token = RunToken(randomToken())
            let lead = try TargetSession(options, role: .coordinator)
            _ = try Takeover(meta: meta, key: key).take(
                lead, token: token, epoch: .next, lanes: 1)
            let session = try TargetSession(options, role: .lane(0))
            try session.connection.execute("SET SESSION wait_timeout=5")
            let lane = LoadLane(
                session: session, fence: Fence(meta: meta, key: key, lane: 0, token: token),
                ledger: CopyLedger(meta: meta, key: key), progress: TransferProgress(),
                pause: .milliseconds(200))
            let work = LoadWork(
                [], context: SyntaxContext(version: session.connection.serverVersion),
                directory: DumpDirectory(path: folder), timeZone: nil, zoned: [])
            let job = LoadJob(
                table: table, file: name, bytes: 0, number: 1,
                begun: UInt64(passed.joined(separator: "").utf8.count), rows: 24,
                isTransactional: true, enums: [])
            try lane.load(job, work)
        }
        #expect(try f.target.sql("SELECT id FROM load_reads.t") == "24\n")
    }
}
