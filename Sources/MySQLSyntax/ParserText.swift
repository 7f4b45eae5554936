import MySQLCore

/// How names and strings are decoded from tokens.
extension Parser {
    /// A name's text: quotes removed, doubled quotes halved.
    func nameText(_ token: Token) throws(SyntaxFailure) -> String {
        var bytes: [UInt8]
        if token.kind == .quotedName {
            bytes = []
            let quote = source[Int(token.low)]
            var i = Int(token.low) + 1
            while i < Int(token.high) - 1 {
                bytes.append(source[i])
                i += source[i] == quote ? 2 : 1
            }
        } else {
            bytes = Array(source[token.range])
        }
        return try decode(bytes, at: Int(token.low))
    }

    /// Bytes in the client's character set as text.
    func decode(_ bytes: [UInt8], at offset: Int) throws(SyntaxFailure) -> String {
        if bytes.allSatisfy({ $0 < 0x80 }) { return String(decoding: bytes, as: UTF8.self) }
        switch context.encoding {
        case .utf8:
            let text = String(decoding: bytes, as: UTF8.self)
            guard text.utf8.count == bytes.count, Array(text.utf8) == bytes else {
                throw SyntaxFailure(offset: offset, reason: "text is not valid UTF-8")
            }
            return text
        case .latin1:
            var out = String.UnicodeScalarView()
            for b in bytes { out.append(latin1Scalar(b)) }
            return String(out)
        case .singleByte, .unsafeTrail:
            throw SyntaxFailure(
                offset: offset, reason: "text outside ASCII in a character set not read here")
        }
    }

    /// A string token's bytes: quotes, `N` and escapes removed.
    func stringBytes(_ token: Token) -> [UInt8] {
        var i = Int(token.low)
        if source[i] == UInt8(ascii: "@") || source[i] | 0x20 == UInt8(ascii: "n") { i += 1 }
        let quote = source[i]
        let escapes =
            !context.sqlMode.contains(.noBackslashEscapes) && quote != UInt8(ascii: "`")
        let end = Int(token.high) - 1
        var out: [UInt8] = []
        i += 1
        while i < end {
            let c = source[i]
            if c == quote {
                out.append(c)
                i += 2
            } else if c == UInt8(ascii: "\\"), escapes, i + 1 < end {
                appendEscape(source[i + 1], to: &out)
                i += 2
            } else if context.encoding == .unsafeTrail, c >= 0x81, i + 1 < end,
                source[i + 1] >= 0x40
            {
                out.append(c)
                out.append(source[i + 1])
                i += 2
            } else {
                out.append(c)
                i += 1
            }
        }
        return out
    }

    /// The bytes of `0x..`, `x'..'`, `0b..` or `b'..'`.
    func binaryBytes(_ token: Token) -> [UInt8] {
        let isHex = token.kind == .hex
        var low = Int(token.low)
        var high = Int(token.high)
        if source[low] == UInt8(ascii: "0") {
            low += 2
        } else {
            low += 2
            high -= 1
        }
        guard low < high else { return [] }
        let perByte = isHex ? 2 : 8
        var out: [UInt8] = []
        var value: UInt8 = 0
        var left = (high - low) % perByte
        if left == 0 { left = perByte }
        for c in source[low..<high] {
            value = isHex ? value << 4 | hexDigitValue(c) : value << 1 | (c & 1)
            left -= 1
            if left == 0 {
                out.append(value)
                value = 0
                left = perByte
            }
        }
        return out
    }

    /// A text in a place where only a literal can be: a string (also several in a row, with an
    /// introducer or not), or hexadecimal digits.
    mutating func stringLiteral() throws(SyntaxFailure) -> String {
        let offset = Int(token.low)
        if token.kind == .word, source[Int(token.low)] == UInt8(ascii: "_"),
            peek(1).kind == .string || peek(1).kind == .hex
        {
            advance()
        }
        var bytes: [UInt8] = []
        switch token.kind {
        case .string:
            while token.kind == .string {
                bytes += stringBytes(token)
                advance()
            }
        case .hex, .bits:
            bytes = binaryBytes(token)
            advance()
        default:
            throw failure("a string expected")
        }
        return try decode(bytes, at: offset)
    }

    /// `user@host` in any spelling, or CURRENT_USER, as it stands in the text.
    mutating func account() throws(SyntaxFailure) -> Range<Int> {
        let low = Int(token.low)
        let isCurrent = takeAny(.currentUser, .currentRole)
        if isCurrent {
            if isByte("("), isByte(")", at: 1) {
                advance()
                advance()
            }
        } else {
            guard isName(token) || token.kind == .string else { throw failure("a user expected") }
            advance()
            if token.kind == .userVariable {
                advance()
            } else if isByte("@") {
                advance()
                guard isName(token) || token.kind == .string else {
                    throw failure("a host expected")
                }
                advance()
            }
        }
        return low..<Int(tokens[at - 1].high)
    }
}

private func appendEscape(_ c: UInt8, to out: inout [UInt8]) {
    switch c {
    case UInt8(ascii: "0"): out.append(0)
    case UInt8(ascii: "n"): out.append(10)
    case UInt8(ascii: "r"): out.append(13)
    case UInt8(ascii: "t"): out.append(9)
    case UInt8(ascii: "b"): out.append(8)
    case UInt8(ascii: "Z"): out.append(26)
    case UInt8(ascii: "%"), UInt8(ascii: "_"):
        out.append(UInt8(ascii: "\\"))
        out.append(c)
    default: out.append(c)
    }
}

private func hexDigitValue(_ c: UInt8) -> UInt8 {
    switch c {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): c - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): c - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): c - UInt8(ascii: "A") + 10
    default: 0
    }
}

/// Code page 1252, in which the five unassigned bytes stand for themselves.
private func latin1Scalar(_ b: UInt8) -> Unicode.Scalar {
    guard b >= 0x80, b < 0xA0 else { return Unicode.Scalar(b) }
    let high: [UInt32] = [
        0x20AC, 0x81, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
        0x2039, 0x0152, 0x8D, 0x017D, 0x8F, 0x90, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013,
        0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x9D, 0x017E, 0x0178,
    ]
    return Unicode.Scalar(high[Int(b) - 0x80]) ?? Unicode.Scalar(b)
}
