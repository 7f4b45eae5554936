internal import MySQLCore

/// Which subtask a row of the meta schema belongs to: one task's part on one source.
public struct SubtaskKey: Sendable, Hashable, CustomStringConvertible {
    /// The task's name; `skein migrate --name`, by default `migrate`.
    public var task: String
    /// The source's name; by default `host:port`.
    public var source: String

    /// Makes a key. Names are limited to 255 characters by the meta schema's columns.
    public init(task: String, source: String) {
        self.task = task
        self.source = source
    }

    /// `task/source`.
    public var description: String { "\(task)/\(source)" }

    /// The condition that selects the subtask's rows; literals only, so that no `sql_mode`
    /// changes its meaning.
    package var condition: String {
        "task=\(utf8Literal(task)) AND source=\(utf8Literal(source))"
    }

    /// The two literals for a list of values.
    package var values: String { "\(utf8Literal(task)),\(utf8Literal(source))" }
}

/// The token of one run: fresh random 128 bits at every takeover. It is what fences, since only
/// the run that wrote the newest takeover matches the rows it left.
public struct RunToken: Sendable, Hashable {
    /// Sixteen bytes.
    public let bytes: [UInt8]

    /// What a subtask's row has in place of a run's when there is none: it was made just now, or
    /// ended to take a table over. None is ever this one.
    package static let ended = RunToken([UInt8](repeating: 0, count: 16))

    /// Wraps sixteen bytes.
    public init(_ bytes: [UInt8]) {
        precondition(bytes.count == 16)
        self.bytes = bytes
    }

    /// `x'..'` for SQL.
    package var literal: String { hexLiteral(bytes) }

    /// The name of the lock that a connection of the run holds for as long as it lives; `role`
    /// is a lane's number or `c` for the coordinator.
    package func lockName(_ role: String) -> String {
        "'skein:\(hexLiteral(bytes.prefix(8)).dropFirst(2).dropLast()):\(role)'"
    }
}
