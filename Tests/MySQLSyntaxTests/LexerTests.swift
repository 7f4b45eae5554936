import MySQLCore
import MySQLSyntax
import Testing

@Suite struct LexerTests {
    private func lex(_ sql: String, _ context: SyntaxContext = mariadb) -> [String] {
        let bytes = Array(sql.utf8)
        return Lexer.tokens(bytes, context: context).dropLast().map {
            "\($0.kind):" + String(decoding: bytes[$0.range], as: UTF8.self)
        }
    }

    @Test func splitsNamesNumbersAndStrings() {
        #expect(
            lex("a `b``c` 'd''e\\'f' \"g\" 1 2.5 .5 1e3 0x1F x'aB' 0b01 b'1' N'x'") == [
                "word:a", "quotedName:`b``c`", "string:'d''e\\'f'", "string:\"g\"", "number:1",
                "number:2.5", "number:.5", "number:1e3", "hex:0x1F", "hex:x'aB'", "bits:0b01",
                "bits:b'1'", "string:N'x'",
            ])
    }

    @Test func namesMayBeginWithDigits() {
        #expect(lex("1a") == ["word:1a"])
        #expect(lex("1e5x 0xZZ 0b2 2ex") == ["word:1e5x", "word:0xZZ", "word:0b2", "word:2ex"])
        #expect(lex("a.1b") == ["word:a", "punctuation:.", "word:1b"])
        #expect(lex("a.1e5") == ["word:a", "punctuation:.", "word:1e5"])
        #expect(lex("`a`.5") == ["quotedName:`a`", "punctuation:.", "word:5"])
        #expect(lex("1.5") == ["number:1.5"])
    }

    @Test func knowsVariables() {
        #expect(
            lex("@a @`b c` @'d' @@global.e a@b 'a'@'%' @") == [
                "userVariable:@a", "userVariable:@`b c`", "userVariable:@'d'",
                "systemVariable:@@global.e", "word:a", "userVariable:@b", "string:'a'",
                "userVariable:@'%'", "symbol:@",
            ])
    }

    @Test func skipsComments() {
        #expect(
            lex("a -- b\nc # d\ne /* f */ g --h") == [
                "word:a", "word:c", "word:e", "word:g", "symbol:-", "symbol:-", "word:h",
            ])
        #expect(lex("a /*+ hint */ b --") == ["word:a", "word:b"])
    }

    @Test(arguments: [
        ("10.11.6-MariaDB", "/*!50100 a */ b", ["a", "b"]),
        ("10.11.6-MariaDB", "/*! a */ b", ["a", "b"]),
        ("10.11.6-MariaDB", "/*!50700 a */ b", ["b"]),
        ("10.11.6-MariaDB", "/*!80000 a */ b", ["b"]),
        ("10.11.6-MariaDB", "/*!99999 a */ b", ["b"]),
        ("10.11.6-MariaDB", "/*!100000 a */ b", ["a", "b"]),
        ("10.11.6-MariaDB", "/*!101200 a */ b", ["b"]),
        ("10.11.6-MariaDB", "/*M!50700 a */ b", ["a", "b"]),
        ("10.11.6-MariaDB", "/*M! a */ b", ["a", "b"]),
        ("8.0.36", "/*!50700 a */ b", ["a", "b"]),
        ("8.0.36", "/*!80036 a */ b", ["a", "b"]),
        ("8.0.36", "/*!80037 a */ b", ["b"]),
        ("8.0.36", "/*!90000 a /* c */ d */ b", ["b"]),
        ("8.0.36", "/*M!100100 a */ b", ["b"]),
        ("8.0.36", "/*!50100 a /* c */ d */ b", ["a", "d", "b"]),
        ("5.7.44", "/*!80000 a */ b", ["b"]),
    ])
    func entersExecutableCommentsAsTheServerWould(
        version: String, sql: String, expected: [String]
    ) {
        let context = SyntaxContext(version: ServerVersion(version))
        #expect(lex(sql, context) == expected.map { "word:\($0)" })
    }

    @Test func followsSQLMode() {
        var context = mariadb
        context.sqlMode = .ansiQuotes
        #expect(lex("\"a\" 'b'", context) == ["quotedName:\"a\"", "string:'b'"])
        context.sqlMode = .noBackslashEscapes
        #expect(lex("'a\\' b", context) == ["string:'a\\'", "word:b"])
        #expect(SQLMode(text: "STRICT_TRANS_TABLES,ansi_quotes") == [.strict, .ansiQuotes])
        #expect(SQLMode(binlog: 0x4, family: .mysql) == .ansiQuotes)
        #expect(SQLMode(binlog: 0x10_0000, family: .mysql) == .noBackslashEscapes)
    }

    @Test(arguments: ["'a", "\"a", "`a", "x'1", "/* a", "@'a", "'a\\", "'a\\'"])
    func whatIsNotClosedEndsTheText(sql: String) {
        let tokens = Lexer.tokens(Array(sql.utf8), context: mariadb)
        #expect(tokens.map(\.kind) == [.unterminated])
    }

    /// In gbk, 0xBF 0x27 is one character and no quote; 0x815C holds no backslash.
    @Test func secondBytesAreNoQuotes() throws {
        var context = mariadb
        context.encoding = ClientEncoding(charset: "gbk")
        let quote: [UInt8] = [0x27, 0xBF, 0x5C, 0x27, 0x20, 0x61]
        #expect(Lexer.tokens(quote, context: context).map(\.kind) == [.string, .word, .end])
        let bytes = Array("drop table `".utf8) + [0x81, 0x60] + Array("`".utf8)
        #expect(throws: SyntaxError.self) { try parseStatement(bytes, context: context) }
    }

    @Test func latin1NamesAreDecoded() throws {
        var context = mariadb
        context.encoding = ClientEncoding(charset: "latin1")
        let bytes = Array("drop table `".utf8) + [0xE4, 0x80] + Array("`".utf8)
        let statement = try parseStatement(bytes, context: context)
        #expect(statement.tables.map(\.name.name) == ["ä€"])
        context.encoding = .utf8
        #expect(throws: SyntaxError.self) { try parseStatement(bytes, context: context) }
    }
}
