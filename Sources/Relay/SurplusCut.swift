internal import Glibc
internal import MySQLBinlog
internal import MySQLCore
internal import Runtime
internal import Stream

// When the source has lost what the log has: protocol section 10. As long as no target holds any of
// it the log goes back to where the two part, and on from there. Who reads is stopped first, and
// begins again only when that is decided.

extension RelayWriter {
    typealias AskTargets = @Sendable (Bool, Set<String>) async throws -> [RelayCheckpoint]

    /// Goes back to where the source is, if no target holds what it has lost.
    ///
    /// - Parameter detail: how it was found out.
    /// - Throws: `StreamError.sourceLostEvents`, with what each target has applied, when one does,
    ///   or when it can't be said where the two part.
    func giveUpSurplus(_ detail: String, _ checkpoints: AskTargets) async throws {
        // Nobody is given more of it from here on.
        log.askReaders()
        log.board.update {
            $0.state = .connecting
            $0.reason =
                "the source is not the one that was read, or has lost transactions (\(detail)); "
                + "waiting for what the targets have applied"
        }
        guard let end = log.end, let surplus = try await findSurplus(), surplus.place < end else {
            if !log.isReady.isGiven, !hasNoSurplus, !hasNeeds {
                // Nobody needs it: a folder may begin that has nothing to do with it.
                hasNoSurplus = true
                return
            }
            // Nothing tells what of it is lost: a person must judge.
            let held = (try? await checkpoints(log.isReady.isGiven, []))?.map(\.held.words) ?? []
            throw StreamError.sourceLostEvents(([detail] + held).joined(separator: "; "))
        }
        // Not for ever: the source may be another one again.
        for _ in 0..<50 {
            log.askReaders()
            if let held = try await held(checkpoints) {
                if held.contains(where: surplus.isHeld) {
                    throw StreamError.sourceLostEvents(
                        "\(detail). Of what is behind \(surplus.place.position) of the relay log: "
                            + held.map(\.words).joined(separator: "; "))
                }
                return try cut(surplus, detail)
            }
            try await Task.sleep(for: .milliseconds(100))
        }
        throw LaggingUpstream(
            description: "\(detail); waiting for a run to say what its target has applied")
    }

    /// Where the two part; `nil` when that can't be said.
    private func findSurplus() async throws -> Surplus? {
        let interruption = Interruption()
        do {
            return try await withTaskCancellationHandler {
                try History(log).surplus(
                    UpstreamSession(
                        log.options.source, serverID: log.options.serverID,
                        interruption: interruption))
            } onCancel: {
                interruption.interrupt()
            }
        } catch is DamagedEvent {
            return nil
        }
    }

    /// What the targets hold, when all of that is certain.
    private func held(_ checkpoints: AskTargets) async throws -> [HeldTransactions]? {
        let all: [RelayCheckpoint]
        do {
            all = try await checkpoints(log.isReady.isGiven, Set(log.answers.keys))
        } catch {
            try Task.checkCancellation()
            // Each question ends a run: nobody is asked twice because of another one.
            if let error = error as? UnansweredTarget {
                log.note(error.answered.filter { !$0.isReading }.map(\.held))
            }
            throw LaggingUpstream(
                description: "the source has lost transactions, and what the targets have applied "
                    + "of them can't be asked: \(error)")
        }
        log.note(all.filter { !$0.isReading }.map(\.held))
        let said = log.answers
        guard all.allSatisfy({ said[$0.held.task] != nil }) else { return nil }
        return said.values.sorted { $0.task < $1.task }
    }

    /// Takes everything behind a place away. A crash in between leaves a log that ends somewhere
    /// further on: then the same is found again.
    private func cut(_ surplus: Surplus, _ detail: String) throws {
        file = nil
        isCutting = true
        let kept = try log.catalog.cut(to: surplus.place)
        folder = nil
        name = ""
        expected = [:]
        try open()
        isCutting = false
        if let end = log.end { log.window.begin(at: end) }
        log.window.failReaders(StreamError.takenBack)
        log.saveMeta(synced: true)
        log.board.warn(
            "the source has lost transactions that no target has applied (\(detail)): the relay "
                + "log goes on at \(surplus.place.position). What was cut is in \(kept); run skein "
                + "verify")
    }
}

/// What a cut does, one after the other.
enum CutStep { case copy, copyMore, move, removeFolder, cut }

extension Catalog {
    /// Removes everything behind a place, newest first, and puts it aside.
    ///
    /// What needs room comes first. Whatever happens, the catalog knows afterwards what is there: a
    /// log that ends at the place, or somewhere between that and its old end.
    ///
    /// - Parameter before: called before each step.
    /// - Returns: the folder where it is kept.
    func cut(
        to place: WindowPlace, before: (CutStep) throws -> Void = { _ in }
    ) throws -> String {
        try maintained {
            let aside = freeFolder(for: place.position)
            let tail = aside + "/\(place.position.file)"
            do {
                try moveAside(place, aside, tail, before)
            } catch {
                // What was moved stays; of the file that is not cut yet there is no second copy.
                try? Folder.remove(tail)
                Folder.removeEmpty(aside)
                if (try? load()) != nil { _ = try? Recovery(self).run() }
                throw error
            }
            try load()
            _ = try Recovery(self).run()
            return aside
        }
    }

    /// Keeps files that can't be what they should be, or that nobody knows of, where a person can
    /// look at them.
    ///
    /// - Returns: the folder where they are.
    func putAside(_ folder: RelayFolder, _ names: [String]) throws -> String {
        let aside = freeFolder(for: BinlogPosition(file: names.first ?? "\(folder)", offset: 4))
        defer { countAside() }
        try Folder.make(aside)
        for name in names {
            try Folder.remove(directory.indexPath(folder, name))
            try Folder.move(directory.file(folder, name), to: aside + "/\(folder).\(name)")
        }
        return aside
    }

    /// The same for what is in a folder that is to begin: a crash, or a lost list of folders, leaves
    /// one that nobody knows, and what is in it is of another time.
    func putAsideFiles(of folder: RelayFolder) throws -> String? {
        let names = try directory.files(folder).filter { name in
            Folder.isFile(directory.file(folder, name))
        }
        return names.isEmpty ? nil : try putAside(folder, names)
    }

    private func freeFolder(for position: BinlogPosition) -> String {
        let name = directory.lost + "/\(position.file).\(position.offset)"
        var (aside, number) = (name, 1)
        while Folder.exists(aside) {
            number += 1
            aside = "\(name)-\(number)"
        }
        return aside
    }

    private func moveAside(
        _ place: WindowPlace, _ aside: String, _ tail: String, _ before: (CutStep) throws -> Void
    ) throws {
        guard let folder = folder(place.segment) else { return }
        let path = directory.file(folder, place.position.file)
        try before(.copy)
        try Folder.make(aside)
        try keepTail(path, from: place.position.offset, in: tail) { try before(.copyMore) }
        for shelf in shelves.reversed() where shelf.folder.number >= place.segment {
            for entry in shelf.files.reversed() {
                let isCut = shelf.folder == folder && entry.name == place.position.file
                try before(isCut ? .cut : .move)
                try Folder.remove(directory.indexPath(shelf.folder, entry.name))
                if isCut {
                    let file = try OpenFile(path, O_RDWR)
                    try file.truncate(to: place.position.offset)
                    try file.sync()
                    break
                }
                try Folder.move(
                    directory.file(shelf.folder, entry.name),
                    to: aside + "/\(shelf.folder).\(entry.name)")
            }
            if shelf.folder.number > place.segment {
                try before(.removeFolder)
                try directory.remove(shelf.folder)
            }
        }
    }

    /// Copies a file's end behind its format event, so that other tools can read it.
    private func keepTail(
        _ path: String, from offset: UInt64, in other: String, before: () throws -> Void
    ) throws {
        let file = try OpenFile(path, O_RDONLY)
        let head = try file.bytes(8192, at: 0)
        let format = try EventHeader(unsafe head.span.bytes.extracting(droppingFirst: 4))
        let out = try OpenFile(other, O_WRONLY | O_CREAT | O_TRUNC)
        var end: UInt64 = 0
        func append(_ bytes: [UInt8]) throws {
            var done = 0
            try unsafe bytes.withUnsafeBytes { try unsafe out.write($0, at: end, done: &done) }
            end += UInt64(bytes.count)
        }
        if offset > 4 { try append(Array(head.prefix(4 + Int(format.size)))) }
        var at = offset > 4 ? offset : 0
        while case let bytes = try file.bytes(1 << 20, at: at), !bytes.isEmpty {
            try before()
            try append(bytes)
            at += UInt64(bytes.count)
        }
        try out.sync()
    }
}
