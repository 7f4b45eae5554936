import MySQLCore

/// What stands between CREATE or ALTER and the kind of object.
struct ObjectPrefix {
    var orReplace = false
    var definer: String?
    var definerRange: Range<Int>?
    var isAggregate = false
    var isTemporary = false
}

/// Views, triggers, routines, events, sequences, packages.
extension Parser {
    /// `[OR REPLACE] [DEFINER = ..] [ALGORITHM = ..] [SQL SECURITY ..] [AGGREGATE]` in any order.
    mutating func objectPrefix(_ prefix: inout ObjectPrefix) throws(SyntaxFailure) {
        while true {
            if keyword == .or, peek(1).keyword == .replace {
                at += 2
                prefix.orReplace = true
            } else if keyword == .definer {
                let low = Int(token.low)
                advance()
                try expectByte("=")
                let account = try account()
                prefix.definer = text(account)
                prefix.definerRange = low..<account.upperBound
            } else if keyword == .algorithm {
                advance()
                try expectByte("=")
                advance()
            } else if keyword == .sql, peek(1).keyword == .security {
                at += 2
                advance()
            } else if keyword == .aggregate {
                prefix.isAggregate = true
                advance()
            } else if keyword == .json, peek(1).keyword == .relational {
                at += 2
                _ = take(.duality)
            } else if keyword == .materialized {
                advance()
            } else {
                return
            }
        }
    }

    private mutating func objectKind() throws(SyntaxFailure) -> ObjectKind {
        let word = keyword
        advance()
        switch word {
        case .view: return .view
        case .trigger: return .trigger
        case .procedure: return .procedure
        case .function: return .function
        case .event: return .event
        case .sequence: return .sequence
        case .library: return .library
        case .package: return take(.body) ? .packageBody : .package
        case .materialized where keyword == .view:
            advance()
            return .view
        default:
            at -= 1
            throw failure("a kind of object expected")
        }
    }

    /// The name of an object: views and sequences share the tables' names.
    private mutating func name(
        of kind: ObjectKind, _ role: TableRole
    ) throws(SyntaxFailure) -> (TableName, Range<Int>) {
        guard kind == .view || kind == .sequence else { return try objectName() }
        let name = try tableName(role)
        return (name, tables[tables.count - 1].nameRange)
    }

    mutating func createObject(_ prefix: ObjectPrefix) throws(SyntaxFailure) -> CreateObject {
        let kind = try objectKind()
        let ifNotExists = ifNotExists()
        let (name, nameRange) = try name(of: kind, .target)
        var out = CreateObject(
            kind: kind, name: name, orReplace: prefix.orReplace, ifNotExists: ifNotExists,
            isTemporary: prefix.isTemporary, isAggregate: prefix.isAggregate,
            definer: prefix.definer, definerRange: prefix.definerRange, nameRange: nameRange,
            bodyRange: Int(token.low)..<bodyEnd)
        out.isLoadable = kind == .function && keyword == .returns && isLoadable
        if kind == .trigger { out.table = try triggerTable() }
        if kind != .sequence, !out.isLoadable {
            var scanner = TableScanner(self)
            if kind == .view { scanner.scanQuery() } else { scanner.scanBody() }
            self = scanner.parser
            if kind != .view { tablesAreComplete = false }
        }
        return out
    }

    /// `RETURNS type SONAME 'file'`.
    private var isLoadable: Bool { peek(2).keyword == .soname }

    /// Where a body ends: at the last token that is not a semicolon.
    private var bodyEnd: Int {
        var last = tokens.count - 2
        while last > at, source[Int(tokens[last].low)] == UInt8(ascii: ";") { last -= 1 }
        return max(Int(token.low), last >= 0 ? Int(tokens[last].high) : 0)
    }

    /// `{BEFORE|AFTER} event [OR event] ON table`.
    private mutating func triggerTable() throws(SyntaxFailure) -> TableName {
        for _ in 0..<64 where keyword != .on {
            guard !isAtEnd, token.kind != .unterminated else { break }
            advance()
        }
        try expect(.on)
        return try tableName(.owner)
    }

    mutating func alterObject(_ prefix: ObjectPrefix) throws(SyntaxFailure) -> AlterObject {
        let kind = try objectKind()
        let ifExists = ifExists()
        let (name, _) = try name(of: kind, .target)
        var out = AlterObject(
            kind: kind, name: name, ifExists: ifExists, definer: prefix.definer,
            definerRange: prefix.definerRange, bodyRange: Int(token.low)..<bodyEnd)
        if kind == .view {
            var scanner = TableScanner(self)
            scanner.scanQuery()
            self = scanner.parser
        } else if kind == .event {
            try alteredEvent(&out)
        }
        return out
    }

    private mutating func alteredEvent(_ out: inout AlterObject) throws(SyntaxFailure) {
        while !isAtEnd, token.kind != .unterminated, keyword != .do {
            if take(.rename, .to) {
                out.renamedTo = try objectName().0
            } else if isByte("(") {
                try skipParentheses()
            } else {
                advance()
            }
        }
        guard keyword == .do else { return }
        var scanner = TableScanner(self)
        scanner.scanBody()
        self = scanner.parser
        tablesAreComplete = false
    }

    mutating func dropObject() throws(SyntaxFailure) -> DropObject {
        let kind = try objectKind()
        let ifExists = ifExists()
        var out = DropObject(kind: kind, names: [], ifExists: ifExists)
        repeat {
            out.names.append(try name(of: kind, .target).0)
        } while takeByte(",")
        _ = takeAny(.restrict, .cascade)
        try expectEnd()
        return out
    }
}
