import MySQLClient
import MySQLCore
import TestServers
import Testing

@testable import Stream

@Suite("Where changes are followed from", .serialized)
struct StartSearchTests {
    /// What the server says of a moment at which nothing happens.
    private struct Moment {
        var position: BinlogPosition
        var gtids: GTIDState
        var seconds: Int64
    }

    private static func moment(_ connection: Connection) throws -> Moment {
        let session = SourceSession(connection)
        let position = try session.currentPosition()
        return Moment(
            position: position, gtids: try session.gtids(at: position),
            seconds: Int64(try connection.value("SELECT UNIX_TIMESTAMP()") ?? "") ?? 0)
    }

    @Test(
        "positions, sets and times lead to the same transactions, over several files",
        arguments: Servers.families)
    func search(_ family: TestServer.Family) async throws {
        try await TestServer.with(family, name: "search") { server in
            let options = Servers.options(server)
            let search = StartSearch(options, serverID: 4711)
            let connection = try Connection(options)
            try connection.execute("CREATE DATABASE search; USE search")
            try connection.execute("CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, v INT)")
            var moments: [Moment] = []
            for round in 0..<6 {
                try await Task.sleep(for: .milliseconds(1100))
                moments.append(try Self.moment(connection))
                try await Task.sleep(for: .milliseconds(1100))
                if round % 2 == 1 {
                    // A transaction that begins before the time and is committed behind it.
                    try connection.execute("START TRANSACTION; INSERT INTO t (v) VALUES (1)")
                    try await Task.sleep(for: .milliseconds(1100))
                    moments.append(try Self.moment(connection))
                    try await Task.sleep(for: .milliseconds(1100))
                    try connection.execute("INSERT INTO t (v) VALUES (2); COMMIT")
                }
                try connection.execute("INSERT INTO t (v) VALUES (3), (4)")
                try connection.execute("ALTER TABLE t COMMENT '\(round)'")
                if round % 2 == 0 { try connection.execute("FLUSH BINARY LOGS") }
            }
            for moment in moments {
                let byPosition = try search.find(.position(moment.position))
                #expect(byPosition.gtids == moment.gtids)
                #expect(byPosition.binlog >= moment.position)
                let byTime = try search.find(.time(.instant(moment.seconds)))
                #expect(byTime == byPosition)
                let byLocalTime = try search.find(
                    .time(
                        .local(
                            try connection.value("SELECT FROM_UNIXTIME(\(moment.seconds))") ?? "")))
                #expect(byLocalTime == byPosition)
                guard moment.gtids != .none else { continue }
                let set = moment.gtids.description
                let bySet = try search.find(.gtids(set))
                #expect(bySet.gtids == moment.gtids && bySet.binlog == byPosition.binlog)
                let other = BinlogPosition(file: "other.000009", offset: 4)
                #expect(try search.find(.either(gtids: set, position: other)) == bySet)
            }
            let now = try search.find(.now)
            #expect(now.gtids == (try Self.moment(connection)).gtids)
            if family == .mariadb {
                #expect(try search.find(.gtids(now.gtids.description)) == now)
            }
            // Away with the first files.
            try connection.execute("PURGE BINARY LOGS TO '\(moments[4].position.file)'")
            let early = moments[0]
            #expect {
                try search.find(.position(early.position))
            } throws: {
                if case StreamError.purged = $0 { true } else { false }
            }
            var places: [StartPlace] = [.time(.instant(early.seconds))]
            if early.gtids != .none { places.append(.gtids(early.gtids.description)) }
            for place in places {
                #expect {
                    try search.find(place)
                } throws: {
                    if case StreamError.noPlace = $0 { true } else { false }
                }
            }
            #expect(try search.find(.position(moments[5].position)).gtids == moments[5].gtids)
        }
    }
}
