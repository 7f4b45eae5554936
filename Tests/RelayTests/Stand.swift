import Foundation
import MySQLBinlog
import MySQLClient
import MySQLCore
import Stream
import Synchronization
import TestServers

@testable import Relay

/// A folder for a relay log that goes away with the test.
final class Scratch: Sendable {
    let path: String

    init() {
        path = NSTemporaryDirectory() + "skein-relay-\(UUID().uuidString)"
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// Something did not come in time.
struct Overdue: Error, CustomStringConvertible {
    let description: String
    init(_ what: String) { description = "waited too long for \(what)" }
}

/// Waits until something holds.
func wait(
    _ limit: Duration = .seconds(60), for what: String, _ condition: () async throws -> Bool
) async throws {
    let deadline = ContinuousClock.now + limit
    while !(try await condition()) {
        guard ContinuousClock.now < deadline else { throw Overdue(what) }
        try await Task.sleep(for: .milliseconds(10))
    }
}

extension RelayOptions {
    init(_ server: TestServer, _ scratch: Scratch, window: Int = 64 << 20, port: UInt16? = nil) {
        self.init(
            path: scratch.path, source: Servers.options(server, port: port),
            serverID: .random(in: 0x4000_0000...0x4FFF_FFFF))
        windowBytes = window
    }
}

/// Runs a relay log while `body` runs.
func withRelay<R: Sendable>(
    _ options: RelayOptions, _ body: @escaping @Sendable (RelayLog) async throws -> R
) async throws -> R {
    let log = try RelayLog(options)
    return try await withThrowingTaskGroup(of: R?.self) { group in
        group.addTask {
            try await log.run()
            return nil
        }
        group.addTask {
            try await log.ready()
            return try await body(log)
        }
        defer { group.cancelAll() }
        while let result = try await group.next() {
            guard let result else { continue }
            group.cancelAll()
            while let _ = try? await group.next() {}
            return result
        }
        throw CancellationError()
    }
}

extension RelayLog {
    /// Whether it is written up to a position. Servers add events of their own now and then.
    func reached(_ position: BinlogPosition) -> Bool {
        status.position.map { $0 >= position } ?? false
    }
}

extension TestServer {
    /// Where its binlog ends.
    func end() throws -> BinlogPosition {
        try SourceSession(try Connection(Servers.options(self))).currentPosition()
    }

    /// The GTIDs that it has.
    func gtids() throws -> GTIDState {
        try SourceSession(try Connection(Servers.options(self))).currentGTIDs()
    }

    /// Its server's name in streams.
    func serverName() throws -> ServerUUID {
        try SourceSession(try Connection(Servers.options(self))).serverName()
    }

    /// Its binlog files.
    func binlogs() throws -> [String] {
        try SourceSession(try Connection(Servers.options(self))).files().map(\.name)
    }

    func binlog(_ name: String) -> String { datadir + "/" + name }
}

/// What a reader has seen: each transaction by its GTID, with a digest of its events' bytes.
final class Seen: Sendable {
    private struct State {
        var order: [String] = []
        var digests: [String: UInt64] = [:]
        var open: (name: String, digest: UInt64)?
        var tracker = GroupTracker()
        var problems: [String] = []
        var end: BinlogPosition?
        var bytes = 0
    }
    private let state = Mutex(State())

    var order: [String] { state.withLock { $0.order } }
    var digests: [String: UInt64] { state.withLock { $0.digests } }
    var problems: [String] { state.withLock { $0.problems } }
    var end: BinlogPosition? { state.withLock { $0.end } }
    var bytes: Int { state.withLock { $0.bytes } }

    /// Forgets what has begun and not ended.
    func restart() {
        state.withLock { state in
            state.open = nil
            state.tracker = GroupTracker()
        }
    }

    func take(_ chunk: EventChunk) {
        state.withLock { state in
            for entry in chunk.entries where EventChunk.isInFile(entry) {
                let type = EventType(rawValue: entry.type)
                let event = chunk.event(entry)
                let step = state.tracker.take(type, event)
                let digest = Digest.hash(chunk.wholeEvent(entry), seed: 3)
                state.bytes += entry.size
                switch step {
                case .begins:
                    if state.open != nil { state.problems.append("begins inside") }
                    let identity = GroupTracker.identity(of: event, type)
                    state.open = (
                        identity?.description ?? "\(chunk.file):\(entry.position)", digest
                    )
                case .inside, .ends:
                    guard let open = state.open else {
                        state.problems.append("\(type) without a head at \(entry.position)")
                        continue
                    }
                    state.open?.digest = Digest.combine(open.digest, digest)
                    if step == .ends, let open = state.open {
                        if state.digests[open.name] != nil {
                            state.problems.append("twice: \(open.name)")
                        }
                        state.order.append(open.name)
                        state.digests[open.name] = open.digest
                        state.open = nil
                    }
                case .outside, .single: break
                }
                state.end = BinlogPosition(file: chunk.file, offset: entry.endPosition)
            }
        }
    }

    /// Reads until a position is reached.
    func read(_ reader: any EventReader, to end: BinlogPosition) async throws {
        while (self.end.map { $0 < end } ?? true) {
            take(try await reader.next())
        }
    }
}

/// A thread that writes to a server until it is told to stop.
final class Writing: Sendable {
    private let state = Mutex((stop: false, done: false, count: 0, failure: String?.none))

    init(_ server: TestServer, _ schema: String, seed: Int = 1, pause: UInt32 = 1000) {
        let thread = Thread { [self] in
            do {
                let connection = try Connection(Servers.options(server))
                var n = seed * 1_000_000
                while !state.withLock({ $0.stop }) {
                    n += 1
                    try connection.execute(Self.step(schema, n))
                    state.withLock { $0.count += 1 }
                    usleep(pause)
                }
            } catch {
                state.withLock { $0.failure = "\(error)" }
            }
            state.withLock { $0.done = true }
        }
        thread.start()
    }

    static func prepare(_ server: TestServer, _ schema: String) throws {
        try server.sql(
            "CREATE DATABASE \(schema); "
                + "CREATE TABLE \(schema).t (id BIGINT PRIMARY KEY, v LONGTEXT)")
    }

    /// Some steps, one after the other.
    static func run(_ server: TestServer, _ schema: String, _ steps: ClosedRange<Int>) throws {
        let connection = try Connection(Servers.options(server))
        for n in steps { try connection.execute(step(schema, n)) }
    }

    static func step(_ schema: String, _ n: Int) -> String {
        switch n % 50 {
        case 0: "INSERT INTO \(schema).t VALUES (\(n), REPEAT('big \(n)', 20000))"
        case 1: "FLUSH BINARY LOGS"
        case 2: "CREATE TABLE \(schema).c\(n) (a INT); DROP TABLE \(schema).c\(n)"
        case 3...6:
            "BEGIN; INSERT INTO \(schema).t VALUES (\(n), 'x'); "
                + "UPDATE \(schema).t SET v=REPEAT('y', \(n % 900)) WHERE id=\(n); "
                + "DELETE FROM \(schema).t WHERE id=\(n - 4); COMMIT"
        default: "INSERT INTO \(schema).t VALUES (\(n), REPEAT('z', \(n % 300)))"
        }
    }

    var count: Int { state.withLock { $0.count } }

    func stop() async throws {
        state.withLock { $0.stop = true }
        try await wait(for: "the writing to stop") { state.withLock { $0.done } }
        if let failure = state.withLock({ $0.failure }) { throw Overdue(failure) }
    }

    /// Waits until it has written this many more transactions.
    func more(_ count: Int) async throws {
        let goal = self.count + count
        try await wait(for: "\(count) transactions") { self.count >= goal }
    }
}
