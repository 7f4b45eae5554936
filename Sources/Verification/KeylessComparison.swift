internal import MySQLClient
internal import MySQLCore

/// A row of a keyless table whose number of copies differs.
struct DifferingCopies: Sendable {
    /// Copies on either side.
    let source: Int
    let target: Int
    /// The condition that finds copies on either side, `nil` when there is none.
    let sourceCondition: String?
    let targetCondition: String?
}

/// Compares a table without a common key as a multiset of rows: how many copies of each row does
/// each side have? Where the target has rows of other tables, too, it must not have fewer.
///
/// Every look is a scan of the table, so looks are few: a checksum of everything, then sums of
/// 4,096 buckets (by the row's hash), then the hashes of the buckets that differ, and those again
/// until the difference has lasted.
struct KeylessComparison: Sendable {
    let plan: TablePlan
    let pair: SessionPair
    let options: VerificationOptions
    let tally: Tally

    /// In so many parts a bucket is looked at, one after the other, at most: each part costs as
    /// many scans of the table as the whole.
    private static let mostParts: UInt64 = 16

    /// What was seen of one row.
    private struct Copies: Sendable, Equatable {
        var source = 0
        var target = 0
        var sourceHash: RowDigest?
        var targetHash: RowDigest?
        var bucket = ""

        static func == (a: Copies, b: Copies) -> Bool {
            a.source == b.source && a.target == b.target
        }
    }

    /// Compares the table, and decides.
    func compare() async throws -> [DifferingCopies] {
        tally.update(plan.index) { $0.isKeyless = true }
        let sums = try await pair.both { try await $0.checksum(plan, nil) }
        tally.count(plan, rows: sums.source.rows)
        if sums.source == sums.target { return [] }
        let buckets = try await pair.both { try await $0.buckets(plan) }
        var differing: [(bucket: String, rows: UInt64)] = []
        for bucket in Set(buckets.source.keys).union(buckets.target.keys).sorted() {
            let (a, b) = (buckets.source[bucket], buckets.target[bucket])
            // What only the target has may be another table's.
            if plan.isShared, a == nil { continue }
            if a != b { differing.append((bucket, max(a?.rows ?? 0, b?.rows ?? 0))) }
        }
        var out: [DifferingCopies] = []
        while !differing.isEmpty {
            var (batch, rows): ([String], UInt64) = ([], 0)
            while let next = differing.last,
                batch.isEmpty
                    || rows + next.rows <= UInt64(options.keylessRowsAtOnce)
            {
                batch.append(next.bucket)
                rows += next.rows
                differing.removeLast()
            }
            out += try await decideInParts(batch)
            if out.count > options.maxDifferingRows {
                tally.stop(plan.index, "more than \(options.maxDifferingRows) rows differ")
                break
            }
        }
        return out
    }

    /// Decides buckets, and those with too many rows in parts. The servers put all rows into one
    /// bucket when they differ in nothing but values that are brought into form here.
    private func decideInParts(_ buckets: [String]) async throws -> [DifferingCopies] {
        var count: UInt64 = 1
        while true {
            do {
                var out: [DifferingCopies] = []
                for index in 0..<count {
                    out += try await decide(buckets, HashPart(index: index, of: count))
                    if out.count > options.maxDifferingRows { break }
                }
                return out
            } catch let error as TooManyRows {
                guard count < Self.mostParts else { throw error }
                count *= 4
            }
        }
    }

    /// Looks at a part of some buckets until every row in it is decided.
    private func decide(
        _ buckets: [String], _ part: HashPart
    ) async throws -> [DifferingCopies] {
        var out: [DifferingCopies] = []
        var watched = try await look(buckets, part, only: nil)
        var looks: [RowDigest: (count: Int, since: ContinuousClock.Instant)] = [:]
        let start = ContinuousClock.now
        var delay: Duration = .milliseconds(100)
        for digest in watched.keys { looks[digest] = (1, start) }
        while !watched.isEmpty {
            tally.progress { $0.pendingRows = watched.count }
            if options.settle > .zero { try await Task.sleep(for: delay) }
            delay = min(delay * 2, max(options.settle / 3, .milliseconds(100)))
            let names = Set(watched.values.map(\.bucket)).sorted()
            let now = try await look(names, part, only: Set(watched.keys))
            let time = ContinuousClock.now
            for (digest, old) in watched {
                guard let new = now[digest] else {
                    watched[digest] = nil  // equal by now
                    tally.update(plan.index) { $0.settledRows += 1 }
                    continue
                }
                watched[digest] = new
                guard new == old, let seen = looks[digest] else {
                    looks[digest] = (1, time)
                    if time - start > options.patience {
                        watched[digest] = nil
                        tally.update(plan.index) { $0.undecidedRows += 1 }
                    }
                    continue
                }
                looks[digest] = (seen.count + 1, seen.since)
                let enough = options.settle == .zero ? 2 : 3
                if seen.count + 1 >= enough, time - seen.since >= options.settle {
                    watched[digest] = nil
                    out.append(copies(new))
                }
            }
        }
        tally.progress { $0.pendingRows = 0 }
        return out
    }

    private func copies(_ seen: Copies) -> DifferingCopies {
        func condition(_ side: SidePlan, _ hash: RowDigest?) -> String? {
            hash.map { "LEFT(UNHEX(SHA2(\(side.row),256)),16)=\(hexLiteral($0.bytes))" }
        }
        return DifferingCopies(
            source: seen.source, target: seen.target,
            sourceCondition: condition(plan.sourceSide, seen.sourceHash),
            targetCondition: condition(plan.targetSide, seen.targetHash))
    }

    /// The rows of some buckets whose numbers of copies differ now.
    private func look(
        _ buckets: [String], _ part: HashPart, only: Set<RowDigest>?
    ) async throws -> [RowDigest: Copies] {
        var out: [RowDigest: Copies] = [:]
        // Twice: buckets may have grown since they were counted.
        let limit = options.keylessRowsAtOnce * 2
        let rows = try await pair.both {
            try await $0.hashes(plan, buckets, part, limit: limit)
        }
        for row in rows.source where only?.contains(row.digest) ?? true {
            out[row.digest, default: Copies()].source += row.copies
            out[row.digest]?.sourceHash = row.hash
            out[row.digest]?.bucket = row.bucket
        }
        for row in rows.target where only?.contains(row.digest) ?? true {
            out[row.digest, default: Copies()].target += row.copies
            out[row.digest]?.targetHash = row.hash
            out[row.digest]?.bucket = row.bucket
        }
        return out.filter {
            plan.isShared
                ? $0.value.source > $0.value.target : $0.value.source != $0.value.target
        }
    }
}

/// A part of all rows, by their hashes.
struct HashPart: Sendable {
    let index: UInt64
    let of: UInt64

    func holds(_ digest: RowDigest) -> Bool { digest.low % of == index }
}

/// A keyless table has more rows than can be told apart here in bounded memory.
struct TooManyRows: Error, CustomStringConvertible {
    var description: String {
        "too many rows of a table without a key differ only in values (FLOAT, DOUBLE, JSON) that "
            + "servers do not print alike; a primary key would help"
    }
}

/// Identical rows of a keyless table.
struct HashedRow: Sendable {
    let digest: RowDigest
    /// The first bytes of the hash of all columns as the server prints them.
    let hash: RowDigest
    let bucket: String
    let copies: Int
}

extension Session {
    private func bucket(_ side: SidePlan) -> String { "LEFT(SHA2(\(side.base),256),3)" }

    /// Count and sum of every bucket.
    func buckets(_ plan: TablePlan) async throws -> [String: ChunkSum] {
        let side = plan.on(side)
        let sql = """
            SELECT \(bucket(side)),COUNT(*),\(side.sum) FROM \(side.table)\(side.filter(nil)) \
            GROUP BY 1
            """
        return try await run { connection in
            var out: [String: ChunkSum] = [:]
            try connection.forEachRowThrowing(sql) { row in
                guard let name = row.string(0), let sum = row.string(2) else {
                    throw UnhashedRow()
                }
                out[name] = ChunkSum(rows: row.uint64(1) ?? 0, sum: sum)
            }
            return out
        }
    }

    /// The rows of a part of some buckets, each distinct one once.
    ///
    /// - Throws: ``TooManyRows`` when there are more than `limit`.
    func hashes(
        _ plan: TablePlan, _ buckets: [String], _ part: HashPart, limit: Int
    ) async throws -> [HashedRow] {
        let (planned, side, forms) = (plan.on(side), side, plan.clientForms)
        let list = buckets.map { "'\($0)'" }.joined(separator: ",")
        let columns =
            [bucket(planned)]
            + [planned.base, planned.row].map { "LEFT(UNHEX(SHA2(\($0),256)),16)" }
            + planned.clientValues
        let condition = buckets.count > 2048 ? nil : "\(bucket(planned)) IN (\(list))"
        let sql =
            "SELECT \(columns.joined(separator: ",")) FROM \(planned.table)"
            + planned.filter(condition)
        return try await run { connection in
            var out: [RowDigest: HashedRow] = [:]
            try connection.forEachRowThrowing(sql) { row in
                var values: [[UInt8]?] = []
                for i in forms.indices { values.append(row.copy(3 + i)) }
                let key = try digest(row.copy(1) ?? [], values, forms, side)
                guard part.holds(key) else { return }
                guard out.count < limit || out[key] != nil else { throw TooManyRows() }
                let hash = try RowDigest(row.copy(2) ?? [])
                let copies = out[key]?.copies ?? 0
                out[key] = HashedRow(
                    digest: key, hash: hash, bucket: row.string(0) ?? "", copies: copies + 1)
            }
            return Array(out.values)
        }
    }
}
