import Foundation
import MySQLClient
import TestServers
import Testing

@Suite("TLS", .serialized)
struct TLSTests {
    /// A CA, another CA, and a certificate of the first one for a host name.
    private struct Certificates {
        let folder: String
        var ca: String { folder + "/ca.pem" }
        var other: String { folder + "/other.pem" }
        var options: [String] {
            ["--ssl-ca=\(ca)", "--ssl-cert=\(folder)/server.pem", "--ssl-key=\(folder)/server.key"]
        }

        init(for names: String) throws {
            folder = "/tmp/skein-tls-\(UInt64.random(in: 0 ... .max))"
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: true)
            let script = """
                set -e; cd \(folder)
                for ca in ca other; do
                  openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=$ca -keyout $ca.key -out $ca.pem
                done
                openssl req -newkey rsa:2048 -nodes -subj /CN=skein-test -keyout server.key -out server.csr
                printf 'subjectAltName=\(names)' > names
                openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
                  -extfile names -out server.pem
                chmod 755 .; chmod 644 *
                """
            let shell = Process()
            shell.executableURL = URL(filePath: "/bin/sh")
            shell.arguments = ["-c", script]
            shell.standardError = FileHandle.nullDevice
            shell.standardOutput = FileHandle.nullDevice
            try shell.run()
            shell.waitUntilExit()
            #expect(shell.terminationStatus == 0)
        }

        func remove() { try? FileManager.default.removeItem(atPath: folder) }
    }

    private static func cipher(
        _ server: TestServer, _ mode: TLSOptions.Mode, ca: String? = nil, host: String = "127.0.0.1"
    ) throws -> String? {
        var options = Servers.options(server)
        options.host = host
        options.tls = TLSOptions(mode: mode, caFile: ca)
        return try Connection(options).tlsCipher
    }

    /// `nil` when there was no connection.
    private static func isEncrypted(
        _ server: TestServer, _ mode: TLSOptions.Mode, ca: String? = nil
    ) -> Bool? {
        do {
            return try cipher(server, mode, ca: ca) != nil
        } catch {
            return nil
        }
    }

    private static func refusal(
        _ server: TestServer, _ mode: TLSOptions.Mode, ca: String? = nil
    ) -> MySQLError? {
        do {
            _ = try cipher(server, mode, ca: ca)
            return nil
        } catch {
            return error as? MySQLError
        }
    }

    @Test("with TLS on the server, each mode does what its name says")
    func offered() async throws {
        let certificates = try Certificates(for: "DNS:localhost,IP:127.0.0.1")
        defer { certificates.remove() }
        let elsewhere = try Certificates(for: "DNS:another.test")
        defer { elsewhere.remove() }
        try await TestServer.with(.mariadb, options: certificates.options) { server in
            #expect(Self.isEncrypted(server, .disabled) == false)
            #expect(Self.isEncrypted(server, .preferred) == true)
            #expect(Self.isEncrypted(server, .required) == true)
            // Not checked: a CA that has nothing to do with it.
            #expect(Self.isEncrypted(server, .required, ca: certificates.other) == true)
            for mode in [TLSOptions.Mode.verifyCA, .verifyIdentity] {
                #expect(Self.isEncrypted(server, mode, ca: certificates.ca) == true)
                #expect(Self.refusal(server, mode, ca: certificates.other) != nil)
                let error = Self.refusal(server, mode)
                #expect(error?.code == 2026 && error?.retry == .no)
            }
        }
        try await TestServer.with(.mariadb, options: elsewhere.options) { server in
            #expect(Self.isEncrypted(server, .verifyCA, ca: elsewhere.ca) == true)
            #expect(Self.refusal(server, .verifyIdentity, ca: elsewhere.ca) != nil)
        }
    }

    @Test("without TLS on the server, required modes refuse before anything was sent")
    func notOffered() async throws {
        let server = try await Servers.shared(.mariadb)
        #expect(try server.sql("SELECT @@have_ssl") == "DISABLED\n")
        #expect(Self.isEncrypted(server, .disabled) == false)
        #expect(Self.isEncrypted(server, .preferred) == false)
        let proxy = try FaultProxy(to: server)
        defer { proxy.close() }
        for mode in [TLSOptions.Mode.required, .verifyCA, .verifyIdentity] {
            var options = Servers.options(server, port: proxy.port)
            options.tls = TLSOptions(mode: mode, caFile: "/dev/null")
            let error = #expect(throws: MySQLError.self) { try Connection(options) }
            #expect(error?.code == 2026 && error?.retry == .no, "\(error?.description ?? "")")
        }
        #expect(proxy.bytes(.toServer) == 0)
    }
}
