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
    ///
    /// From the first trigger on nothing may be applied any more, whatever happens: the phase says
    /// so before it is created. What the target refuses is taken back as a whole.
    func finish() async throws {
        board.update { $0.phase = .finishing }
        let mapping = settings.mapping
        let (token, epoch) = nextRun()
        let state = try await withThread("control") {
            let source = try SwitchOverSource(
                Connection(self.settings.source), where: { mapping.keeps(object: $0) },
                exceptTriggers: { mapping.isToolTrigger($0) })
            let session = try TargetSession(self.settings.target, role: .coordinator)
            let state = try Takeover(meta: self.meta, key: self.key).take(
                session, token: token, epoch: epoch, lanes: 0)
            // Statements can wait long for locks: none of these sessions is kept meanwhile.
            func coordinator() throws -> Coordinator {
                Coordinator(
                    session: try TargetSession(self.settings.target, role: .coordinator),
                    meta: self.meta, key: self.key, token: token)
            }
            let switchOver = SwitchOver(meta: self.meta, key: self.key)
            let lacking = try switchOver.missingObjects(from: source, on: session.connection)
            if let object = lacking.first {
                throw SnapshotError.unsupported(
                    object: "view or routine \(object)",
                    detail:
                        "the source has it and the target has not (\(lacking.count) in all): its "
                        + "statement was refused, see the warnings; create it there, or drop it on "
                        + "the source, and --finish again")
            }
            // Once it has begun, what is there may be its own work: the list that was made then
            // tells that from what was somebody else's.
            if state.phase != Self.finishing {
                try switchOver.refresh(
                    from: source, leavingThoseOn: session.connection, by: coordinator())
            }
            if !self.settings.sharesTargets {
                var tables: [TableName: TableName] = [:]
                let shapes = try StoredShapes(meta: self.meta, key: self.key)
                    .read(session.connection)
                for shape in shapes { tables[shape.name] = try mapping.target(of: shape.name) }
                try switchOver.raiseCounters(from: source, on: session.connection, tables)
            }
            try coordinator().setPhase(Self.finishing)
            do {
                try switchOver.run(TargetSession(self.settings.target, role: .coordinator))
            } catch let error as SnapshotError {
                try switchOver.undo(TargetSession(self.settings.target, role: .coordinator))
                try coordinator().setPhase("follow")
                throw error
            }
            try coordinator().setPhase("finished")
            return state
        }
        didTakeOver(state)
        relay.forget()
        board.update { $0.phase = .done }
    }

    /// The phase in which triggers and events may be there, and nothing is applied.
    static let finishing = "finishing"

    /// Goes on with a switch-over that has begun.
    ///
    /// - Returns: `nil` when none has.
    func goOnFinishing(_ state: SubtaskState) async throws -> MigrationOutcome? {
        guard state.phase == Self.finishing else { return nil }
        guard settings.finish else { throw MigrationError.finishing(name: settings.name) }
        try await finish()
        return .finished
    }
}
