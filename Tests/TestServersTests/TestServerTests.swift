import Glibc
import TestServers
import Testing

/// Families whose servers can run here.
private let families = TestServer.Family.allCases.filter { TestServer.isAvailable($0) }

@Suite("Throw-away servers")
struct TestServerTests {
    @Test(
        "a server starts with a binary log by row, GTIDs and the users of tests",
        arguments: families)
    func starts(_ family: TestServer.Family) async throws {
        try await TestServer.with(family) { server in
            let row = try server.sql(
                "SELECT @@log_bin, @@binlog_format, @@binlog_row_image, @@character_set_server")
            #expect(row == "1\tROW\tFULL\tutf8mb4\n")
            let gtid = family == .mysql ? "SELECT @@gtid_mode" : "SELECT @@gtid_strict_mode"
            #expect(try server.sql(gtid) == (family == .mysql ? "ON\n" : "1\n"))
            let users = try server.sql(
                "SELECT host FROM mysql.user WHERE user = 'skein' ORDER BY host")
            #expect(users == "%\n127.0.0.1\nlocalhost\n")
            #expect(try server.sql("SELECT @@port") == "\(server.port)\n")
        }
    }

    @Test("two servers have identities of their own", arguments: families)
    func identities(_ family: TestServer.Family) async throws {
        let query = family == .mysql ? "SELECT @@server_uuid" : "SELECT @@server_id"
        try await TestServer.with(family, name: "one") { one in
            try await TestServer.with(family, name: "two") { two in
                #expect(one.port != two.port)
                let identities = try [one.sql(query), two.sql(query)]
                #expect(identities[0] != identities[1])
            }
        }
    }

    @Test("what was committed survives kill and restart on the same port", arguments: families)
    func survives(_ family: TestServer.Family) async throws {
        try await TestServer.with(family) { server in
            try server.sql("CREATE DATABASE shop; CREATE TABLE shop.t (a INT PRIMARY KEY)")
            try server.sql("INSERT INTO t VALUES (1), (2)", database: "shop")
            await server.kill()
            #expect(server.pid == nil)
            #expect(throws: TestServerError.self) { try server.sql("SELECT 1") }
            try await server.restart(adding: ["--max-connections=77"])
            #expect(try server.sql("SELECT COUNT(*), @@max_connections FROM shop.t") == "2\t77\n")
            try await server.stop()
            #expect(server.pid == nil)
            try await server.restart()
            #expect(try server.sql("SELECT @@max_connections") == "77\n")
        }
    }

    @Test("a server starts from a copy of another's data")
    func copied() async throws {
        try await TestServer.with(.mariadb) { server in
            try server.sql("CREATE DATABASE shop")
            try await server.stop()
            let copy = try await TestServer.start(.mariadb, name: "copy", data: server.datadir)
            #expect(try copy.sql("SHOW DATABASES LIKE 'shop'") == "shop\n")
            await copy.discard()
        }
    }

    @Test("a frozen server keeps its connections and answers when it is thawed")
    func freezes() async throws {
        try await TestServer.with(.mariadb) { server in
            server.freeze()
            let frozen = try state(of: #require(server.pid))
            #expect(frozen == "T")
            server.thaw()
            #expect(try server.sql("SELECT 1") == "1\n")
        }
    }

    @Test("a statement that fails throws the server's message")
    func reportsErrors() async throws {
        try await TestServer.with(.mariadb) { server in
            let error = #expect(throws: TestServerError.self) { try server.sql("SELEKT") }
            #expect(error?.description.contains("ERROR 1064") == true)
        }
    }

    @Test("a server that cannot start says what its log says")
    func refusesBadOptions() async throws {
        let error = await #expect(throws: TestServerError.self) {
            try await TestServer.start(.mariadb, options: ["--no-such-option=1"])
        }
        #expect(error?.description.contains("no-such-option") == true)
    }

    /// The state letter of a process, from the kernel.
    private func state(of pid: pid_t) throws -> String {
        let file = fopen("/proc/\(pid)/stat", "r")
        defer { if let file { fclose(file) } }
        var line = [CChar](repeating: 0, count: 256)
        guard let file, fgets(&line, 256, file) != nil else { return "gone" }
        let text = String(decoding: line.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return text.split(separator: " ").dropFirst(2).first.map { String($0) } ?? "?"
    }
}
