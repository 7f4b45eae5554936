public import MySQLSyntax

/// Settings of the session that a dump's file makes before its statements.
public struct DumpFileSettings: Sendable, Hashable {
    /// The charset that literals are in; dumps name `binary`, which takes bytes as they are.
    public var charset = "binary"
    /// What `sql_mode` says about the text.
    public var mode: SQLMode = []
    /// All of `sql_mode`, where the file sets it.
    public var modeText: String?
    /// The collation of literals, where the file sets it: part of what views and routines are.
    public var collation: String?
    /// The time zone of TIMESTAMP values, where the file sets it.
    public var timeZone: String?
    /// What the file has put aside in variables of its own.
    private var saved: [String: String] = [:]

    /// Makes the settings of a file that says nothing.
    public init() {}

    /// Settings that have no influence on what rows become.
    private static let harmless: Set<String> = [
        "foreign_key_checks", "unique_checks", "sql_notes", "character_set_results",
        "character_set_connection", "sql_quote_show_create",
        "net_read_timeout", "net_write_timeout", "wait_timeout", "character_set_database",
    ]

    /// Takes a SET statement over.
    ///
    /// - Returns: false when it is none.
    /// - Throws: ``DumpFileError`` for a setting that is not known, or whose value can't be.
    public mutating func apply(
        _ statement: [UInt8], _ context: SyntaxContext
    ) throws(DumpFileError) -> Bool {
        let tokens = Words(statement, context)
        guard tokens.word(0) == "SET" else { return false }
        if tokens.word(1) == "NAMES" || tokens.word(1) == "CHARSET" {
            try Self.requireEnd(tokens, 3)
            try use(charset: tokens.value(2))
            return true
        }
        if tokens.word(1) == "CHARACTER", tokens.word(2) == "SET" {
            try Self.requireEnd(tokens, 4)
            try use(charset: tokens.value(3))
            return true
        }
        var at = 1
        while at < tokens.count {
            let end = tokens.end(ofItemAt: at)
            try assign(tokens, at, end)
            at = end + 1
        }
        return true
    }

    /// Nothing may follow but a collation: else it is more than one statement.
    private static func requireEnd(_ tokens: Words, _ end: Int) throws(DumpFileError) {
        guard
            tokens.count <= end || tokens.count == end + 2 && tokens.word(end) == "COLLATE"
        else { throw DumpFileError("a SET statement is not understood") }
    }

    private mutating func assign(
        _ tokens: Words, _ start: Int, _ end: Int
    ) throws(DumpFileError) {
        var at = start
        if at < end, tokens.word(at) == "SESSION" || tokens.word(at) == "LOCAL" { at += 1 }
        guard at + 2 < end + 1, at + 1 < end, ["=", ":="].contains(tokens.text(at + 1)) else {
            throw DumpFileError("a SET statement is not understood")
        }
        let name = tokens.variable(at)
        let value = at + 2
        if tokens.isUserVariable(at) {
            if let stored = stored(tokens.variable(value)) { saved[name] = stored }
            return
        }
        var text: String? = tokens.value(value)
        if tokens.isUserVariable(value) {
            text = saved[tokens.variable(value)]
            guard text != nil || Self.harmless.contains(name) else {
                throw DumpFileError("\(name) is set to a variable that the file has not set")
            }
        } else if end - value != 1, !Self.harmless.contains(name) {
            throw DumpFileError("\(name) is set to an expression")
        }
        switch name {
        case "character_set_client": try use(charset: text)
        case "sql_mode":
            modeText = text ?? ""
            mode = SQLMode(text: text ?? "")
        case "collation_connection": collation = text.flatMap { $0.isEmpty ? nil : $0 }
        case "time_zone": timeZone = text.flatMap { $0.isEmpty ? nil : $0 }
        default:
            guard Self.harmless.contains(name) else {
                throw DumpFileError("it sets \(name), of which nothing is known here")
            }
        }
    }

    /// A setting's value now, as a text.
    private func stored(_ name: String) -> String? {
        switch name {
        case "character_set_client": charset
        case "sql_mode": modeText ?? ""
        case "time_zone": timeZone ?? ""
        case "collation_connection": collation ?? ""
        default: nil
        }
    }

    private mutating func use(charset text: String?) throws(DumpFileError) {
        guard let text, !text.isEmpty else {
            throw DumpFileError("a SET statement is not understood")
        }
        guard ClientEncoding(charset: text) != .unsafeTrail else {
            throw DumpFileError(
                "its text is in \(text), in which quotes can be parts of characters; dump with "
                    + "another charset")
        }
        charset = text.lowercased()
        collation = nil
    }
}

/// A statement's tokens, as words.
struct Words {
    private let bytes: [UInt8]
    private let tokens: [Token]

    init(_ statement: [UInt8], _ context: SyntaxContext) {
        bytes = statement
        tokens = Lexer.tokens(statement, context: context).filter { token in
            token.kind != .end
                && !(token.kind == .punctuation && statement[token.range] == [UInt8(ascii: ";")])
        }
    }

    var count: Int { tokens.count }

    func kind(_ i: Int) -> TokenKind { i < tokens.count ? tokens[i].kind : .end }

    func range(_ i: Int) -> Range<Int> {
        i < tokens.count ? tokens[i].range : bytes.count..<bytes.count
    }

    /// The token's text, as written.
    func text(_ i: Int) -> String {
        i < tokens.count ? String(decoding: bytes[tokens[i].range], as: UTF8.self) : ""
    }

    /// An unquoted word in capitals.
    func word(_ i: Int) -> String { kind(i) == .word ? text(i).uppercased() : "" }

    /// A name without its quotes.
    func name(_ i: Int) -> String? {
        switch kind(i) {
        case .word: text(i)
        case .quotedName: unquoted(i)
        default: nil
        }
    }

    /// A literal's or word's text without quotes.
    func value(_ i: Int) -> String {
        switch kind(i) {
        case .string, .quotedName: unquoted(i)
        default: text(i)
        }
    }

    func isUserVariable(_ i: Int) -> Bool { kind(i) == .userVariable }

    /// The name of a variable, in small letters, without what says that it is the session's.
    func variable(_ i: Int) -> String {
        var out = Substring(text(i).lowercased())
        guard kind(i) == .systemVariable else { return String(out.filter { $0 != "`" }) }
        out = out.dropFirst(2)
        for prefix in ["session.", "local."] where out.hasPrefix(prefix) {
            out = out.dropFirst(prefix.count)
        }
        return String(out.filter { $0 != "`" })
    }

    /// The place of the comma behind the item that begins at `start`, outside parentheses.
    func end(ofItemAt start: Int) -> Int {
        var depth = 0
        for i in start..<tokens.count where kind(i) == .punctuation {
            switch text(i) {
            case "(": depth += 1
            case ")": depth -= 1
            case "," where depth == 0: return i
            default: break
            }
        }
        return tokens.count
    }

    private func unquoted(_ i: Int) -> String {
        let raw = bytes[tokens[i].range]
        guard raw.count >= 2, let quote = raw.last else { return "" }
        var out: [UInt8] = []
        var isSecond = false
        for c in raw.dropFirst().dropLast() {
            if c == quote, !isSecond {
                isSecond = true
                continue
            }
            isSecond = false
            out.append(c)
        }
        return String(decoding: out, as: UTF8.self)
    }
}
