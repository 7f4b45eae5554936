internal import MySQLBinlog
internal import MySQLClient
internal import MySQLCore
internal import MySQLSyntax
internal import Rules

/// Decides what a statement in the binlog means for the migrated tables.
struct StatementHandler {
    /// What to do with a statement.
    enum Decision {
        /// It does not concern migrated tables.
        case pass
        /// It is applied already; shapes have to follow.
        case shapesOnly(DDL, SyntaxContext)
        /// It must run on the target.
        case run(DDLRequest, DDL, SyntaxContext)
    }

    private let catalog: TableCatalog
    private let applied: AppliedState

    init(catalog: TableCatalog, applied: AppliedState) {
        self.catalog = catalog
        self.applied = applied
    }

    /// Decides.
    ///
    /// - Throws: ``ReplicationError`` for a statement that can't be replicated.
    func decide(
        _ query: QueryEvent, _ end: GroupEnd, timestamp: Int64, position: SourcePosition
    ) throws -> Decision {
        if applied.lowWater.contains(end.identity) { return .pass }
        let context = syntaxContext(query)
        let statement: Statement
        do {
            statement = try parseStatement(query.sql, context: context)
        } catch {
            let wanted = error.tables.contains { catalog.selection.selects($0.name) }
            if !wanted, !error.tables.isEmpty { return .pass }
            throw ReplicationError.unsupported(
                position, detail: "a statement is not understood (\(error))")
        }
        switch statement.classification {
        case .transactionControl, .administrative, .empty: return .pass
        case .dml(let kind): return try dml(kind, statement, query, end, context, position)
        case .unknown(let words):
            guard statement.tables.contains(where: { catalog.selection.selects($0.name) }) else {
                return .pass
            }
            throw ReplicationError.unsupported(
                position, detail: "a statement on migrated tables is not known (\(words))")
        case .ddl(let ddl):
            return try decide(ddl, statement, query, end, context, timestamp, position)
        }
    }

    private func dml(
        _ kind: DMLKind, _ statement: Statement, _ query: QueryEvent, _ end: GroupEnd,
        _ context: SyntaxContext, _ position: SourcePosition
    ) throws -> Decision {
        // UPDATE and DELETE of several tables name what they write among what they read.
        let written = statement.tables.filter {
            ($0.role == .target || kind == .update || kind == .delete)
                && catalog.selection.selects($0.name)
        }
        guard kind != .select, let first = written.first else { return .pass }
        // A restarted server logs that its MEMORY tables are empty.
        if kind == .delete, catalog.state.tables[first.name]?.engine?.uppercased() == "MEMORY" {
            if applied.contains(end.identity) { return .pass }
            let sql = Array("DELETE FROM \(first.name.quoted)".utf8)
            return .run(
                DDLRequest(
                    identity: end.identity, sql: sql, defaultSchema: nil, settings: [],
                    tables: [first.name], existAfter: [first.name], goneAfter: [],
                    isIdempotent: true, mayFail: false),
                .truncateTable(TruncateTable(table: first.name)), context)
        }
        throw ReplicationError.unsupported(
            position,
            detail: "\(first.name) was changed by a statement instead of rows: set "
                + "binlog_format=ROW on the source, then start over with --fresh")
    }

    private func decide(
        _ ddl: DDL, _ statement: Statement, _ query: QueryEvent, _ end: GroupEnd,
        _ context: SyntaxContext, _ timestamp: Int64, _ position: SourcePosition
    ) throws -> Decision {
        if ddl.isTemporary { return .pass }
        switch ddl {
        case .createObject, .alterObject, .dropObject:
            return object(ddl, query, end, context, timestamp)
        case .createSchema(let schema):
            guard catalog.selection.mayHold(schema: schema.name) else { return .pass }
        case .alterSchema(let schema):
            guard catalog.selection.mayHold(schema: schema.name) else { return .pass }
        case .dropSchema(let schema):
            return dropSchema(schema.name, ddl, end, context)
        default: break
        }
        let before = ddl.tablesBefore
        let after = ddl.tablesAfter
        let named = Set(before + after)
        let wanted = named.filter { catalog.selection.selects($0) }
        let isSchema = named.isEmpty
        if wanted.isEmpty, !isSchema { return .pass }
        if case .renameTables = ddl, wanted != named {
            throw ReplicationError.unsupported(
                position,
                detail: "tables are renamed into or out of the selection: "
                    + named.map(\.description).sorted().joined(separator: ", "))
        }
        let uses = wanted.map { ($0, catalog.use(of: $0)) }
        if let changing = uses.first(where: { $0.1 == .converge }) {
            throw ReplicationError.changedDuringCopy(changing.0, position)
        }
        if !uses.isEmpty, uses.allSatisfy({ $0.1 == .skip }) { return .pass }
        if applied.contains(end.identity) { return .shapesOnly(ddl, context) }
        if let reason = statement.nondeterministicReason {
            throw ReplicationError.unsupported(
                position, detail: "a statement gives other values on the target (\(reason))")
        }
        let gone = Set(before).subtracting(after)
        return .run(
            DDLRequest(
                identity: end.identity, sql: selected(ddl, query.sql),
                defaultSchema: String(decoding: query.schema, as: UTF8.self),
                settings: settings(query, timestamp), tables: wanted.sorted(),
                existAfter: after.filter { wanted.contains($0) },
                goneAfter: gone.filter { wanted.contains($0) }.sorted(),
                isIdempotent: ddl.isSafeToRunIfUnseen, mayFail: false),
            ddl, context)
    }

    /// A DROP of several tables drops the migrated ones alone.
    private func selected(_ ddl: DDL, _ sql: [UInt8]) -> [UInt8] {
        switch ddl {
        case .dropTables(let drop):
            let wanted = drop.tables.filter { catalog.selection.selects($0) }
            guard wanted.count < drop.tables.count else { return sql }
            let list = wanted.map(\.quoted).joined(separator: ",")
            return Array("DROP TABLE \(drop.ifExists ? "IF EXISTS " : "")\(list)".utf8)
        case .createSchema(let schema) where !schema.ifNotExists:
            return Array("CREATE DATABASE IF NOT EXISTS \(quoteIdentifier(schema.name))".utf8)
        default: return sql
        }
    }

    private func object(
        _ ddl: DDL, _ query: QueryEvent, _ end: GroupEnd, _ context: SyntaxContext,
        _ timestamp: Int64
    ) -> Decision {
        guard let schema = ddl.schema ?? context.defaultSchema,
            catalog.selection.mayHold(schema: schema), !applied.contains(end.identity)
        else { return .pass }
        switch ddl {
        case .createObject(let object):
            // Triggers and events come with the switch-over, from the source as it is then.
            if object.kind == .trigger || object.kind == .event { return .pass }
        case .alterObject(let object):
            if object.kind == .trigger || object.kind == .event { return .pass }
        case .dropObject(let object):
            if object.kind == .trigger || object.kind == .event { return .pass }
        default: break
        }
        return .run(
            DDLRequest(
                identity: end.identity, sql: query.sql,
                defaultSchema: String(decoding: query.schema, as: UTF8.self),
                settings: settings(query, timestamp), tables: [], existAfter: [], goneAfter: [],
                isIdempotent: true, mayFail: true),
            ddl, context)
    }

    private func dropSchema(
        _ schema: String, _ ddl: DDL, _ end: GroupEnd, _ context: SyntaxContext
    ) -> Decision {
        let tables = catalog.state.tables.keys.filter {
            $0.schema == schema && catalog.use(of: $0) == .exact
        }.sorted()
        guard !tables.isEmpty else { return .pass }
        if applied.contains(end.identity) { return .shapesOnly(ddl, context) }
        let list = tables.map(\.quoted).joined(separator: ",")
        return .run(
            DDLRequest(
                identity: end.identity, sql: Array("DROP TABLE IF EXISTS \(list)".utf8),
                defaultSchema: nil, settings: ["foreign_key_checks=0"], tables: tables,
                existAfter: [], goneAfter: tables, isIdempotent: true, mayFail: false),
            ddl, context)
    }

    private func syntaxContext(_ query: QueryEvent) -> SyntaxContext {
        var mode = SQLMode()
        if let bits = query.status.sqlMode {
            mode = SQLMode(binlog: bits, family: catalog.sourceVersion.family)
        }
        let schema = String(decoding: query.schema, as: UTF8.self)
        return SyntaxContext(
            version: catalog.sourceVersion, sqlMode: mode,
            defaultSchema: schema.isEmpty ? nil : schema)
    }

    /// The session that the statement ran in, as assignments. Numbers and hexadecimal literals
    /// only, or names that the server gave.
    private func settings(_ query: QueryEvent, _ timestamp: Int64) -> [String] {
        var out = ["timestamp=\(timestamp)"]
        if let mode = query.status.sqlMode, catalog.sourceVersion.family == .mariadb {
            out.append("sql_mode=\(mode & 0xFFFF_FFFF)")
        } else if let mode = query.status.sqlMode {
            out.append("sql_mode=\(mode)")
        }
        if let charsets = query.status.charsets {
            out.append("character_set_client=\(charsets.client)")
            out.append("collation_connection=\(charsets.connection)")
            out.append("collation_server=\(charsets.server)")
        }
        if let zone = query.status.timeZone, !zone.isEmpty {
            out.append("time_zone=\(utf8Literal(zone))")
        }
        if let options = query.status.options {
            out.append("foreign_key_checks=\(options.contains(.noForeignKeyChecks) ? 0 : 1)")
            out.append("unique_checks=\(options.contains(.relaxedUniqueChecks) ? 0 : 1)")
        }
        return out
    }
}
