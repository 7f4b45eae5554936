internal import MySQLClient
internal import MySQLCore
internal import Settings

extension Prechecks {
    /// Whether the target's settings let it be written to safely and fast.
    static let targetServerChecks: [Check] = [
        Check("target-read-only") { context in
            let target = context.target
            let remedy = "make it writable, or point --target to the writable server"
            if target.isOn("super_read_only") == true {
                return .error("the target is read-only (super_read_only)", remedy: remedy)
            }
            // MariaDB 12 has words in place of ON.
            let mode = target.variable("read_only")?.uppercased() ?? "OFF"
            guard ["OFF", "0", "NO"].contains(mode) else {
                let passes = ["SUPER", "READ_ONLY ADMIN", "CONNECTION_ADMIN"]
                    .contains { target.grants?.holds($0) == true }
                return passes && !mode.hasPrefix("NO_LOCK")
                    ? .warning(
                        "the target is read-only (read_only=\(mode)), which the target user may "
                            + "pass over", remedy: "make sure that it is meant to be written to")
                    : .error("the target is read-only (read_only=\(mode))", remedy: remedy)
            }
            return target.isOn("innodb_read_only") == true
                ? .error("the target is read-only (innodb_read_only)", remedy: remedy)
                : .ok("the target takes writes")
        },
        Check("target-binlog-format") { context in
            let target = context.target
            guard target.isOn("log_bin") == true,
                target.variable("binlog_format")?.uppercased() == "STATEMENT"
            else { return .ok("the target's binlog, if any, takes READ COMMITTED") }
            return .error(
                "binlog_format of the target is STATEMENT, which forbids READ COMMITTED",
                remedy: "SET GLOBAL binlog_format=ROW on the target")
        },
        Check("local-infile") { context in
            context.target.isOn("local_infile") == false
                ? .warning(
                    "local_infile is OFF on the target: rows are copied by INSERT, which is slower",
                    remedy: "SET GLOBAL local_infile=ON on the target while it copies")
                : .ok("rows are copied by LOAD DATA LOCAL")
        },
        Check("target-cluster") { context in
            let target = context.target
            if target.isOn("wsrep_on") == true {
                let limit = target.number("wsrep_max_ws_size").map { " (\($0 >> 20) MiB)" } ?? ""
                return .warning(
                    "the target is a Galera node: the lock that guards DDL against an older run "
                        + "holds on one node only, and transactions have a size limit\(limit)",
                    remedy: "keep --target on one node; run no second skein for this migration")
            }
            guard let group = target.variable("group_replication_group_name"), !group.isEmpty
            else { return .ok("the target is no cluster") }
            let limit = target.number("group_replication_transaction_size_limit") ?? 0
            let isMulti = target.isOn("group_replication_single_primary_mode") == false
            guard limit > 0 || isMulti else { return .ok("the target is a group's primary") }
            return .warning(
                "the target is a member of a replication group"
                    + (isMulti ? " with several primaries" : "")
                    + ": a source transaction larger than \(limit >> 20) MiB is refused",
                remedy: "keep --target on one primary; raise "
                    + "group_replication_transaction_size_limit if there are larger ones")
        },
        Check("target-requires-keys") { context in
            let target = context.target
            let lacking = context.sourceTables.shapes.values
                .filter { !$0.keys.contains(where: \.isPrimary) }.map(\.name).sorted()
            guard !lacking.isEmpty else { return .ok("every table has a primary key") }
            if target.isOn("sql_require_primary_key", "innodb_force_primary_key") == true {
                return .error(
                    "the target requires primary keys, and these tables have none: "
                        + someNames(lacking),
                    remedy: "SET GLOBAL sql_require_primary_key=OFF (MariaDB: "
                        + "innodb_force_primary_key) on the target, or add keys on the source")
            }
            if target.isOn("sql_generate_invisible_primary_key") == true {
                return .error(
                    "the target would add an invisible primary key to \(someNames(lacking))",
                    remedy: "SET GLOBAL sql_generate_invisible_primary_key=OFF on the target")
            }
            return .ok("the target takes tables without a primary key")
        },
        Check("target-connections") { context in
            let needed = 3 + context.settings.lanes + (context.settings.readers ?? 4)
            return try connections(
                context.target, needed: needed, "target", "--lanes and --readers")
        },
        Check("disk-space") { context in try diskSpace(context) },
    ]

    /// Only MariaDB with the plugin DISKS tells how much is free.
    private static func diskSpace(_ context: CheckContext) throws -> Check.Finding {
        guard !context.isResuming else { return .skipped("the copy has begun already") }
        let folder = context.target.variable("datadir") ?? "/"
        let rows: [[String?]]
        do {
            rows = try context.target.connection.rows(
                "SELECT PATH, AVAILABLE FROM information_schema.DISKS")
        } catch {
            if error.isConnectionLost { throw error }
            return .skipped("the target does not tell how much of its disk is free")
        }
        let disks = rows.compactMap { row -> (path: String, kilobytes: UInt64)? in
            guard let path = row[0], let free = row[1].flatMap({ UInt64($0) }) else { return nil }
            return folder.hasPrefix(path) ? (path, free) : nil
        }
        guard let disk = disks.max(by: { $0.path.count < $1.path.count }) else {
            return .skipped("the disk of \(folder) is not shown")
        }
        // Indexes and the target's own binlog come on top of the rows.
        let needed = context.bytes * 2
        let free = disk.kilobytes << 10
        let message =
            "\(free >> 20) MiB are free on the target, the rows have \(context.bytes >> 20) MiB"
        return free > needed
            ? .ok(message)
            : .warning(message, remedy: "make room for rows, indexes and the target's own binlog")
    }
}
