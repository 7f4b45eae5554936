internal import MySQLCore
internal import Rules

extension StatementHandler {
    /// What becomes of a sequence that was created: no target gets it.
    ///
    /// - Throws: ``ReplicationError/unsupported(_:detail:)`` where it is selected.
    func sequence(_ name: TableName, _ position: SourcePosition) throws -> Decision {
        guard catalog.mapping.selects(name) else { return .pass }
        // Whether it was there at the copy's end is not known, so that is no place to stop at.
        guard catalog.use(of: name) != .skip else {
            return .leaveOut(
                "sequence \(name) was created while tables were copied, and sequences can't be "
                    + "migrated: if it is still there, create it on the target by hand when "
                    + "applications move")
        }
        throw ReplicationError.unsupported(
            position,
            detail: "sequence \(name) was created, and sequences can't be migrated: "
                + "exclude it and start over with --fresh; create it on the target by hand "
                + "when applications move")
    }
}
