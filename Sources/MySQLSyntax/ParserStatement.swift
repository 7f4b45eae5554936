import MySQLCore

/// Which statement it is.
extension Parser {
    mutating func statement() throws(SyntaxFailure) -> Statement {
        let classification = try classify()
        return Statement(
            classification: classification, source: source,
            tables: tables.sorted { $0.nameRange.lowerBound < $1.nameRange.lowerBound },
            schemas: schemas.sorted { $0.range.lowerBound < $1.range.lowerBound },
            tablesAreComplete: tablesAreComplete && !isCut,
            nondeterministicReason: nondeterministicReason, actionRanges: actionRanges)
    }

    private mutating func classify() throws(SyntaxFailure) -> Statement.Classification {
        if isAtEnd { return .empty }
        try skipSetStatement()
        if let control = try transactionControl() { return .transactionControl(control) }
        switch keyword {
        case .create, .alter, .drop, .rename, .truncate:
            if let ddl = try ddl() { return .ddl(ddl) }
        default: break
        }
        if let kind = administrativeKind() {
            if kind == .tableMaintenance { try? maintenanceTables() }
            if kind != .tableMaintenance && kind != .account { tablesAreComplete = kind == .set }
            return .administrative(kind)
        }
        if let kind = dmlKind() {
            var scanner = TableScanner(self)
            scanner.scanQuery()
            self = scanner.parser
            return .dml(kind)
        }
        let words = verb
        var scanner = TableScanner(self)
        scanner.scanEverything()
        self = scanner.parser
        tablesAreComplete = false
        return .unknown(words)
    }

    /// MariaDB's `SET STATEMENT variable = value, .. FOR statement`.
    private mutating func skipSetStatement() throws(SyntaxFailure) {
        while keyword == .set, peek(1).keyword == .statement, isName(peek(2)) {
            while keyword != .for {
                if isByte("(") {
                    try skipParentheses()
                } else {
                    guard !isAtEnd, token.kind != .unterminated else {
                        throw failure("FOR expected")
                    }
                    advance()
                }
            }
            advance()
        }
    }

    private func dmlKind() -> DMLKind? {
        var i = at
        while tokens[i].kind == .punctuation, source[Int(tokens[i].low)] == UInt8(ascii: "(") {
            i += 1
        }
        switch tokens[i].keyword {
        case .insert: return .insert
        case .replace: return .replace
        case .update: return .update
        case .delete: return .delete
        case .load: return .load
        case .select, .table, .values, .value: return .select
        case .with: return kindBehindCommonTables(i)
        default: return nil
        }
    }

    /// The verb behind `WITH a AS (..), b AS (..)`.
    private func kindBehindCommonTables(_ start: Int) -> DMLKind {
        var depth = 0
        for t in tokens[start...] {
            if t.kind == .punctuation {
                let c = source[Int(t.low)]
                if c == UInt8(ascii: "(") { depth += 1 }
                if c == UInt8(ascii: ")") { depth -= 1 }
            }
            guard depth == 0 else { continue }
            switch t.keyword {
            case .update: return .update
            case .delete: return .delete
            case .select: return .select
            default: break
            }
        }
        return .select
    }

    private func administrativeKind() -> AdministrativeKind? {
        let second = peek(1).keyword
        switch keyword {
        case .grant, .revoke: return .account
        case .create, .alter, .drop, .rename: return administrativeObject()
        case .set: return .set
        case .analyze, .check, .checksum, .optimize, .repair, .cache: return .tableMaintenance
        case .flush, .reset, .purge, .kill, .shutdown, .restart, .backup, .help: return .server
        case .change, .start, .stop: return .replication
        case .install, .uninstall: return .plugin
        case .call, .do, .handler, .prepare, .execute, .deallocate, .signal, .resignal, .binlog,
            .get, .begin, .if:
            return .execution
        case .use, .show, .describe, .desc, .explain: return .information
        case .lock, .unlock: return .locking
        case .import: return second == .table ? .execution : nil
        default: return nil
        }
    }

    /// CREATE, ALTER, DROP and RENAME of what no schema holds.
    private func administrativeObject() -> AdministrativeKind? {
        var distance = 1
        if peek(distance).keyword == .or { distance += 2 }
        switch peek(distance).keyword {
        case .user, .role: return .account
        case .server, .tablespace, .logfile, .undo, .resource, .instance, .catalog: return .storage
        case .spatial: return peek(distance + 1).keyword == .reference ? .storage : nil
        case .prepare: return .execution
        default: return nil
        }
    }

    /// Tables of `OPTIMIZE [LOCAL] TABLE a, b`.
    private mutating func maintenanceTables() throws(SyntaxFailure) {
        while !isAtEnd, !takeAny(.table, .tables, .index, .view) {
            guard token.kind != .unterminated else { return }
            advance()
        }
        repeat { _ = try tableName(.target) } while takeByte(",")
    }

    // MARK: DDL

    /// CREATE, ALTER, DROP, RENAME, TRUNCATE; `nil` for objects that no schema holds.
    private mutating func ddl() throws(SyntaxFailure) -> DDL? {
        if administrativeObject() != nil { return nil }
        switch keyword {
        case .create:
            advance()
            return try create()
        case .alter:
            advance()
            return try alter()
        case .drop:
            advance()
            return try drop()
        case .rename:
            guard peek(1).keyword == .table || peek(1).keyword == .tables else { return nil }
            at += 2
            return .renameTables(try renameTables())
        default:
            advance()
            _ = take(.table)
            let table = try tableName(.target)
            let wait = try lockWait()
            _ = takeAny(.restrict, .cascade)
            while !isAtEnd, keyword != .none { advance() }  // Oracle: {DROP|REUSE} STORAGE
            try expectEnd()
            return .truncateTable(TruncateTable(table: table, wait: wait))
        }
    }

    /// `WAIT n` or `NOWAIT`.
    mutating func lockWait() throws(SyntaxFailure) -> LockWait? {
        if take(.nowait) { return LockWait.none }
        if keyword == .wait, peek(1).kind == .number {
            advance()
            if text(token.range).contains(".") {
                advance()
                return .seconds(0)
            }
            return .seconds(try integer())
        }
        return nil
    }

    private mutating func renameTables() throws(SyntaxFailure) -> RenameTables {
        var out = RenameTables(renamings: [], ifExists: ifExists())
        repeat {
            let from = try tableName(.target)
            if out.renamings.isEmpty { out.wait = try lockWait() }
            try expect(.to)
            out.renamings.append(.init(from: from, to: try tableName(.renamedTo)))
        } while takeByte(",")
        try expectEnd()
        return out
    }

    private mutating func create() throws(SyntaxFailure) -> DDL {
        var prefix = ObjectPrefix()
        try objectPrefix(&prefix)
        switch keyword {
        case .temporary where peek(1).keyword == .sequence:
            advance()
            prefix.isTemporary = true
            return .createObject(try createObject(prefix))
        case .temporary, .table, .external:
            return .createTable(try createTable(orReplace: prefix.orReplace))
        case .database, .schema:
            return .createSchema(try createSchema(orReplace: prefix.orReplace))
        case .unique, .fulltext, .spatial, .index, .vector, .online, .offline:
            return .createIndex(try createIndex(orReplace: prefix.orReplace))
        default:
            return .createObject(try createObject(prefix))
        }
    }

    private mutating func createSchema(orReplace: Bool) throws(SyntaxFailure) -> CreateSchema {
        advance()
        let ifNotExists = ifNotExists()
        var out = CreateSchema(
            name: try schemaName(), ifNotExists: ifNotExists, orReplace: orReplace)
        try tableOptions(&out.options)
        try expectEnd()
        return out
    }

    private mutating func alter() throws(SyntaxFailure) -> DDL {
        var prefix = ObjectPrefix()
        try objectPrefix(&prefix)
        switch keyword {
        case .database, .schema:
            advance()
            if keyword == .upgrade { throw failure("UPGRADE DATA DIRECTORY NAME is not handled") }
            return .alterSchema(try alterSchema())
        case .table, .ignore, .online, .offline: return .alterTable(try alterTable())
        default: return .alterObject(try alterObject(prefix))
        }
    }

    private mutating func alterSchema() throws(SyntaxFailure) -> AlterSchema {
        var name = context.stored(context.defaultSchema ?? "")
        let beginsOption: Set<Keyword> = [
            .character, .charset, .collate, .default, .encryption, .read, .comment, .char,
        ]
        if token.kind == .quotedName || !beginsOption.contains(keyword) {
            name = try schemaName()
        } else if isByte(".", at: 1) {
            throw failure("an option expected")
        } else {
            let end = Int(tokens[at - 1].high)
            schemas.append(SchemaReference(name: name, range: end..<end))
        }
        var out = AlterSchema(name: name)
        try tableOptions(&out.options)
        try expectEnd()
        return out
    }

    private mutating func drop() throws(SyntaxFailure) -> DDL {
        switch keyword {
        case .database, .schema:
            advance()
            let ifExists = ifExists()
            let name = try schemaName()
            try expectEnd()
            return .dropSchema(DropSchema(name: name, ifExists: ifExists))
        case .index, .online, .offline:
            return .dropIndex(try dropIndex())
        case .table, .tables, .temporary:
            let isTemporary = take(.temporary)
            if keyword == .sequence { return .dropObject(try dropObject()) }
            guard takeAny(.table, .tables) else { throw failure("TABLE expected") }
            var out = DropTables(tables: [], isTemporary: isTemporary, ifExists: ifExists())
            repeat { out.tables.append(try tableName(.target)) } while takeByte(",")
            out.wait = try lockWait()
            _ = takeAny(.restrict, .cascade)
            _ = take(.purge)
            try expectEnd()
            return .dropTables(out)
        default:
            return .dropObject(try dropObject())
        }
    }
}
