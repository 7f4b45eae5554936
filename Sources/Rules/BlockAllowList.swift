/// Which schemas and tables are migrated, as DM's `block-allow-list` says it.
///
/// Every text is a ``NamePattern``: a name with wildcards, or a regular expression behind `~`.
/// An empty list matches everything on its level. ``TableFilter`` decides by it.
public struct BlockAllowList: Sendable, Hashable, Codable {
    /// Patterns of a table: DM's `db-name` and `tbl-name`.
    public struct Table: Sendable, Hashable, Codable {
        /// Pattern of the schema.
        public var schema: String
        /// Pattern of the table's name.
        public var name: String

        /// Makes a pair of patterns; what they look like is checked by ``TableFilter``.
        public init(schema: String, name: String) {
            self.schema = schema
            self.name = name
        }
    }

    /// `do-dbs`: only these schemas, when there is one.
    public var doSchemas: [String]
    /// `do-tables`: only these tables, when there is one.
    public var doTables: [Table]
    /// `ignore-dbs`: not these schemas; looked at only when ``doSchemas`` is empty.
    public var ignoreSchemas: [String]
    /// `ignore-tables`: not these tables, except where ``doTables`` has matched.
    public var ignoreTables: [Table]

    /// Makes a list; without arguments one that takes everything.
    public init(
        doSchemas: [String] = [], doTables: [Table] = [], ignoreSchemas: [String] = [],
        ignoreTables: [Table] = []
    ) {
        self.doSchemas = doSchemas
        self.doTables = doTables
        self.ignoreSchemas = ignoreSchemas
        self.ignoreTables = ignoreTables
    }
}
