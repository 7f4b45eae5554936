internal import DumpFiles

extension DumpFolder {
    /// Whether a dump of skein's can have written a file of a name. Only such files may go when a
    /// dump begins again.
    static func isOwn(_ name: String) -> Bool {
        if name == journalName || name == lockName { return true }
        guard name.hasSuffix(partialSuffix) else { return isOfDump(name) }
        let whole = unfinished(name)
        return whole == journalName || whole == DumpMetadata.fileName || isOfDump(whole)
    }

    /// Whether a file can be there before there is a journal.
    static func isFirst(_ name: String) -> Bool {
        name == lockName || name.hasSuffix(partialSuffix) && unfinished(name) == journalName
    }

    /// The name that a file was to have, which ends with its run's name and the suffix.
    private static func unfinished(_ name: String) -> String {
        var rest = name.dropLast(partialSuffix.count)
        if let dot = rest.lastIndex(of: ".") {
            let run = rest[rest.index(after: dot)...].utf8
            let isRun = run.allSatisfy { c in
                (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(c)
                    || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(c)
            }
            if run.count == runLength, isRun { rest = rest[..<dot] }
        }
        return String(rest)
    }

    /// Whether a file's name is one that ``DumpFileName`` makes: other files of SQL are somebody's.
    private static func isOfDump(_ name: String) -> Bool {
        guard let file = DumpFileName(name) else { return false }
        // Not by characters: a dot is one with marks that the table's name begins with.
        let parts = file.stem.unicodeScalars
            .split(separator: ".", omittingEmptySubsequences: false).map { Substring($0) }
        switch file.kind {
        case .database, .routines: guard parts.count == 1 else { return false }
        case .table, .view, .triggers: guard parts.count == 2 else { return false }
        case .rows:
            guard parts.count == 3 else { return false }
            let part = parts[2].utf8
            let isNumber = part.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
            guard part.count >= 9, isNumber else { return false }
        case .ignored, .unreadable: return false
        }
        return parts.prefix(2).allSatisfy { part in
            !part.isEmpty
                && DumpFileName.encode(DumpFileName.decode(part)).utf8.elementsEqual(part.utf8)
        }
    }
}

extension DumpFileError {
    /// Another process has the directory.
    static func inUse(_ path: String) -> DumpFileError {
        var error = DumpFileError(
            "another skein dump or task writes to it: give another directory, or end that one",
            file: path)
        error.isInUse = true
        return error
    }
}
