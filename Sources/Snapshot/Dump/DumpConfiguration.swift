public import DumpFiles
internal import Foundation
public import MySQLClient
public import MySQLCore

/// How a dump is made.
public struct DumpConfiguration: Sendable {
    /// The source server.
    public var source: ConnectionOptions
    /// The server's identity and the life of its binlog.
    public var origin: Origin
    /// The directory: made when it is not there, and empty but for what an earlier try has left.
    public var directory: String
    /// Of the task that owns the directory (``DumpClaim``); `nil` for no task.
    public var token: String?
    /// A digest of the rules that ``selection`` is made of, for whoever finds the dump whole.
    public var rules: String?
    /// Which tables, views, routines and events are dumped.
    public var selection: ObjectSelection
    /// How files of rows are packed.
    public var compression = DumpCompression.none
    /// Connections that read rows.
    public var readers = 4
    /// Bytes of SQL after which a file ends and the table's next one begins.
    public var fileBytes = 256 << 20
    /// Rows after which it does; `nil` for any number.
    public var rowsPerFile: UInt64?
    /// A condition that rows of every table must meet, as SQL; `nil` for all rows.
    public var condition: String?
    /// A digest of what chooses rows beside ``condition``; `nil` where nothing does.
    public var rowRules: String?
    /// Bytes that an INSERT statement aims at.
    public var statementBytes = 1_000_000
    /// The time now, as text for the metadata.
    public var now: @Sendable () -> String = DumpConfiguration.time
    /// Which of the tables the source's binlog may have changed between two places; `nil` where
    /// that can't be told. Blocks its thread.
    public var changes:
        @Sendable (_ from: SourcePosition, _ to: SourcePosition) throws -> Set<TableName>? = {
            _, _ in nil
        }
    /// Calls with the default schema and the text of each statement that the source's binlog has
    /// from a place to its end; the call says whether to go on. Whether the binlog was there. Blocks
    /// its thread.
    public var statements:
        @Sendable (
            _ from: SourcePosition, _ take: (_ schema: [UInt8], _ sql: [UInt8]) -> Bool
        ) throws -> Bool = { _, _ in false }

    /// Makes a configuration with defaults.
    public init(
        source: ConnectionOptions, origin: Origin, directory: String, selection: ObjectSelection
    ) {
        self.source = source
        self.origin = origin
        self.directory = directory
        self.selection = selection
    }

    /// The time in UTC, as metadata has it.
    @Sendable
    public static func time() -> String {
        let formatter = DateFormatter()
        formatter.locale = Locale(identifier: "en_US_POSIX")
        formatter.timeZone = TimeZone(identifier: "UTC")
        formatter.dateFormat = "yyyy-MM-dd HH:mm:ss"
        return formatter.string(from: Date())
    }
}

/// What a dump came to.
public struct DumpResult: Sendable {
    /// The place of the source's binlog that all rows are of.
    public var position: SourcePosition
    /// Tables in it.
    public var tables: Int
    /// Those of them that an earlier try had dumped, and that have not changed since.
    public var kept: Int
    /// Rows in it.
    public var rows: UInt64
}
