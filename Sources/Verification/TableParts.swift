internal import MySQLClient
internal import MySQLCore

/// Tells whether rows of different tables, in one table of the target, can be told apart by the
/// columns that are filled in.
///
/// What the target's column takes for equal is equal: with collations `a` may be `A`. Where that
/// can't be found out, values count as equal.
struct TableParts: Sendable {
    private let parts: [TablePart]
    /// By the column's name in lower case, what stands for each value: equal where the column
    /// takes values for equal. Those of which it is not known are missing.
    private let classes: [String: [String: String]]

    /// Asks the target what its columns take for equal.
    init(_ parts: [TablePart], in target: TableShape, _ session: Session) async throws {
        self.parts = parts
        var values: [String: Set<String>] = [:]
        if parts.count > 1 {
            for column in parts.flatMap(\.filled) {
                values[column.name.lowercased(), default: []].insert(column.value)
            }
        }
        var classes: [String: [String: String]] = [:]
        for (name, values) in values {
            guard let at = target.columnIndex(name) else { continue }
            classes[name] = try await session.classes(values.sorted(), in: target.columns[at])
        }
        self.classes = classes
    }

    /// How rows that others put into the target's table are told from those of one table.
    enum Separation: Sendable {
        /// All of them, by what is filled in.
        case apart
        /// All but those that another source would put there if it had a table of that name, which
        /// nobody has looked for.
        case likely
        /// Some are not.
        case shared

        /// What that means for the comparison, for a person; `nil`: nothing.
        func note(_ target: TableName) -> String? {
            switch self {
            case .apart: nil
            case .likely:
                "rows of \(target) that are in no table's part are not looked for, and rows that only "
                    + "it has may be another source's: that may have a table of that name"
            case .shared:
                "rows that only \(target) has are not looked for: rows of other tables are there, too"
            }
        }
    }

    /// How all rows that others put into the target's table are told from those of `table`.
    ///
    /// A rule for whole schemas may lead here, too, and fill nothing in: it would take a table that
    /// has the target's name, which is not where tables with other names become this one. Where
    /// sources fill something in, such a rule is not taken for a table; but what it could have put
    /// there is nobody's to delete. (Rows that belong to no table are looked for with more care:
    /// ``StrayRows``.)
    func separation(of table: ComparedTable) -> Separation {
        let isFilledByOthers = parts.contains { $0.table == nil && !$0.filled.isEmpty }
        var out = Separation.apart
        for part in parts where part.table != table.source {
            if areApart(part.filled, table.filled) { continue }
            guard part.table == nil, part.needsSameName, part.filled.isEmpty, isFilledByOthers
            else { return .shared }
            out = .likely
        }
        return out
    }

    private func areApart(_ a: [FilledColumn], _ b: [FilledColumn]) -> Bool {
        a.contains { column in
            let name = column.name.lowercased()
            guard let other = b.first(where: { $0.name.lowercased() == name }),
                let mine = classes[name]?[column.value], let its = classes[name]?[other.value]
            else { return false }
            return mine != its
        }
    }
}

extension Session {
    /// What stands for each of some values of a column; equal where the column takes them for
    /// equal, missing where that is not known.
    fileprivate func classes(
        _ values: [String], in column: ColumnShape
    ) async throws -> [String: String] {
        let type = column.type
        // Digits are themselves in every collation.
        let areDigits = values.allSatisfy { value in
            value.utf8.allSatisfy { UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }
        }
        if type.isInteger || type.kind == .decimal {
            guard areDigits else { return [:] }
            var out: [String: String] = [:]
            for value in values where !value.isEmpty {
                out[value] = String(value.drop(while: { $0 == "0" }))
            }
            return out
        }
        if type.isBinary || (areDigits && column.charset != nil) {
            var out: [String: String] = [:]
            for value in values { out[value] = hexLiteral(value.utf8) }
            return out
        }
        guard let charset = column.charset, let collation = column.collation else { return [:] }
        var out: [String: String] = [:]
        for start in stride(from: 0, to: values.count, by: 200) {
            let batch = values[start..<min(start + 200, values.count)]
            let list = batch.map { value in
                let text = "CONVERT(\(utf8Literal(value)) USING \(charset)) COLLATE \(collation)"
                return "HEX(WEIGHT_STRING(RTRIM(\(text))))"
            }
            let row: [[UInt8]?]
            do {
                row = try await self.values("SELECT \(list.joined(separator: ","))").first ?? []
            } catch let error as MySQLError {
                // A server that has no such function.
                guard error.retry == .no else { throw error }
                return [:]
            }
            for (value, weight) in zip(batch, row) {
                if let weight { out[value] = String(decoding: weight, as: UTF8.self) }
            }
        }
        return out
    }
}
