internal import Glibc
internal import Synchronization

/// Standard error as a place for a view that is redrawn, and for lines that stay above it.
///
/// The cursor is never hidden: between frames it rests on the empty line below the view, so that
/// there is nothing to restore, not even after `kill -9`. A frame is one `write` inside a
/// "synchronized update", which terminals that know it draw at once.
final class Terminal: Sendable {
    private struct State {
        var shown: [Int] = []
        var drawnWidth = 0
    }

    private let state = Mutex(State())
    /// Whether escape sequences may be used at all.
    let isInteractive: Bool
    /// Whether colours are wanted: on a terminal, unless `NO_COLOR` is set or it is dumb.
    let hasColors: Bool

    /// Looks at standard error.
    init() {
        let kind = environmentValue("TERM") ?? ""
        isInteractive = isatty(STDERR_FILENO) == 1 && kind != "dumb" && kind != ""
        hasColors = isInteractive && (environmentValue("NO_COLOR") ?? "").isEmpty
    }

    /// Columns and rows now.
    var size: (width: Int, height: Int) { Self.size(of: STDERR_FILENO) ?? (80, 24) }

    /// Columns of standard output, `nil` when it is no terminal.
    static var outputWidth: Int? { size(of: STDOUT_FILENO)?.width }

    /// Columns of standard error, `nil` when it is no terminal.
    static var errorWidth: Int? { size(of: STDERR_FILENO)?.width }

    private static func size(of descriptor: Int32) -> (width: Int, height: Int)? {
        var window = winsize()
        guard ioctl(descriptor, UInt(TIOCGWINSZ), &window) == 0, window.ws_col > 0 else {
            return nil
        }
        return (Int(window.ws_col), max(2, Int(window.ws_row)))
    }

    /// Replaces the view by a new frame.
    func show(_ lines: [StyledLine]) {
        let (width, _) = size
        state.withLock { state in
            var out = "\u{1B}[?2026h" + Self.moveToTop(state.shown, state.drawnWidth, width)
            for line in lines {
                out += line.rendered(width: width, colors: hasColors) + "\u{1B}[K\n"
            }
            out += "\u{1B}[J\u{1B}[?2026l"
            write(out)
            state.shown = lines.map { min(width, $0.width) }
            state.drawnWidth = width
        }
    }

    /// Writes a line that stays; the view, if any, is drawn again below it by the next frame.
    func print(_ line: String) {
        state.withLock { state in
            guard isInteractive, !state.shown.isEmpty else {
                write(line + "\n")
                return
            }
            write(Self.moveToTop(state.shown, state.drawnWidth, size.width) + "\u{1B}[J\(line)\n")
            state.shown = []
        }
    }

    /// Leaves the last frame where it is; what follows is written below it.
    func release() { state.withLock { $0.shown = [] } }

    /// Moves the cursor to the view's first line. After the window became narrower, terminals
    /// have broken the old lines into several.
    static func moveToTop(_ shown: [Int], _ drawnWidth: Int, _ width: Int) -> String {
        var rows = 0
        for columns in shown {
            rows += width < drawnWidth ? max(1, (columns + width - 1) / max(1, width)) : 1
        }
        return rows > 0 ? "\u{1B}[\(rows)A\r" : "\r"
    }

    private func write(_ text: String) { writeAll(text, to: STDERR_FILENO) }
}

/// Writes a text whole.
///
/// - Returns: false when it can't be written: the disk is full, or a reader went away.
@discardableResult
func writeAll(_ text: String, to descriptor: Int32) -> Bool {
    var text = text
    return text.withUTF8 { bytes in
        var done = 0
        while done < bytes.count {
            let n = write(descriptor, bytes.baseAddress! + done, bytes.count - done)
            if n < 0, errno == EINTR || errno == EAGAIN { continue }
            if n <= 0 { return false }
            done += n
        }
        return true
    }
}

/// Writes a line of data to standard output.
func printData(_ line: String) { writeAll(line + "\n", to: STDOUT_FILENO) }

/// A variable of the environment.
func environmentValue(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
