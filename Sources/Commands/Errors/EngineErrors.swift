internal import MySQLCore
internal import Relay
internal import Replication
internal import Snapshot
internal import Stream
internal import Worker

// The engines' errors say in their own words what happened and where. Here each gets its code,
// whether it goes away, and what to do, as far as its own words do not say that already.

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
        at position: SourcePosition? = nil, _ recovery: Recovery = .never, do action: String = ""
    ) {
        let place = [table?.description, position.map { "source position \($0)" }]
            .compactMap { $0 }
        self.init(
            code: code, message: error.description,
            place: place.isEmpty ? nil : place.joined(separator: ", "), recovery: recovery,
            action: action)
    }

    private init(migration error: MigrationError) {
        switch error {
        case .otherMigration: self.init("migration.other", error)
        case .alreadyFinished: self.init("migration.finished", error)
        case .finishing: self.init("migration.finishing", error)
        case .nothingSelected:
            self.init(
                "migration.nothing", error,
                do: "look at --tables, --exclude and the rules of the settings file, and that the "
                    + "source's user may see the tables; --dry-run shows what is selected")
        case .badPosition:
            self.init(
                "migration.position", error,
                do: "give --until as file:offset, as GTIDs, or as caught-up")
        case .adoption: self.init("migration.adopt", error)
        case .handOver:
            self.init(
                "migration.take-over", error,
                do: "nothing has changed: do what it says, or give this task its settings of "
                    + "before, with which it goes on; the other one keeps its tables")
        case .handedOver(_, _, let table):
            self.init(
                "migration.handed-over", error, table,
                do: "remove this task; to migrate other tables, give it another name, or leave "
                    + "out those that the other task has")
        case .takenOver(let table, _): self.init("migration.taken-over", error, table)
        case .targetLacks(let table, _): self.init("migration.target", error, table)
        }
    }

    private init(snapshot error: SnapshotError) {
        switch error {
        case .tableChanged(let table): self.init("copy.changed", error, table, .restart)
        case .tableAppeared(let table): self.init("copy.appeared", error, table, .restart)
        case .startsOver: self.init("copy.starts-over", error, nil, .restart)
        case .tableMissing(let table): self.init("copy.missing", error, table, .restart)
        case .condition(let table, _):
            self.init(
                "dump.condition", error, table,
                do: "write a condition that every table of the dump can be asked, or leave the "
                    + "table out")
        case .rowsChanged(let table, _):
            self.init(
                "copy.rows", error, table,
                do: "make the target's server and its table take the rows as they are (its "
                    + "version, the columns' types and character sets), or exclude the table "
                    + "(--exclude)")
        case .rowTooLarge(let table, _, _): self.init("copy.row-size", error, table)
        case .targetExists(let table, _): self.init("copy.target-exists", error, table)
        case .unsupported:
            self.init(
                "copy.unsupported", error,
                do: "change it on the source to what the target can have, or exclude it "
                    + "(--exclude) and create it on the target by hand")
        case .otherObject:
            self.init(
                "migration.object", error,
                do: "remove what the target refuses it for, or change or drop it on the source; "
                    + "or create it on the target by hand, as it is to be there, which the next "
                    + "--finish takes for right. Then --finish again; until then changes can be "
                    + "followed on")
        case .noView:
            self.init(
                "copy.view", error,
                do: "do what the message says on the source, and start the same command again; "
                    + "--dry-run shows by its check read-views how they could be opened")
        case .notCopying:
            self.init(
                "copy.stopped", error, nil, .restart,
                do: "see that no second skein runs the same migration")
        }
    }

    private init(replication error: ReplicationError) {
        switch error {
        case .shapeMismatch(let table, let position, _):
            self.init("apply.shape", error, table, at: position)
        case .unexpectedCount(let table, _, _, _):
            self.init(
                "apply.rows", error, table,
                do: "find who else writes to the target, and end that; then make the tables equal "
                    + "(skein verify --fix-sql FILE writes the statements), or begin anew with "
                    + "--fresh")
        case .refused(let table, _):
            self.init(
                "apply.refused", error, table,
                do: "remove on the target what it refuses the statement for, and start the same "
                    + "command again; it goes on where it stopped")
        case .refusedStatement(let table, let position, _, _):
            self.init("apply.ddl-refused", error, table, at: position)
        case .unsupported(let position, _):
            self.init(
                "apply.unsupported", error, at: position,
                do: "where the message names no other way and it is a DDL statement, decide what "
                    + "runs in its place: skein task ddl list shows it")
        case .changedDuringCopy(let table, let position):
            self.init("apply.changed", error, table, at: position, .restart)
        case .onlineChange(let table, let position, _):
            self.init("apply.online-ddl", error, table, at: position)
        case .undecidedDDL:
            self.init(
                "apply.ddl", error,
                do: "see what the target's tables are now; when they are what they were before "
                    + "the statement, or what it makes of them, start the same command again")
        case .othersAreCopied, .othersAreAwaited, .othersHaveCome:
            self.init("apply.waits", error, nil, .later)
        case .lostTransaction: self.init("source.lost", error, do: Self.lostRemedy)
        case .otherTransactions(let position):
            self.init("source.lost", error, at: position, do: Self.lostRemedy)
        }
    }

    private static let lostRemedy =
        "point --source to the server that has everything which was replicated, if there is one; "
        + "else source and target differ, and it is to begin anew with --fresh"

    private init(stream error: StreamError) {
        switch error {
        case .noBinlog, .purged: self.init("source.binlog", error)
        case .corrupt:
            self.init(
                "source.corrupt", error,
                do: "if the source's file is whole, start the same command again; else begin anew "
                    + "with --fresh")
        case .sourceLostEvents: self.init("source.lost", error, do: Self.lostRemedy)
        case .unreadable:
            self.init(
                "source.unreadable", error,
                do: "see that a MySQL or MariaDB server of a supported version answers at "
                    + "--source, not a proxy that changes its answers")
        case .upstreamChanged, .takenBack: self.init("source.changed", error, nil, .restart)
        case .behind:
            self.init(
                "source.behind", error, nil, .later,
                do: "if it is a replica, let it catch up; if it never had the rest, point "
                    + "--source to the server that has")
        case .noPlace:
            self.init(
                "source.place", error,
                do: "name a place that the source has, by --start-position, --start-gtid or "
                    + "--start-time; SHOW BINARY LOGS lists its files")
        }
    }

    private init(relay error: RelayError) {
        switch error {
        case .system:
            self.init(
                "relay.disk", error, nil, .later,
                do: "give it room and rights there, or name another folder by --relay-dir")
        case .inUse:
            self.init(
                "relay.in-use", error, nil, .later,
                do: "end the other process, or name another folder by --relay-dir")
        case .damaged:
            self.init(
                "relay.damaged", error,
                do: "put the file back from a copy of it, or of the source's own; else what it "
                    + "held is lost for this migration: begin anew with --fresh")
        case .missing:
            self.init(
                "relay.missing", error,
                do: "put the files back where one of those asked finds them; else what they held "
                    + "is lost for this migration: begin anew with --fresh")
        case .unusable:
            self.init(
                "relay.unusable", error, do: "name the folder of a relay log, or an empty one")
        case .needed: self.init("relay.needed", error)
        case .unreachable:
            self.init(
                "relay.unreachable", error, nil, .later,
                do: "see that the worker runs and can be reached: skein worker list")
        case .otherServer:
            self.init(
                "relay.other-server", error,
                do: "see that the source's address leads all workers to the same server: skein "
                    + "source show NAME")
        }
    }
}
