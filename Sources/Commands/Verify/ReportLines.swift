internal import MySQLCore
internal import Runtime
internal import Verification

/// A verification's report on standard output.
enum ReportLines {
    /// Prints the report; as JSON one line a table, and one for the whole.
    ///
    /// - Parameter leftOut: which tables are not compared, one sentence each.
    static func print(_ report: VerificationReport, leftOut: [String], isJSON: Bool) {
        if isJSON {
            let now = wallClockMicroseconds()
            for table in report.tables { printData(record(table, now).description) }
            printData(record(report, leftOut, now).description)
        } else {
            for line in text(report, leftOut) { printData(line) }
        }
    }

    /// The report for people: tables that are not equal first in detail, then one verdict.
    static func text(_ report: VerificationReport, _ leftOut: [String]) -> [String] {
        var out: [String] = []
        let columns = min(
            60, report.tables.map { TextFitting.width($0.source.description) }.max() ?? 0)
        for table in report.tables {
            let name = TextFitting.padded(
                TextFitting.printable(table.source.description), columns)
            var line =
                "\(TextFitting.padded(table.verdict.rawValue, 10)) \(name)  "
                + "\(Wording.count(table.rows)) rows"
            if table.differingRows > 0 { line += ", \(Wording.count(table.differingRows)) differ" }
            if table.settledRows > 0 {
                line += ", \(Wording.count(table.settledRows)) changed meanwhile"
            }
            if table.undecidedRows > 0 {
                line += ", \(Wording.count(table.undecidedRows)) kept changing"
            }
            if let reason = table.undecidedReason { line += ": \(reason)" }
            out.append(line)
            out += table.structure.map {
                "  \($0.isDifference ? "differs" : "note")  \($0.description)"
            }
            out += table.notes.map { "  note  \($0)" }
            out += table.differences.map { "  row  \($0.description)" }
            let unnamed =
                table.differingRows
                - min(
                    table.differingRows, UInt64(table.differences.count))
            if unnamed > 0 { out.append("  and \(Wording.count(unnamed)) more rows") }
        }
        out += report.objects.map { "note  \($0.description)" }
        out += leftOut.map { "left out  \($0)" }
        let seconds = max(
            0.001,
            Double(report.elapsed.components.seconds)
                + Double(report.elapsed.components.attoseconds) / 1e18)
        let speed = "\(Wording.roughCount(Double(report.rows) / seconds)) rows/s"
        let bad = report.tables.count { $0.verdict == .different }
        let summary =
            switch report.verdict {
            case .equal: "equal"
            case .different:
                "different: \(counted(report.differingRows, "row")), in "
                    + "\(bad) of \(report.tables.count) tables"
            case .undecided: "undecided"
            }
        // What was not compared is not equal.
        let rest =
            leftOut.isEmpty
            ? "" : ", \(counted(UInt64(leftOut.count), "table")) not compared: filters"
        out.append(
            "verdict: \(summary)\(rest) (\(counted(report.rows, "row")) of "
                + "\(counted(UInt64(report.tables.count), "table")) in \(Wording.fixed(seconds, 1)) s, \(speed))"
        )
        return out.map { TextFitting.printable($0) }
    }

    private static func counted(_ n: UInt64, _ noun: String) -> String {
        "\(Wording.count(n)) \(noun)\(n == 1 ? "" : "s")"
    }

    /// The line of type `verify_table`.
    static func record(_ table: TableReport, _ microseconds: Int64) -> JSONObject {
        var out = StatusRecord.begin("verify_table", microseconds)
        out.set("schema", table.source.schema)
        out.set("table", table.source.name)
        out.set("verdict", table.verdict.rawValue)
        out.set("rows", table.rows)
        out.set("differing_rows", table.differingRows)
        out.set("settled_rows", table.settledRows)
        out.set("undecided_rows", table.undecidedRows)
        out.set("undecided_reason", table.undecidedReason)
        out.set("differences", table.differences.map(\.description))
        out.set("structure", table.structure.map(\.description))
        out.set("notes", table.notes)
        return out
    }

    /// The last line, of type `verify_end`.
    static func record(
        _ report: VerificationReport, _ leftOut: [String], _ microseconds: Int64
    ) -> JSONObject {
        var out = StatusRecord.begin("verify_end", microseconds)
        out.set("verdict", report.verdict.rawValue)
        out.set("tables", report.tables.count)
        out.set("rows", report.rows)
        out.set("differing_rows", report.differingRows)
        out.set("settled_rows", report.settledRows)
        out.set("undecided_rows", report.undecidedRows)
        out.set("notes", report.objects.map(\.description))
        out.set("left_out", leftOut)
        out.set(
            "elapsed_ms",
            report.elapsed.components.seconds * 1000
                + report.elapsed.components.attoseconds / 1_000_000_000_000_000)
        return out
    }
}
