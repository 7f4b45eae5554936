internal import Checkpoint
internal import MySQLClient
internal import MySQLCore
internal import Rules
internal import Settings
internal import Stream
internal import Synchronization

// Tables that a task takes over from another one come with all that is known of them, at the one place
// of the binlog where both are. What would make that not the same as if one task had followed all of
// them from the start is looked for before anything changes: then the old rules can be put back, and
// the other task goes on with its tables.

/// What one migration takes over from another one, and how both stood when that was looked at.
struct HandedOverTables {
    /// The other one's task.
    let name: String
    let donor: SubtaskKey
    let donorState: SubtaskState
    /// The rules that it goes by.
    let donorRules: TableMapping
    /// Those that this one has gone by until now.
    let ownRules: TableMapping
    let change: Coordinator.HandOver
    /// Whether both are at one place, with nothing above it.
    let areMet: Bool
}

/// A run of the other task goes on, as far as the target knows: nothing is taken over before it
/// rests.
struct DonorRuns: Error {
    let name: String
    /// How often its runs have shown that they live.
    let beat: String?
}

extension Migration {
    /// How far behind the other task may be, in bytes of binlog: this one applies nothing meanwhile.
    private static let longestWay: UInt64 = 256 << 20

    /// Looks at what would come from another task, and refuses what can't.
    ///
    /// - Throws: ``MigrationError/handOver(from:detail:)``; ``DonorRuns``; ``PrecheckFailure``.
    func tablesToTakeOver(
        from name: String, _ known: SubtaskState, _ stored: MigrationIdentity,
        to identity: MigrationIdentity, _ source: Connection, _ target: Connection
    ) throws -> HandedOverTables {
        func refuse(_ why: String) -> MigrationError { .handOver(from: name, detail: why) }
        guard name != settings.name else { throw refuse("that is this task itself") }
        guard settings.mode != .full else {
            throw refuse("in mode full this task ends, and nobody would follow them")
        }
        guard known.phase == "follow", let mark = known.lowWater else {
            throw refuse("this task must follow changes, and nothing of it may be being copied")
        }
        // It goes on by them beside the other sources' rows until the two meet.
        guard let old = try stored.mapping(source).map({ settings.sharing($0) }) else {
            throw refuse("the rules of this task can't be read any more")
        }
        let donor = SubtaskKey(task: name, source: key.source)
        let (state, given) = try stateOfDonor(donor, target, refuse)
        guard let place = state.lowWater, let theirs = try given.mapping(source) else {
            throw refuse("its rules can't be read any more")
        }
        guard given.onlineRules == identity.onlineRules else {
            throw refuse(
                "one of the two tasks follows online schema changes in another way than the other "
                    + "one (online-ddl): give both the same")
        }
        for (key, state) in [(key, known), (donor, state)] {
            let objects = try StoredObjects(meta: meta, key: key).read(target)
            // What is decided about a statement would count for the tables of both.
            guard !objects.contains(where: { $0.kind == .stopped }) else {
                throw refuse(
                    "\(key.task) has stopped at a statement: decide about that, and let it go on "
                        + "first")
            }
            if let end = try openStretch(objects, state) {
                throw refuse(
                    "\(key.task) has not passed \(end), up to where DM may have applied changes")
            }
            // In a run that ends where the other one is, a statement on such a table would send it
            // back to its copy, and all would begin again.
            guard try !SubtaskLook(meta: meta, key: key).hasOpenCopy(state, target) else {
                throw refuse(
                    "\(key.task) has not passed its copy yet: let it go on until it has caught up")
            }
        }
        let own = try StoredShapes(meta: meta, key: key).read(target)
        let come = try StoredShapes(meta: meta, key: donor).read(target)
        try requireSameTables(own, come, of: donor, old, theirs, source, target, refuse)
        try requireCreated(come, by: donor, target, refuse)
        try requireOwnPlaces(own, come, refuse)
        try requireUntied(own, come, source, target, refuse)
        // What a first start would be told of all that it has then.
        try precheck(
            source, target,
            only: ["target-triggers", "event-scheduler", "expression-filters", "foreign-keys"])
        let areMet =
            mark.isSamePlace(as: place, knowing: meetingPlace.withLock { $0 })
            && known.carried.isEmpty && state.carried.isEmpty
        if !areMet { try requireNear(place, to: mark, source, refuse) }
        var change = Coordinator.HandOver(
            identity: identity.encoded, known: Set(own.map(\.name)), tables: Set(come.map(\.name)))
        change.keepsExisting = settings.intoExisting
        change.reference = meetingPlace.withLock { $0 }
        change.loose =
            (own.map(\.name).filter { old.leavesOutRows(of: $0) }
            + come.map(\.name).filter { theirs.leavesOutRows(of: $0) }).sorted()
        let new = settings.mapping
        change.stale = try objects(of: source) {
            new.keeps(object: $0) && !old.keeps(object: $0) && !theirs.keeps(object: $0)
        }.map {
            StaleObject(
                $0, position: mark.description, reason: "rules have left it out until then")
        }
        return HandedOverTables(
            name: name, donor: donor, donorState: state, donorRules: theirs, ownRules: old,
            change: change, areMet: areMet)
    }

    /// The other one's state and rules, where it rests and follows.
    private func stateOfDonor(
        _ donor: SubtaskKey, _ target: Connection, _ refuse: (String) -> MigrationError
    ) throws -> (SubtaskState, MigrationIdentity) {
        let look = SubtaskLook(meta: meta, key: donor)
        guard let state = try Takeover(meta: meta, key: donor).peek(target) else {
            throw refuse(
                "\(meta.name) on the target holds nothing of it for the source \(donor.source). What "
                    + "it was to hand over is not copied in its place: take take-over out of the "
                    + "settings where that is meant")
        }
        switch state.phase {
        case "follow": break
        case "start", "copy":
            throw refuse(
                "it has not copied all of its rows yet: let it go on until it has caught up")
        default: throw refuse("it does not follow changes any more")
        }
        if let epoch = binding?.epoch, state.epoch > epoch {
            throw refuse(
                "it was run by another cluster or process last, whose epoch is \(state.epoch) and "
                    + "not \(epoch): let this cluster run it first")
        }
        if try look.isRunning(state, target) {
            throw DonorRuns(name: donor.task, beat: try look.beat(target))
        }
        guard try !look.hasOtherSources(target) else {
            throw refuse("it has other sources, too: give the tables of each a task of their own")
        }
        guard let identity = MigrationIdentity(encoded: state.identity) else {
            throw refuse("its rules can't be read any more")
        }
        return (state, identity)
    }

    /// Refuses rules that do not want exactly what both have, each where it is.
    private func requireSameTables(
        _ own: [TableShape], _ come: [TableShape], of donor: SubtaskKey, _ old: TableMapping,
        _ theirs: TableMapping, _ source: Connection, _ target: Connection,
        _ refuse: (String) -> MigrationError
    ) throws {
        let new = settings.mapping
        let (mine, others) = (Set(own.map(\.name)), Set(come.map(\.name)))
        guard !others.isEmpty else { throw refuse("it follows no table") }
        let both = mine.intersection(others).sorted()
        guard both.isEmpty else { throw refuse("both follow \(someNames(both))") }
        let dropped = others.filter { !new.selects($0) }.sorted()
        guard dropped.isEmpty else {
            throw refuse(
                "all of its tables come, and the rules of this task leave out \(someNames(dropped))"
            )
        }
        let leaving = mine.filter { !new.selects($0) }.sorted()
        guard leaving.isEmpty else {
            throw refuse(
                "\(someNames(leaving)) would leave this task: change that before, or afterwards")
        }
        for (tables, rules) in [(mine, old), (others, theirs)] {
            for table in tables.sorted() {
                let (before, now) = (try rules.route(of: table), try new.route(of: table))
                guard before != now else { continue }
                throw refuse(
                    "\(table) would go to \(now.target), and its rows went to \(before.target): "
                        + "give it the same route in both tasks")
            }
        }
        // What either has wanted, and has no shape of, comes with its CREATE.
        let lacking = try source.baseTables().filter {
            new.selects($0) && !mine.contains($0) && !others.contains($0) && !old.selects($0)
                && !theirs.selects($0)
        }.sorted()
        guard lacking.isEmpty else {
            throw refuse(
                "\(someNames(lacking)) would come in too, and nobody has copied it: let it come to "
                    + "one of the two tasks before, or afterwards")
        }
        for left in [key, donor] {
            try requireEmptyWhereLeft(mine.union(others), [], of: left, target, refuse)
        }
    }

    /// Refuses tables that the other one has not created where this one may drop and empty all that
    /// it has: whether they were there before is known to the other one's settings only.
    private func requireCreated(
        _ come: [TableShape], by donor: SubtaskKey, _ target: Connection,
        _ refuse: (String) -> MigrationError
    ) throws {
        guard !settings.intoExisting else { return }
        let made = try StoredObjects(meta: meta, key: donor).read(target).created
        let found = Set(come.map(\.name)).subtracting(made).sorted()
        guard found.isEmpty else {
            throw refuse(
                "\(someNames(found)) may have been on the target before it, with rows of others: "
                    + "give this task into-existing, so that it never drops or empties what it has "
                    + "not created")
        }
    }

    /// Refuses tables that go where rows of others are, or may be.
    private func requireOwnPlaces(
        _ own: [TableShape], _ come: [TableShape], _ refuse: (String) -> MigrationError
    ) throws {
        let mapping = settings.mapping
        let taken = Set(try own.map { try mapping.target(of: $0.name) })
        for table in come.map(\.name).sorted() {
            let place = try mapping.target(of: table)
            if taken.contains(place) || mapping.mayBeShared(target: place) {
                throw refuse(
                    "\(table) goes to \(place), where rows of other tables go, too: tables that are "
                        + "merged come by a copy of this task's own")
            }
        }
    }

    /// Refuses tables that a foreign key ties to those that are followed here: what one task did to
    /// a parent has reached the other one's children, or has been refused, at another place.
    private func requireUntied(
        _ own: [TableShape], _ come: [TableShape], _ source: Connection, _ target: Connection,
        _ refuse: (String) -> MigrationError
    ) throws {
        func require(_ shapes: [TableShape], _ mine: Set<TableName>, _ others: Set<TableName>)
            throws
        {
            for shape in shapes.sorted(by: { $0.name < $1.name }) {
                for key in shape.foreignKeys
                where mine.contains(shape.name) && others.contains(key.parent)
                    || others.contains(shape.name) && mine.contains(key.parent)
                {
                    throw refuse(
                        "the foreign key \(key.name) of \(shape.name) refers to \(key.parent), and "
                            + "each task has one of them: tables that are tied come by a copy of "
                            + "this task's own")
                }
            }
        }
        let (mine, others) = (Set(own.map(\.name)), Set(come.map(\.name)))
        try require(own + come, mine, others)
        let all = Array(mine.union(others))
        try require(Array(SchemaReader(source).shapes(of: all).values), mine, others)
        let mapping = settings.mapping
        let here = Set(try mine.map { try mapping.target(of: $0) })
        let there = Set(try others.map { try mapping.target(of: $0) })
        try require(
            Array(SchemaReader(target).shapes(of: Array(here.union(there))).values), here, there)
    }

    /// Refuses a way that would hold this one up for long, or that leads nowhere.
    ///
    /// - Parameter place: where the other one is.
    private func requireNear(
        _ place: SourcePosition, to mark: SourcePosition, _ source: Connection,
        _ refuse: (String) -> MigrationError
    ) throws {
        guard place.origin.server == mark.origin.server else {
            guard place.gtids != .none, mark.gtids != .none,
                place.gtids.holds(mark.gtids) || mark.gtids.holds(place.gtids)
            else {
                throw refuse(
                    "it was at \(place) of another server last, and this task is at \(mark): where "
                        + "that is can't be compared. Let both go on first")
            }
            return
        }
        let session = SourceSession(source)
        guard place.binlog < mark.binlog, try session.serverName() == place.origin.server else {
            return
        }
        let files = try session.files()
        let (first, last) = (place.binlog.fileNumber, mark.binlog.fileNumber)
        guard files.contains(where: { $0.name == place.binlog.file }) else {
            throw refuse(
                "it is at \(place.binlog), and the source has purged that file: let it go on first, "
                    + "from its relay log")
        }
        let bytes = files.filter {
            let number = BinlogPosition(file: $0.name, offset: 4).fileNumber
            return number >= first && number < last
        }.reduce(mark.binlog.offset) { $0 + $1.size }
        guard bytes < place.binlog.offset + Self.longestWay else {
            throw refuse(
                "it is \((bytes - place.binlog.offset) >> 20) MiB of binlog behind, and this task "
                    + "would wait for it: let it catch up first")
        }
    }
}

extension MigrationIdentity {
    /// How tables of online schema change tools are told; `nil` where they are tables as any other.
    fileprivate var onlineRules: OnlineSchemaChangeRules? {
        guard rules == nil else { return sourceRules?.onlineSchemaChange }
        return online == true ? OnlineSchemaChangeRules() : nil
    }
}
