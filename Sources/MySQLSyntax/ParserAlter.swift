import MySQLCore

/// ALTER TABLE.
extension Parser {
    mutating func alterTable() throws(SyntaxFailure) -> AlterTable {
        var out = AlterTable(table: TableName(schema: "", name: ""))
        while true {
            if take(.online) {
                out.isOnline = true
            } else if take(.ignore) {
                out.ignoresDuplicates = true
            } else if !take(.offline) {
                break
            }
        }
        try expect(.table)
        out.ifExists = ifExists()
        out.table = try tableName(.target)
        out.wait = try lockWait()
        while !isAtEnd {
            let first = out.actions.count
            let low = Int(token.low)
            // What the default of an old column is changes none of its values, NULL that is not
            // allowed any more included; other expressions of it servers refuse.
            let changesColumn = keyword == .alter || keyword == .modify || keyword == .change
            let reason = nondeterministicReason
            try alterAction(&out.actions)
            if changesColumn { nondeterministicReason = reason }
            let range = low..<Int(tokens[max(at - 1, 0)].high)
            actionRanges += repeatElement(range, count: out.actions.count - first)
            if takeByte(",") {
                guard !isAtEnd else { throw failure("an action expected") }
                continue
            }
            // Options need no comma behind them, and partitioning comes without one.
            if case .options? = out.actions.last, out.actions.count > first { continue }
            guard isAtEnd || keyword == .partition || keyword == .remove else {
                throw failure("',' expected")
            }
        }
        noteNondeterminism(of: out)
        return out
    }

    private mutating func noteNondeterminism(of alter: AlterTable) {
        for case .addColumn(let column, _, _) in alter.actions where column.isAutoIncrement {
            nondeterministicReason = "it numbers existing rows (a new AUTO_INCREMENT column)"
        }
        if alter.ignoresDuplicates {
            nondeterministicReason = "ALTER IGNORE deletes rows by their physical order"
        }
    }

    /// Reads one action; a list of new columns becomes several.
    private mutating func alterAction(_ out: inout [AlterAction]) throws(SyntaxFailure) {
        let start = at
        switch keyword {
        case .add:
            advance()
            try addition(&out)
        case .drop:
            advance()
            out.append(try removal())
        case .modify:
            advance()
            try modification(&out)
        case .change:
            advance()
            _ = take(.column)
            let ifExists = ifExists()
            let old = try name()
            var elements = TableElements()
            try columnWithKeys(&elements)
            out.append(
                .changeColumn(old, elements.columns[0], try place(), ifExists: ifExists))
            append(elements, to: &out)
        case .alter:
            advance()
            out.append(try alteration())
        case .rename:
            advance()
            out.append(try renaming())
        case .convert:
            advance()
            out.append(try conversion())
        case .order:
            advance()
            try expect(.by)
            out.append(.orderBy(try orderColumns()))
        case .algorithm:
            advance()
            _ = takeByte("=")
            out.append(.algorithm(try name().uppercased()))
        case .lock:
            advance()
            _ = takeByte("=")
            out.append(.lock(try name().uppercased()))
        default:
            if let action = try simpleAction() {
                out.append(action)
            } else if let action = try partitionAction() {
                out.append(action)
            } else {
                var options = TableOptions()
                if try tableOption(&options) {
                    out.append(.options(options))
                } else {
                    out.append(try unknownAction(from: start))
                }
            }
        }
    }

    private mutating func unknownAction(from start: Int) throws(SyntaxFailure) -> AlterAction {
        at = start
        guard token.kind != .unterminated, !isByte(","), !isByte(")") else {
            throw failure("an action expected")
        }
        let low = Int(token.low)
        try skipItem()
        return .other(text(low..<Int(tokens[at - 1].high)))
    }

    /// Actions of one or two words.
    private mutating func simpleAction() throws(SyntaxFailure) -> AlterAction? {
        if take(.force) { return .force }
        if take(.enable, .keys) { return .enableKeys }
        if take(.disable, .keys) { return .disableKeys }
        if take(.discard, .tablespace) { return .discardTablespace }
        if take(.import, .tablespace) { return .importTablespace }
        if take(.with, .validation) { return .validation(true) }
        if take(.without, .validation) { return .validation(false) }
        if takeAny(.secondaryLoad, .secondaryUnload) { return .secondaryEngine }
        return nil
    }

    // MARK: ADD

    private mutating func addition(_ out: inout [AlterAction]) throws(SyntaxFailure) {
        if keyword == .partition, token.kind == .word {
            out.append(.partition(.add))
            skipToEnd()
            return
        }
        if take(.system, .versioning) {
            out.append(.addSystemVersioning)
            return
        }
        let isColumn = take(.column)
        var elements = TableElements()
        if !isColumn {
            if keyword == .index || keyword == .key || isKeyWithGuard {
                let (key, ifNotExists) = try key(named: nil)
                out.append(.addKey(key, ifNotExists: ifNotExists))
                return
            }
            let ifNotExists = namesGuard
            if try constraintOrKey(&elements) {
                append(elements, to: &out, ifNotExists: ifNotExists)
                return
            }
        }
        let ifNotExists = ifNotExists()
        if takeByte("(") {
            // IF NOT EXISTS is for columns and what they declare, not for the other elements.
            repeat {
                var element = TableElements()
                try tableElement(&element)
                for column in element.columns {
                    out.append(.addColumn(column, .unchanged, ifNotExists: ifNotExists))
                }
                let isGuarded = ifNotExists && !element.columns.isEmpty
                append(element, to: &out, ifNotExists: isGuarded)
            } while takeByte(",")
            try expectByte(")")
            return
        }
        try columnWithKeys(&elements)
        out.append(.addColumn(elements.columns[0], try place(), ifNotExists: ifNotExists))
        append(elements, to: &out, ifNotExists: ifNotExists)
    }

    /// UNIQUE, FULLTEXT, SPATIAL, VECTOR or PRIMARY without a constraint's name.
    private var isKeyWithGuard: Bool {
        switch keyword {
        case .unique, .fulltext, .spatial, .primary: token.kind == .word
        case .vector: peek(1).keyword == .index || peek(1).keyword == .key
        default: false
        }
    }

    /// Whether IF NOT EXISTS is among the next tokens (`CONSTRAINT IF NOT EXISTS x`, `FOREIGN KEY
    /// IF NOT EXISTS`).
    private var namesGuard: Bool {
        (1...3).contains { peek($0).keyword == .if && peek($0 + 1).keyword == .not }
    }

    /// Keys and constraints behind a column.
    private func append(
        _ elements: TableElements, to out: inout [AlterAction], ifNotExists: Bool = false
    ) {
        for key in elements.keys { out.append(.addKey(key, ifNotExists: ifNotExists)) }
        for foreignKey in elements.foreignKeys {
            out.append(.addForeignKey(foreignKey, ifNotExists: ifNotExists))
        }
        for check in elements.checks { out.append(.addCheck(check, ifNotExists: ifNotExists)) }
        for period in elements.periods { out.append(.addPeriod(period)) }
    }

    /// `FIRST`, `AFTER column` or nothing.
    private mutating func place() throws(SyntaxFailure) -> ColumnPlace {
        if take(.first) { return .first }
        if take(.after) { return .after(try name()) }
        return .unchanged
    }

    private mutating func modification(_ out: inout [AlterAction]) throws(SyntaxFailure) {
        _ = take(.column)
        let ifExists = ifExists()
        var elements = TableElements()
        if takeByte("(") {  // Oracle mode
            repeat { try columnWithKeys(&elements) } while takeByte(",")
            try expectByte(")")
            for column in elements.columns {
                out.append(.modifyColumn(column, .unchanged, ifExists: ifExists))
            }
        } else {
            try columnWithKeys(&elements)
            out.append(.modifyColumn(elements.columns[0], try place(), ifExists: ifExists))
        }
        append(elements, to: &out)
    }

    /// `a [ASC|DESC], b`.
    private mutating func orderColumns() throws(SyntaxFailure) -> [String] {
        var out: [String] = []
        repeat {
            out.append(try name())
            while isByte("."), isName(peek(1)) {
                advance()
                out[out.count - 1] = try name()
            }
            _ = takeAny(.asc, .desc)
        } while takeByte(",")
        return out
    }
}
