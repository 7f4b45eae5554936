internal import Foundation
public import MySQLCore

/// What is recorded of a subtask that another tool has followed before: up to where that may have
/// applied changes already.
///
/// It is written in the transaction that begins the subtask, and never changes: whether a
/// transaction lies in the stretch is told by its place alone, at any later time.
public struct Adoption: Codable, Sendable, Hashable {
    /// The other tool's task.
    public var task: String
    /// Nothing beyond it can have been applied before the subtask began, encoded.
    private var end: [UInt8]

    /// Makes a record.
    public init(task: String, end: SourcePosition) {
        self.task = task
        self.end = end.encoded
    }

    /// Where the stretch ends.
    ///
    /// - Throws: `MalformedEncoding`.
    public func stretchEnd() throws -> SourcePosition { try SourcePosition(encoded: end) }

    /// What it is recorded under: there is one a subtask.
    public static let name = TableName(schema: "", name: "")

    /// The record of a subtask.
    ///
    /// - Returns: `nil` when nobody has followed it before.
    public static func read(_ objects: [StoredObject]) throws -> Adoption? {
        try objects.first { $0.kind == .adopted }?.decoded(as: Adoption.self)
    }
}
