internal import DumpFiles
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
    /// - Returns: the token: a known one where the owner has begun a dump there that is not whole.
    /// - Throws: `DumpFileError` when somebody else's dump is in it, or a whole one, whoever's.
    public func take(owner: String, suffix: String) throws -> String {
        let folder = try DumpFolder(directory)
        if let known = folder.token {
            guard known.hasPrefix(owner + " ") else {
                throw DumpFileError(
                    "another task has begun a dump in it: give another directory, or remove this "
                        + "one when nobody needs it", file: directory)
            }
            return known
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
    /// - Returns: `nil` while it is not whole.
    /// - Throws: `DumpFileError` when it is not here: nothing is begun anew silently.
    public func whole(token: String, begun: String) throws -> Whole? {
        let files = DumpDirectory(path: directory)
        let names = try isThere ? files.names() : []
        let found =
            names.contains(DumpFolder.journalName)
            ? DumpFolder.token(inJournal: try files.text(DumpFolder.journalName)) : nil
        guard found == token else {
            throw DumpFileError(
                "the dump was begun \(begun), and is not in this directory here: let the source "
                    + "run there again (\"workers\" of the source), or bring all files here; to "
                    + "dump anew, remove the task and start it again", file: directory)
        }
        guard names.contains(DumpMetadata.fileName) else { return nil }
        return Whole(position: try DumpMetadata(files.text(DumpMetadata.fileName)).place)
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
