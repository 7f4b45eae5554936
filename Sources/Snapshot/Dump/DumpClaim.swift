internal import DumpFiles
internal import Foundation
internal import Glibc

/// The directory of a dump that a task owns: whoever goes on with the task finds by a token whether
/// a directory is the one that the task has begun in.
///
/// The token is in the directory's journal, and durable before anything else is in it. It stays
/// when the dump is whole.
public struct DumpClaim: Sendable {
    /// A dump that is whole.
    public struct Whole: Sendable, Hashable {
        /// The place of the source's binlog that it is of, for people; `nil` when it names none.
        public var position: String?
    }

    /// The directory.
    public let directory: String

    /// Names a directory; nothing is touched.
    public init(directory: String) { self.directory = directory }

    /// Makes the directory an owner's, before the owner has written down that it has begun.
    ///
    /// - Parameters:
    ///   - owner: whose it is, the same at every start.
    ///   - suffix: what makes a token of it that no directory has had before.
    /// - Returns: the token. It is a fresh one also where the owner has begun a dump there that is
    ///   not whole, and goes on: the known one may be that of an owner of the same name in another
    ///   cluster, which must not take the dump for its own any more.
    /// - Throws: `DumpFileError` when somebody else's dump is in it, or a whole one, whoever's.
    public func take(owner: String, suffix: String) throws -> String {
        let folder = try DumpFolder(directory, for: .anybody)
        if let known = folder.token, !known.hasPrefix(owner + " ") {
            throw DumpFileError(
                "another task has begun a dump in it: give another directory, or remove this one "
                    + "when nobody needs it", file: directory)
        }
        let token = "\(owner) \(suffix)"
        try folder.take(token)
        return token
    }

    /// Looks whether the dump that was begun is here, and whether it is whole.
    ///
    /// - Parameters:
    ///   - token: what the directory was given.
    ///   - begun: where that was, for people.
    ///   - rules: a digest of the rules that choose what is dumped now.
    ///   - earlierRules: the one that earlier versions would have given to a dump by them.
    /// - Returns: `nil` while it is not whole.
    /// - Throws: `DumpFileError` when it is not here, was made with other rules, or has not all its
    ///   files any more: nothing is begun anew silently.
    public func whole(
        token: String, begun: String, rules: String, earlierRules: String? = nil
    ) throws -> Whole? {
        let files = DumpDirectory(path: directory)
        let found = try isThere ? DumpFolder.head(in: files) : nil
        guard let head = found, head.token == token else {
            throw DumpFileError(
                "the dump was begun \(begun), and is not in this directory here: let the source "
                    + "run there again (\"workers\" of the source), or bring all files here; to "
                    + "dump anew, remove the task and start it again", file: directory)
        }
        guard try files.names().contains(DumpMetadata.fileName) else { return nil }
        guard let made = head.rules, made == rules || made == earlierRules else {
            throw DumpFileError(
                "the dump in it was made with other rules, and is whole: to dump what these "
                    + "choose, remove the task and start it again with another directory",
                file: directory)
        }
        try requireFiles(files)
        return Whole(position: try DumpMetadata(files.text(DumpMetadata.fileName)).place)
    }

    /// Compares the tables' files with what the journal says of them.
    private func requireFiles(_ files: DumpDirectory) throws {
        var isHead = true
        try files.lines(DumpFolder.journalName) { line in
            if isHead {
                isHead = false
                return true
            }
            guard let table = try? JSONDecoder().decode(DumpedTable.self, from: Data(line)) else {
                throw DumpFileError("it is damaged", file: DumpFolder.journalName)
            }
            for (name, size) in table.files.sorted(by: { $0.key < $1.key })
            where (try? files.size(name)) != size {
                throw DumpFileError(
                    "the dump in \(directory) is whole, but this file of it is not there as it "
                        + "was written: bring it back; to dump anew, remove the task and start it "
                        + "again with another directory", file: name)
            }
            return true
        }
    }

    /// Whether an error says only that another process writes to the directory: it can end, as that
    /// of a worker that had the task before.
    public static func isInUse(_ error: any Error) -> Bool {
        (error as? DumpFileError)?.isInUse ?? false
    }

    private var isThere: Bool { unsafe access(directory, F_OK) == 0 || errno != ENOENT }
}

extension DumpMetadata {
    /// The place of the source's binlog that the dump is of, for people; `nil` when it names none.
    var place: String? {
        guard let file = binlogFile, let offset = binlogOffset else { return nil }
        let gtids = gtids.map { $0.isEmpty ? "" : " (\($0))" } ?? ""
        return "\(file):\(offset)\(gtids)"
    }
}
