public import MySQLCore

/// What new tables get in the source's schemas, as of the low-water mark.
///
/// The source can only be asked for what holds now. Where statements are still to come that it has
/// run already, that is something else: a schema that one of them creates would be taken for one
/// that is there, and a table that was created before the schema's charset changed for one that got
/// the new one.
public struct StoredDefaults: Sendable, Hashable {
    /// By the schemas' names.
    public private(set) var schemas: [String: SchemaDefaults]

    /// Tells a source without schemas from one that nothing is stored of.
    private static let all = TableName(schema: "", name: "")
    private var isStored: Bool

    /// Of a subtask that nothing is stored of.
    public init() {
        schemas = [:]
        isStored = false
    }

    /// Of a subtask that these are stored of.
    public init(storing schemas: [String: SchemaDefaults]) {
        self.schemas = schemas
        isStored = true
    }

    /// What is stored; `nil` where nothing is.
    ///
    /// - Parameter objects: all of the subtask's.
    /// - Throws: ``CheckpointError/unusable(detail:)``.
    public init?(_ objects: [StoredObject]) throws {
        let own = objects.filter { $0.kind == .defaults }
        guard own.contains(where: { $0.name == Self.all }) else { return nil }
        isStored = true
        schemas = [:]
        for object in own where object.name != Self.all {
            schemas[object.name.schema] = try object.decoded(as: SchemaDefaults.self)
        }
    }

    /// Becomes what holds at a later place.
    ///
    /// - Returns: the records that change, to be stored with the mark of that place.
    public mutating func change(
        to later: [String: SchemaDefaults]
    ) throws -> [ObjectChange] {
        var changes: [ObjectChange] = []
        if !isStored { changes.append(try ObjectChange(.defaults, Self.all, true)) }
        isStored = true
        for name in Set(schemas.keys).union(later.keys).sorted()
        where schemas[name] != later[name] {
            let record = TableName(schema: name, name: "")
            changes.append(try ObjectChange(.defaults, record, later[name]))
        }
        schemas = later
        return changes
    }

    /// The statements that store what holds where a copy has its newest view, in the place of what
    /// was stored before.
    public static func statements(
        _ schemas: [String: SchemaDefaults], _ objects: StoredObjects
    ) throws -> [String] {
        var none = StoredDefaults()
        return [objects.removeStatement(.defaults)]
            + (try none.change(to: schemas).compactMap(\.stored).map(objects.storeStatement))
    }
}
