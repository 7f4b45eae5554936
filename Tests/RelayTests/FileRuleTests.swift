import Foundation
import MySQLBinlog
import MySQLCore
import Stream
import Testing

@testable import Relay

@Suite("The files of a relay log, as they were left")
struct FileRuleTests {
    private static let folder = RelayFolder(server: "0-1", number: 1)

    /// Puts files into a log, in folders in this order.
    private static func write(
        _ scratch: Scratch, _ files: [(folder: RelayFolder, number: Int, file: MadeFile)]
    ) throws -> RelayDirectory {
        let directory = RelayDirectory(path: scratch.path)
        for (folder, number, file) in files {
            if try !directory.folders().contains(folder) { try directory.add(folder) }
            try Folder.replace(directory.file(folder, "bin.00000\(number)"), file.bytes)
        }
        return directory
    }

    private static func made(
        _ numbers: ClosedRange<UInt64>, before: UInt64? = 0, next: Int? = nil
    ) -> MadeFile {
        var file = MadeFile(before: before)
        file.add(numbers)
        if let next { file.rotate(to: "bin.00000\(next)") }
        return file
    }

    /// How far the newest file is trusted when the log is opened.
    private static func opened(
        _ bytes: [UInt8], _ meta: RelayMeta?
    ) throws -> (size: UInt64, warnings: [String]) {
        let scratch = Scratch()
        let directory = RelayDirectory(path: scratch.path)
        try directory.add(folder)
        let path = directory.file(folder, "bin.000001")
        try Folder.replace(path, bytes)
        if let meta { try directory.write(meta, folder) }
        let catalog = Catalog(directory)
        try catalog.load()
        let warnings = try Recovery(catalog).run()
        let size = Folder.size(path)
        #expect((catalog.shelves.last?.end?.position.offset ?? 0) == size)
        return (size, warnings)
    }

    @Test("without checksums, only what was synced before the machine went is trusted")
    func trust() throws {
        var file = MadeFile(hasChecksums: false)
        file.add(1...3)
        let all = UInt64(file.bytes.count)
        #expect(all == file.ends[2])
        func size(
            synced: UInt64?, boot: String? = "another", of name: String = "bin.000001"
        ) throws -> UInt64 {
            try Self.opened(
                file.bytes,
                RelayMeta(file: name, position: all, gtids: "", synced: synced, boot: boot)
            ).size
        }
        #expect(try size(synced: file.ends[1]) == file.ends[1])
        // Not to the middle of a transaction.
        #expect(try size(synced: file.ends[1] + 20) == file.ends[1])
        #expect(try size(synced: all - 1) == file.ends[1])
        #expect(try size(synced: all + 100) == all)
        #expect(try size(synced: nil) == 4)
        #expect(try size(synced: 0) == 4)
        // It began after the last note, or nothing was noted at all.
        #expect(try size(synced: all, of: "bin.000000") == 4)
        #expect(try Self.opened(file.bytes, nil).size == 4)
        // The machine runs since; or DM wrote it, which says nothing of that.
        let boot = try #require(try RelayDirectory.currentBoot())
        #expect(try size(synced: file.ends[0], boot: boot) == all)
        #expect(try size(synced: nil, boot: nil) == all)
        // Checksums tell by themselves.
        var summed = MadeFile()
        summed.add(1...3)
        let meta = RelayMeta(
            file: "bin.000001", position: 4, gtids: "", synced: 4, boot: "another")
        #expect(try Self.opened(summed.bytes, meta).size == UInt64(summed.bytes.count))
        #expect(try Self.opened(summed.bytes, nil).size == UInt64(summed.bytes.count))
    }

    @Test("nothing is cut off because it can't be read how far the log was synced")
    func unreadTrust() throws {
        let scratch = Scratch()
        let directory = RelayDirectory(path: scratch.path)
        try directory.add(Self.folder)
        var file = MadeFile(hasChecksums: false)
        file.add(1...3)
        let path = directory.file(Self.folder, "bin.000001")
        try Folder.replace(path, file.bytes)
        // It leads to itself: the superuser can't read that either.
        let meta = scratch.path + "/\(Self.folder)/relay.meta"
        try FileManager.default.createSymbolicLink(atPath: meta, withDestinationPath: meta)
        let catalog = Catalog(directory)
        try catalog.load()
        #expect(throws: RelayError.self) { _ = try Recovery(catalog).run() }
        #expect(Folder.size(path) == UInt64(file.bytes.count))
    }

    @Test("what a crash tore is cut to whole transactions; what is rotten in between is kept")
    func tail() throws {
        let file = Self.made(1...3)
        func opened(flipping at: UInt64) throws -> (size: UInt64, warnings: [String]) {
            var bytes = file.bytes
            bytes[Int(at)] ^= 0x10
            return try Self.opened(bytes, nil)
        }
        for count in file.bytes.indices.dropFirst(4) {
            let size = try Self.opened(Array(file.bytes.prefix(count)), nil).size
            let whole = file.ends.last { $0 <= UInt64(count) }
            if let whole {
                #expect(size == whole, "\(count)")
            } else {
                // A head without a transaction, or none.
                #expect(size <= file.starts[0], "\(count)")
            }
        }
        // A transaction is whole behind it.
        let inner = try opened(flipping: file.ends[1] - 6)
        #expect(inner.size == file.ends[2] && inner.warnings.count == 1)
        #expect(inner.warnings.first?.contains("it is repaired when it is read") == true)
        // The newest one's last event can be torn, its first can't.
        let last = try opened(flipping: file.ends[2] - 6)
        #expect(last.size == file.ends[1] && last.warnings == [])
        let first = try opened(flipping: file.starts[2] + 20)
        #expect(first.size == file.ends[1] && first.warnings.count == 1)
        #expect(first.warnings.first?.contains("cut at \(file.ends[1])") == true)
    }

    /// The transactions that a reader is given, and the error that ends it.
    private static func read(
        _ files: [(folder: RelayFolder, number: Int, file: MadeFile)]
    ) throws -> (numbers: [UInt64], error: RelayError?) {
        let scratch = Scratch()
        _ = try write(scratch, files)
        let events = try RelayArchive(path: scratch.path).events(from: nil)
        var numbers: [UInt64] = []
        do {
            while let chunk = try events.next() {
                for entry in chunk.entries where entry.type == EventType.mariadbGTID.rawValue {
                    numbers.append(try MariaDBGTIDEvent(chunk.event(entry)).gtid.sequence)
                }
            }
        } catch let error as RelayError {
            return (numbers, error)
        }
        return (numbers, nil)
    }

    @Test("a file is followed by the one that it names, or that has all that is before")
    func follows() throws {
        func read(_ number: Int, _ first: MadeFile, _ second: MadeFile) throws -> (
            numbers: [UInt64], isMissing: Bool
        ) {
            let (numbers, error) = try Self.read([
                (Self.folder, 1, first), (Self.folder, number, second),
            ])
            guard let error else { return (numbers, false) }
            guard case .missing = error else { throw error }
            return (numbers, true)
        }
        let next = Self.made(3...4, before: 2)
        let named = try read(2, Self.made(1...2, next: 2), next)
        #expect(named.numbers == [1, 2, 3, 4] && !named.isMissing)
        // Servers pass over numbers.
        let far = try read(5, Self.made(1...2, next: 5), next)
        #expect(far.numbers == [1, 2, 3, 4] && !far.isMissing)
        // One that a crash has ended names none.
        let crashed = try read(2, Self.made(1...2), next)
        #expect(crashed.numbers == [1, 2, 3, 4] && !crashed.isMissing)
        let passed = try read(3, Self.made(1...2), next)
        #expect(passed.numbers == [1, 2, 3, 4] && !passed.isMissing)
        // What is not there is no end, and is not passed over.
        for (first, second) in [
            (Self.made(1...2, next: 2), next), (Self.made(1...2), Self.made(5...6, before: 4)),
            (Self.made(1...2), Self.made(3...4, before: nil)),
        ] {
            let hole = try read(3, first, second)
            #expect(hole.numbers == [1, 2] && hole.isMissing)
        }
    }

    @Test("where the server changed nothing is missing, and nothing comes twice")
    func border() throws {
        func read(_ server: String, _ number: Int, _ file: MadeFile) throws -> (
            numbers: [UInt64], error: RelayError?
        ) {
            try Self.read([
                (Self.folder, 1, Self.made(1...3)),
                (RelayFolder(server: server, number: 2), number, file),
            ])
        }
        for (server, number) in [("0-2", 7), ("0-2", 1), ("0-1", 1)] {
            let other = try read(server, number, Self.made(2...4, before: 1))
            #expect(other.numbers == [1, 2, 3, 4] && other.error == nil, "\(server) \(number)")
            let exact = try read(server, number, Self.made(4...5, before: 3))
            #expect(exact.numbers == [1, 2, 3, 4, 5] && exact.error == nil, "\(server) \(number)")
            let gap = try read(server, number, Self.made(5...6, before: 4))
            #expect(gap.numbers == [1, 2, 3], "\(server) \(number)")
            guard case .missing? = gap.error else {
                Issue.record("\(String(describing: gap.error))")
                continue
            }
        }
        // A later file of the same server: what lies between was never here, whatever GTIDs say.
        let later = try read("0-1", 4, Self.made(4...5, before: 3))
        #expect(later.numbers == [1, 2, 3] && later.error != nil)
    }

    @Test("a start by GTID is the first transaction that is not in it, to the event")
    func behind() throws {
        let scratch = Scratch()
        let (first, second) = (Self.made(1...3, next: 2), Self.made(4...6, before: 3))
        let directory = try Self.write(
            scratch, [(Self.folder, 1, first), (Self.folder, 2, second)])
        let catalog = Catalog(directory)
        try catalog.load()
        func place(_ text: String) throws -> BinlogPosition {
            try catalog.place(behind: .mariadb(try #require(MariaDBGTIDPosition(text)))).position
        }
        func position(_ number: Int, _ offset: UInt64) -> BinlogPosition {
            BinlogPosition(file: "bin.00000\(number)", offset: offset)
        }
        #expect(try place("") == position(1, first.starts[0]))
        #expect(try place("0-1-1") == position(1, first.starts[1]))
        #expect(try place("0-1-2") == position(1, first.starts[2]))
        // What the next file begins with.
        #expect(try place("0-1-3") == position(2, second.starts[0]))
        #expect(try place("0-1-5") == position(2, second.starts[2]))
        #expect(try place("0-1-6") == position(2, second.ends[2]))
        #expect(try place("0-1-9,5-1-1") == position(2, second.ends[2]))
        try catalog.remove(Self.folder, "bin.000001")
        #expect(try place("0-1-3") == position(2, second.starts[0]))
        #expect(throws: RelayError.self) { try place("0-1-2") }
    }
}
