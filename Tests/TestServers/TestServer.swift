public import Glibc
import Synchronization

/// A throw-away server on a free loopback port. It is small, fast rather than durable, has a binary
/// log by row with GTIDs, and ends with the test process, even when that is killed.
///
/// `root` has no password on loopback; the user `skein` (`password`) may do everything from anywhere.
public final class TestServer: Sendable {
    /// The user for connections of the product.
    public static let user = "skein"
    /// The password of `user`.
    public static let password = "skein-Pw1"

    /// MariaDB or MySQL.
    public let family: Family
    /// What messages call this server.
    public let name: String
    /// The server's own folder: data folder, socket, error log.
    public let folder: String
    /// TCP port on 127.0.0.1; the same for the server's whole life.
    public let port: UInt16

    private struct State {
        var process: pid_t?
        var options: [String]
    }

    private let state: Mutex<State>

    private init(
        family: Family, name: String, folder: String, port: UInt16, options: [String]
    ) {
        self.family = family
        self.name = name
        self.folder = folder
        self.port = port
        state = Mutex(State(process: nil, options: options))
    }

    /// The data folder; binary logs are in it, `bin.000001` and so on.
    public var datadir: String { folder + "/data" }
    /// The Unix socket.
    public var socket: String { folder + "/socket" }
    /// The error log.
    public var errorLog: String { folder + "/error.log" }
    /// The URL that the product is given; the password goes another way.
    public var url: String { "mysql://\(Self.user)@127.0.0.1:\(port)" }
    /// The server's process id, nil when it does not run.
    public var pid: pid_t? { state.withLock { $0.process } }

    /// Starts a new server with empty databases, and waits until it accepts connections.
    ///
    /// - Parameters:
    ///   - options: command line options of the server (`--name=value`); they win over the defaults.
    ///   - durable: every commit reaches the disk, as in production; slower.
    ///   - data: start from a copy of this data folder (of a server that is stopped or killed)
    ///     instead of an empty one; the copy keeps the server's identity.
    public static func start(
        _ family: Family, options: [String] = [], durable: Bool = false, name: String = "server",
        data: String? = nil
    ) async throws -> TestServer {
        let folder = try RunFolder.shared.newFolder("\(family.rawValue)-\(name)")
        if let data {
            let copy = try ChildProcess.run(["cp", "-a", "--sparse=always", data, folder + "/data"])
            guard copy.status == 0 else { throw TestServerError("cp: \(copy.errorText)") }
        } else {
            try ServerTemplate.copy(family, to: folder + "/data")
        }
        let identity = "--server-id=\(UInt32.random(in: 1...0x7fff_ffff))"
        for attempt in 1... {
            let server = TestServer(
                family: family, name: name, folder: folder, port: FreePort.next(),
                options: family.options(durable: durable) + [identity] + options)
            do {
                try await server.launch()
                return server
            } catch {
                // Another process took the port between our look and the server's.
                guard attempt < 5, server.log().contains("Address already in use") else {
                    throw error
                }
                truncate(server.errorLog, 0)
            }
        }
        preconditionFailure("the loop ends by return or throw")
    }

    /// Runs `body` with a new server, and ends it afterwards in any case.
    public static func with<Result>(
        _ family: Family, options: [String] = [], durable: Bool = false, name: String = "server",
        _ body: (TestServer) async throws -> Result
    ) async throws -> Result {
        let server = try await start(family, options: options, durable: durable, name: name)
        let result: Result
        do {
            result = try await body(server)
        } catch {
            await server.discard()
            throw error
        }
        await server.discard()
        return result
    }

    /// Ends the server orderly (SIGTERM) and waits for it; its data stay, `restart` brings it back.
    public func stop() async throws {
        guard let pid else { return }
        thaw()
        Glibc.kill(pid, SIGTERM)
        guard try await ended(within: .seconds(60)) else {
            await kill()
            throw TestServerError("\(name) did not stop within 60 s; \(log())")
        }
    }

    /// Ends the server at once (SIGKILL), as a crash does, and waits until it is gone.
    public func kill() async {
        guard let pid else { return }
        Glibc.kill(pid, SIGKILL)
        _ = ChildProcess.wait(for: pid)
        forget(pid)
    }

    /// Starts the server again on its port with its data; stops it first when it runs.
    ///
    /// - Parameter adding: further options; they stay for later restarts.
    public func restart(adding options: [String] = []) async throws {
        try await stop()
        state.withLock { $0.options += options }
        try await launch()
    }

    /// Stops the server's process without ending it (SIGSTOP): connections stay open and silent.
    /// Returns when all its threads stand still.
    public func freeze() {
        guard let pid, Glibc.kill(pid, SIGSTOP) == 0 else { return }
        var status = siginfo_t()
        waitid(P_PID, id_t(pid), &status, WSTOPPED | WEXITED | WNOWAIT)
    }

    /// Lets a frozen server go on.
    public func thaw() {
        if let pid { Glibc.kill(pid, SIGCONT) }
    }

    /// Ends the server at once and removes its data: a test that is done need not wait for the end
    /// of the test run.
    public func discard() async {
        await kill()
        _ = try? ChildProcess.run(["rm", "-rf", folder])
    }

    /// Runs statements as root through the command line client and returns its output: one line per
    /// row, columns separated by tabs, no headings. For set-up and simple looks: it blocks its thread.
    ///
    /// - Throws: `TestServerError` with the client's message at the first statement that fails.
    @discardableResult
    public func sql(_ statements: String, database: String? = nil) throws -> String {
        let outcome = try CommandLineClient.run(
            statements, connection: ["--socket=\(socket)", "--user=root"], database: database)
        guard outcome.status == 0 else {
            throw TestServerError("\(name): \(outcome.errors)")
        }
        return outcome.output
    }

    /// The end of the error log.
    public func log() -> String {
        let outcome = try? ChildProcess.run(["tail", "-n", "20", errorLog])
        return outcome?.outputText ?? ""
    }

    // MARK: Its process

    private func launch() async throws {
        let output = open("/dev/null", O_RDWR | O_CLOEXEC)
        defer { close(output) }
        let options = state.withLock { $0.options }
        let places = [
            "--datadir=\(datadir)", "--socket=\(socket)", "--pid-file=\(folder)/pid",
            "--log-error=\(errorLog)", "--port=\(port)", "--tmpdir=\(folder)",
        ]
        unlink(socket)
        let pid = try ChildProcess.spawn(
            try family.command() + places + options, as: .serverUser, input: output,
            output: output, errors: output)
        state.withLock { $0.process = pid }
        RunFolder.shared.started(pid)
        let clock = ContinuousClock()
        let deadline = clock.now + .seconds(90)
        while !Loopback.greets(socket: socket) {
            if let status = ChildProcess.ended(pid) {
                forget(pid)
                throw TestServerError("\(name) ended with status \(status): \(log())")
            }
            guard clock.now < deadline else {
                await kill()
                throw TestServerError("\(name) did not start within 90 s: \(log())")
            }
            try await Task.sleep(for: .milliseconds(10))
        }
    }

    private func ended(within limit: Duration) async throws -> Bool {
        guard let pid else { return true }
        let clock = ContinuousClock()
        let deadline = clock.now + limit
        while clock.now < deadline {
            if ChildProcess.ended(pid) != nil {
                forget(pid)
                return true
            }
            try await Task.sleep(for: .milliseconds(5))
        }
        return false
    }

    private func forget(_ pid: pid_t) {
        state.withLock { if $0.process == pid { $0.process = nil } }
        RunFolder.shared.ended(pid)
    }
}
