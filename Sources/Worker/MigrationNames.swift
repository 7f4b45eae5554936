internal import MySQLClient
internal import Runtime
internal import Settings
internal import Synchronization

extension Migration {
    /// Asks the source whether case counts in names of tables, where nobody said it.
    func prepareNames() async throws {
        guard settings.comparesNamesAsServer else { return }
        let value = try await withThread("control") {
            try Connection(self.settings.source).lowerCaseTableNames()
        }
        try given.withLock { try $0.compareNames(lowerCaseTableNames: value) }
    }
}

extension Connection {
    /// The server's `lower_case_table_names`: with 0 case counts in names of schemas and tables.
    func lowerCaseTableNames() throws(MySQLError) -> Int {
        try value("SELECT @@lower_case_table_names").flatMap { Int($0) } ?? 0
    }
}
