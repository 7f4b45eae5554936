public import MySQLCore

/// Decides which schemas and tables are migrated, by DM's block-allow list or by the patterns of
/// `skein migrate`.
///
/// The list works as MySQL's replication filters do. Schemas first: with `do-dbs`, what matches
/// none of them is out; else what matches one of `ignore-dbs` is. Then tables: what matches one of
/// `do-tables` is in; else what matches one of `ignore-tables` is out; else a table is in when
/// `do-tables` is empty. The servers' own schemas are never migrated.
public struct TableFilter: Sendable {
    /// Why a table is migrated or not. Numbers count the patterns of a list from 0.
    public enum Reason: Sendable, Hashable {
        /// A schema of the servers themselves.
        case systemSchema
        /// `do-dbs` has patterns, none of which matches.
        case notInDoSchemas
        /// One of `ignore-dbs`.
        case ignoreSchemas(Int)
        /// One of `do-tables`.
        case doTables(Int)
        /// One of `ignore-tables`.
        case ignoreTables(Int)
        /// `do-tables` has patterns, none of which matches.
        case notInDoTables
        /// Nothing speaks against it.
        case unlisted
        /// The patterns of `skein migrate`.
        case selection
    }

    private struct TablePatterns: Sendable {
        var schema: NamePattern
        var name: NamePattern
    }

    private struct Compiled: Sendable {
        var doSchemas: [NamePattern]
        var doTables: [TablePatterns]
        var ignoreSchemas: [NamePattern]
        var ignoreTables: [TablePatterns]
    }

    private enum Form: Sendable {
        case list(Compiled)
        case selection(TableSelection)
    }

    private let form: Form

    /// Prepares a block-allow list; fails where a pattern is empty or can't be read.
    public init(_ list: BlockAllowList, isCaseSensitive: Bool) throws(RuleError) {
        form = .list(
            Compiled(
                doSchemas: try Self.patterns(list.doSchemas, "do-dbs", isCaseSensitive),
                doTables: try Self.tables(list.doTables, "do-tables", isCaseSensitive),
                ignoreSchemas: try Self.patterns(
                    list.ignoreSchemas, "ignore-dbs", isCaseSensitive),
                ignoreTables: try Self.tables(
                    list.ignoreTables, "ignore-tables", isCaseSensitive)))
    }

    /// Decides as a selection does.
    public init(_ selection: TableSelection) { form = .selection(selection) }

    private static func patterns(
        _ texts: [String], _ key: String, _ isCaseSensitive: Bool
    ) throws(RuleError) -> [NamePattern] {
        var out: [NamePattern] = []
        for (i, text) in texts.enumerated() {
            out.append(
                try NamePattern(text, of: "\(key)[\(i)]", isCaseSensitive: isCaseSensitive))
        }
        return out
    }

    private static func tables(
        _ tables: [BlockAllowList.Table], _ key: String, _ isCaseSensitive: Bool
    ) throws(RuleError) -> [TablePatterns] {
        var out: [TablePatterns] = []
        for (i, table) in tables.enumerated() {
            let key = "\(key)[\(i)]"
            out.append(
                TablePatterns(
                    schema: try NamePattern(
                        table.schema, of: "\(key).db-name", isCaseSensitive: isCaseSensitive),
                    name: try NamePattern(
                        table.name, of: "\(key).tbl-name", isCaseSensitive: isCaseSensitive)))
        }
        return out
    }

    /// Whether a table is migrated.
    public func selects(_ table: TableName) -> Bool { decision(for: table).isSelected }

    /// Whether statements about a schema itself are migrated.
    public func selects(schema: String) -> Bool {
        switch form {
        case .list(let list): Self.refusal(of: schema, by: list) == nil
        case .selection(let selection):
            !SystemSchemas.contains(schema) && selection.mayHold(schema: schema)
        }
    }

    /// Whether some table of the schema could be migrated.
    public func mayHold(schema: String) -> Bool {
        guard selects(schema: schema) else { return false }
        guard case .list(let list) = form, !list.doTables.isEmpty else { return true }
        return list.doTables.contains { $0.schema.matches(schema) }
    }

    /// Whether a table is migrated, and why.
    public func decision(for table: TableName) -> (isSelected: Bool, reason: Reason) {
        let list: Compiled
        switch form {
        case .list(let compiled): list = compiled
        case .selection(let selection):
            if SystemSchemas.contains(table.schema) { return (false, .systemSchema) }
            return (selection.selects(table), .selection)
        }
        if let reason = Self.refusal(of: table.schema, by: list) { return (false, reason) }
        func first(_ patterns: [TablePatterns]) -> Int? {
            patterns.firstIndex {
                $0.schema.matches(table.schema) && $0.name.matches(table.name)
            }
        }
        if let i = first(list.doTables) { return (true, .doTables(i)) }
        if let i = first(list.ignoreTables) { return (false, .ignoreTables(i)) }
        return list.doTables.isEmpty ? (true, .unlisted) : (false, .notInDoTables)
    }

    /// Why nothing of a schema is migrated.
    private static func refusal(of schema: String, by list: Compiled) -> Reason? {
        if SystemSchemas.contains(schema) { return .systemSchema }
        if !list.doSchemas.isEmpty {
            return list.doSchemas.contains { $0.matches(schema) } ? nil : .notInDoSchemas
        }
        return list.ignoreSchemas.firstIndex { $0.matches(schema) }.map { .ignoreSchemas($0) }
    }
}
