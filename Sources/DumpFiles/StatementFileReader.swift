public import MySQLSyntax

/// Reads a file of statements, one after the other: definitions of databases, tables, views,
/// routines, triggers.
///
/// Bodies of routines hold semicolons. mydumper ends each statement with a semicolon at the end of
/// a line, which is a line feed alone, and leaves none there inside of one; other tools name a delimiter of their own, as the
/// command line client has it.
public final class StatementFileReader {
    private var text: DumpText
    private let context: SyntaxContext
    private let hasBodies: Bool
    private var delimiter: [UInt8] = [UInt8(ascii: ";")]

    /// What SET statements have said so far.
    public private(set) var settings = DumpFileSettings()

    /// The most bytes of a statement.
    static let limit = 64 << 20

    /// Makes a reader.
    ///
    /// - Parameters:
    ///   - hasBodies: a semicolon inside of a line ends nothing.
    ///   - context: the target's server, which decides which executable comments count.
    ///   - more: appends the file's next bytes, unpacked; false at its end.
    public init(
        hasBodies: Bool, context: SyntaxContext, more: @escaping (inout [UInt8]) throws -> Bool
    ) {
        self.hasBodies = hasBodies
        self.context = context
        text = DumpText(more)
    }

    /// The next statement without its delimiter, those that only set something left out; `nil` at
    /// the end.
    ///
    /// - Throws: ``DumpFileError``, and what reading throws.
    public func next() throws -> [UInt8]? {
        while true {
            text.forget()
            try text.skipSpace()
            if try text.isOver() { return nil }
            if try readDelimiter() { continue }
            let start = text.offset
            let escapes = !settings.mode.contains(.noBackslashEscapes)
            guard
                let end = try text.scan(
                    TextScan(escapes: escapes),
                    until: .delimiter(delimiter, endsLine: hasBodies && delimiter.count == 1),
                    limit: Self.limit, "a statement")
            else { throw DumpFileError("it ends in a statement", at: start) }
            let statement = Array(text.bytes[text.at..<(end - delimiter.count)])
            text.at = end
            do throws(DumpFileError) {
                if try settings.apply(statement, currentContext) { continue }
            } catch {
                throw DumpFileError(error.reason, at: start)
            }
            if Words(statement, currentContext).count == 0 { continue }
            return statement
        }
    }

    /// The context that the newest statement is to be read in.
    public var currentContext: SyntaxContext {
        var out = context
        out.sqlMode = settings.mode
        return out
    }

    /// `DELIMITER ;;` at the start of a line.
    private func readDelimiter() throws -> Bool {
        let word = Array("DELIMITER".utf8)
        try text.require(word.count + 1)
        let end = text.at + word.count
        guard end < text.bytes.count, text.bytes[end] == 0x20 || text.bytes[end] == 0x09,
            zip(text.bytes[text.at..<end], word).allSatisfy({ $0 & 0xDF == $1 })
        else { return false }
        let start = text.offset
        text.at = end
        var out: [UInt8] = []
        while try !text.isOver() {
            let c = text.bytes[text.at]
            if c == 0x0A { break }
            text.at += 1
            if c > 0x20 { out.append(c) }
        }
        guard !out.isEmpty, out.count <= 16 else {
            throw DumpFileError("a delimiter is not understood", at: start)
        }
        delimiter = out
        return true
    }
}

/// What a statement of a definition's file creates.
public struct CreatedObject: Sendable, Hashable {
    /// What it is.
    public enum Kind: String, Sendable, Hashable {
        /// A database.
        case database
        /// A table.
        case table
        /// A sequence.
        case sequence
        /// A view.
        case view
        /// A trigger.
        case trigger
        /// A procedure.
        case procedure
        /// A function.
        case function
        /// An event.
        case event
        /// A package of MariaDB's, or its body.
        case package
    }

    /// What it is.
    public var kind: Kind
    /// Its name.
    public var name: String
    /// The database that the statement names before it; `nil` when it names none.
    public var schema: String?
    /// The table of a trigger.
    public var table: String?
    /// The database that the statement names before that.
    public var tableSchema: String?
    /// Whether the statement is one that takes the object away; nothing of a load needs that.
    public var isDrop = false

    /// Reads a statement's beginning; `nil` when it neither creates nor drops anything.
    public init?(_ statement: [UInt8], _ context: SyntaxContext) {
        let words = Words(statement, context)
        guard ["CREATE", "DROP"].contains(words.word(0)) else { return nil }
        isDrop = words.word(0) == "DROP"
        var i = 1
        // What lies between: definers, algorithms, OR REPLACE.
        while i < words.count {
            if let kind = Self.kinds[words.word(i)], words.text(i - 1) != "=" {
                self.kind = kind
                i += 1
                if kind == .package, words.word(i) == "BODY" { i += 1 }
                while ["IF", "NOT", "EXISTS"].contains(words.word(i)) { i += 1 }
                guard var name = words.name(i) else { return nil }
                if words.text(i + 1) == ".", let second = words.name(i + 2) {
                    schema = name
                    name = second
                    i += 2
                }
                self.name = name
                if kind == .trigger, !isDrop { (tableSchema, table) = Self.table(words, i + 1) }
                return
            }
            if words.text(i) == "(" { return nil }
            i += 1
        }
        return nil
    }

    /// `BEFORE INSERT ON t`.
    private static func table(_ words: Words, _ start: Int) -> (String?, String?) {
        for i in start..<min(start + 8, words.count) where words.word(i) == "ON" {
            if words.text(i + 2) == "." { return (words.name(i + 1), words.name(i + 3)) }
            return (nil, words.name(i + 1))
        }
        return (nil, nil)
    }

    private static let kinds: [String: Kind] = [
        "DATABASE": .database, "SCHEMA": .database, "TABLE": .table, "SEQUENCE": .sequence,
        "VIEW": .view, "TRIGGER": .trigger, "PROCEDURE": .procedure, "FUNCTION": .function,
        "EVENT": .event, "PACKAGE": .package,
    ]
}
