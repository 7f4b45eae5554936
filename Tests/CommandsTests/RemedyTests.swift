import ArgumentParser
import Checkpoint
import Cluster
import Foundation
import MySQLClient
import MySQLCore
import Relay
import Replication
import Snapshot
import Stream
import Testing
import Worker

@testable import Commands

/// What an operator is told to do can be done.
@Suite("Remedies")
struct RemedyTests {
    private static let root = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// A command with all below it: its words, its flags, and whether others hang on it.
    private struct Known {
        var flags: Set<String> = ["--help", "--version"]
        var paths: Set<String> = []
        var groups: Set<String> = []

        init() { add(SkeinCommand.self, "skein") }

        private mutating func add(_ command: any ParsableCommand.Type, _ path: String) {
            paths.insert(path)
            for line in command.helpMessage(includeHidden: true, columns: 200)
                .split(separator: "\n")
            where line.hasPrefix("  -") {
                // Behind two spaces comes what they mean.
                let names = line.dropFirst(2).prefix { $0 != "<" && $0 != "(" }
                let end = names.firstRange(of: "  ")?.lowerBound ?? names.endIndex
                for match in names[..<end].matches(of: /--[a-z][a-z0-9-]*/) {
                    flags.insert(String(match.output))
                }
            }
            let below = command.configuration.subcommands
            if !below.isEmpty { groups.insert(path) }
            for next in below { add(next, "\(path) \(next.configuration.commandName ?? "")") }
        }
    }

    /// Lines of code, without comments, where these words may be those of other programs.
    private static let others: Set<String> = ["Metadata", "Settings/TaskFiles"]
    private static let foreign: Set<String> = ["--verify-binlog-checksum"]

    private func lines(_ body: (_ line: String, _ place: String) -> Void) throws {
        let folder = Self.root.appending(path: "Sources")
        let files = try #require(FileManager.default.enumerator(atPath: folder.path))
        for case let file as String in files where file.hasSuffix(".swift") {
            if Self.others.contains(where: { file.hasPrefix($0) }) { continue }
            let text = try String(contentsOf: folder.appending(path: file), encoding: .utf8)
            for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false)
                .enumerated()
            {
                let line = line.trimmingCharacters(in: .whitespaces)
                if !line.hasPrefix("//") { body(line, "\(file):\(number + 1)") }
            }
        }
    }

    @Test("every flag and command that a text names exists")
    func names() throws {
        let known = Known()
        #expect(known.flags.count > 60 && known.paths.count > 40)
        var seen = (flags: 0, commands: 0)
        try lines { line, place in
            for match in line.matches(of: /--[a-z][a-z0-9-]*[a-z0-9]/) {
                let flag = String(match.output)
                seen.flags += 1
                #expect(
                    known.flags.contains(flag) || Self.foreign.contains(flag), "\(flag) in \(place)"
                )
            }
            for match in line.matches(of: /(`?)skein((?: [a-z]+)+)/) {
                var path = "skein"
                for word in match.2.split(separator: " ") where known.groups.contains(path) {
                    let next = "\(path) \(word)"
                    // "what skein writes" is no command, but behind a group's name there is one.
                    if path == "skein", match.1.isEmpty, !known.paths.contains(next) { break }
                    seen.commands += 1
                    #expect(known.paths.contains(next), "\(next) in \(place)")
                    path = next
                }
            }
        }
        #expect(seen.flags > 100 && seen.commands > 20)
    }

    private static let table = TableName(schema: "shop", name: "t")
    private static let position = SourcePosition(
        origin: Origin(server: ServerUUID(high: 0, low: 1), life: 1),
        binlog: BinlogPosition(file: "bin.000001", offset: 4), gtids: .none)

    /// One of each error of the engines whose words are not all that is to be said.
    static let errors: [any Error & Sendable] = [
        MigrationError.otherMigration(name: "a", detail: "b"),
        MigrationError.alreadyFinished(name: "a"), MigrationError.finishing(name: "a"),
        MigrationError.nothingSelected, MigrationError.badPosition("x"),
        SnapshotError.rowsChanged(table, detail: "d"),
        SnapshotError.rowTooLarge(table, bytes: 2, limit: 1),
        SnapshotError.condition(table, detail: "d"),
        SnapshotError.targetExists(table, detail: "d"),
        SnapshotError.unsupported(object: "o", detail: "d"),
        SnapshotError.otherObject(object: "view v", detail: "d"), SnapshotError.noView(detail: "d"),
        ReplicationError.shapeMismatch(table, position, detail: "d"),
        ReplicationError.unexpectedCount(table, expected: 1, actual: 0, detail: "d"),
        ReplicationError.refused(table, detail: "d"),
        ReplicationError.refusedStatement(table, position, statement: "s", detail: "d"),
        ReplicationError.unsupported(position, detail: "d"),
        ReplicationError.onlineChange(table, position, detail: "d"),
        ReplicationError.undecidedDDL(statement: "s", detail: "d"),
        ReplicationError.otherTransactions(upTo: position),
        StreamError.noBinlog, StreamError.unreadable("x"),
        StreamError.sourceLostEvents("x"), StreamError.noPlace("x"), StreamError.behind("x"),
        StreamError.purged(BinlogPosition(file: "bin.000001", offset: 4), detail: "d"),
        StreamError.corrupt(BinlogPosition(file: "bin.000001", offset: 4)),
        RelayError.system("can't write", path: "/r", errno: 28), RelayError.inUse(path: "/r"),
        RelayError.damaged(path: "/r", offset: 4, detail: "d"),
        RelayError.missing("bin.000001", asked: "db1"),
        RelayError.unusable(path: "/r", detail: "d"), RelayError.needed(file: "f", by: "t"),
        RelayError.unreachable(peer: "w1", detail: "d"),
        RelayError.otherServer(peer: "w1", detail: "d"),
        ClusterError.folderInUse("/d"), ClusterError.otherName("w", folder: "/d"),
        ClusterError.folder("/d", detail: "d"), ClusterError.unreadable("k"),
        ClusterError.address("a:1", errno: 98), CheckpointError.missing(detail: "d"),
        CheckpointError.unusable(detail: "d"), CheckpointError.differentServers(detail: "d"),
        CheckpointError.inconsistent(detail: "d"), CheckpointError.fenced(detail: "d"),
    ]

    /// Errors whose own words say what to do.
    private static let telling: Set<String> = [
        "migration.other", "migration.finished", "migration.finishing", "copy.row-size",
        "copy.target-exists", "apply.shape", "apply.ddl-refused", "apply.online-ddl",
        "source.binlog", "relay.needed",
    ]

    @Test("an error that does not go away by itself says what to do", arguments: errors.indices)
    func actions(_ index: Int) {
        let error = OperatorError(Self.errors[index])
        let tells = error.message.contains(/--[a-z]|skein |max_allowed_packet|set log_bin/)
        #expect(
            Self.telling.contains(error.code) ? tells : !error.action.isEmpty,
            "\(error.code): \(error.message)")
    }

    @Test("of a task, what only a command's user can do is said in a task's words")
    func cluster() {
        for error in Self.errors {
            let command = OperatorError(error)
            let task = SubtaskError(operator: error)
            let remedy = task.remedy ?? ""
            if "\(command.message) \(command.action)".contains("--fresh"),
                command.code != "checkpoint.missing"
            {
                #expect(remedy.contains("`skein task remove`"), "\(command.code): \(remedy)")
            }
            for flag in ["--relay-dir", "--exclude", "--name", "--meta-schema", "--start-gtid"]
            where "\(command.message) \(command.action)".contains(flag) {
                #expect(
                    remedy.contains("`skein task update`") || !remedy.contains(flag),
                    "\(command.code): \(remedy)")
            }
            #expect(!remedy.contains("the same command"), "\(command.code): \(remedy)")
        }
    }
}
