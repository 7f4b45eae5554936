internal import MySQLBinlog
public import MySQLClient
public import MySQLCore
internal import MySQLSyntax
public import Rules
public import Stream

/// The shapes that migrated tables had at a place of the source's binlog, for a migration that
/// begins there without a copy: rows from there on must be read by them.
///
/// A server tells shapes as they are now. They held at the place too where no statement since has
/// changed them, which the binlog says: it is read from the place to its end. What such a statement
/// did change is taken from the target, which holds the tables as they were then; and that it does
/// is proved: the statements since, carried out on these shapes, must lead to what the source has
/// now. Nothing is guessed where they don't.
///
/// Why this is enough: a statement that shapes show has been written to the binlog before its lock
/// on the table was released, so the end of the binlog, asked for after the shapes, is behind it;
/// and one before the place is shown, since the table's lock is waited for before shapes are read.
public struct StartShapes: Sendable {
    private let source: ConnectionOptions
    private let target: ConnectionOptions
    private let mapping: TableMapping
    private let interruption: Interruption?
    private let mayHaveRun: MayHaveRun

    /// Which statements behind the place the target may have already.
    public enum MayHaveRun: Sendable {
        /// None of them.
        case none
        /// The first one.
        case first
        /// Any number of them, from the first one on.
        case all
    }

    /// One statement since the place.
    private struct Change {
        /// `nil` for one that is not known.
        let ddl: DDL?
        let context: SyntaxContext
        let tables: Set<TableName>
        /// Where its transaction starts.
        var place: SourcePosition
    }

    /// Makes a reader of them; nothing is asked yet.
    ///
    /// - Parameters:
    ///   - interruption: ends the reading from another thread.
    ///   - mayHaveRun: what the target may have already of what lies behind the place.
    public init(
        source: ConnectionOptions, target: ConnectionOptions, mapping: TableMapping,
        interruption: Interruption? = nil, mayHaveRun: MayHaveRun = .none
    ) {
        self.mayHaveRun = mayHaveRun
        self.source = source
        self.target = target
        self.mapping = mapping
        self.interruption = interruption
    }

    /// Reads the shapes at `start`, by the names that the source has, sorted. Blocks the thread for
    /// as long as the binlog from there on takes to read.
    ///
    /// - Throws: ``ReplicationError`` where shapes are not certain; `StreamError`, `MySQLError`.
    public func read(at start: SourcePosition) throws -> [TableShape] {
        let connection = try Connection(source)
        interruption?.watch(connection.interrupter)
        let reader = SchemaReader(connection)
        let there = try Connection(target)
        let session = StatementSession(
            source: try ServerDialect(connection), target: try ServerDialect(there))
        let names = try waitForTables(connection)
        let now = try reader.shapes(of: names)
        let end = try SourceSession(connection).currentPosition()
        let changes = try changes(from: start, to: end, session)
        guard !changes.isEmpty else { return now.values.sorted { $0.name < $1.name } }
        return try wound(back: changes, from: now, connection, SchemaReader(there))
    }

    /// The wanted tables that are there. Each one's lock is waited for: a statement that changes it
    /// and is written already has ended then.
    private func waitForTables(_ connection: Connection) throws -> [TableName] {
        var out: [TableName] = []
        for row in try connection.rows(
            "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES "
                + "WHERE TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED')")
        {
            let name = TableName(schema: row[0] ?? "", name: row[1] ?? "")
            guard mapping.selects(name) else { continue }
            do {
                try connection.execute("SELECT 1 FROM \(name.quoted) LIMIT 0")
                out.append(name)
            } catch {
                guard error.code == MySQLErrorCode.noSuchTable else { throw error }
            }
        }
        return out
    }

    // MARK: statements since

    private func changes(
        from start: SourcePosition, to end: BinlogPosition, _ session: StatementSession
    ) throws -> [Change] {
        // The protocol has 32 bits for an offset.
        let place =
            start.binlog.offset <= UInt64(UInt32.max)
            ? start.binlog : BinlogPosition(file: start.binlog.file, offset: 4)
        let walk = try BinlogWalk(source, from: .position(place), interruption: interruption)
        var out: [Change] = []
        // Of the transaction that is being read.
        var found: [Change] = []
        guard place < end else { return [] }
        try walk.run { header, body in
            if header.type == .query {
                if let change = try change(body, start, session) { found.append(change) }
            } else if header.type == .queryCompressed {
                let plain = try EventType.decompressed(body, limit: 1 << 30)
                let inner = unsafe plain.span.bytes
                if let change = try change(inner, start, session) { found.append(change) }
            }
            return true
        } group: { group in
            defer { found.removeAll(keepingCapacity: true) }
            guard group.start < end else { return false }
            if start.gtids != .none, group.identity == nil {
                throw ReplicationError.unsupported(
                    start,
                    detail: "the transaction at \(group.start) has no GTID, and others have: begin "
                        + "behind the last one without")
            }
            let isBefore =
                group.start < start.binlog || group.identity.map { start.contains($0) } ?? false
            if !isBefore {
                for var change in found {
                    change.place.binlog = group.start
                    out.append(change)
                }
            }
            return group.end < end
        }
        return out
    }

    /// What a statement changes of wanted tables; `nil` when nothing. An unknown statement on one
    /// comes as a change that nothing can be carried over.
    private func change(
        _ body: RawSpan, _ place: SourcePosition, _ session: StatementSession
    ) throws -> Change? {
        let query = try QueryEvent(body)
        // The words around rows, which most events of this kind are.
        if query.sql.count <= 8 { return nil }
        let context = session.context(of: query)
        func unknown(_ tables: [TableReference]) -> Change? {
            let wanted = Set(tables.map(\.name).filter { mapping.selects($0) })
            guard !wanted.isEmpty || tables.isEmpty else { return nil }
            return Change(ddl: nil, context: context, tables: wanted, place: place)
        }
        let statement: Statement
        do {
            statement = try parseStatement(query.sql, context: context)
        } catch {
            return unknown(error.tables)
        }
        if case .unknown = statement.classification {
            return statement.tables.isEmpty ? nil : unknown(statement.tables)
        }
        guard let ddl = statement.ddl, !ddl.isTemporary else { return nil }
        var tables: Set<TableName> = []
        switch ddl {
        case .createSchema, .alterSchema, .createObject, .alterObject, .dropObject, .truncateTable:
            return nil
        case .dropSchema(let schema):
            guard mapping.mayHold(schema: schema.name) else { return nil }
        default:
            tables.formUnion((ddl.tablesBefore + ddl.tablesAfter).filter { mapping.selects($0) })
            if tables.isEmpty { return nil }
        }
        return Change(ddl: ddl, context: context, tables: tables, place: place)
    }

    // MARK: back to the place

    private func wound(
        back changes: [Change], from now: [TableName: TableShape], _ source: Connection,
        _ target: SchemaReader
    ) throws -> [TableShape] {
        let touched = changes.reduce(into: Set<TableName>()) { $0.formUnion($1.tables) }
        var before = now.filter { !touched.contains($0.key) }
        for table in touched {
            let route: Route
            do throws(RuleError) {
                route = try mapping.route(of: table)
            } catch {
                throw ReplicationError.refused(table, detail: "\(error)")
            }
            guard var shape = try target.shape(of: route.target) else { continue }
            let filled = Set(route.extracted.map { $0.name.lowercased() })
            shape.columns.removeAll { filled.contains($0.name.lowercased()) }
            shape.name = table
            before[table] = shape
        }
        var state = SchemaState()
        state.tables = before
        state.schemas = try SchemaReader(source).defaults()
        for change in changes {
            let name = change.tables.sorted().first
            guard let ddl = change.ddl else {
                throw uncertain(name, change, "the statement is not understood")
            }
            let isUncertain =
                switch mayHaveRun {
                case .none: false
                case .first: change.place == changes.first?.place
                case .all: true
                }
            if isUncertain, !ddl.isSafeToRunIfUnseen || ddl.addsUnnamed {
                throw uncertain(
                    name, change, "whether the statement has run already nothing tells")
            }
            if case .dropSchema(let schema) = ddl {
                throw uncertain(name, change, "schema \(schema.name) was dropped")
            }
            do throws(ShapeError) {
                _ = try state.apply(ddl, context: change.context)
            } catch {
                throw uncertain(name, change, "on the target \(error)")
            }
            for table in state.tables.keys where !mapping.selects(table) {
                state.tables[table] = nil
            }
        }
        for table in touched.sorted() {
            guard let change = changes.first(where: { $0.tables.contains(table) }) else { continue }
            if let why = Self.difference(state.tables[table], now[table]) {
                throw uncertain(
                    table, change,
                    "carried out on the target's table, it and what came after it lead to another "
                        + "table than the source has now: \(why)")
            }
        }
        return before.values.sorted { $0.name < $1.name }
    }

    private func uncertain(
        _ table: TableName?, _ change: Change, _ why: String
    ) -> ReplicationError {
        .unsupported(
            change.place,
            detail: "a statement behind the place to begin at has changed "
                + "\(table?.description ?? "tables"), and what they were at that place can't be told: "
                + "\(why). Make the target's table what the source's was at that place, or begin "
                + "behind the statement")
    }

    /// What differs between a shape that was predicted and the one that is there, as far as rows
    /// are read by it; `nil` when nothing.
    private static func difference(_ predicted: TableShape?, _ there: TableShape?) -> String? {
        guard let predicted, let there else {
            if predicted == nil, there == nil { return nil }
            return there == nil ? "it is not there" : "it is there"
        }
        guard predicted.columns.count == there.columns.count else {
            return "\(there.columns.count) columns in place of \(predicted.columns.count)"
        }
        for (one, other) in zip(predicted.columns, there.columns) {
            guard one.name.lowercased() == other.name.lowercased() else {
                return "column \(other.name) in place of \(one.name)"
            }
            var (a, b) = (one.type, other.type)
            // Display widths say nothing about values.
            if a.isInteger { (a.length, b.length) = (nil, nil) }
            let isEqual =
                a == b && one.isNullable == other.isNullable
                && one.generation == other.generation
                && one.charset.map(Charsets.canonical(charset:))
                    == other.charset.map(Charsets.canonical(charset:))
            if !isEqual { return "another column \(one.name)" }
        }
        func unique(_ shape: TableShape) -> Set<[String]> {
            Set(
                shape.keys.filter(\.isUnique).map { key in
                    key.parts.map { "\($0.column?.lowercased() ?? "?")/\($0.prefixLength ?? 0)" }
                })
        }
        return unique(predicted) == unique(there) ? nil : "other unique keys"
    }
}
