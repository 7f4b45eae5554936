internal import MySQLCore
internal import Relay
internal import Replication
internal import Snapshot
internal import Stream
internal import Worker

// The engines' errors say in their own words what happened, where, and what to do. Here each gets
// its code, and whether it goes away.

extension OperatorError {
    /// What an operator is told about an error of the engines; `nil` for other errors.
    init?(engine error: any Error) {
        switch error {
        case let error as MigrationError: self.init(migration: error)
        case let error as SnapshotError: self.init(snapshot: error)
        case let error as ReplicationError: self.init(replication: error)
        case let error as StreamError: self.init(stream: error)
        case let error as RelayError: self.init(relay: error)
        default: return nil
        }
    }

    private init(
        _ code: String, _ error: any CustomStringConvertible, _ table: TableName? = nil,
        at position: SourcePosition? = nil, _ recovery: Recovery = .never
    ) {
        let place = [table?.description, position.map { "source position \($0)" }]
            .compactMap { $0 }
        self.init(
            code: code, message: error.description,
            place: place.isEmpty ? nil : place.joined(separator: ", "), recovery: recovery,
            action: "")
    }

    private init(migration error: MigrationError) {
        switch error {
        case .otherMigration: self.init("migration.other", error)
        case .alreadyFinished: self.init("migration.finished", error)
        case .finishing: self.init("migration.finishing", error)
        case .nothingSelected: self.init("migration.nothing", error)
        case .badPosition: self.init("migration.position", error)
        case .adoption: self.init("migration.adopt", error)
        case .targetLacks(let table, _): self.init("migration.target", error, table)
        }
    }

    private init(snapshot error: SnapshotError) {
        switch error {
        case .tableChanged(let table): self.init("copy.changed", error, table, .restart)
        case .tableAppeared(let table): self.init("copy.appeared", error, table, .restart)
        case .startsOver: self.init("copy.starts-over", error, nil, .restart)
        case .tableMissing(let table): self.init("copy.missing", error, table)
        case .rowsChanged(let table, _): self.init("copy.rows", error, table)
        case .rowTooLarge(let table, _, _): self.init("copy.row-size", error, table)
        case .targetExists(let table, _): self.init("copy.target-exists", error, table)
        case .unsupported: self.init("copy.unsupported", error)
        case .noView: self.init("copy.view", error)
        case .notCopying: self.init("copy.stopped", error)
        }
    }

    private init(replication error: ReplicationError) {
        switch error {
        case .shapeMismatch(let table, let position, _):
            self.init("apply.shape", error, table, at: position)
        case .unexpectedCount(let table, _, _, _): self.init("apply.rows", error, table)
        case .refused(let table, _): self.init("apply.refused", error, table)
        case .refusedStatement(let table, let position, _, _):
            self.init("apply.ddl-refused", error, table, at: position)
        case .unsupported(let position, _): self.init("apply.unsupported", error, at: position)
        case .changedDuringCopy(let table, let position):
            self.init("apply.changed", error, table, at: position, .restart)
        case .onlineChange(let table, let position, _):
            self.init("apply.online-ddl", error, table, at: position)
        case .undecidedDDL: self.init("apply.ddl", error)
        case .othersAreCopied: self.init("apply.waits", error, nil, .later)
        case .lostTransaction: self.init("source.lost", error)
        }
    }

    private init(stream error: StreamError) {
        switch error {
        case .noBinlog, .purged: self.init("source.binlog", error)
        case .corrupt: self.init("source.corrupt", error)
        case .sourceLostEvents: self.init("source.lost", error)
        case .unreadable: self.init("source.unreadable", error)
        case .upstreamChanged, .takenBack: self.init("source.changed", error, nil, .restart)
        case .behind: self.init("source.behind", error, nil, .later)
        case .noPlace: self.init("source.place", error)
        }
    }

    private init(relay error: RelayError) {
        switch error {
        case .system: self.init("relay.disk", error, nil, .later)
        case .inUse: self.init("relay.in-use", error, nil, .later)
        case .damaged: self.init("relay.damaged", error)
        case .missing: self.init("relay.missing", error)
        case .unusable: self.init("relay.unusable", error)
        case .needed: self.init("relay.needed", error)
        case .unreachable: self.init("relay.unreachable", error, nil, .later)
        case .otherServer: self.init("relay.other-server", error)
        }
    }
}
