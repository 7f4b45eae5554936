public import MySQLClient
public import MySQLCore
internal import Runtime
public import Stream
internal import Synchronization

/// How a relay log is kept.
public struct RelayOptions: Sendable {
    /// Where a relay log begins that can't, or need not, go on where its files end.
    public enum Start: Sendable, Hashable {
        /// Nothing before the source's current file is needed.
        case now
        /// Everything from a position of a server on is needed; on another one, what is behind
        /// the GTIDs.
        case from(BinlogPosition, of: ServerUUID, gtids: GTIDState)
    }

    /// The folder.
    public var path: String
    /// The source.
    public var source: ConnectionOptions
    /// The id among the source's replicas.
    public var serverID: UInt32
    /// Memory for recent events.
    public var windowBytes = 64 << 20
    /// Bytes that the files may take; `nil` for no limit. When it is reached the writer pauses,
    /// unless all that was written is read already.
    public var limitBytes: UInt64?
    /// Files that nobody needs are removed when they are older; `nil` keeps them.
    public var keepSeconds: Int64?
    /// Files that were put aside are removed when that is longer ago; `nil` keeps them.
    public var keepAsideSeconds: Int64? = 30 * 86_400
    /// Files that nobody needs are removed when less of the disk is free.
    public var minimumFreeBytes: UInt64 = 0
    /// Where to begin.
    public var start = Start.now
    /// Other workers' relay logs of the source: asked, in this order, before the source is, for
    /// what is needed and not here.
    public var peers: [any RelayPeer] = []
    /// The relay log that this one is a copy of: it is read in place of the source until
    /// ``RelayLog/takeOver()``.
    public var original: (any RelayPeer)?
    /// Asks the targets of all who need the log what they have applied, and keeps the runs of those
    /// that do not read it from writing any more: when the source has lost what is in the log, and
    /// none of them has it, the log goes back to where the source is. Without it, or when some
    /// target has applied it, the log ends. It is told whether somebody can read the log by now, and
    /// which tasks need not be asked: they have said.
    public var checkpoints:
        (@Sendable (_ isRead: Bool, _ known: Set<String>) async throws -> [RelayCheckpoint])?

    /// Makes options with defaults.
    public init(path: String, source: ConnectionOptions, serverID: UInt32) {
        self.path = path
        self.source = source
        self.serverID = serverID
    }
}

/// A source's binlog, kept in files and in memory, and served to any number of readers over one
/// connection to the source.
public final class RelayLog: EventSource {
    let options: RelayOptions
    let catalog: Catalog
    let window: LiveWindow
    let board = RelayBoard()
    /// Held as long as this lives.
    private let lock: Mutex<OpenFileBox>
    let isReady = Awaited<Void>()
    let repair: Repair
    private let copying: Mutex<Copying>
    /// From when on the age of what is put aside counts, seconds since 1970.
    let asideSince: Int64

    /// Asked of those who read, while it is open whether what is here is still true.
    private struct Question {
        var answers: [String: HeldTransactions] = [:]
        let over = Awaited<Void>()
    }
    private let question = Mutex<Question?>(nil)

    /// Of those who need something.
    let read = Mutex(ReadPlaces())

    private struct Copying {
        var original: (any RelayPeer)?
        var reader: (any EventReader)?
    }

    /// Opens the folder, which is this process's alone from now on, and cuts what a crash tore.
    ///
    /// - Throws: ``RelayError/inUse`` when another process writes to it.
    public init(_ options: RelayOptions) throws {
        self.options = options
        copying = Mutex(Copying(original: options.original))
        try Folder.make(options.path)
        let directory = RelayDirectory(path: options.path)
        lock = Mutex(OpenFileBox(file: try directory.lock()))
        asideSince = directory.asideSince(now: wallClockMicroseconds() / 1_000_000)
        catalog = Catalog(directory)
        window = LiveWindow(budget: options.windowBytes)
        repair = Repair(
            source: options.source, serverID: options.serverID ^ 0x1000_0000,
            peers: options.peers + (options.original.map { [$0] } ?? []))
        PurgeRequests(directory).clear()
        try catalog.load()
        for problem in catalog.problems { board.warn(problem) }
        let recovery = Recovery(catalog)
        for warning in try recovery.run() { board.warn(warning) }
        if !directory.aside().isEmpty {
            board.warn(
                "files that were cut from the relay log, or are damaged, are put aside in "
                    + "\(directory.lost): look at them, and remove them with skein relay purge "
                    + "--older-than")
        }
        if let end = catalog.shelves.last?.end { window.begin(at: end) }
        board.update { $0.limitBytes = options.limitBytes }
        refreshStatus()
    }

    /// Writes until its task is cancelled, and connects again whenever the connection is lost.
    ///
    /// - Throws: what can't be helped by trying again; readers then end with the same error.
    public func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            let thread = ThreadExecutor(name: "relay")
            group.addTask(executorPreference: thread) {
                defer { thread.stop() }
                try await RelayWriter(self).run()
            }
            // A disk that stands still for seconds stops this thread, and nobody else.
            let house = ThreadExecutor(name: "relay-house")
            group.addTask(executorPreference: house) {
                defer { house.stop() }
                try await self.keepHouse()
            }
            do {
                try await group.next()
                group.cancelAll()
                while let _ = try await group.next() {}
            } catch {
                isReady.give(.failure(error))
                window.fail(error)
                question.withLock { $0?.over.give(.failure(error)) }
                group.cancelAll()
                while let _ = try? await group.next() {}
                board.update { $0.state = .ended }
                catalog.storeIndexes()
                saveMeta(synced: true)
                throw error
            }
        }
    }

    /// Returns when the source was reached for the first time and everything was checked.
    public func ready() async throws {
        try await isReady.value(meanwhile: {})
    }

    /// The source was reached, and everything was checked: readers may come.
    func becomeReady() { isReady.give(.success(())) }

    /// A copy reads from the source from now on, after what its peers have and it lacks.
    public func takeOver() {
        let reader = copying.withLock { copying in
            copying.original = nil
            return copying.reader.take()
        }
        reader?.close()
    }

    /// The relay log that is copied; `nil` when the source is read.
    var original: (any RelayPeer)? { copying.withLock { $0.original } }

    /// Notes the reader that ``takeOver()`` ends.
    func setCopying(_ reader: (any EventReader)?) {
        let isOver = copying.withLock { copying in
            copying.reader = reader
            return copying.original == nil
        }
        if isOver { reader?.close() }
    }

    /// What it is doing.
    public var status: RelayStatus {
        refreshStatus()
        return board.current
    }

    /// The server that is read now, or was last.
    public var server: ServerUUID? { catalog.shelves.last?.folder.serverName }

    /// Half of what is free for a relay log, counting what it has already.
    public static func defaultLimit(_ path: String) throws -> UInt64 {
        try Folder.make(path)
        let catalog = Catalog(RelayDirectory(path: path))
        try catalog.load()
        return (Folder.freeBytes(path) / 2) + catalog.bytes
    }

    /// Where the next event will be written.
    public var end: WindowPlace? { catalog.shelves.last?.end }

    private func refreshStatus() {
        let shelves = catalog.shelves
        let use = window.use
        let files = shelves.reduce(0) { $0 + $1.files.count }
        let (bytes, aside) = (catalog.bytes, catalog.asideBytes)
        var problems = catalog.problems
        if let problem = metaProblem.withLock({ $0 }) { problems.append(problem) }
        let known = problems
        let folder = shelves.last?.folder
        let position = shelves.last?.end?.position
        board.update { status in
            status.bytes = bytes + aside
            status.putAsideBytes = aside
            status.files = files
            status.windowBytes = use.bytes
            status.readers = use.readers
            status.problems = known
            status.folder = folder
            status.position = position
        }
    }

    // MARK: when the source has lost something

    /// Ends all streams, and lets none begin, until ``readersMayGoOn()``.
    func askReaders() {
        let isNew = question.withLock { question in
            if question != nil { return false }
            question = Question()
            return true
        }
        // After the question: who begins now either finds it, or has an older number.
        if isNew { catalog.endReaders() }
        window.failReaders(StreamError.takenBack)
    }

    /// Grows when all streams end because the source has lost something: what was read before is
    /// not to be applied any more.
    public var generation: Int { catalog.readersNumber }

    /// What those who would read have said that their targets hold.
    var answers: [String: HeldTransactions] { question.withLock { $0?.answers ?? [:] } }

    /// Remembers what targets hold whose runs can't write any more, until it is decided: what they
    /// get from now on they do not get of what was read before.
    func note(_ held: [HeldTransactions]) {
        question.withLock { question in
            for it in held where question?.answers[it.task] == nil {
                question?.answers[it.task] = it
            }
        }
    }

    /// The log is what the source has.
    func readersMayGoOn() {
        question.withLock { $0.take() }?.over.give(.success(()))
    }

    /// Says what a target holds, after the runs before this one can't write any more. Returns when
    /// the log is what the source has.
    ///
    /// - Throws: what ended the log: the target may hold what the source has lost.
    public func settle(_ held: HeldTransactions) async throws {
        let over = question.withLock { question in
            question?.answers[held.task] = held
            return question?.over
        }
        try await over?.value(meanwhile: {})
    }

    /// What a reader has to begin with.
    ///
    /// - Throws: `StreamError.takenBack` while nobody may read.
    private func beginReading() throws -> Int {
        // Before the look at the question: see askReaders().
        let readers = catalog.readersNumber
        if question.withLock({ $0 != nil }) { throw StreamError.takenBack }
        return readers
    }

    // MARK: readers

    /// Whether a file can be read here.
    public func holds(_ file: String, of server: ServerUUID) -> Bool {
        catalog.place(at: BinlogPosition(file: file, offset: 4), of: server) != nil
    }

    /// Whether a file can be read here, and all that follows: it is in the folder that is written.
    public func goesOn(from file: String, of server: ServerUUID) -> Bool {
        guard let place = catalog.place(at: BinlogPosition(file: file, offset: 4), of: server)
        else { return false }
        return place.segment == catalog.shelves.last?.folder.number
    }

    /// Opens a reader; it ends where another server becomes the upstream.
    public func reader(from place: StreamPlace) async throws -> any EventReader {
        try await reader(from: place, crossesServers: false)
    }

    /// Opens a reader.
    ///
    /// - Parameter crossesServers: goes on where another server becomes the upstream; by GTID, so
    ///   that nothing is missing and nothing comes twice.
    public func reader(
        from place: StreamPlace, crossesServers: Bool
    ) async throws -> RelayReader {
        try await ready()
        let number = try beginReading()
        switch place {
        case .position(let position, let server):
            // Once more at the end: the writer may have come to the place just in between.
            guard
                let found = catalog.place(at: position, of: server) ?? ahead(position, server)
                    ?? catalog.place(at: position, of: server)
            else {
                throw RelayError.missing(
                    "\(position)", asked: "the relay log \(options.path)")
            }
            return RelayReader(
                catalog, window, at: found, skipping: nil, crossesServers: crossesServers,
                repair: repair, number: number)
        case .gtids(let gtids):
            guard gtids != .none else {
                throw StreamError.unreadable("a start by GTID where there are no GTIDs")
            }
            return RelayReader(
                catalog, window, at: try await placed(behind: gtids, number), skipping: gtids,
                crossesServers: crossesServers, repair: repair, number: number)
        }
    }

    /// Where the first transaction is that is not in a set. A file that has just begun does not say
    /// yet what is before it; where no earlier one will do, its first events are waited for.
    private func placed(behind gtids: GTIDState, _ number: Int) async throws -> WindowPlace {
        while true {
            // Asked first: it may say so just afterwards.
            let begun = catalog.justBegun
            do {
                return try catalog.place(behind: gtids)
            } catch RelayError.missing(let what, let asked) {
                guard let begun else { throw RelayError.missing(what, asked: asked) }
                try await firstEvents(of: begun, number)
            }
        }
    }

    /// Returns when a file that has just begun says what is before it, or has more than that.
    private func firstEvents(of begun: WindowPlace, _ number: Int) async throws {
        let events = RelayReader(
            catalog, window, at: begun, skipping: nil, crossesServers: true, repair: repair,
            number: number)
        defer { events.close() }
        while catalog.justBegun == begun { _ = try await events.next() }
    }

    /// A place in a file that the writer has not begun yet.
    private func ahead(_ position: BinlogPosition, _ server: ServerUUID?) -> WindowPlace? {
        guard let shelf = catalog.shelves.last, let end = shelf.end,
            server == nil || shelf.folder.serverName == server, end.position < position
        else { return nil }
        return WindowPlace(segment: shelf.folder.number, position: position)
    }

    // MARK: what peers ask

    /// The folders with their files, oldest first.
    public var contents: [RelayContents] {
        catalog.shelves.map { shelf in
            RelayContents(
                folder: shelf.folder,
                files: shelf.files.map { RelayContents.File(name: $0.name, size: $0.size) })
        }
    }

    /// The file that a reader from a place on would begin in.
    ///
    /// - Throws: ``RelayError/missing(_:asked:)``.
    public func locate(_ place: StreamPlace) throws -> (folder: RelayFolder, file: String) {
        let found: WindowPlace?
        switch place {
        case .position(let position, let server): found = catalog.place(at: position, of: server)
        case .gtids(let gtids): found = try catalog.place(behind: gtids)
        }
        guard let found, let (folder, _, _) = catalog.entry(found) else {
            throw RelayError.missing("\(place)", asked: "the relay log \(options.path)")
        }
        return (folder, found.position.file)
    }

    /// The folder that a position of a server is in, or will be.
    public func folder(of position: BinlogPosition, on server: ServerUUID?) throws -> RelayFolder {
        let place = catalog.place(at: position, of: server) ?? ahead(position, server)
        guard let place,
            let shelf = catalog.shelves.first(where: {
                $0.folder.number == place.segment
            })
        else {
            throw RelayError.missing("\(position)", asked: "the relay log \(options.path)")
        }
        return shelf.folder
    }

    /// Opens a reader in one of the folders, whether or not the source has been reached since
    /// the start.
    ///
    /// - Parameter gtids: transactions that are left out.
    public func reader(
        from position: BinlogPosition, in folder: RelayFolder, skipping gtids: GTIDState? = nil
    ) throws -> RelayReader {
        let number = try beginReading()
        let place = WindowPlace(segment: folder.number, position: position)
        let isHere = catalog.shelves.contains { shelf in
            guard shelf.folder == folder else { return false }
            return shelf.files.contains { $0.name == position.file }
                || shelf.end.map { $0.position < position } ?? false
        }
        guard isHere else {
            throw RelayError.missing(
                "\(folder)/\(position)", asked: "the relay log \(options.path)")
        }
        return RelayReader(
            catalog, window, at: place, skipping: gtids, crossesServers: false, repair: repair,
            number: number)
    }

    // MARK: purges

    /// Removes files by hand, oldest first; when only the age counts, also what was put aside.
    ///
    /// - Parameters:
    ///   - file: everything before this one, which may have its folder in front; `nil` when only
    ///     the age counts.
    ///   - olderSeconds: only files that were last written longer ago.
    ///   - isForced: also what a subtask still needs.
    /// - Returns: what was removed, as `folder/file`.
    /// - Throws: ``RelayError/needed(file:by:)``.
    public func purge(
        before file: String?, olderSeconds: Int64? = nil, isForced: Bool
    ) throws -> [String] {
        try Purge(catalog, warn: { [board] in board.warn($0) }).run(
            before: file, olderSeconds: olderSeconds, isForced: isForced,
            now: wallClockMicroseconds() / 1_000_000)
    }

    /// Removes what nobody needs or reads of the files that were last written longer ago, of a log
    /// that nobody writes.
    public func purge(olderSeconds: Int64) throws {
        let rules = PurgeRules(
            keepSeconds: olderSeconds, keepAsideSeconds: options.keepAsideSeconds)
        try purge(rules)
    }

    /// Removes what the rules of the options say.
    func purge(isPressed: Bool) {
        let rules = PurgeRules(
            keepSeconds: options.keepSeconds, keepAsideSeconds: options.keepAsideSeconds,
            minimumFreeBytes: options.minimumFreeBytes, limitBytes: options.limitBytes,
            isPressed: isPressed)
        do {
            try purge(rules)
        } catch {
            board.warn("\(error)")
        }
    }

    // MARK: housekeeping

    private func keepHouse() async throws {
        while true {
            try await Task.sleep(for: .seconds(1))
            catalog.storeIndexes()
            saveMeta(synced: true)
            purge(isPressed: false)
            answerRequests()
        }
    }

    /// Removes what other processes ask for, unless ``run()`` does; blocks.
    public func answerRequests() {
        PurgeRequests(catalog.directory).serve { request in
            try purge(
                before: request.before, olderSeconds: request.olderSeconds,
                isForced: request.isForced)
        }
    }

    /// Saves how far the last folder is written.
    func saveMeta(synced: Bool) {
        guard let shelf = catalog.shelves.last, let end = shelf.end else { return }
        if let last = lastMeta.withLock({ $0 }), last.file == end.position.file,
            last.position == end.position.offset, last.upstream == board.current.upstream
        {
            return
        }
        do {
            if synced {
                try OpenFile(
                    catalog.directory.file(shelf.folder, end.position.file), 0
                ).sync()
            }
            let meta = try RelayMeta(
                file: end.position.file, position: end.position.offset,
                gtids: catalog.liveIndex.gtids.description,
                synced: synced ? end.position.offset : nil, boot: RelayDirectory.currentBoot(),
                upstream: board.current.upstream)
            try catalog.directory.write(meta, shelf.folder)
            lastMeta.withLock { $0 = meta }
            metaProblem.withLock { $0 = nil }
        } catch {
            board.warn("\(error)")
            let problem = "it can't be saved how far the log is written: \(error)"
            metaProblem.withLock { $0 = problem }
        }
    }

    /// Why what is saved of the last folder is old; `nil` when it is not.
    private let metaProblem = Mutex<String?>(nil)
    private let lastMeta = Mutex<RelayMeta?>(nil)
}

/// Keeps a lock's file open.
struct OpenFileBox: ~Copyable, @unchecked Sendable {
    // SAFETY: the file is never used, only held open.
    let file: OpenFile
}
