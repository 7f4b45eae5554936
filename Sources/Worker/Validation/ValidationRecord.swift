internal import Checkpoint
internal import Foundation
internal import MySQLClient
internal import MySQLCore
internal import Verification

/// How far a subtask's changes are compared, as the meta schema keeps it.
struct ValidationRecord: Codable {
    /// Everything before it has been looked at.
    private var position: String
    /// Rows that differed.
    var rows: [StoredRow]

    /// Rows that are kept at most: the record is read whole with every start.
    static let limit = 1000
    /// Bytes of their keys that are kept at most.
    private static let byteLimit = 256 << 10

    /// Whether so many can be kept.
    static func hasRoom(for rows: [StoredRow]) -> Bool {
        rows.count <= limit
            && rows.reduce(0) { $0 + $1.key.reduce(0) { $0 + $1.utf8.count } } <= byteLimit
    }

    init(position: SourcePosition, rows: [StoredRow]) {
        self.position = Data(position.encoded).base64EncodedString()
        self.rows = rows
    }

    /// The place; `nil` where it has an unknown form.
    var place: SourcePosition? {
        guard let bytes = Data(base64Encoded: position) else { return nil }
        return try? SourcePosition(encoded: Array(bytes))
    }
}

/// The one record of a subtask.
struct ValidationRecords: Sendable {
    let target: ConnectionOptions
    let meta: MetaSchema
    let key: SubtaskKey
    /// The run that may write it.
    let token: RunToken

    private static let name = TableName(schema: "", name: "")

    /// What is kept; `nil` for nothing, and for what can't be read. Blocks.
    func read() throws -> ValidationRecord? {
        let connection = try Connection(target)
        let objects = try StoredObjects(meta: meta, key: key).read(connection)
        return try objects.first { $0.kind == .validation }?.decoded(as: ValidationRecord.self)
    }

    /// Replaces it, as long as the run owns the subtask. Blocks.
    ///
    /// - Throws: `CheckpointError.fenced` when it does not any more.
    func write(_ record: ValidationRecord) throws {
        let session = try TargetSession(target, role: .coordinator)
        let object = try StoredObject(kind: .validation, name: Self.name, encoding: record)
        let objects = StoredObjects(meta: meta, key: key)
        try objects.write(
            [objects.storeStatement(object)],
            by: Coordinator(session: session, meta: meta, key: key, token: token))
    }
}
