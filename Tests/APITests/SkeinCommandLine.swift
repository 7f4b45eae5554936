import Foundation
import Glibc

@testable import TestServers

/// The program, run to its end.
struct SkeinCommandLine: Sendable {
    struct Outcome: Sendable {
        let status: Int32
        let output: String
        let errors: String
    }
    struct NoProgram: Error {}

    /// Variables over the usual ones.
    var environment: [String: String]

    /// The product's binary, beside the tests.
    private static let binary: String? = {
        let link = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let beside = (link ?? "").split(separator: "/").dropLast().reduce("") { $0 + "/" + $1 }
        let tests = Bundle.main.bundlePath
        return [beside, tests, Repository.folder + "/.build/debug"].map { $0 + "/skein" }
            .first { access($0, X_OK) == 0 }
    }()

    /// Runs a command to its end.
    func run(_ arguments: [String], input: String = "") async throws -> Outcome {
        guard let binary = Self.binary else { throw NoProgram() }
        // Not Foundation's Process: it reads past the end of the list of open files when there are
        // more than a thousand, as beside the test of that many connections.
        let variables = environment.map { "\($0.key)=\($0.value)" }.sorted()
        let command = ["env"] + variables + [binary] + arguments
        return try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread {
                continuation.resume(
                    with: Result {
                        let ended = try ChildProcess.run(command, input: input)
                        return Outcome(
                            status: ended.status,
                            output: String(decoding: ended.output, as: UTF8.self),
                            errors: String(decoding: ended.errors, as: UTF8.self))
                    })
            }
        }
    }
}
