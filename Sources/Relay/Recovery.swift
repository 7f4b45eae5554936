internal import Glibc
internal import MySQLBinlog
internal import MySQLCore

/// Finds the end of a relay log after its writer has ended in whatever way: from the files, not
/// from what was last saved. What a crash tore is cut, back to the last whole transaction.
struct Recovery {
    private let catalog: Catalog

    init(_ catalog: Catalog) { self.catalog = catalog }

    /// Cuts, and makes the catalog ready to go on.
    ///
    /// - Returns: a warning, when something was cut or is damaged.
    func run() throws -> String? {
        while let shelf = catalog.shelves.last {
            guard let entry = shelf.files.last else {
                // A folder that was begun, and got no file.
                try catalog.directory.remove(shelf.folder)
                catalog.load()
                continue
            }
            let path = catalog.directory.file(shelf.folder, entry.name)
            let file = try OpenFile(path, O_RDWR)
            let limit = limit(shelf.folder, entry, file)
            guard
                let outcome = try FileScan(file: file, name: entry.name)
                    .run(upTo: limit, verifies: true)
            else {
                // Not even the head is whole.
                try catalog.remove(shelf.folder, entry.name)
                catalog.load()
                continue
            }
            return try cut(file, entry, outcome)
        }
        return nil
    }

    /// The part of the newest file to be trusted: all of it, but where events have no checksum and
    /// the machine itself has crashed, what was synced before. Of a file that began after that was
    /// last noted nothing is known to be on the disk; the ones before were synced before it began.
    private func limit(
        _ folder: RelayFolder, _ entry: Catalog.Entry, _ file: OpenFile
    ) -> UInt64 {
        guard let format = try? FileScan.format(file), format.checksum == .none else {
            return entry.size
        }
        guard let meta = catalog.directory.meta(folder) else { return 4 }
        // Others (DM) do not say which boot it was.
        guard let boot = meta.boot, boot != RelayDirectory.boot else { return entry.size }
        return meta.file == entry.name ? min(entry.size, max(meta.synced ?? 4, 4)) : 4
    }

    private func cut(
        _ file: OpenFile, _ entry: Catalog.Entry, _ outcome: FileScan.Outcome
    ) throws -> String? {
        let end = outcome.index.end
        // The events between transactions behind the last whole one are kept too.
        if end < entry.size { try file.truncate(to: end) }
        let scan = FileScan(file: file, name: entry.name)
        // Nothing of it is trusted: not even its head.
        let builder = try scan.builder(upTo: end) ?? IndexBuilder()
        catalog.resume(builder, size: end)
        if let offset = outcome.rotten.first {
            return "\(file.path) is damaged at offset \(offset): it is repaired when it is read"
        }
        return nil
    }
}
