internal import ArgumentParser
internal import Glibc
internal import MySQLBinlog
internal import MySQLCore
internal import Relay
internal import Stream

/// `skein relay read`: prints the events of a relay log.
struct RelayReadCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "read",
        abstract: "Print the events of a relay log, from any place on.",
        discussion: "Rows are counted, not shown.")

    @Argument(help: "The relay log's folder.")
    var folder: String

    @Option(
        help: ArgumentHelp(
            "Where to begin: a file, file:offset of an event, or a GTID set, behind which it begins "
                + "(default: the oldest event).", valueName: "place"), transform: parsePlace)
    var from: StreamPlace?

    @Option(help: ArgumentHelp("Events to print at most.", valueName: "n"))
    var limit: Int?

    @Option(help: "How it is shown.")
    var output = RelayOutput.lines

    func validate() throws {
        if let limit, limit < 1 { throw ValidationError("--limit must be 1 at least") }
    }

    func run() throws {
        let events = try RelayArchive(path: folder).events(from: from)
        var words = EventWords()
        var printed = 0
        while let chunk = try events.next() {
            words.family = events.format?.family ?? words.family
            // One write for all of them: a log has millions.
            var lines = ""
            for entry in chunk.entries {
                if let limit, printed >= limit { break }
                let record = words.record(chunk, entry)
                lines += (output == .json ? record.object.description : record.line) + "\n"
                printed += 1
            }
            // Nobody reads any more: `head` has enough.
            guard writeAll(lines, to: STDOUT_FILENO) else { return }
            if let limit, printed >= limit { return }
        }
    }
}

private func parsePlace(_ text: String) throws -> StreamPlace {
    if let set = MySQLGTIDSet(text), !set.isEmpty { return .gtids(.mysql(set)) }
    if let position = MariaDBGTIDPosition(text), !position.last.isEmpty {
        return .gtids(.mariadb(position))
    }
    if let position = BinlogPosition(text) { return .position(position, of: nil) }
    guard !text.contains(":"), case let first = BinlogPosition(file: text, offset: 4),
        first.fileNumber > 0
    else { throw ValidationError("must be a file, file:offset or a GTID set") }
    return .position(first, of: nil)
}
