internal import MySQLCore
internal import MySQLSyntax
internal import Rules

/// Compares what a DDL statement has made of a table on the target with what it must have made of
/// it on the source: rows are written by the source's shape, and a column of another type or
/// character set there would take them for something else.
struct ShapeAgreement {
    let source: ServerFamily
    let target: ServerFamily

    /// What differs; `nil` when nothing that matters does. Looked at are the columns that the
    /// statement has made or changed; others were compared before they got rows.
    ///
    /// - Parameters:
    ///   - columns: the columns that the statement left on the source.
    ///   - predicted: the whole shape there.
    ///   - before: the shape before the statement; `nil` for a new table.
    ///   - there: the shape on the target.
    func difference(
        _ columns: [ColumnShape], of predicted: TableShape, before: TableShape?,
        there: TableShape
    ) -> String? {
        let found = Dictionary(
            there.columns.map { ($0.name.lowercased(), $0) }, uniquingKeysWith: { a, _ in a })
        for column in columns where before?.columns.contains(column) != true {
            guard let twin = found[column.name.lowercased()] else {
                return "column \(column.name) is missing there"
            }
            if let detail = difference(column, twin) { return "column \(column.name) \(detail)" }
            guard column.type.isText, twin.type.isText else { continue }
            let charset = Charsets.canonical(charset: column.charset ?? "")
            let charsetThere = Charsets.canonical(charset: twin.charset ?? "")
            if charset == charsetThere { continue }
            // Both have their table's own default, which this statement did not change.
            let inherits =
                column.charset == predicted.charset && before?.charset == predicted.charset
                && twin.charset == there.charset
            if before != nil, inherits { continue }
            return "column \(column.name) is in character set \(charset) on the source and in "
                + "\(charsetThere) there"
        }
        if before == nil, columns.count != there.columns.count {
            return "it has \(columns.count) columns on the source and \(there.columns.count) there"
        }
        return nil
    }

    private func difference(_ a: ColumnShape, _ b: ColumnShape) -> String? {
        if kind(a) != kind(b) || a.type.isUnsigned != b.type.isUnsigned {
            return "has type \(a.type.kind) on the source and \(b.type.kind) there"
        }
        // Values are rounded to what is declared.
        let kinds: [ColumnType.Kind] = [.decimal, .float, .double]
        if kinds.contains(a.type.kind),
            a.type.length != b.type.length || a.type.decimals != b.type.decimals
        {
            return "keeps other digits there"
        }
        // Rows hold numbers of members.
        if a.type.elements.count != b.type.elements.count {
            return "has other members there"
        }
        if (a.generation == nil) != (b.generation == nil) {
            return "is generated on one side only"
        }
        // NULL in a TIMESTAMP that can't hold it becomes the time of the insert.
        if a.type.kind == .timestamp, a.isNullable != b.isNullable {
            return "takes NULL on one side only (explicit_defaults_for_timestamp)"
        }
        return nil
    }

    private func kind(_ column: ColumnShape) -> ColumnType.Kind {
        let kind = column.type.kind
        return kind == .json && source != target ? .longtext : kind
    }
}

extension ShapeAgreement {
    /// The columns of a statement whose texts compare otherwise on the target.
    ///
    /// - Parameter named: the target's name of a collation, whichever family calls it so.
    func otherCollations(
        _ columns: [ColumnShape], before: TableShape?, there: TableShape,
        named: (String) -> String?
    ) -> [String] {
        columns.compactMap { column in
            guard before?.columns.contains(column) != true, let meant = column.collation,
                let index = there.columnIndex(column.name),
                let found = there.columns[index].collation,
                Charsets.canonical(collation: found) != Charsets.canonical(collation: meant),
                named(meant) != found
            else { return nil }
            return "\(column.name) has \(meant) on the source and \(found) there"
        }
    }
}

extension TableCatalog {
    /// Carries the shapes over a statement that the target holds, and returns those that changed.
    /// Tables that were copied behind it keep what the copy has found.
    ///
    /// - Parameters:
    ///   - target: the tables that the statement left, as the target has them, by their names
    ///     there.
    ///   - isCompared: whether they must be what the statement left on the source.
    /// - Throws: ``ReplicationError/unsupported(_:detail:)`` when they are not what the statement
    ///   left on the source.
    func carry(
        _ ddl: [DDL], _ context: SyntaxContext, _ position: SourcePosition,
        target: [TableName: TableShape], isCompared: Bool = true
    ) throws -> [(TableName, TableShape?)] {
        noteTarget(target)
        var there: [TableName: TableShape] = [:]
        let named = ddl.flatMap { $0.tablesBefore + $0.tablesAfter }
        for name in named where mapping.selects(name) {
            guard var shape = target[try self.target(of: name)] else { continue }
            shape.name = name
            there[name] = shape
        }
        var out: [TableName: TableShape?] = [:]
        // What the target has is what all of them have left: a table is compared with it behind the
        // last one that names it.
        let before = state
        // Also of those that it does not name: a rename changes the foreign keys of children.
        let later: Set<TableName> =
            hasWindows
            ? Set(state.tables.keys).union(named).filter {
                wasCopied($0) && use(of: $0) == .skip
            } : []
        for (i, statement) in ddl.enumerated() {
            try carryLoose(over: statement)
            try carryStale(over: statement)
            carryFound(over: statement, hasRun: isCompared, except: later)
            carryCreated(over: statement, hasRun: isCompared, except: later)
            let unfinished = later.union(
                ddl[(i + 1)...].flatMap { $0.tablesBefore + $0.tablesAfter })
            let (changed, isCarried) = change { state in
                // A target that is not to become what the source has tells nothing of it.
                let carried = Self.carry(
                    statement, context, &state, target: isCompared ? there : [:], mapping)
                for name in later { state.restore(name, from: before) }
                return carried
            }
            if isCarried, isCompared {
                try check(
                    statement, before.tables, there.filter { !unfinished.contains($0.key) },
                    position)
            }
            for name in changed where !later.contains(name) { out[name] = state.tables[name] }
        }
        // Children follow their parents' new names in what is stored, too.
        for (name, shape) in state.tables where !later.contains(name) && mapping.selects(name) {
            guard let old = before.tables[name], old.foreignKeys != shape.foreignKeys else {
                continue
            }
            out[name] = shape
        }
        return out.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    private static func carry(
        _ ddl: DDL, _ context: SyntaxContext, _ state: inout SchemaState,
        target: [TableName: TableShape], _ mapping: TableMapping
    ) -> (Set<TableName>, isCarried: Bool) {
        let known = Set(state.tables.keys)
        var changed: Set<TableName>
        var isCarried = true
        do {
            changed = Set(try state.apply(ddl, context: context))
        } catch {
            // The target ran the same statement on an equal table: its shape is the answer.
            isCarried = false
            changed = Set(ddl.tablesBefore + ddl.tablesAfter)
            for name in changed {
                // Where nothing tells it, rows of the table must not be taken for what they were.
                state.tables[name] = target[name]
            }
        }
        changed.formUnion(known.symmetricDifference(state.tables.keys))
        for name in state.tables.keys where !mapping.selects(name) {
            state.tables[name] = nil
        }
        return (changed.filter { mapping.selects($0) }, isCarried)
    }

    private func check(
        _ ddl: DDL, _ before: [TableName: TableShape], _ target: [TableName: TableShape],
        _ position: SourcePosition
    ) throws {
        var old: (TableName) -> TableName = { $0 }
        switch ddl {
        case .renameTables: return  // the columns stay as they are
        case .alterTable(let alter):
            if let new = alter.renamedTo { old = { $0 == new ? alter.table : $0 } }
        case .createTable(let create) where create.orReplace:
            old = { TableName(schema: $0.schema, name: "") }
        default: break
        }
        let agreement = ShapeAgreement(
            source: session.source.version.family, target: session.target.version.family)
        for name in ddl.tablesAfter {
            guard let shape = state.tables[name], let there = target[name] else { continue }
            // information_schema does not show what system versioning adds.
            let hidden = state.implicitlyVersioned.contains(name) ? 2 : 0
            let others = agreement.otherCollations(
                shape.columns, before: before[old(name)], there: there
            ) { session.target.collation($0) }
            if !others.isEmpty {
                warnings.append(
                    "text of \(name) compares otherwise on the target, and could be a duplicate "
                        + "there: column \(others.joined(separator: ", column ")) "
                        + "(at \(position))")
            }
            if let detail = agreement.difference(
                Array(shape.columns.dropLast(hidden)), of: shape, before: before[old(name)],
                there: there)
            {
                throw ReplicationError.unsupported(
                    position,
                    detail: "\(name) has become another table on the target than on the source: "
                        + "\(detail). Change it there to what it is on the source, then go on")
            }
        }
    }
}
