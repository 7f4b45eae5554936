internal import Runtime

/// Files in one folder below `skein/lost`: what was cut since the source has lost it, and files that
/// are no part of the log any more, or never were. Nobody reads them; a person may want to look.
struct Aside: Sendable, Hashable {
    /// The folder's name.
    var name: String
    /// Bytes of its files.
    var bytes: UInt64
    /// When they were put there, seconds since 1970.
    var changedSeconds: Int64
}

extension RelayDirectory {
    /// Where files are put aside, in the log's folder.
    static let lostName = "skein/lost"

    /// Where files are put aside.
    var lost: String { "\(path)/\(Self.lostName)" }

    /// What was put aside, by name, as far as that can be read. What else somebody keeps there is
    /// theirs, and so is all that a link leads to.
    func aside() -> [Aside] { lookAside().found }

    /// The same, with what can't be read of it.
    func lookAside() -> (found: [Aside], problems: [RelayError]) {
        guard Folder.isFolder(lost) else {
            return ([], Folder.obstacle(lost).map { [$0] } ?? [])
        }
        var problems: [RelayError] = []
        var found: [Aside] = []
        do throws(RelayError) {
            for name in try Folder.list(lost).sorted() {
                let folder = lost + "/" + name
                guard Self.isAsideName(name), Folder.isFolder(folder) else { continue }
                var bytes: UInt64 = 0
                do throws(RelayError) {
                    for file in try Folder.list(folder) {
                        bytes += Folder.size(folder + "/" + file)
                    }
                } catch {
                    problems.append(error)
                }
                // Of the folder: a file that is moved keeps its own time.
                found.append(
                    Aside(name: name, bytes: bytes, changedSeconds: Folder.changed(folder)))
            }
        } catch {
            problems.append(error)
        }
        return (found, problems)
    }

    /// Whether a name is one that files are put aside under: a file's or folder's, an offset, and a
    /// number where there was such a name.
    static func isAsideName(_ name: String) -> Bool {
        guard let dot = name.lastIndex(of: "."), isFileName(String(name[..<dot])) else {
            return false
        }
        let numbers = name[name.index(after: dot)...].split(
            separator: "-", omittingEmptySubsequences: false)
        return numbers.count <= 2
            && numbers.allSatisfy { number in
                !number.isEmpty && number.utf8.allSatisfy { (48...57).contains($0) }
            }
    }

    /// Removes one folder's binlog files, and the folder. A crash in between leaves some, which
    /// count as put aside at that time.
    ///
    /// - Returns: whether it has gone; what else somebody has put there stays, and it with that.
    func removeAside(_ name: String) throws(RelayError) -> Bool {
        let folder = lost + "/" + name
        for file in try Folder.list(folder)
        where Self.isFileName(file) && Folder.isFile(folder + "/" + file) {
            try Folder.remove(folder + "/" + file)
        }
        Folder.removeEmpty(folder)
        return !Folder.exists(folder)
    }

    /// From when on the age of what is put aside counts, seconds since 1970. Who opens a log with
    /// some of it for the first time is asked to look at that, and has as long as for what is put
    /// aside from then on, however old it is.
    func asideSince(now: Int64) -> Int64 {
        guard !aside().isEmpty else { return 0 }
        let note = path + "/skein/aside-since"
        if let line = Folder.text(note)?.split(separator: "\n").first, let known = Int64(line) {
            return known
        }
        // Where it can't be noted, it counts from this start, and the next.
        try? Folder.replace(note, Array("\(now)\n".utf8))
        return now
    }
}

extension RelayLog {
    /// Removes what rules say, and nobody has asked for: of what was put aside it is said.
    func purge(_ rules: PurgeRules) throws {
        var rules = rules
        rules.asideSinceSeconds = asideSince
        let removed = try Purge(catalog, warn: { [board] in board.warn($0) }).run(
            rules, now: wallClockMicroseconds() / 1_000_000)
        for name in removed where name.hasPrefix(RelayDirectory.lostName + "/") {
            board.warn(
                "files that were put aside are removed, since that was long ago: "
                    + "\(options.path)/\(name)")
        }
    }
}
