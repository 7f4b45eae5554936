import ArgumentParser
import Checkpoint
import MySQLClient
import Rules
import Settings
import Testing
import Worker

@testable import Commands

@Suite("Errors and exit codes")
struct ErrorTests {
    private func refused(_ names: String...) -> PrecheckFailure {
        PrecheckFailure(
            results: names.map { CheckResult(name: $0, verdict: .error, message: "m") })
    }

    @Test("exit codes are stable")
    func exitCodes() {
        #expect(ExitStatus.allCases.map(\.rawValue) == [0, 1, 2, 3, 4, 5, 130, 143])
        #expect(OperatorError(SettingsError("x")).status == .usage)
        #expect(OperatorError(CheckpointError.fenced(detail: "x")).status == .fenced)
        #expect(OperatorError(CheckpointError.missing(detail: "x")).status == .error)
        #expect(OperatorError(refused("gtid")).status == .refused)
        #expect(OperatorError(CancellationError()).status == .error)
        #expect(ExitStatus.interrupted(by: 2) == .interrupted)
        #expect(ExitStatus.interrupted(by: 15) == .terminated)
    }

    @Test(
        "servers' errors are grouped by what a person does about them",
        arguments: [
            (1045, "server.denied"), (1227, "server.privilege"), (2026, "server.tls"),
            (2002, "server.unreachable"), (2013, "server.lost"), (1236, "source.binlog"),
            (1040, "server.busy"), (1114, "server.full"), (1290, "server.read-only"),
            (1153, "server.packet"), (1213, "server.lock"), (1064, "server.error"),
            (2061, "server.authentication"), (2005, "server.unknown-host"),
        ] as [(UInt32, String)])
    func serverErrors(_ code: UInt32, _ name: String) {
        let error = OperatorError(
            MySQLError(code: code, sqlState: "HY000", message: "words", server: "db1:3306"))
        #expect(error.code == name)
        #expect(error.place == "db1:3306, ERROR \(code) (HY000)")
        #expect(error.message.hasSuffix(": words") && !error.action.isEmpty)
    }

    @Test("an error says what, where, whether it goes away, and what to do")
    func text() {
        let error = OperatorError(
            MySQLError(code: 1114, sqlState: "HY000", message: "The table is full", server: "t:1"))
        #expect(
            error.text() == """
                error: disk or memory of the server is full: The table is full [server.full]
                  where: t:1, ERROR 1114 (HY000)
                  goes away by itself: possibly, later
                  what to do: make room; it then goes on
                """)
    }

    @Test("on a terminal, long texts are broken between words")
    func broken() {
        let error = OperatorError(
            MySQLError(code: 1114, sqlState: "HY000", message: "The table is full", server: "t:1"))
        let text = error.text(width: 40)
        #expect(text.split(separator: "\n").allSatisfy { $0.count <= 40 })
        #expect(text.hasPrefix("error: disk or memory of the server\n    is full:"))
    }

    @Test("a refusal names every check, and how to accept the risk")
    func refusal() {
        let error = OperatorError(refused("gtid", "table-keys"))
        #expect(error.message == "2 pre-checks refuse the migration: gtid, table-keys")
        #expect(error.action.hasSuffix("--ignore-check gtid --ignore-check table-keys"))
    }

    @Test("an error that nobody foresaw keeps its own words")
    func unknown() {
        struct Odd: Error, CustomStringConvertible { var description: String { "odd at bin.7:4" } }
        #expect(OperatorError(Odd()).message == "odd at bin.7:4")
    }

    @Test(
        "wrong command lines end with 2, requests for help with 0",
        arguments: [
            ([], 0), (["--version"], 0), (["migrate", "--help"], 0), (["nonsense"], 2),
            (["migrate", "--nonsense"], 2), (["migrate"], 2), (["migrate", "--until", "soon"], 2),
            (["migrate", "--source", "x", "--target", "mysql://a@h", "--tables", "a"], 2),
            (["migrate", "--config", "/nowhere.yaml"], 2),
        ] as [([String], Int32)])
    func commandLines(_ arguments: [String], _ status: Int32) async {
        #expect(await Program.run(arguments) == status)
    }

    @Test("flags and file together make the settings")
    func settings() throws {
        let command = try MigrateCommand.parse([
            "--source", "mysql://a@h", "--target", "mysql://b@h2", "--tables", "shop.*",
            "--tables", "crm", "--exclude", "shop.tmp", "--lanes", "3", "--memory", "64MiB",
            "--until", "caught-up", "--fresh", "--yes", "--ignore-check", "gtid",
            "--source-password-file", "/dev/null", "--target-password-file", "/dev/null",
            "--source-tls", "required", "--server-id", "99", "--state-dir", "/tmp/x",
        ])
        let settings = try command.settings()
        #expect(settings.selection.tables.count == 2 && settings.selection.excluded.count == 1)
        #expect(settings.lanes == 3 && settings.memoryBudget == 64 << 20 && settings.fresh)
        #expect(settings.until == .caughtUp && settings.ignoredChecks == ["gtid"])
        #expect(settings.source.tls.mode == .required && settings.serverID == 99)
        #expect(settings.stateFolder == "/tmp/x")
    }

    @Test("a pre-check that does not exist can't be ignored")
    func unknownCheck() throws {
        let command = try MigrateCommand.parse([
            "--source", "mysql://a@h", "--target", "mysql://b@h2", "--tables", "shop.*",
            "--ignore-check", "table-kyes", "--source-password-file", "/dev/null",
            "--target-password-file", "/dev/null",
        ])
        let error = #expect(throws: SettingsError.self) { try command.settings() }
        #expect(
            error?.message == "there is no pre-check \"table-kyes\"; did you mean \"table-keys\"?")
    }
}
