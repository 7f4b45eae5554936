import Foundation
import Settings
import TestServers
import Testing

@testable import API

@Suite("Certificates of one's own")
struct CertificateTests {
    @Test("an authority that has ended makes none")
    func ended() throws {
        let folder = try TestPlaces.newFolder("ended")
        _ = try CertificateAuthority.create(in: folder, days: -1)
        #expect {
            _ = try CertificateAuthority(folder: folder)
        } throws: {
            "\($0)".contains("has expired") && "\($0)".contains("ca.pem")
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder).count == 2)
    }

    @Test("a key of another authority makes none")
    func otherKey() throws {
        let (folder, other) = (
            try TestPlaces.newFolder("authority"), try TestPlaces.newFolder("authority")
        )
        for place in [folder, other] { _ = try CertificateAuthority.create(in: place, days: 9) }
        try FileManager.default.removeItem(atPath: folder + "/ca.key")
        try FileManager.default.copyItem(atPath: other + "/ca.key", toPath: folder + "/ca.key")
        #expect {
            _ = try CertificateAuthority(folder: folder)
        } throws: {
            "\($0)".contains("not that of") && "\($0)".contains("ca.key")
        }
        #expect(throws: Never.self) { _ = try CertificateAuthority(folder: other) }
    }

    @Test("a certificate that ends with its authority says so")
    func cut() async throws {
        let folder = try TestPlaces.newFolder("cut")
        let skein = SkeinCommandLine(environment: [:])
        let made = try await skein.run(["cert", "ca", "--folder", folder, "--days", "10"])
        #expect(made.status == 0 && made.errors.isEmpty, "\(made)")
        func node(_ name: String, _ days: String) async throws -> SkeinCommandLine.Outcome {
            try await skein.run([
                "cert", "node", name, "--host", "h", "--folder", folder, "--days", days,
            ])
        }
        let short = try await node("short", "9")
        #expect(short.status == 0 && short.errors.isEmpty, "\(short)")
        let long = try await node("long", "11")
        #expect(long.status == 0 && long.errors.contains("with its authority"), "\(long)")
    }
}
