import Foundation
import MySQLClient
import MySQLCore
import Peer
import Relay
import Stream
import TestServers

/// Runs `body` while something else runs.
func with<R: Sendable>(
    _ others: [@Sendable () async throws -> Void],
    _ body: @escaping @Sendable () async throws -> R
) async throws -> R {
    try await withThrowingTaskGroup(of: R?.self) { group in
        for other in others {
            group.addTask {
                try await other()
                return nil
            }
        }
        group.addTask { try await body() }
        defer { group.cancelAll() }
        while let result = try await group.next() {
            guard let result else { continue }
            group.cancelAll()
            while let _ = try? await group.next() {}
            return result
        }
        throw CancellationError()
    }
}

/// Serves a relay log to other workers while `body` runs, which is given the port.
func serving<R: Sendable>(
    _ log: RelayLog, _ body: @escaping @Sendable (UInt16) async throws -> R
) async throws -> R {
    let server = try PeerServer(PeerAddress(host: "127.0.0.1", port: 0), security: .plaintext)
    server.serve(log, as: "shop")
    return try await with([{ try await server.run() }]) {
        try await body(UInt16(try await server.port))
    }
}

/// Another worker's relay log, as seen from here, while `body` runs.
func asking<R: Sendable>(
    _ port: UInt16, server: ServerUUID? = nil, source: String = "shop",
    patience: Duration = .seconds(20),
    _ body: @escaping @Sendable (RemoteSource) async throws -> R
) async throws -> R {
    let remote = try RemoteSource(
        PeerAddress(host: "127.0.0.1", port: Int(port)), source: source, server: server,
        security: .plaintext, patience: patience)
    return try await with([{ try await remote.run() }]) { try await body(remote) }
}

/// Compares two relay logs file by file: folders of the same names, with the same files.
func differences(_ one: Scratch, _ other: Scratch, isPrefix: Bool = false) throws -> [String] {
    func files(_ scratch: Scratch) throws -> [String: Data] {
        var out: [String: Data] = [:]
        let manager = FileManager.default
        for folder in try manager.contentsOfDirectory(atPath: scratch.path)
        where folder.contains(".0") {
            for file in try manager.contentsOfDirectory(atPath: "\(scratch.path)/\(folder)")
            where file.hasPrefix("bin.") {
                out["\(folder)/\(file)"] = try Data(
                    contentsOf: URL(filePath: "\(scratch.path)/\(folder)/\(file)"))
            }
        }
        return out
    }
    let ones = try files(one)
    let others = try files(other)
    var out: [String] = []
    for name in Set(ones.keys).union(others.keys).sorted() {
        let a = ones[name]
        let b = others[name]
        if a == b { continue }
        if isPrefix, let a, let b, a.starts(with: b) { continue }
        out.append("\(name): \(a?.count ?? -1) and \(b?.count ?? -1) bytes")
    }
    return ones.isEmpty ? ["no files"] : out
}

/// What another worker answers, which on a busy machine may take more than one call.
func reachable<R>(_ body: () async throws -> R) async throws -> R {
    let deadline = ContinuousClock.now + .seconds(120)
    while true {
        do {
            return try await body()
        } catch RelayError.unreachable where ContinuousClock.now < deadline {
            try await Task.sleep(for: .milliseconds(50))
        }
    }
}
