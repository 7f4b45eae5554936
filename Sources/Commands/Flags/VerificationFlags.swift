internal import ArgumentParser
internal import Settings

/// Flags of `skein verify` alone.
struct VerificationFlags: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Write the statements that would make the target equal; they are never executed here.",
            valueName: "file"))
    var fixSql: String?

    @Option(
        help: ArgumentHelp(
            "Connections to either server.", valueName: "n"), transform: parseParallelism)
    var parallelism = 4

    @Option(
        help: ArgumentHelp(
            "How long a difference must last to count; longer than the usual lag, 0 at rest "
                + "(default: 5s).", valueName: "time"), transform: parseSettle)
    var settle: Duration?
}

private func parseParallelism(_ text: String) throws -> Int {
    guard let n = Int(text), (1...64).contains(n) else {
        throw ValidationError("must be a number from 1 to 64")
    }
    return n
}

private func parseSettle(_ text: String) throws -> Duration {
    guard let span = TimeSpan(text) else { throw ValidationError("must be a time such as 5s") }
    return span.duration
}
