import Foundation
import MySQLClient
import MySQLCore
import TestServers
import Testing

@testable import Stream

@Suite("A source that is one of a cluster", .serialized)
struct ClusterMemberTests {
    private static let galera = "/usr/lib/galera/libgalera_smm.so"

    /// Expects that a server which lacks something is said to be behind, not on its own.
    private static func expectBehind(_ server: TestServer, _ known: GTIDState) throws {
        let session = SourceSession(try Connection(Servers.options(server)))
        #expect(try session.isNoReplica() == false)
        #expect(try session.divergence(from: known) == nil)
    }

    @Test(
        "a node of Galera may get what it lacks",
        .enabled(
            if: TestServer.isAvailable(.mariadb)
                && FileManager.default.fileExists(atPath: galera)))
    func galeraNode() async throws {
        // Its own port for the others, who are none.
        let options = [
            "--wsrep-on=ON", "--wsrep-provider=\(Self.galera)",
            "--wsrep-cluster-address=gcomm://", "--wsrep-new-cluster",
            "--wsrep-provider-options=gmcast.listen_addr=tcp://127.0.0.1:0",
            "--wsrep-node-address=127.0.0.1", "--innodb-autoinc-lock-mode=2",
            "--log-slave-updates", "--wsrep-gtid-mode=ON", "--server-id=77",
        ]
        try await TestServer.with(.mariadb, options: options) { server in
            try server.sql("CREATE DATABASE g; CREATE TABLE g.t (a INT PRIMARY KEY)")
            var known = MariaDBGTIDPosition()
            known.last[99] = MariaDBGTID(domain: 99, server: 5, sequence: 7)
            try Self.expectBehind(server, .mariadb(known))
        }
    }

    @Test(
        "a member of a replication group may get what it lacks; one that has left gets nothing",
        .enabled(if: TestServer.isAvailable(.mysql)))
    func groupMember() async throws {
        try await TestServer.with(.mysql) { server in
            try server.sql("CREATE DATABASE g; CREATE TABLE g.t (a INT PRIMARY KEY)")
            let known = try #require(
                MySQLGTIDSet("3e11fa47-71ca-11e1-9e33-c80aa9429562:1-9"))
            let session = SourceSession(try Connection(Servers.options(server)))
            #expect(try session.isNoReplica())
            #expect(try session.divergence(from: .mysql(known)) != nil)
            try server.sql(
                """
                INSTALL PLUGIN group_replication SONAME 'group_replication.so';
                SET GLOBAL group_replication_group_name='3e11fa47-71ca-11e1-9e33-c80aa9429564';
                SET GLOBAL group_replication_bootstrap_group=ON
                """)
            // Below the ports that connections get; somebody may have one of them all the same.
            for attempt in 1...5 {
                let port = Int.random(in: 20000...32000)
                do {
                    try server.sql(
                        "SET GLOBAL group_replication_local_address='127.0.0.1:\(port)'; "
                            + "START GROUP_REPLICATION")
                    break
                } catch  where attempt < 5 {
                    continue
                }
            }
            try Self.expectBehind(server, .mysql(known))
            try server.sql("STOP GROUP_REPLICATION")
            #expect(try session.isNoReplica())
        }
    }
}
