public import MySQLClient
internal import MySQLCore

// The meta schema, format 1. All tables are InnoDB, in the same server and the same replication
// stream as the data: their rows commit together with it.
//
//   version   format
//   subtask   one row a subtask: who owns it, and what the target durably holds
//   lane      one row a lane of the current run: commits, and transactions above the mark
//   ddl       at most one row a subtask: a DDL statement that is about to run, or has run
//   shape     table shapes at the low-water mark
//   snapshot  read views of the copy: the positions they lie between
//   chunk     parts of tables that were copied, each recorded in the transaction that wrote it
//   object    triggers and events that wait for the switch-over, and other records by name:
//             `StoredObject.Kind` says which; what another tool's tasks have become is under the
//             empty task name (`AdoptedTask`), and so is which load writes to which table
//             (`TableClaims`)
//
// Each BLOB begins with a format byte; sets and positions are encoded as `PositionCoding.swift`
// of MySQLCore says, shapes and contexts as JSON behind the byte.

/// The tables that Skein keeps in the target.
public struct MetaSchema: Sendable, Hashable {
    /// The format that this version writes.
    public static let format = 1

    /// The schema's name, `skein_meta` unless set otherwise.
    public let name: String

    /// Makes a meta schema of that name; nothing is touched.
    public init(name: String = "skein_meta") { self.name = name }

    /// A table of it, quoted.
    package func table(_ name: String) -> String {
        TableName(schema: self.name, name: name).quoted
    }

    /// Creates what is missing and checks format and engine.
    ///
    /// - Throws: ``CheckpointError/unusable(detail:)``, or the server's error.
    public func prepare(_ connection: Connection) throws {
        try connection.execute(
            "CREATE DATABASE IF NOT EXISTS \(quoteIdentifier(name)) CHARACTER SET utf8mb4")
        let key = """
            task VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL, \
            source VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL
            """
        let object = """
            schema_name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL, \
            table_name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL
            """
        let tables: [(String, String)] = [
            ("version", "only INT NOT NULL PRIMARY KEY, format INT NOT NULL"),
            (
                "subtask",
                """
                \(key), epoch BIGINT NOT NULL, run BINARY(16) NOT NULL, beat BIGINT NOT NULL, \
                phase VARCHAR(32) NOT NULL, identity LONGBLOB, low_water LONGBLOB, \
                carried LONGBLOB, tail LONGBLOB, rules LONGBLOB, consistent_from LONGBLOB, \
                PRIMARY KEY (task, source)
                """
            ),
            (
                "lane",
                """
                \(key), lane INT NOT NULL, run BINARY(16) NOT NULL, commits BIGINT NOT NULL, \
                done LONGBLOB NOT NULL, PRIMARY KEY (task, source, lane)
                """
            ),
            (
                "ddl",
                """
                \(key), identity LONGBLOB NOT NULL, step INT NOT NULL, statement LONGBLOB NOT NULL, \
                before_state LONGBLOB NOT NULL, context LONGBLOB NOT NULL, \
                PRIMARY KEY (task, source)
                """
            ),
            (
                "shape",
                "\(key), \(object), shape LONGBLOB NOT NULL, "
                    + "PRIMARY KEY (task, source, schema_name, table_name)"
            ),
            (
                "snapshot",
                """
                \(key), snapshot_id INT NOT NULL, low LONGBLOB NOT NULL, high LONGBLOB, \
                sealed BOOLEAN NOT NULL, kind VARCHAR(16) NOT NULL, \
                PRIMARY KEY (task, source, snapshot_id)
                """
            ),
            (
                "chunk",
                """
                \(key), \(object), snapshot_id INT NOT NULL, chunk INT NOT NULL, \
                from_key LONGBLOB, to_key LONGBLOB, copied_rows BIGINT NOT NULL, \
                PRIMARY KEY (task, source, schema_name, table_name, snapshot_id, chunk)
                """
            ),
            (
                "object",
                """
                \(key), kind VARCHAR(16) NOT NULL, \(object), definition LONGBLOB NOT NULL, \
                PRIMARY KEY (task, source, kind, schema_name, table_name)
                """
            ),
        ]
        for (name, columns) in tables {
            try connection.execute(
                "CREATE TABLE IF NOT EXISTS \(table(name)) (\(columns)) "
                    + "ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 ROW_FORMAT=DYNAMIC")
        }
        try connection.execute(
            "INSERT IGNORE INTO \(table("version")) VALUES (1, \(Self.format)); COMMIT")
        try check(connection)
    }

    /// Whether the schema exists at all.
    public func exists(_ connection: Connection) throws(MySQLError) -> Bool {
        try connection.value(
            "SELECT COUNT(*) FROM information_schema.TABLES "
                + "WHERE TABLE_SCHEMA=\(utf8Literal(name)) AND TABLE_NAME='subtask'") == "1"
    }

    private func check(_ connection: Connection) throws {
        let format = try connection.value("SELECT format FROM \(table("version"))")
        guard format == String(Self.format) else {
            throw CheckpointError.unusable(
                detail: "it has format \(format ?? "none"), this version of skein writes "
                    + "\(Self.format); use the version that made it, or another --meta-schema")
        }
        let other = try connection.rows(
            "SELECT TABLE_NAME, ENGINE FROM information_schema.TABLES "
                + "WHERE TABLE_SCHEMA=\(utf8Literal(name)) AND ENGINE<>'InnoDB'")
        if let first = other.first {
            throw CheckpointError.unusable(
                detail: "table \(first[0] ?? "") has engine \(first[1] ?? ""), not InnoDB: "
                    + "its rows would not commit together with the data")
        }
        try connection.execute("COMMIT")
    }
}
