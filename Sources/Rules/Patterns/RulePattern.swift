extension NamePattern {
    /// Reads a rule's pattern; an error tells the rule.
    init(_ text: String, of key: String, isCaseSensitive: Bool) throws(RuleError) {
        guard !text.isEmpty else {
            throw RuleError(key: key, text: "", reason: "a pattern is missing")
        }
        do throws(RegularExpression.Failure) {
            try self.init(text, isCaseSensitive: isCaseSensitive)
        } catch {
            throw RuleError(key: key, text: text, offset: error.offset, reason: error.reason)
        }
    }
}

extension RegularExpression {
    /// Reads a rule's expression; an error tells the rule.
    init(
        _ text: String, of key: String, isCaseInsensitive: Bool = false
    ) throws(RuleError) {
        do throws(Failure) {
            try self.init(text, isCaseInsensitive: isCaseInsensitive)
        } catch {
            throw RuleError(key: key, text: text, offset: error.offset, reason: error.reason)
        }
    }
}
