internal import Glibc
internal import Runtime
internal import Worker

/// Results of pre-checks as text.
enum CheckLines {
    /// One result: verdict, name and message, the remedy below.
    static func text(_ result: CheckResult) -> String {
        let verdict = result.isIgnored ? "ignored" : result.verdict.rawValue
        var out =
            TextFitting.padded(verdict, 8) + TextFitting.padded(result.name, 26) + " "
            + TextFitting.printable(result.message)
        if !result.remedy.isEmpty, result.verdict != .ok {
            out += "\n" + String(repeating: " ", count: 35) + "→ "
            out += TextFitting.printable(result.remedy)
        }
        return out
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
