/// Transactions that a target holds above a mark, and a digest of all of them: a source that lost
/// some and wrote others under their names is recognised by it.
public struct AppliedSet: Sendable, Hashable {
    /// The transactions.
    public var identities: IdentitySet
    /// The digest of their events; `nil` where it is not known.
    public var digest: AppliedDigest?

    /// Makes a set.
    public init(_ identities: IdentitySet = IdentitySet(), digest: AppliedDigest? = nil) {
        self.identities = identities
        self.digest = digest
    }
}

/// The sum of the digests of transactions that came from one stream. It wraps around, so that
/// transactions can be taken out of it again, in any order.
public struct AppliedDigest: Sendable, Hashable {
    /// The sum.
    public var sum: UInt64
    /// Of which stream the events are; 0 as long as there are none. Another server, or another
    /// way to ask for events, may have the same transactions in other bytes.
    public var stream: UInt64

    /// Makes a digest; without arguments that of no transaction.
    public init(sum: UInt64 = 0, stream: UInt64 = 0) {
        self.sum = sum
        self.stream = stream
    }

    /// What is known of both together; `nil` where they are of two streams.
    public func adding(_ other: AppliedDigest) -> AppliedDigest? {
        guard stream == other.stream || stream == 0 || other.stream == 0 else { return nil }
        return AppliedDigest(sum: sum &+ other.sum, stream: max(stream, other.stream))
    }
}

extension AppliedSet {
    /// The durable encoding: with a digest format 2, without one that of the set alone.
    public var encoded: [UInt8] {
        guard let digest else { return identities.encoded }
        var e = Encoder()
        e.bytes[0] = 2
        e.fixed(digest.sum)
        e.fixed(digest.stream)
        e.set(identities.members)
        return e.bytes
    }

    /// Reads the durable encoding; no bytes at all are the empty set, of which all is known.
    public init(encoded bytes: [UInt8]) throws(MalformedEncoding) {
        guard !bytes.isEmpty else {
            self.init(digest: AppliedDigest())
            return
        }
        var d = try Decoder(bytes, newest: 2)
        var digest: AppliedDigest?
        if d.format == 2 {
            let sum = try d.fixed(8, bigEndian: false)
            digest = AppliedDigest(sum: sum, stream: try d.fixed(8, bigEndian: false))
        }
        self.init(try d.set(), digest: digest)
        try d.end()
    }
}
