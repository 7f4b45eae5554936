internal import MySQLCore

/// A pair of columns that are compared.
struct ColumnPair: Sendable {
    let source: ColumnExpression
    let target: ColumnExpression
    var form: ColumnForm { source.form }

    func on(_ side: Side) -> ColumnExpression { side == .source ? source : target }
}

/// One side's SQL for comparing a table.
struct SidePlan: Sendable {
    /// The table, quoted.
    let table: String
    /// Which of its rows are compared, as a condition; `nil` for all.
    let scope: String?
    /// The concatenation of all columns.
    let row: String
    /// The concatenation without the columns that the client brings into their form.
    let base: String
    /// Those columns' values, in ``TablePlan/clientForms``' order.
    let clientValues: [String]
    /// The key; `nil` for a keyless table.
    let key: KeyColumns?
    /// The key's values, for a select list.
    let keyValues: [String]

    /// What finds those rows of ``scope`` that meet a condition.
    func filter(_ condition: String?) -> String {
        switch (scope, condition) {
        case (nil, nil): ""
        case (nil, let condition?): " WHERE \(condition)"
        case (let scope?, nil): " WHERE \(scope)"
        case (let scope?, let condition?): " WHERE \(scope) AND (\(condition))"
        }
    }

    /// Number of rows, and the exact sum of 64 bits of each row's SHA-256. A sum, unlike XOR,
    /// does not lose pairs of identical rows; a change goes unseen with a chance of 2^-64.
    func checksum(_ condition: String?) -> String {
        "SELECT COUNT(*),COALESCE(\(sum),0) FROM \(table)\(filter(condition))"
    }

    /// The sum of ``checksum(_:)`` as an aggregate.
    ///
    /// A row that the server can't hash must not count as equal to another one. What it counts as
    /// is a whole number, too: next to a DOUBLE all of them would be summed as DOUBLE, whose 53
    /// bits depend on the order of the rows.
    var sum: String { "SUM(COALESCE(\(slice(row)),CAST(FLOOR(RAND()*1e15) AS UNSIGNED)))" }

    func slice(_ concatenation: String) -> String {
        "CAST(CONV(LEFT(SHA2(\(concatenation),256),16),16,10) AS UNSIGNED)"
    }

    /// Key values of rows.
    func keys(_ condition: String?) -> String {
        "SELECT \(keyValues.joined(separator: ",")) FROM \(table)\(filter(condition))"
    }

    /// Key values, hash and client values of rows.
    func digests(_ condition: String?) -> String {
        let list = keyValues + ["LEFT(UNHEX(SHA2(\(base),256)),16)"] + clientValues
        return "SELECT \(list.joined(separator: ",")) FROM \(table)\(filter(condition))"
    }

    /// Gives a row where a key's literal finds one within a range.
    func isWithin(_ range: KeyRange, _ key: RowKey) -> String {
        let conditions = [self.key?.equals(key), self.key?.condition(range)].compactMap { $0 }
        return "SELECT 1 FROM \(table)\(filter(conditions.joined(separator: " AND "))) LIMIT 1"
    }

    /// The key `count` rows into a range.
    func bound(_ range: KeyRange, _ count: Int) -> String {
        let key = key!
        return "SELECT \(keyValues.joined(separator: ",")) FROM \(table)"
            + " FORCE INDEX (\(key.index))\(filter(key.condition(range)))"
            + " ORDER BY \(key.list) LIMIT \(max(count, 1) - 1),1"
    }
}

/// How one table is compared: which columns, by which key, with which SQL on either side.
struct TablePlan: Sendable {
    /// Its place in the options.
    let index: Int
    /// The shapes.
    let source: TableShape
    let target: TableShape
    /// The columns that both sides have, in the source's order.
    let columns: [ColumnPair]
    /// The columns of the target that tell the table's rows from those of others.
    let filled: [FilledColumn]
    /// How rows of other tables are told from those that ``filled`` finds on the target.
    var separation = TableParts.Separation.apart
    /// Whether rows of other tables may be among those: of what only the target has, nothing is
    /// known then.
    var isShared: Bool { separation == .shared }
    /// Indices into ``columns`` of the key, `nil` when rows are compared as a multiset.
    let key: [Int]?
    /// The forms of the columns that are brought into form here.
    let clientForms: [ClientForm]
    /// Both sides' SQL.
    let sourceSide: SidePlan
    let targetSide: SidePlan
    /// Rows per chunk, and estimates for the progress.
    var chunkRows = 1
    var estimatedRows: UInt64 = 0
    var rowBytes: UInt64 = 0

    func on(_ side: Side) -> SidePlan { side == .source ? sourceSide : targetSide }

    /// Whether texts of the key are converted, so that a literal may stand for another key.
    var convertsKey: Bool {
        key?.contains { at in
            if case .text(charset: nil, _) = columns[at].form.value { true } else { false }
        } ?? false
    }

    /// Makes a plan; `nil` when the tables share no column.
    ///
    /// - Parameters:
    ///   - filled: the target's columns that the source does not have, with their values.
    ///   - ignored: names of keys on either side that no statement can use.
    init?(
        index: Int, source: TableShape, _ sourceFamily: ServerFamily, target: TableShape,
        _ targetFamily: ServerFamily, filled: [FilledColumn] = [], comparesGenerated: Bool,
        ignored: (source: Set<String>, target: Set<String>) = ([], [])
    ) {
        var pairs: [ColumnPair] = []
        for column in source.columns {
            guard let at = target.columnIndex(column.name), !filled.holds(column.name) else {
                continue
            }
            let other = target.columns[at]
            if !comparesGenerated, column.generation != nil || other.generation != nil { continue }
            let form = ColumnForm(column, sourceFamily, other, targetFamily)
            pairs.append(
                ColumnPair(
                    source: ColumnExpression(column: column, form: form),
                    target: ColumnExpression(column: other, form: form)))
        }
        guard !pairs.isEmpty else { return nil }
        self.index = index
        self.source = source
        self.target = target
        self.filled = filled
        columns = pairs
        let chosen = Self.chooseKey(
            source.keys.filter { $0.isUnique && !ignored.source.contains($0.name) },
            target.keys.filter { $0.isUnique && !ignored.target.contains($0.name) }
                .map { $0.without(filled) }, pairs)
        key = chosen?.columns
        clientForms = pairs.compactMap(\.form.client)
        sourceSide = Self.side(.source, source, nil, pairs, chosen?.columns, chosen?.source)
        targetSide = Self.side(
            .target, target, filled.condition(in: target), pairs, chosen?.columns, chosen?.target)
    }

    private static func side(
        _ side: Side, _ shape: TableShape, _ scope: String?, _ pairs: [ColumnPair], _ key: [Int]?,
        _ index: String?
    ) -> SidePlan {
        func concatenation(_ pairs: [ColumnPair]) -> String {
            pairs.isEmpty
                ? "'-'"
                : "CONCAT_WS(',',\(pairs.map { $0.on(side).part }.joined(separator: ",")))"
        }
        let expressions = key?.map { pairs[$0].on(side) }
        return SidePlan(
            table: shape.name.quoted, scope: scope, row: concatenation(pairs),
            base: concatenation(pairs.filter { $0.form.client == nil }),
            clientValues: pairs.filter { $0.form.client != nil }.map { $0.on(side).value },
            key: expressions.map { expressions in
                KeyColumns(
                    names: expressions.map { quoteIdentifier($0.column.name) },
                    literals: expressions.compactMap(\.form.literal),
                    index: quoteIdentifier(index ?? ""))
            },
            keyValues: expressions?.map(\.value) ?? [])
    }

    /// A unique key that both sides have over the same NOT NULL columns, whose values can be
    /// written as literals: the primary key, else the first one. Only such a key names a row on
    /// both sides.
    ///
    /// Keys of the target come without the columns that are filled in: among rows that have one
    /// value there, the others are as unique.
    private static func chooseKey(
        _ source: [KeyShape], _ target: [KeyShape], _ pairs: [ColumnPair]
    ) -> (columns: [Int], source: String, target: String)? {
        for key in source {
            guard let columns = usableColumns(key, pairs, \.source) else { continue }
            for other in target {
                if let same = usableColumns(other, pairs, \.target), Set(same) == Set(columns) {
                    return (columns, key.name, other.name)
                }
            }
        }
        return nil
    }

    private static func usableColumns(
        _ key: KeyShape, _ pairs: [ColumnPair], _ side: (ColumnPair) -> ColumnExpression
    ) -> [Int]? {
        var out: [Int] = []
        for part in key.parts {
            guard let name = part.column, part.prefixLength == nil || key.isPrimary,
                let at = pairs.firstIndex(where: {
                    side($0).column.name.lowercased() == name.lowercased()
                }), !side(pairs[at]).column.isNullable, pairs[at].form.literal != nil
            else { return nil }
            out.append(at)
        }
        return out
    }
}

extension KeyShape {
    /// The key of rows that all have the same values in some columns.
    func without(_ filled: [FilledColumn]) -> KeyShape {
        guard !filled.isEmpty else { return self }
        var out = self
        out.parts.removeAll { part in part.column.map { filled.holds($0) } ?? false }
        return out
    }
}
