public import MySQLClient
public import MySQLCore

/// Which load writes to which tables of the target, so that two of them never write to one.
///
/// A load looks at a table, finds it empty or missing, and begins; another that looks at the same
/// moment finds the same. So each claims its tables, durably and under its run's token, and looks
/// again afterwards: whoever comes later finds the claim, or what was done under it. A claim has no
/// end. Another load takes it over when its holder is not running and has left the table empty, or
/// when it was dropped; the holder's run is then over, and what it has recorded of the table is
/// forgotten. A holder that was between two tries claims again in its next one, and looks again.
///
/// Sources of one task may share a table: one that finds it claimed by another source joins the
/// claim, once that one has recorded that the table is its own or that it has begun to load it: from
/// then on the table was seen to hold no rows of anybody else's. Who takes a shared table over ends
/// the runs of all of them.
public struct TableClaims {
    /// What became of a claim.
    public enum Outcome: Sendable, Hashable {
        /// All tables were this subtask's before.
        case unchanged
        /// They are now. What the target has of them must be looked at again, behind the DDL locks
        /// of those subtasks from which some were taken over; when all of those were had,
        /// ``TableClaims/settle(_:by:)`` says so. Until then every claim names them again.
        case taken(from: [SubtaskKey])
        /// Nothing was claimed: a table is another subtask's, which is running, or has rows in it.
        case held(TableName, by: SubtaskKey, isRunning: Bool)
        /// Nothing was claimed: another load is at work that has no claims, as those of earlier
        /// versions have none. To which tables it writes can't be told.
        case silent(by: SubtaskKey)
        /// Nothing was claimed: another source of the task is about to look at a table that may be
        /// shared with it. It can be, or is free, soon.
        case undecided(TableName, by: SubtaskKey)
    }

    /// Who of a task's other sources loads a table, too.
    public struct Sharing: Sendable, Hashable {
        /// Those that have recorded that the table is their own, or that they have begun to load it.
        public var others: Set<SubtaskKey>
        /// Whether this subtask has a claim on it.
        public var isJoined: Bool
    }

    /// What the row of a load says that is not at its end.
    package static let openPhase = "load"

    private struct Holder: Codable {
        var task: String
        var source: String
        /// From whom it was taken, until their DDL locks were had: a definition of theirs may
        /// still be under way when whoever took it is killed and begins again.
        var former: [Former]?
        /// Other sources of the task that write to it, too.
        var sharing: [String]?

        var key: SubtaskKey { SubtaskKey(task: task, source: source) }
        /// All that write to it.
        var keys: Set<SubtaskKey> {
            Set((sharing ?? []).map { SubtaskKey(task: task, source: $0) }).union([key])
        }
        var formerKeys: Set<SubtaskKey> {
            Set((former ?? []).map { SubtaskKey(task: $0.task, source: $0.source) })
        }
    }

    private struct Former: Codable {
        var task: String
        var source: String
    }

    private struct Held: Error {
        var table: TableName
        var holder: SubtaskKey
        var isRunning: Bool
    }

    private struct Silent: Error {
        var load: SubtaskKey
    }

    private struct Undecided: Error {
        var table: TableName
        var holder: SubtaskKey
    }

    private let meta: MetaSchema
    private let key: SubtaskKey
    /// Claims are nobody's rows: two subtasks must find the same one.
    private let records: StoredObjects

    /// Makes the claims of one subtask.
    public init(meta: MetaSchema, key: SubtaskKey) {
        self.meta = meta
        self.key = key
        records = StoredObjects(meta: meta, key: SubtaskKey(task: "", source: ""))
    }

    /// Claims tables, all or none. When it returns ``Outcome/taken(from:)``, no other load writes to
    /// them any more, but for a definition that may be under way.
    ///
    /// - Parameters:
    ///   - tables: their names on the target.
    ///   - coordinator: of the subtask's run.
    ///   - mayShare: whether a table may be shared with other sources of the task.
    ///   - isEmpty: whether a table has no rows now, or does not exist; it must ask over another
    ///     connection than the coordinator's.
    /// - Throws: ``CheckpointError``, `MySQLError`, and what `isEmpty` throws.
    public func claim(
        _ tables: [TableName], by coordinator: Coordinator,
        mayShare: (TableName) -> Bool = { _ in false }, isEmpty: (TableName) throws -> Bool
    ) throws -> Outcome {
        var outcome = Outcome.unchanged
        do {
            try coordinator.transaction { connection in
                try coordinator.update("phase=phase", connection)
                outcome = try claim(tables, connection, mayShare, isEmpty)
            }
        } catch let held as Held {
            return .held(held.table, by: held.holder, isRunning: held.isRunning)
        } catch let silent as Silent {
            return .silent(by: silent.load)
        } catch let undecided as Undecided {
            return .undecided(undecided.table, by: undecided.holder)
        }
        return outcome
    }

    /// Records that no definition of those from whom tables were taken is under way any more.
    ///
    /// - Parameters:
    ///   - tables: tables that are claimed.
    ///   - coordinator: of the subtask's run; it must be the run that has claimed them.
    /// - Throws: ``CheckpointError``, `MySQLError`.
    public func settle(_ tables: [TableName], by coordinator: Coordinator) throws {
        try coordinator.transaction { connection in
            // Who takes a table ends the run first, so that no claim of another's is replaced.
            try coordinator.update("phase=phase", connection)
            let folds = try connection.value("SELECT @@lower_case_table_names") != "0"
            let wanted = Set(tables.map { claimed($0, folds: folds) })
            for record in try records.readLocked(connection)
            where record.kind == .claim && wanted.contains(record.name) {
                var holder = try record.decoded(as: Holder.self)
                guard holder.keys.contains(key), holder.former != nil else { continue }
                holder.former = nil
                try store(holder, record.name, connection)
            }
        }
    }

    /// Tables that other sources of the task have a claim on, and have begun. That one has a claim
    /// alone says nothing: it may be of an earlier task of this name.
    public func sharing(
        _ tables: [TableName], _ connection: Connection
    ) throws -> [TableName: Sharing] {
        let folds = try connection.value("SELECT @@lower_case_table_names") != "0"
        var holders: [TableName: Holder] = [:]
        for record in try records.read(connection) where record.kind == .claim {
            holders[record.name] = try record.decoded(as: Holder.self)
        }
        var begun: [SubtaskKey: Set<TableName>] = [:]
        var out: [TableName: Sharing] = [:]
        for table in tables {
            guard let holder = holders[claimed(table, folds: folds)], holder.task == key.task
            else { continue }
            var others: Set<SubtaskKey> = []
            for other in holder.keys.subtracting([key]) {
                let its = try begun[other] ?? self.begun(by: other, folds: folds, connection)
                begun[other] = its
                if its.contains(claimed(table, folds: folds)) { others.insert(other) }
            }
            guard !others.isEmpty else { continue }
            out[table] = Sharing(others: others, isJoined: holder.keys.contains(key))
        }
        return out
    }

    private func store(
        _ holder: Holder, _ table: TableName, _ connection: Connection
    ) throws {
        let record = try StoredObject(kind: .claim, name: table, encoding: holder)
        try connection.execute(records.storeStatement(record))
    }

    private func claim(
        _ tables: [TableName], _ connection: Connection, _ mayShare: (TableName) -> Bool,
        _ isEmpty: (TableName) throws -> Bool
    ) throws -> Outcome {
        guard !tables.isEmpty else { return .unchanged }
        // Where the server does not tell case apart, two names may be one table.
        let folds = try connection.value("SELECT @@lower_case_table_names") != "0"
        // In one order, so that two loads wait for each other, and do not lock each other out.
        let wanted = Set(tables.map { claimed($0, folds: folds) }).sorted()
        let added = try insert(wanted, connection)
        if added > 0, let load = try silentLoad(connection) { throw Silent(load: load) }
        if added == wanted.count { return .taken(from: []) }
        let known = try records.readLocked(connection).filter { $0.kind == .claim }
        var holders: [TableName: Holder] = [:]
        for record in known { holders[record.name] = try record.decoded(as: Holder.self) }
        var others: [SubtaskKey: [TableName]] = [:]
        // Whose definitions may be under way: also of those from whom a holder that was killed has
        // taken them.
        var former: Set<SubtaskKey> = []
        var joined: [TableName: Holder] = [:]
        for table in tables {
            guard let holder = holders[claimed(table, folds: folds)] else {
                throw CheckpointError.inconsistent(detail: "the claim of \(table) is gone")
            }
            former.formUnion(holder.formerKeys)
            guard !holder.keys.contains(key) else { continue }
            if holder.task == key.task, mayShare(table),
                try hasBegun(holder, table, folds: folds, connection)
            {
                joined[claimed(table, folds: folds)] = holder
                continue
            }
            for other in holder.keys { others[other, default: []].append(table) }
            former.formUnion(holder.keys)
        }
        // Its own lock is what the run holds.
        former.remove(key)
        for (table, holder) in joined.sorted(by: { $0.key < $1.key }) {
            var holder = holder
            holder.sharing = ((holder.sharing ?? []) + [key.source]).sorted()
            try store(holder, table, connection)
        }
        if others.isEmpty, former.isEmpty {
            return added == 0 && joined.isEmpty ? .unchanged : .taken(from: [])
        }
        for other in sorted(others.keys) {
            try end(other, others[other] ?? [], folds: folds, connection, isEmpty)
        }
        let taken = others.values.flatMap { $0 }.map { claimed($0, folds: folds) }
        for table in Set(taken).sorted() {
            try connection.execute(records.storeStatement(try record(table, former: former)))
        }
        return .taken(from: sorted(former))
    }

    /// Whether one of a table's holders has recorded that it is its own, or that it has begun to
    /// load it.
    ///
    /// - Throws: `Undecided` where none has, and one is running.
    private func hasBegun(
        _ holder: Holder, _ table: TableName, folds: Bool, _ connection: Connection
    ) throws -> Bool {
        let its = claimed(table, folds: folds)
        let keys = sorted(holder.keys)
        func isBegun(isLocked: Bool) throws -> Bool {
            try keys.contains {
                try begun(by: $0, folds: folds, isLocked: isLocked, connection).contains(its)
            }
        }
        if try isBegun(isLocked: false) { return true }
        for key in keys {
            let run = try connection.value(
                "SELECT HEX(run) FROM \(meta.table("subtask")) WHERE \(key.condition)")
            if try isRunning(run, connection) { throw Undecided(table: table, holder: key) }
        }
        // Its last transaction may have ended since that was read.
        return try isBegun(isLocked: true)
    }

    /// The tables that a subtask has recorded to be its own, or to have begun to load.
    ///
    /// - Parameter isLocked: as it is committed now, whatever the transaction has seen before.
    private func begun(
        by key: SubtaskKey, folds: Bool, isLocked: Bool = false, _ connection: Connection
    ) throws -> Set<TableName> {
        let chunks = try connection.rows(
            "SELECT DISTINCT schema_name, table_name FROM \(meta.table("chunk")) "
                + "WHERE \(key.condition)\(isLocked ? " LOCK IN SHARE MODE" : "")")
        let all = StoredObjects(meta: meta, key: key)
        let objects = try isLocked ? all.readLocked(connection) : all.read(connection)
        let made = objects.filter { $0.kind == .table && $0.definition.first == Self.madeMark }
        let names =
            chunks.map { TableName(schema: $0[0] ?? "", name: $0[1] ?? "") } + made.map(\.name)
        return Set(names.map { claimed($0, folds: folds) })
    }

    /// What the record of a table begins with that its load has made, or taken for its own.
    package static let madeMark: UInt8 = 1

    /// A load that is at work, and has recorded something of a table, but claimed nothing: what
    /// this version records of one comes behind its claims. Views and the like need none.
    private func silentLoad(_ connection: Connection) throws -> SubtaskKey? {
        let rows = try connection.rows(
            "SELECT task, source, HEX(run) FROM \(meta.table("subtask")) "
                + "WHERE phase='\(Self.openPhase)' AND NOT (\(key.condition)) "
                + "ORDER BY task, source")
        var active: [SubtaskKey] = []
        for row in rows {
            guard try isRunning(row[2], connection) else { continue }
            let other = SubtaskKey(task: row[0] ?? "", source: row[1] ?? "")
            let chunk = try connection.value(
                "SELECT 1 FROM \(meta.table("chunk")) WHERE \(other.condition) LIMIT 1")
            let object = try connection.value(
                "SELECT 1 FROM \(meta.table("object")) WHERE \(other.condition) "
                    + "AND kind='\(StoredObject.Kind.table.rawValue)' LIMIT 1")
            if chunk != nil || object != nil { active.append(other) }
        }
        guard !active.isEmpty else { return nil }
        var claiming: Set<SubtaskKey> = []
        for record in try records.readLocked(connection) where record.kind == .claim {
            claiming.formUnion(try record.decoded(as: Holder.self).keys)
        }
        return active.first { !claiming.contains($0) }
    }

    /// Whether the session lives that holds the lock of a run.
    ///
    /// - Parameter run: the run as its subtask's row has it, in hexadecimal digits.
    private func isRunning(_ run: String?, _ connection: Connection) throws -> Bool {
        let token = unhex(run)
        guard token.count == 16 else { return false }
        let lock = RunToken(token).lockName("c")
        return try connection.value("SELECT IS_USED_LOCK(\(lock))") != nil
    }

    private func sorted(_ keys: some Sequence<SubtaskKey>) -> [SubtaskKey] {
        keys.sorted { ($0.task, $0.source) < ($1.task, $1.source) }
    }

    private func claimed(_ table: TableName, folds: Bool) -> TableName {
        folds
            ? TableName(schema: table.schema.lowercased(), name: table.name.lowercased()) : table
    }

    private func record(
        _ table: TableName, former: Set<SubtaskKey> = []
    ) throws -> StoredObject {
        var holder = Holder(task: key.task, source: key.source)
        if !former.isEmpty {
            holder.former = sorted(former).map { Former(task: $0.task, source: $0.source) }
        }
        return try StoredObject(kind: .claim, name: table, encoding: holder)
    }

    /// Claims what nobody has claimed; what another load is just claiming is waited for.
    ///
    /// - Returns: how many that are.
    private func insert(_ tables: [TableName], _ connection: Connection) throws -> Int {
        var added = 0
        var rest = tables[...]
        while !rest.isEmpty {
            let values = try rest.prefix(200).map { table -> String in
                let definition = hexLiteral([1] + (try record(table).definition))
                return "('','','\(StoredObject.Kind.claim.rawValue)',\(utf8Literal(table.schema)),"
                    + "\(utf8Literal(table.name)),\(definition))"
            }
            rest = rest.dropFirst(200)
            added += Int(
                try connection.execute(
                    "INSERT IGNORE INTO \(meta.table("object")) (task, source, kind, schema_name, "
                        + "table_name, definition) VALUES " + values.joined(separator: ",")))
        }
        return added
    }

    /// Ends what another subtask does to tables: none of its transactions commits from here on.
    private func end(
        _ other: SubtaskKey, _ tables: [TableName], folds: Bool, _ connection: Connection,
        _ isEmpty: (TableName) throws -> Bool
    ) throws {
        let run = try connection.value(
            "SELECT HEX(run) FROM \(meta.table("subtask")) WHERE \(other.condition) FOR UPDATE")
        // One that was forgotten writes nothing, and finds the claim gone if it is begun anew.
        guard let run else { return }
        if try isRunning(run, connection) {
            throw Held(table: tables[0], holder: other, isRunning: true)
        }
        // As a takeover does it, which also waits for transactions under way: lanes may outlive
        // the session that holds the run's lock.
        try connection.execute("DELETE FROM \(meta.table("lane")) WHERE \(other.condition)")
        try connection.execute(
            "UPDATE \(meta.table("subtask")) SET run=\(RunToken.ended.literal), beat=beat+1 "
                + "WHERE \(other.condition)")
        for table in tables {
            guard try isEmpty(table) else {
                throw Held(table: table, holder: other, isRunning: false)
            }
            // It would go on behind rows that are not there, or are not its own.
            let (schema, name) =
                folds ? ("LOWER(schema_name)", "LOWER(table_name)") : ("schema_name", "table_name")
            let its = claimed(table, folds: folds)
            let condition =
                "\(other.condition) AND \(schema)=\(utf8Literal(its.schema)) "
                + "AND \(name)=\(utf8Literal(its.name))"
            try connection.execute("DELETE FROM \(meta.table("chunk")) WHERE \(condition)")
            try connection.execute(
                "DELETE FROM \(meta.table("object")) WHERE \(condition) "
                    + "AND kind='\(StoredObject.Kind.table.rawValue)'")
        }
    }
}
