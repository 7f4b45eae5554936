import Foundation
import MySQLCore
import Runtime
import Stream
import Testing

@testable import Relay

@Suite("Which files of a relay log go by its rules")
struct PurgeRuleTests {
    private static let first = RelayFolder(server: "0-1", number: 1)
    private static let second = RelayFolder(server: "0-2", number: 2)

    private static func file(_ number: Int) -> String { "bin.00000\(number)" }

    private static func place(_ folder: RelayFolder, _ number: Int) -> WindowPlace {
        WindowPlace(
            segment: folder.number, position: BinlogPosition(file: file(number), offset: 500))
    }

    /// A log whose files have 1000 bytes, and were last written so many hours ago.
    private static func catalog(
        _ scratch: Scratch, _ folders: [(RelayFolder, [(number: Int, hours: Int)])]
    ) throws -> Catalog {
        let directory = RelayDirectory(path: scratch.path)
        for (folder, files) in folders {
            try directory.add(folder)
            for (number, hours) in files {
                let path = directory.file(folder, file(number))
                let rest = [UInt8](repeating: 0, count: 996)
                try Folder.replace(path, RelayDirectory.magic + rest)
                try FileManager.default.setAttributes(
                    [.modificationDate: Date(timeIntervalSinceNow: TimeInterval(-3600 * hours))],
                    ofItemAtPath: path)
            }
        }
        let catalog = Catalog(directory)
        try catalog.load()
        return catalog
    }

    private static func purge(_ catalog: Catalog, _ rules: PurgeRules) throws -> [String] {
        try Purge(catalog).run(rules, now: wallClockMicroseconds() / 1_000_000)
    }

    /// What is there, on disk and in the catalog.
    private static func left(_ catalog: Catalog) -> [String] {
        let directory = catalog.directory
        let known = catalog.shelves.flatMap { shelf in
            shelf.files.map { "\(shelf.folder)/\($0.name)" }
        }
        let there = ((try? directory.folders()) ?? []).flatMap { folder in
            ((try? directory.files(folder)) ?? []).map { "\(folder)/\($0)" }
        }
        #expect(known == there)
        return there
    }

    @Test("by age: the oldest first, none behind one that stays, and never the newest")
    func age() throws {
        let scratch = Scratch()
        let hours = [6, 5, 2, 9, 9]
        let catalog = try Self.catalog(
            scratch,
            [(Self.first, hours.enumerated().map { (number: $0.offset + 1, hours: $0.element) })])
        let gone = try Self.purge(catalog, PurgeRules(keepSeconds: 3 * 3600))
        #expect(gone == ["\(Self.first)/bin.000001", "\(Self.first)/bin.000002"])
        #expect(try Self.purge(catalog, PurgeRules(keepSeconds: 3 * 3600)) == [])
        #expect(Self.left(catalog).count == 3)
        #expect(try Self.purge(catalog, PurgeRules(keepSeconds: 3600)).count == 2)
        #expect(Self.left(catalog) == ["\(Self.first)/bin.000005"])
    }

    @Test("by size and by room: down to half of the limit, all when it presses, nothing without")
    func size() throws {
        let files = (1...6).map { (number: $0, hours: 1) }
        func fresh(_ scratch: Scratch) throws -> Catalog {
            try Self.catalog(scratch, [(Self.first, files)])
        }
        let scratches = (0..<4).map { _ in Scratch() }
        let limited = try fresh(scratches[0])
        #expect(try Self.purge(limited, PurgeRules()) == [])
        #expect(try Self.purge(limited, PurgeRules(limitBytes: 12_000)) == [])
        #expect(try Self.purge(limited, PurgeRules(limitBytes: 11_998)).count == 1)
        #expect(try Self.purge(limited, PurgeRules(limitBytes: 6000)).count == 2)
        #expect(limited.bytes == 3000 && Self.left(limited).count == 3)
        // The writer can't go on: half is not enough.
        #expect(try Self.purge(limited, PurgeRules(limitBytes: 6000, isPressed: true)).count == 2)
        #expect(Self.left(limited) == ["\(Self.first)/bin.000006"])

        let pressed = try fresh(scratches[1])
        #expect(try Self.purge(pressed, PurgeRules(isPressed: true)).count == 5)
        let short = try fresh(scratches[2])
        #expect(try Self.purge(short, PurgeRules(minimumFreeBytes: 1)) == [])
        #expect(try Self.purge(short, PurgeRules(minimumFreeBytes: .max)).count == 5)
        #expect(Self.left(short).count == 1)
    }

    /// Two servers, one after the other, with files of the same names.
    private static func twoFolders(_ scratch: Scratch) throws -> Catalog {
        let files = (1...3).map { (number: $0, hours: 1) }
        return try catalog(scratch, [(first, files), (second, files)])
    }

    @Test("what a task needs stays, with all behind it, whatever the names in other folders are")
    func needs() throws {
        let scratch = Scratch()
        let catalog = try Self.twoFolders(scratch)
        let all = PurgeRules(isPressed: true)
        try catalog.directory.setNeed("one", Self.first, Self.file(2))
        try catalog.directory.setNeed("two", Self.second, Self.file(1))
        #expect(try Self.purge(catalog, all) == ["\(Self.first)/bin.000001"])
        #expect(try Self.purge(catalog, all) == [])
        try catalog.directory.setNeed("one", Self.second, Self.file(3))
        #expect(try Self.purge(catalog, all).count == 2)
        // A folder goes with its last file.
        #expect(try catalog.directory.folders() == [Self.second])
        #expect(!Folder.exists("\(scratch.path)/\(Self.first)"))
        #expect(catalog.shelves.map(\.folder) == [Self.second])
        try catalog.directory.removeNeed("two")
        #expect(
            try Self.purge(catalog, all)
                == ["\(Self.second)/bin.000001", "\(Self.second)/bin.000002"])
        try catalog.directory.removeNeed("one")
        #expect(try Self.purge(catalog, all) == [])
        #expect(Self.left(catalog) == ["\(Self.second)/bin.000003"])
    }

    @Test("what somebody reads stays, with all behind it")
    func readers() throws {
        let scratch = Scratch()
        let catalog = try Self.twoFolders(scratch)
        let all = PurgeRules(isPressed: true)
        let slow = catalog.enterReader(Self.place(Self.first, 2))
        let quick = catalog.enterReader(Self.place(Self.second, 3))
        #expect(try Self.purge(catalog, all) == ["\(Self.first)/bin.000001"])
        #expect(try Self.purge(catalog, all) == [])
        catalog.moveReader(slow, Self.place(Self.second, 2))
        #expect(try Self.purge(catalog, all).count == 3)
        #expect(Self.left(catalog).first == "\(Self.second)/bin.000002")
        catalog.moveReader(slow, nil)
        #expect(try Self.purge(catalog, all).count == 1)
        catalog.moveReader(quick, nil)
        #expect(Self.left(catalog) == ["\(Self.second)/bin.000003"])
    }

    @Test("a file that is named is the newest of that name, unless its folder is named, too")
    func named() throws {
        func gone(_ name: String, needs: Int? = nil) throws -> [String] {
            let scratch = Scratch()
            let catalog = try Self.twoFolders(scratch)
            if let needs { try catalog.directory.setNeed("task", Self.first, Self.file(needs)) }
            let removed = try Purge(catalog).run(
                before: name, olderSeconds: nil, isForced: false, now: 0)
            #expect(Self.left(catalog).count == 6 - removed.count)
            return removed
        }
        #expect(try gone("bin.000002").count == 4)
        #expect(try gone("\(Self.second)/bin.000001").count == 3)
        #expect(try gone("\(Self.first)/bin.000002") == ["\(Self.first)/bin.000001"])
        #expect(try gone("bin.000003", needs: 2) == ["\(Self.first)/bin.000001"])
        #expect(throws: RelayError.self) { try gone("bin.000003", needs: 1) }
        #expect(throws: RelayError.self) { try gone("bin.000004") }
        #expect(throws: RelayError.self) { try gone("0-3.000003/bin.000002") }
    }
}
