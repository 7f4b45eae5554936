import ArgumentParser
import Testing

@testable import Commands

@Suite("skein relay purge")
struct RelayPurgeTests {
    private func parse(_ words: [String]) throws -> String? {
        try RelayPurgeCommand.parse(["--forget", "task"] + words).forget
    }

    @Test("what a task needs is forgotten by force, in a folder, and apart from any removal")
    func forget() throws {
        #expect(try parse(["/there", "--force"]) == "task")
        #expect(try parse(["/there", "--dry-run"]) == "task")
        // With a removal --force would be for what all others need, too.
        let refused = [
            ["/there"], ["--source", "shop", "--force"],
            ["/there", "--force", "--before", "bin.000007"],
            ["/there", "--force", "--older-than", "1h"],
        ]
        for words in refused {
            #expect(throws: (any Error).self) { try parse(words) }
        }
    }
}
