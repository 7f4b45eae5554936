internal import Foundation
internal import MySQLCore
internal import Rules
internal import Settings

/// What a migration is stored under a name for. Other rules under the same name are taken only
/// where that loses nothing.
struct MigrationIdentity: Codable, Hashable {
    var source: String
    var tables: [String]
    var excluded: [String]
    /// A task's rules, as text; `nil` without any.
    var rules: String?
    /// Whether online schema changes are followed; `nil` for no.
    var online: Bool?

    init(settings: MigrationSettings, server: ServerUUID) {
        source = server.description
        tables = settings.selection.tables.map(\.description).sorted()
        excluded = settings.selection.excluded.map(\.description).sorted()
        if settings.rules == nil, settings.followsOnlineDDL { online = true }
        if let given = settings.rules {
            let encoder = JSONEncoder()
            encoder.outputFormatting = .sortedKeys
            rules = (try? encoder.encode(given)).map { String(decoding: $0, as: UTF8.self) }
        }
    }

    /// A task's rules as they were written; `nil` without any, and when they can't be read.
    var sourceRules: SourceRules? {
        guard let rules,
            var given = try? JSONDecoder().decode(SourceRules.self, from: Data(rules.utf8))
        else { return nil }
        // The record has the zone's name alone, and what is unfinished is finished by these rules.
        if let zone = given.timeZone, case .zone(let found) = ZoneFolder.system.find(zone.name) {
            given.timeZone = found
        }
        return given
    }

    var encoded: [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        return [1] + Array((try? encoder.encode(self)) ?? Data())
    }

    init?(encoded bytes: [UInt8]) {
        guard bytes.first == 1,
            let decoded = try? JSONDecoder().decode(
                MigrationIdentity.self, from: Data(bytes.dropFirst()))
        else { return nil }
        self = decoded
    }

    /// Whether another one has the same rules but for which tables are migrated.
    func differsInTables(onlyFrom other: MigrationIdentity) -> Bool {
        guard online == other.online, (rules == nil) == (other.rules == nil) else { return false }
        guard rules != nil else { return true }
        guard var mine = sourceRules, var theirs = other.sourceRules else { return false }
        mine.tables = BlockAllowList()
        theirs.tables = BlockAllowList()
        return mine == theirs
    }

    /// How another one differs, in words; `nil` when it doesn't. Another server is no difference
    /// here: after a failover of the source its stream decides.
    func difference(to other: MigrationIdentity) -> String? {
        if tables != other.tables {
            return "tables were \(tables.joined(separator: " ")), "
                + "now \(other.tables.joined(separator: " "))"
        }
        if excluded != other.excluded {
            return "excluded were \(excluded.joined(separator: " ")), "
                + "now \(other.excluded.joined(separator: " "))"
        }
        if rules != other.rules {
            return "the rules (allow list, routes, filters) were others"
        }
        if online != other.online {
            return other.online == nil
                ? "online schema changes were followed (--online-ddl)"
                : "online schema changes were not followed (--online-ddl)"
        }
        return nil
    }
}
