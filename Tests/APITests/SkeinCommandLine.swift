import Foundation
import Glibc
import TestServers

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
        let process = Process()
        process.executableURL = URL(filePath: binary)
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        let pipes = (Pipe(), Pipe(), Pipe())
        process.standardInput = pipes.0
        process.standardOutput = pipes.1
        process.standardError = pipes.2
        let ended = process
        return try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread {
                continuation.resume(
                    with: Result {
                        try ended.run()
                        try pipes.0.fileHandleForWriting.write(contentsOf: Data(input.utf8))
                        try pipes.0.fileHandleForWriting.close()
                        let output = try pipes.1.fileHandleForReading.readToEnd() ?? Data()
                        let errors = try pipes.2.fileHandleForReading.readToEnd() ?? Data()
                        ended.waitUntilExit()
                        return Outcome(
                            status: ended.terminationStatus,
                            output: String(decoding: output, as: UTF8.self),
                            errors: String(decoding: errors, as: UTF8.self))
                    })
            }
        }
    }
}
