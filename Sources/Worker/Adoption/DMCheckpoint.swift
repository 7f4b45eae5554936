internal import MySQLClient
internal import MySQLCore

// What DM keeps on the target of a task, in its meta schema (DM's documentation of the tables, and
// the statements by which it creates them):
//
//   <task>_syncer_checkpoint        id (the source), cp_schema, cp_table, binlog_name, binlog_pos,
//                                   binlog_gtid, exit_safe_binlog_name, exit_safe_binlog_pos,
//                                   exit_safe_binlog_gtid, table_info, is_global, update_time
//   <task>_syncer_sharding_meta     source_id, target_table_id, ..: DDL of merged tables under way
//   <task>_onlineddl                id, ghost_schema, ghost_table, ddls: online changes under way
//   <task>_loader_checkpoint        id, filename, .., offset, end_pos: files being loaded
//   <task>_lightning_checkpoint_list  task_name, source_name, status: init, running, finished
//
// They are read, and nothing else.

/// A place of a source's binlog as DM writes it.
struct DMPlace: Hashable {
    /// File and offset on the source; `nil` where the name does not tell the server's own file.
    let position: BinlogPosition?
    /// The same place as a GTID set; empty without any.
    let gtids: String
    /// As it is stored.
    let text: String

    /// - Returns: `nil` when there is none.
    init?(file: String?, offset: String?, gtids: String?) {
        guard let file, !file.isEmpty else { return nil }
        let offset = offset.flatMap { UInt64($0) } ?? 0
        self.gtids = gtids.map { $0.filter { !$0.isWhitespace } } ?? ""
        text = "\(file):\(offset)" + (self.gtids.isEmpty ? "" : " (\(self.gtids))")
        position = Self.ownFile(file).map { BinlogPosition(file: $0, offset: max(4, offset)) }
    }

    /// With a relay log DM puts the number of the server's folder into the name, as in
    /// `mysql-bin|000001.000007`. Only the first server's files are known to be the source's.
    private static func ownFile(_ file: String) -> String? {
        guard let bar = file.firstIndex(of: "|") else { return file }
        guard let dot = file[bar...].firstIndex(of: "."),
            Int(file[file.index(after: bar)..<dot]) == 1
        else { return nil }
        return String(file[..<bar] + file[dot...])
    }
}

/// What DM's checkpoint says of one source of a task.
struct DMCheckpoint: Hashable {
    /// Everything up to it is applied.
    let global: DMPlace
    /// The furthest place that DM had handed over to its workers when an error stopped it; `nil`
    /// when it was stopped orderly, or killed.
    let exit: DMPlace?
    /// How far single tables are, which may be beyond ``global``.
    let tables: [DMPlace]
    /// All rows with the times of their last change, to see whether anything moves.
    let rows: [[String?]]
}

/// A task of DM's whose checkpoint is on a target.
struct DMTask {
    let name: String
    let meta: String
    /// The source's name, `id` in DM's tables.
    let source: String

    /// Reads the checkpoint.
    ///
    /// - Throws: ``MigrationError/adoption(task:detail:)`` when there is none to go on from.
    func checkpoint(_ target: Connection) throws -> DMCheckpoint {
        guard try has("syncer_checkpoint", target) else {
            throw refused(
                "the target has no table \(table("syncer_checkpoint")): name DM's task, and its "
                    + "meta-schema with --adopt-meta")
        }
        // DM 1.0 did not know of places where safe mode ends.
        let exit =
            try columns("syncer_checkpoint", target).contains("exit_safe_binlog_name")
            ? "exit_safe_binlog_name, exit_safe_binlog_pos, exit_safe_binlog_gtid"
            : "NULL, NULL, NULL"
        let rows = try target.rows(
            """
            SELECT is_global, cp_schema, cp_table, binlog_name, binlog_pos, binlog_gtid, \(exit), \
            update_time FROM \(table("syncer_checkpoint").quoted) \
            WHERE id=\(utf8Literal(source)) ORDER BY cp_schema, cp_table
            """
        ).map { row in (0..<10).map { row[$0] } }
        guard !rows.isEmpty else {
            let others = try target.rows(
                "SELECT DISTINCT id FROM \(table("syncer_checkpoint").quoted) ORDER BY id"
            ).compactMap { $0[0] }
            throw refused(
                "its checkpoint has no row of the source \(source): "
                    + (others.isEmpty
                        ? "DM has not begun to follow; let it, or copy with mode all"
                        : "--source-id must be what DM calls the source: \(someNames(others))"))
        }
        let points = rows.filter { $0[0] != "1" }
            .compactMap { DMPlace(file: $0[3], offset: $0[4], gtids: $0[5]) }
        let global = rows.filter { $0[0] == "1" }
        guard global.count == 1, let row = global.first,
            let place = DMPlace(file: row[3], offset: row[4], gtids: row[5])
        else {
            throw refused(
                "its checkpoint has no global place: DM's dump or load is not finished. Let DM "
                    + "finish it, or copy with mode all")
        }
        return DMCheckpoint(
            global: place, exit: DMPlace(file: row[6], offset: row[7], gtids: row[8]),
            tables: points, rows: rows)
    }

    /// Looks for what DM has begun and nobody else can go on with.
    ///
    /// - Throws: ``MigrationError/adoption(task:detail:)``.
    func requireNothingOpen(_ target: Connection) throws {
        let id = utf8Literal(source)
        let sharding = try names(
            "syncer_sharding_meta", "DISTINCT target_table_id", "source_id=\(id)", target)
        guard sharding.isEmpty else {
            throw refused(
                "DDL of merged tables is not resolved: \(someNames(sharding)). Some of their "
                    + "sources' tables have had it and some have not; let DM resolve it")
        }
        let online = try names(
            "onlineddl", "CONCAT(ghost_schema,'.',ghost_table)", "id=\(id)", target)
        guard online.isEmpty else {
            throw refused(
                "online schema changes are under way: \(someNames(online)). Let DM go on until they "
                    + "are swapped in, or dropped")
        }
        let files = try names(
            "loader_checkpoint", "filename", "id=\(id) AND `offset`<end_pos", target)
        let load = try names(
            "lightning_checkpoint_list", "status", "source_name=\(id) AND status<>'finished'",
            target)
        guard files.isEmpty, load.isEmpty else {
            throw refused(
                "its load is not finished (\(someNames(files + load))): let DM finish it, or copy "
                    + "with mode all")
        }
    }

    /// Looks whether DM is writing its checkpoint at this moment, as far as the target's user may
    /// see other sessions.
    func requireSilence(_ target: Connection) throws {
        let pattern = utf8Literal("%\(name)\\_syncer\\_checkpoint%")
        let sessions: [String]
        do {
            sessions = try target.rows(
                "SELECT USER FROM information_schema.PROCESSLIST WHERE INFO LIKE \(pattern) "
                    + "AND INFO NOT LIKE 'SELECT%' AND ID<>CONNECTION_ID()"
            ).compactMap { $0[0] }
        } catch {
            if error.isConnectionLost { throw error }
            return
        }
        if let user = sessions.first { throw isRunning("\(user) writes its checkpoint") }
    }

    /// DM has not been stopped.
    func isRunning(_ why: String) -> MigrationError {
        refused("DM is still running it: \(why). Stop it first (dmctl stop-task \(name))")
    }

    /// Refuses to take the task over.
    func refused(_ detail: String) -> MigrationError { .adoption(task: name, detail: detail) }

    private func table(_ suffix: String) -> TableName {
        TableName(schema: meta, name: "\(name)_\(suffix)")
    }

    private func has(_ suffix: String, _ target: Connection) throws -> Bool {
        try !columns(suffix, target).isEmpty
    }

    private func columns(_ suffix: String, _ target: Connection) throws -> Set<String> {
        let table = table(suffix)
        return Set(
            try target.rows(
                "SELECT COLUMN_NAME FROM information_schema.COLUMNS "
                    + "WHERE TABLE_SCHEMA=\(utf8Literal(table.schema)) "
                    + "AND TABLE_NAME=\(utf8Literal(table.name))"
            ).compactMap { $0[0]?.lowercased() })
    }

    /// A column of the rows that are open in one of DM's tables, which need not be there.
    private func names(
        _ suffix: String, _ what: String, _ condition: String, _ target: Connection
    ) throws -> [String] {
        guard try has(suffix, target) else { return [] }
        return try target.rows(
            "SELECT \(what) FROM \(table(suffix).quoted) WHERE \(condition)"
        ).compactMap { $0[0] }.sorted()
    }
}
