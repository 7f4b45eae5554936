internal import Checkpoint
internal import MySQLClient
internal import MySQLCore
internal import Rules

/// A statement of the source as it is run on the target: one statement, or several.
struct DDLRequest: Sendable {
    /// One statement, which has run or has not.
    struct Part: Sendable {
        /// The statement's bytes, in the event's client character set.
        var sql: [UInt8]
        var defaultSchema: String?
        /// Session settings of the query event, as assignments.
        var settings: [String]
        /// All tables that the statement names.
        var tables: [TableName]
        var existAfter: [TableName]
        var goneAfter: [TableName]
        var isIdempotent: Bool
    }

    var identity: TransactionIdentity
    /// What runs, in this order; the same after a crash.
    var parts: [Part]
    /// Where it is in the source's binlog.
    var position: SourcePosition?
    /// Objects without rows (views, routines): a refusal is a warning, and recorded.
    var mayFail = false
    /// The views and routines that it is about.
    var objects: [ObjectUse] = []
    /// Something of the source's statement is left out.
    var isPartial = false
    /// It changes one of several tables that are merged: what runs is told by what the others are.
    var merged: MergedChange?
    /// What runs is found out anew from what the target has, also where it has run.
    var isRepeatable = false
    /// Tables of the target that were found to be the source's alone: with others there, something
    /// else becomes of the statement.
    var foundAlone: Set<TableName> = []
    /// What all tables that are merged need was looked at.
    var isSettled = false
    /// Tells, in the transaction of its mark, the statements that go with it.
    var completion: @Sendable (Connection) throws -> [String] = { _ in [] }
    /// Rows of the same transaction follow.
    var isOpening = false
    /// A schema of the target that goes: its views and routines go with it, as far as they are
    /// migrated. They go first: while the tables are there, all of it is run again after a crash.
    var emptiedSchema: (name: String, mapping: TableMapping)?

    /// Tables that exist when all has run, or may.
    var existAfter: [TableName] { Set(parts.flatMap(\.existAfter)).sorted() }

    /// The numbers of the parts.
    var numbers: [DDLPartNumber] {
        guard parts.count > 1 else { return [DDLPartNumber()] }
        var texts = ByteBuffer(capacity: 256)
        for part in parts {
            texts.append(part.sql)
            texts.append("\u{0}")
        }
        let digest = hexLiteral(Digest.digest(texts.bytes))
        return parts.indices.map {
            DDLPartNumber(index: $0, count: parts.count, digest: digest)
        }
    }
}

/// A view or routine that a statement is about.
struct ObjectUse: Sendable, Hashable {
    var id: StaleObject.ID
    /// When the statement has run, the object is all that the source's is, whatever it was before.
    var isSettled: Bool
}

extension DDLRequest {
    /// A request of one statement.
    init(
        identity: TransactionIdentity, sql: [UInt8], defaultSchema: String?, settings: [String],
        tables: [TableName], existAfter: [TableName], goneAfter: [TableName], isIdempotent: Bool,
        mayFail: Bool
    ) {
        self.init(
            identity: identity,
            parts: [
                Part(
                    sql: sql, defaultSchema: defaultSchema, settings: settings, tables: tables,
                    existAfter: existAfter, goneAfter: goneAfter, isIdempotent: isIdempotent)
            ], mayFail: mayFail)
    }
}
