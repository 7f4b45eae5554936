public import Peer
internal import Relay
public import Worker

/// How this worker gives its relay logs to other workers, and gets theirs.
final class PeerExchange: RelayExchange {
    private let server: PeerServer
    private let security: PeerSecurity

    /// - Throws: `PeerSetupError` for plain text on an address that is not a loopback one.
    init(_ address: PeerAddress, _ security: PeerSecurity) throws {
        server = try PeerServer(address, security: security)
        self.security = security
    }

    /// Serves until the task is cancelled.
    func run() async throws { try await server.run() }

    func serve(_ log: RelayLog, as source: String) { server.serve(log, as: source) }

    func withdraw(_ source: String) { server.withdraw(source) }

    func connection(to address: String, source: String) throws -> any RelayConnection {
        guard let peer = PeerAddress(address) else {
            throw RelayError.unreachable(peer: address, detail: "it is no address")
        }
        return try RemoteSource(peer, source: source, security: security)
    }
}

extension RemoteSource: RelayConnection {}
