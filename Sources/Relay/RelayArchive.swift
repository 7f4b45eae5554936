public import MySQLBinlog
public import MySQLCore
public import Stream

/// A relay log as others see it, who do not write it: for looking, reading and cleaning up.
public struct RelayArchive {
    /// One file.
    public struct File: Sendable, Hashable {
        /// Its folder.
        public var folder: RelayFolder
        /// Its name.
        public var name: String
        /// Its size in bytes.
        public var size: UInt64
        /// When it was last written, seconds since 1970.
        public var changedSeconds: Int64
        /// The GTIDs before it.
        public var previous: GTIDState
        /// The subtasks whose oldest needed file it is.
        public var neededBy: [String]
    }

    /// A folder of files that were put aside: cut from the log, or unusable.
    public struct Lost: Sendable, Hashable {
        /// Where it is.
        public var path: String
        /// Bytes of its files.
        public var bytes: UInt64
        /// When they were put there, seconds since 1970.
        public var changedSeconds: Int64
    }

    private let catalog: Catalog
    /// The folder.
    public let path: String
    /// Whether a process writes to it now.
    public let isWritten: Bool

    /// Opens a folder.
    ///
    /// - Throws: ``RelayError/unusable`` when it is no relay log; ``RelayError/system`` when it can't
    ///   be read.
    public init(path: String) throws(RelayError) {
        self.path = path
        let directory = RelayDirectory(path: path)
        // What can't be looked at is no other folder.
        guard try Folder.length(path + "/server-uuid.index") != nil else {
            throw .unusable(path: path, detail: Self.reason(path))
        }
        isWritten = directory.isLocked
        catalog = Catalog(directory)
        try catalog.load()
        guard isWritten, let shelf = catalog.shelves.last, let entry = shelf.files.last,
            let meta = directory.meta(shelf.folder), meta.file == entry.name
        else { return }
        // What is behind is being written at this moment.
        catalog.publish(min(entry.size, meta.position))
    }

    /// Whether a folder is a relay log; it is not opened.
    public static func isThere(_ path: String) -> Bool {
        Folder.exists(path + "/server-uuid.index")
    }

    /// Whether a folder is certainly no relay log: one that can't be looked at may be.
    public static func isGone(_ path: String) -> Bool {
        (try? Folder.length(path + "/server-uuid.index")) == .some(nil)
    }

    /// Whether a process writes to a relay log now; it is not opened.
    public static func isWritten(_ path: String) -> Bool { RelayDirectory(path: path).isLocked }

    /// The relay logs in a folder.
    public static func folders(in path: String) -> [(name: String, path: String)] {
        Folder.names(path).sorted().map { ($0, "\(path)/\($0)") }
            .filter { isThere($0.1) }
    }

    /// Why a path is no relay log, and which one may be meant.
    private static func reason(_ path: String) -> String {
        guard Folder.exists(path) else { return "there is no such folder" }
        var above = path[...]
        for _ in 0..<2 {
            while above.last == "/" { above.removeLast() }
            guard let slash = above.lastIndex(of: "/") else {
                above = "."
                break
            }
            above = above[..<slash]
            if isThere(String(above)) { break }
        }
        if isThere(String(above)) {
            return "it is a part of the one in \(above)"
        }
        if isThere(path + "/relay") {
            return "the one of a migration is in \(path)/relay"
        }
        return "it has no server-uuid.index"
    }

    /// What was put aside: folders with files to look at.
    public var lost: [Lost] {
        let directory = catalog.directory
        return directory.aside().map {
            Lost(
                path: "\(directory.lost)/\($0.name)", bytes: $0.bytes,
                changedSeconds: $0.changedSeconds)
        }
    }

    /// What was last saved of the newest folder.
    public var meta: RelayMeta? {
        catalog.shelves.last.flatMap { catalog.directory.meta($0.folder) }
    }

    /// Who has noted a need, also of a file that was removed all the same: what follows it stays.
    ///
    /// - Throws: when that can't be read.
    public var needers: Set<String> {
        get throws(RelayError) { try catalog.directory.needers() }
    }

    /// What was noted that can't be read, one sentence each: everything is kept because of that.
    public var unreadNotes: [String] {
        do throws(RelayError) {
            return try catalog.directory.noted().warnings
        } catch {
            return ["it can't be read who needs what: \(error)"]
        }
    }

    /// Forgets what one has noted that it needs, also where that can't be read: nothing is kept for
    /// it any more, until it says again what it needs. Who writes finds that at its next look.
    ///
    /// - Parameter isDry: only looks whether there is a note.
    /// - Throws: ``RelayError/missing(_:asked:)`` when there is none; ``RelayError/system`` when it
    ///   can't be removed.
    public func forget(_ name: String, isDry: Bool = false) throws(RelayError) {
        let directory = catalog.directory
        let isThere =
            try isDry
            ? directory.needers().contains(name) : directory.removeNeed(shownAs: name)
        guard isThere else {
            throw .missing("a note of what \(name) needs", asked: "the relay log \(path)")
        }
    }

    /// All files, oldest first. Who needs something that can't be read needs the oldest one.
    public func files() -> [File] { look().files }

    /// What of it can't be read, and so is missing in what is said of it, one sentence each.
    public func problems() -> [String] {
        let directory = catalog.directory
        var out = look().problems
        out += directory.lookAside().problems.map { "what was put aside can't be read: \($0)" }
        if let error = catalog.shelves.last.flatMap({ directory.metaProblem($0.folder) }) {
            out.append("what was last saved can't be read: \(error)")
        }
        if let error = directory.lockProblem {
            out.append("it can't be seen whether it is being written: \(error)")
        }
        return out
    }

    private func look() -> (files: [File], problems: [String]) {
        let directory = catalog.directory
        var files: [File] = []
        var problems: [String] = []
        var noted = NotedNeeds()
        do throws(RelayError) {
            noted = try directory.noted()
            problems = noted.warnings
        } catch {
            problems.append("it can't be read who needs what: \(error)")
        }
        let oldest = catalog.oldest
        for shelf in catalog.shelves {
            for entry in shelf.files {
                let path = directory.file(shelf.folder, entry.name)
                var previous = GTIDState.none
                do {
                    previous = try catalog.previous(shelf.folder, entry)
                } catch {
                    // It may just have been removed.
                    if Folder.exists(path) {
                        problems.append("what is before \(path) can't be read: \(error)")
                    }
                }
                var neededBy = noted.files.filter { _, need in
                    need.folder == shelf.folder && need.file == entry.name
                }.keys.sorted()
                if let oldest, oldest.folder == shelf.folder, oldest.file == entry.name {
                    neededBy = (neededBy + noted.unread.keys).sorted()
                }
                files.append(
                    File(
                        folder: shelf.folder, name: entry.name, size: entry.size,
                        changedSeconds: Folder.changed(path), previous: previous,
                        neededBy: neededBy))
            }
        }
        return (files, problems)
    }

    /// Reads from a place on to the end of what is there.
    ///
    /// - Parameter place: `nil` for the oldest event.
    /// - Throws: ``RelayError``.
    public func events(from place: StreamPlace?) throws -> RelayEvents {
        var found: WindowPlace?
        var skipped: GTIDState?
        switch place {
        case nil:
            if let shelf = catalog.shelves.first(where: { !$0.files.isEmpty }) {
                found = WindowPlace(
                    segment: shelf.folder.number,
                    position: BinlogPosition(file: shelf.files[0].name, offset: 4))
            }
        case .position(let position, let server):
            found = catalog.place(at: position, of: server)
        case .gtids(let gtids):
            found = try catalog.place(behind: gtids)
            skipped = gtids
        }
        guard let found else {
            throw RelayError.missing(
                place.map { "\($0)" } ?? "every file", asked: "the relay log \(path)")
        }
        if case .position = place, let (_, entry, isLast) = catalog.entry(found),
            found.position.offset > entry.size, !(isLast && isWritten)
        {
            throw RelayError.missing(
                "\(found.position), behind the end of the file at \(entry.size),",
                asked: "the relay log \(path)")
        }
        return RelayEvents(
            FileReader(
                catalog, at: found, skipping: skipped, crossesServers: true, endsQuietly: true),
            from: found.position)
    }

    /// Removes files, oldest first; when only the age counts, also what was put aside.
    ///
    /// - Parameters:
    ///   - file: everything before this one, which may have its folder in front; `nil` when only
    ///     the age counts.
    ///   - olderSeconds: only files that were last written longer ago.
    ///   - isForced: also what a subtask still needs.
    ///   - isDry: nothing is removed; what would be is returned, as far as can be known from here.
    /// - Returns: what was removed, as `folder/file`; of what was put aside `skein/lost/folder`.
    /// - Throws: ``RelayError/needed(file:by:)``; ``RelayError/inUse(path:)`` when the process that
    ///   writes does not answer: then nothing was removed.
    public func purge(
        before file: String?, olderSeconds: Int64?, isForced: Bool, isDry: Bool = false,
        now: Int64
    ) throws -> [String] {
        let directory = RelayDirectory(path: path)
        guard isForced || directory.isOurs else {
            throw RelayError.unusable(
                path: path,
                detail: "skein has never written it, and can't know who does and what is needed; "
                    + "--force removes files all the same")
        }
        if isDry {
            return try Purge(catalog).run(
                before: file, olderSeconds: olderSeconds, isForced: isForced, isDry: true,
                now: now)
        }
        guard directory.isOurs else {
            // Without the lock, which would make it look like one of ours from now on.
            return try Purge(catalog).run(
                before: file, olderSeconds: olderSeconds, isForced: isForced, now: now)
        }
        guard let lock = try directory.lockIfFree() else {
            // Only who writes knows what is read, and which file is the newest.
            let request = PurgeRequest(before: file, olderSeconds: olderSeconds, isForced: isForced)
            return try PurgeRequests(directory).ask(request)
        }
        // Nobody begins to write meanwhile.
        return try withExtendedLifetime(lock) {
            try catalog.load()
            return try Purge(catalog).run(
                before: file, olderSeconds: olderSeconds, isForced: isForced, now: now)
        }
    }
}

/// Events of a relay log's files, to the end of what is there.
public final class RelayEvents {
    private let files: FileReader
    private let start: BinlogPosition

    init(_ files: FileReader, from start: BinlogPosition) {
        self.files = files
        self.start = start
    }

    /// The next events; `nil` at the end.
    ///
    /// - Throws: ``RelayError/damaged`` with file and offset.
    public func next() throws -> EventChunk? {
        do {
            return try files.next()
        } catch let damage as DamagedEvent {
            let isStart = damage.file == start.file && damage.offset == start.offset
            throw damage.error(
                isStart && start.offset > 4 ? "; or it is not where an event begins" : "")
        }
    }

    /// The format of the file that the last events are from.
    public var format: FormatDescription? { files.format }
}
