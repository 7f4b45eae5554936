internal import Foundation
public import MySQLClient
public import MySQLCore

/// An object of the source whose definition the meta schema keeps: a trigger or an event that
/// waits for the switch-over, or the text by which a table was created.
public struct StoredObject: Sendable, Hashable {
    /// What it is.
    public enum Kind: String, Sendable, Hashable {
        /// A table that this subtask created: its definition on the source at that time.
        case table
        /// A table whose copy must start over before anything else happens to it.
        case restart
        /// A view that this subtask created.
        case view
        /// A procedure that this subtask created.
        case procedure
        /// A function that this subtask created; a procedure may have its name.
        case function
        /// A trigger, created at switch-over.
        case trigger
        /// An event, created (or enabled) at switch-over.
        case event
        /// What tells a table from one that takes its name while it is copied.
        case identity
        /// What tables get in a schema of the source that name no charset, as of the low-water
        /// mark: of ``StoredDefaults``.
        case defaults
        /// The statement of the source that the subtask has stopped at.
        case stopped
        /// What an operator has decided about a statement.
        case decision
        /// An online schema change that is under way, as of the low-water mark.
        case online
        /// A table of which rules have left something out that are not in force any more: its rows
        /// need not be the source's, until it is copied anew.
        case loose
        /// A table that other rules have taken in, until its rows are copied.
        case coming
        /// A table that other rules have let go: what the target has of it is nobody's.
        case left
        /// A table that was taken over from another task, which has not created it: the subtask never
        /// empties or drops it to copy it again.
        case found
        /// A table that is merged with others, as its last statement has left it: a
        /// ``MergedTable``.
        case merged
        /// Up to where changed rows were compared, and those that differ.
        case validation
        /// Up to where views and routines were copied, once tables were copied behind that: an
        /// encoded position.
        case objects
        /// A view of which the target has refused a statement.
        case staleView = "stale.view"
        /// A procedure of which it has.
        case staleProcedure = "stale.procedure"
        /// A function of which it has.
        case staleFunction = "stale.function"
        /// A view that is dropped on the target to be replaced, as it was there.
        case hadView = "had.view"
        /// A procedure that is, with what was granted on it.
        case hadProcedure = "had.procedure"
        /// A function that is, with what was granted on it.
        case hadFunction = "had.function"
        /// Up to where another tool may have applied changes before the subtask began: an
        /// ``Adoption``.
        case adopted
        /// A task of another tool's that Skein has gone on with: an ``AdoptedTask``. It is of no
        /// subtask.
        case taken
        /// A table of the target that one load writes to: of ``TableClaims``. It is of no subtask.
        case claim
        /// A task that has handed tables over to another one: of ``HandedTask``. It is of no
        /// subtask.
        case handed
    }

    /// What it is.
    public var kind: Kind
    /// Its schema and name.
    public var name: TableName
    /// Its definition, in a form that the writer chooses.
    public var definition: [UInt8]

    /// Makes an object.
    public init(kind: Kind, name: TableName, definition: [UInt8]) {
        self.kind = kind
        self.name = name
        self.definition = definition
    }

    /// Makes an object of a value, as JSON.
    public init(kind: Kind, name: TableName, encoding value: some Encodable) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        self.init(kind: kind, name: name, definition: Array(try encoder.encode(value)))
    }

    /// The value that it was made of.
    ///
    /// - Throws: ``CheckpointError/unusable(detail:)``.
    public func decoded<Value: Decodable>(as type: Value.Type) throws -> Value {
        do {
            return try JSONDecoder().decode(type, from: Data(definition))
        } catch {
            throw CheckpointError.unusable(
                detail: "the \(kind.rawValue) \(name) has an unknown form")
        }
    }
}

extension [StoredObject] {
    /// Tables that the subtask's copy has created. One that was there before, and has got the name
    /// of such a one, is none of them.
    public var created: Set<TableName> {
        Set(filter { $0.kind == .table }.map(\.name))
            .subtracting(filter { $0.kind == .found }.map(\.name))
    }
}

/// The subtask's rows of the table `object`.
public struct StoredObjects: Sendable {
    private let meta: MetaSchema
    private let key: SubtaskKey

    /// Makes an accessor for one subtask.
    public init(meta: MetaSchema, key: SubtaskKey) {
        self.meta = meta
        self.key = key
    }

    /// All objects, sorted by kind and name.
    public func read(_ connection: Connection) throws -> [StoredObject] {
        let found = try read(connection, lock: "")
        try connection.execute("COMMIT")
        return found
    }

    /// The same, in the transaction that is open: nobody writes them before its end.
    package func readLocked(_ connection: Connection) throws -> [StoredObject] {
        try read(connection, lock: " FOR UPDATE")
    }

    private func read(_ connection: Connection, lock: String) throws -> [StoredObject] {
        let rows = try connection.rows(
            "SELECT kind, schema_name, table_name, HEX(definition) FROM \(meta.table("object")) "
                + "WHERE \(key.condition) ORDER BY kind, schema_name, table_name\(lock)")
        return try rows.map { row in
            let bytes = unhex(row[3])
            guard let kind = row[0].flatMap(StoredObject.Kind.init), bytes.first == 1 else {
                throw CheckpointError.unusable(detail: "an object has an unknown kind or format")
            }
            return StoredObject(
                kind: kind, name: TableName(schema: row[1] ?? "", name: row[2] ?? ""),
                definition: Array(bytes.dropFirst()))
        }
    }

    /// The statement that records an object, or replaces it.
    public func storeStatement(_ object: StoredObject) -> String {
        """
        REPLACE INTO \(meta.table("object")) (task, source, kind, schema_name, table_name, \
        definition) VALUES (\(key.values),'\(object.kind.rawValue)',\
        \(utf8Literal(object.name.schema)),\(utf8Literal(object.name.name)),\
        \(hexLiteral([1] + object.definition)))
        """
    }

    /// The statement that forgets an object.
    public func removeStatement(_ kind: StoredObject.Kind, _ name: TableName) -> String {
        """
        DELETE FROM \(meta.table("object")) WHERE \(key.condition) \
        AND kind='\(kind.rawValue)' AND schema_name=\(utf8Literal(name.schema)) \
        AND table_name=\(utf8Literal(name.name))
        """
    }

    /// The statement that forgets all objects of a kind.
    public func removeStatement(_ kind: StoredObject.Kind) -> String {
        "DELETE FROM \(meta.table("object")) WHERE \(key.condition) AND kind='\(kind.rawValue)'"
    }

    /// The statement that forgets all objects of a kind in a schema.
    package func removeStatement(_ kind: StoredObject.Kind, in schema: String) -> String {
        removeStatement(kind) + " AND schema_name=\(utf8Literal(schema))"
    }

    /// Runs `statements` in one transaction that proves the run. By the coordinator.
    public func write(_ statements: [String], by coordinator: Coordinator) throws {
        guard !statements.isEmpty else { return }
        try coordinator.transaction { connection in
            try coordinator.update("phase=phase", connection)
            for statement in statements { try connection.execute(statement) }
        }
    }
}
