import Foundation
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

    private static func opened(_ scratch: Scratch) throws -> RelayLog {
        let source = ConnectionOptions(port: 1, user: "nobody", password: Password(""))
        return try RelayLog(RelayOptions(path: scratch.path, source: source, serverID: 1))
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
        #expect(log.needers == ["old", "task"])
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
        #expect(log.needers == ["task"])
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
        #expect(try log.giveUpNeeds(of: ["resting", "far"]) == [])
        #expect(log.needers == ["resting", "running", "far"])
        #expect(try Self.places(log) == ["running": Self.file(5)])
        // The other one goes on: there is room to be made again.
        try log.need("running", Self.file(3), of: Self.server)
        #expect(try Self.places(log)["resting"] == Self.file(2))
        #expect(try log.giveUpNeeds(of: ["resting", "far"]) == ["resting"])
        #expect(log.needers == ["running", "far"])
        // What rests no more is waited for.
        try log.need("far", Self.file(5), of: Self.server)
        #expect(try Self.places(log).keys.sorted() == ["far", "running"])
        // The file that is written goes in no case.
        try log.forgetNeed("running")
        #expect(try log.giveUpNeeds(of: ["far"]) == [])
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
        // It leads to itself: the superuser can't read that either.
        func hide(_ name: String) throws {
            let path = scratch.path + "/" + name
            try Folder.move(path, to: path + "-away")
            try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: path)
        }
        try hide("skein")
        #expect(try says("who needs what"))
        #expect(try says("what was put aside"))
        #expect(try says("being written"))
        #expect(try archive().files().count == 5)
        let catalog = Catalog(RelayDirectory(path: scratch.path))
        try catalog.load()
        #expect(catalog.problems.contains { $0.contains("what was put aside") })
        try hide("server-uuid.index")
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
        #expect(try log.giveUpNeeds(of: ["resting"]) == [])
        #expect(try log.giveUpNeeds(of: ["unread"]) == ["unread"])
        #expect(log.needers == ["resting"])
        #expect(try log.giveUpNeeds(of: ["resting"]) == ["resting"])
    }
}
