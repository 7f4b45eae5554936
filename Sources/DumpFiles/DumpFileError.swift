/// What is wrong with a dump's files: a file, or the dump as a whole.
public struct DumpFileError: Error, Sendable, Hashable, CustomStringConvertible {
    /// One sentence about what was found, without values of rows.
    public var reason: String
    /// Where in the file, as an offset of the text that it unpacks to.
    public var offset: UInt64?
    /// The file's name; `nil` until somebody who knows it adds it.
    public var file: String?
    /// Whether it is only that another process writes to the directory, which can end.
    public var isInUse = false

    /// Makes an error.
    public init(_ reason: String, at offset: UInt64? = nil, file: String? = nil) {
        self.reason = reason
        self.offset = offset
        self.file = file
    }

    /// The same error, with the name of the file that it is about.
    public func inFile(_ name: String) -> DumpFileError {
        var out = self
        out.file = file ?? name
        return out
    }

    /// The file, and the place in it; `nil` when neither is known.
    public var place: String? {
        let parts = [file, offset.map { "byte \($0)" }].compactMap { $0 }
        return parts.isEmpty ? nil : parts.joined(separator: ", ")
    }

    /// `shop.orders.sql, byte 17: ..`.
    public var description: String { (place.map { "\($0): " } ?? "") + reason }
}

/// A row that is longer than its reader was told to hold.
public struct RowTooLong: Error, Sendable, Hashable {
    /// How much of it had been read.
    public var bytes: Int
}
