/// What happens to an event: DM's `action` of an entry of `filters`.
public enum EventAction: String, Sendable, Hashable, Codable, CaseIterable {
    /// Migrated. In a rule: only what matches is.
    case `do` = "Do"
    /// Left out. In a rule: what matches is.
    case ignore = "Ignore"
    /// The task stops so that a person decides.
    case error = "Error"

    /// Reads the word, in any case.
    public init?(text: String) {
        guard
            let found = Self.allCases.first(where: { $0.rawValue.lowercased() == text.lowercased() }
            )
        else { return nil }
        self = found
    }
}

/// Which events an entry of DM's `filters` is about, and what happens to them. ``EventFilter``
/// applies it.
public struct EventFilterRule: Sendable, Hashable, Codable {
    /// The entry's name in the file, for messages.
    public var name: String
    /// ``NamePattern`` of the schema; never empty.
    public var schemaPattern: String
    /// ``NamePattern`` of the table; empty for all tables of the schema and for the schema itself.
    public var tablePattern: String
    /// The kinds of events and groups of them, in the order of the file, which counts: the first
    /// that covers an event or excludes it (``EventSelector/noDDL``, say) decides.
    public var events: [EventSelector]
    /// Regular expressions that DDL is searched for, without regard to case; one match is enough.
    public var sqlPatterns: [String]
    /// What happens to events that match; with ``EventAction/do``, all others are ignored.
    public var action: EventAction

    /// Makes a rule; it is checked when an ``EventFilter`` is made of it.
    public init(
        name: String, schemaPattern: String, tablePattern: String = "",
        events: [EventSelector] = [], sqlPatterns: [String] = [], action: EventAction
    ) {
        self.name = name
        self.schemaPattern = schemaPattern
        self.tablePattern = tablePattern
        self.events = events
        self.sqlPatterns = sqlPatterns
        self.action = action
    }
}
