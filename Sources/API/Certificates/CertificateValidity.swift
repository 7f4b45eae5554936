internal import Foundation
public import Settings
internal import SwiftASN1
internal import X509

extension APIConfiguration.TLS {
    /// When the worker's certificate ends, in seconds since 1970.
    ///
    /// A worker with one that has ended would be refused by all others, each in words of its own:
    /// it says so itself, before it begins.
    ///
    /// - Throws: for a certificate that can't be read, has ended, or is not valid yet.
    public func certificateEnd() throws(SettingsError) -> Double {
        let certificate: Certificate
        do {
            // The first one is its own; those behind it are of authorities.
            certificate = try Certificate(
                pemEncoded: String(contentsOfFile: certificateFile, encoding: .utf8))
        } catch {
            throw SettingsError("the certificate can't be used: \(error)", file: certificateFile)
        }
        let now = Date.now
        func words(_ date: Date) -> String { date.formatted(.iso8601) }
        if certificate.notValidAfter < now {
            throw SettingsError(
                "the certificate has expired at \(words(certificate.notValidAfter)); `skein cert node` "
                    + "makes another one", file: certificateFile)
        }
        if certificate.notValidBefore > now {
            throw SettingsError(
                "the certificate is not valid before \(words(certificate.notValidBefore)); look at this "
                    + "machine's clock", file: certificateFile)
        }
        return certificate.notValidAfter.timeIntervalSince1970
    }
}
