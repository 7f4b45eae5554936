internal import MySQLClient
internal import MySQLCore
internal import Settings

extension Prechecks {
    /// What else of the source decides what can be promised.
    static let sourceChecks: [Check] = [
        Check("source-durability") { context in
            let source = context.source
            var loose: [String] = []
            if let sync = source.number("sync_binlog"), sync != 1 {
                loose.append("sync_binlog=\(sync)")
            }
            if let flush = source.number("innodb_flush_log_at_trx_commit"), flush != 1 {
                loose.append("innodb_flush_log_at_trx_commit=\(flush)")
            }
            return loose.isEmpty
                ? .ok("the source's commits survive its crash")
                : .warning(
                    "after a crash the source may have lost commits that the target has: "
                        + loose.joined(separator: ", "),
                    remedy: "set both to 1, or begin anew after a crash of the source")
        },
        Check("binlog-order-commits") { context in
            context.source.isOn("binlog_order_commits") == false
                ? .warning(
                    "binlog_order_commits is OFF: commits become visible in another order than "
                        + "the binlog's",
                    remedy: "SET GLOBAL binlog_order_commits=ON")
                : .ok("commits become visible in the binlog's order")
        },
        Check("semi-sync") { context in
            context.source.isOn("rpl_semi_sync_source_enabled", "rpl_semi_sync_master_enabled")
                == true
                ? .ok("the source waits for replicas; skein never acknowledges in their place")
                : .ok("the source does not wait for replicas")
        },
        Check("source-replica") { context in
            let source = context.source
            let isNew = !source.isMariaDB && source.version.isAtLeast(8, 0, 22)
            let rows = try source.connection.rows(
                isNew
                    ? "SHOW REPLICA STATUS"
                    : source.isMariaDB ? "SHOW ALL SLAVES STATUS" : "SHOW SLAVE STATUS")
            guard !rows.isEmpty else { return .ok("the source is no replica") }
            return source.isOn("log_replica_updates", "log_slave_updates") == false
                ? .error(
                    "the source is a replica and does not log what it replicates",
                    remedy: "set log_replica_updates (log_slave_updates) and restart it")
                : .ok("the source is a replica and logs what it replicates")
        },
        Check("source-cluster") { context in
            context.source.isOn("wsrep_on") == true
                ? .warning(
                    "the source is a Galera node: file positions are that node's own",
                    remedy:
                        "keep --source on one node, or set wsrep_gtid_mode and log_slave_updates")
                : .ok("the source is no Galera node")
        },
        Check("xa") { context in
            let prepared = try context.source.connection.rows("XA RECOVER")
            return prepared.isEmpty
                ? .ok("no prepared XA transaction waits")
                : .warning(
                    "\(counted(prepared.count, "XA transaction")) "
                        + "\(prepared.count == 1 ? "is" : "are") prepared and not decided: read "
                        + "locks for the copy may have to wait",
                    remedy: "decide them with XA COMMIT or XA ROLLBACK on the source")
        },
        Check("source-connections") { context in
            try connections(
                context.source, needed: 3 + (context.settings.readers ?? 4), "source", "--readers")
        },
    ]

    /// Whether enough connections are free.
    static func connections(
        _ server: ServerFacts, needed: Int, _ role: String, _ flags: String
    ) throws -> Check.Finding {
        guard let limit = server.number("max_connections") else {
            return .skipped("max_connections is not shown")
        }
        let used =
            try server.connection.rows("SHOW GLOBAL STATUS LIKE 'Threads_connected'")
            .first.flatMap { $0[1] }.flatMap { Int($0) } ?? 0
        let free = max(0, limit - used)
        let message =
            "the \(role) has \(free) of \(limit) connections free; \(needed) are needed"
        return free >= needed
            ? .ok(message)
            : .error(message, remedy: "raise max_connections, or use fewer \(flags)")
    }
}
