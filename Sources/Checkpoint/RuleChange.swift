internal import MySQLClient
public import MySQLCore

// Tables may come into a subtask that follows. Its phase is `copy` then until they are copied, and
// what it has followed until now must not be copied with them, nor be taken for what the new views
// have seen: in the transaction that changes the rules each such table gets a chunk that says of all
// its rows that they are the source's as of the mark. So whatever is whole is followed from there
// on, in the way that any copied table is.

extension Coordinator {
    /// Other rules, and what they mean for a subtask's records.
    public struct RuleChange: Sendable {
        /// What the subtask is stored for from now on.
        public var identity: [UInt8]
        /// Tables with a shape, as they were found.
        public var known: Set<TableName>
        /// Tables that leave the subtask.
        public var leaving: [TableName] = []
        /// Tables that stay, of which rules have left something out until now.
        public var loose: [TableName] = []
        /// Tables that were taken over from a task that had not created them, that are followed no
        /// more, and that the rules leave out: nothing reaches them any more.
        public var forgotten: [TableName] = []
        /// Views and routines that rules have left out until now.
        public var stale: [StaleObject] = []
        /// Tables whose rows are copied before anything else is applied.
        public var coming: [TableName] = []
        /// The mark, above which nothing is applied.
        public var mark: SourcePosition?
        /// Tables whose chunks stay: those that are being copied, and those whose copy the mark has
        /// not passed yet.
        public var copied: Set<TableName> = []
        /// Whether something else than ``coming`` is to be copied still; `nil` in a subtask that
        /// copies nothing.
        public var isCopying: Bool?

        /// Makes a change that touches no table.
        public init(identity: [UInt8], known: Set<TableName>) {
            self.identity = identity
            self.known = known
        }
    }

    /// What came of a change of rules.
    public enum RuleChangeOutcome: Sendable {
        /// It is done.
        case done
        /// Nothing is done: a DDL statement is not decided.
        case undecided
        /// Nothing is done: somebody has set shapes meanwhile.
        case outdated
    }

    /// Replaces what the subtask is stored for, drops tables from it, and takes others in, whose
    /// copy is then next: all of it or nothing. Nothing may be applied above the mark.
    public func change(_ change: RuleChange) throws -> RuleChangeOutcome {
        let objects = StoredObjects(meta: meta, key: key)
        let ledger = CopyLedger(meta: meta, key: key)
        var outcome = RuleChangeOutcome.done
        try transaction { connection in
            try update("phase=phase", connection)
            let open = try connection.value(
                "SELECT COUNT(*) FROM \(meta.table("ddl")) WHERE \(key.condition)")
            guard open == "0" else { return outcome = .undecided }
            let shapes = try connection.rows(
                "SELECT schema_name, table_name FROM \(meta.table("shape")) "
                    + "WHERE \(key.condition) FOR UPDATE")
            let known = Set(shapes.map { TableName(schema: $0[0] ?? "", name: $0[1] ?? "") })
            guard known == change.known else { return outcome = .outdated }
            try update("identity=\(hexLiteral(change.identity))", connection)
            for table in change.leaving {
                try writeShape(table, nil, connection)
                try connection.execute(ledger.forgetStatement(table))
                try forgetRecords(of: table, connection)
                try connection.execute(
                    objects.storeStatement(StoredObject(kind: .left, name: table, definition: [])))
            }
            for table in change.forgotten {
                try connection.execute(objects.removeStatement(.found, table))
            }
            for table in change.loose {
                let object = try StoredObject(kind: .loose, name: table, encoding: true)
                try connection.execute(objects.storeStatement(object))
            }
            try StaleObjects(meta: meta, key: key).apply(
                change.stale.map { .stale($0) }, connection)
            if change.coming.isEmpty {
                // What was to be copied may have left.
                if change.isCopying == false { try update("phase='follow'", connection) }
            } else {
                try settle(known.subtracting(change.leaving), change, connection)
                for table in change.coming {
                    try forgetRecords(of: table, connection)
                    try connection.execute(
                        objects.storeStatement(
                            StoredObject(kind: .coming, name: table, definition: [])))
                }
                try update("phase='copy'", connection)
            }
        }
        return outcome
    }

    /// Records of tables that are followed that the target has them as of the mark.
    private func settle(
        _ known: Set<TableName>, _ change: RuleChange, _ connection: Connection
    ) throws {
        guard let mark = change.mark else {
            throw CheckpointError.inconsistent(detail: "tables come before there is a mark")
        }
        let ledger = CopyLedger(meta: meta, key: key)
        let newest = try connection.value(
            "SELECT MAX(snapshot_id) FROM \(meta.table("snapshot")) WHERE \(key.condition)")
        let id = (newest.flatMap { Int($0) } ?? 0) + 1
        let kept = change.copied.sorted().map {
            "(\(utf8Literal($0.schema)),\(utf8Literal($0.name)))"
        }
        try connection.execute(
            "DELETE FROM \(meta.table("chunk")) WHERE \(key.condition)"
                + (kept.isEmpty
                    ? ""
                    : " AND (schema_name, table_name) NOT IN (\(kept.joined(separator: ",")))"))
        try connection.execute(
            ledger.storeStatement(SnapshotRecord(id: id, low: mark, high: mark, isExact: true)))
        for table in known.subtracting(change.copied).sorted() {
            try connection.execute(
                ledger.insertStatement(
                    ChunkRecord(
                        table: table, chunk: 0, snapshot: id, from: nil, to: nil, rows: 0)))
        }
        let used = try connection.rows(
            "SELECT DISTINCT snapshot_id FROM \(meta.table("chunk")) WHERE \(key.condition)"
        ).compactMap(\.[0])
        try connection.execute(
            "DELETE FROM \(meta.table("snapshot")) WHERE \(key.condition) "
                + "AND snapshot_id NOT IN (\((used + ["\(id)"]).joined(separator: ",")))")
    }

    /// Forgets what is recorded of a table by its name, in a transaction that proves the run.
    func forgetRecords(of table: TableName, _ connection: Connection) throws {
        let objects = StoredObjects(meta: meta, key: key)
        let kinds: [StoredObject.Kind] = [
            .loose, .table, .restart, .identity, .coming, .left, .found, .merged,
        ]
        for kind in kinds {
            try connection.execute(objects.removeStatement(kind, table))
        }
    }
}
