internal import MySQLClient
internal import MySQLCore
internal import Runtime
internal import Synchronization

/// A table that is to be created on the target.
struct TableCreation: Sendable {
    let table: TableName
    let statement: String
    /// Whether foreign keys tie it to others.
    let isTied: Bool

    /// Creates it. That it exists already is no error: it is recorded as this subtask's own, and
    /// only a statement of an earlier run, late on its way, can have made it since it was missing.
    func run(_ target: Connection) throws {
        do {
            // Foreign keys name tables without their schema.
            try target.execute("USE \(quoteIdentifier(table.schema))")
            try target.execute(statement)
        } catch {
            if error.code == 1050 { return }
            guard error.retry == .no else { throw error }
            throw SnapshotError.unsupported(
                object: "table \(table)",
                detail: "the target refuses its definition: \(error.message)")
        }
    }

    /// Creates many tables over several sessions: a server waits for the disk at each.
    static func runAll(
        _ tables: [TableCreation], _ configuration: SnapshotConfiguration,
        _ interrupts: Interrupts, from family: ServerFamily
    ) async throws {
        let next = Counter()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for i in 0..<min(4, tables.count) {
                group.addTask {
                    try await withThread("copy-create-\(i)") {
                        let target = try Connection(configuration.target)
                        try interrupts.add(target.interrupter)
                        try applyDDLSettings(target, from: family)
                        while let index = next.take(below: tables.count) {
                            try Task.checkCancellation()
                            try tables[index].run(target)
                        }
                    }
                }
            }
            try await group.waitForAll()
        }
    }
}

/// Numbers from 0, each handed out once.
private final class Counter: Sendable {
    private let value = Mutex(0)

    func take(below limit: Int) -> Int? {
        value.withLock { value in
            guard value < limit else { return nil }
            defer { value += 1 }
            return value
        }
    }
}

/// Settings under which definitions mean on the target what they meant on the source.
func applyDDLSettings(_ target: Connection, from family: ServerFamily?) throws(MySQLError) {
    // Table options of the other family that the adapter doesn't know are left out by MariaDB.
    let ignores =
        target.family == .mariadb && family == .mysql ? ",IGNORE_BAD_TABLE_OPTIONS" : ""
    try target.execute(
        "SET SESSION time_zone='+00:00', foreign_key_checks=0, sql_mode='NO_ENGINE_SUBSTITUTION,"
            + "ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO\(ignores)'")
    var settings = ["explicit_defaults_for_timestamp=1", "innodb_strict_mode=0"]
    if target.family == .mysql {
        if target.serverVersion.isAtLeast(8, 4) {
            settings.append("restrict_fk_on_non_standard_key=0")
        }
        if target.serverVersion.isAtLeast(8, 0, 30) {
            settings.append("sql_generate_invisible_primary_key=0")
        }
        if target.serverVersion.isAtLeast(8, 0, 13) { settings.append("sql_require_primary_key=0") }
    }
    for setting in settings {
        do throws(MySQLError) {
            try target.execute("SET SESSION \(setting)")
        } catch {
            // It needs a privilege on some servers; the default is nearly always right.
            if error.isConnectionLost { throw error }
        }
    }
}
