internal import Glibc
internal import MySQLBinlog
internal import MySQLCore

/// Finds the end of a relay log after its writer has ended in whatever way: from the files, not
/// from what was last saved. What a crash tore is cut, back to the last whole transaction, and so is
/// what is damaged with no whole transaction behind it: the source sends it again.
struct Recovery {
    private let catalog: Catalog

    init(_ catalog: Catalog) { self.catalog = catalog }

    /// Cuts, and makes the catalog ready to go on.
    ///
    /// - Returns: warnings, when something is damaged.
    func run() throws -> [String] {
        var warnings: [String] = []
        while let shelf = catalog.shelves.last {
            guard let entry = shelf.files.last else {
                // A folder that was begun, and got no file.
                try catalog.directory.remove(shelf.folder)
                try catalog.load()
                continue
            }
            let path = catalog.directory.file(shelf.folder, entry.name)
            let file = try OpenFile(path, O_RDWR)
            let limit = try limit(shelf.folder, entry, file)
            guard
                let outcome = try FileScan(file: file, name: entry.name)
                    .run(upTo: limit, verifies: true)
            else {
                // Not even the head is whole: the file had only begun, unless something follows.
                let scan = FileScan(file: file, name: entry.name)
                if try scan.hasEvents(upTo: limit) {
                    let aside = try catalog.putAside(shelf.folder, [entry.name])
                    warnings.append(
                        "\(path) is damaged at its head: it is in \(aside) now, and the source "
                            + "is to send it again")
                } else {
                    try catalog.remove(shelf.folder, entry.name)
                }
                try catalog.load()
                continue
            }
            if let warning = try cut(file, entry, outcome) { warnings.append(warning) }
            return warnings
        }
        return warnings
    }

    /// The part of the newest file to be trusted: all of it, but where events have no checksum and
    /// the machine itself has crashed, what was synced before. Of a file that began after that was
    /// last noted nothing is known to be on the disk; the ones before were synced before it began.
    private func limit(
        _ folder: RelayFolder, _ entry: Catalog.Entry, _ file: OpenFile
    ) throws(RelayError) -> UInt64 {
        guard let format = try? FileScan.format(file), format.checksum == .none else {
            return entry.size
        }
        // What can't be read may say that all of it is there; nothing is cut off for that.
        if let problem = catalog.directory.metaProblem(folder), case .system = problem {
            throw problem
        }
        guard let meta = catalog.directory.meta(folder) else { return 4 }
        // Others (DM) do not say which boot it was.
        guard let boot = meta.boot, try boot != RelayDirectory.currentBoot() else {
            return entry.size
        }
        return meta.file == entry.name ? min(entry.size, max(meta.synced ?? 4, 4)) : 4
    }

    private func cut(
        _ file: OpenFile, _ entry: Catalog.Entry, _ outcome: FileScan.Outcome
    ) throws -> String? {
        let scan = FileScan(file: file, name: entry.name)
        var (end, rotten) = (outcome.index.end, outcome.rotten)
        var cut: UInt64?
        while let last = rotten.last {
            if last < end {
                if try scan.hasTransaction(behind: last, upTo: end) { break }
                // The newest transaction is what is compared with the source, who must not be
                // thought to have lost something because of this.
                end = try scan.run(upTo: last, verifies: true)?.index.end ?? 4
                cut = last
            }
            rotten.removeLast()
        }
        // The events between transactions behind the last whole one are kept too.
        if end < entry.size { try file.truncate(to: end) }
        // Nothing of it is trusted: not even its head.
        let builder = try scan.builder(upTo: end) ?? IndexBuilder()
        catalog.resume(builder, size: end)
        if let cut {
            return "\(file.path) was damaged at offset \(cut), in its newest transaction: it was "
                + "cut at \(end), and the source is to send the rest again"
        }
        if let offset = rotten.first {
            return "\(file.path) is damaged at offset \(offset): it is repaired when it is read"
        }
        return nil
    }
}
