/// The session's state that a query event carries, so that its statement means the same elsewhere.
/// What the event does not carry is `nil`.
public struct StatusVariables: Sendable, Hashable, Codable {
    /// Bits of the session's options.
    public struct Options: OptionSet, Sendable, Hashable, Codable {
        /// The bits.
        public var rawValue: UInt32
        /// Makes options of their bits.
        public init(rawValue: UInt32) { self.rawValue = rawValue }
        /// `sql_auto_is_null = 1`.
        public static let autoIsNull = Options(rawValue: 1 << 14)
        /// `autocommit = 0`.
        public static let notAutocommit = Options(rawValue: 1 << 19)
        /// `foreign_key_checks = 0`.
        public static let noForeignKeyChecks = Options(rawValue: 1 << 26)
        /// `unique_checks = 0`.
        public static let relaxedUniqueChecks = Options(rawValue: 1 << 27)
        /// `check_constraint_checks = 0` (MariaDB).
        public static let noCheckConstraints = Options(rawValue: 1 << 15)
        /// `explicit_defaults_for_timestamp = 1` (MariaDB 10.11 at least; MySQL has
        /// ``StatusVariables/explicitDefaultsForTimestamp``).
        public static let explicitDefaultsForTimestamp = Options(rawValue: 1 << 24)
        /// `sql_if_exists = 1`: DDL as with IF EXISTS or IF NOT EXISTS (MariaDB).
        public static let ifExists = Options(rawValue: 1 << 28)
        /// `system_versioning_insert_history = 1` (MariaDB).
        public static let insertHistory = Options(rawValue: 1 << 30)
    }

    /// `character_set_client`, `collation_connection` and `collation_server`, as collation ids.
    public struct Charsets: Sendable, Hashable, Codable {
        /// A collation of `character_set_client`, which the statement's text is in.
        public var client: UInt16
        /// `collation_connection`.
        public var connection: UInt16
        /// `collation_server`.
        public var server: UInt16
    }

    /// The session's options.
    public var options: Options?
    /// `sql_mode`, as the server's bits; the families' bits differ above bit 31.
    public var sqlMode: UInt64?
    /// The catalog, always `std`.
    public var catalog: String?
    /// `auto_increment_increment` and `auto_increment_offset`, where they are not both 1.
    public var autoIncrement: (increment: UInt16, offset: UInt16)? {
        autoIncrementPair.map { (UInt16(truncatingIfNeeded: $0), UInt16($0 >> 16)) }
    }
    private var autoIncrementPair: UInt32?
    /// Character sets of client, connection and server.
    public var charsets: Charsets?
    /// `time_zone`, where the statement depends on it.
    public var timeZone: String?
    /// Number of `lc_time_names`.
    public var lcTimeNames: UInt16?
    /// `collation_database`, as collation id (old servers).
    public var databaseCollation: UInt16?
    /// Definer of what the statement creates.
    public var invoker: String?
    /// The schemas that the statement changes; `nil` also where there are too many to list.
    public var updatedSchemas: [String]?
    /// Microseconds of the statement's time, to be added to the header's timestamp.
    public var microseconds: UInt32?
    /// `explicit_defaults_for_timestamp`.
    public var explicitDefaultsForTimestamp: Bool?
    /// The number of the transaction that a DDL is (8.0 and later, MariaDB 10.6 and later).
    public var ddlXID: UInt64?
    /// `default_collation_for_utf8mb4`, as collation id.
    public var defaultCollationForUTF8MB4: UInt16?
    /// `sql_require_primary_key`.
    public var requirePrimaryKey: Bool?
    /// `default_table_encryption`.
    public var defaultTableEncryption: Bool?
    /// MariaDB's flags of two-phase ALTER TABLE.
    public var gtidFlags: UInt8?
    /// MariaDB's `character_set_collations`: pairs of default and chosen collation ids.
    public var charsetCollations: [UInt32] = []
    /// The code where reading stopped, because this version does not know it. What follows is not
    /// read, since its length is not known; the statement itself is not affected.
    public var unknownCode: UInt8?

    /// Nothing known.
    public init() {}

    /// Decodes the variables in `range` of an event.
    init(_ event: RawSpan, _ range: Range<Int>, _ type: EventType) throws(BinlogError) {
        var whole = try Cursor(event, type, at: range.lowerBound)
        var cursor = try whole.part(UInt64(range.count), "the status variables")
        while !cursor.isAtEnd, unknownCode == nil {
            let code = try cursor.u8("a status variable")
            try code < 128 ? readCommon(code, &cursor) : readMariaDB(code, &cursor)
        }
    }

    private mutating func readCommon(_ code: UInt8, _ c: inout Cursor) throws(BinlogError) {
        switch code {
        case 0: options = Options(rawValue: try c.u32("the options"))
        case 1: sqlMode = try c.u64("sql_mode")
        case 2:
            catalog = try c.shortText("the catalog")
            _ = try c.u8("the catalog's end")
        case 3: autoIncrementPair = try c.u32("auto_increment")
        case 4:
            let client = try c.u16("the character sets")
            let connection = try c.u16("the character sets")
            charsets = Charsets(
                client: client, connection: connection, server: try c.u16("the character sets"))
        case 5: timeZone = try c.shortText("the time zone")
        case 6: catalog = try c.shortText("the catalog")
        case 7: lcTimeNames = try c.u16("lc_time_names")
        case 8: databaseCollation = try c.u16("the database's collation")
        case 9: _ = try c.u64("the tables of an update")
        case 10: _ = try c.u32("the written length")
        case 11:
            let user = try c.shortText("the invoker")
            invoker = "\(user)@\(try c.shortText("the invoker's host"))"
        case 12: try readSchemas(&c)
        case 13: microseconds = c.span.u24(try c.take(3, "the microseconds"))
        case 16: explicitDefaultsForTimestamp = try c.u8("a flag") != 0
        case 17: ddlXID = try c.u64("the number of the DDL")
        case 18: defaultCollationForUTF8MB4 = try c.u16("a collation")
        case 19: requirePrimaryKey = try c.u8("a flag") != 0
        case 20: defaultTableEncryption = try c.u8("a flag") != 0
        // One byte that MySQL 9.7 writes with DML; it has nothing to do with DDL.
        case 21: _ = try c.u8("a flag")
        default: unknownCode = code
        }
    }

    private mutating func readMariaDB(_ code: UInt8, _ c: inout Cursor) throws(BinlogError) {
        switch code {
        case 128: microseconds = c.span.u24(try c.take(3, "the microseconds"))
        case 129: ddlXID = try c.u64("the number of the DDL")
        case 130:
            let flags = try c.u8("the flags of ALTER")
            gtidFlags = flags
            if flags & 12 != 0 { _ = try c.u64("the start of ALTER") }
        case 131:
            for _ in 0..<(try c.u8("the number of collations")) {
                charsetCollations.append(try c.u32("a pair of collations"))
            }
        default: unknownCode = code
        }
    }

    /// Texts that end in a zero byte; 254 instead of their number when they are too many.
    private mutating func readSchemas(_ c: inout Cursor) throws(BinlogError) {
        let count = try c.u8("the number of schemas")
        guard count != 254 else { return }
        var names: [String] = []
        for _ in 0..<count {
            let start = c.at
            while try c.u8("a schema's name") != 0 {}
            names.append(c.span.text(start, c.at - 1 - start))
        }
        updatedSchemas = names
    }
}

extension Cursor {
    /// A text behind one byte of length.
    @_lifetime(self: copy self)
    mutating func shortText(_ what: StaticString) throws(BinlogError) -> String {
        try text(Int(try u8(what)), what)
    }
}
