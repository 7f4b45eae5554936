public import MySQLCore
public import MySQLSyntax

/// Reads a file of rows, one row after the other: INSERT statements of any size are taken apart at
/// the parentheses of their rows, and no more than one row is held.
///
/// A row's text is passed on as it is. Settings are taken from SET statements, other statements of
/// dump tools that say nothing about rows are passed over, and any further one is an error.
public final class RowFileReader {
    private var text: DumpText
    private let context: SyntaxContext
    private let table: String
    private var place = Place.between
    private var headText: [UInt8] = []
    private var row = 0..<0

    private enum Place { case between, first, behind }

    /// Settings at the newest row.
    public private(set) var settings = DumpFileSettings()
    /// The list of columns of the newest row's statement, with its parentheses; empty without one.
    public private(set) var columns: [UInt8] = []
    /// Grows whenever settings or columns become others.
    public private(set) var generation = 0
    /// Rows handed out so far.
    public private(set) var rows: UInt64 = 0

    /// The most bytes that one row may take.
    private let rowLimit: Int
    /// The most bytes of anything else.
    static let statementLimit = 1 << 20

    /// Makes a reader.
    ///
    /// - Parameters:
    ///   - table: the name of the table, which every statement must have.
    ///   - context: the target's server, which decides which executable comments count.
    ///   - rowLimit: the most bytes that one row may take; no more are held. A server takes a
    ///     gibibyte at most.
    ///   - more: appends the file's next bytes, unpacked; false at its end.
    public init(
        table: String, context: SyntaxContext, rowLimit: Int = 1 << 30,
        more: @escaping (inout [UInt8]) throws -> Bool
    ) {
        self.table = table
        self.context = context
        self.rowLimit = rowLimit
        text = DumpText(more)
    }

    /// The offset behind the newest row, in the unpacked text.
    public var offset: UInt64 { text.offset }

    /// Bytes of the newest row.
    public var rowBytes: Int { row.count }

    /// Appends the newest row, in its parentheses.
    ///
    /// - Parameter isOpen: without the first of them.
    public func appendRow(to out: inout ByteBuffer, isOpen: Bool = false) {
        let row = isOpen ? self.row.dropFirst() : self.row
        let bytes = text.bytes
        let span = bytes.span.extracting(row)
        out.append(unsafe span.bytes)
    }

    /// Moves to the next row. False at the end of the file.
    ///
    /// - Throws: ``DumpFileError``, ``RowTooLong``, and what reading throws.
    public func next() throws -> Bool {
        while true {
            text.forget()
            try text.skipSpace()
            switch place {
            case .between:
                if try text.isOver() { return false }
                try beginStatement()
            case .first:
                guard try text.peek(0) == UInt8(ascii: "(") else { throw unexpected() }
                guard let found = try text.scanRow(TextScan(escapes: escapes), limit: rowLimit)
                else { throw DumpFileError("it ends in a row", at: text.offset) }
                row = text.at..<found.end
                try requireValues(found)
                text.at = found.end
                place = .behind
                rows += 1
                return true
            case .behind:
                switch try text.peek(0) {
                case UInt8(ascii: ","): place = .first
                case UInt8(ascii: ";"): place = .between
                case 0 where try text.isOver():
                    throw DumpFileError("it ends in a statement", at: text.offset)
                default: throw unexpected()
                }
                text.at += 1
            }
        }
    }

    private var escapes: Bool { !settings.mode.contains(.noBackslashEscapes) }

    private var currentContext: SyntaxContext {
        var out = context
        out.sqlMode = settings.mode
        return out
    }

    private func unexpected() -> DumpFileError {
        DumpFileError("an INSERT statement is not understood", at: text.offset)
    }

    /// Values are literals, and what tools put around them so that servers read them as they were
    /// meant. Anything else would be run by the target, and could read, or do, all that the load's
    /// user may.
    private func requireValues(_ found: DumpText.Row) throws {
        guard !found.isPlain else { return }
        let code =
            found.hasExecutable
            ? "an executable comment" : RowValues.code(Array(text.bytes[row]), currentContext)
        if let code {
            throw DumpFileError("a row holds \(code), which is no value", at: text.offset)
        }
    }

    private func beginStatement() throws {
        if !headText.isEmpty {
            try text.require(headText.count)
            if text.bytes[text.at...].starts(with: headText) {
                text.at += headText.count
                place = .first
                return
            }
        }
        let first = try firstWord()
        if first == "INSERT" || first == "REPLACE" {
            try beginInsert()
            return
        }
        let start = text.offset
        guard
            let end = try text.scan(
                TextScan(escapes: escapes), until: .delimiter([UInt8(ascii: ";")], endsLine: false),
                limit: Self.statementLimit, "a statement")
        else { throw DumpFileError("it ends in a statement", at: start) }
        let statement = Array(text.bytes[text.at..<end])
        text.at = end
        do throws(DumpFileError) {
            let before = settings
            if try settings.apply(statement, currentContext) {
                if settings != before { generation += 1 }
                return
            }
        } catch {
            throw DumpFileError(error.reason, at: start)
        }
        guard isPassedOver(statement) else {
            throw DumpFileError(
                "a \(first.isEmpty ? "" : "\(first) ")statement has no place in a file of rows",
                at: start)
        }
    }

    /// The statement's first word in capitals; empty for a comment or anything else.
    private func firstWord() throws -> String {
        var out: [UInt8] = []
        while out.count < 32 {
            let c = try text.peek(out.count)
            guard (c | 0x20) >= UInt8(ascii: "a"), (c | 0x20) <= UInt8(ascii: "z") else { break }
            out.append(c & 0xDF)
        }
        return String(decoding: out, as: UTF8.self)
    }

    /// Statements that change nothing about which rows there are: the load has transactions and
    /// locks of its own.
    private func isPassedOver(_ statement: [UInt8]) -> Bool {
        let words = Words(statement, currentContext)
        switch words.word(0) {
        case "": return words.count == 0
        case "LOCK", "UNLOCK": return words.word(1) == "TABLES" || words.word(1) == "TABLE"
        case "COMMIT": return words.count == 1
        case "BEGIN": return words.count == 1
        case "START": return words.word(1) == "TRANSACTION"
        case "ALTER":
            return words.word(words.count - 1) == "KEYS"
                && ["ENABLE", "DISABLE"].contains(words.word(words.count - 2))
        default: return false
        }
    }

    /// Reads `INSERT INTO t (columns) VALUES`. IGNORE, and REPLACE, are taken for a plain INSERT:
    /// every row is written once, and one that does not fit is to be seen.
    private func beginInsert() throws {
        let start = text.offset
        var length = 1024
        while true {
            try text.require(length)
            let available = min(length, text.bytes.count - text.at)
            let slice = Array(text.bytes[text.at..<(text.at + available)])
            if let (end, list) = try head(slice, at: start) {
                headText = Array(slice[..<end])
                if columns != list {
                    columns = list
                    generation += 1
                }
                text.at += end
                place = .first
                return
            }
            guard available == length, length < Self.statementLimit else {
                throw DumpFileError("an INSERT statement is not understood", at: start)
            }
            length *= 4
        }
    }

    /// - Returns: where `VALUES` ends, and the list of columns; `nil` when there is no such word.
    private func head(_ bytes: [UInt8], at start: UInt64) throws -> (Int, [UInt8])? {
        let words = Words(bytes, currentContext)
        var i = 1
        while ["INTO", "IGNORE", "LOW_PRIORITY", "DELAYED"].contains(words.word(i)) { i += 1 }
        guard i + 1 < words.count else { return nil }
        guard var name = words.name(i) else {
            throw DumpFileError("an INSERT statement names no table", at: start)
        }
        i += 1
        if words.text(i) == "." {
            guard i + 2 < words.count, let second = words.name(i + 1) else { return nil }
            name = second
            i += 2
        }
        var list: [UInt8] = []
        if words.text(i) == "(" {
            let open = words.range(i).lowerBound
            i += 1
            while words.name(i) != nil || words.text(i) == "," { i += 1 }
            guard i < words.count, words.kind(i) != .unterminated else { return nil }
            guard words.text(i) == ")" else {
                throw DumpFileError("an INSERT statement is not understood", at: start)
            }
            list = Array(bytes[open..<words.range(i).upperBound])
            i += 1
        }
        // A word at the end may go on behind it.
        guard i < words.count, words.range(i).upperBound < bytes.count else { return nil }
        guard words.word(i) == "VALUES" || words.word(i) == "VALUE" else {
            throw DumpFileError("an INSERT statement is not understood", at: start)
        }
        guard name == table else {
            throw DumpFileError("it has rows of another table than its name says", at: start)
        }
        return (words.range(i).upperBound, list)
    }
}
