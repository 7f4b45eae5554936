/// The filters of events that act on a source, out of a task's and those of the source itself.
///
/// One pair of patterns has one filter. A task's own goes before the source's, of which the first
/// counts: so does DM, where a task's filter replaces one that all tasks have.
public struct ChosenFilters: Sendable, Hashable {
    /// A filter that does not act.
    public struct Displaced: Sendable, Hashable {
        /// Its name.
        public var rule: String
        /// The filter with the same patterns that acts in its place.
        public var by: String
    }

    /// What acts: the source's first, then the task's in the order of `filter-rules`.
    public private(set) var acting: [EventFilterRule] = []
    /// Those of the source that do not.
    public private(set) var displaced: [Displaced] = []

    /// Chooses.
    ///
    /// - Throws: when two filters of the task have the same patterns. DM refuses both or keeps one,
    ///   as its version is.
    init(
        task: [EventFilterRule], source: [EventFilterRule], isCaseSensitive: Bool
    ) throws(RuleError) {
        var names: [[String]: String] = [:]
        func patterns(_ rule: EventFilterRule) -> [String] {
            [rule.schemaPattern, rule.tablePattern].map { text in
                // Case has a meaning of its own in an expression: \d and \D.
                isCaseSensitive || text.hasPrefix("~") ? text : text.lowercased()
            }
        }
        for rule in task {
            guard let other = names.updateValue(rule.name, forKey: patterns(rule)) else { continue }
            throw RuleError(
                key: "filters.\(rule.name)", text: "",
                reason: "filters.\(other) has the same schema-pattern and table-pattern: make them "
                    + "one, or write the patterns of one in another way")
        }
        for rule in source {
            if let other = names[patterns(rule)] {
                displaced.append(Displaced(rule: rule.name, by: other))
            } else {
                names[patterns(rule)] = rule.name
                acting.append(rule)
            }
        }
        acting += task
    }
}

extension SourceRules {
    /// Which filters of events act, with names compared as ``isCaseSensitive`` says.
    ///
    /// - Throws: when two of the task's have the same patterns.
    public func chosenFilters() throws(RuleError) -> ChosenFilters {
        try ChosenFilters(
            task: eventFilters, source: sourceFilters ?? [], isCaseSensitive: isCaseSensitive)
    }
}
