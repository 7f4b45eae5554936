internal import Checkpoint
internal import MySQLCore
internal import Rules
internal import Runtime
internal import Synchronization

/// A part of a table that a pair copies in one target transaction.
struct ChunkJob: Sendable {
    let table: Int
    let number: Int
    let from: [String]?
    let to: [String]?
    /// Whether a conflicting row may be there, read in another view.
    let replaces: Bool
    /// Whether other pairs should write to the same table at the same time.
    let isShared: Bool
}

/// What a pair does next.
enum Assignment: Sendable {
    /// Copy a part whose bounds are known.
    case copy(ChunkJob)
    /// Find the end of the next chunk, and say it by ``ChunkScheduler/stepped(_:to:)``.
    case step(table: Int, from: [String]?)
    /// Copy a table without key whole, in several transactions if need be.
    case whole(table: Int)
    /// Add the indexes that the table was created without.
    case index(table: Int)
    /// Nothing now; look again when the latch is set.
    case wait(Latch)
    /// All rows are copied.
    case end
}

/// Hands parts of tables to pairs: large tables first, pairs spread over tables, and each table
/// cut into chunks as they are taken, from its first key to its last.
final class ChunkScheduler: Sendable {
    private struct Gap {
        let number: Int
        let from: [String]?
        let to: [String]?
    }

    private struct Work {
        var name: TableName
        var isKeyed: Bool
        /// Rows read in another view may conflict on a unique key beyond the identifying one.
        var canConflict: Bool
        /// Tables of one group are read in one snapshot.
        var group: Int?
        var gaps: [Gap] = []
        /// Where the part begins that is not cut yet; `nil` when all is.
        var tail: Tail?
        var nextNumber = 0
        var isStepping = false
        var active = 0
        var snapshots: Set<Int> = []
        /// Whether indexes are still to be added.
        var lacksIndexes = false
        var isIndexing = false
        /// Whether `LOAD DATA` into it shuts other writers out.
        var locksOnLoad = false

        enum Tail { case from([String]?) }
        var hasWork: Bool { !gaps.isEmpty || (tail != nil && !isStepping) }
        var isTaken: Bool { gaps.isEmpty && tail == nil }
        var isDone: Bool { gaps.isEmpty && tail == nil && active == 0 }
    }

    private struct State {
        var work: [Work] = []
        /// The snapshot that a group of tables is read in, once its first part was taken.
        var groups: [Int: Int] = [:]
        var openRows = 0
        var openIndexes = 0
        /// All tables before it are handed out whole.
        var cursor = 0
        /// Tables that have to be worked on at once for the target's cores to be busy.
        var enough = 2
        var changed = Latch()

        mutating func wake() {
            changed.set()
            changed = Latch()
        }
    }

    private let state: Mutex<State>

    /// - Parameters:
    ///   - plan: the tables; their indexes name them here.
    ///   - done: finished chunks of earlier runs, of tables that go on.
    ///   - deferred: tables whose indexes are added after their rows.
    ///   - locksOnLoad: tables into which only one `LOAD DATA` can run at a time.
    ///   - pairs: how many pairs there are; twice the target's cores.
    init(
        plan: SnapshotPlan, done: [ChunkRecord], deferred: Set<TableName> = [],
        locksOnLoad: Set<TableName> = [], pairs: Int = 4
    ) {
        var state = State()
        state.enough = max(2, pairs / 2)
        let byTarget = plan.byTarget
        let groups = plan.exactGroups
        var groupOf: [TableName: Int] = [:]
        for (i, group) in groups.enumerated() { for name in group { groupOf[name] = i } }
        let chunks = Dictionary(grouping: done, by: \.table)
        for table in plan.tables {
            var work = Work(
                name: table.name, isKeyed: KeyOrder(table.shape) != nil,
                // Where tables are merged it would be another one's row that is replaced.
                canConflict: table.shape.keys.count(where: \.isUnique) > 1
                    && byTarget[table.target]?.count == 1
                    && !plan.mapping.mayBeShared(target: table.target),
                group: groupOf[table.name])
            Self.fill(&work, with: chunks[table.name] ?? [])
            work.locksOnLoad = locksOnLoad.contains(table.name)
            work.lacksIndexes = deferred.contains(table.name)
            if !work.isDone { state.openRows += 1 }
            if work.lacksIndexes { state.openIndexes += 1 }
            state.work.append(work)
        }
        self.state = Mutex(state)
    }

    /// Gaps between finished chunks, and the open end behind the last.
    private static func fill(_ work: inout Work, with chunks: [ChunkRecord]) {
        work.snapshots = Set(chunks.map(\.snapshot))
        var end: [String]?
        var number = 0
        for chunk in chunks.sorted(by: { $0.chunk < $1.chunk }) {
            if chunk.from != end {
                work.gaps.append(Gap(number: number, from: end, to: chunk.from))
            }
            number = chunk.chunk + 1
            end = chunk.to
            if end == nil { break }
        }
        work.nextNumber = number
        if chunks.isEmpty || end != nil { work.tail = .from(end) }
    }

    /// The next assignment for a pair that reads in `snapshot`, and tables that need an exact
    /// position in `exact`, if at all.
    func next(snapshot: Int, exact: Int?) -> Assignment {
        state.withLock { state in
            if state.openRows == 0, state.openIndexes == 0 { return .end }
            while state.cursor < state.work.count, state.work[state.cursor].isTaken {
                state.cursor += 1
            }
            var best: Int?
            for i in state.cursor..<state.work.count where state.work[i].hasWork {
                guard mayTake(i, exact, state) else { continue }
                if best.map({ state.work[i].active < state.work[$0].active }) ?? true { best = i }
                if state.work[i].active == 0 { break }
            }
            if let best {
                return take(best, state.work[best].group == nil ? snapshot : exact!, &state)
            }
            let ready = state.work.firstIndex { $0.lacksIndexes && !$0.isIndexing && $0.isDone }
            guard let ready else { return .wait(state.changed) }
            state.work[ready].isIndexing = true
            return .index(table: ready)
        }
    }

    private func mayTake(_ i: Int, _ exact: Int?, _ state: State) -> Bool {
        if state.work[i].locksOnLoad, state.work[i].active >= 2, isBusy(state) { return false }
        guard let group = state.work[i].group else { return true }
        guard let exact else { return false }
        return state.groups[group].map { $0 == exact } ?? true
    }

    /// Whether enough tables are worked on for the target to have all it can do.
    private func isBusy(_ state: State) -> Bool {
        state.work.count { $0.active > 0 } >= state.enough
    }

    private func isShared(_ i: Int, _ state: State) -> Bool {
        state.work[i].locksOnLoad && state.work[i].active > 1 && !isBusy(state)
    }

    private func take(_ i: Int, _ snapshot: Int, _ state: inout State) -> Assignment {
        if let group = state.work[i].group { state.groups[group] = snapshot }
        state.work[i].active += 1
        state.work[i].snapshots.insert(snapshot)
        if let gap = state.work[i].gaps.popLast() {
            return .copy(
                ChunkJob(
                    table: i, number: gap.number, from: gap.from, to: gap.to,
                    replaces: replaces(state.work[i]), isShared: isShared(i, state)))
        }
        guard case .from(let from)? = state.work[i].tail else {
            preconditionFailure("a table without work was taken")
        }
        state.work[i].isStepping = true
        return state.work[i].isKeyed ? .step(table: i, from: from) : .whole(table: i)
    }

    /// Whether rows of a table have to replace what they meet, as things are now: chunks of several
    /// snapshots are under way.
    func mustReplace(_ i: Int) -> Bool { state.withLock { replaces($0.work[i]) } }

    private func replaces(_ work: Work) -> Bool { work.canConflict && work.snapshots.count > 1 }

    /// The end of a chunk that ``Assignment/step(table:from:)`` asked for; `nil`: it is the last.
    func stepped(_ i: Int, to end: [String]?) -> ChunkJob {
        state.withLock { state in
            guard case .from(let from)? = state.work[i].tail else {
                preconditionFailure("a step without a tail")
            }
            let job = ChunkJob(
                table: i, number: state.work[i].nextNumber, from: from, to: end,
                replaces: replaces(state.work[i]), isShared: isShared(i, state))
            state.work[i].nextNumber += 1
            state.work[i].tail = end.map { .from($0) }
            state.work[i].isStepping = false
            state.wake()
            return job
        }
    }

    /// A part is durable on the target.
    ///
    /// - Returns: whether the table is done.
    func finished(_ i: Int, whole: Bool = false) -> Bool {
        state.withLock { state in
            state.work[i].active -= 1
            if whole {
                state.work[i].tail = nil
                state.work[i].isStepping = false
            }
            let done = state.work[i].isDone
            if done {
                state.openRows -= 1
                state.wake()
            }
            return done
        }
    }

    /// A table has all its indexes.
    func indexed(_ i: Int) {
        state.withLock { state in
            state.work[i].lacksIndexes = false
            state.openIndexes -= 1
            state.wake()
        }
    }

    /// Whether all rows are copied, or being copied by somebody.
    var isRowWorkTaken: Bool {
        state.withLock { state in state.work.allSatisfy { $0.gaps.isEmpty && $0.tail == nil } }
    }

    /// Whether all of a table's rows are durable.
    func isDone(_ name: TableName) -> Bool {
        state.withLock { $0.work.first { $0.name == name }?.isDone ?? true }
    }

    /// Tables that have nothing left to do.
    var doneTables: [TableName] {
        state.withLock { $0.work.filter(\.isDone).map(\.name) }
    }

    /// Whether a snapshot must be kept because tables that need its very view are not done.
    func needs(snapshot: Int) -> Bool {
        state.withLock { state in
            state.work.contains { work in
                guard let group = work.group, state.groups[group] == snapshot else { return false }
                return !work.isDone
            }
        }
    }

    /// Whether work is left that only a pair with another, exact view could take.
    var isStuckWithoutExactView: Bool {
        state.withLock { state in
            state.work.contains { work in
                work.hasWork && work.group.map { state.groups[$0] == nil } ?? false
            } && state.work.allSatisfy { $0.active == 0 }
        }
    }
}
