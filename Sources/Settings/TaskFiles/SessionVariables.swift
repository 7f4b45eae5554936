/// Variables that people give for the sessions of a server: those that are passed on, and those that
/// can't be, since what Skein does depends on their values.
enum SessionVariables {
    /// What Skein sets in its own sessions, or relies on.
    private static let own: Set<String> = [
        "autocommit", "check_constraint_checks", "completion_type", "foreign_key_checks",
        "gtid_domain_id", "gtid_next", "gtid_seq_no", "identity", "innodb_lock_wait_timeout",
        "innodb_strict_mode", "insert_id", "last_insert_id", "lc_time_names", "lock_wait_timeout",
        "max_execution_time", "max_statement_time", "net_read_timeout", "net_write_timeout",
        "pseudo_slave_mode", "sql_auto_is_null", "sql_generate_invisible_primary_key", "sql_mode",
        "sql_require_primary_key", "sql_safe_updates", "sql_select_limit",
        "tidb_disable_txn_auto_retry",
        "tidb_dml_batch_size", "tidb_txn_mode", "time_zone", "timestamp", "transaction_isolation",
        "transaction_read_only", "tx_isolation", "tx_read_only", "unique_checks", "wait_timeout",
    ]
    /// Families of such variables.
    private static let ownPrefixes = ["character_set_", "collation_", "div_", "read_only"]

    /// Whether a variable is passed on.
    static func isPassedOn(_ name: String) -> Bool {
        let name = name.lowercased()
        let isName = name.utf8.allSatisfy {
            (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x5F
        }
        return isName && !name.isEmpty && !own.contains(name)
            && !ownPrefixes.contains { name.hasPrefix($0) }
    }

    /// What to do about one that is not.
    static func remedy(_ name: String) -> String {
        "leave out \"\(shortened(name))\", which Skein sets by itself in each of its sessions"
    }

    /// Those of a block that are not passed on.
    static func refused(_ session: [String: String]) -> [String] {
        session.keys.filter { !isPassedOn($0) }.sorted()
    }
}
