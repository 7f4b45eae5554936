internal import Glibc
internal import MySQLCore
internal import Runtime

// How another process gets files removed while one writes: it asks. Who writes knows what is read
// and what comes next, and is the only one who removes.
//
//     <path>/skein/requests/<16 hex digits>.purge    what is asked: three lines
//                                         .taken    the same, since it is being done
//                                         .answer   what came of it
//
//     request := before NL age NL force NL         empty for "not said"; age in seconds; 0 or 1
//     answer  := "removed" NL (folder/file NL)* | "needed" NL file NL who NL
//              | "missing" NL what NL asked NL  | "failed" NL text NL

/// What is to be removed.
struct PurgeRequest: Sendable, Hashable {
    var before: String?
    var olderSeconds: Int64?
    var isForced: Bool

    init(before: String?, olderSeconds: Int64?, isForced: Bool) {
        self.before = before
        self.olderSeconds = olderSeconds
        self.isForced = isForced
    }

    init?(text: String) {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        guard lines.count >= 3 else { return nil }
        before = lines[0].isEmpty ? nil : String(lines[0])
        olderSeconds = Int64(lines[1])
        isForced = lines[2] == "1"
        guard before != nil || olderSeconds != nil else { return nil }
    }

    var text: String {
        "\(before ?? "")\n\(olderSeconds.map { "\($0)" } ?? "")\n\(isForced ? 1 : 0)\n"
    }
}

/// The requests of a relay log's folder.
struct PurgeRequests {
    private let directory: RelayDirectory
    private var folder: String { directory.path + "/skein/requests" }

    /// How long the process that writes may take to begin, and to end.
    private static let patience = (begin: 10_000, end: 60_000)

    init(_ directory: RelayDirectory) { self.directory = directory }

    // MARK: who asks

    /// Asks, and waits for the answer; blocks.
    func ask(_ request: PurgeRequest) throws -> [String] {
        try Folder.make(folder)
        let path = folder + "/" + String(UInt64.random(in: .min ... .max) | 1 << 63, radix: 16)
        try Folder.replace(path + ".purge", Array(request.text.utf8))
        if let answer = wait(path, milliseconds: Self.patience.begin) { return try answer.get() }
        if unsafe unlink(path + ".purge") == 0 { throw RelayError.inUse(path: directory.path) }
        // In this order: the answer is there before the other goes.
        guard Folder.exists(path + ".taken") || Folder.exists(path + ".answer") else {
            throw RelayError.inUse(path: directory.path)
        }
        // It is being done.
        if let answer = wait(path, milliseconds: Self.patience.end) { return try answer.get() }
        throw RelayError.unusable(
            path: directory.path,
            detail: "the process that writes it has begun to remove files, and does not say what "
                + "came of it")
    }

    private func wait(
        _ path: String, milliseconds: Int
    ) -> Result<[String], RelayError>? {
        for _ in 0..<(milliseconds / 20) {
            if let text = Folder.text(path + ".answer") {
                try? Folder.remove(path + ".answer")
                return answer(text)
            }
            sleepBlocking(.milliseconds(20))
        }
        return nil
    }

    private func answer(_ text: String) -> Result<[String], RelayError> {
        let lines = text.split(separator: "\n").map { String($0) }
        switch lines.first {
        case "removed": return .success(Array(lines.dropFirst()))
        case "needed" where lines.count == 3:
            return .failure(.needed(file: lines[1], by: lines[2]))
        case "missing" where lines.count == 3:
            return .failure(.missing(lines[1], asked: lines[2]))
        default:
            return .failure(
                .unusable(path: directory.path, detail: lines.dropFirst().joined(separator: " ")))
        }
    }

    // MARK: who writes

    /// Forgets what nobody waits for any more: what another process has begun, which is gone, and
    /// what was asked too long ago. What was asked just now is served like anything else.
    func clear() {
        let oldest = wallClockMicroseconds() / 1_000_000 - Int64(Self.patience.begin / 1000) - 5
        for name in Folder.names(folder) {
            let path = folder + "/" + name
            // Others take their answers themselves.
            if name.hasSuffix(".taken") || Folder.changed(path) < oldest {
                try? Folder.remove(path)
            }
        }
    }

    /// Does what is asked.
    func serve(_ purge: (PurgeRequest) throws -> [String]) {
        for name in Folder.names(folder) where name.hasSuffix(".purge") {
            let path = folder + "/" + name.dropLast(6)
            // Who has stopped waiting has taken it back.
            guard (try? Folder.move(path + ".purge", to: path + ".taken")) != nil else { continue }
            defer { try? Folder.remove(path + ".taken") }
            var lines: [String]
            do {
                guard let request = Folder.text(path + ".taken").flatMap({ PurgeRequest(text: $0) })
                else { continue }
                lines = ["removed"] + (try purge(request))
            } catch RelayError.needed(let file, let who) {
                lines = ["needed", file, who]
            } catch RelayError.missing(let what, let asked) {
                lines = ["missing", what, asked]
            } catch {
                lines = ["failed", "\(error)"]
            }
            let text = lines.map { $0 + "\n" }.joined()
            try? Folder.replace(path + ".answer", Array(text.utf8))
        }
    }
}
