internal import Checkpoint
internal import MySQLBinlog
internal import MySQLCore

/// Rows that can't be merged.
extension BatchRenderer {
    /// Puts together what can share a statement.
    mutating func arrange(_ transactions: ContiguousArray<SourceTransaction>) {
        guard let first = owners.first, let last = owners.last, first != last else { return }
        order.find(transactions)
        // Rows of one event are of one kind.
        var known: (source: Int32, kind: Int32) = (-1, 0)
        let kinds = inOrder.map { row in
            guard row.source != known.source else { return known.kind }
            let source = sources[Int(row.source)]
            let flags: Int32 =
                source.meeting.rawValue | (source.ignoresForeignKeys ? 4 : 0)
                | (row.images.beforeOffset < 0 ? 8 : 0) | (row.images.afterOffset < 0 ? 16 : 0)
            known = (row.source, number(of: source.plan) << 5 | flags)
            return known.kind
        }
        let old = inOrder
        inOrder = order.arranged(transactions: owners, kinds: kinds).map { old[Int($0)] }
    }

    mutating func writeInOrder(_ sql: inout ByteBuffer, _ flush: Flush) throws {
        var i = 0
        while i < inOrder.count {
            let first = sources[Int(inOrder[i].source)]
            setForeignKeyChecks(!(first.ignoresForeignKeys || first.meeting == .converge), &sql)
            var end = i + 1
            while end < inOrder.count, isSameKind(i, end) { end += 1 }
            try writeRun(i..<end, first, &sql, flush)
            i = end
        }
    }

    private func isSameKind(_ i: Int, _ j: Int) -> Bool {
        let a = sources[Int(inOrder[i].source)]
        let b = sources[Int(inOrder[j].source)]
        let x = inOrder[i].images
        let y = inOrder[j].images
        return a.plan === b.plan && a.meeting == b.meeting
            && a.ignoresForeignKeys == b.ignoresForeignKeys
            && (x.beforeOffset < 0) == (y.beforeOffset < 0)
            && (x.afterOffset < 0) == (y.afterOffset < 0)
    }

    private mutating func writeRun(
        _ run: Range<Int>, _ first: RowSource, _ sql: inout ByteBuffer, _ flush: Flush
    ) throws {
        let plan = first.plan
        let isInsert = inOrder[run.lowerBound].images.beforeOffset < 0
        let isDelete = inOrder[run.lowerBound].images.afterOffset < 0
        if isInsert {
            let images = run.map { after($0) }
            try writeOver(plan, images, first.meeting, &sql, flush)
        } else if isDelete, !plan.isKeyless {
            let isExact = first.meeting == .exact
            // Rows that refer to rows of their own table, or whose actions let others of them go,
            // go one by one, as the source did.
            if plan.deletesSingly {
                for row in run {
                    try writeDeletes(plan, [before(row)], &sql, flush, isExact: isExact)
                }
            } else {
                try writeDeletes(
                    plan, run.map { before($0) }, &sql, flush, isExact: isExact)
            }
        } else {
            var rest = run
            while let row = rest.first {
                // Updates that leave all keys as they are need no statement of their own.
                let many =
                    isDelete || first.meeting != .exact ? [] : rest.prefix { canUpsert(plan, $0) }
                if many.count > 1 {
                    let changed = many.filter { !isUnchanged(before($0), after($0)) }
                    try writeRows(plan, changed.map { after($0) }, .upsert, &sql, flush)
                    rest = rest.dropFirst(many.count)
                    continue
                }
                rest = rest.dropFirst()
                if isDelete {
                    try writeKeylessDelete(plan, before(row), &sql, flush)
                } else if first.meeting == .converge {
                    try writeDeletes(plan, [before(row)], &sql, flush, isExact: false)
                    try writeOver(
                        plan, [after(row)], .converge, &sql, flush, updated: inOrder[row].images)
                } else if first.meeting == .loose, mayMeetOthers(plan, row) {
                    try writeReplacement(plan, row, &sql, flush)
                } else {
                    try writeUpdate(plan, inOrder[row].source, inOrder[row].images, &sql, flush)
                }
            }
        }
    }

    /// Whether a row's update can go into one statement with others: it finds its row by the
    /// identifying key, and can't meet another one by any other key.
    private mutating func canUpsert(_ plan: TablePlan, _ row: Int) -> Bool {
        let source = sources[Int(inOrder[row].source)]
        guard !plan.isKeyless, plan.knowsUnique, !isPlain(plan), Self.isWhole(source),
            !toleratesInvalidEnums || plan.enums.isEmpty, locate(before(row)),
            locateOther(after(row))
        else { return false }
        let event = source.bytes
        return (plan.identity + plan.otherUnique).allSatisfy {
            Self.isEqual(event, values[$0], event, otherValues[$0])
        }
    }

    /// Writes rows, and what must be done with those that are there.
    private mutating func writeOver(
        _ plan: TablePlan, _ images: [BatchImage], _ meeting: Meeting, _ sql: inout ByteBuffer,
        _ flush: Flush, updated: RowImages? = nil
    ) throws {
        let form = insertForm(plan, meeting)
        if meeting == .converge, form == .insert {
            // Rows that another view has read. A REPLACE would take others' rows away by any key.
            try writeDeletes(plan, images, &sql, flush, isExact: false)
        }
        try writeRows(plan, images, form, &sql, flush, updated: updated)
    }

    private func insertForm(_ plan: TablePlan, _ meeting: Meeting) -> RowForm {
        switch meeting {
        case .exact: return .insert
        case .converge: return plan.replacing == .fails && !plan.isKeyless ? .insert : .replace
        case .loose:
            if plan.isKeyless { return .insert }
            switch plan.replacing {
            case .replaces: return .replace
            case .updates: return .overwrite
            case .fails: return .insert
            }
        }
    }

    /// Whether an updated row may get a key that another row has on the target, which is one that
    /// rules have left there: that one has to go.
    private mutating func mayMeetOthers(_ plan: TablePlan, _ row: Int) -> Bool {
        guard !plan.isKeyless, plan.replacing == .replaces else { return false }
        guard plan.knowsUnique, locate(before(row)), locateOther(after(row)) else { return true }
        let source = sources[Int(inOrder[row].source)]
        let event = source.bytes
        return !(plan.identity + plan.otherUnique).allSatisfy {
            Self.isEqual(event, values[$0], event, otherValues[$0])
        }
    }

    /// Appends what makes a row the image after, if it is there: `REPLACE .. SELECT` of constants,
    /// once if there is a row with the key, then the DELETE of the row under its key before, unless
    /// that stays the same.
    private mutating func writeReplacement(
        _ plan: TablePlan, _ row: Int, _ sql: inout ByteBuffer, _ flush: Flush
    ) throws {
        let source = sources[Int(inOrder[row].source)]
        let event = source.bytes
        let isLenient = toleratesInvalidEnums && !plan.enums.isEmpty
        if isLenient { setMode(TargetSession.lenientMode, &sql) }
        sql.append(plan.replaceSelectHead)
        try writeValues(plan, after(row), inOrder[row].images, &sql)
        sql.append(" FROM ")
        sql.append(plan.target.quoted)
        sql.append(" WHERE ")
        _ = locate(before(row))
        try writeKeyCondition(plan, event, source, &sql)
        try endStatement(Expectation(count: nil, plan: plan, kind: "update"), &sql, flush)
        if isLenient { setMode(TargetSession.strictMode, &sql) }
        guard locate(before(row)), locateOther(after(row)) else { return }
        let keepsKey = plan.identity.allSatisfy {
            Self.isEqual(event, values[$0], event, otherValues[$0])
        }
        guard !keepsKey else { return }
        sql.append(plan.deleteHead)
        try writeKeyCondition(plan, event, source, &sql)
        // Keys that differ in their bytes alone are one to the target: the row is the new one.
        sql.append(" AND NOT (")
        try source.map.locate(
            imageAt: after(row).offset, columns: source.after, in: event, into: &values)
        try writeKeyCondition(plan, event, source, &sql)
        sql.append(UInt8(ascii: ")"))
        try endStatement(Expectation(count: nil, plan: plan, kind: "delete"), &sql, flush)
    }

    private func before(_ row: Int) -> BatchImage {
        let (source, images) = inOrder[row]
        return BatchImage(source: source, offset: images.beforeOffset, length: images.beforeLength)
    }

    private func after(_ row: Int) -> BatchImage {
        let (source, images) = inOrder[row]
        return BatchImage(source: source, offset: images.afterOffset, length: images.afterLength)
    }

    private mutating func writeKeylessDelete(
        _ plan: TablePlan, _ image: BatchImage, _ sql: inout ByteBuffer, _ flush: Flush
    ) throws {
        let source = sources[Int(image.source)]
        try source.map.locate(
            imageAt: image.offset, columns: source.before, in: source.bytes, into: &values)
        sql.append(plan.deleteHead)
        try writeAllColumns(plan, source.bytes, source, &sql)
        sql.append(" LIMIT 1")
        try endStatement(
            Expectation(
                count: source.meeting == .exact ? 1 : nil, plan: plan, kind: "delete"),
            &sql, flush)
    }

    /// Appends a comparison of every base column of the located image.
    private func writeAllColumns(
        _ plan: TablePlan, _ event: RawSpan, _ source: borrowing RowSource,
        _ sql: inout ByteBuffer
    ) throws {
        sql.append(plan.constantCondition)
        var first = true
        for i in 0..<plan.columns.count
        where plan.columns[i].isWritten && !values[i].isAbsent {
            if !first { sql.append(" AND ") }
            first = false
            try plan.columns[i].appendComparison(
                event, values[i], source.map.columns[i], to: &sql)
        }
    }

    /// Whether an update of the located images gives a column a value.
    @inline(__always)
    private func isAssigned(
        _ i: Int, _ plan: TablePlan, _ source: borrowing RowSource, _ event: RawSpan,
        _ images: RowImages
    ) -> Bool {
        guard plan.columns[i].isWritten, !otherValues[i].isAbsent else { return false }
        // The target's row may be older than the image before.
        if source.meeting != .exact, !plan.identity.contains(i) { return true }
        return source.isDifference(i, images)
            ? otherValues[i].length > 0
            : !Self.isEqual(event, values[i], event, otherValues[i])
    }

    private mutating func writeUpdate(
        _ plan: TablePlan, _ number: Int32, _ images: RowImages, _ sql: inout ByteBuffer,
        _ flush: Flush
    ) throws {
        let source = sources[Int(number)]
        let event = source.bytes
        try source.map.locate(
            imageAt: images.beforeOffset, columns: source.before, in: event, into: &values)
        try source.map.locate(
            imageAt: images.afterOffset, columns: source.after, in: event, into: &otherValues)
        let start = (bytes: sql.count, statements: expectations.count)
        let isLenient = toleratesInvalidEnums && !plan.enums.isEmpty
        if isLenient { setMode(TargetSession.lenientMode, &sql) }
        var invalid: UInt32 = 0
        sql.append(plan.updateHead)
        var changed = 0
        for i in 0..<plan.columns.count where isAssigned(i, plan, source, event, images) {
            let isDifference = source.isDifference(i, images)
            if changed > 0 { sql.append(UInt8(ascii: ",")) }
            changed += 1
            if isLenient, plan.columns[i].isEnum, isInvalidEnum(event, otherValues[i]) {
                invalid += 1
            }
            sql.append(plan.columns[i].name)
            sql.append(UInt8(ascii: "="))
            if isDifference {
                try plan.columns[i].appendUpdated(
                    event, values[i], by: otherValues[i], source.map.columns[i], to: &sql)
            } else {
                try plan.columns[i].append(event, otherValues[i], source.map.columns[i], to: &sql)
            }
        }
        guard changed > 0 else {
            sql.truncate(to: start.bytes)
            expectations.removeLast(expectations.count - start.statements)
            return
        }
        // What the source has left as it is would else become now.
        for i in plan.clocks where !isAssigned(i, plan, source, event, images) {
            sql.append(UInt8(ascii: ","))
            sql.append(plan.columns[i].name)
            sql.append(UInt8(ascii: "="))
            sql.append(plan.columns[i].name)
        }
        sql.append(" WHERE ")
        if plan.isKeyless {
            try writeAllColumns(plan, event, source, &sql)
            sql.append(" LIMIT 1")
        } else {
            try writeKeyCondition(plan, event, source, &sql)
        }
        try endStatement(
            Expectation(
                count: source.meeting == .exact ? 1 : nil, plan: plan, kind: "update",
                // A row that is not there warns of nothing.
                warnings: !isLenient || invalid > 0 && source.meeting != .exact ? nil : invalid),
            &sql, flush)
        if isLenient { setMode(TargetSession.strictMode, &sql) }
    }
}
