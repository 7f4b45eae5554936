/// Tables of whole numbers in memory that behave as InnoDB does: unique keys and foreign keys are
/// checked row by row, at once.
struct ModelTables: Equatable {
    struct Refused: Error, CustomStringConvertible {
        var description: String
    }

    struct Reference: Equatable {
        var column: Int
        var parent: String
        var cascades = false
    }

    struct Table: Equatable {
        var columns: [String]
        /// Columns of each unique key, the primary key first.
        var keys: [[Int]]
        var references: [Reference] = []
        var rows: [[Int?]] = []

        /// Rows without their order.
        static func == (a: Table, b: Table) -> Bool {
            func sorted(_ rows: [[Int?]]) -> [[Int?]] {
                rows.sorted { "\($0)" < "\($1)" }
            }
            return sorted(a.rows) == sorted(b.rows)
        }
    }

    var tables: [String: Table] = [:]
    var checksForeignKeys = true

    static func == (a: ModelTables, b: ModelTables) -> Bool { a.tables == b.tables }

    /// Index of a row that has the same value of a unique key.
    private func twin(_ name: String, _ row: [Int?], except: Int? = nil) -> Int? {
        guard let table = tables[name] else { return nil }
        return table.rows.indices.first { i in
            i != except
                && table.keys.contains { key in
                    key.allSatisfy { row[$0] != nil && row[$0] == table.rows[i][$0] }
                }
        }
    }

    /// Whether every row has its parents.
    var isWhole: Bool {
        tables.values.allSatisfy { table in
            table.references.allSatisfy { reference in
                let parents = Set(tables[reference.parent]?.rows.map { $0[0] } ?? [])
                return table.rows.allSatisfy { row in
                    row[reference.column] == nil || parents.contains(row[reference.column])
                }
            }
        }
    }

    private func requireParents(_ name: String, _ row: [Int?], old: [Int?]?) throws {
        guard checksForeignKeys, let table = tables[name] else { return }
        for reference in table.references {
            guard let value = row[reference.column], old?[reference.column] != value else {
                continue
            }
            let isItself = reference.parent == name && row[0] == value
            guard
                isItself
                    || tables[reference.parent]?.rows.contains(where: { $0[0] == value }) == true
            else { throw Refused(description: "\(name) \(row): no row in \(reference.parent)") }
        }
    }

    private mutating func leaveChildren(_ name: String, _ row: [Int?], action: Bool) throws {
        guard checksForeignKeys, let key = row[0] else { return }
        for (child, table) in tables {
            for reference in table.references where reference.parent == name {
                let children = table.rows.filter { $0[reference.column] == key }
                guard !children.isEmpty else { continue }
                guard reference.cascades, action else {
                    throw Refused(description: "\(name) \(row): has rows in \(child)")
                }
                for row in children {
                    guard let i = tables[child]?.rows.firstIndex(of: row) else { continue }
                    try remove(child, at: i)
                }
            }
        }
    }

    mutating func insert(_ name: String, _ row: [Int?]) throws {
        if let twin = twin(name, row) {
            throw Refused(description: "\(name) \(row): duplicate of \(tables[name]!.rows[twin])")
        }
        try requireParents(name, row, old: nil)
        tables[name]?.rows.append(row)
    }

    mutating func remove(_ name: String, at index: Int) throws {
        guard let row = tables[name]?.rows.remove(at: index) else { return }
        try leaveChildren(name, row, action: true)
    }

    mutating func change(_ name: String, at index: Int, to row: [Int?]) throws {
        guard let old = tables[name]?.rows[index] else { return }
        if let twin = twin(name, row, except: index) {
            throw Refused(description: "\(name) \(row): duplicate of \(tables[name]!.rows[twin])")
        }
        try requireParents(name, row, old: old)
        if old[0] != row[0] {
            tables[name]?.rows.remove(at: index)
            try leaveChildren(name, old, action: false)
            tables[name]?.rows.insert(row, at: index)
        } else {
            tables[name]?.rows[index] = row
        }
    }

    // MARK: SQL

    /// Runs statements separated by semicolons; returns what each affected, counted as with
    /// `CLIENT_FOUND_ROWS`.
    mutating func run(_ sql: String) throws -> [UInt64] {
        try sql.split(separator: ";").map { statement in
            do {
                return try runOne(statement)
            } catch let error as Refused {
                throw Refused(description: "\(error.description) in \(statement)")
            }
        }
    }

    private mutating func runOne(_ sql: Substring) throws -> UInt64 {
        if sql.hasPrefix("SET foreign_key_checks=") {
            checksForeignKeys = sql.hasSuffix("1")
            return 0
        }
        let verb = sql.prefix { $0 != " " }
        guard let found = sql.firstMatch(of: /`s`\.`(\w+)`/),
            let table = tables[String(found.1)]
        else { throw Refused(description: "no table") }
        let name = String(found.1)
        let rest = sql[found.range.upperBound...]
        switch verb {
        case "INSERT", "REPLACE": return try write(name, table, rest, replaces: verb == "REPLACE")
        case "DELETE", "UPDATE":
            guard let place = rest.firstRange(of: " WHERE ") else {
                throw Refused(description: "no condition")
            }
            let indices = try matching(table, rest[place.upperBound...])
            if verb == "DELETE" {
                for row in indices.map({ table.rows[$0] }) {
                    // An action may have taken it with its parent.
                    guard let i = tables[name]?.rows.firstIndex(of: row) else { continue }
                    try remove(name, at: i)
                }
            } else {
                let changes = try Self.assignments(table, rest[..<place.lowerBound])
                for i in indices {
                    var row = table.rows[i]
                    for (column, value) in changes { row[column] = value }
                    try change(name, at: i, to: row)
                }
            }
            return UInt64(indices.count)
        default: throw Refused(description: "unknown statement")
        }
    }

    private mutating func write(
        _ name: String, _ table: Table, _ rest: Substring, replaces: Bool
    ) throws -> UInt64 {
        let updates = rest.contains("ON DUPLICATE KEY UPDATE")
        let head = rest.firstRange(of: " VALUES ")!
        let names = rest[..<head.lowerBound].matches(of: /`(\w+)`/).map { String($0.1) }
        guard names == table.columns else { throw Refused(description: "columns \(names)") }
        var tuples = rest[head.upperBound...]
        if let tail = tuples.firstRange(of: " ON DUPLICATE") { tuples = tuples[..<tail.lowerBound] }
        var count: UInt64 = 0
        for tuple in tuples.matches(of: /\(([^)]*)\)/) {
            let row = tuple.1.split(separator: ",").map { Int($0) }
            if updates, let twin = twin(name, row) {
                let key = table.keys[0]
                guard key.allSatisfy({ tables[name]!.rows[twin][$0] == row[$0] }) else {
                    throw Refused(description: "\(name) \(row): another row has a key of it")
                }
                count += tables[name]?.rows[twin] == row ? 1 : 2
                try change(name, at: twin, to: row)
                continue
            }
            while replaces, let twin = twin(name, row) {
                count += 1
                tables[name]?.rows.remove(at: twin)
            }
            try insert(name, row)
            count += 1
        }
        return count
    }

    private static func assignments(
        _ table: Table, _ text: Substring
    ) throws -> [(Int, Int?)] {
        try text.matches(of: /`(\w+)`=(NULL|-?\d+)/).map { match in
            guard let column = table.columns.firstIndex(of: String(match.1)) else {
                throw Refused(description: "no column \(match.1)")
            }
            return (column, Int(match.2))
        }
    }

    /// Rows that a condition matches, by the three forms that are written.
    private func matching(_ table: Table, _ condition: Substring) throws -> [Int] {
        func column(_ name: Substring) throws -> Int {
            guard let i = table.columns.firstIndex(of: String(name)) else {
                throw Refused(description: "no column \(name)")
            }
            return i
        }
        if let list = condition.wholeMatch(of: /`(\w+)` IN \(([^)]*)\)/) {
            let key = try column(list.1)
            let values = Set(list.2.split(separator: ",").map { Int($0) })
            return table.rows.indices.filter { values.contains(table.rows[$0][key]) }
        }
        let limit = condition.hasSuffix(" LIMIT 1") ? 1 : Int.max
        var found: [Int] = []
        for part in condition.split(separator: " OR ") {
            let terms = try part.matches(of: /`(\w+)`(?:=| <=> )(NULL|-?\d+)/).map {
                (try column($0.1), Int($0.2))
            }
            guard !terms.isEmpty else { throw Refused(description: "condition \(part)") }
            let rows = table.rows.indices.filter { i in
                terms.allSatisfy { table.rows[i][$0.0] == $0.1 }
            }
            found += rows.filter { !found.contains($0) }
        }
        return Array(found.prefix(limit))
    }
}
