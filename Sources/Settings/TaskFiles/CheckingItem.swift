/// A pre-check in DM's name, as `ignore-checking-items` has it.
public enum CheckingItem: String, Sendable, CaseIterable {
    case all
    case version
    case serverID = "server_id"
    case binlogEnable = "binlog_enable"
    case binlogFormat = "binlog_format"
    case binlogRowImage = "binlog_row_image"
    case replicationPrivilege = "replication_privilege"
    case dumpPrivilege = "dump_privilege"
    case targetPrivilege = "target_privilege"
    case connectionNumber = "conn_number"
    case onlineDDL = "online_ddl"
    case binlogFilters = "binlog_db"
    case metaPosition = "meta_position"
    case tableSchema = "table_schema"
    case shardTables = "schema_of_shard_tables"
    case autoIncrement = "auto_increment_ID"
    case primaryKey = "primary_key"
    case emptyRegion = "empty_region"
    case regionDistribution = "region_distribution"
    case downstreamVersion = "downstream_version"
    case freeSpace = "free_space"
    case downstreamMutexFeatures = "downstream_mutex_features"
    case downstreamTableEmpty = "downstream_table_empty"

    /// The pre-checks of Skein that look for the same; empty where nothing does, and for ``all``,
    /// which is every one that there is.
    public var checks: [String] {
        switch self {
        case .version: ["source-version"]
        case .serverID: ["server-id"]
        case .binlogEnable: ["binlog-enabled"]
        case .binlogFormat: ["binlog-format"]
        case .binlogRowImage: ["binlog-row-image"]
        case .replicationPrivilege: ["source-privileges"]
        case .dumpPrivilege: ["source-privileges", "read-views"]
        case .targetPrivilege: ["target-privileges"]
        case .connectionNumber: ["source-connections", "target-connections"]
        case .binlogFilters: ["binlog-filters"]
        case .metaPosition: ["start-place"]
        case .tableSchema:
            [
                "table-keys", "engines", "column-types", "table-kinds", "generated-columns",
                "foreign-keys", "collations", "target-engines",
            ]
        case .primaryKey: ["table-keys"]
        case .downstreamVersion: ["target-version"]
        case .freeSpace: ["disk-space"]
        case .downstreamTableEmpty: ["target-tables"]
        case .all, .onlineDDL, .shardTables, .autoIncrement, .emptyRegion,
            .regionDistribution, .downstreamMutexFeatures:
            []
        }
    }
}
