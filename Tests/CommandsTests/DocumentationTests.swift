import Foundation
import Testing
import Worker

@testable import Commands

/// What operators rely on is written down.
@Suite("Documentation")
struct DocumentationTests {
    private static let root = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    private func page(_ name: String) throws -> String {
        try String(contentsOf: Self.root.appending(path: "docs/\(name)"), encoding: .utf8)
    }

    @Test("every pre-check is described, and nothing else is")
    func prechecks() throws {
        let rows = try page("pre-checks.md").split(separator: "\n").filter { $0.hasPrefix("| `") }
        let described = rows.compactMap { $0.split(separator: "`").dropFirst().first }
            .map { String($0) }
        #expect(described == Prechecks.names)
        #expect(Set(Prechecks.names).count == Prechecks.names.count)
    }

    @Test("every error code is described")
    func errorCodes() throws {
        let text = try page("errors.md")
        let folder = Self.root.appending(path: "Sources/Commands")
        let files = try #require(FileManager.default.enumerator(atPath: folder.path))
        var found: Set<String> = []
        for case let file as String in files where file.hasSuffix(".swift") {
            let source = try String(contentsOf: folder.appending(path: file), encoding: .utf8)
            for match in source.matches(
                of: /(?:code: |(?:make|self\.init)\(\s*)"([a-z]+(?:[.-][a-z]+)*)"/)
            {
                found.insert(String(match.1))
            }
        }
        #expect(found.count > 20)
        for code in found.sorted() { #expect(text.contains("| `\(code)` |"), "\(code)") }
    }

    @Test("every key of a status, every exit code and every flag's setting is described")
    func migratePage() throws {
        let text = try page("migrate.md")
        let record = StatusRecord.status(
            MigrationStatus(), RateMeter(), task: "t", microseconds: 0)
        for key in record.keys { #expect(text.contains(key), "\(key)") }
        for status in ExitStatus.allCases { #expect(text.contains("\(status.rawValue)")) }
    }
}
