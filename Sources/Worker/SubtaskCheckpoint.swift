internal import Checkpoint
public import MySQLClient
public import MySQLCore
internal import Rules
public import Settings

/// What is asked about the statement that a subtask has stopped at.
public enum StatementRequest: Sendable, Hashable {
    /// To show it.
    case show
    /// It is not to run on the target.
    case skip
    /// These are to run in its place.
    case replace([String])
    /// It is to run, and these behind it.
    case inject([String])
    /// What was decided counts no more.
    case revert

    /// Reads a decision by its word.
    ///
    /// - Throws: ``CheckpointRefusal`` for a word that there is none of, and for statements that do
    ///   not fit it.
    public init(decision word: String, _ statements: [String]) throws(CheckpointRefusal) {
        switch word {
        case "replace": self = .replace(statements)
        case "inject": self = .inject(statements)
        case "skip": self = .skip
        case "revert": self = .revert
        default:
            throw CheckpointRefusal(
                .malformed, "a decision is one of skip, replace, inject and revert",
                remedy: "give one of them; nothing was changed")
        }
        let takes = word == "replace" || word == "inject"
        guard takes != statements.isEmpty,
            statements.allSatisfy({ $0.contains { !$0.isWhitespace } })
        else {
            throw CheckpointRefusal(
                .malformed,
                takes
                    ? "\(word) needs statements, and none of them may be empty"
                    : "\(word) takes no statements",
                remedy: takes
                    ? "give each statement as a text of its own" : "use replace or inject for them")
        }
    }
}

/// The statement of the source that a subtask has stopped at, and what was decided about it.
public struct SubtaskStatement: Sendable, Hashable, Codable {
    /// The task.
    public var name: String
    /// The source.
    public var sourceName: String
    /// Where it is in the source's binlog; `nil`: no statement has stopped the subtask.
    public var position: String?
    /// Its text, shortened, without passwords.
    public var statement: String?
    /// Why it has stopped the subtask.
    public var reason: String?
    /// `skip`, `replace` or `inject`; `nil`: nothing was decided.
    public var decision: String?
    /// What is to run in its place, or behind it, without passwords.
    public var statements: [String] = []

    /// Describes a subtask that no statement has stopped.
    public init(name: String, sourceName: String) {
        self.name = name
        self.sourceName = sourceName
    }
}

/// Where a table's shape is taken from.
public enum ShapeOrigin: Sendable, Hashable {
    /// The source's table as it is now.
    case source
    /// The target's table as it is now, without what routes add.
    case target
    /// A CREATE TABLE statement.
    case text(String)
}

/// What is asked about table shapes.
public enum ShapeRequest: Sendable, Hashable {
    /// To show that of a table, or all.
    case show(TableName?)
    /// To set one. `hasRows` says that the target has the table's rows as of the checkpoint's
    /// position, which has to be said of a table whose shape the checkpoint does not hold.
    case set(TableName, ShapeOrigin, hasRows: Bool)
}

/// The table shapes of a subtask's checkpoint.
public struct SubtaskShapes: Sendable, Hashable, Codable {
    /// One table.
    public struct Table: Sendable, Hashable, Codable {
        /// Its schema on the source.
        public var schemaName: String
        /// Its name on the source.
        public var tableName: String
        /// The shape as a CREATE TABLE statement, with what a shape knows.
        public var schemaCreateSql: String
        /// How many values its rows in the binlog have.
        public var columnCount: Int

        /// Describes one.
        public init(
            schemaName: String, tableName: String, schemaCreateSql: String, columnCount: Int
        ) {
            self.schemaName = schemaName
            self.tableName = tableName
            self.schemaCreateSql = schemaCreateSql
            self.columnCount = columnCount
        }
    }
    /// The task.
    public var name: String
    /// The source.
    public var sourceName: String
    /// Where in the source's binlog they hold; `nil` before changes are followed.
    public var position: String?
    /// The tables, by name.
    public var tables: [Table]

    /// Describes them.
    public init(name: String, sourceName: String, position: String?, tables: [Table]) {
        self.name = name
        self.sourceName = sourceName
        self.position = position
        self.tables = tables
    }
}

/// Why a checkpoint is not read or changed as somebody asks for it.
public struct CheckpointRefusal: Error, Sendable, Hashable, CustomStringConvertible {
    /// What it is about.
    public enum Kind: Sendable, Hashable {
        /// The request itself is wrong.
        case malformed
        /// A statement can't be decided about.
        case statement
        /// The subtask is at another place than the one that was looked at.
        case moved
        /// A shape can't be set.
        case shape
        /// There is no such checkpoint.
        case missing
        /// A server could not be asked, or has refused.
        case server
        /// As many checkpoints as may be are being asked about.
        case busy
    }

    /// What it is about.
    public var kind: Kind
    /// One sentence of what happened.
    public var message: String
    /// What to do; `nil` when the message says it.
    public var remedy: String?

    /// Makes one.
    public init(_ kind: Kind, _ message: String, remedy: String? = nil) {
        self.kind = kind
        self.message = message
        self.remedy = remedy?.isEmpty == true ? nil : remedy
    }

    /// The message.
    public var description: String { message }
}

/// What operators look at in a subtask's checkpoint, and change there. All of it works on the target
/// alone, whether a worker has the subtask or not; what must not be changed under a run is refused
/// while one goes on.
///
/// Calls block their thread for as long as the servers take.
public struct SubtaskCheckpoint: Sendable {
    private let task: String
    private let source: String
    private let metaSchema: String
    private let target: ConnectionOptions
    private let server: ConnectionOptions?

    /// That of a subtask of a task.
    public init(_ settings: MigrationSettings) {
        self.init(
            task: settings.name, source: settings.sourceID ?? settings.source.server,
            metaSchema: settings.metaSchema, target: settings.target, server: settings.source)
    }

    /// That of a subtask by its names in the meta schema.
    ///
    /// - Parameter server: the source, which is needed to set shapes only.
    public init(
        task: String, source: String, metaSchema: String, target: ConnectionOptions,
        server: ConnectionOptions?
    ) {
        self.task = task
        self.source = source
        self.metaSchema = metaSchema
        self.target = Self.bounded(target)
        self.server = server.map { Self.bounded($0) }
    }

    private var meta: MetaSchema { MetaSchema(name: metaSchema) }
    private var key: SubtaskKey { SubtaskKey(task: task, source: source) }

    /// How long a row of the checkpoint is waited for, in seconds: runs hold them for milliseconds,
    /// and whoever asks waits.
    private static let lockWait = 5

    /// How long a server may say nothing, in seconds: longer than the locks above are waited for.
    private static let silenceLimit: UInt32 = 30

    /// A server as it is asked here: one that has gone must not hold whoever asks for hours.
    private static func bounded(_ options: ConnectionOptions) -> ConnectionOptions {
        var options = options
        if options.readTimeoutSeconds == 0 { options.readTimeoutSeconds = silenceLimit }
        if options.writeTimeoutSeconds == 0 { options.writeTimeoutSeconds = silenceLimit }
        return options
    }

    /// A connection to the target, and the subtask's state.
    ///
    /// - Throws: `CheckpointError.missing`, `MySQLError`.
    private func open() throws -> (Connection, SubtaskState) {
        let connection = try Connection(target)
        // A machine that is lost in the middle of a change must not hold its rows for hours.
        try connection.execute(
            "SET SESSION innodb_lock_wait_timeout=\(Self.lockWait), "
                + "lock_wait_timeout=\(Self.lockWait), wait_timeout=30")
        guard try meta.exists(connection),
            let state = try Takeover(meta: meta, key: key).peek(connection)
        else {
            throw CheckpointError.missing(detail: "no subtask \(key) in \(meta.name)")
        }
        return (connection, state)
    }

    // MARK: the statement that has stopped it

    /// Shows the statement that the subtask has stopped at, or decides about it, durably.
    ///
    /// - Parameter position: of the statement that is meant, as it was shown; `nil`: whichever it is.
    /// - Throws: `UndecidableStatement`, `CheckpointError`, `MySQLError`.
    public func statement(
        _ request: StatementRequest, at position: String? = nil
    ) throws -> SubtaskStatement {
        let (connection, _) = try open()
        let decisions = StatementDecisions(meta: meta, key: key)
        switch request {
        case .show: break
        case .skip: _ = try decisions.decide(.skip, at: position, connection)
        case .replace(let texts):
            _ = try decisions.decide(.replace(texts), at: position, connection)
        case .inject(let texts): _ = try decisions.decide(.inject(texts), at: position, connection)
        case .revert: _ = try decisions.revert(at: position, connection)
        }
        let (stopped, decided) = try decisions.read(connection)
        var answer = SubtaskStatement(name: task, sourceName: source)
        guard let stopped else { return answer }
        answer.position = stopped.position
        answer.statement = stopped.statement
        answer.reason = stopped.reason
        switch decided[stopped.key] {
        case nil: break
        case .skip: answer.decision = "skip"
        case .replace(let statements):
            answer.decision = "replace"
            answer.statements = statements.map { withoutSecrets($0) }
        case .inject(let statements):
            answer.decision = "inject"
            answer.statements = statements.map { withoutSecrets($0) }
        }
        return answer
    }

    // MARK: shapes

    /// Shows table shapes, or sets one, durably: rows from the checkpoint's position on are read by
    /// it when the subtask goes on.
    ///
    /// - Parameter position: where the checkpoint was when the shape was chosen, as it was shown;
    ///   `nil`: wherever it is.
    /// - Throws: `UnsettableShape`, `CheckpointError`, `MySQLError`, `UnknownColumnType`.
    public func shapes(
        _ request: ShapeRequest, at position: String? = nil
    ) throws -> SubtaskShapes {
        let (connection, state) = try open()
        let shown: TableName?
        switch request {
        case .show(let table): shown = table
        case .set(let table, let origin, let hasRows):
            // That it is still there is looked at again behind the lock.
            if let position, position != state.shownPosition {
                throw UnsettableShape(
                    "\(key) is at \(state.shownPosition ?? "no position yet"), not at \(position)",
                    remedy: "look at the shape once more, and say what it was there",
                    isElsewhere: true)
            }
            try set(table, origin, hasRows: hasRows, state, connection)
            shown = table
        }
        let shapes = try StoredShapes(meta: meta, key: key).read(connection)
        let chosen = shapes.filter { shown == nil || $0.name == shown }
        if chosen.isEmpty, let shown {
            throw UnsettableShape(
                missing: shown,
                shapes.isEmpty ? "it holds none" : "it holds those of \(shapes.count) tables")
        }
        return SubtaskShapes(
            name: task, sourceName: source,
            position: state.shownPosition,
            tables: chosen.sorted { $0.name < $1.name }.map { shape in
                .init(
                    schemaName: shape.name.schema, tableName: shape.name.name,
                    schemaCreateSql: shape.createStatement, columnCount: shape.columns.count)
            })
    }

    private func set(
        _ table: TableName, _ origin: ShapeOrigin, hasRows: Bool, _ state: SubtaskState,
        _ connection: Connection
    ) throws {
        guard let server else {
            throw SettingsError("which server is the source: --source mysql://user@host:port")
        }
        try StoredShapes.requireFollowing(state)
        guard
            let mapping = try MigrationIdentity(encoded: state.identity)?
                .mapping(Connection(server))
        else {
            throw CheckpointError.unusable(detail: "the rules of \(key) can't be read")
        }
        guard mapping.selects(table) else {
            throw UnsettableShape(
                "\(table) is none of the tables that the task migrates",
                remedy: "give the table's name on the source, as the source spells it")
        }
        let stored = StoredShapes(meta: meta, key: key)
        let chosen = ChosenShape(
            table: table, mapping: mapping, source: server, target: connection,
            known: Set(try stored.read(connection).map(\.name)))
        try stored.set(chosen.shape(origin), known: state, hasRows: hasRows, connection)
    }
}

extension SubtaskState {
    /// Where the shapes hold, for people; `nil` before changes are followed.
    fileprivate var shownPosition: String? { phase == "start" ? nil : lowWater?.description }
}

extension UnsettableShape {
    /// There is none to show.
    fileprivate init(missing table: TableName, _ words: String) {
        self.init(
            "the checkpoint has none of \(table): \(words)",
            remedy: "give the table's name on the source, as the source spells it; without --table "
                + "all are shown")
    }
}
