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
    /// so before it is created. What the target refuses is taken back as a whole, as long as no
    /// event is enabled; before the first one is, the phase says that there is no way back.
    func finish() async throws {
        board.update { $0.phase = .finishing }
        let (token, epoch) = nextRun()
        let state = try await withThread("control") {
            let mapping = self.settings.mapping
            let stale = try self.staleObjects(Connection(self.settings.target))
            let source = try SwitchOverSource(
                Connection(self.settings.source), where: { mapping.keeps(object: $0) },
                exceptTriggers: { mapping.isToolTrigger($0) }, definitionsOf: stale)
            let session = try TargetSession(self.settings.target, role: .coordinator)
            let state = try Takeover(meta: self.meta, key: self.key).take(
                session, token: token, epoch: epoch, lanes: 0)
            try self.switchOver(from: source, state, token)
            return state
        }
        didTakeOver(state)
        relay.forget()
        board.update { $0.phase = .done }
    }

    /// - Parameter token: that of a run which has just taken over.
    private func switchOver(
        from source: SwitchOverSource, _ state: SubtaskState, _ token: RunToken
    ) throws {
        // Statements can wait long for locks: none of these sessions is kept meanwhile.
        func coordinator() throws -> Coordinator { try self.coordinator(open(), token) }
        func open() throws -> TargetSession {
            try TargetSession(self.settings.target, role: .coordinator)
        }
        // Others may have been at it since this one looked.
        switch state.phase {
        case "follow", "complete", Self.finishing, Self.enabling: break
        case "finished": throw MigrationError.alreadyFinished(name: settings.name)
        default: throw StaleLook()
        }
        let switchOver = SwitchOver(meta: meta, key: key)
        let hasBegun = state.phase == Self.finishing || state.phase == Self.enabling
        if !hasBegun {
            // As long as nothing has begun, views and routines are made what they are to be.
            let repair = try repairObjects(switchOver, source, open(), token)
            try StaleObjects(meta: meta, key: key).write(repair.effects, by: coordinator())
            if let refusal = repair.refusal { throw refusal }
            let target = try open().connection
            try requireObjects(switchOver, source, target)
            // Once it has begun, what is there may be its own work: the list that was made then
            // tells that from what was somebody else's.
            try switchOver.refresh(from: source, comparing: target, by: coordinator())
        }
        // The session of all statements that change what the target has. Another run that was in
        // the middle of this is over before the lock is given, or finds itself replaced behind it.
        let session = try open()
        try DDLLock(session: session, meta: meta, key: key).take()
        if state.phase != Self.enabling {
            try self.coordinator(session, token).setPhase(Self.finishing)
            try raiseCounters(switchOver, source, session.connection)
            do {
                try switchOver.create(on: session, isResumed: hasBegun)
            } catch let error as SnapshotError {
                try coordinator().setPhase("follow")
                throw error
            }
        }
        try coordinator().setPhase(Self.enabling)
        try switchOver.enable(on: session)
        try coordinator().setPhase("finished")
    }

    private func coordinator(_ session: TargetSession, _ token: RunToken) -> Coordinator {
        Coordinator(session: session, meta: meta, key: key, token: token)
    }

    /// - Parameter session: its own; it gives the DDL lock back when it goes.
    private func repairObjects(
        _ switchOver: SwitchOver, _ source: SwitchOverSource, _ session: TargetSession,
        _ token: RunToken
    ) throws -> ObjectRepair {
        let isReplacing = try switchOver.isReplacing(on: session.connection)
        guard try isReplacing || !staleObjects(session.connection).isEmpty else {
            return ObjectRepair()
        }
        try DDLLock(session: session, meta: meta, key: key).take()
        let coordinator = self.coordinator(session, token)
        try coordinator.beat()
        let stale = try staleObjects(session.connection)
        // Another process was at it since the source was read.
        guard source.covers(stale) else { throw StaleLook() }
        return try switchOver.repair(stale, from: source, on: session, by: coordinator)
    }

    /// Views and routines that the target has refused, as far as they still are to be migrated.
    private func staleObjects(_ target: Connection) throws -> [StaleObject] {
        try StaleObjects(meta: meta, key: key).read(target).filter {
            settings.mapping.keeps(object: $0.id.name)
        }
    }

    private func requireObjects(
        _ switchOver: SwitchOver, _ source: SwitchOverSource, _ target: Connection
    ) throws {
        let lacking = try switchOver.missingObjects(from: source, on: target)
        guard let object = lacking.first else { return }
        throw SnapshotError.otherObject(
            object: "view or routine \(object)",
            detail: "the target has none (\(lacking.count) in all are missing)")
    }

    private func raiseCounters(
        _ switchOver: SwitchOver, _ source: SwitchOverSource, _ target: Connection
    ) throws {
        guard !settings.sharesTargets else { return }
        var tables: [TableName: TableName] = [:]
        let shapes = try StoredShapes(meta: meta, key: key).read(target)
        for shape in shapes { tables[shape.name] = try settings.mapping.target(of: shape.name) }
        try switchOver.raiseCounters(from: source, on: target, tables)
    }

    /// The phase in which triggers and disabled events may be there, and nothing is applied.
    static let finishing = "finishing"
    /// The phase in which they are there, and events may run.
    static let enabling = "enabling"

    /// Goes on with a switch-over that has begun.
    ///
    /// - Returns: `nil` when none has.
    func goOnFinishing(_ state: SubtaskState) async throws -> MigrationOutcome? {
        guard state.phase == Self.finishing || state.phase == Self.enabling else { return nil }
        guard settings.finish else { throw MigrationError.finishing(name: settings.name) }
        try await finish()
        return .finished
    }
}
