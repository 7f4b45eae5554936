internal import Foundation
public import MySQLClient
public import MySQLCore

/// What the coordinator, the only writer of the subtask's row, does.
public struct Coordinator {
    private let session: TargetSession
    let meta: MetaSchema
    let key: SubtaskKey
    private let token: RunToken

    /// Makes the coordinator of a run.
    public init(session: TargetSession, meta: MetaSchema, key: SubtaskKey, token: RunToken) {
        self.session = session
        self.meta = meta
        self.key = key
        self.token = token
    }

    /// What all lanes of this run have committed above the mark, as this server holds it now:
    /// rows, not acknowledgements.
    public func readDone() throws -> [IdentitySet] {
        let rows = try session.connection.rows(
            "SELECT HEX(done) FROM \(meta.table("lane")) "
                + "WHERE \(key.condition) AND run=\(token.literal) ORDER BY lane")
        try session.connection.execute("COMMIT")
        var out: [IdentitySet] = []
        for row in rows { out.append(try AppliedSet(encoded: unhex(row[0])).identities) }
        return out
    }

    /// Moves the low-water mark. When it returns, the mark is durable, and lanes may leave out of
    /// `done` what it holds.
    ///
    /// - Parameters:
    ///   - mark: the new mark; it never goes back.
    ///   - carried: transactions above it that earlier runs applied; its digest is that of all
    ///     above it, less that of what this run's lanes have committed ever.
    ///   - tail: digest of the newest transaction in the mark.
    ///   - shapes: tables whose shape changed up to the mark; `nil` for dropped ones.
    ///   - objects: records that change with the mark, in order.
    /// - Throws: ``CheckpointError/fenced(detail:)`` when the run was replaced.
    public func write(
        mark: SourcePosition, carried: AppliedSet, tail: [UInt8],
        shapes: [(TableName, TableShape?)] = [], objects changes: [ObjectChange] = []
    ) throws {
        let objects = StoredObjects(meta: meta, key: key)
        try transaction { connection in
            try update(
                "low_water=\(hexLiteral(mark.encoded)), carried=\(hexLiteral(carried.encoded)), "
                    + "tail=\(hexLiteral(tail))", connection)
            for (name, shape) in shapes { try writeShape(name, shape, connection) }
            for change in changes {
                try connection.execute(
                    change.stored.map { objects.storeStatement($0) }
                        ?? objects.removeStatement(change.kind, change.name))
            }
        }
    }

    /// Ends the copy: stores where replication starts, from where on transactions are whole, and
    /// the shapes that hold at the start. The phase becomes `follow`.
    ///
    /// - Parameter replacing: `nil` for the first copy. After tables were copied again in a
    ///   subtask that was following already, those tables: the mark and all other shapes stay.
    /// - Parameter adopting: what another tool has left, where the subtask goes on with that.
    /// - Parameter isAnew: whether that takes into account that Skein has gone on with the other
    ///   tool's task before.
    /// - Returns: false, with nothing done, where Skein has gone on with it and that is not so.
    @discardableResult
    public func beginFollowing(
        from start: SourcePosition, consistentFrom: SourcePosition, shapes: [TableShape],
        replacing: Set<TableName>? = nil, adopting: Adoption? = nil, isAnew: Bool = false
    ) throws -> Bool {
        let low = replacing == nil ? "low_water=\(hexLiteral(start.encoded)), " : ""
        var hasBegun = false
        try transaction { connection in
            if let adopting {
                try update("phase=phase", connection)
                let task = AdoptedTask(adopting.task, source: key.source, meta: meta)
                guard try task.note(connection) || isAnew else { return }
            }
            let objects = StoredObjects(meta: meta, key: key)
            if replacing != nil {
                try update("phase=phase", connection)
                try keepObjectsPlace(objects, connection)
            }
            try update(
                "phase='follow', \(low)consistent_from=\(hexLiteral(consistentFrom.encoded))",
                connection)
            for kind in [StoredObject.Kind.identity, .coming] {
                try connection.execute(objects.removeStatement(kind))
            }
            if replacing == nil {
                try connection.execute(objects.removeStatement(.objects))
                try connection.execute(
                    "DELETE FROM \(meta.table("shape")) WHERE \(key.condition)")
            }
            for shape in shapes where replacing?.contains(shape.name) ?? true {
                try writeShape(shape.name, shape, connection)
                try connection.execute(objects.removeStatement(.merged, shape.name))
            }
            if let adopting {
                let object = try StoredObject(
                    kind: .adopted, name: Adoption.name, encoding: adopting)
                try connection.execute(
                    StoredObjects(meta: meta, key: key).storeStatement(object))
            }
            hasBegun = true
        }
        return hasBegun
    }

    /// Views and routines are copied once: of what is copied later they are no part, and statements
    /// on them count from where they were copied.
    private func keepObjectsPlace(_ objects: StoredObjects, _ connection: Connection) throws {
        guard try !objects.readLocked(connection).contains(where: { $0.kind == .objects }),
            let place = try connection.value(
                "SELECT HEX(consistent_from) FROM \(meta.table("subtask")) "
                    + "WHERE \(key.condition)")
        else { return }
        try connection.execute(
            objects.storeStatement(
                StoredObject(
                    kind: .objects, name: TableName(schema: "", name: ""),
                    definition: unhex(place))))
    }

    /// Sets the phase.
    public func setPhase(_ phase: String) throws {
        try transaction { connection in
            try update("phase=\(utf8Literal(phase))", connection)
        }
    }

    /// Replaces what the subtask is stored for.
    public func identify(as identity: [UInt8]) throws {
        try transaction { connection in
            try update("identity=\(hexLiteral(identity))", connection)
        }
    }

    /// Forgets the subtask: its row, and all that hangs on it. That Skein has gone on with another
    /// tool's task stays known.
    ///
    /// - Parameter adopting: the other tool's task that is to be gone on with anew; the one that
    ///   the subtask has begun with counts in any case.
    public func forget(adopting task: String? = nil) throws {
        try transaction { connection in
            try update("phase=phase", connection)
            let objects = try StoredObjects(meta: meta, key: key).readLocked(connection)
            let adopted = try Adoption.read(objects)?.task
            for name in [task, adopted].compactMap({ $0 }) {
                try AdoptedTask(name, source: key.source, meta: meta).note(connection)
            }
            for name in ["lane", "ddl", "shape", "snapshot", "chunk", "object", "subtask"] {
                try connection.execute("DELETE FROM \(meta.table(name)) WHERE \(key.condition)")
            }
        }
    }

    /// Shows that the run lives, and keeps the session open.
    public func beat() throws {
        try transaction { connection in try update("phase=phase", connection) }
    }

    /// Runs `body` in a transaction whose first statement proves the run: the subtask's row is
    /// updated under the token. For records that only the coordinator writes.
    public func transaction(_ body: (Connection) throws -> Void) throws {
        let connection = session.connection
        do {
            try connection.execute("START TRANSACTION")
            try body(connection)
            try connection.execute("COMMIT")
        } catch let error as MySQLError where error.isConnectionLost {
            throw error
        } catch {
            try connection.execute("ROLLBACK")
            throw error
        }
    }

    /// Updates columns of the subtask's row under the token, in an open transaction.
    public func update(_ assignments: String, _ connection: Connection) throws {
        let matched = try connection.execute(
            "UPDATE \(meta.table("subtask")) SET \(assignments), beat=beat+1 "
                + "WHERE \(key.condition) AND run=\(token.literal)")
        guard matched == 1 else {
            throw CheckpointError.fenced(detail: "the subtask's token is gone")
        }
    }

    /// Sends a following subtask back to copying one table: its rows on the target are of no use
    /// any more. Everything else keeps its place.
    public func copyAgain(_ table: TableName) throws {
        let objects = StoredObjects(meta: meta, key: key)
        try transaction { connection in
            try update("phase='copy'", connection)
            try connection.execute(
                objects.storeStatement(
                    StoredObject(kind: .restart, name: table, definition: [])))
        }
    }

    func writeShape(
        _ name: TableName, _ shape: TableShape?, _ connection: Connection
    ) throws {
        guard let shape else {
            try connection.execute(
                """
                DELETE FROM \(meta.table("shape")) WHERE \(key.condition) \
                AND schema_name=\(utf8Literal(name.schema)) AND table_name=\(utf8Literal(name.name))
                """)
            return
        }
        try connection.execute(try StoredShapes(meta: meta, key: key).storeStatement(shape))
    }
}

/// What becomes of a record of the subtask when the mark moves.
public struct ObjectChange: Sendable, Hashable {
    /// Its kind.
    public var kind: StoredObject.Kind
    /// What it is recorded under.
    public var name: TableName
    /// The new record; `nil` where it is forgotten.
    public var stored: StoredObject?

    /// A record is forgotten.
    public init(removing kind: StoredObject.Kind, _ name: TableName) {
        self.kind = kind
        self.name = name
    }

    /// A value is recorded, as JSON; nothing is left where it is `nil`.
    public init(
        _ kind: StoredObject.Kind, _ name: TableName, _ value: (some Encodable)?
    ) throws {
        self.init(removing: kind, name)
        stored = try value.map { try StoredObject(kind: kind, name: name, encoding: $0) }
    }
}
