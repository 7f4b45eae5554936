internal import MySQLCore
internal import Stream

/// When files are removed that nobody needs.
struct PurgeRules: Sendable {
    /// Files that were closed longer ago.
    var keepSeconds: Int64?
    /// What was put aside longer ago; `nil` keeps it.
    var keepAsideSeconds: Int64?
    /// What was put aside earlier counts as if it were then, seconds since 1970.
    var asideSinceSeconds: Int64 = 0
    /// When less of the disk is free.
    var minimumFreeBytes: UInt64 = 0
    /// When the files take more than half of this, or, when pressed, all of it.
    var limitBytes: UInt64?
    /// The writer needs room now.
    var isPressed = false
    /// All files before this one, of this folder or before it.
    var upTo: (folder: RelayFolder?, file: String)?
    /// Also what is needed.
    var isForced = false
    /// Somebody waits for what comes of it.
    var isByHand = false
    /// Only to say what would be removed.
    var isDry = false
}

/// Removes files of a relay log, oldest first; never the one that is written, one that somebody
/// reads, or one that a subtask needs.
struct Purge {
    private let catalog: Catalog
    private let warn: (String) -> Void

    /// - Parameter warn: told of what was put aside and can't be removed, and of needs that can't be
    ///   read.
    init(_ catalog: Catalog, warn: @escaping (String) -> Void = { _ in }) {
        self.catalog = catalog
        self.warn = warn
    }

    /// Removes, and returns what.
    ///
    /// - Throws: ``RelayError/needed`` when files were named by hand, and the first of them is
    ///   needed or read.
    func run(_ rules: PurgeRules, now: Int64) throws -> [String] {
        try catalog.maintained { try remove(rules, now) }
    }

    /// Removes what was asked for by hand; when only the age counts, also what was put aside.
    ///
    /// - Parameter file: everything before this one, which may have its folder in front; `nil` when
    ///   only the age counts.
    func run(
        before file: String?, olderSeconds: Int64?, isForced: Bool, isDry: Bool = false,
        now: Int64
    ) throws -> [String] {
        var rules = PurgeRules()
        rules.isDry = isDry
        rules.isByHand = true
        rules.isForced = isForced
        rules.keepSeconds = olderSeconds
        // It has no place among the files that one could name.
        rules.keepAsideSeconds = file == nil ? olderSeconds : nil
        if let file {
            let parts = file.split(separator: "/")
            let folder = parts.count > 1 ? RelayFolder(parts[parts.count - 2]) : nil
            let name = String(parts.last ?? "")
            let shelf = catalog.shelves.last { shelf in
                (folder == nil || shelf.folder == folder)
                    && shelf.files.contains { $0.name == name }
            }
            guard let shelf else {
                throw RelayError.missing(
                    file, asked: "the relay log \(catalog.directory.path)")
            }
            rules.upTo = (shelf.folder, name)
        }
        return try run(rules, now: now)
    }

    private func remove(_ rules: PurgeRules, _ now: Int64) throws(RelayError) -> [String] {
        var kept: RelayError?
        let files = try removeFiles(rules, now, &kept)
        let removed = try removeAside(rules, now, after: files)
        // Who asks is told why nothing goes, where something is to be done about that.
        if let kept, rules.isByHand, removed.isEmpty { throw kept }
        return removed
    }

    /// Removes what was put aside, by its age alone, however short of room the log is: it may be all
    /// that is left of transactions that clients were told are committed. What can't be removed
    /// hinders nothing else; who purges by hand is told when nothing could be done at all.
    ///
    /// - Returns: the files that went before, and what has gone now.
    private func removeAside(
        _ rules: PurgeRules, _ now: Int64, after files: [String]
    ) throws(RelayError) -> [String] {
        guard let keep = rules.keepAsideSeconds else { return files }
        let directory = catalog.directory
        var removed = files
        var failure: RelayError?
        var isChanged = false
        defer { if isChanged { catalog.countAside() } }
        for aside in directory.aside()
        where now - max(aside.changedSeconds, rules.asideSinceSeconds) > keep {
            if !rules.isDry {
                isChanged = true
                do throws(RelayError) {
                    guard try directory.removeAside(aside.name) else { continue }
                } catch {
                    failure = error
                    warn("what was put aside can't be removed: \(error)")
                    continue
                }
            }
            removed.append("\(RelayDirectory.lostName)/\(aside.name)")
        }
        if let failure, rules.isByHand, removed.isEmpty { throw failure }
        return removed
    }

    /// - Parameter kept: what is to be said when a note that can't be read keeps everything.
    private func removeFiles(
        _ rules: PurgeRules, _ now: Int64, _ kept: inout RelayError?
    ) throws(RelayError) -> [String] {
        var removed: [String] = []
        let noted = try rules.isForced ? NotedNeeds() : look(rules)
        let oldestReader = catalog.oldestReader
        let shelves = catalog.shelves
        for (n, shelf) in shelves.enumerated() {
            let isLast = n == shelves.count - 1
            for entry in isLast ? shelf.files.dropLast() : shelf.files[...] {
                guard isWanted(shelf.folder, entry, rules, now) else { return removed }
                let place = WindowPlace(
                    segment: shelf.folder.number,
                    position: BinlogPosition(file: entry.name, offset: 4))
                if !rules.isForced {
                    if let needer = noted.needer(of: place) {
                        let error = RelayError.needed(
                            file: "\(shelf.folder)/\(entry.name)", by: needer)
                        if !noted.unread.isEmpty { kept = error }
                        guard rules.upTo != nil, removed.isEmpty else { return removed }
                        throw error
                    }
                    if let oldestReader, oldestReader < place || isIn(oldestReader, place) {
                        // Who names a file is told when nothing of it was done.
                        guard rules.upTo != nil, removed.isEmpty else { return removed }
                        throw .needed(
                            file: "\(shelf.folder)/\(entry.name)",
                            by: "a reader, which is in \(oldestReader.position.file) now")
                    }
                }
                if !rules.isDry { try catalog.remove(shelf.folder, entry.name) }
                removed.append("\(shelf.folder)/\(entry.name)")
            }
        }
        return removed
    }

    /// Who needs what; of notes that can't be read it is said.
    private func look(_ rules: PurgeRules) throws(RelayError) -> NotedNeeds {
        do throws(RelayError) {
            let noted = try catalog.noted()
            catalog.setUnreadNeeds(noted.warnings)
            if !rules.isDry { for warning in noted.warnings { warn(warning) } }
            return noted
        } catch {
            catalog.setUnreadNeeds(["it can't be read who needs what: \(error)"])
            throw error
        }
    }

    private func isIn(_ reader: WindowPlace, _ file: WindowPlace) -> Bool {
        reader.segment == file.segment && reader.position.file == file.position.file
    }

    private func isWanted(
        _ folder: RelayFolder, _ entry: Catalog.Entry, _ rules: PurgeRules, _ now: Int64
    ) -> Bool {
        let directory = catalog.directory
        if let (limit, file) = rules.upTo {
            if let keep = rules.keepSeconds,
                now - Folder.changed(directory.file(folder, entry.name)) <= keep
            {
                return false
            }
            if let limit, folder != limit { return folder < limit }
            return BinlogPosition(file: entry.name, offset: 4)
                < BinlogPosition(file: file, offset: 4)
        }
        if let keep = rules.keepSeconds,
            now - Folder.changed(directory.file(folder, entry.name)) > keep
        {
            return true
        }
        if rules.minimumFreeBytes > 0,
            Folder.freeBytes(directory.path) < rules.minimumFreeBytes
        {
            return true
        }
        guard let limit = rules.limitBytes else { return rules.isPressed }
        return rules.isPressed || catalog.bytes > limit / 2
    }
}
