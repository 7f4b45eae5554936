internal import API
internal import ArgumentParser

/// How commands show what workers answer.
enum AnswerOutput: String, ExpressibleByArgument, CaseIterable, Sendable {
    /// For people.
    case table
    /// The answer's own JSON, on one line.
    case json
}

/// The flag for it.
struct AnswerFlags: ParsableArguments {
    @Option(help: ArgumentHelp("How it is shown.", valueName: "form"))
    var output = AnswerOutput.table

    /// Shows an answer.
    func show(_ answer: APIClient.Answer, _ lines: (Int?) throws -> [String]) throws {
        if output == .json {
            printData(String(decoding: answer.body, as: UTF8.self))
        } else {
            for line in try lines(Terminal.outputWidth) { printData(line) }
        }
    }

    /// Shows that a change was made.
    func showDone(_ answer: APIClient.Answer) throws {
        try show(answer) { _ in [TextFitting.printable(try answer.value(DoneAnswer.self).message)] }
    }
}

/// `--watch`: the same again and again, until a signal comes.
struct WatchFlags: ParsableArguments {
    @Flag(help: "Show it again every second, until Ctrl-C.")
    var watch = false

    /// Shows what `fetch` gets, once or again and again.
    ///
    /// A worker that does not answer ends it only at the first time: later it is shown, and asked
    /// again.
    func run(
        _ flags: AnswerFlags, _ fetch: () async throws -> APIClient.Answer,
        _ lines: (APIClient.Answer, Int?) throws -> [String]
    ) async throws {
        let first = try await fetch()
        guard watch else { return try flags.show(first) { try lines(first, $0) } }
        let terminal = Terminal()
        func show(_ answer: APIClient.Answer) throws {
            guard flags.output == .table, terminal.isInteractive else {
                // Lines of one time and of the next are told apart by an empty one.
                return try flags.show(answer) { try lines(answer, $0) + [""] }
            }
            terminal.show(try lines(answer, nil).map { StyledLine($0) })
        }
        try show(first)
        try await StopSignals.shared.handling({ _ in }) {
            while StopSignals.shared.received == nil {
                for _ in 0..<10 where StopSignals.shared.received == nil {
                    try await Task.sleep(for: .milliseconds(100))
                }
                do {
                    try show(try await fetch())
                } catch let error as APIClientError {
                    terminal.print("warning: \(error)")
                }
            }
        }
        terminal.release()
    }
}

/// A name in a path; the worker tells what is wrong with one.
func pathPart(_ name: String) -> String {
    var out = ""
    for byte in name.utf8 {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"),
            UInt8(ascii: "_"):
            out.unicodeScalars.append(Unicode.Scalar(byte))
        default:
            out += "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
        }
    }
    return out
}
