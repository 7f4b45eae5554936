internal import MySQLClient
internal import MySQLCore

/// Counts the rows of tables without a key that are in one table of the target, where nothing tells
/// them apart.
///
/// Each table is compared by itself: a copy that the target lacks of its rows seems to be there where
/// another table has an identical one. Together the tables have as many rows as the target must have
/// at least.
struct SharedCopies: Sendable {
    let plans: [TablePlan]
    let options: VerificationOptions
    let tally: Tally
    let pool: SessionPool

    /// What the comparison of one such table leaves open.
    static let note = "copies of identical rows of other tables may stand for missing ones"

    /// Counts, and leaves tables undecided that were equal each by itself.
    func check() async throws {
        let shared = plans.filter { $0.isShared && $0.key == nil }
        for target in Set(shared.map(\.target.name)).sorted() {
            let reports = tally.tables
            // Rows that are known to be missing are missing in the sum, too.
            guard reports.allSatisfy({ $0.target != target || $0.differingRows == 0 }) else {
                continue
            }
            var reason: String?
            do {
                reason = try await pool.use { try await lack(target, $0) }
            } catch {
                if Task.isCancelled { throw error }
                reason = "\(error)"
            }
            guard let reason else { continue }
            for plan in shared where plan.target.name == target { tally.stop(plan.index, reason) }
        }
    }

    /// Why the target may lack rows; `nil` where it has as many as the sources had at some moment.
    ///
    /// A table that can't be counted is left undecided by itself: the others must be there all the
    /// same.
    private func lack(_ target: TableName, _ pair: SessionPair) async throws -> String? {
        let compared = Set(options.tables.filter { $0.target == target }.map(\.source))
        let parts = try await options.readParts?()[target] ?? options.partsByTarget[target] ?? []
        let tables = parts.compactMap(\.table)
        // How many rows come from other sources, or from tables that filters touch, nobody knows.
        guard !tables.isEmpty, tables.count == parts.count, compared.isSuperset(of: tables) else {
            return nil
        }
        var counted = tables
        var delay = Duration.milliseconds(100)
        var least = UInt64.max
        var last: [UInt64] = []
        let start = ContinuousClock.now
        var since = start
        var looks = 0
        while true {
            var rows: UInt64 = 0
            for table in counted {
                do {
                    rows += try await pair.source.rowCount(table)
                } catch let error as MySQLError {
                    // A server that is away says nothing of this table alone.
                    if Task.isCancelled || error.retry != .no { throw error }
                    counted.removeAll { $0 == table }
                    for plan in plans where plan.source.name == table {
                        tally.stop(plan.index, "\(error)")
                    }
                }
            }
            guard !counted.isEmpty else { return nil }
            let there = try await pair.target.rowCount(target)
            least = min(least, rows)
            if there >= least { return nil }
            tally.progress { $0.phase = .settling }
            let now = ContinuousClock.now
            if last != [rows, there] { (last, since, looks) = ([rows, there], now, 0) }
            looks += 1
            if looks >= (options.settle == .zero ? 2 : 3), now - since >= options.settle {
                return "\(target) has \(there) rows, and its tables have \(rows) together: copies "
                    + "of identical rows are missing"
            }
            guard now - start <= options.patience + options.settle else {
                return "the rows of \(target) were fewer than those of its tables together for "
                    + "longer than \(options.patience)"
            }
            if options.settle > .zero { try await Task.sleep(for: delay) }
            delay = min(delay * 2, max(options.settle / 3, .milliseconds(100)))
        }
    }
}

extension Session {
    /// How many rows a table has.
    fileprivate func rowCount(_ table: TableName) async throws -> UInt64 {
        let rows = try await values("SELECT COUNT(*) FROM \(table.quoted)")
        guard let row = rows.first, let count = row[0] else { return 0 }
        return UInt64(String(decoding: count, as: UTF8.self)) ?? 0
    }
}
