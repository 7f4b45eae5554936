internal import MySQLClient
public import MySQLCore

extension SourceSession {
    /// Why a server that lacks transactions will never have them: it has gone its own way.
    ///
    /// A server that has nothing but what is known already is only behind, like a replica that has
    /// not caught up, and may yet get the rest. So may one that others' transactions come to. One
    /// that has written by itself, and follows nobody, will not.
    ///
    /// - Parameter known: what was read of the source.
    /// - Returns: `nil` as long as it can still be the same history.
    public func divergence(from known: GTIDState) throws -> String? {
        let own: String
        switch (try currentGTIDs(), known) {
        case (.mysql(var mine), .mysql(let known)):
            mine.subtract(known)
            let server = try serverName()
            guard mine.members.keys.contains(where: { $0.uuid == server }) else { return nil }
            own = mine.description
        case (.mariadb(let mine), .mariadb(let known)):
            let id = UInt32(truncatingIfNeeded: try serverName().low)
            let written = mine.last.values.filter { $0.server == id && !known.contains($0) }
            guard !written.isEmpty else { return nil }
            own = written.map(\.description).sorted().joined(separator: ",")
        default: return nil
        }
        guard try replication() != .runs else { return nil }
        return "it has written \(own) by itself, and replicates from nobody"
    }

    /// Whether the server is no replica of any other, so that nothing will come to it that it lacks.
    public func isNoReplica() throws -> Bool { try replication() == .none }

    private enum Replication { case none, stands, runs }

    /// Whether the server gets what others of its cluster write, which no status of replicas shows:
    /// a node of Galera, also when it has GTIDs (`wsrep_gtid_mode`), or a member of a replication
    /// group, which may be some milliseconds behind the one that was read.
    private func isInCluster() throws -> Bool {
        do {
            // Unlike a member's state these may be seen by everybody.
            let rows = try connection.rows(
                "SHOW GLOBAL VARIABLES WHERE Variable_name IN "
                    + "('wsrep_on', 'group_replication_group_name')")
            for row in rows {
                guard let name = row[0], let value = row[1] else { continue }
                if name == "wsrep_on" {
                    if ["ON", "1"].contains(value.uppercased()) { return true }
                } else if !value.isEmpty, try isMember() {
                    return true
                }
            }
            return false
        } catch let error as MySQLError where !error.isConnectionLost {
            return true
        }
    }

    private func isMember() throws -> Bool {
        try connection.value(
            "SELECT COUNT(*) FROM performance_schema.replication_group_members WHERE "
                + "MEMBER_ID = @@server_uuid AND MEMBER_STATE IN ('ONLINE', 'RECOVERING')") != "0"
    }

    /// Whether the server replicates from another one; it is said to run when that can't be known.
    private func replication() throws -> Replication {
        if try isInCluster() { return .runs }
        guard let rows = try replicaRows() else { return .runs }
        guard !rows.isEmpty else { return .none }
        for row in rows {
            let threads = row.filter {
                $0.key.hasSuffix("_IO_Running") || $0.key.hasSuffix("_SQL_Running")
            }
            guard threads.count == 2, threads.values.allSatisfy({ $0 == "No" }) else {
                return .runs
            }
        }
        return .stands
    }
}
