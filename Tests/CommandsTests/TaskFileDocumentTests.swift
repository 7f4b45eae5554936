import Foundation
import Settings
import Testing
import Worker

@Suite("The page of task files")
struct TaskFileDocumentTests {
    private static let page = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "docs/task-files.md")

    /// The words in backticks in the first cell of each row.
    private func rows() throws -> [[String]] {
        try String(contentsOf: Self.page, encoding: .utf8).split(separator: "\n")
            .filter { $0.hasPrefix("| ") }.map { row in
                row.dropFirst(2).prefix { $0 != "|" }.matches(of: /`([^`]+)`/)
                    .map { String($0.1) }
            }
    }

    @Test("every key of a task's and of a source's file has a row")
    func keys() throws {
        let words = Set(try rows().flatMap { $0 })
        func names(_ paths: [String]) -> Set<String> {
            Set(
                paths.compactMap { $0.split(separator: ".").last?.replacing("[]", with: "") }
                    .map { String($0) })
        }
        let known = names(TaskSettings.filePaths).union(names(SourceSettings.filePaths))
            .subtracting(["*", "password-encrypted"])
        #expect(known.subtracting(words).sorted() == [])
    }

    @Test("the checks that files may name are those that there are")
    func names() { #expect(CheckNames.all == Prechecks.names) }

    @Test("every check of DM has a row, and what it stands for is a check of Skein")
    func checks() throws {
        let words = Set(try rows().flatMap { $0 })
        for item in CheckingItem.allCases {
            #expect(words.contains(item.rawValue), "\(item.rawValue)")
            for check in item.checks { #expect(Prechecks.names.contains(check), "\(check)") }
        }
    }
}
