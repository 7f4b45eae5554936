/// Why bytes of a binlog could not be read. Nothing that comes from outside traps: every length,
/// count and offset in an event is checked, and a failed check ends in this error.
public struct BinlogError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What kind of failure it is; the raw value is stable.
    public enum Code: String, Sendable, Hashable, CaseIterable {
        /// The event ends before something that it announces.
        case truncated = "binlog-truncated"
        /// The bytes contradict the format.
        case malformed = "binlog-malformed"
        /// The checksum differs from the event's content.
        case checksum = "binlog-checksum"
        /// An event type that must not be skipped and is not understood.
        case unsupportedEvent = "binlog-unsupported-event"
        /// A column type that has no known layout.
        case unsupportedType = "binlog-unsupported-type"
        /// A binlog version or header layout older than MySQL 5.7 or MariaDB 10.4.
        case unsupportedFormat = "binlog-unsupported-format"
        /// Something is larger than the caller allows.
        case limit = "binlog-limit"
        /// The source itself reports that changes are missing from its binlog.
        case incident = "binlog-incident"
        /// A partial JSON update does not fit the value that it is applied to.
        case misfit = "binlog-misfit"
    }

    /// The kind of failure.
    public var code: Code
    /// The event, where one is known.
    public var event: EventType?
    /// Offset in bytes from the start of the event.
    public var offset: Int
    /// One sentence for people; it holds no row values.
    public var reason: String

    /// Makes an error.
    public init(_ code: Code, _ event: EventType?, at offset: Int, _ reason: String) {
        self.code = code
        self.event = event
        self.offset = offset
        self.reason = reason
    }

    /// Code, event, offset and reason in one line.
    public var description: String {
        "\(code.rawValue): \(event.map { "\($0) event" } ?? "event") at byte \(offset): \(reason)"
    }

    /// The same failure with the event's type filled in where it was not known.
    func inside(_ type: EventType) -> BinlogError {
        var copy = self
        if copy.event == nil { copy.event = type }
        return copy
    }
}

// Building the texts is kept out of line, so that checks cost their callers a branch and a call.

@inline(never)
func truncated(_ event: EventType?, at offset: Int, _ what: StaticString) -> BinlogError {
    BinlogError(.truncated, event, at: offset, "the event ends inside \(what)")
}

@inline(never)
func malformed(_ event: EventType?, at offset: Int, _ what: StaticString) -> BinlogError {
    BinlogError(.malformed, event, at: offset, "\(what)")
}
