import MySQLBinlog
import MySQLClient
import MySQLCore
import Stream
import Testing

@testable import Relay

@Suite("A file of a relay log that has just begun")
struct JustBegunTests {
    /// The events of a file from one offset to another, as they come from a source.
    private static func chunk(_ file: MadeFile, _ range: Range<Int>) throws -> EventChunk {
        let piece = try EventChunk.read(
            "bin.000001", at: UInt64(range.lowerBound), capacity: range.count, checksum: .none
        ) { buffer in
            buffer.copyBytes(from: file.bytes[range])
            return range.count
        }
        guard case .events(let chunk) = piece else { throw Overdue("events: \(piece)") }
        return chunk
    }

    @Test(
        "says only with its second event what is before it: who starts by GTID waits for that",
        arguments: [7, 9])
    func startsByGTID(newest: UInt64) async throws {
        let scratch = Scratch()
        let source = ConnectionOptions(port: 1, user: "nobody", password: Password(""))
        let log = try RelayLog(RelayOptions(path: scratch.path, source: source, serverID: 1))
        let writer = RelayWriter(log)
        try writer.beginFolder(server: "0-1", file: "bin.000001")
        log.becomeReady()
        let start = GTIDState.mariadb(try #require(MariaDBGTIDPosition("0-1-\(newest)")))
        let opened = Task { try await log.reader(from: .gtids(start), crossesServers: false) }
        var file = MadeFile(hasChecksums: false, before: 8)
        file.add(9...10)
        let format = MadeFile(hasChecksums: false, before: nil).bytes.count
        let list = try #require(file.starts.first.map(Int.init))
        for range in [4..<format, format..<list, list..<file.bytes.count] {
            // Long enough for who does not wait to be refused.
            try await Task.sleep(for: .milliseconds(100))
            try await writer.take(try Self.chunk(file, range), isDry: true)
        }
        if newest == 7 {
            let error = await #expect(throws: RelayError.self) { try await opened.value }
            #expect("\(error.map(String.init(describing:)) ?? "")".contains("0-1-8"))
        } else {
            let reader = try await opened.value
            let seen = Seen()
            while seen.order.isEmpty { seen.take(try await reader.next()) }
            #expect(seen.order == ["0-1-10"])
        }
    }
}
