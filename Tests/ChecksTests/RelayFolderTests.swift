import MySQLClient
import Rules
import Settings
import Testing

@testable import Worker

@Suite("Where a migration's relay log is") struct RelayFolderTests {
    private static func folder(
        _ environment: [String: String], _ change: (inout MigrationSettings) -> Void = { _ in }
    ) -> String? {
        let server = ConnectionOptions(user: "u", password: Password("p"))
        var settings = MigrationSettings(
            source: server, target: server, selection: TableSelection(tables: []))
        settings.name = "a/b"
        change(&settings)
        return MigrationRelay.folder(settings) { environment[$0] }
    }

    @Test("in the user's state folder, and nowhere when there is none")
    func places() {
        #expect(Self.folder(["HOME": "/h"]) == "/h/.local/state/skein/a_b/relay")
        #expect(Self.folder(["HOME": "/h", "XDG_STATE_HOME": "/s"]) == "/s/skein/a_b/relay")
        #expect(Self.folder([:]) == nil)
        #expect(Self.folder(["HOME": "", "XDG_STATE_HOME": "state"]) == nil)
        #expect(Self.folder([:]) { $0.stateFolder = "/x" } == "/x/relay")
        #expect(Self.folder([:]) { $0.relayFolder = "/y" } == "/y")
    }
}
