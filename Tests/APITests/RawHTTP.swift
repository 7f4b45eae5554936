import Dispatch
import Foundation
import Glibc

/// A client of HTTP that can send nonsense, one connection for each request.
struct RawHTTP: Sendable {
    struct Answer: Sendable {
        let status: Int
        let head: String
        let body: String

        /// The code of an error.
        var code: String? { object?["code"] as? String }
        var object: [String: Any]? {
            (try? JSONSerialization.jsonObject(with: Data(body.utf8))) as? [String: Any]
        }
        /// The elements of a list.
        var data: [[String: Any]] { object?["data"] as? [[String: Any]] ?? [] }
    }
    struct Failure: Error {
        let what: String
        let number: Int32
    }
    let port: Int

    /// Sends a request and reads until the server closes.
    func send(
        _ method: String, _ path: String, _ body: String? = nil, token: String? = nil,
        headers: [String] = []
    ) async throws -> Answer {
        var lines = ["\(method) \(path) HTTP/1.1", "Connection: close"]
        if !headers.contains(where: { $0.hasPrefix("Host:") }) {
            lines.append("Host: 127.0.0.1:\(port)")
        }
        if let token { lines.append("Authorization: Bearer \(token)") }
        if let body, !headers.contains(where: { $0.hasPrefix("Content-Length:") }) {
            lines.append("Content-Length: \(body.utf8.count)")
        }
        let text = (lines + headers).joined(separator: "\r\n") + "\r\n\r\n" + (body ?? "")
        return try await exchange([text])
    }

    /// Sends pieces, with a pause behind each but the last, and reads until the server closes.
    func exchange(_ pieces: [String], pause: useconds_t = 0) async throws -> Answer {
        let port = port
        let text = try await onThread { try Self.exchange(port, pieces, pause) }
        let parts = text.firstRange(of: "\r\n\r\n")
        let head = String(parts.map { text[..<$0.lowerBound] } ?? "")
        return Answer(
            status: Int(head.split(separator: " ").dropFirst().first ?? "") ?? 0, head: head,
            body: String(parts.map { text[$0.upperBound...] } ?? ""))
    }

    private func onThread<Result: Sendable>(
        _ body: @Sendable @escaping () throws -> Result
    ) async throws -> Result {
        try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread { continuation.resume(with: Swift.Result { try body() }) }
        }
    }

    private static func exchange(
        _ port: Int, _ pieces: [String], _ pause: useconds_t
    ) throws -> String {
        let file = try connect(port)
        defer { close(file) }
        for (index, piece) in pieces.enumerated() {
            if index > 0 { usleep(pause) }
            var rest = Array(piece.utf8)[...]
            while !rest.isEmpty {
                let sent = rest.withUnsafeBytes {
                    Glibc.send(file, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
                }
                // The server may answer and close before it has all.
                if sent <= 0 { break }
                rest = rest.dropFirst(sent)
            }
        }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = read(file, &buffer, buffer.count)
            if count <= 0 { break }
            bytes += buffer[..<count]
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// A connection that reads time out on.
    static func connect(_ port: Int) throws -> Int32 {
        let file = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard file >= 0 else { throw Failure(what: "socket", number: errno) }
        var limit = timeval(tv_sec: 20, tv_usec: 0)
        setsockopt(file, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        let connected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(file, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard connected == 0 else {
            let number = errno
            close(file)
            throw Failure(what: "connect", number: number)
        }
        return file
    }

    /// A port that answers each request with the same text.
    static func listener(answering text: String) throws -> (file: Int32, port: Int) {
        let listener = try silentListener()
        Thread.detachNewThread {
            while true {
                let file = accept(listener.file, nil, nil)
                if file < 0 { return }
                var buffer = [UInt8](repeating: 0, count: 1 << 16)
                _ = read(file, &buffer, buffer.count)
                let bytes = Array(text.utf8)
                _ = bytes.withUnsafeBytes {
                    Glibc.send(file, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
                }
                close(file)
            }
        }
        return listener
    }

    /// A port that accepts connections and never says anything.
    static func silentListener() throws -> (file: Int32, port: Int) {
        let file = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(file, $0, size) == 0 && listen(file, 16) == 0
                    && getsockname(file, $0, &size) == 0
            }
        }
        guard isBound else { throw Failure(what: "listen", number: errno) }
        return (file, Int(in_port_t(bigEndian: address.sin_port)))
    }
}
