import MySQLCore
import Worker

@testable import Commands

/// Statuses as a migration shows them, for the views.
enum Samples {
    static let view = LiveView(
        task: "migrate", source: "skein@db1:3306", target: "skein@db2:3306")

    /// A copy under way, and a meter that has seen 20 seconds of it.
    static func copying() -> (MigrationStatus, RateMeter) {
        var status = MigrationStatus()
        status.phase = .copying
        var meter = RateMeter()
        for t in 0...20 as ClosedRange<UInt64> {
            status.tables = [
                table("orders", rows: t * 45_200, of: 2_000_000),
                table("order_lines_with_a_rather_long_name", rows: t * 1000, of: 300_000),
                table("customers", rows: 1234, of: 1000, isDone: true),
                table("waiting", rows: 0, of: 10),
            ]
            meter.add(status, at: t * 1_000_000_000)
        }
        return (status, meter)
    }

    /// Following, with a meter that has seen 20 seconds of it.
    static func following() -> (MigrationStatus, RateMeter) {
        var status = MigrationStatus()
        status.phase = .following
        status.lagMilliseconds = 12
        status.ddlStatements = 2
        status.position = "bin.000003:12345 (0-1-1000)"
        status.sourcePosition = "bin.000003:14000"
        var meter = RateMeter()
        for t in 0...20 as ClosedRange<UInt64> {
            status.transactions = 10_000 + t * 1230
            status.rowChanges = t * 4100
            status.binlogBytes = t << 20
            meter.add(status, at: t * 1_000_000_000)
        }
        return (status, meter)
    }

    private static func table(
        _ name: String, rows: UInt64, of estimated: UInt64, isDone: Bool = false
    ) -> MigrationStatus.Table {
        var table = MigrationStatus.Table(
            name: TableName(schema: "shop", name: name), estimatedRows: estimated)
        table.rows = rows
        table.bytes = rows * 512
        table.isDone = isDone
        return table
    }
}
