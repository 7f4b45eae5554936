import Foundation
import Glibc
import MySQLClient
import MySQLCore
import Testing

@testable import Relay

@Suite("What is needed of a relay log")
struct NeedTests {
    private static let folder = RelayFolder(server: "0-1", number: 1)
    private static var server: ServerUUID { get throws { try #require(folder.serverName) } }

    private static func file(_ number: Int) -> String { "bin.00000\(number)" }

    /// A log of five files, which nobody writes.
    private static func log(_ scratch: Scratch) throws -> RelayLog {
        let directory = RelayDirectory(path: scratch.path)
        try directory.add(folder)
        for n in 1...4 { try Folder.replace(directory.file(folder, file(n)), RelayDirectory.magic) }
        var last = MadeFile()
        last.add(1...3)
        try Folder.replace(directory.file(folder, file(5)), last.bytes)
        return try opened(scratch)
    }

    private static func opened(_ scratch: Scratch, limit: UInt64? = nil) throws -> RelayLog {
        let source = ConnectionOptions(port: 1, user: "nobody", password: Password(""))
        var options = RelayOptions(path: scratch.path, source: source, serverID: 1)
        options.limitBytes = limit
        return try RelayLog(options)
    }

    /// Puts something in place of a file or folder that can't be read: it leads to itself, and so
    /// the superuser can't either.
    private static func hide(_ path: String) throws {
        try Folder.move(path, to: path + "-away")
        try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: path)
    }

    private static func show(_ path: String) throws {
        try Folder.remove(path)
        try Folder.move(path + "-away", to: path)
    }

    private static func files(_ log: RelayLog) -> [String] {
        log.contents.flatMap { $0.files.map(\.name) }
    }

    /// Who is waited for at the limit, and where.
    private static func places(_ log: RelayLog) throws -> [String: String] {
        try log.readPlaces().mapValues { $0.file }
    }

    /// What can be there in place of a note.
    enum Unreadable: CaseIterable {
        case damaged, link, folder

        func put(_ scratch: Scratch, _ task: String) throws {
            let needs = scratch.path + "/skein/needs"
            let path = needs + "/" + task
            try Folder.make(needs)
            try Folder.remove(path)
            switch self {
            case .damaged: try Folder.replace(path, Array("?".utf8))
            // It leads to itself: the superuser can't read that either.
            case .link:
                try FileManager.default.createSymbolicLink(
                    atPath: path, withDestinationPath: path)
            case .folder: try Folder.make(path)
            }
        }
    }

    @Test(
        "a need that can't be read is no lost one, nor one that is not there",
        arguments: Unreadable.allCases)
    func unreadable(how: Unreadable) throws {
        let scratch = Scratch()
        do {
            let log = try Self.log(scratch)
            try log.need("task", Self.file(3), of: Self.server)
            try log.need("old", Self.file(2), of: Self.server)
            try log.catalog.directory.setNeed("lost", Self.folder, Self.file(0))
        }
        try how.put(scratch, "task")
        // It keeps no log from opening, and nothing from being done for the others.
        let log = try Self.opened(scratch)
        #expect(try log.forgetLostNeeds() == ["old", "task"])
        #expect(try log.needers == ["old", "task"])
        let noted = try log.notedNeeds()
        #expect(noted.files.keys.sorted() == ["old"] && noted.unread.keys.sorted() == ["task"])
        #expect(try log.needsOlder("task", than: Self.file(4), of: Self.server))
        // Nobody knows which files it needs: all are, and who looks is told by whom.
        try log.forgetNeed("old")
        #expect(RelayWriter(log).hasNeeds)
        log.purge(isPressed: true)
        #expect(Self.files(log).count == 5)
        #expect(log.status.problems.contains { $0.contains("what task needs") })
        #expect(log.status.warnings.contains { $0.contains("what task needs") })
        let error = #expect(throws: RelayError.self) {
            try log.purge(before: Self.file(2), isForced: false)
        }
        #expect(error.map { "\($0)" }?.contains("task") == true)
    }

    @Test("a run whose need can't be read keeps all that is here until it says more")
    func replaced() throws {
        for how in [Unreadable.damaged, .link] {
            let scratch = Scratch()
            let log = try Self.log(scratch)
            try how.put(scratch, "task")
            log.purge(isPressed: true)
            try log.need("task", Self.file(4), of: Self.server, orOlder: true)
            #expect(log.needs["task"]?.file == Self.file(1))
            log.purge(isPressed: true)
            #expect(Self.files(log).count == 5 && log.status.problems.isEmpty)
            try log.need("task", Self.file(4), of: Self.server)
            log.purge(isPressed: true)
            #expect(Self.files(log) == [Self.file(4), Self.file(5)])
        }
    }

    @Test("what can't be replaced stays as it is, and the run goes on")
    func irreplaceable() throws {
        let scratch = Scratch()
        let log = try Self.log(scratch)
        try Unreadable.folder.put(scratch, "task")
        try log.need("task", Self.file(4), of: Self.server, orOlder: true)
        #expect(log.forgetNeeds(of: ["task"]).isEmpty)
        #expect(try log.needers == ["task"])
        #expect(log.status.warnings.contains { $0.contains("can't be forgotten") })
        log.purge(isPressed: true)
        #expect(Self.files(log).count == 5)
    }

    @Test("at the limit only that is given up which nobody else holds")
    func givenUp() throws {
        let scratch = Scratch()
        let log = try Self.log(scratch)
        try log.need("resting", Self.file(2), of: Self.server)
        try log.need("running", Self.file(2), of: Self.server)
        try log.need("far", Self.file(5), of: Self.server)
        try log.hasRead("running", Self.file(5), of: Self.server)
        // The writer waits for it, as long as nobody says that it rests.
        #expect(try Self.places(log)["resting"] == Self.file(2))
        #expect(try log.giveUpNeeds { _ in ["resting", "far"] } == [])
        #expect(try log.needers == ["resting", "running", "far"])
        #expect(try Self.places(log) == ["running": Self.file(5)])
        // The other one goes on: there is room to be made again.
        try log.need("running", Self.file(3), of: Self.server)
        #expect(try Self.places(log)["resting"] == Self.file(2))
        #expect(try log.giveUpNeeds { _ in ["resting", "far"] } == ["resting"])
        #expect(try log.needers == ["running", "far"])
        // What rests no more is waited for.
        try log.need("far", Self.file(5), of: Self.server)
        #expect(try Self.places(log).keys.sorted() == ["far", "running"])
        // The file that is written goes in no case.
        try log.forgetNeed("running")
        #expect(try log.giveUpNeeds { _ in ["far"] } == [])
    }

    @Test("who looks at a log is told what can't be read of it, not that it is not there")
    func shown() throws {
        let scratch = Scratch()
        do {
            let log = try Self.log(scratch)
            try log.need("known", Self.file(3), of: Self.server)
            #expect(log.status.problems.isEmpty)
        }
        func archive() throws -> RelayArchive { try RelayArchive(path: scratch.path) }
        func says(_ words: String) throws -> Bool {
            try archive().problems().contains { $0.contains(words) }
        }
        #expect(try archive().problems() == [])
        try Unreadable.damaged.put(scratch, "unread")
        #expect(try says("what unread needs"))
        #expect(try archive().files().map(\.neededBy) == [["unread"], [], ["known"], [], []])
        try Folder.replace("\(scratch.path)/\(Self.folder)/relay.meta", Array("?".utf8))
        #expect(try says("what was last saved can't be read"))
        try Self.hide(scratch.path + "/skein")
        #expect(try says("who needs what"))
        #expect(try says("what was put aside"))
        #expect(try says("being written"))
        #expect(try archive().files().count == 5)
        let catalog = Catalog(RelayDirectory(path: scratch.path))
        try catalog.load()
        #expect(catalog.problems.contains { $0.contains("what was put aside") })
        try Self.hide(scratch.path + "/server-uuid.index")
        let error = #expect(throws: RelayError.self) { try archive() }
        guard case .system? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    @Test("a need that can't be read holds as much as can be held")
    func unreadableAtTheLimit() throws {
        let scratch = Scratch()
        let log = try Self.log(scratch)
        try log.need("resting", Self.file(2), of: Self.server)
        try Unreadable.damaged.put(scratch, "unread")
        #expect(try log.giveUpNeeds { _ in ["resting"] } == [])
        #expect(try log.giveUpNeeds { _ in ["unread"] } == ["unread"])
        #expect(try log.needers == ["resting"])
        #expect(try log.giveUpNeeds { _ in ["resting"] } == ["resting"])
    }

    @Test("a task's name may be longer than a file's, and its note is known by it")
    func longName() throws {
        let scratch = Scratch()
        let long = String(repeating: "\u{6f22}\u{5b57}", count: 60)
        let other = long + "~"
        let log = try Self.log(scratch)
        try log.need(long, Self.file(2), of: Self.server)
        try log.need(other, Self.file(3), of: Self.server)
        #expect(try log.needers == [long, other])
        #expect(log.needs[long]?.file == Self.file(2) && log.needs[other]?.file == Self.file(3))
        // Nobody's notes are asked for among all: none of a task that is there.
        #expect(try log.giveUpNeeds { $0.subtracting([long, other]) } == [])
        #expect(try log.giveUpNeeds { _ in [long] } == [long])
        #expect(try log.needers == [other])
        // One that can't be read has another name, by which it can be forgotten.
        let folder = "\(scratch.path)/skein/needs"
        let note = try #require(try Folder.list(folder).first)
        try Folder.replace("\(folder)/\(note)", Array("?".utf8))
        let shown = try #require(try log.needers.first)
        #expect(shown != other)
        #expect(log.forgetNeeds(of: [shown]) == [shown])
        #expect(try log.needers.isEmpty)
    }

    @Test("a note that can't be removed is given up all the same, once, until its task comes back")
    func irremovable() throws {
        let scratch = Scratch()
        let log = try Self.log(scratch)
        try log.need("running", Self.file(4), of: Self.server)
        try log.hasRead("running", Self.file(5), of: Self.server)
        try Unreadable.folder.put(scratch, "resting")
        #expect(try Self.places(log)["resting"] == Self.file(1))
        #expect(try log.giveUpNeeds { _ in ["resting"] } == ["resting"])
        #expect(log.status.warnings.count(where: { $0.contains("what resting needs") }) == 1)
        // It is there, and nobody waits for it, keeps anything for it, or tries again.
        #expect(try log.needers == ["resting", "running"])
        #expect(try Self.places(log) == ["running": Self.file(5)])
        #expect(try log.giveUpNeeds { _ in ["resting"] } == [])
        #expect(try log.notedNeeds().unread.isEmpty)
        log.purge(isPressed: true)
        #expect(Self.files(log) == [Self.file(4), Self.file(5)])
        // It goes on, and can't say what it needs: then it may be anything again.
        try log.need("resting", Self.file(5), of: Self.server, orOlder: true)
        #expect(try log.notedNeeds().unread.keys.sorted() == ["resting"])
        try log.forgetNeed("running")
        log.purge(isPressed: true)
        #expect(Self.files(log).count == 2)
        // The next process knows nothing of what this one has given up.
        let notes = RelayDirectory(path: scratch.path)
        #expect(try notes.noted().unread.count == 1)
    }

    @Test("who needs something is nobody only when that can be read")
    func unreadableNotes() throws {
        let scratch = Scratch()
        let log = try Self.log(scratch)
        try log.need("task", Self.file(3), of: Self.server)
        let needs = scratch.path + "/skein/needs"
        try Self.hide(needs)
        #expect(throws: RelayError.self) { try log.needers }
        #expect(throws: RelayError.self) { try RelayArchive(path: scratch.path).needers }
        #expect(throws: RelayError.self) { try log.giveUpNeeds { _ in ["task"] } }
        try Self.show(needs)
        #expect(try log.needers == ["task"])
    }

    @Test("at its limit, where it can't be read who needs what, it pauses, and goes on by itself")
    func unreadableAtItsLimit() async throws {
        let scratch = Scratch()
        _ = try Self.log(scratch)
        let log = try Self.opened(scratch, limit: 1)
        try log.need("task", Self.file(5), of: Self.server)
        let needs = scratch.path + "/skein/needs"
        try Self.hide(needs)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                let writer = RelayWriter(log)
                try writer.open()
                try await writer.waitForLimit()
            }
            defer { group.cancelAll() }
            try await wait(for: "the pause") { log.status.state == .paused }
            let reason = try #require(log.status.reason)
            #expect(reason.contains("limit") && reason.contains("who needs what"), "\(reason)")
            // Nobody has to give up anything for that.
            #expect(!log.status.needsRoom && Self.files(log).count == 5)
            try Self.show(needs)
            try await group.next()
        }
        #expect(Self.files(log) == [Self.file(5)])
    }

    @Test("what the machine lacks for a moment pauses the writer, and does not end it")
    func lacking() throws {
        let scratch = Scratch()
        let writer = RelayWriter(try Self.log(scratch))
        func waiting(_ code: Int32) -> RelayWriter.Pause? {
            writer.pause(after: RelayError.system("open", path: "/there", errno: code))
        }
        for (code, needsRoom) in [(ENOSPC, true), (EDQUOT, true), (EMFILE, false)] {
            let it = try #require(waiting(code))
            #expect(it.state == .paused && it.needsRoom == needsRoom)
            #expect(it.reason.contains("/there"))
        }
        #expect(waiting(EACCES) == nil)
        // Amid a cut it may not know what is there, but for a full disk.
        writer.isCutting = true
        #expect(waiting(EMFILE) == nil && waiting(ENOSPC) != nil)
        let away = RelayError.unreachable(peer: "other", detail: "away")
        #expect(writer.pause(after: away)?.state == .connecting)
    }

    @Test("who purges by age beside a note that can't be read is told which, where and what to do")
    func purgedByAge() throws {
        let scratch = Scratch()
        do { _ = try Self.log(scratch) }
        try Unreadable.damaged.put(scratch, "task")
        let note = scratch.path + "/skein/needs/task"
        func purge() throws -> [String] {
            try RelayArchive(path: scratch.path).purge(
                before: nil, olderSeconds: 0, isForced: false, now: Int64.max / 2)
        }
        let error = #expect(throws: RelayError.self) { try purge() }
        let text = error.map { "\($0)" } ?? ""
        for word in ["needed by task", note, "skein relay purge FOLDER --forget task --force"] {
            #expect(text.contains(word), "\(text)")
        }
        let archive = try RelayArchive(path: scratch.path)
        #expect(archive.unreadNotes.count == 1 && archive.files().count == 5)
        #expect(throws: RelayError.self) { try archive.forget("other") }
        try archive.forget("task", isDry: true)
        #expect(try archive.needers == ["task"])
        try archive.forget("task")
        #expect(try archive.needers == [] && archive.unreadNotes.isEmpty)
        #expect(try purge().count == 4)
    }
}
