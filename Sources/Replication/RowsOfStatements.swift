internal import MySQLCore
internal import MySQLSyntax

/// What statements do to rows that the binlog does not tell.
extension StatementHandler {
    /// Whether the statement makes a table of a SELECT, whose rows come by themselves.
    static func isFromSelect(_ ddl: DDL) -> Bool {
        if case .createTable(let create) = ddl { create.isFromSelect } else { false }
    }

    /// Why rows of a table could come twice behind the statement; `nil` when they can't.
    static func doubledRows(_ ddl: DDL) -> String? {
        ddl.engineWithoutTransactions.map {
            "gets engine \($0), which rolls nothing back: a transaction that is tried again would "
                + "leave its rows twice"
        }
    }

    /// Whether the statement takes a table's (or a partition's) file away, with all rows, or puts
    /// one in its place that only the source has.
    static func movesTablespace(_ ddl: DDL) -> Bool {
        guard case .alterTable(let alter) = ddl else { return false }
        return alter.actions.contains { action in
            switch action {
            case .discardTablespace, .importTablespace, .partition(.discardTablespace),
                .partition(.importTablespace):
                true
            default: false
            }
        }
    }

    /// - Throws: ``ReplicationError/unsupported(_:detail:)`` for a statement whose rows only the
    ///   source knows.
    func refuseRows(
        of ddl: DDL, _ wanted: Set<TableName>, _ position: SourcePosition
    ) throws {
        if Self.isFromSelect(ddl) {
            throw ReplicationError.unsupported(
                position, detail: "a table was made of a SELECT by a statement instead of rows")
        }
        if Self.movesTablespace(ddl) {
            let name = wanted.min()?.description ?? "a table"
            throw ReplicationError.unsupported(
                position,
                detail: "the tablespace of \(name) is discarded or imported, and the binlog "
                    + "does not tell its rows. Exclude the table, or start over with --fresh when "
                    + "it is there again")
        }
    }
}
