internal import Foundation
internal import MySQLCore
internal import Rules

extension MigrationSettings {
    /// What chooses the tables, views and the like of a dump.
    private struct Choice: Codable {
        var tables: BlockAllowList?
        var isCaseSensitive: Bool?
        var onlineSchemaChange: OnlineSchemaChangeRules?
        /// Where no rules say it.
        var selection: TableSelection?
        var followsOnlineDDL: Bool?
        /// What rows must meet.
        var condition: String?
        var rows: RowChoice?
    }

    /// What leaves rows out of a dump.
    private struct RowChoice: Codable {
        /// Schema, table and expression.
        var expressions: [[String]]
        var timeZoneOffset: Int?
        var timeZone: NamedZone?
    }

    /// What chooses the tables, views and the like of a dump, the same wherever it is asked for.
    /// Where tables go is not in it: a dump's files have the source's names.
    public func dumpRules() throws -> DumpRules {
        var choice = Choice()
        if let rules {
            choice.tables = rules.tables
            choice.isCaseSensitive = rules.isCaseSensitive
            choice.onlineSchemaChange = rules.onlineSchemaChange
        } else {
            choice.selection = selection
            choice.followsOnlineDDL = followsOnlineDDL
        }
        choice.condition = files?.condition
        choice.rows = rowChoice
        let earlier = try digest(of: choice)
        // Any pattern of a list may match, and how often or where it is written says nothing.
        choice.tables = choice.tables?.inOneOrder
        choice.onlineSchemaChange = choice.onlineSchemaChange?.inOneOrder
        choice.selection = choice.selection?.inOneOrder
        return DumpRules(
            digest: try digest(of: choice), earlierDigest: earlier,
            rowDigest: try choice.rows.map { try digest(of: $0) })
    }

    /// `nil` where no expression leaves rows out.
    private var rowChoice: RowChoice? {
        guard let rules else { return nil }
        let texts = rules.expressionFilters.compactMap { rule in
            rule.insertExpression.map { [rule.schema, rule.table, $0] }
        }
        guard !texts.isEmpty else { return nil }
        return RowChoice(
            expressions: once(texts) { $0 }, timeZoneOffset: rules.timeZoneOffset,
            timeZone: rules.timeZone)
    }

    private func digest(of choice: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        let text = String(decoding: try encoder.encode(choice), as: UTF8.self)
        return String(hexLiteral(Digest.digest(text: text)).dropFirst(2).dropLast())
    }
}

/// Tells whether a dump was made by the same rules.
public struct DumpRules: Sendable {
    /// What a dump keeps of the rules that it is made by: the same for the same patterns, in
    /// whatever order.
    public let digest: String
    /// What versions kept for which order counted: a dump that is whole has it for good.
    public let earlierDigest: String
    /// Of the rules that choose rows alone; `nil` where none does.
    public let rowDigest: String?
}

/// Elements in one order, each once. Texts are told apart by their bytes: two that Swift takes for
/// the same are not the same pattern.
private func once<Element>(
    _ elements: [Element], _ texts: (Element) -> [String]
) -> [Element] {
    var seen: Set<[[UInt8]]> = []
    var kept: [(key: [[UInt8]], element: Element)] = []
    for element in elements {
        let key = texts(element).map { Array($0.utf8) }
        if seen.insert(key).inserted { kept.append((key: key, element: element)) }
    }
    kept.sort { one, other in
        for (a, b) in zip(one.key, other.key) where a != b {
            return a.lexicographicallyPrecedes(b)
        }
        return one.key.count < other.key.count
    }
    return kept.map { $0.element }
}

private func once(_ texts: [String]) -> [String] { once(texts) { [$0] } }

extension BlockAllowList {
    fileprivate var inOneOrder: BlockAllowList {
        func sorted(_ tables: [Table]) -> [Table] {
            once(tables) { [$0.schema, $0.name] }
        }
        return BlockAllowList(
            doSchemas: once(doSchemas), doTables: sorted(doTables),
            ignoreSchemas: once(ignoreSchemas), ignoreTables: sorted(ignoreTables))
    }
}

extension OnlineSchemaChangeRules {
    fileprivate var inOneOrder: OnlineSchemaChangeRules {
        OnlineSchemaChangeRules(
            shadowPatterns: once(shadowPatterns), trashPatterns: once(trashPatterns))
    }
}

extension TableSelection {
    fileprivate var inOneOrder: TableSelection {
        func sorted(_ patterns: [TablePattern]) -> [TablePattern] {
            once(patterns) { [$0.description] }
        }
        return TableSelection(
            tables: sorted(tables), excluded: sorted(excluded), isCaseSensitive: isCaseSensitive)
    }
}
