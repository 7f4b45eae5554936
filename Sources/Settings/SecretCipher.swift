internal import Crypto
internal import Foundation
internal import Glibc

/// Encrypts the passwords that a cluster keeps, so that whoever reads its store has none.
///
/// AES-256-GCM. The record that a password belongs to is authenticated with it: moved to another
/// record, it does not decrypt. All workers of a cluster have the same key.
public struct SecretCipher: Sendable {
    private let key: SymmetricKey

    /// Makes a key that nobody has seen.
    public init() { key = SymmetricKey(size: .bits256) }

    /// Reads a key file: 64 hexadecimal digits.
    ///
    /// - Throws: when it can't be read, is no key, or is readable by other users.
    public init(file: String) throws(SettingsError) {
        let bytes = try readBounded(file, limit: 1024, what: "key file")
        var information = stat()
        guard stat(file, &information) == 0, information.st_mode & 0o077 == 0 else {
            throw SettingsError("the key file must be for its owner only: chmod 600", file: file)
        }
        let digits = String(decoding: bytes, as: UTF8.self).filter { !$0.isWhitespace }
        let pairs = stride(from: 0, to: digits.utf8.count, by: 2).compactMap { start in
            UInt8(
                String(decoding: Array(digits.utf8)[start...].prefix(2), as: UTF8.self), radix: 16)
        }
        guard digits.utf8.count == 64, pairs.count == 32 else {
            throw SettingsError("the key file must hold 64 hexadecimal digits", file: file)
        }
        key = SymmetricKey(data: pairs)
    }

    /// Reads a key file, or makes one with a fresh key where there is none.
    public init(creatingIfMissing file: String) throws(SettingsError) {
        if access(file, F_OK) != 0, errno == ENOENT { try SecretCipher().create(file) }
        try self.init(file: file)
    }

    /// Writes the key to a file that does not exist yet; it is whole, or not there.
    private func create(_ file: String) throws(SettingsError) {
        func failed() -> SettingsError {
            SettingsError(
                "the key file can't be written: \(String(cString: strerror(errno)))", file: file)
        }
        let draft = "\(file).\(getpid()).new"
        let descriptor = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw failed() }
        defer { unlink(draft) }
        let bytes = Array((key.withUnsafeBytes { Self.hex($0) } + "\n").utf8)
        let written = write(descriptor, bytes, bytes.count)
        let isSynced = fsync(descriptor) == 0
        close(descriptor)
        guard written == bytes.count, isSynced else { throw failed() }
        // Unlike a renaming, this never replaces a key that another process made meanwhile.
        guard link(draft, file) == 0 || errno == EEXIST else { throw failed() }
    }

    /// What tells one key from another without giving it away.
    public var fingerprint: String {
        let code = HMAC<SHA256>.authenticationCode(
            for: Data("skein key fingerprint".utf8), using: key)
        return code.withUnsafeBytes { Self.hex(UnsafeRawBufferPointer(rebasing: $0.prefix(16))) }
    }

    /// Encrypts a text for one record.
    public func encrypt(_ text: String, for record: String) throws(SettingsError) -> String {
        do {
            let box = try AES.GCM.seal(
                Data(text.utf8), using: key, authenticating: Data(record.utf8))
            guard let bytes = box.combined else { throw CryptoKitError.incorrectParameterSize }
            return bytes.base64EncodedString()
        } catch {
            throw SettingsError("a password can't be encrypted: \(error)")
        }
    }

    /// Decrypts what was encrypted for the record.
    public func decrypt(_ text: String, for record: String) throws(SettingsError) -> String {
        guard let bytes = Data(base64Encoded: text),
            let box = try? AES.GCM.SealedBox(combined: bytes),
            let plain = try? AES.GCM.open(box, using: key, authenticating: Data(record.utf8))
        else {
            throw SettingsError(
                "the password in \(record) can't be decrypted: this worker has another key file "
                    + "than the one that stored it")
        }
        return String(decoding: plain, as: UTF8.self)
    }

    private static func hex(_ bytes: UnsafeRawBufferPointer) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}

extension SecretCipher {
    /// What a token that is made from the key is for.
    public enum Purpose: String, Sendable {
        /// Workers prove to each other that they are of one cluster.
        case peers
    }

    /// A token that only holders of the key can know, and that does not give the key away.
    public func token(for purpose: Purpose) -> String {
        let code = HMAC<SHA256>.authenticationCode(
            for: Data("skein token \(purpose.rawValue)".utf8), using: key)
        return code.withUnsafeBytes { Self.hex($0) }
    }
}
