import API
import Foundation
import Synchronization
import TestServers
import Testing
import Worker

@Suite("The document of the API", .enabled(if: TestAPI.isAvailable))
struct DocumentTests {
    private static let file = Repository.folder + "/docs/openapi.json"

    /// The document with a line for each thing, as it lies in the repository.
    private func pretty(_ text: String) throws -> String {
        let object = try JSONSerialization.jsonObject(with: Data(text.utf8))
        let data = try JSONSerialization.data(
            withJSONObject: object, options: [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes])
        return String(decoding: data, as: UTF8.self) + "\n"
    }

    @Test("docs/openapi.json is what a worker serves (SKEIN_WRITE=1 writes it)")
    func current() async throws {
        try await TestAPI.with { _, workers in
            let served = try pretty(
                await workers[0].http.send("GET", "/api/v1/openapi.json").body)
            if ProcessInfo.processInfo.environment["SKEIN_WRITE"] == "1" {
                try served.write(toFile: Self.file, atomically: true, encoding: .utf8)
            }
            #expect(try String(contentsOfFile: Self.file, encoding: .utf8) == served)
        }
    }

    @Test("every path of the document leads to its operation, and nothing else is routed")
    func routed() async throws {
        let text = try String(contentsOfFile: Self.file, encoding: .utf8)
        let object = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
        let paths = try #require(object?["paths"] as? [String: [String: Any]])
        let expected = paths.mapValues { Set($0.keys.map { $0.uppercased() }) }
        try await TestAPI.with { _, workers in
            for (path, methods) in expected {
                let path = path.replacing(/\{\w+\}/, with: "x")
                // The answer to a method that no path has names those that this one has.
                let answer = try await workers[0].http.send("TRACE", path)
                let allowed = answer.head.split(separator: "\r\n").first {
                    $0.lowercased().hasPrefix("allow: ")
                }?.dropFirst(7).split(separator: ", ").map(String.init)
                #expect(Set(allowed ?? []) == methods, "\(path)")
            }
        }
    }

    @Test(
        "a validator of OpenAPI accepts it",
        .enabled(
            if: Self.hasValidator,
            "openapi-spec-validator is not installed: pip install openapi-spec-validator"))
    func valid() throws {
        let (status, output) = try Self.run(["python3", "-m", "openapi_spec_validator", Self.file])
        #expect(status == 0, "\(output)")
    }

    private static var hasValidator: Bool {
        (try? run(["python3", "-c", "import openapi_spec_validator"]).status) == 0
    }

    private static func run(_ arguments: [String]) throws -> (status: Int32, output: String) {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = arguments
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let data = try pipe.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: data, as: UTF8.self))
    }
}
