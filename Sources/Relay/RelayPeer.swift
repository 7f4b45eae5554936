public import MySQLCore
public import Stream

/// The relay log of the same source that another worker keeps, as the writer of this one sees it.
public protocol RelayPeer: Sendable {
    /// How the status and errors call it.
    var name: String { get }

    /// The folders that it has with their files, oldest first.
    ///
    /// - Throws: ``RelayError/unreachable(peer:detail:)``, like the others.
    func contents() async throws -> [RelayContents]

    /// The file that a reader from a place on would begin in.
    ///
    /// - Throws: ``RelayError/missing(_:asked:)``.
    func locate(_ place: StreamPlace) async throws -> (folder: RelayFolder, file: String)

    /// Opens a reader in one of its folders, which goes on by itself when a connection is lost,
    /// and ends with the folder.
    ///
    /// - Parameter tail: the events before the place, which it must have too.
    /// - Throws: `StreamError.sourceLostEvents` when it has others.
    func reader(
        from position: BinlogPosition, in folder: RelayFolder, behind tail: EventTail
    ) async throws -> any EventReader
}

/// One folder of a relay log, as it is told to others.
public struct RelayContents: Sendable, Hashable {
    /// One file.
    public struct File: Sendable, Hashable {
        /// Its name.
        public var name: String
        /// Bytes that may be read.
        public var size: UInt64

        /// Describes a file.
        public init(name: String, size: UInt64) {
            self.name = name
            self.size = size
        }
    }

    /// The folder.
    public var folder: RelayFolder
    /// Its files, oldest first.
    public var files: [File]

    /// Describes a folder.
    public init(folder: RelayFolder, files: [File]) {
        self.folder = folder
        self.files = files
    }

    /// Where it ends; `nil` while it has no file.
    public var end: BinlogPosition? {
        files.last.map { BinlogPosition(file: $0.name, offset: $0.size) }
    }
}
