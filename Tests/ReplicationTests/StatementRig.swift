import Checkpoint
import MySQLBinlog
import MySQLCore
import MySQLSyntax
import Rules
import Testing

@testable import Replication

/// The tables `shop.a` and `shop.b`, and the statements of a source on them.
final class StatementRig {
    let catalog: TableCatalog
    private let dialect: ServerDialect
    private let carried: IdentitySet
    private var number = 1

    init(
        window: (low: Int, high: Int)? = nil, applied: Int? = nil,
        rules: SourceRules = SourceRules(),
        online: [TableName: OnlineSchemaChangeStateMachine.Entry] = [:],
        others: [String: SourceRules] = [:]
    ) throws {
        var dialect = ServerDialect(version: ServerVersion("10.11.6-MariaDB"))
        dialect.collations = [8: "latin1_swedish_ci", 45: "utf8mb4_general_ci"]
        dialect.explicitDefaultsForTimestamp = true
        var state = SchemaState()
        for name in ["a", "b"] {
            let table = TableName(schema: "shop", name: name)
            state.tables[table] = TableShape(
                name: table,
                columns: [
                    ColumnShape(name: "id", type: ColumnType(.int), isNullable: false)
                ],
                keys: [
                    KeyShape(name: "PRIMARY", parts: [KeyPart(column: "id")], isUnique: true)
                ], charset: "utf8mb4", collation: "utf8mb4_general_ci")
        }
        state.schemas["shop"] = SchemaDefaults(
            charset: "utf8mb4", collation: "utf8mb4_general_ci")
        var windows: [TableName: CopyRange] = [:]
        if let window {
            windows[TableName(schema: "shop", name: "a")] = CopyRange(
                low: TargetRig.position(window.low), high: TargetRig.position(window.high))
        }
        var carried = IdentitySet()
        if let applied { carried.insert(TargetRig.identity(applied)) }
        self.carried = carried
        self.dialect = dialect
        var mapping = try TableMapping(rules)
        mapping.share(with: try others.mapValues { try TableMapping($0) })
        catalog = TableCatalog(
            sourceVersion: dialect.version, mapping: mapping, state: state,
            windows: windows, consistentFrom: nil,
            session: StatementSession(source: dialect, target: dialect), online: online,
            notedDefaults: StoredDefaults(storing: state.schemas))
    }

    /// The next statement; each is a transaction of its own, numbered from 1.
    ///
    /// - Parameter latin1: the source's client has sent it in that character set.
    @discardableResult
    func decide(_ sql: String, latin1: Bool = false) throws -> StatementHandler.Decision {
        defer { number += 1 }
        var writer = EventWriter()
        writer.query(
            latin1 ? sql.unicodeScalars.map { UInt8($0.value) } : Array(sql.utf8), schema: "shop",
            status: [4, latin1 ? 8 : 45, 0, 45, 0, 45, 0])
        let event = writer.events[0]
        let query = try QueryEvent(event.span.bytes)
        let identity = TargetRig.identity(number)
        catalog.beginTransaction(identity)
        let handler = StatementHandler(
            catalog: catalog,
            applied: AppliedState(lowWater: TargetRig.position(0), carried: carried))
        let end = GroupEnd(
            ordinal: 1, identity: identity,
            start: BinlogPosition(file: "bin.000001", offset: 100),
            end: BinlogPosition(file: "bin.000001", offset: 200), digest: 1)
        return try handler.decide(
            query, end, timestamp: 1_700_000_000 + Int64(number),
            position: TargetRig.position(number))
    }

    /// What runs of several statements, each before the last one expected to pass.
    func sent(_ statements: [String]) throws -> [String]? {
        for sql in statements.dropLast() {
            guard case .pass = try decide(sql) else {
                Issue.record("\(sql) did not pass")
                return nil
            }
        }
        guard case .run(let request, _, _) = try decide(statements.last!) else { return nil }
        return request.parts.map { String(decoding: $0.sql, as: UTF8.self) }
    }
}

extension DDLRequest {
    /// The statement of a request that has one.
    var sql: [UInt8] { parts[0].sql }
    var settings: [String] { parts[0].settings }
    var tables: [TableName] { parts[0].tables }
    var goneAfter: [TableName] { parts[0].goneAfter }
}
