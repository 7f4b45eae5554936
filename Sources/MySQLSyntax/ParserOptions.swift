import MySQLCore

/// Options of tables and schemas.
extension Parser {
    /// Options up to what is none, with or without commas between them.
    mutating func tableOptions(_ out: inout TableOptions) throws(SyntaxFailure) {
        while true {
            let start = at
            if takeByte(","), start == at { return }
            guard try tableOption(&out) else {
                at = start
                return
            }
        }
    }

    /// One option; false, with nothing consumed, when none is here.
    mutating func tableOption(_ out: inout TableOptions) throws(SyntaxFailure) -> Bool {
        let start = at
        let isDefault = take(.default)
        switch keyword {
        case .character, .charset, .char:
            if let charset = try charsetClause() {
                out.charset = charset
                return true
            }
        case .collate:
            advance()
            out.collation = try collationName()
            return true
        case .encryption where isDefault:
            try otherOption(&out)
            return true
        default: break
        }
        guard !isDefault else {
            at = start
            return false
        }
        switch keyword {
        case .engine, .type:
            advance()
            _ = takeByte("=")
            out.engine = try optionName()
        case .autoIncrement:
            advance()
            _ = takeByte("=")
            out.autoIncrement = try integer()
        case .comment:
            advance()
            _ = takeByte("=")
            out.comment = try stringLiteral()
        case .with:
            guard peek(1).keyword == .system, peek(2).keyword == .versioning else { return false }
            at += 3
            out.hasSystemVersioning = true
        case .start:
            guard take(.start, .transaction) else { return false }
            out.startsTransaction = true
        case .union:
            advance()
            _ = takeByte("=")
            try skipParentheses()
            out.others.append("UNION")
        case .sequence where isByte("=", at: 1):
            at += 2
            out.isSequence = text(token.range) != "0"
            advance()
        case .data, .index:
            guard peek(1).keyword == .directory else { return false }
            out.others.append(keyword == .data ? "DATA DIRECTORY" : "INDEX DIRECTORY")
            at += 2
            _ = takeByte("=")
            _ = try stringLiteral()
        case .read:
            advance()
            try expect(.only)
            _ = takeByte("=")
            advance()
            out.others.append("READ ONLY")
        case .tablespace:
            // ALTER TABLE's IMPORT and DISCARD TABLESPACE begin with another word.
            try otherOption(&out)
            if take(.storage) { advance() }
        case .avgRowLength, .checksum, .compression, .connection, .delayKeyWrite, .encryption,
            .engineAttribute, .insertMethod, .keyBlockSize, .maxRows, .minRows, .packKeys,
            .password, .rowFormat, .secondaryEngine, .secondaryEngineAttribute,
            .statsAutoRecalc, .statsPersistent, .statsSamplePages, .storage, .tableChecksum,
            .transactional, .pageChecksum, .pageCompressed, .pageCompressionLevel:
            try otherOption(&out)
        default:
            // Engines of MariaDB have options of their own, always with `=`.
            guard isName(token), isByte("=", at: 1) else { return false }
            try otherOption(&out)
        }
        return true
    }

    /// `NAME [=] value`, of which the name is kept.
    private mutating func otherOption(_ out: inout TableOptions) throws(SyntaxFailure) {
        out.others.append(text(token.range).uppercased())
        advance()
        _ = takeByte("=")
        guard !isAtEnd, token.kind != .unterminated else { throw failure("a value expected") }
        switch token.kind {
        case .string: while token.kind == .string { advance() }
        case .word, .number, .quotedName, .hex: advance()
        default: throw failure("a value expected")
        }
    }
}
