public import MySQLCore

/// The file `metadata`, which a dump tool writes last: that the dump is whole, and the place of the
/// source's binlog that its rows are of.
public struct DumpMetadata: Sendable, Hashable {
    /// When the dump began, as the tool writes it.
    public var started: String?
    /// When it was whole; `nil` while it is not.
    public var finished: String?
    /// The binlog's file; `nil` when the source wrote none.
    public var binlogFile: String?
    /// The offset in it.
    public var binlogOffset: UInt64?
    /// The GTIDs, as the server writes them.
    public var gtids: String?
    /// The time zone of sessions that load, where the tool says it here and not in each file.
    public var timeZone: String?

    /// Tables that have rows, where the tool says it: names in backticks, in small letters.
    public private(set) var filled: [String] = []

    /// Makes a dump's metadata.
    public init(
        started: String?, finished: String?, binlogFile: String?, binlogOffset: UInt64?,
        gtids: String?
    ) {
        self.started = started
        self.finished = finished
        self.binlogFile = binlogFile
        self.binlogOffset = binlogOffset
        self.gtids = gtids
    }

    /// The name of the file.
    public static let fileName = "metadata"
    /// What tools call it until the dump is whole.
    public static let unfinishedNames = ["metadata.partial", ".metadata.partial"]

    /// Whether the tool says that a table has rows.
    public func saysFilled(_ table: TableName) -> Bool {
        filled.contains("`\(table.schema)`.`\(table.name)`".lowercased())
    }

    /// Reads either form: mydumper's up to 0.10 and Dumpling's, of lines with tabs, and mydumper's
    /// later one, of sections.
    ///
    /// - Throws: ``DumpFileError`` when it is neither, or gives tables other names than their files
    ///   have.
    public init(_ text: String) throws(DumpFileError) {
        var lines = text.split(omittingEmptySubsequences: false) { $0.isNewline }[...]
        var isKnown = false
        var section = ""
        /// Whether the newest line belongs to a list of GTIDs, which goes on behind a comma.
        var isInGTIDs = false
        while let line = lines.popFirst() {
            let trimmed = Self.trimmed(line)
            if isInGTIDs, !trimmed.isEmpty, gtids?.hasSuffix(",") == true {
                gtids! += Self.unquoted(trimmed)
                continue
            }
            isInGTIDs = false
            if let at = Self.value(trimmed, "Started dump at:") {
                started = at
                isKnown = true
            } else if let at = Self.value(trimmed, "Finished dump at:") {
                finished = at
            } else if trimmed.hasPrefix("["), trimmed.hasSuffix("]") {
                section = trimmed.lowercased()
            } else if trimmed.hasPrefix("SHOW "), trimmed.hasSuffix(":") {
                section = trimmed.uppercased()
            } else {
                isInGTIDs = try read(trimmed, in: section)
            }
        }
        guard isKnown else {
            throw DumpFileError("it is no metadata of a dump", file: Self.fileName)
        }
    }

    /// - Returns: whether GTIDs may go on in the next line.
    private mutating func read(
        _ line: String, in section: String
    ) throws(DumpFileError) -> Bool {
        let isOwn = ["SHOW MASTER STATUS:", "SHOW BINARY LOG STATUS:", "[master]", "[source]"]
            .contains(section)
        if isOwn {
            for name in ["Log:", "File ="] {
                if let file = Self.value(line, name), !file.isEmpty {
                    binlogFile = Self.unquoted(file)
                }
            }
            for name in ["Pos:", "Position ="] {
                guard let text = Self.value(line, name), !text.isEmpty else { continue }
                guard let offset = UInt64(Self.unquoted(text)) else {
                    throw DumpFileError("its position is no number", file: Self.fileName)
                }
                binlogOffset = offset
            }
            for name in ["GTID:", "Executed_Gtid_Set ="] {
                guard let text = Self.value(line, name), !text.isEmpty else { continue }
                gtids = Self.unquoted(text)
                return true
            }
        }
        if section == "[myloader_session_variables]",
            let zone = Self.value(line, "TIME_ZONE=") ?? Self.value(line, "TIME_ZONE =")
        {
            let quoted = zone.split(separator: "/").first.map(String.init) ?? zone
            timeZone = Self.unquoted(Self.trimmed(Substring(quoted)))
        }
        if section.hasPrefix("[`"),
            let count = Self.value(line, "rows =") ?? Self.value(line, "rows="),
            let rows = UInt64(count), rows > 0
        {
            filled.append(String(section.dropFirst().dropLast()))
        }
        if section.hasPrefix("[`"),
            let real = Self.value(line, "real_table_name=")
                ?? Self.value(line, "real_table_name =")
        {
            let name = Self.unquoted(real).lowercased()
            guard section.hasSuffix("`.`\(name)`]") || section.hasSuffix(".`\(name)`]") else {
                throw DumpFileError(
                    "it gives tables other names than their files have, which is not read",
                    file: Self.fileName)
            }
        }
        return false
    }

    /// What follows a key at the start of a line, which may be a comment.
    private static func value(_ line: String, _ key: String) -> String? {
        var line = Substring(line)
        if line.hasPrefix("#") { line = Substring(trimmed(line.dropFirst())) }
        guard line.hasPrefix(key) else { return nil }
        return trimmed(line.dropFirst(key.count))
    }

    private static func trimmed(_ text: Substring) -> String {
        var text = text
        while let first = text.first, first.isWhitespace { text.removeFirst() }
        while let last = text.last, last.isWhitespace { text.removeLast() }
        return String(text)
    }

    private static func unquoted(_ text: String) -> String {
        text.filter { $0 != "\"" && $0 != "'" && $0 != " " }
    }

    /// The text, in the form that mydumper 0.10, Dumpling and their readers share.
    public var text: String {
        var out = "Started dump at: \(started ?? "")\n"
        if let binlogFile, let binlogOffset {
            out += "SHOW MASTER STATUS:\n\tLog: \(binlogFile)\n\tPos: \(binlogOffset)\n"
            out += "\tGTID:\(gtids ?? "")\n\n"
        }
        if let finished { out += "Finished dump at: \(finished)\n" }
        return out
    }
}
