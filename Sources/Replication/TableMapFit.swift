internal import MySQLBinlog
internal import MySQLCore

/// Whether rows that were logged with a table map can be read by a table's shape.
struct TableMapFit {
    private let map: TableMap
    private let family: ServerFamily

    /// - Parameter family: the source's.
    init(_ map: TableMap, family: ServerFamily) {
        self.map = map
        self.family = family
    }

    /// Why not, in words; `nil` when they can, as far as the map tells.
    func difference(from shape: TableShape) -> String? {
        let columns = shape.columns
        guard map.columnCount == columns.count || hidesColumns(shape) else {
            return "\(map.columnCount) columns in the binlog, \(columns.count) known"
        }
        for (index, (layout, column)) in zip(map.columns, columns).enumerated() {
            guard let given = ValueClass(layout.type), given != ValueClass(column.type.kind)
            else { continue }
            // MariaDB logs texts, whatever a column that takes them is called on the target.
            if given == .bytes, column.type.kind == .json, family == .mariadb { continue }
            return "column \(index + 1) is of type \(layout.type) in the binlog, and "
                + "\(column.name) of type \(column.type.kind) is known there"
        }
        for (name, column) in zip(map.metadata.columnNames ?? [], columns)
        where name.lowercased() != column.name.lowercased() {
            return "column \(name) in the binlog, \(column.name) known"
        }
        return nil
    }

    /// Whether what the map has more are the hashes of MariaDB's long unique keys.
    private func hidesColumns(_ shape: TableShape) -> Bool {
        let more = map.columnCount - shape.columns.count
        guard family == .mariadb, more > 0, more <= shape.hashableKeys else { return false }
        let names = map.metadata.columnNames?.dropFirst(shape.columns.count) ?? []
        return map.columns.dropFirst(shape.columns.count).allSatisfy { $0.type == .longlong }
            && names.allSatisfy { $0.hasPrefix("DB_ROW_HASH_") }
    }
}
