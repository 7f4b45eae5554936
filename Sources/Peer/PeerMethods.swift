internal import GRPCCore
internal import MySQLCore
internal import Relay
internal import Stream
internal import SwiftProtobuf

/// The methods of the service.
enum PeerMethods {
    static let contents = method("Contents")
    static let locate = method("Locate")
    static let read = method("Read")

    private static func method(_ name: String) -> MethodDescriptor {
        MethodDescriptor(fullyQualifiedService: "skein.peer.v1.RelayLog", method: name)
    }
}

extension PeerPlace {
    /// Says a place; one without GTIDs can't be said.
    init(_ place: StreamPlace, in folder: RelayFolder? = nil) {
        self.init()
        self.folder = folder?.description ?? ""
        switch place {
        case .position(let position, let server):
            self.server = server?.description ?? ""
            self.position = .with {
                $0.file = position.file
                $0.offset = position.offset
            }
        case .gtids(.mysql(let set)): mysqlGtids = set.description
        case .gtids(.mariadb(let gtids)): mariadbGtids = gtids.description
        case .gtids(.none): break
        }
    }

    /// The place, as it was said.
    func streamPlace() throws -> StreamPlace {
        switch start {
        case .position(let position):
            guard position.offset < 1 << 62 else { break }
            let server = server.isEmpty ? nil : ServerUUID(server)
            if !self.server.isEmpty, server == nil { break }
            return .position(
                BinlogPosition(file: position.file, offset: position.offset), of: server)
        case .mysqlGtids(let text):
            if let set = MySQLGTIDSet(text) { return .gtids(.mysql(set)) }
        case .mariadbGtids(let text):
            if let position = MariaDBGTIDPosition(text) { return .gtids(.mariadb(position)) }
        case nil: break
        }
        throw RPCError(code: .invalidArgument, message: "a place that makes no sense")
    }
}

extension PeerTail {
    /// Says a tail of a server's file.
    init(_ tail: EventTail) {
        self.init()
        file = tail.file
        start = tail.start
        end = tail.end
        digest = tail.digest
    }

    var eventTail: EventTail? {
        guard start < end, end < 1 << 62 else { return nil }
        return EventTail(file: file, start: start, end: end, digest: digest)
    }
}

/// Errors that mean the same on both sides, as they travel: a word in the metadata, and the text.
enum PeerProblem: String {
    case missing, purged, lost, changed, corrupt, damaged, other

    private static let key = "skein-problem"
    private static let positionKey = "skein-position"
    /// Headers have a limit; sets of GTIDs have none.
    private static let longestText = 3000

    /// What a client is told.
    static func rpcError(_ error: any Error) -> RPCError {
        if let error = error as? RPCError { return error }
        switch error {
        case RelayError.missing(let what, let asked):
            return make(.missing, .notFound, what, asked)
        case RelayError.damaged:
            return make(.damaged, .dataLoss, "\(error)")
        case RelayError.otherServer(_, let detail):
            return make(.other, .failedPrecondition, detail)
        case StreamError.sourceLostEvents(let detail):
            return make(.lost, .failedPrecondition, detail)
        case StreamError.purged(let position, let detail):
            return make(.purged, .notFound, detail, position.description)
        case StreamError.corrupt(let position):
            return make(.corrupt, .dataLoss, "\(error)", position.description)
        case StreamError.upstreamChanged, StreamError.takenBack:
            return make(.changed, .aborted, "\(error)")
        case is CancellationError:
            return RPCError(code: .unavailable, message: "the relay log is being closed")
        default:
            return RPCError(code: .internalError, message: cut("\(error)"))
        }
    }

    private static func make(
        _ problem: PeerProblem, _ code: RPCError.Code, _ text: String, _ extra: String = ""
    ) -> RPCError {
        var metadata: Metadata = [:]
        metadata.addString(problem.rawValue, forKey: key)
        // Metadata is ASCII, and so are positions and what was asked, as a rule.
        let isASCII = extra.utf8.allSatisfy { (32..<127).contains($0) }
        if isASCII { metadata.addString(cut(extra), forKey: positionKey) }
        return RPCError(code: code, message: cut(text), metadata: metadata)
    }

    private static func cut(_ text: String) -> String {
        text.utf8.count <= longestText ? text : String(text.prefix(longestText / 4)) + " ..."
    }

    /// What a client makes of it.
    ///
    /// - Returns: an error that trying again does not help; `nil` when it may.
    static func error(_ error: RPCError, peer: String) -> (any Error)? {
        let word = error.metadata[stringValues: key].first { _ in true }
        let extra = error.metadata[stringValues: positionKey].first { _ in true } ?? ""
        switch word.flatMap({ PeerProblem(rawValue: $0) }) {
        case .missing:
            return RelayError.missing(
                error.message, asked: extra.isEmpty ? peer : "\(extra) of \(peer)")
        case .damaged:
            return RelayError.unreachable(peer: peer, detail: error.message)
        case .other:
            return RelayError.otherServer(peer: peer, detail: error.message)
        case .lost:
            return StreamError.sourceLostEvents(error.message)
        case .purged:
            guard let position = BinlogPosition(extra) else { return nil }
            return StreamError.purged(position, detail: "\(error.message); asked: \(peer)")
        case .corrupt:
            return BinlogPosition(extra).map { StreamError.corrupt($0) }
        case .changed:
            return StreamError.upstreamChanged
        case nil:
            break
        }
        switch error.code {
        case .invalidArgument, .unimplemented, .unauthenticated, .permissionDenied, .notFound:
            return RelayError.unreachable(peer: peer, detail: error.message)
        default:
            return nil
        }
    }
}
