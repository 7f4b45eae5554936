internal import MySQLClient
internal import MySQLCore
internal import Settings
internal import Stream

extension Prechecks {
    /// What the source's binlog holds, and for how long.
    static let binlogChecks: [Check] = [
        Check("binlog-enabled") { context in
            context.source.isOn("log_bin") == true
                ? .ok("the source writes a binlog")
                : .error(
                    "the source writes no binlog",
                    remedy: "set log_bin in the source's configuration and restart it")
        },
        Check("binlog-format") { context in
            let format = context.source.variable("binlog_format")?.uppercased() ?? "ROW"
            return format == "ROW"
                ? .ok("the binlog holds rows")
                : .error(
                    "binlog_format is \(format): changes arrive as statements, not as rows",
                    remedy: "SET GLOBAL binlog_format=ROW, then let all sessions reconnect")
        },
        Check("binlog-row-image") { context in
            let image = context.source.variable("binlog_row_image")?.uppercased() ?? "FULL"
            return image == "FULL"
                ? .ok("row images are full")
                : .error(
                    "binlog_row_image is \(image): values that did not change are missing",
                    remedy: "SET GLOBAL binlog_row_image=FULL, then let all sessions reconnect")
        },
        Check("binlog-row-value-options") { context in
            let options = context.source.variable("binlog_row_value_options") ?? ""
            return options.isEmpty
                ? .ok("JSON values are logged whole")
                : .warning(
                    "binlog_row_value_options is \(options): changes of JSON values arrive as "
                        + "differences, which take longer to apply",
                    remedy: "SET GLOBAL binlog_row_value_options='' unless it is needed")
        },
        Check("binlog-checksum") { context in
            let kind = context.source.variable("binlog_checksum")?.uppercased() ?? "NONE"
            return kind == "NONE"
                ? .warning(
                    "binlog_checksum is NONE: damage on the way can't be noticed",
                    remedy: "SET GLOBAL binlog_checksum=CRC32")
                : .ok("events carry a checksum (\(kind))")
        },
        Check("binlog-storage") { context in
            let engine = context.source.variable("binlog_storage_engine") ?? ""
            return engine.isEmpty || engine.lowercased() == "file"
                ? .ok("the binlog is in files")
                : .error(
                    "the binlog is kept in \(engine), which can't be read yet",
                    remedy: "unset binlog_storage_engine on the source")
        },
        Check("gtid") { context in
            if context.source.isMariaDB {
                return context.source.isOn("gtid_strict_mode") == true
                    ? .ok("GTIDs are in strict order")
                    : .warning(
                        "gtid_strict_mode is OFF: a failover of the source can leave GTIDs out "
                            + "of order, and is then not followed",
                        remedy: "SET GLOBAL gtid_strict_mode=ON on source and replicas")
            }
            let mode = context.source.variable("gtid_mode")?.uppercased() ?? "OFF"
            return mode == "ON"
                ? .ok("the source has GTIDs")
                : .warning(
                    "gtid_mode is \(mode): a failover of the source to another server can't be "
                        + "followed",
                    remedy: "switch GTIDs on (MySQL manual, \"Changing GTID Mode Online\")")
        },
        Check("binlog-filters") { context in
            let server = context.source
            let hasNewName = !server.isMariaDB && server.version.isAtLeast(8, 2)
            let row = try server.connection.firstRow(
                hasNewName ? "SHOW BINARY LOG STATUS" : "SHOW MASTER STATUS")
            func schemas(_ column: String) -> Set<String> {
                let text = row?[column].flatMap { $0 } ?? ""
                return Set(text.split(separator: ",").map { String($0) })
            }
            let only = schemas("Binlog_Do_DB")
            let without = schemas("Binlog_Ignore_DB")
            let hidden = context.sourceTables.schemas.filter {
                without.contains($0) || (!only.isEmpty && !only.contains($0))
            }
            return hidden.isEmpty
                ? .ok("no filter keeps changes out of the binlog")
                : .error(
                    "binlog-do-db or binlog-ignore-db keeps changes out of the binlog: "
                        + someNames(hidden),
                    remedy: "remove the filters from the source's configuration and restart it")
        },
        Check("binlog-retention") { context in retention(context) },
        Check("start-place") { context in try startPlace(context) },
        Check("adopt") { context in try adopt(context) },
        Check("adopt-tables") { context in try adoptTables(context) },
        Check("server-id") { context in try serverID(context) },
    ]

    /// Copying is assumed to move 20 MB a second, to be on the safe side.
    private static func retention(_ context: CheckContext) -> Check.Finding {
        let source = context.source
        if let limit = source.number("max_binlog_total_size"), limit > 0 {
            return .warning(
                "max_binlog_total_size purges the binlog by size, whatever still needs it",
                remedy: "SET GLOBAL max_binlog_total_size=0 while the migration runs")
        }
        if source.isOn("binlog_expire_logs_auto_purge") == false {
            return .ok("the binlog is not purged by itself")
        }
        var seconds = Double(source.number("binlog_expire_logs_seconds") ?? 0)
        if seconds == 0, let days = source.variable("expire_logs_days").flatMap({ Double($0) }) {
            seconds = days * 86_400
        }
        guard seconds > 0 else { return .ok("the binlog is not purged by itself") }
        let copies = context.settings.mode != .incremental
        let copy = copies ? Double(context.bytes) / 20_000_000 : 0
        let hours = "\(Int(seconds) / 3600) h \(Int(seconds) / 60 % 60) min"
        let message =
            "the source keeps its binlog for \(hours)"
            + (copies
                ? "; the copy takes about \(max(1, Int(copy) / 60)) min if it moves 20 MB a second"
                : "")
        let remedy = "SET GLOBAL binlog_expire_logs_seconds to a few days while it runs"
        if seconds < copy { return .error(message, remedy: remedy) }
        if seconds < 2 * copy + 7200 { return .warning(message, remedy: remedy) }
        return .ok(message)
    }

    /// Finds where changes alone begin, as the migration will.
    private static func startPlace(_ context: CheckContext) throws -> Check.Finding {
        let settings = context.settings
        guard settings.mode == .incremental else {
            return .ok("changes are followed from where the rows are read")
        }
        if context.isResuming { return .ok("an earlier run is continued from its checkpoint") }
        if settings.adoption != nil { return .ok("changes are followed from DM's checkpoint") }
        if settings.start == .now {
            return .ok("changes are followed from when the migration is started")
        }
        do {
            let place = try StartSearch(
                settings.source, serverID: UInt32.random(in: 0x4000_0000...0x7FFF_FFFF)
            ).find(settings.start)
            return .ok("changes are followed from \(place)")
        } catch let error as StreamError {
            return .error(
                "\(error)",
                remedy: "choose a place that the source has, or copy the rows that are there")
        }
    }

    private static func serverID(_ context: CheckContext) throws -> Check.Finding {
        let source = context.source
        let own = source.number("server_id") ?? 0
        let mine = Int(context.settings.serverID)
        if own == 0 {
            return .error(
                "server_id of the source is 0: it serves no replicas",
                remedy: "SET GLOBAL server_id to a number that no other server has")
        }
        guard mine != 0 else { return .ok("a random server id is used for reading the binlog") }
        if mine == own {
            return .error(
                "--server-id \(mine) is the source's own", remedy: "choose another, or none")
        }
        let hasNewName = !source.isMariaDB && source.version.isAtLeast(8, 0, 22)
        let replicas = try source.connection.rows(
            hasNewName ? "SHOW REPLICAS" : "SHOW SLAVE HOSTS"
        ).compactMap { $0[0].flatMap { Int($0) } }
        return replicas.contains(mine)
            ? .error(
                "--server-id \(mine) is a replica's: they would throw each other out",
                remedy: "choose another, or none")
            : .ok("--server-id \(mine) is free")
    }
}
