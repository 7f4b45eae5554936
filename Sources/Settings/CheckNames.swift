/// The stable names of the pre-checks, which files name where some are ignored.
public enum CheckNames {
    /// All names, in the order in which they are looked at.
    public static let all: [String] = [
        "source-version", "target-version", "same-server", "source-privileges",
        "trigger-privileges", "read-views", "target-privileges", "definers", "binlog-enabled",
        "binlog-format", "binlog-row-image", "binlog-row-value-options", "binlog-checksum",
        "binlog-storage", "gtid", "binlog-filters", "binlog-retention", "start-place",
        "adopt", "adopt-tables",
        "server-id", "source-durability", "binlog-order-commits", "semi-sync", "source-replica",
        "source-cluster", "xa", "source-connections", "selection", "meta-schema", "table-keys",
        "engines", "column-types", "table-kinds", "generated-columns", "foreign-keys",
        "event-filters", "expression-filters", "target-engines", "collations", "sql-mode",
        "lower-case-table-names", "max-allowed-packet", "event-scheduler", "time-zone",
        "target-read-only", "target-binlog-format", "local-infile", "target-cluster",
        "target-requires-keys", "target-connections", "disk-space", "target-tables",
        "target-triggers", "target-views",
    ]

    /// What a name must be, for messages.
    static let rule = "the name of a pre-check, or \"all\""

    /// Whether there is such a check; `all` stands for every one.
    static func isKnown(_ name: String) -> Bool { name == "all" || all.contains(name) }
}
