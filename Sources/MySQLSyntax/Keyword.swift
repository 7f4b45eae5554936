/// The words that the parser knows. Which of them are reserved does not matter here: the server
/// has accepted the statement, so a word in a name's place is a name.
enum Keyword: String, Sendable, Hashable, CaseIterable {
    /// Not a known word.
    case none = ""
    case action = "ACTION", add = "ADD", admin = "ADMIN", after = "AFTER", aggregate = "AGGREGATE"
    case algorithm = "ALGORITHM", all = "ALL", alter = "ALTER", always = "ALWAYS"
    case analyze = "ANALYZE", and = "AND", `as` = "AS", asc = "ASC", ascii = "ASCII", at = "AT"
    case authorization = "AUTHORIZATION", autoIncrement = "AUTO_INCREMENT"
    case avgRowLength = "AVG_ROW_LENGTH"
    case backup = "BACKUP", begin = "BEGIN", between = "BETWEEN", bigint = "BIGINT"
    case binary = "BINARY", binlog = "BINLOG", bit = "BIT", blob = "BLOB", body = "BODY"
    case bool = "BOOL", boolean = "BOOLEAN", btree = "BTREE", by = "BY", byte = "BYTE"
    case cache = "CACHE", call = "CALL", cascade = "CASCADE", cascaded = "CASCADED"
    case `case` = "CASE", catalog = "CATALOG", change = "CHANGE", char = "CHAR"
    case character = "CHARACTER", charset = "CHARSET", check = "CHECK", checksum = "CHECKSUM"
    case clob = "CLOB", coalesce = "COALESCE", collate = "COLLATE", column = "COLUMN"
    case columns = "COLUMNS", columnFormat = "COLUMN_FORMAT", comment = "COMMENT"
    case commit = "COMMIT", completion = "COMPLETION", compressed = "COMPRESSED"
    case compression = "COMPRESSION", connection = "CONNECTION", constraint = "CONSTRAINT"
    case convert = "CONVERT", create = "CREATE", cross = "CROSS", current = "CURRENT"
    case currentDate = "CURRENT_DATE", currentRole = "CURRENT_ROLE", currentTime = "CURRENT_TIME"
    case currentTimestamp = "CURRENT_TIMESTAMP", currentUser = "CURRENT_USER", cycle = "CYCLE"
    case data = "DATA", database = "DATABASE", date = "DATE", datetime = "DATETIME", day = "DAY"
    case deallocate = "DEALLOCATE", dec = "DEC", decimal = "DECIMAL", `default` = "DEFAULT"
    case deferred = "DEFERRED", definer = "DEFINER", delayed = "DELAYED"
    case delayKeyWrite = "DELAY_KEY_WRITE", delete = "DELETE", desc = "DESC", describe = "DESCRIBE"
    case deterministic = "DETERMINISTIC", directory = "DIRECTORY", disable = "DISABLE"
    case discard = "DISCARD", distinct = "DISTINCT", div = "DIV", `do` = "DO", double = "DOUBLE"
    case drop = "DROP", dual = "DUAL", duality = "DUALITY", dumpfile = "DUMPFILE"
    case each = "EACH", `else` = "ELSE", enable = "ENABLE", encryption = "ENCRYPTION", end = "END"
    case ends = "ENDS", enforced = "ENFORCED", engine = "ENGINE", engines = "ENGINES"
    case engineAttribute = "ENGINE_ATTRIBUTE", `enum` = "ENUM", escaped = "ESCAPED"
    case event = "EVENT", every = "EVERY", except = "EXCEPT", exchange = "EXCHANGE"
    case execute = "EXECUTE", exists = "EXISTS", explain = "EXPLAIN", export = "EXPORT"
    case external = "EXTERNAL"
    case first = "FIRST", fixed = "FIXED", float = "FLOAT", float4 = "FLOAT4", float8 = "FLOAT8"
    case flush = "FLUSH", following = "FOLLOWING", follows = "FOLLOWS", `for` = "FOR"
    case force = "FORCE", foreign = "FOREIGN", from = "FROM", full = "FULL", fulltext = "FULLTEXT"
    case function = "FUNCTION"
    case generated = "GENERATED", geomcollection = "GEOMCOLLECTION", geometry = "GEOMETRY"
    case geometrycollection = "GEOMETRYCOLLECTION", get = "GET", grant = "GRANT", group = "GROUP"
    case handler = "HANDLER", hash = "HASH", having = "HAVING", help = "HELP"
    case highPriority = "HIGH_PRIORITY", history = "HISTORY", host = "HOST"
    case identified = "IDENTIFIED", `if` = "IF", ignore = "IGNORE", ignored = "IGNORED"
    case `import` = "IMPORT", `in` = "IN", increment = "INCREMENT", index = "INDEX"
    case inet4 = "INET4", inet6 = "INET6", initial = "INITIAL", inner = "INNER", `inout` = "INOUT"
    case inplace = "INPLACE", insert = "INSERT", insertMethod = "INSERT_METHOD"
    case install = "INSTALL", instance = "INSTANCE", instant = "INSTANT", int = "INT"
    case int1 = "INT1", int2 = "INT2", int3 = "INT3", int4 = "INT4", int8 = "INT8"
    case integer = "INTEGER", intersect = "INTERSECT", interval = "INTERVAL", into = "INTO"
    case invisible = "INVISIBLE", invoker = "INVOKER", `is` = "IS"
    case join = "JOIN", json = "JSON", jsonTable = "JSON_TABLE"
    case key = "KEY", keys = "KEYS", keyBlockSize = "KEY_BLOCK_SIZE", kill = "KILL"
    case language = "LANGUAGE", last = "LAST", lateral = "LATERAL", left = "LEFT", less = "LESS"
    case library = "LIBRARY", like = "LIKE", limit = "LIMIT", linear = "LINEAR"
    case linestring = "LINESTRING", list = "LIST", load = "LOAD", local = "LOCAL", lock = "LOCK"
    case locked = "LOCKED", logfile = "LOGFILE", logs = "LOGS", long = "LONG"
    case longblob = "LONGBLOB", longtext = "LONGTEXT", lowPriority = "LOW_PRIORITY"
    case master = "MASTER", match = "MATCH", matched = "MATCHED", materialized = "MATERIALIZED"
    case maxvalue = "MAXVALUE", maxRows = "MAX_ROWS", mediumblob = "MEDIUMBLOB"
    case mediumint = "MEDIUMINT", mediumtext = "MEDIUMTEXT", merge = "MERGE"
    case middleint = "MIDDLEINT", migrate = "MIGRATE", minus = "MINUS", minvalue = "MINVALUE"
    case minRows = "MIN_ROWS", mod = "MOD", modify = "MODIFY", multilinestring = "MULTILINESTRING"
    case multipoint = "MULTIPOINT", multipolygon = "MULTIPOLYGON"
    case national = "NATIONAL", natural = "NATURAL", nchar = "NCHAR", next = "NEXT", no = "NO"
    case nocache = "NOCACHE", nocycle = "NOCYCLE", nomaxvalue = "NOMAXVALUE"
    case nominvalue = "NOMINVALUE", not = "NOT", nowait = "NOWAIT"
    case noWriteToBinlog = "NO_WRITE_TO_BINLOG", null = "NULL", number = "NUMBER"
    case numeric = "NUMERIC", nvarchar = "NVARCHAR"
    case of = "OF", offline = "OFFLINE", offset = "OFFSET", on = "ON", one = "ONE"
    case online = "ONLINE", only = "ONLY", optimize = "OPTIMIZE", option = "OPTION", or = "OR"
    case order = "ORDER", out = "OUT", outer = "OUTER", outfile = "OUTFILE", over = "OVER"
    case package = "PACKAGE", packKeys = "PACK_KEYS", pageChecksum = "PAGE_CHECKSUM"
    case pageCompressed = "PAGE_COMPRESSED", pageCompressionLevel = "PAGE_COMPRESSION_LEVEL"
    case parser = "PARSER", partition = "PARTITION", partitioning = "PARTITIONING"
    case partitions = "PARTITIONS", password = "PASSWORD", period = "PERIOD"
    case persistent = "PERSISTENT", phase = "PHASE", plugin = "PLUGIN", point = "POINT"
    case polygon = "POLYGON", portion = "PORTION", precedes = "PRECEDES", precision = "PRECISION"
    case prepare = "PREPARE", preserve = "PRESERVE", previous = "PREVIOUS", primary = "PRIMARY"
    case procedure = "PROCEDURE", purge = "PURGE"
    case quick = "QUICK", quote = "QUOTE"
    case range = "RANGE", raw = "RAW", read = "READ", real = "REAL", rebuild = "REBUILD"
    case recover = "RECOVER", recursive = "RECURSIVE", refSystemId = "REF_SYSTEM_ID"
    case reference = "REFERENCE", references = "REFERENCES", relational = "RELATIONAL"
    case release = "RELEASE", reload = "RELOAD", remove = "REMOVE", rename = "RENAME"
    case reorganize = "REORGANIZE", repair = "REPAIR", replace = "REPLACE", replica = "REPLICA"
    case require = "REQUIRE", reset = "RESET", resignal = "RESIGNAL", resource = "RESOURCE"
    case restart = "RESTART", restrict = "RESTRICT", resume = "RESUME", `return` = "RETURN"
    case returning = "RETURNING", returns = "RETURNS", revoke = "REVOKE", right = "RIGHT"
    case role = "ROLE", rollback = "ROLLBACK", row = "ROW", rownum = "ROWNUM", rows = "ROWS"
    case rowFormat = "ROW_FORMAT"
    case savepoint = "SAVEPOINT", schedule = "SCHEDULE", schema = "SCHEMA"
    case secondaryEngine = "SECONDARY_ENGINE"
    case secondaryEngineAttribute = "SECONDARY_ENGINE_ATTRIBUTE", secondaryLoad = "SECONDARY_LOAD"
    case secondaryUnload = "SECONDARY_UNLOAD", security = "SECURITY", select = "SELECT"
    case sequence = "SEQUENCE", serial = "SERIAL", server = "SERVER", session = "SESSION"
    case set = "SET", shared = "SHARED", show = "SHOW", shutdown = "SHUTDOWN", signal = "SIGNAL"
    case signed = "SIGNED", simple = "SIMPLE", skip = "SKIP", slave = "SLAVE"
    case smallint = "SMALLINT", soname = "SONAME", spatial = "SPATIAL", sql = "SQL", srid = "SRID"
    case start = "START", starts = "STARTS", statement = "STATEMENT"
    case statsAutoRecalc = "STATS_AUTO_RECALC", statsPersistent = "STATS_PERSISTENT"
    case statsSamplePages = "STATS_SAMPLE_PAGES", stop = "STOP", storage = "STORAGE"
    case stored = "STORED", straightJoin = "STRAIGHT_JOIN", subpartition = "SUBPARTITION"
    case subpartitions = "SUBPARTITIONS", suspend = "SUSPEND", swaps = "SWAPS", system = "SYSTEM"
    case systemTime = "SYSTEM_TIME"
    case table = "TABLE", tables = "TABLES", tablespace = "TABLESPACE"
    case tableChecksum = "TABLE_CHECKSUM", temporary = "TEMPORARY", temptable = "TEMPTABLE"
    case text = "TEXT", than = "THAN", then = "THEN", time = "TIME", timestamp = "TIMESTAMP"
    case tinyblob = "TINYBLOB", tinyint = "TINYINT", tinytext = "TINYTEXT", to = "TO"
    case transaction = "TRANSACTION", transactional = "TRANSACTIONAL", trigger = "TRIGGER"
    case truncate = "TRUNCATE", type = "TYPE"
    case undefined = "UNDEFINED", undo = "UNDO", unicode = "UNICODE", uninstall = "UNINSTALL"
    case union = "UNION", unique = "UNIQUE", unlock = "UNLOCK", unsigned = "UNSIGNED"
    case update = "UPDATE", upgrade = "UPGRADE", use = "USE", user = "USER", using = "USING", uuid =
        "UUID"
    case validation = "VALIDATION", value = "VALUE", values = "VALUES", varbinary = "VARBINARY"
    case varchar = "VARCHAR", varchar2 = "VARCHAR2", varcharacter = "VARCHARACTER"
    case varying = "VARYING", vector = "VECTOR", versioning = "VERSIONING", view = "VIEW"
    case virtual = "VIRTUAL", visible = "VISIBLE"
    case wait = "WAIT", when = "WHEN", `where` = "WHERE", window = "WINDOW", with = "WITH"
    case without = "WITHOUT", work = "WORK", wrapper = "WRAPPER", write = "WRITE"
    case xa = "XA", xmltype = "XMLTYPE"
    case year = "YEAR", yes = "YES"
    case zerofill = "ZEROFILL"

    /// A word's bytes, upper case, packed.
    private struct Packed: Hashable {
        var parts: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

        mutating func append(_ c: UInt8, at i: Int) {
            let value = UInt64(c) << (8 * UInt64(i & 7))
            switch i >> 3 {
            case 0: parts.0 |= value
            case 1: parts.1 |= value
            case 2: parts.2 |= value
            default: parts.3 |= value
            }
        }

        static func == (a: Packed, b: Packed) -> Bool { a.parts == b.parts }

        func hash(into hasher: inout Hasher) {
            hasher.combine(parts.0)
            hasher.combine(parts.1)
        }
    }

    private static let words: [Packed: Keyword] = {
        var out: [Packed: Keyword] = [:]
        for keyword in allCases where keyword != .none {
            var key = Packed()
            for (i, c) in keyword.rawValue.utf8.enumerated() { key.append(c, at: i) }
            out[key] = keyword
        }
        return out
    }()

    private static let longest = 26

    /// The keyword of a word in the source.
    static func find(_ source: [UInt8], _ low: Int, _ high: Int) -> Keyword {
        guard high - low <= longest else { return .none }
        var key = Packed()
        for i in low..<high {
            let c = source[i]
            guard c < 0x80 else { return .none }
            let upper = c >= UInt8(ascii: "a") && c <= UInt8(ascii: "z") ? c & 0xDF : c
            key.append(upper, at: i - low)
        }
        return words[key] ?? .none
    }
}
