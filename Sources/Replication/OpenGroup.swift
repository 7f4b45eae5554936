internal import MySQLCore

/// A group that began with a statement and has rows behind it: CREATE TABLE .. SELECT.
///
/// The statement can't be undone and the rows commit later, both under one identity: its intent
/// stays until they have, so that a crash between them is recognised.
struct OpenGroup {
    /// A statement of an earlier run that has run; its rows did not come that far.
    private var begun: TransactionIdentity?
    private var identity: TransactionIdentity?
    private var hasIntent = false
    /// Shapes that the statement changed; they count from the group's end on.
    private(set) var shapes: [(TableName, TableShape?)] = []

    init(begun: TransactionIdentity?) { self.begun = begun }

    /// Whether such a group is being read.
    var isActive: Bool { identity != nil }

    /// Whether an earlier run has run the statement of this group.
    func hasBegun(_ identity: TransactionIdentity) -> Bool { begun == identity }

    /// The statement is done, or need not be; rows follow.
    mutating func begin(
        _ identity: TransactionIdentity, shapes: [(TableName, TableShape?)], hasIntent: Bool
    ) {
        self.identity = identity
        self.shapes = shapes
        self.hasIntent = hasIntent
    }

    /// The group is complete.
    ///
    /// - Returns: whether an intent has to be cleared when its rows are committed.
    mutating func end() -> Bool {
        defer {
            identity = nil
            shapes = []
            hasIntent = false
        }
        return hasIntent
    }
}
