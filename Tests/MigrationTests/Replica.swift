import TestServers
import Testing

/// Native replication between two servers of a test.
enum Replica {
    /// Makes a server an exact copy of another one that goes on following it.
    static func start(_ replica: TestServer, of primary: TestServer) throws {
        switch primary.family {
        case .mariadb:
            try replica.sql(
                """
                CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT=\(primary.port),
                    MASTER_USER='\(TestServer.user)', MASTER_PASSWORD='\(TestServer.password)',
                    MASTER_USE_GTID=slave_pos, MASTER_CONNECT_RETRY=1;
                START SLAVE;
                """)
        case .mysql:
            try replica.sql(
                """
                CHANGE REPLICATION SOURCE TO SOURCE_HOST='127.0.0.1', SOURCE_PORT=\(primary.port),
                    SOURCE_USER='\(TestServer.user)', SOURCE_PASSWORD='\(TestServer.password)',
                    SOURCE_AUTO_POSITION=1, SOURCE_CONNECT_RETRY=1, GET_SOURCE_PUBLIC_KEY=1;
                START REPLICA;
                """)
        }
    }

    /// Stops following.
    static func stop(_ replica: TestServer) throws {
        try replica.sql(replica.family == .mariadb ? "STOP SLAVE" : "STOP REPLICA")
    }

    /// Makes it a server that follows nobody.
    static func promote(_ replica: TestServer) throws {
        try stop(replica)
        try replica.sql(
            replica.family == .mariadb ? "RESET SLAVE ALL" : "RESET REPLICA ALL")
    }

    /// Waits until the replica holds everything that its primary has committed by now.
    static func caughtUp(_ replica: TestServer, with primary: TestServer) async throws {
        let isDone: String
        switch primary.family {
        case .mariadb:
            let position = try primary.sql("SELECT @@gtid_binlog_pos").trimmed
            isDone = try replica.sql("SELECT MASTER_GTID_WAIT('\(position)', 120)").trimmed
        case .mysql:
            let set = try primary.sql("SELECT @@gtid_executed").trimmed
                .replacing("\\n", with: "")
            isDone = try replica.sql("SELECT WAIT_FOR_EXECUTED_GTID_SET('\(set)', 120)").trimmed
        }
        #expect(isDone == "0", "the replica does not follow")
    }
}

extension String {
    /// Without its last line's end.
    fileprivate var trimmed: String { hasSuffix("\n") ? String(dropLast()) : self }
}
