internal import Runtime
internal import Worker

extension SubtaskError {
    /// What to do in a cluster, where that is not what a command's user does.
    private static let remedies = [
        "checkpoint.fenced": "make sure that nobody else writes to the target for this task; "
            + "`skein task resume` then takes it over with a greater epoch",
        "checkpoint.missing": "restore the meta schema together with the data; to begin anew, "
            + "remove the task, empty its tables on the target, and add it again",
        "migration.object": "remove what the target refuses it for, or change or drop it on the "
            + "source; or create it on the target by hand, as it is to be there, which is taken "
            + "for right then. `skein task resume` tries again",
        "migration.finishing": "set finish in the task's file, give it to `skein task update`, and "
            + "`skein task resume`",
        "server.denied": "give user and password anew: the source's by `skein source update`, the "
            + "target's by `skein task update`",
        "server.privilege":
            "grant it; `skein task check` with --cluster shows every privilege that "
            + "is needed. Then `skein task resume`",
        "precheck.refused":
            "`skein task check` with --cluster shows what to do; or accept the risk "
            + "by ignore-checks in the task's file (`skein task update`)",
    ]

    /// How a task starts over.
    private static let anew =
        "a task has no --fresh: `skein task stop` and `skein task remove` it, drop its tables on "
        + "the target, and start it from its file under another name"
    /// Where flags are set.
    private static let settings =
        "what is a flag of `skein migrate` is set in the task's or the source's file here "
        + "(`skein task update`, `skein source update`)"

    /// What the API tells of an error: the same as the command line does, and what that means for a
    /// task.
    init(operator error: any Error) {
        let known = OperatorError(error)
        let action = known.action.replacing(
            "start the same command again", with: "`skein task resume`")
        var remedies = [Self.remedies[known.code] ?? action].filter { !$0.isEmpty }
        let flags = (known.message + " " + remedies.joined()).matches(of: /--[a-z][a-z-]+/)
            .map { String($0.output) }
        if flags.contains("--fresh") { remedies.append(Self.anew) }
        // Of the commands that are named here.
        if flags.contains(where: { !["--fresh", "--cluster", "--fix-sql"].contains($0) }) {
            remedies.append(Self.settings)
        }
        self.init(
            code: known.code,
            message: known.place.map { "\(known.message) (\($0))" } ?? known.message,
            remedy: remedies.isEmpty ? nil : remedies.joined(separator: "; "),
            isRetryable: known.recovery == .later,
            time: Double(wallClockMicroseconds()) / 1e6)
    }
}
