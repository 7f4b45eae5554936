internal import Glibc
internal import MySQLBinlog
internal import MySQLCore
internal import Stream

/// Compares what the log has with what a source has now, event by event or GTID by GTID: a position,
/// or a number, says nothing of what is there.
struct History {
    private let log: RelayLog
    private var catalog: Catalog { log.catalog }

    init(_ log: RelayLog) { self.log = log }

    /// What the log has and the source has not; `nil` when it can't be said where they part.
    func surplus(_ session: UpstreamSession) throws -> Surplus? {
        let all = try catalog.gtids()
        guard let shelf = catalog.shelves.last else { return nil }
        if shelf.folder.serverName == session.server {
            return try sameServer(shelf, session, all)
        }
        let common: GTIDState
        switch (all, try session.session.currentGTIDs()) {
        case (.mysql, .mysql(let theirs)): common = .mysql(theirs)
        case (.mariadb, .mariadb):
            guard let compared = try compare(session) else { return nil }
            common = .mariadb(compared.common)
        default: return nil
        }
        guard let place = try? catalog.place(behind: common),
            let (folder, entry, _) = catalog.entry(place),
            let outcome = try FileScan(
                file: OpenFile(catalog.directory.file(folder, entry.name), O_RDONLY),
                name: entry.name
            ).run(upTo: place.position.offset, verifies: false)
        else { return nil }
        return Surplus(
            place: place, server: folder.serverName, common: outcome.index.gtids, all: all)
    }

    /// Of the newest file that begins alike in both: what is alike in it.
    private func sameServer(
        _ shelf: Catalog.Shelf, _ session: UpstreamSession, _ all: GTIDState
    ) throws -> Surplus? {
        for entry in shelf.files.reversed() {
            let file = try OpenFile(catalog.directory.file(shelf.folder, entry.name), O_RDONLY)
            let end = try session.agreement(file, entry.name, upTo: entry.size)
            guard end > 4,
                let outcome = try FileScan(file: file, name: entry.name)
                    .run(upTo: end, verifies: false)
            else { continue }
            return Surplus(
                place: WindowPlace(
                    segment: shelf.folder.number,
                    position: BinlogPosition(file: entry.name, offset: outcome.index.end)),
                server: shelf.folder.serverName, common: outcome.index.gtids, all: all)
        }
        return nil
    }

    // MARK: MariaDB, where a number says nothing of who wrote it

    /// What became of a comparison.
    struct Comparison {
        /// The newest of each domain that both have.
        var common: MariaDBGTIDPosition
        /// What the source has in place of what is here, with what is here; `nil`: nothing.
        var conflict: (theirs: MariaDBGTID, ours: String)?
    }

    /// Compares all GTIDs from the newest file of the source on that begins with what is here, too.
    ///
    /// - Returns: `nil` when there is no such file.
    func compare(_ session: UpstreamSession) throws -> Comparison? {
        guard case .mariadb(let all) = try catalog.gtids() else { return nil }
        for file in session.files.reversed() {
            guard case .mariadb(let before) = try session.previous(file.name),
                try before.last.values.allSatisfy({ try isHere($0, all) })
            else { continue }
            let ours = try gtids(behind: before)
            let first = ours.mapValues { $0.keys.min() ?? .max }
            var out = Comparison(common: before)
            var parted: Set<UInt32> = []
            try session.gtids(from: file.name) { theirs in
                guard !parted.contains(theirs.domain),
                    let last = all.last[theirs.domain], theirs.sequence <= last.sequence
                else { return }
                let server =
                    ours[theirs.domain]?[theirs.sequence]
                    ?? (theirs.sequence == last.sequence ? last.server : nil)
                // What is from before the log began can't be compared.
                let isOlder = theirs.sequence < first[theirs.domain] ?? .max
                if server == theirs.server || server == nil && isOlder {
                    out.common.last[theirs.domain] = theirs
                    return
                }
                parted.insert(theirs.domain)
                let here = server.map { "\(theirs.domain)-\($0)-\(theirs.sequence)" }
                out.conflict = out.conflict ?? (theirs, here ?? "nothing")
            }
            return out
        }
        return nil
    }

    /// What a source has that lacks something, and is not here though it should be: then it does
    /// not only lag behind.
    func conflict(_ theirs: GTIDState) throws -> MariaDBGTID? {
        guard case .mariadb(let theirs) = theirs, case .mariadb(let all) = try catalog.gtids()
        else {
            return nil
        }
        return try theirs.last.values.first { gtid in
            guard let last = all.last[gtid.domain], gtid.sequence <= last.sequence else {
                return false
            }
            return try !isHere(gtid, all)
        }
    }

    /// Whether a GTID is one that was read here, its server id included. What is from before the log
    /// began counts as such.
    private func isHere(_ gtid: MariaDBGTID, _ all: MariaDBGTIDPosition) throws -> Bool {
        // A domain of others: there is nothing to compare.
        guard let last = all.last[gtid.domain] else { return true }
        guard gtid.sequence < last.sequence else { return gtid == last }
        var before = all
        before.last[gtid.domain] = MariaDBGTID(
            domain: gtid.domain, server: gtid.server, sequence: max(gtid.sequence, 1) - 1)
        let place: WindowPlace
        do {
            place = try catalog.place(behind: .mariadb(before))
        } catch RelayError.missing {
            return true
        }
        let files = FileReader(
            catalog, at: place, skipping: nil, crossesServers: true, endsQuietly: true)
        while let chunk = try files.next() {
            for entry in chunk.entries where entry.type == EventType.mariadbGTID.rawValue {
                let found = try MariaDBGTIDEvent(chunk.event(entry)).gtid
                guard !before.contains(found) else { continue }
                return found == gtid
            }
        }
        return false
    }

    /// The servers by domain and number, of all that is behind a position and here.
    private func gtids(behind position: MariaDBGTIDPosition) throws -> [UInt32: [UInt64: UInt32]] {
        var out: [UInt32: [UInt64: UInt32]] = [:]
        let oldest = catalog.shelves.first { !$0.files.isEmpty }.map { shelf in
            WindowPlace(
                segment: shelf.folder.number,
                position: BinlogPosition(file: shelf.files[0].name, offset: 4))
        }
        guard let place = (try? catalog.place(behind: .mariadb(position))) ?? oldest else {
            return out
        }
        let files = FileReader(
            catalog, at: place, skipping: nil, crossesServers: true, endsQuietly: true)
        while let chunk = try files.next() {
            for entry in chunk.entries where entry.type == EventType.mariadbGTID.rawValue {
                let gtid = try MariaDBGTIDEvent(chunk.event(entry)).gtid
                out[gtid.domain, default: [:]][gtid.sequence] = gtid.server
            }
        }
        return out
    }
}
