internal import MySQLClient
internal import Runtime
internal import Settings
internal import Synchronization

extension Migration {
    /// Asks the servers what a task's rules leave to them.
    func prepareRules() async throws {
        let settings = settings
        guard settings.comparesNamesAsServer || settings.needsTargetZone else { return }
        // A dump's target need not be there.
        let asksTarget = settings.needsTargetZone && settings.files == nil
        let (names, zone) = try await withThread("control") {
            (
                settings.comparesNamesAsServer
                    ? try Connection(settings.source).lowerCaseTableNames() : nil,
                asksTarget ? try Connection(settings.target).timeZone() : "unknown"
            )
        }
        try given.withLock {
            if let names { try $0.compareNames(lowerCaseTableNames: names) }
            $0.settleZone(targetZone: zone)
        }
    }
}

extension MigrationSettings {
    /// Lets case count in names as it does on the source.
    mutating func settleNames(_ source: Connection) throws {
        guard comparesNamesAsServer else { return }
        try compareNames(lowerCaseTableNames: source.lowerCaseTableNames())
    }

    /// Looks whether expressions can go without a time zone.
    mutating func settleZone(_ target: Connection) throws {
        if needsTargetZone { settleZone(targetZone: try target.timeZone()) }
    }
}

extension Connection {
    /// The server's `lower_case_table_names`: with 0 case counts in names of schemas and tables.
    func lowerCaseTableNames() throws(MySQLError) -> Int {
        try value("SELECT @@lower_case_table_names").flatMap { Int($0) } ?? 0
    }

    /// The time zone that the server's sessions begin with.
    func timeZone() throws(MySQLError) -> String {
        try value(
            "SELECT IF(@@global.time_zone='SYSTEM', @@global.system_time_zone, @@global.time_zone)"
        ) ?? ""
    }
}
