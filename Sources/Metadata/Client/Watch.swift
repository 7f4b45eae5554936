internal import Foundation
internal import Runtime
internal import SwiftProtobuf
internal import Synchronization

/// A change of one key.
public enum KeyChange: Sendable, Hashable {
    /// The key was written.
    case put(KeyValue)
    /// The key was deleted, by somebody or with its lease.
    case delete(String, at: Revision)

    /// The key.
    public var key: String {
        switch self {
        case .put(let it): it.key
        case .delete(let key, _): key
        }
    }

    /// The revision of the change.
    public var revision: Revision {
        switch self {
        case .put(let it): it.modRevision
        case .delete(_, let revision): revision
        }
    }
}

/// What a follower of a range of keys is told.
public enum KeyUpdate: Sendable {
    /// All keys as they are at a revision: at the beginning, and again when the store no longer
    /// keeps the changes since the last update. Whatever is not in it does not exist.
    case all([KeyValue], at: Revision)
    /// Changes since the last update, in order, all those of a revision together.
    case changes([KeyChange])
}

extension EtcdClient {
    /// Tells all keys of a range, and then every change, without a gap, until `body` returns false.
    ///
    /// Lost connections, dead and hanging members and compaction are dealt with inside. It waits for
    /// ever when no endpoint answers.
    ///
    /// - Parameter body: called one update after the other; while it works, the server holds back.
    ///   When its connection fails meanwhile it is cancelled, and told the same update again if it
    ///   throws for that.
    /// - Throws: what `body` throws, a `MetadataError` that trying again does not mend, or
    ///   `CancellationError`.
    public func follow(
        _ range: KeyRange, _ body: @Sendable @escaping (KeyUpdate) async throws -> Bool
    ) async throws {
        var backoff = Backoff(first: .milliseconds(20), limit: .seconds(1))
        while true {
            do {
                let (values, revision) = try await list(range)
                backoff.reset()
                guard try await body(.all(values, at: revision)) else { return }
                try await watch(range, after: revision) { try await body(.changes($0)) }
                return
            } catch let error as MetadataError {
                guard error.isTransient || error.code == .compacted else { throw error }
            }
            try await Task.sleep(for: backoff.delay())
        }
    }

    /// Tells every change of a range after a revision, without a gap, until `body` returns false.
    ///
    /// - Throws: what `body` throws, `MetadataError` with code `compacted` when the store no longer
    ///   keeps the changes, or `CancellationError`.
    public func watch(
        _ range: KeyRange, after revision: Revision,
        _ body: @Sendable @escaping ([KeyChange]) async throws -> Bool
    ) async throws {
        let watch = WatchProgress(range: range, after: revision, body: body)
        var backoff = Backoff(first: .milliseconds(20), limit: .seconds(1))
        while true {
            do {
                let before = watch.seen
                let connection = try await trusted()
                try await connection.whileTrusted { try await watch.run(over: connection) }
                if watch.hasEnded { return }
                if watch.seen > before { backoff.reset() }
            } catch let failure as EtcdConnection.Failure {
                let error = MetadataError(failure, mayHaveActed: false)
                guard error.isTransient else { throw error }
            } catch let error as MetadataError where error.code == .unavailable {
                // No endpoint answers now.
            }
            try Task.checkCancellation()
            try await Task.sleep(for: backoff.delay())
        }
    }
}

/// One watch over all its connections.
///
/// It asks for changes behind the last one that was handed over. The revisions in the heads of the
/// server's messages are not used for that: etcd 3.4 may send one before all changes up to it.
private final class WatchProgress: Sendable {
    private struct State {
        var seen: Revision
        var hasEnded = false
        /// The parts of a message that is larger than a packet.
        var fragments: [KeyChange] = []
    }
    private let range: KeyRange
    private let body: @Sendable ([KeyChange]) async throws -> Bool
    private let state: Mutex<State>

    init(
        range: KeyRange, after revision: Revision,
        body: @Sendable @escaping ([KeyChange]) async throws -> Bool
    ) {
        self.range = range
        self.body = body
        state = Mutex(State(seen: revision))
    }

    /// The revision of the last change that was handed over.
    var seen: Revision { state.withLock { $0.seen } }
    var hasEnded: Bool { state.withLock { $0.hasEnded } }

    func run(over connection: EtcdConnection) async throws {
        let start = state.withLock { state in
            state.fragments = []
            return state.seen + 1
        }
        let request = EtcdWatchRequest.with {
            $0.createRequest = .with {
                $0.key = Data(range.start)
                $0.rangeEnd = Data(range.end)
                $0.startRevision = start
                $0.fragment = true
            }
        }
        try await connection.stream(EtcdMethods.watch, request) { response in
            try await self.take(response)
        }
    }

    private func take(_ response: EtcdWatchResponse) async throws -> Bool {
        if response.compactRevision > 0 {
            throw MetadataError(
                .compacted, "changes before revision \(response.compactRevision) are gone")
        }
        // The server gives a reason when it has lost its leader, or is told to stop.
        if response.canceled { return false }
        let changes = state.withLock { state -> [KeyChange] in
            state.fragments += response.events.map { KeyChange($0) }
            if response.fragment { return [] }
            defer { state.fragments = [] }
            return state.fragments.filter { $0.revision > state.seen }
        }
        guard let last = changes.last else { return true }
        let goesOn = try await body(changes)
        state.withLock { state in
            state.seen = last.revision
            if !goesOn { state.hasEnded = true }
        }
        return goesOn
    }
}

extension KeyChange {
    fileprivate init(_ event: EtcdEvent) {
        switch event.type {
        case .delete:
            self = .delete(
                String(decoding: event.kv.key, as: UTF8.self), at: event.kv.modRevision)
        default: self = .put(KeyValue(event.kv))
        }
    }
}
