import Foundation
import MySQLBinlog
import MySQLClient
import MySQLCore
import Stream
import Testing

@testable import Relay

extension InTurn {
    @Suite("A relay log that is sent what nobody should send")
    struct HostileTests {
        @Test("names that lead out of its folder make nothing, and remove nothing")
        func names() throws {
            let scratch = Scratch()
            let path = scratch.path + "/log"
            let log = try RelayLog(
                RelayOptions(
                    path: path,
                    source: ConnectionOptions(port: 1, user: "nobody", password: Password("")),
                    serverID: 1))
            let sentinel = scratch.path + "/sentinel"
            try Data("here".utf8).write(to: URL(filePath: sentinel))
            let (before, inside) = (Folder.names(scratch.path), Folder.names(path))
            for (server, file) in [
                ("0-1", "../../sentinel"), ("0-1", "../../x/bin.000001"), ("0-1", ""),
                ("../x-1", "bin.000001"), ("../0-1", "bin.000001"), ("0-1\n0-2", "bin.000001"),
            ] {
                #expect(throws: StreamError.self) {
                    try RelayWriter(log).beginFolder(server: server, file: file)
                }
                #expect(Folder.names(scratch.path) == before && Folder.names(path) == inside)
            }
            #expect(try String(contentsOfFile: sentinel, encoding: .utf8) == "here")
            #expect(log.contents == [])
        }

        @Test("numbers of GTIDs at the end of what can be counted")
        func numbers() {
            var builder = IndexBuilder()
            for number in [UInt64.max - 1, .max, 0, 1] {
                var gtid = [UInt8](repeating: 0, count: 38)
                for n in 0..<8 {
                    gtid[19 + n] = UInt8(truncatingIfNeeded: number >> (8 * UInt64(n)))
                }
                builder.take(.mariadbGTID, gtid.span.bytes, at: 4, end: 42)
                builder.take(.xid, gtid.span.bytes, at: 42, end: 80)
            }
            let held = builder.finished().segments.first?.identities
            #expect(
                held?.members.values.first?.intervals
                    == [0...1, (UInt64.max - 1)...UInt64.max])
        }
    }
}
