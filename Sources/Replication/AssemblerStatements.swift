internal import MySQLBinlog
internal import MySQLCore
internal import MySQLSyntax
internal import Rules
internal import Stream

// Statements inside of a transaction.

extension TransactionAssembler {
    /// Notes what has come before a savepoint. One of the same name takes an earlier one's place.
    mutating func setSavepoint(_ name: String) {
        guard var open = group.take() else { return }
        open.savepoints.removeAll { $0.name == name.lowercased() }
        open.savepoints.append(
            (name.lowercased(), open.transaction.rows.count, open.transaction.sources.count))
        group = open
    }

    /// Takes back what came since a savepoint: MariaDB logs both where the transaction has changed
    /// a table without transactions, too, also one that nobody migrates.
    ///
    /// - Throws: ``ReplicationError/unsupported(_:detail:)`` when some of it is on its way already.
    mutating func rollBack(to name: String, _ entry: EventChunk.Entry) throws {
        guard var open = group.take() else { return }
        defer { group = open }
        // Of what the target has, or what is read again at its decision, nothing is here.
        if open.isApplied { return }
        guard let n = open.savepoints.lastIndex(where: { $0.name == name.lowercased() }) else {
            if !open.isStreamed, open.transaction.rows.isEmpty { return }
            let why =
                open.isStreamed
                ? "lies before a part of it that is applied already: give it more memory "
                    + "(--memory), so that it is held as a whole"
                : "its binlog does not have"
            throw ReplicationError.unsupported(
                position(entry.position),
                detail: "a transaction is rolled back to savepoint \(name), which \(why)")
        }
        let point = open.savepoints[n]
        open.savepoints.removeSubrange((n + 1)...)
        open.transaction.rows.removeSubrange(point.rows...)
        open.transaction.sources.removeSubrange(point.sources...)
    }

    /// A LOAD DATA that a session with another binlog_format has logged as a statement: its file
    /// comes in events of its own, and no query behind it.
    ///
    /// - Throws: ``ReplicationError/unsupported(_:detail:)`` unless nobody migrates its table.
    func refuseLoad(_ query: QueryEvent, _ entry: EventChunk.Entry) throws {
        let context = catalog.session.context(of: query)
        if let tables = try? parseStatement(query.sql, context: context).tables, !tables.isEmpty,
            !tables.contains(where: { catalog.mapping.selects($0.name) })
        {
            return
        }
        throw ReplicationError.unsupported(
            position(entry.position),
            detail: "LOAD DATA is logged as a statement instead of rows: set binlog_format=ROW on "
                + "the source, let all sessions reconnect, then start over with --fresh")
    }
}
