import MySQLCore

/// Data types, with all their synonyms.
extension Parser {
    /// A type with its charset attributes; `nil`, with nothing consumed, when none is here.
    mutating func dataType() throws(SyntaxFailure) -> DataType? {
        // MariaDB qualifies types whose meaning depends on sql_mode: `mariadb_schema.date`.
        var isOracle = context.isMariaDB && context.sqlMode.contains(.oracle)
        if isName(token), isByte(".", at: 1), peek(2).kind == .word {
            let schema = try nameText(token).lowercased()
            guard schema.hasSuffix("_schema") else { throw failure("a data type expected") }
            isOracle = schema == "oracle_schema"
            at += 2
        }
        guard token.kind == .word, let kind = simpleKind(keyword, isOracle: isOracle) else {
            return try compoundType(isOracle: isOracle)
        }
        let word = keyword
        advance()
        var out = DataType(ColumnType(kind))
        switch word {
        case .double:
            _ = take(.precision)
        case .char, .character:
            if take(.varying) { out.type.kind = .varchar }
        case .json where context.isMariaDB:
            out.isJSONText = true
        case .json, .xmltype:
            return out
        default: break
        }
        try parameters(&out, of: word, isOracle: isOracle)
        try attributes(&out)
        return out
    }

    private func simpleKind(_ word: Keyword, isOracle: Bool) -> ColumnType.Kind? {
        switch word {
        case .tinyint, .int1, .bool, .boolean: .tinyint
        case .smallint, .int2: .smallint
        case .mediumint, .int3, .middleint: .mediumint
        case .int, .integer, .int4: .int
        case .bigint, .int8: .bigint
        case .decimal, .dec, .numeric, .fixed: .decimal
        case .number: isOracle && !isByte("(", at: 1) ? .double : .decimal
        case .float, .float4: .float
        case .double, .float8: .double
        case .real: context.sqlMode.contains(.realAsFloat) ? .float : .double
        case .bit: .bit
        case .year: .year
        case .date: isOracle ? .datetime : .date
        case .time: .time
        case .datetime: .datetime
        case .timestamp: .timestamp
        case .char, .character: .char
        case .varchar, .varcharacter, .varchar2: .varchar
        case .binary: .binary
        case .varbinary, .raw: .varbinary
        case .tinytext: .tinytext
        case .text: .text
        case .mediumtext: .mediumtext
        case .longtext, .clob, .xmltype: .longtext
        case .tinyblob: .tinyblob
        case .blob: isOracle ? .longblob : .blob
        case .mediumblob: .mediumblob
        case .longblob: .longblob
        case .enum: .enum
        case .set: .set
        case .json: context.isMariaDB ? .longtext : .json
        case .geometry: .geometry
        case .point: .point
        case .linestring: .linestring
        case .polygon: .polygon
        case .multipoint: .multipoint
        case .multilinestring: .multilinestring
        case .multipolygon: .multipolygon
        case .geometrycollection, .geomcollection: .geometrycollection
        case .vector: .vector
        case .uuid: .uuid
        case .inet4: .inet4
        case .inet6: .inet6
        default: nil
        }
    }

    /// SERIAL, LONG .., NATIONAL .., NCHAR .., NVARCHAR.
    private mutating func compoundType(isOracle: Bool) throws(SyntaxFailure) -> DataType? {
        let word = keyword
        switch word {
        case .serial:
            advance()
            var out = DataType(ColumnType(.bigint, isUnsigned: true))
            out.isSerial = true
            return out
        case .long:
            advance()
            var out = DataType(ColumnType(.mediumtext))
            if take(.varbinary) {
                out.type.kind = .mediumblob
            } else if takeAny(.char, .character) {
                try expect(.varying)
            } else {
                _ = takeAny(.varchar, .varcharacter)
            }
            try attributes(&out)
            return out
        case .national, .nchar, .nvarchar:
            advance()
            var out = DataType(ColumnType(word == .nvarchar ? .varchar : .char))
            if takeAny(.varchar, .varcharacter) {
                out.type.kind = .varchar
            } else {
                if word == .national {
                    guard takeAny(.char, .character) else { throw failure("CHAR expected") }
                }
                if take(.varying) { out.type.kind = .varchar }
            }
            out.charset = .named("utf8mb3")
            try parameters(&out, of: .char, isOracle: isOracle)
            try attributes(&out)
            return out
        default:
            return nil
        }
    }

    /// What stands in parentheses behind the type's name.
    private mutating func parameters(
        _ out: inout DataType, of word: Keyword, isOracle: Bool
    ) throws(SyntaxFailure) {
        var numbers: [Int] = []
        if takeByte("(") {
            if out.type.kind == .enum || out.type.kind == .set {
                repeat { out.type.elements.append(try stringLiteral()) } while takeByte(",")
            } else {
                repeat { numbers.append(try parameter()) } while takeByte(",")
                _ = takeAny(.char, .byte)  // Oracle's VARCHAR2(10 CHAR)
            }
            try expectByte(")")
        }
        guard numbers.count <= 2 else { throw failure("at most two parameters expected") }
        let first = numbers.first
        switch out.type.kind {
        case .decimal:
            out.type.length = first == 0 ? 10 : first ?? 10
            out.type.decimals = numbers.count > 1 ? numbers[1] : 0
        case .float:
            if numbers.count == 1, let first, first > 24 { out.type.kind = .double }
            if numbers.count == 2 { (out.type.length, out.type.decimals) = (first, numbers[1]) }
        case .double:
            if numbers.count == 2 { (out.type.length, out.type.decimals) = (first, numbers[1]) }
        case .time, .datetime, .timestamp:
            out.type.decimals = first ?? 0
        case .char, .binary, .bit:
            out.type.length = first ?? 1
        case .varchar, .varbinary:
            guard let first else { throw failure("a length expected") }
            out.type.length = first
        case .text where word == .text, .blob where word == .blob:
            out.type.length = first
        case .longblob where word == .blob && isOracle:
            out.type.length = nil
        case .vector:
            out.type.length = first ?? 2048
        case .enum, .set:
            guard !out.type.elements.isEmpty else { throw failure("members expected") }
        default: break
        }
    }

    /// UNSIGNED, ZEROFILL, CHARACTER SET, BINARY and their like.
    private mutating func attributes(_ out: inout DataType) throws(SyntaxFailure) {
        while true {
            switch keyword {
            case .unsigned, .zerofill:
                advance()
                out.type.isUnsigned = true
            case .signed:
                advance()
            case .ascii:
                advance()
                out.charset = .named("latin1")
            case .unicode:
                advance()
                out.charset = .named("ucs2")
            case .byte:
                advance()
                out.charset = .named("binary")
            case .binary:
                advance()
                out.isBinaryCollation = true
            case .charset, .character, .char:
                guard let charset = try charsetClause() else { return }
                out.charset = charset
            default:
                return
            }
        }
    }

    /// `{CHARACTER SET | CHAR SET | CHARSET} [=] {name | DEFAULT}`; `nil` when none is here.
    mutating func charsetClause() throws(SyntaxFailure) -> CharsetChoice? {
        if keyword == .charset {
            advance()
        } else if keyword == .character || keyword == .char, peek(1).keyword == .set {
            at += 2
        } else {
            return nil
        }
        _ = takeByte("=")
        if take(.default) { return .default }
        return .named(Charsets.canonical(charset: try optionName()))
    }

    /// `COLLATE [=] name`, behind COLLATE.
    mutating func collationName() throws(SyntaxFailure) -> String {
        _ = takeByte("=")
        return Charsets.canonical(collation: try optionName())
    }

    /// A name that may also be a string.
    mutating func optionName() throws(SyntaxFailure) -> String {
        token.kind == .string ? try stringLiteral() : try name()
    }
}
