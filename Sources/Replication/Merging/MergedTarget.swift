internal import Checkpoint
internal import MySQLCore
internal import MySQLSyntax

/// A table of the target that several tables are merged into, as it is there.
struct MergedTarget: Sendable {
    /// Its columns and keys.
    var shape: TableShape
    /// Its columns as the server defines them, by lower-case names.
    var definitions: [String: ColumnDefinition] = [:]
    /// Its CHECK constraints.
    var checks: Set<String> = []
    /// Columns that routes fill, in lower case.
    private(set) var filled: Set<String>

    init(
        shape: TableShape, definitions: [ColumnDefinition] = [], checks: Set<String> = [],
        filled: [String] = []
    ) {
        self.shape = shape
        for definition in definitions {
            self.definitions[definition.name.lowercased()] = definition
        }
        self.checks = checks
        self.filled = Set(filled.map { $0.lowercased() })
    }

    func column(_ name: String) -> ColumnShape? {
        shape.columnIndex(name).map { shape.columns[$0] }
    }

    func key(_ name: String) -> KeyShape? { shape.key(name) }

    func isFilled(_ name: String) -> Bool { filled.contains(name.lowercased()) }

    func defaultValue(of column: ColumnShape) -> PlainDefault {
        PlainDefault(definitions[column.name.lowercased()]?.defaultValue, of: column)
    }

    /// Whether rows that don't name a column have a value in it.
    func givesValue(in column: ColumnShape) -> Bool {
        column.isNullable || column.generation != nil || column.isAutoIncrement
            || isFilled(column.name) || defaultValue(of: column) != .none
    }
}

/// Has all tables that go to one have the same columns where one of them has no key: its rows are found
/// by all of their columns, and one of another table that has more may be taken for one of them.
func requireSameColumns(_ tables: [TableShape]) throws(MergeConflict) {
    guard let keyless = tables.first(where: { $0.identifyingKey == nil }),
        Set(tables.map(\.baseColumns)).count > 1
    else { return }
    throw MergeConflict(
        "rows of \(keyless.name), which has no key, are found by all their columns, of which the "
            + "tables would not have the same any more")
}

/// Why a statement on one of several merged tables can't be followed by itself.
struct MergeConflict: Error, Sendable, Hashable, CustomStringConvertible {
    var description: String

    init(_ description: String) { self.description = description }
}

extension TableShape {
    /// The key of that name; servers compare it without case.
    func key(_ name: String) -> KeyShape? {
        keys.first { $0.name.lowercased() == name.lowercased() }
    }

    /// The same where JSON is a text.
    var withJSONAsText: TableShape {
        var shape = self
        for i in shape.columns.indices where shape.columns[i].type.kind == .json {
            shape.columns[i].type.kind = .longtext
            shape.columns[i].charset = "utf8mb4"
        }
        return shape
    }

    fileprivate var baseColumns: Set<String> {
        Set(columns.filter { $0.generation == nil }.map { $0.name.lowercased() })
    }
}
