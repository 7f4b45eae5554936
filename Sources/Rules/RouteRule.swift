/// Where tables go, as an entry of DM's `routes` says it. ``Router`` applies it.
public struct RouteRule: Sendable, Hashable, Codable {
    /// A column of the target that is filled with a part of a name: DM's `extract-table`,
    /// `extract-schema` and `extract-source`.
    public struct Extraction: Sendable, Hashable, Codable {
        /// The regular expression (`table-regexp`, `schema-regexp`, `source-regexp`); what its
        /// groups match, joined, is the value. Text that it does not match gives an empty value.
        public var pattern: String
        /// The column of the target table (`target-column`).
        public var column: String

        /// Makes an extraction.
        public init(pattern: String, column: String) {
            self.pattern = pattern
            self.column = column
        }
    }

    /// The entry's name in the file, for messages.
    public var name: String
    /// ``NamePattern`` of the source's schema; never empty.
    public var schemaPattern: String
    /// ``NamePattern`` of the source's table; empty for a rule of schemas, which counts for tables
    /// that no rule of tables matches.
    public var tablePattern: String
    /// The target's schema; never empty.
    public var targetSchema: String
    /// The target's table; empty to keep the name.
    public var targetTable: String
    /// Fills a column from the table's name.
    public var extractTable: Extraction?
    /// Fills a column from the schema's name.
    public var extractSchema: Extraction?
    /// Fills a column from the source's name (`source-id`).
    public var extractSource: Extraction?

    /// Makes a rule; it is checked when a ``Router`` is made of it.
    public init(
        name: String, schemaPattern: String, tablePattern: String = "", targetSchema: String,
        targetTable: String = "", extractTable: Extraction? = nil,
        extractSchema: Extraction? = nil, extractSource: Extraction? = nil
    ) {
        self.name = name
        self.schemaPattern = schemaPattern
        self.tablePattern = tablePattern
        self.targetSchema = targetSchema
        self.targetTable = targetTable
        self.extractTable = extractTable
        self.extractSchema = extractSchema
        self.extractSource = extractSource
    }
}
