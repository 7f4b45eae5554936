public import MySQLCore

/// What to compare, and how patiently.
public struct VerificationOptions: Sendable {
    /// The tables.
    public var tables: [ComparedTable]
    /// All that puts rows into tables of the target, where that is more than ``tables``: tables
    /// that are not compared, or those of other sources.
    public var parts: [TableName: [TablePart]] = [:]
    /// Reads ``parts`` again. Tables come while others are compared, and their rows are none that
    /// nobody has put there.
    public var readParts: (@Sendable () async throws -> [TableName: [TablePart]])?
    /// The most rows of one chunk; wide rows make chunks smaller.
    public var chunkRows = 10_000
    /// The bytes that a chunk should not exceed, by the server's estimate of the row length.
    public var chunkBytes = 16 << 20
    /// Workers, each with one connection to either server.
    public var parallelism = 4
    /// How long a difference must stay exactly the same before it counts. It must be longer than
    /// the replication's usual delay; 0 for servers at rest.
    public var settle: Duration = .seconds(5)
    /// How long a row that keeps changing is looked at before it is called undecided, and how
    /// long lost connections are tried again.
    public var patience: Duration = .seconds(120)
    /// The most differing rows of one table that the report names; all are counted.
    public var maxReportedRows = 100
    /// A table with this many differing rows is not searched any further.
    public var maxDifferingRows = 100_000
    /// Whether the shapes of tables and the presence of views, routines, triggers and events are
    /// compared too.
    public var comparesStructure = true
    /// Whether values of generated columns are compared.
    public var comparesGeneratedColumns = true
    /// Rows of a table without a key whose hashes are held at once, twice as many for a moment.
    var keylessRowsAtOnce = 300_000
    /// Receives the statements, one per call and without a newline at the end, that would make
    /// the target equal. They are never executed here.
    public var fixSQL: (@Sendable (String) throws -> Void)?

    /// For every table of the target, what puts rows there.
    var partsByTarget: [TableName: [TablePart]] {
        Dictionary(grouping: tables, by: \.target)
            .mapValues { group in
                group.map { TablePart(table: $0.source, filled: $0.filled) }
            }
            .merging(parts) { _, given in given }
    }

    /// Makes options with the defaults above, for tables by their names on the source and on the
    /// target.
    public init(
        tables: [(source: TableName, target: TableName)],
        fixSQL: (@Sendable (String) throws -> Void)? = nil
    ) {
        self.init(
            comparing: tables.map { ComparedTable(source: $0.source, target: $0.target) },
            fixSQL: fixSQL)
    }

    /// Makes options for tables of which more is known than their names.
    public init(
        comparing tables: [ComparedTable], fixSQL: (@Sendable (String) throws -> Void)? = nil
    ) {
        self.tables = tables
        self.fixSQL = fixSQL
    }
}

/// How far a verification is, for a live display.
public struct VerificationProgress: Sendable, Hashable {
    /// What is being done.
    public enum Phase: String, Sendable, Hashable {
        /// Shapes and objects are read and compared.
        case structure
        /// Chunks are compared.
        case chunks
        /// Rows that differed are looked at again.
        case settling
        /// Statements that would make the target equal are written.
        case fixes
    }

    /// The phase.
    public var phase = Phase.structure
    /// Tables to compare.
    public var tables = 0
    /// Tables whose chunks have all been compared.
    public var tablesDone = 0
    /// Chunks compared.
    public var chunks: UInt64 = 0
    /// Source rows compared.
    public var rows: UInt64 = 0
    /// Source rows in all tables, by the server's estimate.
    public var estimatedRows: UInt64 = 0
    /// Source bytes compared, by the server's estimate of row lengths.
    public var bytes: UInt64 = 0
    /// Rows that differed when last looked at, and are not decided yet.
    public var pendingRows = 0
    /// Rows found to differ.
    public var differences: UInt64 = 0
    /// The table whose chunks are being compared.
    public var currentTable: TableName?

    /// The progress of a verification that has not begun.
    public init() {}
}
