import MySQLCore

/// DROP, ALTER, RENAME, CONVERT and partitions inside of ALTER TABLE.
extension Parser {
    /// Behind DROP.
    mutating func removal() throws(SyntaxFailure) -> AlterAction {
        guard token.kind == .word else { return try droppedColumn() }
        switch keyword {
        case .column:
            advance()
            return try droppedColumn()
        case .primary:
            advance()
            try expect(.key)
            return .dropPrimaryKey(ifExists: false)
        case .index, .key:
            advance()
            let ifExists = ifExists()
            return .dropKey(try name(), ifExists: ifExists)
        case .foreign:
            advance()
            try expect(.key)
            let ifExists = ifExists()
            return .dropForeignKey(try name(), ifExists: ifExists)
        case .constraint:
            advance()
            let ifExists = ifExists()
            return .dropConstraint(try name(), ifExists: ifExists)
        case .check:
            advance()
            return .dropCheck(try name())
        case .partition:
            skipToEnd()
            return .partition(.drop)
        case .system where peek(1).keyword == .versioning:
            at += 2
            return .dropSystemVersioning
        case .period where peek(1).keyword == .for || peek(1).keyword == .if:
            advance()
            _ = ifExists()
            try expect(.for)
            return .dropPeriod(try name())
        default:
            return try droppedColumn()
        }
    }

    private mutating func droppedColumn() throws(SyntaxFailure) -> AlterAction {
        let ifExists = ifExists()
        let column = try name()
        _ = takeAny(.restrict, .cascade)
        return .dropColumn(column, ifExists: ifExists)
    }

    /// Behind ALTER.
    mutating func alteration() throws(SyntaxFailure) -> AlterAction {
        if keyword == .index || keyword == .key, isName(peek(1)) {
            advance()
            _ = ifExists()
            let key = try name()
            let isNot = take(.not)
            guard takeAny(.visible, .invisible, .ignored) else {
                throw failure("VISIBLE or INVISIBLE expected")
            }
            let isInvisible = tokens[at - 1].keyword != .visible && !isNot
            return .alterKeyVisibility(key, isInvisible: isInvisible)
        }
        if keyword == .check || keyword == .constraint, isName(peek(1)) {
            advance()
            let check = try name()
            let isNot = take(.not)
            try expect(.enforced)
            return .alterCheck(check, isEnforced: !isNot)
        }
        _ = take(.column)
        let ifExists = ifExists()
        let column = try name()
        if take(.drop, .default) {
            return .alterColumnDefault(column, nil, ifExists: ifExists)
        }
        try expect(.set)
        if takeAny(.visible, .invisible) {
            let isInvisible = tokens[at - 1].keyword == .invisible
            return .alterColumnVisibility(column, isInvisible: isInvisible)
        }
        try expect(.default)
        return .alterColumnDefault(column, try defaultValue(), ifExists: ifExists)
    }

    /// Behind RENAME.
    mutating func renaming() throws(SyntaxFailure) -> AlterAction {
        if keyword == .column {
            advance()
            let ifExists = ifExists()
            let from = try name()
            try expect(.to)
            return .renameColumn(from: from, to: try name(), ifExists: ifExists)
        }
        if keyword == .index || keyword == .key {
            advance()
            let ifExists = ifExists()
            let from = try name()
            try expect(.to)
            return .renameKey(from: from, to: try name(), ifExists: ifExists)
        }
        if !takeAny(.to, .as) { _ = takeByte("=") }
        return .renameTable(try tableName(.renamedTo))
    }

    /// Behind CONVERT.
    mutating func conversion() throws(SyntaxFailure) -> AlterAction {
        if take(.partition) {
            let partition = try name()
            try expect(.to)
            try expect(.table)
            let table = try tableName(.renamedTo)
            skipToEnd()
            return .convertPartitionToTable(partition, table)
        }
        if take(.table) {
            let table = try tableName(.exchanged)
            try expect(.to)
            try expect(.partition)
            let partition = try name()
            skipToEnd()
            return .convertTableToPartition(table, partition)
        }
        try expect(.to)
        guard let charset = try charsetClause() else { throw failure("CHARACTER SET expected") }
        var collation: String?
        if take(.collate) { collation = try collationName() }
        return .convertCharset(charset, collation: collation)
    }

    /// Partition management, which stands alone behind the table's name; `nil` when none is here.
    mutating func partitionAction() throws(SyntaxFailure) -> AlterAction? {
        if take(.partition, .by) {
            try checkClosed()
            return .partition(.partitionBy)
        }
        if take(.remove, .partitioning) { return .partition(.remove) }
        guard peek(1).keyword == .partition else { return nil }
        let operation: PartitionOperation
        switch keyword {
        case .exchange:
            at += 2
            let partition = try name()
            try expect(.with)
            try expect(.table)
            let table = try tableName(.exchanged)
            skipToEnd()
            return .exchangePartition(partition, with: table)
        case .truncate: operation = .truncate
        case .coalesce: operation = .coalesce
        case .reorganize: operation = .reorganize
        case .rebuild: operation = .rebuild
        case .analyze: operation = .analyze
        case .check: operation = .check
        case .optimize: operation = .optimize
        case .repair: operation = .repair
        case .discard: operation = .discardTablespace
        case .import: operation = .importTablespace
        default: return nil
        }
        try checkClosed()
        return .partition(operation)
    }

    /// To the end, which must be there.
    private mutating func checkClosed() throws(SyntaxFailure) {
        while !isAtEnd {
            if isByte("(") {
                try skipParentheses()
            } else {
                guard token.kind != .unterminated else { throw failure("end expected") }
                advance()
            }
        }
    }
}
