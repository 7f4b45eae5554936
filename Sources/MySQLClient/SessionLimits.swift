internal import MySQLCore

/// What servers keep from sessions by default, and long reads need.
extension Connection {
    /// Takes the server's limit on the time of a statement off this session.
    public func liftTimeLimit() throws(MySQLError) {
        let limit = family == .mariadb ? "max_statement_time" : "max_execution_time"
        try execute("SET SESSION \(limit)=0")
    }

    /// Lets statements of this session use, and name in hints, keys that are invisible (MySQL 8.0
    /// and later). MariaDB has no such switch for its IGNORED keys.
    public func useInvisibleKeys() throws(MySQLError) {
        guard family == .mysql, serverVersion.isAtLeast(8) else { return }
        try execute("SET SESSION optimizer_switch='use_invisible_indexes=on'")
    }
}
