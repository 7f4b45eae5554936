/// A setting that can't be used: from a file, a flag or the environment.
public struct SettingsError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The file, `nil` for flags and the environment.
    public var file: String?
    /// The line in the file, from 1.
    public var line: Int?
    /// The column in the line, in characters from 1.
    public var column: Int?
    /// One sentence of what is wrong, with what would be right.
    public var message: String

    /// Makes an error.
    public init(_ message: String, file: String? = nil, line: Int? = nil, column: Int? = nil) {
        self.message = message
        self.file = file
        self.line = line
        self.column = column
    }

    /// `skein.yaml:3:5`, as far as it is known.
    public var place: String? {
        guard let file else { return nil }
        return ([file] + [line, column].compactMap { $0.map { String($0) } }).joined(separator: ":")
    }

    /// `skein.yaml:3:5: unknown key ..`.
    public var description: String { place.map { "\($0): \(message)" } ?? message }
}
