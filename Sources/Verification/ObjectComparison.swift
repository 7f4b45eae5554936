internal import MySQLClient
internal import MySQLCore

/// Compares which views, routines, triggers and events the schemas have. All findings are notes:
/// triggers and events come to the target only at switch-over.
struct ObjectComparison {
    /// Schemas of the compared tables: the source's name to the target's.
    let schemas: [String: String]

    private static let queries: [(kind: String, sql: String)] = [
        (
            "view",
            "SELECT TABLE_SCHEMA,TABLE_NAME FROM information_schema.VIEWS WHERE TABLE_SCHEMA"
        ),
        (
            "routine",
            "SELECT ROUTINE_SCHEMA,ROUTINE_NAME FROM information_schema.ROUTINES"
                + " WHERE ROUTINE_SCHEMA"
        ),
        (
            "trigger",
            "SELECT TRIGGER_SCHEMA,TRIGGER_NAME FROM information_schema.TRIGGERS"
                + " WHERE TRIGGER_SCHEMA"
        ),
        (
            "event",
            "SELECT EVENT_SCHEMA,EVENT_NAME FROM information_schema.EVENTS WHERE EVENT_SCHEMA"
        ),
    ]

    /// Objects that only one side has.
    func findings(_ pair: SessionPair) async throws -> [StructureFinding] {
        var out: [StructureFinding] = []
        for (source, target) in schemas.sorted(by: { $0.key < $1.key }) {
            for query in Self.queries {
                let a = try await names(pair.source, query.sql, source)
                let b = try await names(pair.target, query.sql, target)
                for name in a.subtracting(b).sorted() {
                    out.append(
                        StructureFinding(
                            .objectMissing, false,
                            "\(query.kind) \(source).\(name) is not on the target"))
                }
                for name in b.subtracting(a).sorted() {
                    out.append(
                        StructureFinding(
                            .objectMissing, false,
                            "\(query.kind) \(target).\(name) is on the target only"))
                }
            }
        }
        return out
    }

    private func names(
        _ session: Session, _ sql: String, _ schema: String
    ) async throws -> Set<String> {
        let rows = try await session.values("\(sql)=\(utf8Literal(schema))")
        return Set(rows.map { String(decoding: $0[1] ?? [], as: UTF8.self) })
    }
}
