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
        let earlier = try digest(of: choice)
        // Any pattern of a list may match, and how often or where it is written says nothing.
        choice.tables = choice.tables?.inOneOrder
        choice.onlineSchemaChange = choice.onlineSchemaChange?.inOneOrder
        choice.selection = choice.selection?.inOneOrder
        return DumpRules(digest: try digest(of: choice), earlierDigest: earlier)
    }

    private func digest(of choice: Choice) throws -> String {
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
}

extension BlockAllowList {
    fileprivate var inOneOrder: BlockAllowList {
        func sorted(_ tables: [Table]) -> [Table] {
            Set(tables).sorted { ($0.schema, $0.name) < ($1.schema, $1.name) }
        }
        return BlockAllowList(
            doSchemas: Set(doSchemas).sorted(), doTables: sorted(doTables),
            ignoreSchemas: Set(ignoreSchemas).sorted(), ignoreTables: sorted(ignoreTables))
    }
}

extension OnlineSchemaChangeRules {
    fileprivate var inOneOrder: OnlineSchemaChangeRules {
        OnlineSchemaChangeRules(
            shadowPatterns: Set(shadowPatterns).sorted(),
            trashPatterns: Set(trashPatterns).sorted())
    }
}

extension TableSelection {
    fileprivate var inOneOrder: TableSelection {
        func sorted(_ patterns: [TablePattern]) -> [TablePattern] {
            Set(patterns).sorted { $0.description < $1.description }
        }
        return TableSelection(
            tables: sorted(tables), excluded: sorted(excluded), isCaseSensitive: isCaseSensitive)
    }
}
