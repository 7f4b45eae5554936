import Foundation
import MySQLCore
import Synchronization
import Testing

@testable import MySQLClient

/// A server that wants what is not its own.
private final class Thief: Sendable {
    enum Wish: Sendable {
        /// Lets everybody in, and answers every statement by asking for a file.
        case file(String)
        /// Asks for a login by this plugin, which makes the client send its password.
        case password(plugin: String)
    }
    let port: UInt16
    private let listener: Int32
    private let received = Mutex<[UInt8]>([])

    /// What clients sent after they were asked for it.
    var loot: [UInt8] { received.withLock { $0 } }

    init(_ wish: Wish) throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        self.listener = listener
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutablePointer(to: &address) { address in
            address.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(listener, address, length) == 0 && listen(listener, 4) == 0
                    && getsockname(listener, address, &length) == 0
            }
        }
        try #require(bound)
        port = UInt16(bigEndian: address.sin_port)
        Thread { [self] in
            while true {
                let client = accept(listener, nil, nil)
                guard client >= 0 else { return }
                serve(client, wish)
                Glibc.close(client)
            }
        }.start()
    }

    func close() { shutdown(listener, Int32(SHUT_RDWR)) }

    private func serve(_ client: Int32, _ wish: Wish) {
        // HandshakeV10: version, thread, scramble, capabilities without TLS, charset, status.
        var greeting: [UInt8] = [10] + Array("8.0.99".utf8) + [0, 1, 0, 0, 0]
        greeting += [UInt8](repeating: 65, count: 8) + [0, 0xFF, 0xF7, 45, 2, 0, 0x0F, 0x80, 21]
        greeting += [UInt8](repeating: 0, count: 10) + [UInt8](repeating: 66, count: 12) + [0]
        greeting += Array("mysql_native_password".utf8) + [0]
        let ok: [UInt8] = [0, 0, 0, 2, 0, 0, 0]
        guard send(client, greeting, 0), packet(client) != nil else { return }
        if case .password(let plugin) = wish {
            guard send(client, [0xFE] + Array(plugin.utf8) + [0], 2) else { return }
            while let data = packet(client) { received.withLock { $0 += data } }
            return
        }
        guard case .file(let file) = wish, send(client, ok, 2) else { return }
        while let query = packet(client) {
            // What a connection begins with goes well.
            if String(decoding: query.dropFirst(), as: UTF8.self).hasPrefix("SET ") {
                guard send(client, ok, 1) else { return }
                continue
            }
            guard send(client, [0xFB] + Array(file.utf8), 1) else { return }
            while let data = packet(client), !data.isEmpty { received.withLock { $0 += data } }
            guard send(client, ok, 3) else { return }
        }
    }

    private func send(_ client: Int32, _ body: [UInt8], _ number: UInt8) -> Bool {
        let bytes = [UInt8(body.count), 0, 0, number] + body
        return Glibc.send(client, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count
    }

    private func packet(_ client: Int32) -> [UInt8]? {
        guard let head = bytes(client, 4) else { return nil }
        return bytes(client, Int(head[0]) | Int(head[1]) << 8 | Int(head[2]) << 16)
    }

    private func bytes(_ client: Int32, _ count: Int) -> [UInt8]? {
        var out = [UInt8](repeating: 0, count: count)
        var at = 0
        while at < count {
            let n = out.withUnsafeMutableBytes { recv(client, $0.baseAddress! + at, count - at, 0) }
            if n <= 0 { return nil }
            at += n
        }
        return out
    }
}

@Suite("Hostile servers")
struct HostileServerTests {
    @Test("a server gets no file of this machine by asking for it", arguments: [false, true])
    func files(afterLoad: Bool) throws {
        let secret = "/tmp/skein-secret-\(UInt64.random(in: 0 ... .max))"
        try "the password".write(toFile: secret, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(atPath: secret) }
        let thief = try Thief(.file(secret))
        defer { thief.close() }
        var options = ConnectionOptions(
            host: "127.0.0.1", port: thief.port, user: "me", password: Password("x"))
        options.tls = TLSOptions(mode: .disabled)
        let connection = try Connection(options)
        if afterLoad {
            var rows = ["ours"]
            _ = try? connection.load("LOAD DATA LOCAL INFILE 'rows' INTO TABLE t") { out in
                guard let row = rows.popLast() else { return false }
                out.append(row)
                return true
            }
            #expect(String(decoding: thief.loot, as: UTF8.self) == "ours")
        }
        _ = try? connection.execute("SELECT 1")
        _ = try? connection.execute("SELECT 2")
        #expect(!String(decoding: thief.loot, as: UTF8.self).contains("password"))
    }

    @Test(
        "a server gets no password by asking for it",
        arguments: ["mysql_clear_password", "dialog"])
    func clearPassword(plugin: String) throws {
        let thief = try Thief(.password(plugin: plugin))
        defer { thief.close() }
        var options = ConnectionOptions(
            host: "127.0.0.1", port: thief.port, user: "me", password: Password("the secret"))
        options.tls = TLSOptions(mode: .disabled)
        let error = #expect(throws: MySQLError.self) { try Connection(options) }
        #expect(!String(decoding: thief.loot, as: UTF8.self).contains("the secret"))
        #expect(error.map { "\($0)".contains("verify-identity") } == true, "\(error as Any)")
    }
}
