internal import MySQLClient
public import MySQLCore

// One subtask takes over all tables of another one of the same source, where both are at the same
// place of its binlog: what is applied to each table is then the same as if one of them had followed
// all. Both rows and everything that hangs on them are in one meta schema, so that the target has
// either both as they were or the one that is left, whenever a process or the server ends.
//
// Both are proven by their tokens in that transaction. Without the other one's, a packet of an old
// lane of it that the server runs late would commit what comes behind the common place, and the
// subtask that has the tables now would apply it once more.
//
// The other one's row is deleted, not marked: whoever starts it again finds no checkpoint, and must
// not find one by which its tables may be dropped. That it has handed them over stays known
// (`HandedTask`), so that it does not begin anew on them either.

extension Coordinator {
    /// What a subtask takes over from another one.
    public struct HandOver: Sendable {
        /// What the subtask is stored for from now on.
        public var identity: [UInt8]
        /// Tables that it has a shape of, as they were found.
        public var known: Set<TableName>
        /// Tables that the other one has a shape of, as they were found. All of them come.
        public var tables: Set<TableName>
        /// Tables, of either, of which rules have left something out until now.
        public var loose: [TableName] = []
        /// Views and routines that the rules of both have left out until now.
        public var stale: [StaleObject] = []
        /// Whether this subtask never drops or empties tables that it has not created
        /// (`into-existing`). Without that none may come that the other one has found there.
        public var keepsExisting = false
        /// What the source had at the place where both have come to, where that was asked for: by it
        /// two that hold other GTIDs are known to be at one.
        public var reference: SourcePosition?

        /// Describes one that leaves nothing out.
        public init(identity: [UInt8], known: Set<TableName>, tables: Set<TableName>) {
            self.identity = identity
            self.known = known
            self.tables = tables
        }
    }

    /// What came of it. But for ``done`` nothing has changed.
    public enum HandOverOutcome: Sendable, Hashable {
        /// The tables have come, and the other subtask is no more.
        case done
        /// They are at two places, or one of them has applied something above its mark.
        case unmet
        /// A DDL statement of one of them is not decided.
        case undecided
        /// One of them is not as it was found.
        case outdated
        /// It can't be as long as this is so, in words.
        case refused(String)
    }

    /// Takes all tables of another subtask over, which is no more then: all of it or nothing.
    ///
    /// Both must have been taken over without lanes, by the tokens that the coordinators have; the
    /// other one's coordinator may have the same session.
    ///
    /// - Throws: ``CheckpointError/fenced(detail:)`` when this subtask's run was replaced.
    public func take(over donor: Coordinator, _ handOver: HandOver) throws -> HandOverOutcome {
        guard donor.meta == meta, donor.key.source == key.source, donor.key != key else {
            throw CheckpointError.inconsistent(
                detail: "\(donor.key) is no subtask that \(key) can take tables over from")
        }
        var outcome = HandOverOutcome.done
        do {
            try transaction { connection in
                // This one's row first, wherever both are locked.
                try update("phase=phase", connection)
                do {
                    try donor.update("phase=phase", connection)
                } catch CheckpointError.fenced {
                    return outcome = .outdated
                }
                if let obstacle = try obstacle(to: donor, handOver, connection) {
                    return outcome = obstacle
                }
                try move(from: donor, handOver, connection)
                try update("identity=\(hexLiteral(handOver.identity))", connection)
                try donor.remove(connection)
                try HandedTask(donor.key.task, meta: meta).note(connection)
                // Whoever begins behind this look waits for the record.
                let others = try connection.rows(
                    "SELECT source FROM \(meta.table("subtask")) "
                        + "WHERE task=\(utf8Literal(donor.key.task)) FOR UPDATE")
                guard others.isEmpty else { throw OtherSourcesBegun() }
            }
        } catch is OtherSourcesBegun {
            return .refused("\(donor.key.task) has begun on other sources, too")
        }
        return outcome
    }

    /// Takes back all that the transaction has written.
    private struct OtherSourcesBegun: Error {}

    /// Why it can't be now; `nil` when it can. The rows of both are locked.
    private func obstacle(
        to donor: Coordinator, _ handOver: HandOver, _ connection: Connection
    ) throws -> HandOverOutcome? {
        let (mine, theirs) = (try readPlace(connection), try donor.readPlace(connection))
        guard mine.phase == "follow", theirs.phase == "follow" else { return .outdated }
        guard let mark = mine.mark, let other = theirs.mark, mine.carried.isEmpty,
            theirs.carried.isEmpty, mark.isSamePlace(as: other, knowing: handOver.reference)
        else { return .unmet }
        for subtask in [self, donor] {
            guard try subtask.count("lane", connection) == 0 else {
                throw CheckpointError.inconsistent(
                    detail: "\(subtask.key) hands over while a run of it has lanes")
            }
            guard try subtask.count("ddl", connection) == 0 else { return .undecided }
        }
        let known = try shapeNames(connection)
        guard known == handOver.known, try donor.shapeNames(connection) == handOver.tables else {
            return .outdated
        }
        if let table = known.intersection(handOver.tables).min() {
            return .refused("\(table) is followed by both")
        }
        for (subtask, place) in [(self, mine), (donor, theirs)] {
            if let why = try subtask.openCopy(place, connection) { return .refused(why) }
        }
        return try openRecord(of: donor, at: other, handOver, connection).map { .refused($0) }
    }

    /// A subtask's row, as far as it tells where it is.
    private typealias Place = (
        phase: String, mark: SourcePosition?, carried: IdentitySet, wholeFrom: SourcePosition?
    )

    private func readPlace(_ connection: Connection) throws -> Place {
        let rows = try connection.rows(
            "SELECT phase, HEX(low_water), HEX(carried), HEX(consistent_from) "
                + "FROM \(meta.table("subtask")) WHERE \(key.condition) FOR UPDATE")
        guard let row = rows.first else {
            throw CheckpointError.inconsistent(detail: "the locked row of \(key) is gone")
        }
        return (
            row[0] ?? "", try row[1].map { try SourcePosition(encoded: unhex($0)) },
            try AppliedSet(encoded: unhex(row[2])).identities,
            try row[3].map { try SourcePosition(encoded: unhex($0)) }
        )
    }

    private func count(_ table: String, _ connection: Connection) throws -> Int {
        let found = try connection.value(
            "SELECT COUNT(*) FROM \(meta.table(table)) WHERE \(key.condition)")
        return found.flatMap { Int($0) } ?? 0
    }

    private func shapeNames(_ connection: Connection) throws -> Set<TableName> {
        let rows = try connection.rows(
            "SELECT schema_name, table_name FROM \(meta.table("shape")) "
                + "WHERE \(key.condition) FOR UPDATE")
        return Set(rows.map { TableName(schema: $0[0] ?? "", name: $0[1] ?? "") })
    }

    /// Says so where rows of a copy may hold what comes behind the mark.
    private func openCopy(_ place: Place, _ connection: Connection) throws -> String? {
        // Of attempts that have copied nothing a view without an end may be left.
        let ends = try connection.rows(
            """
            SELECT HEX(high) FROM \(meta.table("snapshot")) WHERE \(key.condition) \
            AND snapshot_id IN (SELECT snapshot_id FROM \(meta.table("chunk")) \
            WHERE \(key.condition))
            """
        ).map { row in try row[0].map { try SourcePosition(encoded: unhex($0)) } }
        let isPassed = SubtaskLook.isPassed(ends + [place.wholeFrom], by: place.mark)
        return isPassed ? nil : "\(key.task) has not passed its copy yet"
    }

    /// Says so where a record of the other one means that something of it is not over.
    private func openRecord(
        of donor: Coordinator, at mark: SourcePosition, _ handOver: HandOver,
        _ connection: Connection
    ) throws -> String? {
        let objects = try StoredObjects(meta: meta, key: donor.key).readLocked(connection)
        let name = donor.key.task
        for object in objects {
            switch object.kind {
            case .table, .loose, .online, .view, .procedure, .function, .trigger, .event,
                .staleView, .staleProcedure, .staleFunction, .left, .found, .objects, .defaults,
                .decision, .validation:
                continue
            case .identity, .coming, .restart: return "\(name) is copying \(object.name)"
            case .stopped: return "\(name) has stopped at a statement, about which a person decides"
            case .hadView, .hadProcedure, .hadFunction:
                return "\(name) is replacing \(object.name), which its switch-over has begun"
            case .adopted:
                guard let end = try Adoption.read([object])?.stretchEnd(),
                    CopyRange(low: end, high: end).isPassed(by: mark)
                else {
                    return "\(name) has not passed what DM may have applied already"
                }
            case .merged:
                let table = try object.decoded(as: MergedTable.self)
                guard table.dropped.isEmpty, !table.isGone else {
                    return "\(table.target) keeps what \(name) has dropped of \(object.name)"
                }
            case .taken, .claim, .handed:
                throw CheckpointError.inconsistent(
                    detail: "\(donor.key) has a record of no subtask (\(object.kind.rawValue))")
            }
        }
        let found = handOver.tables.subtracting(objects.created)
        if !handOver.keepsExisting, let table = found.min() {
            return "\(name) has not created \(table), whose rows may be its users'"
        }
        let own = try StoredObjects(meta: meta, key: key).readLocked(connection)
        // What is decided about it would count for the other one's tables, too.
        guard !own.contains(where: { $0.kind == .stopped }) else {
            return "\(key.task) has stopped at a statement, about which a person decides"
        }
        let mine = Set(own.filter { $0.kind == .online }.map(\.name))
        return objects.first { $0.kind == .online && mine.contains($0.name) }
            .map { "both have an online schema change that is under way as \($0.name)" }
    }

    /// Makes the other one's records this one's.
    private func move(
        from donor: Coordinator, _ handOver: HandOver, _ connection: Connection
    ) throws {
        let objects = StoredObjects(meta: meta, key: key)
        let ledger = CopyLedger(meta: meta, key: key)
        let tables = handOver.tables.sorted()
        // From when it had them itself, before they left it.
        for table in tables {
            try forgetRecords(of: table, connection)
            try connection.execute(ledger.forgetStatement(table))
        }
        let known = Set(
            try objects.readLocked(connection).map { Recorded(kind: $0.kind, name: $0.name) })
        let stored = try StoredObjects(meta: meta, key: donor.key).readLocked(connection)
        for object in stored {
            switch object.kind {
            case .table, .loose:
                // What it has made and does not follow any more is nobody's.
                guard handOver.tables.contains(object.name) else { continue }
            case .online: break
            case .left:
                // The target may have rows of it still, beside which none must be copied.
                guard !handOver.known.contains(object.name) else { continue }
            case .view, .procedure, .function, .trigger, .event, .staleView, .staleProcedure,
                .staleFunction:
                guard !known.contains(Recorded(kind: object.kind, name: object.name)) else {
                    continue
                }
            default: continue
            }
            try connection.execute(objects.storeStatement(object))
        }
        if let adopted = try Adoption.read(stored)?.task {
            try AdoptedTask(adopted, source: key.source, meta: meta).note(connection)
        }
        let moved = try connection.execute(
            "UPDATE \(meta.table("shape")) SET task=\(utf8Literal(key.task)) "
                + "WHERE \(donor.key.condition)")
        guard moved == UInt64(tables.count) else {
            throw CheckpointError.inconsistent(
                detail: "\(moved) shapes of \(donor.key) have come, not \(tables.count)")
        }
        try settle(tables, connection)
        // Whoever has it once keeps it, whatever its settings are later.
        let made = stored.created
        for table in tables where !made.contains(table) {
            try connection.execute(
                objects.storeStatement(StoredObject(kind: .found, name: table, definition: [])))
        }
        for table in handOver.loose {
            let object = try StoredObject(kind: .loose, name: table, encoding: true)
            try connection.execute(objects.storeStatement(object))
        }
        try StaleObjects(meta: meta, key: key).apply(
            handOver.stale.map { .stale($0) }, connection)
    }

    /// Records of tables that have come that the target has them as of the mark: a later copy of
    /// others tells by it that they are not to be copied.
    private func settle(_ tables: [TableName], _ connection: Connection) throws {
        guard !tables.isEmpty else { return }
        guard let mark = try readPlace(connection).mark else {
            throw CheckpointError.inconsistent(detail: "tables come before there is a mark")
        }
        let ledger = CopyLedger(meta: meta, key: key)
        let newest = try connection.value(
            "SELECT MAX(snapshot_id) FROM \(meta.table("snapshot")) WHERE \(key.condition)")
        let id = (newest.flatMap { Int($0) } ?? 0) + 1
        try connection.execute(
            ledger.storeStatement(SnapshotRecord(id: id, low: mark, high: mark, isExact: true)))
        for table in tables {
            try connection.execute(
                ledger.insertStatement(
                    ChunkRecord(
                        table: table, chunk: 0, snapshot: id, from: nil, to: nil, rows: 0)))
        }
    }

    /// Forgets the subtask, whose tables are another one's now, in the open transaction.
    private func remove(_ connection: Connection) throws {
        for name in ["lane", "ddl", "shape", "snapshot", "chunk", "object", "subtask"] {
            try connection.execute("DELETE FROM \(meta.table(name)) WHERE \(key.condition)")
        }
    }

    /// What a record is found by.
    private struct Recorded: Hashable {
        let kind: StoredObject.Kind
        let name: TableName
    }
}
