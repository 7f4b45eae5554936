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

    /// A digest of what chooses the tables, views and the like of a dump, the same wherever it is
    /// asked for. Where tables go is not in it: a dump's files have the source's names.
    public func dumpRules() throws -> String {
        var choice = Choice()
        if let rules {
            choice.tables = rules.tables
            choice.isCaseSensitive = rules.isCaseSensitive
            choice.onlineSchemaChange = rules.onlineSchemaChange
        } else {
            choice.selection = selection
            choice.followsOnlineDDL = followsOnlineDDL
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        let text = String(decoding: try encoder.encode(choice), as: UTF8.self)
        return String(hexLiteral(Digest.digest(text: text)).dropFirst(2).dropLast())
    }
}
