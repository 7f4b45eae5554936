public import MySQLClient
public import MySQLCore

// What the target has refused of a view or routine is a record of the subtask in the table
// `object`, one for each of them. It is written, and removed, in the transaction that completes the
// statement: before that the statement is run again after a crash, and behind it never. What is
// left out without being run is recorded with the mark that holds it, which is durable before the
// next statement runs.

/// A view or routine that the target need not have as the source has it: a statement was refused.
/// The switch-over makes it what it is on the source.
public struct StaleObject: Sendable, Hashable, Codable {
    /// What it is.
    public enum Kind: String, Sendable, Hashable, Codable, CaseIterable {
        /// A view.
        case view
        /// A procedure.
        case procedure
        /// A function; a procedure may have its name.
        case function

        /// What its record is called.
        public var stored: StoredObject.Kind {
            switch self {
            case .view: .staleView
            case .procedure: .staleProcedure
            case .function: .staleFunction
            }
        }

        /// What the record is called of one that is dropped on the target to be replaced.
        package var replaced: StoredObject.Kind {
            switch self {
            case .view: .hadView
            case .procedure: .hadProcedure
            case .function: .hadFunction
            }
        }
    }

    /// What tells it from others.
    public struct ID: Sendable, Hashable, Codable, CustomStringConvertible {
        /// What it is.
        public var kind: Kind
        /// Its name, the same on both servers. Case does not count in names of procedures and
        /// functions, but in the rules that select them.
        public var name: TableName

        /// Names one.
        public init(_ kind: Kind, _ name: TableName) {
            self.kind = kind
            self.name = name
        }

        /// What it is recorded under, however it is spelled.
        package var key: TableName {
            kind == .view
                ? name : TableName(schema: name.schema, name: name.name.lowercased())
        }

        /// Whether both name the same one.
        public static func == (a: Self, b: Self) -> Bool { a.kind == b.kind && a.key == b.key }

        /// Spellings of one have one hash.
        public func hash(into hasher: inout Hasher) {
            hasher.combine(kind)
            hasher.combine(key)
        }

        /// Kind and name.
        public var description: String { "\(kind.rawValue) \(name)" }
    }

    /// The target's definition when an operator was asked to do something about it.
    public struct Asked: Sendable, Hashable, Codable {
        /// The server's version: another one may word the same definition in another way.
        public var version: String
        /// A digest of the definition.
        public var digest: String

        /// Makes one.
        public init(version: String, digest: String) {
            self.version = version
            self.digest = digest
        }
    }

    /// Which one it is.
    public var id: ID
    /// Where the statement is in the source's binlog, for people.
    public var position: String
    /// Why the target has refused it, or why it was not run.
    public var reason: String
    /// Set when a switch-over was refused because of it, and nothing has changed it since: if the
    /// target then has another definition, somebody has made it what it is to be there.
    public var asked: Asked?

    /// Makes one of a statement.
    public init(_ id: ID, position: String, reason: String) {
        self.id = id
        self.position = position
        self.reason = reason
    }

    /// What an operator is told while nothing has been done about it.
    public var warning: String {
        "\(id) need not be what it is on the source, since the target has not taken a statement "
            + "(at \(position)): \(reason); the switch-over creates it as the source has it then"
    }
}

/// What a statement, or a switch-over, means for what is known of a view or routine.
public enum ObjectEffect: Sendable, Hashable {
    /// It is what the statement says, or gone.
    case settled(StaleObject.ID)
    /// Something about it has changed, or nothing: what was refused before is missing still.
    case touched(StaleObject.ID)
    /// It is not what the source has.
    case stale(StaleObject)
    /// All of a schema are gone.
    case emptied(schema: String)
}

/// The subtask's records of views and routines that the target has refused.
public struct StaleObjects: Sendable {
    private let objects: StoredObjects

    /// Makes an accessor for one subtask.
    public init(meta: MetaSchema, key: SubtaskKey) {
        objects = StoredObjects(meta: meta, key: key)
    }

    /// All of them, sorted by kind and name.
    public func read(_ connection: Connection) throws -> [StaleObject] {
        try Self.select(try objects.read(connection))
    }

    /// Those of the subtask's records that are such.
    public static func select(_ objects: [StoredObject]) throws -> [StaleObject] {
        let kinds = Set(StaleObject.Kind.allCases.map(\.stored))
        return try objects.filter { kinds.contains($0.kind) }.map {
            try $0.decoded(as: StaleObject.self)
        }
    }

    /// Writes what has become of some, in a transaction that is open and proves the run.
    package func apply(_ effects: [ObjectEffect], _ connection: Connection) throws {
        for effect in effects {
            switch effect {
            case .settled(let id):
                try connection.execute(objects.removeStatement(id.kind.stored, id.key))
            case .stale(let object):
                try connection.execute(objects.storeStatement(try Self.record(object)))
            case .touched(let id):
                let known = try Self.select(try objects.readLocked(connection))
                guard var object = known.first(where: { $0.id == id }), object.asked != nil else {
                    continue
                }
                object.asked = nil
                try connection.execute(objects.storeStatement(try Self.record(object)))
            case .emptied(let schema):
                for kind in StaleObject.Kind.allCases {
                    try connection.execute(objects.removeStatement(kind.stored, in: schema))
                }
            }
        }
    }

    /// Writes what has become of some. By the coordinator, on a run without lanes.
    public func write(_ effects: [ObjectEffect], by coordinator: Coordinator) throws {
        guard !effects.isEmpty else { return }
        try coordinator.transaction { connection in
            try coordinator.update("phase=phase", connection)
            try apply(effects, connection)
        }
    }

    private static func record(_ object: StaleObject) throws -> StoredObject {
        try StoredObject(kind: object.id.kind.stored, name: object.id.key, encoding: object)
    }
}

extension ObjectChange {
    /// A view or routine is not what the source has, from a statement on that was not run.
    public init(stale object: StaleObject) throws {
        try self.init(object.id.kind.stored, object.id.key, object)
    }
}
