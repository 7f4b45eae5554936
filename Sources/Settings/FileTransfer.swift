/// What a task does with a directory of files: DM's modes `dump` and `load`.
public struct FileTransfer: Sendable, Hashable {
    /// Into files, or from files.
    public enum Kind: String, Sendable, Hashable, CaseIterable {
        /// Rows of the source are written into files.
        case dump
        /// Files are loaded into the target.
        case load
    }

    /// Into files, or from files.
    public var kind: Kind
    /// The directory, on the worker that has the source.
    public var directory: String
    /// Connections that read, or write, rows.
    public var connections = 4
    /// Of a dump: bytes of SQL after which a table's next file begins.
    public var fileBytes = 64 << 20
    /// Of a dump: rows after which it does; `nil` for any number.
    public var rowsPerFile: Int?
    /// Of a dump: a condition that rows of every table must meet; `nil` for all rows.
    public var condition: String?
    /// Of a dump: bytes that a statement aims at; `nil` chooses.
    public var statementBytes: Int?
    /// Of a load: the time zone of TIMESTAMP values in files that name none.
    public var timeZone: String?
    /// Of a load: what becomes of a row whose key another row of the load has.
    public var duplicates = LoadSettings.Duplicates.error

    /// Names what is done where, with defaults for how.
    public init(kind: Kind, directory: String) {
        self.kind = kind
        self.directory = directory
    }

    /// Lets a relative directory begin at a folder.
    public mutating func resolve(in folder: String) {
        guard !directory.hasPrefix("/") else { return }
        var name = Substring(directory)
        while name.hasPrefix("./") { name = name.dropFirst(2) }
        directory = folder.hasSuffix("/") ? folder + name : "\(folder)/\(name)"
    }
}
