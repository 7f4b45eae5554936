internal import Glibc
internal import MySQLBinlog
internal import MySQLCore
internal import Stream
internal import Synchronization

/// Which files a relay log has and how far they are written: what the writer publishes, and
/// readers and purges go by. Readers never look at the size of a file.
final class Catalog: Sendable {
    /// One binlog file.
    struct Entry: Sendable {
        var name: String
        /// Bytes that may be read.
        var size: UInt64
        var isClosed: Bool
        /// Of a closed file; made when it is first asked for.
        var index: FileIndex?
    }

    /// One folder.
    struct Shelf: Sendable {
        var folder: RelayFolder
        var files: [Entry]

        var end: WindowPlace? {
            files.last.map {
                WindowPlace(
                    segment: folder.number,
                    position: BinlogPosition(file: $0.name, offset: $0.size))
            }
        }
    }

    let directory: RelayDirectory
    /// Grows when all who read must end. Every reader asks at every chunk: without a lock.
    private let times = Atomic<Int>(0)
    private struct State {
        var shelves: [Shelf] = []
        /// Where readers of files are, by their number.
        var readers: [UInt64: WindowPlace] = [:]
        var nextReader: UInt64 = 0
        /// Closed files whose index is not stored yet.
        var unstored: [(RelayFolder, String)] = []
    }
    private let state = Mutex(State())
    private struct Live {
        var name = ""
        var builder = IndexBuilder()
    }
    /// The index of the file that is being written. Changes with the state, inside its lock, when
    /// another file begins.
    private let live = Mutex(Live())
    private struct PutAside {
        var bytes: UInt64 = 0
        var problems: [String] = []
    }
    /// What is put aside. Counted inside the lock: who counted later is the one to believe.
    private let aside = Mutex(PutAside())
    /// What was found at the last look that can't be read of who needs what.
    private let unread = Mutex<[String]>([])
    /// Who was given up, and whose notes can't be removed.
    private let givenUp = Mutex<Set<String>>([])
    /// Held by whoever removes files, or says which must stay.
    private let maintenance = Mutex<Void>(())

    init(_ directory: RelayDirectory) { self.directory = directory }

    /// Reads what is there; the last file as it is, without a look at its events.
    ///
    /// - Throws: when something of it can't be read; what was known before stays known.
    func load() throws(RelayError) {
        var found: [Shelf] = []
        for folder in try directory.folders() {
            var shelf = Shelf(folder: folder, files: [])
            for name in try directory.files(folder) {
                // An archive's may just have been removed.
                let size = try Folder.length(directory.file(folder, name)) ?? 0
                shelf.files.append(Entry(name: name, size: size, isClosed: true, index: nil))
            }
            found.append(shelf)
        }
        let shelves = found
        state.withLock { $0.shelves = shelves }
        countAside()
    }

    var shelves: [Shelf] { state.withLock { $0.shelves } }

    var bytes: UInt64 {
        state.withLock { $0.shelves.reduce(0) { $0 + $1.files.reduce(0) { $0 + $1.size } } }
    }

    /// Whether a file is here.
    func holds(_ file: (folder: RelayFolder, file: String)) -> Bool {
        shelves.contains { shelf in
            shelf.folder == file.folder && shelf.files.contains { $0.name == file.file }
        }
    }

    /// The oldest file.
    var oldest: (folder: RelayFolder, file: String)? {
        shelves.first { !$0.files.isEmpty }.map { ($0.folder, $0.files[0].name) }
    }

    /// The newest file.
    var newest: (folder: RelayFolder, file: String)? {
        guard let shelf = shelves.last(where: { !$0.files.isEmpty }), let last = shelf.files.last
        else { return nil }
        return (shelf.folder, last.name)
    }

    /// Bytes of files that were put aside: they are no part of the log, nor of its limit.
    var asideBytes: UInt64 { aside.withLock { $0.bytes } }

    /// What can't be read of who needs what, and of what is put aside, as of the last look, one
    /// sentence each.
    var problems: [String] { unread.withLock { $0 } + aside.withLock { $0.problems } }

    func setUnreadNeeds(_ sentences: [String]) { unread.withLock { $0 = sentences } }

    /// Looks what is put aside.
    func countAside() {
        aside.withLock { aside in
            let look = directory.lookAside()
            aside.bytes = look.found.reduce(UInt64(0)) { $0 + $1.bytes }
            aside.problems = look.problems.map { "what was put aside can't be read: \($0)" }
        }
    }

    /// Runs what must not meet with another one's removal of files.
    func maintained<R>(_ body: () throws -> R) rethrows -> R {
        try maintenance.withLock { _ in try body() }
    }

    // MARK: who needs what

    /// What was noted, but for those who are given up.
    ///
    /// - Throws: as `RelayDirectory.noted()` does.
    func noted() throws(RelayError) -> NotedNeeds {
        var noted = try directory.noted()
        for name in givenUp.withLock({ $0 }) {
            noted.files[name] = nil
            noted.unread[name] = nil
        }
        return noted
    }

    /// Lets a note count no more, which can't be removed, until ``takeBack(_:)`` or the log is
    /// opened anew.
    func giveUp(_ name: String) { givenUp.withLock { _ = $0.insert(name) } }

    /// Lets it count again: who is given up has something to say, or its note is removed.
    func takeBack(_ name: String) { givenUp.withLock { _ = $0.remove(name) } }

    // MARK: what the writer publishes

    func add(_ folder: RelayFolder) {
        state.withLock { $0.shelves.append(Shelf(folder: folder, files: [])) }
    }

    /// A new file of the last folder; the one before it is complete.
    func begin(_ name: String, size: UInt64, _ builder: IndexBuilder) {
        state.withLock { state in
            let finished = live.withLock { live in
                let finished = live.builder.finished()
                live = Live(name: name, builder: builder)
                return finished
            }
            let last = state.shelves.count - 1
            let count = state.shelves[last].files.count
            if count > 0, !state.shelves[last].files[count - 1].isClosed {
                state.shelves[last].files[count - 1].isClosed = true
                state.shelves[last].files[count - 1].index = finished
                state.unstored.append(
                    (state.shelves[last].folder, state.shelves[last].files[count - 1].name))
            }
            state.shelves[last].files.append(
                Entry(name: name, size: size, isClosed: false, index: nil))
        }
    }

    /// Goes on with the last file of the last folder.
    func resume(_ builder: IndexBuilder, size: UInt64) {
        state.withLock { state in
            guard let last = state.shelves.indices.last,
                let file = state.shelves[last].files.indices.last
            else { return }
            let name = state.shelves[last].files[file].name
            live.withLock { $0 = Live(name: name, builder: builder) }
            state.shelves[last].files[file].isClosed = false
            state.shelves[last].files[file].size = size
            state.shelves[last].files[file].index = nil
        }
    }

    /// Notes events of the file that is being written.
    func note(_ chunk: EventChunk) {
        live.withLock { live in
            for entry in chunk.entries where EventChunk.isInFile(entry) {
                live.builder.take(
                    EventType(rawValue: entry.type), chunk.event(entry), at: entry.position,
                    end: entry.endPosition)
            }
        }
    }

    func setLiveChecksum(_ checksum: ChecksumAlgorithm) {
        live.withLock { $0.builder.setChecksum(checksum) }
    }

    /// Bytes of the file that is being written which may be read.
    func publish(_ size: UInt64) {
        state.withLock { state in
            guard let last = state.shelves.indices.last,
                let file = state.shelves[last].files.indices.last
            else { return }
            state.shelves[last].files[file].size = size
        }
    }

    /// The index of the file that is being written, as far as it is.
    var liveIndex: FileIndex { live.withLock { $0.builder.current } }

    /// What is known of a file that was being written a moment ago: its index while it still is,
    /// else what it became. A list of files is old as soon as it is read.
    private func current(
        _ folder: RelayFolder, _ entry: Entry
    ) -> (live: FileIndex?, entry: Entry) {
        state.withLock { state in
            let shelf = state.shelves.first { $0.folder == folder }
            let now = shelf?.files.last { $0.name == entry.name } ?? entry
            if now.isClosed { return (nil, now) }
            return (live.withLock { $0.name == entry.name ? $0.builder.current : nil }, now)
        }
    }

    /// The last folder gets no more files.
    func endFolder(size: UInt64) {
        let finished = live.withLock { $0.builder.finished() }
        state.withLock { state in
            guard let last = state.shelves.indices.last,
                let file = state.shelves[last].files.indices.last
            else { return }
            state.shelves[last].files[file].isClosed = true
            state.shelves[last].files[file].size = size
            state.shelves[last].files[file].index = finished
            state.unstored.append(
                (state.shelves[last].folder, state.shelves[last].files[file].name))
        }
    }

    /// Stores the indexes of files that were closed since the last call.
    func storeIndexes() {
        let unstored = state.withLock { state in
            defer { state.unstored = [] }
            return state.unstored
        }
        for (folder, name) in unstored {
            let entry = shelves.first { $0.folder == folder }?.files.first { $0.name == name }
            guard let entry, let index = entry.index else { continue }
            store(index, folder, entry)
        }
    }

    private func store(_ index: FileIndex, _ folder: RelayFolder, _ entry: Entry) {
        // Without it the file is scanned again: not worth an error.
        try? Folder.make(directory.path + "/skein/index/\(folder)")
        try? Folder.replace(
            directory.indexPath(folder, entry.name), index.encoded(fileSize: entry.size))
    }

    // MARK: finding

    /// One file as readers see it now.
    func entry(_ place: WindowPlace) -> (folder: RelayFolder, entry: Entry, isLast: Bool)? {
        state.withLock { state in
            guard let s = state.shelves.firstIndex(where: { $0.folder.number == place.segment }),
                let f = state.shelves[s].files.lastIndex(where: {
                    $0.name == place.position.file
                })
            else { return nil }
            let isLast = s == state.shelves.count - 1 && f == state.shelves[s].files.count - 1
            return (state.shelves[s].folder, state.shelves[s].files[f], isLast)
        }
    }

    /// A folder by its number.
    func folder(_ segment: Int) -> RelayFolder? {
        state.withLock { $0.shelves.first { $0.folder.number == segment }?.folder }
    }

    /// The first event of the file that follows.
    func place(after place: WindowPlace) -> WindowPlace? {
        state.withLock { state in
            guard let s = state.shelves.firstIndex(where: { $0.folder.number == place.segment })
            else { return nil }
            let file = BinlogPosition(file: place.position.file, offset: .max)
            if let next = state.shelves[s].files.first(where: {
                BinlogPosition(file: $0.name, offset: 0) > file
            }) {
                return WindowPlace(
                    segment: place.segment,
                    position: BinlogPosition(file: next.name, offset: 4))
            }
            guard let shelf = state.shelves[(s + 1)...].first(where: { !$0.files.isEmpty }) else {
                return nil
            }
            return WindowPlace(
                segment: shelf.folder.number,
                position: BinlogPosition(file: shelf.files[0].name, offset: 4))
        }
    }

    /// The index of a file: kept, stored, or made now.
    func index(_ folder: RelayFolder, _ entry: Entry) throws -> FileIndex {
        var entry = entry
        if !entry.isClosed {
            let now = current(folder, entry)
            if let live = now.live { return live }
            entry = now.entry
        }
        if let index = entry.index { return index }
        // It had only begun when another server took over.
        if entry.size <= 4 { return FileIndex() }
        let path = directory.file(folder, entry.name)
        var index = Folder.read(directory.indexPath(folder, entry.name)).flatMap {
            FileIndex(encoded: $0, fileSize: entry.size)
        }
        if index == nil {
            let file = try OpenFile(path, O_RDONLY)
            let scan = FileScan(file: file, name: entry.name)
            guard let outcome = try scan.run(upTo: entry.size, verifies: false) else {
                throw RelayError.damaged(path: path, offset: 4, detail: "no format event")
            }
            index = outcome.index
            store(outcome.index, folder, entry)
        }
        state.withLock { state in
            guard let s = state.shelves.firstIndex(where: { $0.folder == folder }),
                let f = state.shelves[s].files.firstIndex(where: { $0.name == entry.name })
            else { return }
            state.shelves[s].files[f].index = index
        }
        return index ?? FileIndex()
    }

    /// The GTIDs of everything up to the end of a folder, or of all folders. A file that has only
    /// begun does not say yet what is before it: then the ones before it do.
    func gtids(atEndOf segment: Int = .max) throws -> GTIDState {
        for shelf in shelves.reversed() where shelf.folder.number <= segment {
            for entry in shelf.files.reversed() {
                let index = try index(shelf.folder, entry)
                if index.gtids != .none || !index.segments.isEmpty { return index.gtids }
            }
        }
        return .none
    }

    /// The GTIDs before a file.
    func previous(_ folder: RelayFolder, _ entry: Entry) throws -> GTIDState {
        var entry = entry
        if !entry.isClosed {
            let now = current(folder, entry)
            if let live = now.live { return live.previous }
            entry = now.entry
        }
        if let index = entry.index { return index.previous }
        let file = try OpenFile(directory.file(folder, entry.name), O_RDONLY)
        guard let format = try FileScan.format(file) else { return .none }
        var at: UInt64 = 4
        for _ in 0..<8 {
            let head = try file.bytes(EventHeader.size, at: at)
            guard let header = try? EventHeader(unsafe head.span.bytes), header.size <= 1 << 30
            else { break }
            if header.type == .previousGTIDs || header.type == .gtidList {
                let event = try file.bytes(Int(header.size), at: at)
                var builder = IndexBuilder()
                let body = try FormatDescription.body(
                    of: unsafe event.span.bytes, checksum: format.checksum)
                builder.take(header.type, body, at: at, end: at + UInt64(header.size))
                return builder.finished().previous
            }
            guard [.formatDescription, .startEncryption, .ignorable].contains(header.type) else {
                break
            }
            at += UInt64(header.size)
        }
        return .none
    }

    /// Where the newest file begins, as long as it does not say yet what is before it.
    var justBegun: WindowPlace? {
        guard let shelf = shelves.last, let entry = shelf.files.last, !entry.isClosed,
            let live = current(shelf.folder, entry).live, live.previous == .none,
            live.segments.isEmpty
        else { return nil }
        return WindowPlace(
            segment: shelf.folder.number, position: BinlogPosition(file: entry.name, offset: 4))
    }

    /// Where the first transaction is that is not in a set. At the end, when there is none.
    func place(behind gtids: GTIDState) throws -> WindowPlace {
        let shelves = shelves
        for shelf in shelves.reversed() {
            for entry in shelf.files.reversed() {
                // A file that has just begun does not say yet what is before it.
                let before = try previous(shelf.folder, entry)
                guard before != .none, gtids.isSuperset(of: before) else { continue }
                return try place(behind: gtids, in: shelf, entry)
            }
        }
        var missing = "a transaction behind \(gtids)"
        if let shelf = shelves.first, let entry = shelf.files.first {
            let oldest = try previous(shelf.folder, entry)
            missing = "what lies between \(gtids) and \(oldest)"
        }
        throw RelayError.missing(missing, asked: "the relay log \(directory.path)")
    }

    private func place(
        behind gtids: GTIDState, in shelf: Shelf, _ entry: Entry
    ) throws -> WindowPlace {
        func at(_ offset: UInt64) -> WindowPlace {
            WindowPlace(
                segment: shelf.folder.number,
                position: BinlogPosition(file: entry.name, offset: offset))
        }
        let index = try index(shelf.folder, entry)
        for (n, segment) in index.segments.enumerated()
        where !gtids.isSuperset(of: segment.identities) {
            let end = n + 1 < index.segments.count ? index.segments[n + 1].offset : entry.size
            // What follows may be in memory only, and not in the file yet.
            guard segment.offset < entry.size else { return at(segment.offset) }
            let file = try OpenFile(directory.file(shelf.folder, entry.name), O_RDONLY)
            let scan = FileScan(file: file, name: entry.name)
            if let found = try scan.first(
                notIn: gtids, from: segment.offset, upTo: min(end, entry.size),
                checksum: index.checksum)
            {
                return at(found)
            }
            // A transaction that is in memory, and not in the file yet. What the segment begins with
            // is whole transactions, which the reader leaves out.
            return at(segment.offset)
        }
        // Never what is written so far, which can end inside a transaction.
        return at(index.end)
    }

    /// Where a position of a server is: in the newest folder of it that has the file.
    func place(at position: BinlogPosition, of server: ServerUUID?) -> WindowPlace? {
        let shelves = shelves
        let shelf = shelves.last { shelf in
            (server == nil || shelf.folder.serverName == server)
                && shelf.files.contains { $0.name == position.file }
        }
        return shelf.map { WindowPlace(segment: $0.folder.number, position: position) }
    }

    // MARK: readers and purges

    func enterReader(_ place: WindowPlace) -> UInt64 {
        state.withLock { state in
            state.nextReader += 1
            state.readers[state.nextReader] = place
            return state.nextReader
        }
    }

    func moveReader(_ id: UInt64, _ place: WindowPlace?) {
        state.withLock { $0.readers[id] = place }
    }

    /// Ends all readers that there are, at their next step.
    func endReaders() { times.add(1, ordering: .sequentiallyConsistent) }

    /// What a reader that begins now remembers, and compares.
    var readersNumber: Int { times.load(ordering: .sequentiallyConsistent) }

    /// Whether something is published behind a place.
    func hasMore(behind place: WindowPlace) -> Bool {
        state.withLock { state in
            guard let last = state.shelves.last(where: { !$0.files.isEmpty }),
                let file = last.files.last
            else { return false }
            let position = BinlogPosition(file: file.name, offset: file.size)
            return place < WindowPlace(segment: last.folder.number, position: position)
        }
    }

    /// The oldest place that somebody reads.
    var oldestReader: WindowPlace? { state.withLock { $0.readers.values.min() } }

    /// Forgets a file, the oldest of its folder, and the folder with it when it was the last one.
    func remove(_ folder: RelayFolder, _ name: String) throws(RelayError) {
        try Folder.remove(directory.file(folder, name))
        try Folder.remove(directory.indexPath(folder, name))
        let isEmpty = state.withLock { state in
            guard let s = state.shelves.firstIndex(where: { $0.folder == folder }) else {
                return false
            }
            state.shelves[s].files.removeAll { $0.name == name }
            guard state.shelves[s].files.isEmpty, s < state.shelves.count - 1 else { return false }
            state.shelves.remove(at: s)
            return true
        }
        if isEmpty { try directory.remove(folder) }
    }
}
