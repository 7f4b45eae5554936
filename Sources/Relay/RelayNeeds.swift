public import MySQLCore
internal import Stream
internal import Synchronization

/// What subtasks have noted that they need of a relay log.
public struct NotedNeeds: Sendable {
    /// The oldest file that each may have to read again.
    public var files: [String: (folder: RelayFolder, file: String)] = [:]
    /// Whose notes can't be read, or are damaged, and why: they may need everything from the oldest
    /// file on.
    public var unread: [String: RelayError] = [:]

    /// What is said of ``unread``, one sentence each.
    public var warnings: [String] {
        unread.keys.sorted().compactMap { name in
            unread[name].map {
                "what \(name) needs of the relay log can't be read, and everything is kept for it, "
                    + "until it has gone on, or its note is removed (\(Self.remedy(name))): \($0)"
            }
        }
    }

    /// How a person removes a note.
    private static func remedy(_ name: String) -> String {
        "skein relay purge FOLDER --forget \(name) --force"
    }

    /// Who needs the file that begins at a place; `nil`: nobody.
    func needer(of place: WindowPlace) -> String? {
        if let name = unread.keys.min(), let error = unread[name] {
            return "\(name), whose note can't be read (\(error)), and which may name any file: "
                + "\(Self.remedy(name)) forgets it"
        }
        return files.first { RelayLog.place($0.value) <= place }?.key
    }
}

/// Where those who need something of a relay log are, as they have said since it was opened.
struct ReadPlaces: Sendable {
    /// The file that each has read everything before.
    var files: [String: (folder: RelayFolder, file: String)] = [:]
    /// Who does not read, and could give up what it needs.
    var resting: Set<String> = []
}

extension RelayLog {
    /// Says what the oldest file is that a subtask may have to read again; it stays, and all after
    /// it, also across restarts.
    ///
    /// - Parameter orOlder: what it needed before stays, when that is older and still here; where
    ///   that can't be read, everything that is here of the folder.
    public func need(
        _ name: String, _ file: String, of server: ServerUUID, orOlder: Bool = false
    ) throws {
        let position = BinlogPosition(file: file, offset: 4)
        // What is here now is not removed before the need is on the disk.
        try catalog.maintained { () throws -> Void in
            guard let place = catalog.place(at: position, of: server),
                let folder = catalog.folder(place.segment)
            else { return }
            read.withLock { _ = $0.resting.remove(name) }
            // Before it says more: what it has said last counts again.
            catalog.takeBack(name)
            guard orOlder else { return try catalog.directory.setNeed(name, folder, file) }
            do throws(RelayError) {
                if try notesOlder(name, than: file, of: server) { return }
            } catch {
                if error.isMomentary { throw error }
                return keepAll(for: name, in: folder, because: error)
            }
            try catalog.directory.setNeed(name, folder, file)
        }
    }

    /// Puts a note in place of one that can't be read: it may have named any file.
    private func keepAll(for name: String, in folder: RelayFolder, because error: RelayError) {
        board.warn(
            "what \(name) needs of the relay log could not be read, and everything that is here "
                + "is kept for it until it has gone on: \(error)")
        guard let oldest = catalog.shelves.first(where: { $0.folder == folder })?.files.first
        else { return }
        do throws(RelayError) {
            try catalog.directory.setNeed(name, folder, oldest.name)
        } catch {
            // The other one stays, and everything with it.
            board.warn("\(error)")
        }
    }

    /// Says which file a subtask has read everything before. What it needs may be older: where an
    /// XA transaction was prepared whose decision is still to be read. Nobody waits for that.
    public func hasRead(_ name: String, _ file: String, of server: ServerUUID) {
        guard let place = catalog.place(at: BinlogPosition(file: file, offset: 4), of: server),
            let folder = catalog.folder(place.segment)
        else { return }
        catalog.takeBack(name)
        read.withLock {
            $0.files[name] = (folder, file)
            $0.resting.remove(name)
        }
    }

    /// Where those are who are waited for at the limit: where they read, as far as they have said,
    /// else what they need. Not who rests and holds nothing that others do not hold as well: there
    /// is no more room without it.
    ///
    /// - Throws: when it can't be read who needs what.
    func readPlaces() throws(RelayError) -> [String: (folder: RelayFolder, file: String)] {
        let known = read.withLock { $0 }
        let held = try heldFrom()
        let others = Self.lowest(held, without: known.resting)
        var places: [String: (folder: RelayFolder, file: String)] = [:]
        for (name, file) in held {
            if let others, known.resting.contains(name), Self.place(file) >= others { continue }
            places[name] = file
            if let here = known.files[name], Self.place(file) < Self.place(here) {
                places[name] = here
            }
        }
        return places
    }

    /// Who was said last to be at rest.
    var resting: Set<String> { read.withLock { $0.resting } }

    /// The file from which on each need holds what is here: one that was removed all the same is
    /// held no more, and a need that can't be read may be any.
    private func heldFrom() throws(RelayError) -> [String: (folder: RelayFolder, file: String)] {
        let noted = try catalog.noted()
        guard let oldest = catalog.oldest else { return [:] }
        var held = noted.files.mapValues { need in
            Self.place(need) < Self.place(oldest) ? oldest : need
        }
        for name in noted.unread.keys { held[name] = oldest }
        return held
    }

    /// The lowest place of some files, without those of some.
    private static func lowest(
        _ held: [String: (folder: RelayFolder, file: String)], without names: Set<String>
    ) -> WindowPlace? {
        held.filter { !names.contains($0.key) }.values.map { place($0) }.min()
    }

    /// Where a file begins.
    static func place(_ file: (folder: RelayFolder, file: String)) -> WindowPlace {
        WindowPlace(
            segment: file.folder.number, position: BinlogPosition(file: file.file, offset: 4))
    }

    /// Whether a subtask has said that it needs an older file of the same server, which is here;
    /// also when what it has said can't be read.
    public func needsOlder(_ name: String, than file: String, of server: ServerUUID) -> Bool {
        (try? notesOlder(name, than: file, of: server)) ?? true
    }

    private func notesOlder(
        _ name: String, than file: String, of server: ServerUUID
    ) throws(RelayError) -> Bool {
        let position = BinlogPosition(file: file, offset: 4)
        guard let known = try catalog.directory.need(of: name) else { return false }
        let older = BinlogPosition(file: known.file, offset: 4)
        guard older < position, let held = catalog.place(at: older, of: server),
            let place = catalog.place(at: position, of: server)
        else { return false }
        return held.segment == place.segment && held.segment == known.folder.number
    }

    /// The oldest file that each subtask may have to read again, of those that are here, as far as
    /// that can be read.
    public var needs: [String: (folder: RelayFolder, file: String)] {
        ((try? catalog.noted())?.files ?? [:]).filter { catalog.holds($0.value) }
    }

    /// The same, with those whose needs can't be read.
    ///
    /// - Throws: when nothing can be said of any of them.
    public func notedNeeds() throws(RelayError) -> NotedNeeds {
        var noted = try catalog.noted()
        noted.files = noted.files.filter { catalog.holds($0.value) }
        return noted
    }

    /// Who has noted a need, also of a file that was removed all the same, or that can't be read:
    /// what follows it stays.
    ///
    /// - Throws: when that can't be read: it does not say that nobody has.
    public var needers: Set<String> {
        get throws(RelayError) { try catalog.directory.needers() }
    }

    /// Whether somebody reads its files, and is not at its end.
    public var isRead: Bool { catalog.oldestReader != nil }

    /// Forgets needs of files that were removed all the same: they are no reason to keep others.
    ///
    /// - Returns: who needs a file that is here, or may need one.
    /// - Throws: when it can't be read who needs what: then nothing is forgotten.
    @discardableResult
    public func forgetLostNeeds() throws -> Set<String> {
        // No need is noted, and no file removed, between the two looks.
        try catalog.maintained {
            let noted = try catalog.noted()
            var needers = Set(noted.unread.keys)
            for (name, need) in noted.files {
                if catalog.holds(need) {
                    needers.insert(name)
                } else {
                    try catalog.directory.removeNeed(name)
                }
            }
            return needers
        }
    }

    /// A subtask needs nothing any more.
    public func forgetNeed(_ name: String) throws {
        read.withLock {
            $0.files[name] = nil
            $0.resting.remove(name)
        }
        try catalog.directory.removeNeed(name)
        catalog.takeBack(name)
    }

    /// The same for some, of which nothing hangs: what can't be forgotten is warned of, and keeps
    /// its files.
    ///
    /// - Returns: those that are forgotten.
    @discardableResult
    public func forgetNeeds(of names: Set<String>) -> Set<String> {
        names.filter { name in
            do {
                try forgetNeed(name)
                return true
            } catch {
                board.warn("what \(name) needs of the relay log can't be forgotten: \(error)")
                return false
            }
        }
    }

    /// Makes room at the limit, as far as those allow who do not read now: what they need is
    /// forgotten where nobody else needs it. What others hold as well would not go for that, and the
    /// writer waits for nobody because of it. A note that can't be removed counts no more, as long
    /// as the log is open and nobody asks for it again: no look would get any further.
    ///
    /// - Parameter names: who they are, given who has noted something; asked while nobody notes
    ///   anything: who goes on meanwhile notes it again.
    /// - Returns: whose needs are given up now.
    /// - Throws: when it can't be read who needs what: then nothing is forgotten.
    public func giveUpNeeds(of names: (_ needers: Set<String>) -> Set<String>) throws -> Set<String>
    {
        try catalog.maintained {
            let names = names(try needers)
            read.withLock { $0.resting = names }
            let held = try heldFrom()
            // The file that is written goes in no case.
            let bounds = [Self.lowest(held, without: names), catalog.newest.map { Self.place($0) }]
            guard let bound = bounds.compactMap({ $0 }).min() else { return [] }
            let given = held.filter { names.contains($0.key) && Self.place($0.value) < bound }
            for name in given.keys { giveUp(name) }
            return Set(given.keys)
        }
    }

    private func giveUp(_ name: String) {
        do {
            try forgetNeed(name)
        } catch {
            catalog.giveUp(name)
            board.warn(
                "what \(name) needs of the relay log is given up, and its note, which counts again "
                    + "when the log is opened anew, can't be removed: \(error)")
        }
    }

    /// Says what went on although something was wrong.
    public func warn(_ text: String) { board.warn(text) }
}
