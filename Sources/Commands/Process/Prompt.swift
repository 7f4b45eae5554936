internal import Glibc

/// Questions to a person at the terminal. They are asked on `/dev/tty`'s behalf through standard
/// error, so that standard output stays data.
enum Prompt {
    /// Whether somebody can be asked.
    static var isPossible: Bool { isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1 }

    /// Asks for a password without echo; `nil` at the end of input.
    static func password(_ question: String) -> String? {
        var before = termios()
        guard tcgetattr(STDIN_FILENO, &before) == 0 else { return nil }
        var silent = before
        silent.c_lflag &= ~tcflag_t(ECHO)
        StopSignals.shared.setEcho(before)
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent)
        defer {
            tcsetattr(STDIN_FILENO, TCSAFLUSH, &before)
            StopSignals.shared.setEcho(nil)
            writeAll("\n", to: STDERR_FILENO)
        }
        writeAll(TextFitting.printable(question), to: STDERR_FILENO)
        return readLine(strippingNewline: true)
    }

    /// Asks for a line; `nil` at the end of input.
    static func line(_ question: String) -> String? {
        writeAll(TextFitting.printable(question), to: STDERR_FILENO)
        return readLine(strippingNewline: true)
    }

    /// Asks a question that only the whole word "yes" answers positively.
    static func confirms(_ question: String) -> Bool {
        writeAll(TextFitting.printable(question) + " [yes/no] ", to: STDERR_FILENO)
        return readLine(strippingNewline: true)?.lowercased() == "yes"
    }
}
