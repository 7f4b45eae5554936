public import MySQLCore

/// The judgement on a table or on everything.
public enum Verdict: String, Sendable, Hashable {
    /// Every row and every compared property is the same.
    case equal
    /// Something differs, in a way that lasts.
    case different
    /// It could not be found out; the reason is given.
    case undecided
}

/// A row that differs, in words that a person can act on.
public struct RowDifference: Sendable, Hashable, CustomStringConvertible {
    /// How it differs.
    public enum Kind: Sendable, Hashable {
        /// The source has the row, the target does not.
        case missingOnTarget
        /// The target has the row, the source does not.
        case extraOnTarget
        /// Both have it; the values of these columns differ.
        case columns([String])
        /// A table without a key: how many copies of an identical row each side has.
        case copies(source: Int, target: Int)
        /// Rows of the target with these values in the columns that are filled in are those of no
        /// table, and how many there are.
        case ofNoTable(rows: UInt64)
    }

    /// The table, as the source calls it.
    public let table: TableName
    /// How it differs.
    public let kind: Kind
    /// The row: its key's columns and values, or the first columns of a table without a key.
    public let row: [(column: String, value: String)]

    init(table: TableName, kind: Kind, row: [(column: String, value: String)]) {
        self.table = table
        self.kind = kind
        self.row = row
    }

    /// `shop.orders id=5: columns total, note differ`; long values are shortened.
    public var description: String {
        let key = row.prefix(8).map { "\($0.column)=\(shortened($0.value, 60))" }
            .joined(separator: ", ")
        let what =
            switch kind {
            case .missingOnTarget: "missing on the target"
            case .extraOnTarget: "extra on the target"
            case .columns(let names):
                "\(names.count == 1 ? "column" : "columns") "
                    + shortened(names.joined(separator: ", "), 200)
                    + (names.count == 1 ? " differs" : " differ")
            case .copies(let source, let target):
                "\(source) \(source == 1 ? "copy" : "copies") on the source, "
                    + "\(target) on the target"
            case .ofNoTable(let rows):
                rows == 1
                    ? "1 row that belongs to none of the tables"
                    : "\(rows) rows that belong to none of the tables"
            }
        return "\(table) \(key): \(what)"
    }

    /// Compares table, kind and row.
    public static func == (a: RowDifference, b: RowDifference) -> Bool {
        a.table == b.table && a.kind == b.kind
            && a.row.elementsEqual(b.row) { $0.column == $1.column && $0.value == $1.value }
    }

    /// Hashes table, kind and row.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(table)
        hasher.combine(kind)
        for part in row {
            hasher.combine(part.column)
            hasher.combine(part.value)
        }
    }
}

/// Something of a table's shape, or of a schema's objects, that differs.
public struct StructureFinding: Sendable, Hashable, CustomStringConvertible {
    /// What is concerned.
    public enum Kind: String, Sendable, Hashable {
        case tableMissing, columnMissing, columnExtra, typeDiffers, charsetDiffers
        case collationDiffers, nullabilityDiffers, generationDiffers, attributeDiffers
        case columnOrderDiffers, keyMissing, keyExtra, keyDiffers, foreignKeyDiffers
        case engineDiffers, objectMissing
    }

    /// What is concerned.
    public let kind: Kind
    /// Whether it makes the verdict "different"; otherwise it is a note.
    public let isDifference: Bool
    /// One sentence that names the object and both sides.
    public let description: String

    init(_ kind: Kind, _ isDifference: Bool, _ description: String) {
        self.kind = kind
        self.isDifference = isDifference
        self.description = shortened(description, 400)
    }
}

/// What was found out about one table.
public struct TableReport: Sendable {
    /// The table, as the source calls it.
    public let source: TableName
    /// The table, as the target calls it.
    public let target: TableName
    /// Rows of the source that were compared.
    public internal(set) var rows: UInt64 = 0
    /// Chunks that were compared.
    public internal(set) var chunks: UInt64 = 0
    /// Rows that differ; in a table without a key, distinct rows whose number of copies differs.
    public internal(set) var differingRows: UInt64 = 0
    /// The first of them, up to ``VerificationOptions/maxReportedRows``.
    public internal(set) var differences: [RowDifference] = []
    /// Rows that differed at first, and were the same on both sides at a later look: the target had
    /// not caught up, or they were changing.
    public internal(set) var settledRows: UInt64 = 0
    /// Rows that kept changing for as long as ``VerificationOptions/patience``.
    public internal(set) var undecidedRows: UInt64 = 0
    /// Whether the table was compared as a set of rows with counts, for want of a key.
    public internal(set) var isKeyless = false
    /// How the shapes differ.
    public internal(set) var structure: [StructureFinding] = []
    /// What has not been looked for, one sentence each. It leaves the verdict as it is.
    public internal(set) var notes: [String] = []
    /// Why the comparison is not complete, if it is not.
    public internal(set) var undecidedReason: String?

    init(source: TableName, target: TableName) {
        self.source = source
        self.target = target
    }

    /// The judgement. A difference that was found counts even if the rest is undecided.
    public var verdict: Verdict {
        if differingRows > 0 || structure.contains(where: \.isDifference) { return .different }
        return undecidedRows > 0 || undecidedReason != nil ? .undecided : .equal
    }
}

/// What a verification found out.
public struct VerificationReport: Sendable {
    /// Every table, in the order of the options; behind them, by the target's name for both sides,
    /// tables of the target with rows that belong to none of them.
    public internal(set) var tables: [TableReport]
    /// Views, routines, triggers and events that only one side has: notes.
    public internal(set) var objects: [StructureFinding] = []
    /// How long it took.
    public internal(set) var elapsed: Duration = .zero

    /// The judgement on everything: different if any table is, else undecided if any table is.
    public var verdict: Verdict {
        if tables.contains(where: { $0.verdict == .different }) { return .different }
        return tables.contains(where: { $0.verdict == .undecided }) ? .undecided : .equal
    }

    /// Rows of the source that were compared.
    public var rows: UInt64 { tables.reduce(0) { $0 + $1.rows } }
    /// Chunks that were compared.
    public var chunks: UInt64 { tables.reduce(0) { $0 + $1.chunks } }
    /// Rows that differ.
    public var differingRows: UInt64 { tables.reduce(0) { $0 + $1.differingRows } }
    /// Rows that differed at first and were the same at a later look.
    public var settledRows: UInt64 { tables.reduce(0) { $0 + $1.settledRows } }
    /// Rows that kept changing.
    public var undecidedRows: UInt64 { tables.reduce(0) { $0 + $1.undecidedRows } }
}

/// A text of at most `limit` characters, control characters replaced.
func shortened(_ text: String, _ limit: Int) -> String {
    let clean = String(
        text.prefix(limit + 1).map { c in
            c.unicodeScalars.contains { $0.value < 32 || $0.value == 127 } ? "\u{FFFD}" : c
        })
    return clean.count > limit ? clean.prefix(limit) + "\u{2026}" : clean
}
