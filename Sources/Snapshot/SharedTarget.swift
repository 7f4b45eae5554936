internal import Checkpoint
internal import MySQLCore
internal import Rules

/// Tables of the target that other sources of the task write to.
enum SharedTarget {
    /// Why a copy into such a table can't go on by itself.
    static func refusal(_ target: TableName, _ what: String, meta: MetaSchema) -> SnapshotError {
        .targetExists(
            target,
            detail: "its copy \(what), which would delete rows of other sources: delete the rows "
                + "that came from this source by hand, and what \(meta.name) says of them, or "
                + "start the whole task over")
    }
}

extension SchemaCopier {
    /// Makes sure that no other source of the task has written to tables that must start over.
    func requireUnshared(_ targets: Set<TableName>, _ mapping: TableMapping) throws {
        for target in targets.sorted() where mapping.mayBeShared(target: target) {
            guard try isShared(target, mapping) else { continue }
            throw SharedTarget.refusal(target, "must start over", meta: configuration.meta)
        }
    }
}
