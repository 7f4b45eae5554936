internal import Foundation
public import MySQLClient
public import MySQLCore

/// Why a table's shape can't be set.
public struct UnsettableShape: Error, Sendable, Hashable, CustomStringConvertible {
    /// Why, in words.
    public var detail: String
    /// What to do; empty where that is said.
    public var remedy: String
    /// Whether the checkpoint is not where it was when it was looked at.
    public var isElsewhere: Bool

    /// Makes one.
    public init(_ detail: String, remedy: String = "", isElsewhere: Bool = false) {
        self.detail = detail
        self.remedy = remedy
        self.isElsewhere = isElsewhere
    }

    /// One sentence.
    public var description: String { "the table's shape can't be set: \(detail)" }
}

/// The table shapes at the low-water mark.
public struct StoredShapes: Sendable {
    private let meta: MetaSchema
    private let key: SubtaskKey

    /// Makes an accessor for one subtask.
    public init(meta: MetaSchema, key: SubtaskKey) {
        self.meta = meta
        self.key = key
    }

    /// Reads all of them.
    public func read(_ connection: Connection) throws -> [TableShape] {
        let found = try read(connection, where: key.condition)
        try connection.execute("COMMIT")
        return found
    }

    private func read(_ connection: Connection, where condition: String) throws -> [TableShape] {
        let rows = try connection.rows(
            "SELECT HEX(shape) FROM \(meta.table("shape")) WHERE \(condition)")
        return try rows.map { row in
            let bytes = unhex(row[0])
            guard bytes.first == 1 else {
                throw CheckpointError.unusable(detail: "a table shape has an unknown format")
            }
            return try JSONDecoder().decode(TableShape.self, from: Data(bytes.dropFirst()))
        }
    }

    /// The statement that records a shape, or replaces it.
    func storeStatement(_ shape: TableShape) throws -> String {
        let encoded = [1] + Array(try JSONEncoder().encode(shape))
        return """
            REPLACE INTO \(meta.table("shape")) (task, source, schema_name, table_name, shape) \
            VALUES (\(key.values),\(utf8Literal(shape.name.schema)),\
            \(utf8Literal(shape.name.name)),\(hexLiteral(encoded)))
            """
    }

    /// Takes a shape in the place of the one that is stored, durably: rows from the mark on are
    /// read by it when the subtask goes on.
    ///
    /// - Parameters:
    ///   - known: what the subtask was when the shape was chosen.
    ///   - hasRows: whether the target has the table's rows as of the mark. That is certain only of
    ///     a table whose shape is stored.
    /// - Throws: ``UnsettableShape`` where the subtask runs or does not follow changes, where
    ///   something of it has changed since, or where no shape of the table is stored and nobody has
    ///   said that its rows are there.
    public func set(
        _ shape: TableShape, known: SubtaskState, hasRows: Bool, _ connection: Connection
    ) throws {
        let running = UnsettableShape(
            "the subtask is running", remedy: "pause the task first, or wait until it has stopped")
        try RestingSubtask(meta: meta, key: key).change(connection, running: running) {
            let row = try connection.rows(
                "SELECT phase, HEX(low_water), HEX(identity) FROM \(meta.table("subtask")) "
                    + "WHERE \(key.condition)"
            ).first
            guard let row, row[0] == known.phase, unhex(row[2]) == known.identity,
                try row[1].map({ try SourcePosition(encoded: unhex($0)) }) == known.lowWater
            else {
                throw UnsettableShape(
                    "the subtask has gone on meanwhile", remedy: "look at the shape once more",
                    isElsewhere: true)
            }
            try Self.requireFollowing(known)
            let begun = try connection.value(
                "SELECT COUNT(*) FROM \(meta.table("ddl")) WHERE \(key.condition) FOR UPDATE")
            guard begun == "0" else {
                throw UnsettableShape(
                    "a DDL statement is on its way, whose outcome is read by the shapes that are "
                        + "stored",
                    remedy: "let the subtask go on until the statement is done, or is undone")
            }
            let stored = try read(
                connection,
                where: "\(key.condition) AND schema_name=\(utf8Literal(shape.name.schema)) "
                    + "AND table_name=\(utf8Literal(shape.name.name)) FOR UPDATE")
            guard !stored.isEmpty || hasRows else {
                throw UnsettableShape(
                    "the checkpoint holds no shape of \(shape.name), so that nothing tells whether "
                        + "the target has its rows",
                    remedy: "look that the target has the table's rows as of the checkpoint's "
                        + "position, and say so (--rows-are-there)")
            }
            try connection.execute(try storeStatement(shape))
            // What was told of it to others is told anew.
            try connection.execute(
                MergedTables(meta: meta, key: key).removeStatement(shape.name))
        }
    }

    /// Refuses a subtask that reads no rows by its stored shapes.
    ///
    /// - Throws: ``UnsettableShape``.
    public static func requireFollowing(_ state: SubtaskState) throws {
        switch state.phase {
        case "follow": return
        case "start", "copy":
            throw UnsettableShape(
                "the subtask does not follow changes yet: it takes shapes from the source when it "
                    + "begins to", remedy: "let it come that far")
        default:
            throw UnsettableShape("the subtask is over: no rows are read any more")
        }
    }
}
