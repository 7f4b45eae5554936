internal import API
internal import ArgumentParser
internal import Worker

/// `skein task verify`.
struct TaskVerifyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Compare a task's tables now, on the workers that run it.",
        discussion: """
            The task may run meanwhile. Its status tells how far it is, and the result. With --wait it \
            ends with 0 when all is equal, 3 when something differs, and 1 when it could not be found \
            out.
            """)

    @Flag(help: "Wait for the result, and show it.")
    var wait = false

    @OptionGroup var flags: SubtaskFlags

    func run() async throws {
        guard wait else { return try await flags.post("verify") }
        try await flags.endpoints.ask { client in
            let list = flags.source.isEmpty ? nil : flags.source
            _ = try await client.send(
                "POST", "/api/v1/tasks/\(pathPart(flags.task))/verify",
                body: .json(SourceListRequest(sourceNameList: list)))
            let names = flags.source.map(pathPart).joined(separator: ",")
            let path =
                "/api/v1/tasks/\(pathPart(flags.task))/status"
                + (names.isEmpty ? "" : "?source_name_list=\(names)")
            let terminal = Terminal()
            var wait = VerificationWait()
            while true {
                let answer = try await client.send("GET", path)
                let subtasks = try answer.value(ListAnswer<SubtaskAnswer>.self).data
                if wait.isOver(subtasks.map { ($0.sourceName, $0.status) }, now: .now) {
                    terminal.release()
                    try flags.answers.show(answer) { _ in subtasks.flatMap(Self.lines) }
                    let states = subtasks.map { $0.status?.verification?.state }
                    if let status = VerificationWait.end(states) { throw status }
                    return
                }
                if terminal.isInteractive {
                    let lines = subtasks.flatMap { it in
                        it.status == nil
                            ? ["\(it.name) on \(it.sourceName): waits for its worker's word"]
                            : Self.lines(it)
                    }
                    terminal.show(lines.map { StyledLine($0) })
                }
                try await Task.sleep(for: .milliseconds(500))
            }
        }
    }

    /// A comparison in words, and the tables that are not equal below.
    static func lines(_ it: SubtaskAnswer) -> [String] {
        let name = "\(it.name) on \(it.sourceName)"
        if it.status == nil {
            let reason = it.errorMsg.map { ": \($0)" } ?? ""
            return [TextFitting.printable("\(name): it could not be found out\(reason)")]
        }
        guard let found = it.status?.verification else {
            return [
                TextFitting.printable("\(name): not compared; the source has another worker now")
            ]
        }
        var lines = ["\(name): \(words(found))"]
        for table in found.tables {
            let rows =
                table.differingRows > 0 ? ", \(Wording.count(table.differingRows)) rows differ" : ""
            lines.append("  \(table.name): \(table.verdict)\(rows)")
            lines += table.notes.map { "    \($0)" }
        }
        lines += (found.notes ?? []).map { "  note: \($0)" }
        if found.state == .different {
            lines.append(
                "  `skein verify` with the same servers and tables, or with the task's file, names "
                    + "the rows")
        }
        return lines.map { TextFitting.printable($0) }
    }

    /// A comparison in one line.
    static func words(_ it: SubtaskVerification) -> String {
        guard let count = it.tablesLeftOut, count > 0, it.state != .failed else {
            return comparedWords(it)
        }
        return comparedWords(it)
            + ", \(count) \(count == 1 ? "table" : "tables") not compared: filters"
    }

    private static func comparedWords(_ it: SubtaskVerification) -> String {
        let rows = "\(Wording.count(it.rows)) rows"
        switch it.state {
        case .waiting: return "is compared as soon as others are"
        case .running:
            return "is being compared: \(it.tablesDone) of \(it.tablesTotal) tables, \(rows), "
                + "\(Wording.count(it.differingRows)) differ"
        case .equal: return "compared: equal, \(it.tablesTotal) tables, \(rows)"
        case .different:
            return "compared: different, \(Wording.count(it.differingRows)) of \(rows) in "
                + "\(it.tables.count) of \(it.tablesTotal) tables"
        case .undecided:
            return "compared: it could not be found out for \(it.tables.count) of "
                + "\(it.tablesTotal) tables"
        case .failed: return "could not be compared: \(it.reason ?? "no reason is known")"
        }
    }
}
