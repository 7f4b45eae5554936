internal import Crypto
internal import Foundation
public import Settings

/// What a request may do.
public enum AccessRole: String, Sendable, Hashable, CaseIterable {
    /// Look.
    case read
    /// Look and change.
    case admin
}

/// The bearer tokens that the API accepts. Only their hashes are kept: a token is random enough
/// that its SHA-256 gives nothing away.
public struct AccessTokens: Sendable {
    private var entries: [(role: AccessRole, hash: [UInt8])] = []

    /// Accepts no token, and asks for none.
    public init() {}

    /// Whether no token is asked for.
    public var isEmpty: Bool { entries.isEmpty }

    /// Reads a file of lines `role hash`, as ``line(_:_:)`` makes them; `#` begins a comment.
    public init(file: String) throws(SettingsError) {
        guard let text = try? String(contentsOfFile: file, encoding: .utf8) else {
            throw SettingsError("the file of tokens can't be read as text", file: file)
        }
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        for (number, line) in lines.enumerated() {
            let words = line.prefix { $0 != "#" }.split { $0.isWhitespace }
            if words.isEmpty { continue }
            guard words.count == 2, let role = AccessRole(rawValue: String(words[0])),
                let hash = Self.bytes(hexadecimal: String(words[1])), hash.count == 32
            else {
                throw SettingsError(
                    "not a line of a role (read or admin) and the SHA-256 of a token", file: file,
                    line: number + 1)
            }
            entries.append((role, hash))
        }
        if entries.isEmpty {
            throw SettingsError("there is no token in it: see `skein cluster token`", file: file)
        }
    }

    /// Accepts a token.
    public mutating func add(_ token: String, _ role: AccessRole) {
        entries.append((role, Self.hash(token)))
    }

    /// What a token may do; `nil`: it is unknown. Takes as long for every token.
    public func role(of token: String) -> AccessRole? {
        let hash = Self.hash(token)
        var found: AccessRole?
        for entry in entries where Self.areEqual(entry.hash, hash) {
            if found != .admin { found = entry.role }
        }
        return found
    }

    /// A token that nobody has seen.
    public static func random() -> String {
        var generator = SystemRandomNumberGenerator()
        let bytes = (0..<32).map { _ in UInt8.random(in: 0...255, using: &generator) }
        return Data(bytes).base64EncodedString().replacing("+", with: "-")
            .replacing("/", with: "_").replacing("=", with: "")
    }

    /// The line of the file that makes a token accepted.
    public static func line(_ token: String, _ role: AccessRole) -> String {
        let digits = hash(token).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }
        return "\(role.rawValue) \(digits.joined())"
    }

    private static func hash(_ token: String) -> [UInt8] {
        Array(SHA256.hash(data: Data(token.utf8)))
    }

    private static func bytes(hexadecimal text: String) -> [UInt8]? {
        let digits = Array(text.utf8)
        guard digits.count % 2 == 0 else { return nil }
        var out: [UInt8] = []
        for start in stride(from: 0, to: digits.count, by: 2) {
            let pair = String(decoding: digits[start..<start + 2], as: UTF8.self)
            guard pair.allSatisfy(\.isHexDigit), let byte = UInt8(pair, radix: 16) else {
                return nil
            }
            out.append(byte)
        }
        return out
    }

    /// Compares in a time that does not depend on where they differ.
    static func areEqual(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        guard left.count == right.count else { return false }
        return zip(left, right).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
    }
}
