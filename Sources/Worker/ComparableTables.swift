internal import MySQLClient
public import MySQLCore
internal import Rules
internal import Runtime
public import Settings
public import Verification

/// What of a task's tables on one source can be compared with the target, row by row.
public struct ComparableTables: Sendable {
    /// A table that is not compared.
    public struct LeftOut: Sendable, Hashable, CustomStringConvertible {
        /// As the source calls it.
        public let table: TableName
        /// The filter that may leave out something of it, as `filters.keep`.
        public let rule: String

        /// One sentence.
        public var description: String {
            "\(table) is not compared: \(rule) may leave out rows of it, or changes"
        }
    }

    /// Tables that the target is to have as the source has them.
    public private(set) var tables: [ComparedTable] = []
    /// Tables of which filters may leave out something: what the source has says nothing of what
    /// the target is to have.
    public private(set) var leftOut: [LeftOut] = []
    /// What puts rows into the target's tables: all of these, and tables of the task's other
    /// sources, of which no more is known than their rules.
    public private(set) var parts: [TableName: [TablePart]] = [:]

    /// Reads the names of a task's tables from its source; blocks.
    ///
    /// - Throws: ``MigrationError`` when there are none, the server's errors, and where the task's
    ///   routes contradict each other.
    public static func read(_ settings: MigrationSettings) throws -> ComparableTables {
        let connection = try Connection(settings.source)
        try connection.liftTimeLimit()
        var settings = settings
        try settings.settleNames(connection)
        let mapping = settings.mapping
        let reader = SchemaReader(connection)
        var found: [TableName] = []
        for schema in try reader.schemas() where mapping.mayHold(schema: schema) {
            found += try reader.tables(in: schema).map(\.name).filter { mapping.selects($0) }
        }
        guard !found.isEmpty else { throw MigrationError.nothingSelected }
        var out = ComparableTables()
        for table in found.sorted() {
            let route = try mapping.route(of: table)
            let filled = Self.columns(route.extracted)
            out.parts[route.target, default: []].append(TablePart(table: table, filled: filled))
            if let rule = mapping.ruleThatLeavesOut(of: table) {
                out.leftOut.append(LeftOut(table: table, rule: rule))
            } else {
                out.tables.append(
                    ComparedTable(source: table, target: route.target, filled: filled))
            }
        }
        for target in Array(out.parts.keys) {
            for rows in mapping.rowsOfOthers(target: target) {
                out.parts[target]?.append(
                    TablePart(
                        table: nil, filled: Self.columns(rows.filled),
                        needsSameName: rows.needsSameName))
            }
        }
        return out
    }

    private static func columns(_ constants: [ConstantColumn]) -> [FilledColumn] {
        constants.map { FilledColumn(name: $0.name, value: $0.value) }
    }

    /// Options to compare them, which find tables that come meanwhile.
    ///
    /// - Parameter settings: those that they were read with.
    public func options(_ settings: MigrationSettings) -> VerificationOptions {
        var options = VerificationOptions(comparing: tables)
        options.parts = parts
        options.readParts = {
            try await withThread("tables") { try ComparableTables.read(settings).parts }
        }
        return options
    }
}
