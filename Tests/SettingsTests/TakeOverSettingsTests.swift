import MySQLClient
import Rules
import Testing

@testable import Settings

@Suite("Settings of a task that takes tables over")
struct TakeOverSettingsTests {
    private let source = SourceSettings(name: "mysql-01", server: ConnectionOptions(user: "u"))

    private func short(_ more: String) throws -> TaskSettings {
        try TaskSettings(
            Array("target: mysql://u@h\nsources: [mysql-01]\ntables: [a.*]\n\(more)".utf8),
            .yaml, file: "t.yaml", name: "t")
    }

    private func file(_ mode: String, _ more: String) throws -> TaskSettings {
        try TaskSettings(
            Array(
                """
                {name: t, task-mode: \(mode), target-database: {host: h, user: u},
                mysql-instances: [{source-id: mysql-01}]\(more)}
                """.utf8), .yaml, file: "task.yaml")
    }

    @Test("both forms name the other task, are kept, and may get it while they run")
    func forms() throws {
        let secrets = SecretCipher()
        for (plain, given) in [
            (try short(""), try short("take-over: big")),
            (try file("all", ""), try file("all", ", take-over: big")),
        ] {
            #expect(try plain.migrationSettings(source).takeOver == nil)
            #expect(try given.migrationSettings(source).takeOver == "big")
            #expect(given != plain)
            #expect(given.mayReplaceRunning(plain) && plain.mayReplaceRunning(given))
            let kept = try TaskSettings(stored: given.stored(secrets, key: "k"), secrets, key: "k")
            #expect(kept == given)
        }
    }

    @Test("what has no sense with it is refused")
    func refused() {
        for more in ["take-over: t", "take-over: big\nmode: full", "take-over: [a, b]"] {
            #expect(throws: SettingsError.self, "\(more)") { try short(more) }
        }
        for mode in ["full", "dump", "load"] {
            #expect(throws: SettingsError.self, "\(mode)") { try file(mode, ", take-over: big") }
        }
        var draft = SettingsDraft()
        draft.source.url = ConnectionOptions(user: "u")
        draft.target.url = ConnectionOptions(user: "u")
        draft.tables = [TablePattern("a.*")].compactMap { $0 }
        draft.takeOver = "big"
        #expect(throws: Never.self) { try draft.migrationSettings(.nowhere) }
        draft.fresh = true
        #expect(throws: SettingsError.self) { try draft.migrationSettings(.nowhere) }
    }
}
