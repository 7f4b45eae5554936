internal import Logging
internal import Runtime

/// Log lines on standard error, for people: `warning replication: lost the source (task=..)`.
/// On a terminal they appear above the live view.
struct LineLogHandler: LogHandler {
    let label: String
    let terminal: Terminal
    /// Whether lines are JSON objects, as with `--output json`.
    let isJSON: Bool
    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let all = metadata.merging(event.metadata ?? [:]) { $1 }.sorted { $0.key < $1.key }
        let now = wallClockMicroseconds()
        if isJSON {
            var out = StatusRecord.begin("log", now)
            out.set("level", event.level.rawValue)
            out.set("logger", label)
            out.set("message", event.message.description)
            for (key, value) in all { out.set(key, value.description) }
            terminal.print(out.description)
            return
        }
        var line = terminal.isInteractive ? "" : Wording.utc(microseconds: now) + " "
        line += "\(event.level.rawValue): \(event.message)"
        if !all.isEmpty {
            line += " (" + all.map { "\($0.key)=\($0.value)" }.joined(separator: " ") + ")"
        }
        terminal.print(TextFitting.printable(line))
    }
}

extension Logger {
    /// A logger for one command.
    static func command(
        _ label: String, _ terminal: Terminal, level: Logger.Level, isJSON: Bool
    ) -> Logger {
        Logger(label: label) { label in
            LineLogHandler(label: label, terminal: terminal, isJSON: isJSON, logLevel: level)
        }
    }
}
