public import MySQLCore

/// Finds where transactions begin and end in a binlog, by types and the words around rows, without
/// decoding anything: for those that store events and need to know where they may cut.
public struct GroupTracker: Sendable {
    /// What an event is in the sequence of transactions.
    public enum Step: Sendable, Hashable {
        /// It belongs to no transaction: the head and the end of a file.
        case outside
        /// The first event of a transaction.
        case begins
        /// Neither the first nor the last.
        case inside
        /// The last event of a transaction.
        case ends
        /// A transaction by itself.
        case single
    }

    private enum State: UInt8 {
        case outside
        /// Behind a MySQL GTID: what follows decides.
        case head
        /// Ends with its statement.
        case standalone
        /// Ends with a commit.
        case open
    }

    private var state = State.outside

    /// Starts between two transactions.
    public init() {}

    /// Whether a transaction has begun and not ended.
    public var isInside: Bool { state != .outside }

    /// Takes the next event, without its checksum.
    @inline(__always)
    public mutating func take(_ type: EventType, _ event: RawSpan) -> Step {
        switch type.rawValue {
        case 19, 23...25, 30...32, 39, 29, 160, 166...171:
            return state == .outside ? .outside : .inside
        default:
            return takeRare(type, event)
        }
    }

    private mutating func takeRare(_ type: EventType, _ event: RawSpan) -> Step {
        switch type {
        case .mariadbGTID:
            // Flags: 1 stands alone, 128 completes a prepared XA transaction by one statement.
            let flags = event.byteCount > 31 ? event.u8(31) : 0
            state = flags & 0x81 != 0 ? .standalone : .open
            return .begins
        case .gtid, .anonymousGTID, .taggedGTID:
            state = .head
            return .begins
        case .xid, .xaPrepare:
            return close()
        case .transactionPayload:
            return state == .head ? close() : .inside
        case .query:
            return statement(event)
        case .queryCompressed, EventType(18):
            return state == .standalone || state == .head ? close() : .inside
        case .formatDescription, .rotate, .stop, .previousGTIDs, .gtidList, .binlogCheckpoint,
            .heartbeat, .heartbeatV2, .startEncryption:
            return .outside
        default:
            return state == .outside ? .outside : .inside
        }
    }

    private mutating func close() -> Step {
        defer { state = .outside }
        return state == .outside ? .single : .ends
    }

    private mutating func statement(_ event: RawSpan) -> Step {
        guard let layout = try? QueryLayout(event) else { return .inside }
        let range = layout.sqlRange
        func isText(_ text: StaticString, prefix: Bool = false) -> Bool {
            let length = text.utf8CodeUnitCount
            guard prefix ? range.count > length : range.count == length else { return false }
            for i in 0..<length
            where unsafe event.u8(range.lowerBound + i) != text.utf8Start[i] { return false }
            return true
        }
        switch state {
        case .standalone: return close()
        case .head, .outside:
            if isText("BEGIN") || isText("XA START ", prefix: true) {
                defer { state = .open }
                return state == .outside ? .begins : .inside
            }
            return close()
        case .open: return isText("COMMIT") || isText("ROLLBACK") ? close() : .inside
        }
    }

    /// The GTID in a transaction's first event, without its checksum; `nil` when there is none.
    @inline(__always)
    public static func identity(of event: RawSpan, _ type: EventType) -> TransactionIdentity? {
        switch type {
        case .mariadbGTID:
            guard event.byteCount >= 32 else { return nil }
            return TransactionIdentity(
                stream: .mariadb(domain: event.u32(27), server: event.u32(5)),
                number: event.u64(19))
        case .gtid:
            guard event.byteCount >= 44 else { return nil }
            let uuid = ServerUUID(
                high: event.u64(20).byteSwapped, low: event.u64(28).byteSwapped)
            return TransactionIdentity(stream: .mysql(uuid, tag: ""), number: event.u64(36))
        case .taggedGTID:
            return (try? GTIDEvent(event))?.identity
        default:
            return nil
        }
    }
}
