/// Schemas that belong to servers themselves, or to DM, and are never migrated.
public enum SystemSchemas {
    /// Their names, in small letters: MySQL's and MariaDB's own, NDB Cluster's, TiDB's, and the one
    /// that old versions of DM wrote to.
    public static let names: Set<String> = [
        "mysql", "information_schema", "performance_schema", "sys", "ndbinfo", "metrics_schema",
        "inspection_schema", "dm_heartbeat",
    ]

    /// Whether a schema is one of them, however it is spelled.
    public static func contains(_ name: String) -> Bool { names.contains(name.lowercased()) }
}
