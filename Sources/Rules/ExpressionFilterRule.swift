/// Which rows of a table are left out, as an entry of DM's `expression-filter` says it: those for
/// which the expression is true. ``ExpressionFilter`` applies it.
///
/// DM takes one kind of expression in an entry, except that old and new values of an update go
/// together; several entries of one table are each enough to leave a row out.
public struct ExpressionFilterRule: Sendable, Hashable, Codable {
    /// The entry's name in the file, for messages.
    public var name: String
    /// The source's schema, without wildcards.
    public var schema: String
    /// The source's table, without wildcards.
    public var table: String
    /// `insert-value-expr`: over the row of an INSERT.
    public var insertExpression: String?
    /// `update-old-value-expr`: over the row before an UPDATE.
    public var updateOldExpression: String?
    /// `update-new-value-expr`: over the row after an UPDATE. With both, both have to be true.
    public var updateNewExpression: String?
    /// `delete-value-expr`: over the row of a DELETE.
    public var deleteExpression: String?

    /// Makes a rule; it is checked when an ``ExpressionFilter`` is made of it.
    public init(
        name: String, schema: String, table: String, insertExpression: String? = nil,
        updateOldExpression: String? = nil, updateNewExpression: String? = nil,
        deleteExpression: String? = nil
    ) {
        self.name = name
        self.schema = schema
        self.table = table
        self.insertExpression = insertExpression
        self.updateOldExpression = updateOldExpression
        self.updateNewExpression = updateNewExpression
        self.deleteExpression = deleteExpression
    }
}
