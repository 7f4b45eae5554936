public import MySQLCore

/// The parts of `sql_mode` that change what a statement's text means.
public struct SQLMode: OptionSet, Sendable, Hashable {
    /// The bits, numbered by this module.
    public let rawValue: UInt16

    /// Makes a set of its bits.
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    /// Double quotes delimit identifiers.
    public static let ansiQuotes = SQLMode(rawValue: 1)
    /// Backslashes in strings are ordinary characters.
    public static let noBackslashEscapes = SQLMode(rawValue: 2)
    /// `REAL` is `FLOAT`.
    public static let realAsFloat = SQLMode(rawValue: 4)
    /// MariaDB reads and types follow Oracle.
    public static let oracle = SQLMode(rawValue: 8)
    /// `||` concatenates.
    public static let pipesAsConcat = SQLMode(rawValue: 16)
    /// Oversized VARCHAR is an error rather than a TEXT type.
    public static let strict = SQLMode(rawValue: 32)

    /// Reads the bit set that query events carry (status variable `Q_SQL_MODE`); bits are the
    /// same in both families as far as they are used here, except for `ORACLE`.
    public init(binlog bits: UInt64, family: ServerFamily) {
        var mode: SQLMode = []
        if bits & 0x1 != 0 { mode.insert(.realAsFloat) }
        if bits & 0x2 != 0 { mode.insert(.pipesAsConcat) }
        if bits & 0x4 != 0 { mode.insert(.ansiQuotes) }
        if bits & 0x20_0000 != 0 || bits & 0x40_0000 != 0 { mode.insert(.strict) }
        // MODE_NO_BACKSLASH_ESCAPES is bit 20, the STRICT ones are 21 and 22.
        if bits & 0x10_0000 != 0 { mode.insert(.noBackslashEscapes) }
        if family == .mariadb, bits & 0x200 != 0 { mode.insert(.oracle) }
        self = mode
    }

    /// Reads the text of `@@sql_mode`.
    public init(text: String) {
        var mode: SQLMode = []
        for word in text.uppercased().split(whereSeparator: { $0 == "," || $0 == " " }) {
            switch word {
            case "ANSI_QUOTES": mode.insert(.ansiQuotes)
            case "NO_BACKSLASH_ESCAPES": mode.insert(.noBackslashEscapes)
            case "REAL_AS_FLOAT": mode.insert(.realAsFloat)
            case "ORACLE": mode.insert(.oracle)
            case "PIPES_AS_CONCAT": mode.insert(.pipesAsConcat)
            case "STRICT_TRANS_TABLES", "STRICT_ALL_TABLES", "TRADITIONAL": mode.insert(.strict)
            case "ANSI": mode.formUnion([.ansiQuotes, .realAsFloat, .pipesAsConcat])
            default: break
            }
        }
        self = mode
    }
}

/// How a statement's bytes (the event's `character_set_client`) are read as names.
public enum ClientEncoding: Sendable, Hashable {
    /// UTF-8 of three or four bytes, or ASCII.
    case utf8
    /// MySQL's latin1, which is Windows code page 1252.
    case latin1
    /// Another single-byte set: bytes are kept, names outside ASCII are refused.
    case singleByte
    /// A set whose second bytes can look like a quote or backslash (big5, cp932, gbk, gb18030,
    /// sjis): pairs are skipped whole, names outside ASCII are refused.
    case unsafeTrail

    /// The encoding of a character set by its name.
    public init(charset: String) {
        switch charset.lowercased() {
        case "utf8", "utf8mb3", "utf8mb4", "ascii", "binary", "filename": self = .utf8
        case "latin1": self = .latin1
        case "big5", "cp932", "gbk", "gb18030", "sjis": self = .unsafeTrail
        case "ujis", "eucjpms", "euckr", "gb2312": self = .unsafeTrail
        default: self = .singleByte
        }
    }
}

/// What the meaning of a statement's text depends on: the server that wrote it, and the session
/// variables that its query event carries.
public struct SyntaxContext: Sendable, Hashable {
    /// The server that the statement ran on.
    public var version: ServerVersion
    /// The event's `sql_mode`.
    public var sqlMode: SQLMode
    /// The event's default schema; `nil` for none.
    public var defaultSchema: String?
    /// The event's `character_set_client`.
    public var encoding: ClientEncoding
    /// The event's `collation_server`, the default of new schemas; `nil` for the server's own
    /// built-in default.
    public var serverCollation: String?
    /// Collations that replace the built-in default of a character set: MySQL's
    /// `default_collation_for_utf8mb4`, MariaDB's `character_set_collations`.
    public var defaultCollations: [String: String]
    /// `@@lower_case_table_names`; with 1 and 2 names of schemas and tables become lower case.
    public var lowerCaseTableNames: Int
    /// The event's `explicit_defaults_for_timestamp`: when off, a TIMESTAMP column that does not
    /// say otherwise is NOT NULL.
    public var explicitDefaultsForTimestamp: Bool
    /// The engine of tables that name none.
    public var defaultEngine: String
    /// Statements with more tokens are refused, DML among them is read up to there.
    public var tokenLimit: Int

    /// The server's family.
    public var family: ServerFamily { version.family }
    /// Whether the server is a MariaDB.
    public var isMariaDB: Bool { version.family == .mariadb }

    /// Makes a context with the defaults of the server's version.
    public init(
        version: ServerVersion, sqlMode: SQLMode = [], defaultSchema: String? = nil,
        encoding: ClientEncoding = .utf8
    ) {
        self.version = version
        self.sqlMode = sqlMode
        self.defaultSchema = defaultSchema
        self.encoding = encoding
        serverCollation = nil
        defaultCollations = [:]
        lowerCaseTableNames = 0
        explicitDefaultsForTimestamp =
            version.family == .mariadb ? version.isAtLeast(10, 10) : version.isAtLeast(8)
        defaultEngine = "InnoDB"
        tokenLimit = 1_000_000
    }

    /// A schema's or table's name as the server stores it.
    func stored(_ name: String) -> String {
        lowerCaseTableNames == 0 ? name : name.lowercased()
    }
}

/// A statement that is not understood. It still tells which tables it seems to name, so that one
/// on tables nobody migrates can be passed over.
public struct SyntaxError: Error, Sendable, Hashable, CustomStringConvertible {
    /// Offset in bytes where reading stopped.
    public var offset: Int
    /// What was expected or refused, without any of the statement's literals.
    public var reason: String
    /// The statement's first words, upper case, for example `ALTER TABLE`.
    public var verb: String
    /// Tables that the statement names, as far as they could be made out.
    public var tables: [TableReference]
    /// Schemas that the statement names, as far as they could be made out.
    public var schemas: [SchemaReference]

    /// Makes an error.
    public init(
        offset: Int, reason: String, verb: String = "", tables: [TableReference] = [],
        schemas: [SchemaReference] = []
    ) {
        self.offset = offset
        self.reason = reason
        self.verb = verb
        self.tables = tables
        self.schemas = schemas
    }

    /// One sentence.
    public var description: String {
        "\(verb.isEmpty ? "statement" : verb): \(reason) at byte \(offset)"
    }
}
