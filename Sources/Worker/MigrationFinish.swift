internal import Checkpoint
internal import MySQLClient
internal import MySQLCore
internal import Rules
internal import Settings
internal import Snapshot
internal import Runtime

extension Migration {
    /// The switch-over: triggers are created and events enabled, and the migration is over. No
    /// lane runs any more, and the takeover here keeps it so.
    func finish() async throws {
        board.update { $0.phase = .finishing }
        let (token, epoch) = nextRun()
        let state = try await withThread("control") {
            let session = try TargetSession(self.settings.target, role: .coordinator)
            let state = try Takeover(meta: self.meta, key: self.key).take(
                session, token: token, epoch: epoch, lanes: 0)
            let writer = try TargetSession(self.settings.target, role: .coordinator)
            let coordinator = Coordinator(
                session: writer, meta: self.meta, key: self.key, token: token)
            let switchOver = SwitchOver(meta: self.meta, key: self.key)
            let mapping = self.settings.mapping
            try switchOver.refresh(
                from: Connection(self.settings.source), where: { mapping.keeps(object: $0) },
                exceptTriggers: { mapping.isToolTrigger($0) }, by: coordinator)
            let source = try Connection(self.settings.source)
            let lacking = try switchOver.missingObjects(
                from: source, on: session.connection, where: { mapping.keeps(object: $0) })
            if let object = lacking.first {
                throw SnapshotError.unsupported(
                    object: "view or routine \(object)",
                    detail:
                        "the source has it and the target has not (\(lacking.count) in all): its "
                        + "statement was refused, see the warnings; create it there, or drop it on "
                        + "the source, and --finish again")
            }
            if !self.settings.sharesTargets {
                var tables: [TableName: TableName] = [:]
                let shapes = try StoredShapes(meta: self.meta, key: self.key)
                    .read(session.connection)
                for shape in shapes { tables[shape.name] = try mapping.target(of: shape.name) }
                try switchOver.raiseCounters(from: source, on: session.connection, tables)
            }
            // Last of all: with triggers nothing may be applied any more.
            try switchOver.run(session)
            try coordinator.setPhase("finished")
            return state
        }
        didTakeOver(state)
        relay.forget()
        board.update { $0.phase = .done }
    }
}
