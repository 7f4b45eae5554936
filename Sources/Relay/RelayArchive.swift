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

    private let catalog: Catalog
    /// The folder.
    public let path: String
    /// Whether a process writes to it now.
    public let isWritten: Bool

    /// Opens a folder.
    ///
    /// - Throws: ``RelayError/unusable`` when it is no relay log.
    public init(path: String) throws(RelayError) {
        self.path = path
        let directory = RelayDirectory(path: path)
        guard Folder.exists(path + "/server-uuid.index") else {
            throw .unusable(path: path, detail: "it has no server-uuid.index")
        }
        isWritten = directory.isLocked
        catalog = Catalog(directory)
        catalog.load()
        guard isWritten, let shelf = catalog.shelves.last, let entry = shelf.files.last,
            let meta = directory.meta(shelf.folder), meta.file == entry.name
        else { return }
        // What is behind is being written at this moment.
        catalog.publish(min(entry.size, meta.position))
    }

    /// What was last saved of the newest folder.
    public var meta: RelayMeta? {
        catalog.shelves.last.flatMap { catalog.directory.meta($0.folder) }
    }

    /// All files, oldest first.
    public func files() -> [File] {
        let needs = catalog.directory.needs()
        return catalog.shelves.flatMap { shelf in
            shelf.files.map { entry in
                File(
                    folder: shelf.folder, name: entry.name, size: entry.size,
                    changedSeconds: Folder.changed(
                        catalog.directory.file(shelf.folder, entry.name)),
                    previous: (try? catalog.previous(shelf.folder, entry)) ?? .none,
                    neededBy: needs.filter { _, need in
                        need.folder == shelf.folder && need.file == entry.name
                    }.keys.sorted())
            }
        }
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
        return RelayEvents(
            FileReader(
                catalog, at: found, skipping: skipped, crossesServers: true, endsQuietly: true))
    }

    /// Removes files, oldest first.
    ///
    /// - Parameters:
    ///   - file: everything before this one, which may have its folder in front; `nil` when only
    ///     the age counts.
    ///   - olderSeconds: only files that were last written longer ago.
    ///   - isForced: also what a subtask still needs.
    /// - Returns: what was removed, as `folder/file`.
    /// - Throws: ``RelayError/needed``.
    public func purge(
        before file: String?, olderSeconds: Int64?, isForced: Bool, now: Int64
    ) throws -> [String] {
        var rules = PurgeRules()
        rules.isForced = isForced
        rules.keepSeconds = olderSeconds
        if let file {
            let parts = file.split(separator: "/")
            let folder = parts.count > 1 ? RelayFolder(parts[parts.count - 2]) : nil
            let name = String(parts.last ?? "")
            let shelf = catalog.shelves.last { shelf in
                (folder == nil || shelf.folder == folder)
                    && shelf.files.contains { $0.name == name }
            }
            guard let shelf else {
                throw RelayError.missing(file, asked: "the relay log \(path)")
            }
            rules.upTo = (shelf.folder, name)
        }
        return try Purge(catalog).run(rules, now: now)
    }
}

/// Events of a relay log's files, to the end of what is there.
public final class RelayEvents {
    private let files: FileReader

    init(_ files: FileReader) { self.files = files }

    /// The next events; `nil` at the end.
    ///
    /// - Throws: ``RelayError/damaged`` with file and offset.
    public func next() throws -> EventChunk? {
        do {
            return try files.next()
        } catch let damage as DamagedEvent {
            throw damage.error()
        }
    }

    /// The format of the file that the last events are from.
    public var format: FormatDescription? { files.format }
}
