/// What is wrong with a rule, and where in it.
public struct RuleError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The rule's name or list with the key inside, as files spell it: `do-tables[2].tbl-name`,
    /// `routes.shop.schema-pattern`.
    public var key: String
    /// The text that is refused; empty where a text is missing.
    public var text: String
    /// Where in the text, in bytes of UTF-8.
    public var offset: Int
    /// What is wrong, in words that go behind a colon.
    public var reason: String

    /// Makes an error.
    public init(key: String, text: String, offset: Int = 0, reason: String) {
        self.key = key
        self.text = text
        self.offset = offset
        self.reason = reason
    }

    /// One sentence.
    public var description: String {
        text.isEmpty
            ? "\(key): \(reason)" : "\(key): \(reason) at character \(offset + 1) of '\(text)'"
    }
}
