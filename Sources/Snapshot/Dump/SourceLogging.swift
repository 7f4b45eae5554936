internal import MySQLClient
internal import MySQLCore

/// Whether all that changes on a source comes into its binlog: what does not is at no place of it,
/// so that neither several views nor two tries of a dump could be known to agree.
enum SourceLogging {
    /// Looks at what the source gets from other servers.
    ///
    /// - Throws: ``SnapshotError`` when that is not logged, or may not be.
    static func check(_ source: Connection) throws {
        var isOn: [String: Bool] = [:]
        for row in try source.rows(
            "SHOW GLOBAL VARIABLES WHERE Variable_name IN "
                + "('log_slave_updates', 'log_replica_updates', 'wsrep_on')")
        {
            isOn[row[0]?.lowercased() ?? ""] = ["ON", "1"].contains(row[1]?.uppercased() ?? "")
        }
        // One of the two names, or both.
        guard !(isOn["log_replica_updates"] ?? isOn["log_slave_updates"] ?? true) else { return }
        if isOn["wsrep_on"] == true {
            throw SnapshotError.noView(
                detail: "the source is a Galera node and does not log what other nodes write, so "
                    + "that no place of its binlog tells what it holds; set log_slave_updates and "
                    + "restart it, or dump from a node that has it")
        }
        guard try replicates(source) else { return }
        throw SnapshotError.noView(
            detail: "the source is a replica and does not log what it replicates, so that no place "
                + "of its binlog tells what it holds; set log_replica_updates (log_slave_updates) "
                + "and restart it, or dump from the server that it replicates from")
    }

    /// Whether the server is a replica of another one, also one that is stopped just now.
    private static func replicates(_ source: Connection) throws -> Bool {
        let isNew = source.family == .mysql && source.serverVersion.isAtLeast(8, 0, 22)
        let statement =
            source.family == .mariadb
            ? "SHOW ALL SLAVES STATUS" : isNew ? "SHOW REPLICA STATUS" : "SHOW SLAVE STATUS"
        do throws(MySQLError) {
            return try !source.rows(statement).isEmpty
        } catch {
            // Access denied. A server that has never applied what others have written has no place
            // of theirs.
            guard [1044, 1045, 1142, 1227].contains(error.code) else { throw error }
            if source.family == .mariadb,
                try source.value("SELECT @@global.gtid_slave_pos") == ""
            {
                return false
            }
            throw SnapshotError.noView(
                detail: "the source does not log what it may replicate from another server, and "
                    + "its user may not see whether it does; grant REPLICA MONITOR (MariaDB) or "
                    + "REPLICATION CLIENT (MySQL) to it, or set log_replica_updates "
                    + "(log_slave_updates) and restart the source")
        }
    }
}
