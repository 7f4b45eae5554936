/// Rows in columns, as wide as their widest cell.
struct TextTable {
    private let header: [String]
    private var rows: [[String]] = []

    /// Makes a table with these columns.
    init(_ header: [String]) { self.header = header }

    /// Adds a row; cells that are missing are empty.
    mutating func add(_ cells: [String]) {
        rows.append(header.indices.map { $0 < cells.count ? TextFitting.printable(cells[$0]) : "" })
    }

    /// Whether there are no rows.
    var isEmpty: Bool { rows.isEmpty }

    /// The lines. A width cuts the last column, which holds what may be long.
    func lines(width: Int? = nil) -> [String] {
        let all = [header] + rows
        let widths = header.indices.map { column in
            all.map { TextFitting.width($0[column]) }.max() ?? 0
        }
        return all.map { row in
            var line = ""
            for (column, cell) in row.enumerated() {
                line +=
                    column + 1 < row.count ? TextFitting.padded(cell, widths[column]) + "  " : cell
            }
            while line.hasSuffix(" ") { line.removeLast() }
            return width.map { TextFitting.shortened(line, $0) } ?? line
        }
    }
}
