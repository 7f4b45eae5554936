internal import Checkpoint
internal import DumpFiles
internal import MySQLClient
internal import MySQLCore
internal import Runtime
internal import Synchronization

/// Dumps tables into a directory, in the layout that mydumper, Dumpling and their loaders share, as
/// of one place of the source's binlog.
///
/// Order of a run: definitions are read, views open at one place, definitions are read again and
/// must be the same; readers write tables, each with its definition as the view's transaction holds
/// it; then all else is written; the binlog must have no statement by which a table's name could
/// have become another table's; `metadata` is last.
public final class DumpEngine: Sendable {
    private let configuration: DumpConfiguration
    private let progress: TransferProgress

    /// Makes an engine; nothing is touched.
    public init(configuration: DumpConfiguration, progress: TransferProgress) {
        self.configuration = configuration
        self.progress = progress
    }

    /// Dumps.
    ///
    /// - Parameter log: called with what an operator should know.
    /// - Throws: `DumpFileError`, ``SnapshotError``, `MySQLError`; `CancellationError` within
    ///   seconds after the task was cancelled. The same call, made again, keeps tables that are
    ///   whole and have not changed.
    public func run(log: @escaping @Sendable (String) -> Void) async throws -> DumpResult {
        let interrupts = Interrupts()
        do {
            return try await withTaskCancellationHandler {
                try await attempt(interrupts, log)
            } onCancel: {
                interrupts.fire()
            }
        } catch {
            try Task.checkCancellation()
            throw error
        }
    }

    /// What the readers share.
    private struct Work: Sendable {
        var views: [SourceView]
        var position: SourcePosition
        /// The last place of the binlog that is known to be the same: the other one can be the
        /// beginning of its file.
        var lastPosition: SourcePosition
        var catalog: DumpCatalog
        var kept: [DumpedTable]
        /// Tables that are to be read, those with most bytes first.
        var queue: DumpQueue
        var started: String
    }

    private func attempt(
        _ interrupts: Interrupts, _ log: @escaping @Sendable (String) -> Void
    ) async throws -> DumpResult {
        let folder = try DumpFolder(
            configuration.directory, for: .owner(configuration.token))
        let work = try await withThread("dump-lead") {
            try self.prepare(folder, interrupts, log)
        }
        progress.update { $0.stage = .rows }
        let total = RowTotal(work.kept.reduce(0) { $0 + $1.rows })
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (i, view) in work.views.enumerated() {
                let reader = DumpReader(
                    view: view, folder: folder, configuration: configuration, progress: progress)
                group.addTask {
                    try await withThread("dump-\(i)") {
                        while let table = work.queue.next() {
                            try Task.checkCancellation()
                            let done = try reader.dump(table.key, as: table.value)
                            try folder.record(done)
                            total.add(done.rows)
                            reader.progress.update { $0.tablesDone += 1 }
                        }
                    }
                }
            }
            do {
                while try await group.next() != nil {}
            } catch {
                interrupts.fire()
                group.cancelAll()
                throw error
            }
        }
        try Task.checkCancellation()
        progress.update { $0.stage = .objects }
        try await withThread("dump-objects") {
            try self.writeRest(work, folder, interrupts)
        }
        progress.update { $0.stage = .done }
        return DumpResult(
            position: work.position, tables: work.catalog.tables.count, kept: work.kept.count,
            rows: total.value)
    }

    /// Reads what there is and opens views such that nothing of it has changed between.
    private func prepare(
        _ folder: DumpFolder, _ interrupts: Interrupts, _ log: (String) -> Void
    ) throws -> Work {
        let source = try SourceView.connect(configuration.source)
        try interrupts.add(source.interrupter)
        try SourceLogging.check(source)
        let started = configuration.now()
        for attempt in 1... {
            let (before, sizes) = try DumpCatalog.read(source, configuration.selection)
            guard !before.tables.isEmpty || !before.objects.isEmpty else {
                throw SnapshotError.noView(
                    detail: "nothing of the source is selected, or its user may not see it")
            }
            try before.checkNames(suffix: configuration.compression.suffix)
            let planned = before.tables.keys.sorted().map { name in
                PlannedTable(
                    shape: TableShape(name: name, columns: [], keys: []), estimatedRows: 0,
                    estimatedBytes: 0, needsExactView: true)
            }
            let views = try SnapshotViews(
                source: configuration.source, origin: configuration.origin,
                interrupts: interrupts, tables: planned
            ).openAligned(configuration.readers)
            let (after, _) = try DumpCatalog.read(source, configuration.selection)
            if before != after {
                guard attempt < 5 else {
                    throw SnapshotError.noView(
                        detail: "definitions keep changing on the source; try again when none is")
                }
                continue
            }
            guard let exact = views[0].exact else { throw CancellationError() }
            let position = exact.low
            if views.count < configuration.readers {
                log("the source is busy and its lock is not to be had: one connection reads all")
            }
            let kept = try keep(folder, at: position, before, log)
            let names = Set(kept.map(\.table))
            let open = before.tables.filter { !names.contains($0.key) }.sorted {
                (sizes[$1.key]?.bytes ?? 0, $0.key) < (sizes[$0.key]?.bytes ?? 0, $1.key)
            }
            progress.update {
                $0.tables = before.tables.count
                $0.tablesDone = kept.count
                $0.estimatedRows = sizes.values.reduce(0) { $0 + $1.rows }
            }
            return Work(
                views: views, position: position, lastPosition: exact.high ?? position,
                catalog: before, kept: kept, queue: DumpQueue(open), started: started)
        }
        preconditionFailure("the loop ends by return or throw")
    }

    /// Decides what stays of an earlier try: tables that were whole, and of which the binlog has
    /// nothing from its place to this one, nor of the tables whose changes foreign keys hand on.
    private func keep(
        _ folder: DumpFolder, at position: SourcePosition, _ catalog: DumpCatalog,
        _ log: (String) -> Void
    ) throws -> [DumpedTable] {
        let options =
            "\(configuration.compression.rawValue) \(configuration.fileBytes) "
            + "\(configuration.rowsPerFile ?? 0) \(configuration.statementBytes)"
            + (configuration.rowRules.map { " ROWS \($0)" } ?? "")
            + (configuration.condition.map { " WHERE \($0)" } ?? "")
        var kept: [DumpedTable] = []
        if let earlier = try folder.earlier(options: options) {
            let changed: Set<TableName>?
            if configuration.condition.map(DumpCondition.isOfTheRow) == false {
                changed = nil
            } else if earlier.position == position {
                changed = []
            } else if position.continues(earlier.position) {
                changed = try configuration.changes(earlier.position, position)
            } else {
                changed = nil
            }
            if let changed {
                var names = Set(earlier.tables.map(\.table)).subtracting(changed)
                    .filter { catalog.tables[$0] != nil }
                // At the same place keys have changed nothing either.
                if earlier.position != position { names = catalog.children.unchanged(names) }
                kept = earlier.tables.filter { names.contains($0.table) }
                log(
                    "an earlier try has dumped \(earlier.tables.count) tables whole; "
                        + "\(kept.count) of them have not changed since, and stay")
            } else {
                log(
                    "an earlier try is there; which rows it would have now can't be told, "
                        + "so the dump begins again")
            }
        }
        try folder.begin(
            at: position, options: options, rules: configuration.rules, keeping: kept)
        return kept
    }

    /// Writes what is no table, and the end.
    private func writeRest(
        _ work: Work, _ folder: DumpFolder, _ interrupts: Interrupts
    ) throws {
        let source = try SourceView.connect(configuration.source)
        try interrupts.add(source.interrupter)
        let writer = DefinitionWriter(folder: folder, compression: configuration.compression)
        for (name, statement) in work.catalog.schemas.sorted(by: { $0.key < $1.key }) {
            try writer.write(
                DumpFileName.database(name), [DefinitionWriter.head, statement + ";\n"])
        }
        for sequence in work.catalog.sequences.sorted() {
            try writer.write(sequence: sequence, source)
        }
        try writer.write(work.catalog.objects)
        try Task.checkCancellation()
        try checkNames(work)
        let position = work.position
        try folder.finish(
            DumpMetadata(
                started: work.started, finished: configuration.now(),
                binlogFile: position.binlog.file, binlogOffset: position.binlog.offset,
                gtids: position.gtids.description
            ).text)
    }
}

extension DumpEngine {
    /// Makes sure that each table was read under the name that it had when the views were opened: of
    /// two tables with one definition that change names, a view shows the other's rows.
    private func checkNames(_ work: Work) throws {
        let kept = Set(work.kept.map(\.table))
        let named = NamedTables(
            work.catalog.tables.keys.filter { !kept.contains($0) } + work.catalog.sequences)
        guard !named.isEmpty else { return }
        var changed: TableName?
        let isKnown = try configuration.statements(work.lastPosition) { schema, sql in
            changed = named.first(in: sql, schema: schema)
            return changed == nil
        }
        if let changed { throw SnapshotError.tableChanged(changed) }
        guard isKnown else {
            throw SnapshotError.noView(
                detail: "the source's binlog from \(work.lastPosition.binlog) on can't be read any "
                    + "more, so that it can't be told whether tables were renamed during the dump; "
                    + "see that its user may read the binlog (REPLICATION SLAVE) and that binlogs "
                    + "are kept for longer than the dump takes")
        }
    }
}

/// Rows of all tables that are whole.
private final class RowTotal: Sendable {
    private let rows: Mutex<UInt64>

    init(_ rows: UInt64) { self.rows = Mutex(rows) }

    var value: UInt64 { rows.withLock { $0 } }

    func add(_ n: UInt64) { rows.withLock { $0 += n } }
}

/// Tables that nobody has taken yet.
final class DumpQueue: Sendable {
    /// A table, with the digest of its definition.
    typealias Entry = (key: TableName, value: [UInt8])

    private let left: Mutex<[Entry]>

    /// - Parameter tables: in the order in which they are begun.
    init(_ tables: [Entry]) { left = Mutex(tables.reversed()) }

    func next() -> Entry? { left.withLock { $0.popLast() } }
}
