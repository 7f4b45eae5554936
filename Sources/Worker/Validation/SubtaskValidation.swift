/// How the rows compare that a subtask's changes have touched, as far as they were looked at.
public struct SubtaskValidation: Sendable, Hashable, Codable {
    /// What it does.
    public enum State: String, Sendable, Hashable, Codable {
        /// It compares what is applied, soon after that.
        case running
        /// It waits; `reason` says what for.
        case waiting
    }

    /// A table with rows that differ.
    public struct Table: Sendable, Hashable, Codable {
        /// Its name on the source.
        public var name: String
        /// Rows that differ for longer than they may. Which, `skein verify` tells: no values are
        /// kept here.
        public var differingRows: Int
    }

    /// What it does.
    public var state = State.running
    /// What it waits for.
    public var reason: String?
    /// The position in the source's binlog up to which rows that were changed have been looked at.
    public var position: String?
    /// Rows that this process has looked at, each as often as a change of it was met.
    public var rows: UInt64 = 0
    /// Rows that differed when they were last looked at.
    public var pendingRows = 0
    /// Those of them that differ for longer than they may.
    public var differingRows = 0
    /// Rows that were changed and could not be looked at.
    public var lostRows: UInt64 = 0
    /// The first tables with rows that differ for longer than they may.
    public var tables: [Table] = []
    /// What is not compared, one sentence each.
    public var notes: [String] = []

    init() {}

    /// How many tables, and notes, are told.
    static let told = 50

    /// Says once what is not compared.
    mutating func note(_ text: String) {
        guard !notes.contains(text), notes.count < Self.told else { return }
        notes.append(text)
    }
}
