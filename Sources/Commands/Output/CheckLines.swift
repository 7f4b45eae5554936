internal import Glibc
internal import Runtime
internal import Worker

/// Results of pre-checks as text.
enum CheckLines {
    /// One result: verdict, name and message, the remedy below; broken to the width, if any.
    static func text(_ result: CheckResult, width: Int? = nil) -> String {
        let verdict = result.isIgnored ? "ignored" : result.verdict.rawValue
        let indent = 35
        let room = width.map { max(30, $0 - indent) } ?? Int.max
        var lines = TextFitting.wrapped(TextFitting.printable(result.message), room)
        if !result.remedy.isEmpty, result.verdict != .ok {
            let remedy = TextFitting.wrapped(TextFitting.printable(result.remedy), room - 2)
            lines += zip(0..., remedy).map { ($0 == 0 ? "→ " : "  ") + $1 }
        }
        let head = TextFitting.padded(verdict, 8) + TextFitting.padded(result.name, 26) + " "
        return head + lines.joined(separator: "\n" + String(repeating: " ", count: indent))
    }

    /// Prints the results that refuse a migration, before the error that names them.
    static func printRefusals(_ failure: PrecheckFailure, _ isJSON: Bool) {
        let now = wallClockMicroseconds()
        for result in failure.results where result.refuses {
            if isJSON {
                printData(StatusRecord.check(result, microseconds: now).description)
            } else {
                writeAll(text(result) + "\n", to: STDERR_FILENO)
            }
        }
    }
}
