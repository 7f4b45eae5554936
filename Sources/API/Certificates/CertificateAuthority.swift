internal import Crypto
internal import Foundation
internal import Glibc
public import Settings
internal import SwiftASN1
internal import X509

/// An authority of one's own, in a folder: `ca.pem` and its key, and the certificates that it made.
///
/// Certificates are for servers and clients at once, since workers are both to each other. Keys are
/// for their owner only.
public struct CertificateAuthority {
    /// A pair of files.
    public struct Files: Sendable, Hashable {
        /// The certificate.
        public let certificate: String
        /// Its key.
        public let key: String
        /// When the certificate ends, as a text, where that is sooner than was asked for: with its
        /// authority.
        public var earlierEnd: String?
    }

    private let certificate: Certificate
    private let key: Certificate.PrivateKey
    private let folder: String

    /// Makes an authority in a folder, which is made if need be.
    ///
    /// - Throws: also when there is one already: what it signed would not be trusted any more.
    public static func create(in folder: String, days: Int) throws(SettingsError)
        -> Files
    {
        let files = Files(certificate: folder + "/ca.pem", key: folder + "/ca.key")
        try translated("the authority can't be made", folder) {
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: true)
            let now = Date.now
            let key = Certificate.PrivateKey(P256.Signing.PrivateKey())
            let name = try DistinguishedName { CommonName("Skein authority") }
            let certificate = try Certificate(
                version: .v3, serialNumber: .init(), publicKey: key.publicKey,
                notValidBefore: now.addingTimeInterval(-300),
                notValidAfter: now.addingTimeInterval(Double(days) * 86_400), issuer: name,
                subject: name,
                extensions: Certificate.Extensions {
                    Critical(BasicConstraints.isCertificateAuthority(maxPathLength: 0))
                    Critical(KeyUsage(keyCertSign: true, cRLSign: true))
                    SubjectKeyIdentifier(hash: key.publicKey)
                }, issuerPrivateKey: key)
            try write(certificate, key, files)
        }
        return files
    }

    /// Takes the authority that a folder holds.
    ///
    /// - Throws: also for a key that is not the certificate's, and for an authority that has ended or
    ///   has not begun: nobody would trust what it signs.
    public init(folder: String) throws(SettingsError) {
        (certificate, key) = try translated(
            "there is no authority; `skein cert ca` makes one", folder
        ) {
            let certificate = try String(contentsOfFile: folder + "/ca.pem", encoding: .utf8)
            let key = try String(contentsOfFile: folder + "/ca.key", encoding: .utf8)
            return (
                try Certificate(pemEncoded: certificate),
                try Certificate.PrivateKey(pemEncoded: key)
            )
        }
        self.folder = folder
        guard key.publicKey == certificate.publicKey else {
            throw SettingsError(
                "the key is not that of the authority's certificate, ca.pem: put the one back that "
                    + "was made with it", file: folder + "/ca.key")
        }
        let now = Date.now
        guard certificate.notValidAfter > now else {
            throw SettingsError(
                "the authority has expired at \(certificate.notValidAfter.formatted(.iso8601)); `skein "
                    + "cert ca` makes another one in another folder, and all workers need it",
                file: folder + "/ca.pem")
        }
        guard certificate.notValidBefore <= now else {
            throw SettingsError(
                "the authority is not valid before "
                    + "\(certificate.notValidBefore.formatted(.iso8601)); look at this machine's clock",
                file: folder + "/ca.pem")
        }
    }

    /// Makes a worker's certificate, `NAME.pem` and `NAME.key`.
    ///
    /// - Parameters:
    ///   - hosts: the names and addresses that others connect to.
    ///   - days: for how many days it is valid; below zero it has ended that long ago.
    public func issue(
        name: String, hosts: [String], days: Int
    ) throws(SettingsError) -> Files {
        guard RecordName.isValid(name), name != "ca" else {
            throw SettingsError(
                "the certificate's name must have \(RecordName.rule), and not be ca")
        }
        guard !hosts.isEmpty else {
            throw SettingsError("name at least one host, by which others reach the worker")
        }
        let names = try hosts.map { host throws(SettingsError) in try Self.name(host) }
        var files = Files(certificate: "\(folder)/\(name).pem", key: "\(folder)/\(name).key")
        try translated("the certificate can't be made", files.certificate) {
            let now = Date.now
            let own = Certificate.PrivateKey(P256.Signing.PrivateKey())
            let end = now.addingTimeInterval(Double(days) * 86_400)
            if end > certificate.notValidAfter {
                files.earlierEnd = certificate.notValidAfter.formatted(.iso8601)
            }
            let issued = try Certificate(
                version: .v3, serialNumber: .init(), publicKey: own.publicKey,
                notValidBefore: min(now, end).addingTimeInterval(-300),
                notValidAfter: min(end, certificate.notValidAfter), issuer: certificate.subject,
                subject: try DistinguishedName { CommonName(name) },
                extensions: Certificate.Extensions {
                    Critical(BasicConstraints.notCertificateAuthority)
                    Critical(KeyUsage(digitalSignature: true))
                    try ExtendedKeyUsage([.serverAuth, .clientAuth])
                    SubjectKeyIdentifier(hash: own.publicKey)
                    AuthorityKeyIdentifier(
                        keyIdentifier: try certificate.extensions.subjectKeyIdentifier?
                            .keyIdentifier)
                    SubjectAlternativeNames(names)
                }, issuerPrivateKey: key)
            try Self.write(issued, own, files)
        }
        return files
    }

    /// A host as certificates name it: an address is not a name.
    private static func name(_ host: String) throws(SettingsError) -> GeneralName {
        var four = in_addr()
        if inet_pton(AF_INET, host, &four) == 1 {
            return .ipAddress(ASN1OctetString(contentBytes: bytes(of: four)[...]))
        }
        var six = in6_addr()
        if inet_pton(AF_INET6, host, &six) == 1 {
            return .ipAddress(ASN1OctetString(contentBytes: bytes(of: six)[...]))
        }
        let isName = host.utf8.allSatisfy { c in
            RecordName.isValid(String(UnicodeScalar(c))) || "-._*".utf8.contains(c)
        }
        guard isName, !host.isEmpty, host.utf8.count <= 253 else {
            throw SettingsError("\"\(host)\" is no host name and no address; leave a port out")
        }
        return .dnsName(host)
    }

    private static func bytes<Address>(of address: Address) -> [UInt8] {
        withUnsafeBytes(of: address) { Array($0) }
    }

    /// Writes both files, and replaces none.
    private static func write(
        _ certificate: Certificate, _ key: Certificate.PrivateKey, _ files: Files
    ) throws {
        let pem = try (
            certificate.serializeAsPEM().pemString + "\n", key.serializeAsPEM().pemString + "\n"
        )
        try write(pem.1, files.key, 0o600)
        try write(pem.0, files.certificate, 0o644)
    }

    private static func write(_ text: String, _ file: String, _ mode: mode_t) throws {
        let descriptor = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)
        guard descriptor >= 0 else {
            throw SettingsError(
                errno == EEXIST
                    ? "there is one already; it is not replaced" : String(cString: strerror(errno)),
                file: file)
        }
        let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        try handle.write(contentsOf: Data(text.utf8))
        try handle.synchronize()
    }
}

/// Turns what libraries throw into words with a place.
private func translated<Result>(
    _ what: String, _ file: String, _ body: () throws -> Result
) throws(SettingsError) -> Result {
    do {
        return try body()
    } catch let error as SettingsError {
        throw error
    } catch {
        throw SettingsError("\(what): \(error)", file: file)
    }
}
