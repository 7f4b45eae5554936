import MySQLClient
import Synchronization
import TestServers

/// Servers that all tests of this module share; each test uses schemas of its own.
enum Servers {
    private static let started = Mutex<[TestServer.Family: Task<TestServer, any Error>]>([:])

    /// Families whose servers can run here.
    static let families = TestServer.Family.allCases.filter { TestServer.isAvailable($0) }

    static func shared(_ family: TestServer.Family) async throws -> TestServer {
        let task = started.withLock { started in
            if let task = started[family] { return task }
            let task = Task { try await TestServer.start(family, name: "shared") }
            started[family] = task
            return task
        }
        return try await task.value
    }

    static func options(_ server: TestServer, port: UInt16? = nil) -> ConnectionOptions {
        ConnectionOptions(
            port: port ?? server.port, user: TestServer.user,
            password: Password(TestServer.password))
    }

    /// The same in plain text, so that a proxy can look into packets.
    static func plain(_ server: TestServer, _ proxy: FaultProxy? = nil) -> ConnectionOptions {
        var options = options(server, port: proxy?.port)
        options.tls.mode = .disabled
        return options
    }
}
