/// The order in which a batch's rows go out that can't be merged.
///
/// Rows of one transaction keep their order, and so do transactions that use a key in common, by
/// the same rule by which lanes may commit transactions in any order. Beyond that, rows of one kind
/// are put together, since one statement of many rows costs the target far less than many
/// statements.
struct BatchOrder {
    /// Depths of the transactions: each is deeper than all before it in the batch that it must
    /// follow.
    private(set) var levels: [Int32] = []
    private var uses: [UInt64: (writer: Int32, reader: Int32)] = [:]

    /// Finds the depths.
    mutating func find(_ transactions: ContiguousArray<SourceTransaction>) {
        levels.removeAll(keepingCapacity: true)
        uses.removeAll(keepingCapacity: true)
        for transaction in transactions {
            var level: Int32 = 0
            for use in transaction.keys {
                guard let found = uses[use.hash] else { continue }
                level = max(level, found.writer + 1)
                if use.writes { level = max(level, found.reader + 1) }
            }
            for use in transaction.keys {
                let found = uses[use.hash] ?? (-1, -1)
                uses[use.hash] =
                    use.writes
                    ? (max(found.writer, level), found.reader)
                    : (found.writer, max(found.reader, level))
            }
            levels.append(level)
        }
    }

    /// Puts rows into an order.
    ///
    /// - Parameters:
    ///   - transactions: of each row, in the order of the source, the index of its transaction.
    ///   - kinds: of each row, a number; rows of one kind can share a statement.
    /// - Returns: indexes of rows.
    func arranged(transactions: [Int32], kinds: [Int32]) -> [Int32] {
        // Ranges of rows, one a transaction, by level.
        var open: [[(next: Int, end: Int)]] = []
        var start = 0
        while start < transactions.count {
            var end = start + 1
            while end < transactions.count, transactions[end] == transactions[start] { end += 1 }
            let level = Int(levels[Int(transactions[start])])
            while open.count <= level { open.append([]) }
            open[level].append((start, end))
            start = end
        }
        var out: [Int32] = []
        out.reserveCapacity(transactions.count)
        for level in open.indices {
            var ranges = open[level]
            while let first = ranges.first {
                let kind = kinds[first.next]
                var kept = 0
                for i in ranges.indices {
                    var range = ranges[i]
                    while range.next < range.end, kinds[range.next] == kind {
                        out.append(Int32(range.next))
                        range.next += 1
                    }
                    guard range.next < range.end else { continue }
                    ranges[kept] = range
                    kept += 1
                }
                ranges.removeLast(ranges.count - kept)
            }
        }
        return out
    }
}
