/// The type byte of an event. Any value can be held; ``treatment(flags:)`` says what a replica must
/// do with it.
public struct EventType: RawRepresentable, Sendable, Hashable, CustomStringConvertible {
    /// The byte in the header.
    public var rawValue: UInt8

    /// Makes a type of any byte.
    @inlinable public init(rawValue: UInt8) { self.rawValue = rawValue }

    @inlinable init(_ rawValue: UInt8) { self.rawValue = rawValue }

    /// What to do with an event.
    public enum Treatment: Sendable, Hashable {
        /// A decoder of this module reads it, and its content matters.
        case decode
        /// It says nothing that a replica needs.
        case skip
        /// It belongs to statement-based replication: known, but its effect is a statement's.
        case statement
        /// Going on would lose something; the text says what.
        case refuse(String)
    }

    /// What a replica does with an event of this type. Unknown types are skipped only when their
    /// writer flagged them as ignorable.
    public func treatment(flags: EventFlags) -> Treatment {
        switch rawValue {
        case 2, 4, 15, 16, 19, 23...25, 27, 30...35, 38...42, 162, 163, 165...171:
            return .decode
        case 3, 28, 29, 36, 37, 160, 161, 164:
            return .skip
        case 5, 13, 14, 17, 18, 9, 11:
            return .statement
        case 20, 21, 22:
            return .refuse("row events of a MySQL 5.1 before its release")
        case 26:
            return .refuse("the source reports that changes are missing from its binlog")
        case 172:
            return .refuse("a row event cut in pieces (binlog_row_event_fragment_threshold)")
        default:
            if flags.contains(.ignorable) { return .skip }
            return .refuse("an event type that this version does not know")
        }
    }

    /// Throws unless an event may be decoded, skipped or treated as part of a statement.
    public func checkSupported(flags: EventFlags) throws(BinlogError) {
        guard case .refuse(let reason) = treatment(flags: flags) else { return }
        let code: BinlogError.Code = self == .incident ? .incident : .unsupportedEvent
        throw BinlogError(code, self, at: 4, reason)
    }

    /// Whether this is a row event, compressed or not.
    @inlinable public var isRows: Bool {
        switch rawValue {
        case 23...25, 30...32, 39, 166...171: true
        default: false
        }
    }

    /// Whether this is one of MariaDB's compressed events, which
    /// ``decompressed(_:limit:)`` turns into plain ones.
    @inlinable public var isCompressed: Bool { rawValue >= 165 && rawValue <= 171 }

    /// The server's name of the type, or its number.
    public var description: String { Self.names[rawValue] ?? "unknown type \(rawValue)" }
}

extension EventType {
    /// A statement, or BEGIN and COMMIT around rows.
    public static let query = EventType(2)
    /// The server stopped.
    public static let stop = EventType(3)
    /// The next file.
    public static let rotate = EventType(4)
    /// LAST_INSERT_ID or the next AUTO_INCREMENT value of a statement.
    public static let intvar = EventType(5)
    /// The seeds of RAND() of a statement.
    public static let rand = EventType(13)
    /// A user variable of a statement.
    public static let userVariable = EventType(14)
    /// The file's format.
    public static let formatDescription = EventType(15)
    /// Commit of a transaction.
    public static let xid = EventType(16)
    /// LOAD DATA, logged as a statement.
    public static let executeLoadQuery = EventType(18)
    /// A table's columns, ahead of its rows.
    public static let tableMap = EventType(19)
    /// Rows inserted, version 1.
    public static let writeRowsV1 = EventType(23)
    /// Rows updated, version 1.
    public static let updateRowsV1 = EventType(24)
    /// Rows deleted, version 1.
    public static let deleteRowsV1 = EventType(25)
    /// The source lost changes.
    public static let incident = EventType(26)
    /// Sign of life with a position.
    public static let heartbeat = EventType(27)
    /// It says nothing to whoever does not know what is in it.
    public static let ignorable = EventType(28)
    /// Text of the statement behind rows (MySQL).
    public static let rowsQuery = EventType(29)
    /// Rows inserted, version 2.
    public static let writeRows = EventType(30)
    /// Rows updated, version 2.
    public static let updateRows = EventType(31)
    /// Rows deleted, version 2.
    public static let deleteRows = EventType(32)
    /// GTID of the transaction that follows (MySQL).
    public static let gtid = EventType(33)
    /// The same for a transaction without GTID.
    public static let anonymousGTID = EventType(34)
    /// The GTIDs of all files before this one (MySQL).
    public static let previousGTIDs = EventType(35)
    /// End of the first phase of an XA transaction.
    public static let xaPrepare = EventType(38)
    /// Rows updated, JSON columns as differences.
    public static let partialUpdateRows = EventType(39)
    /// A compressed transaction (MySQL).
    public static let transactionPayload = EventType(40)
    /// Sign of life with a 64-bit position.
    public static let heartbeatV2 = EventType(41)
    /// GTID with a tag (MySQL 8.3 and later).
    public static let taggedGTID = EventType(42)
    /// Text of the statement behind rows (MariaDB).
    public static let annotateRows = EventType(160)
    /// The oldest file that crash recovery needs (MariaDB).
    public static let binlogCheckpoint = EventType(161)
    /// GTID of the transaction that follows (MariaDB).
    public static let mariadbGTID = EventType(162)
    /// The GTIDs of all files before this one (MariaDB).
    public static let gtidList = EventType(163)
    /// The file is encrypted from here on; never the stream.
    public static let startEncryption = EventType(164)
    /// A compressed statement (MariaDB).
    public static let queryCompressed = EventType(165)

    private static let names: [UInt8: String] = [
        1: "START_V3", 2: "QUERY", 3: "STOP", 4: "ROTATE", 5: "INTVAR", 6: "LOAD", 7: "SLAVE",
        8: "CREATE_FILE", 9: "APPEND_BLOCK", 10: "EXEC_LOAD", 11: "DELETE_FILE", 12: "NEW_LOAD",
        13: "RAND", 14: "USER_VAR", 15: "FORMAT_DESCRIPTION", 16: "XID", 17: "BEGIN_LOAD_QUERY",
        18: "EXECUTE_LOAD_QUERY", 19: "TABLE_MAP", 20: "PRE_GA_WRITE_ROWS",
        21: "PRE_GA_UPDATE_ROWS", 22: "PRE_GA_DELETE_ROWS", 23: "WRITE_ROWS_V1",
        24: "UPDATE_ROWS_V1", 25: "DELETE_ROWS_V1", 26: "INCIDENT", 27: "HEARTBEAT",
        28: "IGNORABLE", 29: "ROWS_QUERY", 30: "WRITE_ROWS", 31: "UPDATE_ROWS",
        32: "DELETE_ROWS", 33: "GTID", 34: "ANONYMOUS_GTID", 35: "PREVIOUS_GTIDS",
        36: "TRANSACTION_CONTEXT", 37: "VIEW_CHANGE", 38: "XA_PREPARE",
        39: "PARTIAL_UPDATE_ROWS", 40: "TRANSACTION_PAYLOAD", 41: "HEARTBEAT_V2",
        42: "GTID_TAGGED", 160: "ANNOTATE_ROWS", 161: "BINLOG_CHECKPOINT", 162: "GTID",
        163: "GTID_LIST", 164: "START_ENCRYPTION", 165: "QUERY_COMPRESSED",
        166: "WRITE_ROWS_COMPRESSED_V1", 167: "UPDATE_ROWS_COMPRESSED_V1",
        168: "DELETE_ROWS_COMPRESSED_V1", 169: "WRITE_ROWS_COMPRESSED",
        170: "UPDATE_ROWS_COMPRESSED", 171: "DELETE_ROWS_COMPRESSED",
        172: "PARTIAL_ROW_DATA",
    ]
}

/// The flags of an event's header.
public struct EventFlags: OptionSet, Sendable, Hashable {
    /// The two bytes.
    public var rawValue: UInt16

    /// Makes flags of their bits.
    @inlinable public init(rawValue: UInt16) { self.rawValue = rawValue }

    /// The file that this format event heads was not closed (yet).
    public static let binlogInUse = EventFlags(rawValue: 0x01)
    /// The statement uses temporary tables.
    public static let threadSpecific = EventFlags(rawValue: 0x04)
    /// The statement does not need its default database.
    public static let suppressUse = EventFlags(rawValue: 0x08)
    /// The server made the event up while sending; it is not in the file.
    public static let artificial = EventFlags(rawValue: 0x20)
    /// A relay log made the event up.
    public static let relayLog = EventFlags(rawValue: 0x40)
    /// Whoever does not know the event may skip it.
    public static let ignorable = EventFlags(rawValue: 0x80)
    /// The event is not to be filtered (MySQL).
    public static let noFilter = EventFlags(rawValue: 0x100)
    /// The applier must run the event alone (MySQL).
    public static let isolated = EventFlags(rawValue: 0x200)
    /// `skip_replication` was set where the event was written (MariaDB).
    public static let skipReplication = EventFlags(rawValue: 0x8000)
}
