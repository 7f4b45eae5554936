internal import MySQLClient
internal import MySQLCore

/// Reads the shapes of all tables and plans their comparison.
struct Planner {
    let options: VerificationOptions
    let pair: SessionPair
    let tally: Tally

    /// The plans, by the tables' places in the options. A table that can't be compared has none,
    /// and its report says why.
    func plans() async throws -> [Int: TablePlan] {
        let source = try await pair.source.catalog(options.tables.map(\.source), estimates: true)
        let places = Set(options.tables.map(\.target)).sorted()
        let target = try await pair.target.catalog(places, estimates: false)
        let parts = try await self.parts(target)
        var out: [Int: TablePlan] = [:]
        for (index, names) in options.tables.enumerated() {
            if let reason = source.unreadable[names.source] ?? target.unreadable[names.target] {
                tally.stop(index, reason)
                continue
            }
            let (a, b) = (source.shapes[names.source], target.shapes[names.target])
            let isMerged = parts[names.target] != nil || !names.filled.isEmpty
            guard let a, let b else {
                missing(index, names, hasSource: a != nil, hasTarget: b != nil)
                continue
            }
            if options.comparesStructure {
                let findings = StructureComparison(
                    source: a, sourceFamily: source.family, target: b, targetFamily: target.family,
                    filled: names.filled, isMerged: isMerged
                ).findings()
                tally.update(index) { $0.structure = findings }
            }
            let lacking = names.filled.filter { b.columnIndex($0.name) == nil }
            guard lacking.isEmpty else {
                tally.update(index) { report in
                    report.structure += lacking.map {
                        StructureFinding(
                            .columnMissing, true,
                            "\(names.target): column \($0.name), which is filled in, is missing")
                    }
                }
                continue
            }
            guard
                var plan = TablePlan(
                    index: index, source: a, source.family, target: b, target.family,
                    filled: names.filled, comparesGenerated: options.comparesGeneratedColumns,
                    ignored: (
                        source.ignoredKeys[names.source] ?? [],
                        target.ignoredKeys[names.target] ?? []
                    ))
            else {
                tally.stop(index, "the tables have no column in common")
                continue
            }
            if let parts = parts[names.target] {
                plan.separation = parts.separation(of: names)
                if let note = plan.separation.note(names.target) {
                    tally.update(index) { $0.notes.append(note) }
                }
                if plan.isShared, plan.key == nil {
                    tally.update(index) { $0.notes.append(SharedCopies.note) }
                }
            }
            let estimate = source.estimates[names.source]
            plan.estimatedRows = estimate?.rows ?? 0
            // Estimates of a table that was just filled can say "one row" for many.
            plan.rowBytes = (estimate?.bytes ?? 0) / max(100, estimate?.rows ?? 0)
            let fitting = UInt64(options.chunkBytes) / max(1, plan.rowBytes)
            plan.chunkRows = max(1, min(options.chunkRows, Int(fitting)))
            out[index] = plan
        }
        return out
    }

    /// The parts of those tables of the target that have several.
    private func parts(_ target: Catalog) async throws -> [TableName: TableParts] {
        var out: [TableName: TableParts] = [:]
        for (name, parts) in options.partsByTarget where parts.count > 1 {
            guard let shape = target.shapes[name] else { continue }
            out[name] = try await TableParts(parts, in: shape, pair.target)
        }
        return out
    }

    private func missing(
        _ index: Int, _ names: ComparedTable, hasSource: Bool,
        hasTarget: Bool
    ) {
        let text =
            switch (hasSource, hasTarget) {
            case (true, _): "\(names.source) is missing on the target (as \(names.target))"
            case (_, true): "\(names.source) is missing on the source"
            default: "\(names.source) is missing on both sides"
            }
        tally.update(index) { $0.structure = [StructureFinding(.tableMissing, true, text)] }
    }
}

/// What a server knows about tables.
struct Catalog: Sendable {
    var family = ServerFamily.mysql
    var shapes: [TableName: TableShape] = [:]
    var estimates: [TableName: TableEstimate] = [:]
    /// Tables whose shape can't be read, with the reason.
    var unreadable: [TableName: String] = [:]
    /// Names of keys that no statement can use.
    var ignoredKeys: [TableName: Set<String>] = [:]
}

extension Session {
    /// Reads the shapes of tables; those that don't exist are missing in the result.
    func catalog(_ tables: [TableName], estimates: Bool) async throws -> Catalog {
        try await run { connection in
            let reader = SchemaReader(connection)
            var out = Catalog(family: connection.family)
            do {
                out.shapes = try reader.shapes(of: tables)
            } catch is UnknownColumnType {
                for table in tables {
                    do {
                        out.shapes[table] = try reader.shape(of: table)
                    } catch let error as UnknownColumnType {
                        out.unreadable[table] = "\(error)"
                    }
                }
            }
            for schema in Set(tables.map(\.schema)) {
                out.ignoredKeys.merge(try reader.ignoredKeys(in: schema)) { $0.union($1) }
                guard estimates else { continue }
                for table in try reader.tables(in: schema) { out.estimates[table.name] = table }
            }
            return out
        }
    }
}
