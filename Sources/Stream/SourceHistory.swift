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
        let statements =
            connection.family == .mariadb
            ? ["SHOW ALL SLAVES STATUS"] : ["SHOW REPLICA STATUS", "SHOW SLAVE STATUS"]
        for statement in statements {
            do {
                let cursor = try connection.open(statement)
                let names = cursor.columnNames
                let threads = names.indices.filter {
                    names[$0].hasSuffix("_IO_Running") || names[$0].hasSuffix("_SQL_Running")
                }
                var found = Replication.none
                while try cursor.next({ row in
                    if found == .none { found = .stands }
                    for n in threads where row.string(n) != "No" { found = .runs }
                }) {}
                cursor.finish()
                return threads.count == 2 ? found : .runs
            } catch let error where error.code == 1064 {
                continue  // another version's name of the statement
            } catch let error where error.isConnectionLost {
                throw error
            } catch {
                return .runs
            }
        }
        return .runs
    }
}
