internal import Worker

/// How changed rows compare, in words.
enum ValidationWords {
    /// A line for the whole, and one for each table with rows that differ; they go on behind a
    /// subtask's name.
    static func lines(_ it: SubtaskValidation) -> [String] {
        var text =
            it.state == .waiting
            ? "compares changed rows, and waits: \(it.reason ?? "no reason is known")"
            : "compares changed rows"
        text += "; \(Wording.count(it.rows)) looked at"
        if let position = it.position { text += " up to \(position)" }
        if it.pendingRows > it.differingRows {
            text += ", \(Wording.count(UInt64(it.pendingRows - it.differingRows))) just differ"
        }
        if it.lostRows > 0 { text += ", \(Wording.count(it.lostRows)) could not be" }
        var lines = [text]
        if it.differingRows > 0 { lines.append(difference(it)) }
        return lines + it.notes.map { "compares changed rows; \($0)" }
    }

    /// Which tables have rows that differ; there are some.
    static func difference(_ it: SubtaskValidation) -> String {
        let tables = it.tables.prefix(5).map {
            "\($0.name) (\(Wording.count(UInt64($0.differingRows))))"
        }
        let more = it.tables.count > 5 ? " .." : ""
        return "rows that were changed differ on source and target: "
            + "\(tables.joined(separator: ", "))\(more); `skein verify` names them"
    }
}
