internal import Checkpoint
internal import MySQLBinlog
internal import MySQLCore

/// Writes the statements of a batch.
///
/// Changes of one row are merged where a key identifies rows and nothing else ties them together;
/// such tables get one DELETE, one INSERT .. ON DUPLICATE KEY UPDATE and one INSERT of many rows,
/// in this order, so that no value is still there when another row takes it. All other changes
/// are written in the order of the source.
struct BatchRenderer: ~Copyable {
    /// What a batch does to one row.
    private struct Slot {
        var key: UInt64
        var plan: Int32
        /// An image that has the key, to confirm hashes.
        var sample: BatchImage
        /// The row before the batch.
        var before = BatchImage()
        /// The row after the batch.
        var after = BatchImage()
    }

    /// Called when enough has been gathered for a packet: sends the statements, checks the
    /// replies, clears both.
    typealias Flush = (inout ByteBuffer, inout [Expectation]) throws -> Void

    private let statementBytes: Int
    private let packetBytes: Int
    var sources: ContiguousArray<RowSource> = []
    private var plans: [TablePlan] = []
    private var planNumbers: [ObjectIdentifier: Int32] = [:]
    private var slots: [Slot] = []
    private var index: [UInt64: Int32] = [:]
    var inOrder: [(source: Int32, images: RowImages)] = []
    /// Of each row ``inOrder``, the index of its transaction in the batch.
    var owners: [Int32] = []
    var order = BatchOrder()
    var values: [ColumnValue] = []
    var otherValues: [ColumnValue] = []
    var expectations: [Expectation] = []
    private var checksForeignKeys = true
    /// Whether each statement is followed by a guard, which ends the packet unless the statement
    /// did what is expected: only then may COMMIT stand in the same packet.
    var writesGuards = false
    /// Whether rows may hold ENUM's invalid member, which the target takes in another mode only.
    /// Rows of tables with ENUM columns are then written one change at a time.
    var toleratesInvalidEnums = false
    /// Which tables' updates go out as what they are, one statement a row, each of which counts the
    /// row that it finds. An upsert that leaves a row as it is can't be told from one that finds
    /// none; it is one where images differ that mean the same, as those of JSON can.
    var plainUpdates = PlainUpdates.none
    enum PlainUpdates { case none, json, all }
    /// What the fence leaves in `@skein`, to be checked by the next guard.
    var fenceProof: UInt64?

    /// - Parameters:
    ///   - statementBytes: a statement of many rows ends at about this size.
    ///   - packetBytes: a packet of statements is sent at about this size.
    init(statementBytes: Int, packetBytes: Int) {
        self.statementBytes = statementBytes
        self.packetBytes = packetBytes
    }

    /// Writes a batch's statements into `sql`, each ended by a semicolon, and appends what each
    /// must report to `expected`.
    mutating func render(
        _ transactions: ContiguousArray<SourceTransaction>, into sql: inout ByteBuffer,
        expecting expected: inout [Expectation], flush: Flush
    ) throws {
        expectations = expected
        expected = []
        gather(transactions)
        arrange(transactions)
        try writeInOrder(&sql, flush)
        setForeignKeyChecks(true, &sql)
        try writeMerged(&sql, flush)
        sources.removeAll(keepingCapacity: true)
        expected = expectations
    }

    // MARK: gathering

    private mutating func gather(_ transactions: ContiguousArray<SourceTransaction>) {
        slots.removeAll(keepingCapacity: true)
        index.removeAll(keepingCapacity: true)
        inOrder.removeAll(keepingCapacity: true)
        owners.removeAll(keepingCapacity: true)
        plans.removeAll(keepingCapacity: true)
        planNumbers.removeAll(keepingCapacity: true)
        // Rows that ignore foreign keys keep their place among those that don't.
        let tolerates = toleratesInvalidEnums
        let keepsRelatedOrder = transactions.contains { transaction in
            transaction.sources.contains {
                $0.plan.merging == .related
                    && ($0.ignoresForeignKeys || !Self.isWhole($0)
                        || tolerates && !$0.plan.enums.isEmpty || isPlain($0.plan))
            }
        }
        let unmerged = Self.unmergedPlans(transactions, withEnums: tolerates)
        for (owner, transaction) in transactions.enumerated() {
            let base = Int32(sources.count)
            sources.append(contentsOf: transaction.sources)
            for change in transaction.rows {
                let source = base + change.source
                if isMergeable(source, keepsRelatedOrder, unmerged) {
                    merge(change, source)
                } else {
                    inOrder.append((source, change.images))
                    owners.append(Int32(owner))
                }
            }
        }
    }

    /// Tables with a change that can't be merged: all their changes keep their order, since merged
    /// ones go out behind the others.
    private static func unmergedPlans(
        _ transactions: ContiguousArray<SourceTransaction>, withEnums: Bool
    ) -> Set<ObjectIdentifier> {
        var plans: Set<ObjectIdentifier> = []
        for transaction in transactions {
            for source in transaction.sources
            where !isWhole(source) || withEnums && !source.plan.enums.isEmpty {
                plans.insert(ObjectIdentifier(source.plan))
            }
        }
        return plans
    }

    private func isMergeable(
        _ source: Int32, _ keepsRelatedOrder: Bool, _ unmerged: Set<ObjectIdentifier>
    ) -> Bool {
        let source = sources[Int(source)]
        switch source.plan.merging {
        case .byKey, .bySet:
            return !isPlain(source.plan)
                && (unmerged.isEmpty || !unmerged.contains(ObjectIdentifier(source.plan)))
        case .related: return !keepsRelatedOrder
        case .inOrder: return false
        }
    }

    /// Whether updates of the table are written one by one.
    func isPlain(_ plan: TablePlan) -> Bool {
        switch plainUpdates {
        case .none: false
        case .json: plan.hasJSON
        case .all: true
        }
    }

    /// Whether the images hold all columns whole, and counts can be checked.
    static func isWhole(_ source: RowSource) -> Bool {
        source.meeting == .exact && !source.hasDifferences && source.before.isFull
            && source.after.isFull
    }

    mutating func number(of plan: TablePlan) -> Int32 {
        let id = ObjectIdentifier(plan)
        if let known = planNumbers[id] { return known }
        let number = Int32(plans.count)
        plans.append(plan)
        planNumbers[id] = number
        return number
    }

    private mutating func merge(_ change: RowChange, _ source: Int32) {
        let plan = number(of: sources[Int(source)].plan)
        let before = BatchImage(
            source: change.images.beforeOffset < 0 ? -1 : source,
            offset: change.images.beforeOffset, length: change.images.beforeLength)
        let after = BatchImage(
            source: change.images.afterOffset < 0 ? -1 : source,
            offset: change.images.afterOffset, length: change.images.afterLength)
        let keepsKey =
            before.exists && after.exists && change.beforeKey == change.afterKey
            && sameKey(plan, before, after)
        if before.exists {
            let (i, isNew) = slot(change.beforeKey, plan, before)
            if isNew { slots[i].before = before }
            slots[i].after = keepsKey ? after : BatchImage()
        }
        if after.exists, !keepsKey {
            let (i, _) = slot(change.afterKey, plan, after)
            slots[i].after = after
        }
    }

    /// The slot of the row that an image belongs to, made if absent. Hashes of keys that are no
    /// whole numbers are confirmed byte by byte; after a collision the next place is tried.
    private mutating func slot(
        _ key: UInt64, _ plan: Int32, _ image: BatchImage
    ) -> (index: Int, isNew: Bool) {
        var probe = Digest.combine(key, plans[Int(plan)].seed)
        while let found = index[probe] {
            let i = Int(found)
            if slots[i].plan == plan, slots[i].key == key,
                plans[Int(plan)].integerKey != nil || sameKey(plan, slots[i].sample, image)
            {
                return (i, false)
            }
            probe = Digest.combine(probe, 1)
        }
        index[probe] = Int32(slots.count)
        slots.append(Slot(key: key, plan: plan, sample: image))
        return (slots.count - 1, true)
    }

    private mutating func sameKey(_ plan: Int32, _ a: BatchImage, _ b: BatchImage) -> Bool {
        guard locate(a), locateOther(b) else { return false }
        let firstSource = sources[Int(a.source)]
        let secondSource = sources[Int(b.source)]
        let first = firstSource.bytes
        let second = secondSource.bytes
        for column in plans[Int(plan)].identity
        where !Self.isEqual(first, values[column], second, otherValues[column]) { return false }
        return true
    }

    /// Whether two values are the same, byte by byte; NULL is only as NULL.
    static func isEqual(
        _ a: RawSpan, _ x: ColumnValue, _ b: RawSpan, _ y: ColumnValue
    ) -> Bool {
        guard x.length == y.length else { return false }
        for i in 0..<max(0, Int(x.length)) {
            let l = unsafe a.unsafeLoad(fromByteOffset: Int(x.offset) + i, as: UInt8.self)
            let r = unsafe b.unsafeLoad(fromByteOffset: Int(y.offset) + i, as: UInt8.self)
            if l != r { return false }
        }
        return true
    }

    /// The images were read once by the assembler, so they can be read again.
    mutating func locate(_ image: BatchImage) -> Bool {
        let source = sources[Int(image.source)]
        do {
            try source.map.locate(
                imageAt: image.offset, columns: source.before, in: source.bytes, into: &values)
            return true
        } catch {
            return false
        }
    }

    mutating func locateOther(_ image: BatchImage) -> Bool {
        let source = sources[Int(image.source)]
        do {
            try source.map.locate(
                imageAt: image.offset, columns: source.after, in: source.bytes, into: &otherValues)
            return true
        } catch {
            return false
        }
    }

    // MARK: merged rows

    /// The changed rows of one table, by what happens to them.
    private struct Changes {
        var plan: TablePlan
        var deletes: [BatchImage] = []
        var updates: [BatchImage] = []
        var inserts: [BatchImage] = []
    }

    private mutating func writeMerged(_ sql: inout ByteBuffer, _ flush: Flush) throws {
        guard !slots.isEmpty else { return }
        slots.sort { ($0.plan, $0.key) < ($1.plan, $1.key) }
        var related: [Changes] = []
        var start = 0
        while start < slots.count {
            var end = start
            while end < slots.count, slots[end].plan == slots[start].plan { end += 1 }
            let changes = collect(start..<end)
            start = end
            if changes.plan.merging == .related {
                related.append(changes)
                continue
            }
            try writeDeletes(changes.plan, changes.deletes, &sql, flush)
            try writeRows(changes.plan, changes.updates, .upsert, &sql, flush)
            try writeRows(changes.plan, changes.inserts, .insert, &sql, flush)
        }
        related.sort { $0.plan.level < $1.plan.level }
        for table in related { try writeRows(table.plan, table.inserts, .insert, &sql, flush) }
        for table in related { try writeRows(table.plan, table.updates, .upsert, &sql, flush) }
        for table in related.reversed() {
            try writeDeletes(table.plan, table.deletes, &sql, flush)
        }
    }

    private mutating func collect(_ range: Range<Int>) -> Changes {
        let plan = plans[Int(slots[range.lowerBound].plan)]
        var changes = Changes(plan: plan)
        for slot in slots[range] {
            switch (slot.before.exists, slot.after.exists) {
            case (true, false): changes.deletes.append(slot.before)
            case (false, true): changes.inserts.append(slot.after)
            case (true, true) where !isUnchanged(slot.before, slot.after):
                if plan.merging == .bySet, changesUnique(plan, slot) {
                    changes.deletes.append(slot.before)
                    changes.inserts.append(slot.after)
                } else {
                    changes.updates.append(slot.after)
                }
            default: break
            }
        }
        return changes
    }

    /// Whether a changed row may get a value that another row has on the target until its turn.
    private mutating func changesUnique(_ plan: TablePlan, _ slot: Slot) -> Bool {
        guard plan.knowsUnique, locate(slot.before), locateOther(slot.after) else { return true }
        let old = sources[Int(slot.before.source)]
        let new = sources[Int(slot.after.source)]
        return !plan.otherUnique.allSatisfy {
            Self.isEqual(old.bytes, values[$0], new.bytes, otherValues[$0])
        }
    }

    func isUnchanged(_ before: BatchImage, _ after: BatchImage) -> Bool {
        let old = sources[Int(before.source)]
        let new = sources[Int(after.source)]
        return Self.isEqual(
            old.bytes, ColumnValue(offset: before.offset, length: before.length),
            new.bytes, ColumnValue(offset: after.offset, length: after.length))
    }

    enum RowForm {
        case insert, upsert, replace
        /// An INSERT that makes a row that is there the new one.
        case overwrite
    }

    mutating func writeRows(
        _ plan: TablePlan, _ images: [BatchImage], _ form: RowForm, _ sql: inout ByteBuffer,
        _ flush: Flush, updated: RowImages? = nil
    ) throws {
        var i = 0
        while i < images.count {
            let isLenient = toleratesInvalidEnums && !plan.enums.isEmpty
            if isLenient { setMode(TargetSession.lenientMode, &sql) }
            let start = sql.count
            sql.append(form == .replace ? plan.replaceHead : plan.insertHead)
            var rows: UInt64 = 0
            var invalid: UInt32 = 0
            // Servers count no more than 65,535 warnings of a statement.
            let limit: UInt64 = isLenient ? 1000 : .max
            while i < images.count, rows < limit,
                rows == 0 || sql.count - start < statementBytes
            {
                if rows > 0 { sql.append(UInt8(ascii: ",")) }
                try writeTuple(plan, images[i], updated, &sql)
                if isLenient { invalid += invalidEnums(plan, images[i]) }
                i += 1
                rows += 1
            }
            let count: UInt64?
            switch form {
            case .insert: count = rows
            case .upsert:
                sql.append(plan.upsertTail)
                count = rows * 2
            case .overwrite:
                sql.append(plan.overwriteTail)
                count = nil
            case .replace: count = nil
            }
            try endStatement(
                Expectation(
                    count: count, plan: plan,
                    kind: form == .insert ? "insert" : form == .upsert ? "update" : "replace",
                    isUpsert: form == .upsert,
                    warnings: isLenient ? invalid : nil),
                &sql, flush)
            if isLenient { setMode(TargetSession.strictMode, &sql) }
        }
    }

    /// How many ENUM values of the row that was located last are the invalid member.
    private func invalidEnums(_ plan: TablePlan, _ image: BatchImage) -> UInt32 {
        let source = sources[Int(image.source)]
        let event = source.bytes
        return UInt32(plan.enums.count { isInvalidEnum(event, values[$0]) })
    }

    func isInvalidEnum(_ event: RawSpan, _ value: ColumnValue) -> Bool {
        guard value.hasValue else { return false }
        for i in 0..<Int(value.length) {
            let byte = unsafe event.unsafeLoad(
                fromByteOffset: Int(value.offset) + i, as: UInt8.self)
            if byte != 0 { return false }
        }
        return true
    }

    mutating func setMode(_ mode: String, _ sql: inout ByteBuffer) {
        sql.append("SET sql_mode='")
        sql.append(mode)
        sql.append("';")
        expectations.append(Expectation(count: nil, plan: nil, kind: "set"))
    }

    private mutating func writeTuple(
        _ plan: TablePlan, _ image: BatchImage, _ updated: RowImages?, _ sql: inout ByteBuffer
    ) throws {
        sql.append(UInt8(ascii: "("))
        try writeValues(plan, image, updated, &sql)
        sql.append(UInt8(ascii: ")"))
    }

    /// Appends a row's values.
    ///
    /// - Parameter updated: both images, where the one to write may hold differences.
    mutating func writeValues(
        _ plan: TablePlan, _ image: BatchImage, _ updated: RowImages?, _ sql: inout ByteBuffer
    ) throws {
        let source = sources[Int(image.source)]
        let event = source.bytes
        try source.map.locate(
            imageAt: image.offset, columns: source.after, in: event, into: &values)
        if let updated, source.hasDifferences {
            try source.map.locate(
                imageAt: updated.beforeOffset, columns: source.before, in: event,
                into: &otherValues)
        }
        var first = true
        for i in 0..<plan.columns.count where plan.columns[i].isWritten {
            if !first { sql.append(UInt8(ascii: ",")) }
            first = false
            if values[i].isAbsent {
                sql.append("DEFAULT")
            } else if let updated, source.isDifference(i, updated) {
                try plan.columns[i].appendUpdated(
                    event, otherValues[i], by: values[i], source.map.columns[i], to: &sql)
            } else {
                try plan.columns[i].append(event, values[i], source.map.columns[i], to: &sql)
            }
        }
        sql.append(plan.constantValues)
    }

    mutating func writeDeletes(
        _ plan: TablePlan, _ images: [BatchImage], _ sql: inout ByteBuffer, _ flush: Flush,
        isExact: Bool = true
    ) throws {
        // Many ranges of several columns can exceed what the optimizer's memory limits allow.
        let limit = plan.identity.count == 1 ? 1000 : 200
        var i = 0
        while i < images.count {
            let start = sql.count
            sql.append(plan.deleteHead)
            var rows = 0
            while i < images.count, rows < limit, rows == 0 || sql.count - start < statementBytes {
                try writeKey(plan, images[i], rows, &sql)
                i += 1
                rows += 1
            }
            if plan.identity.count == 1 { sql.append(UInt8(ascii: ")")) }
            try endStatement(
                Expectation(
                    count: isExact ? UInt64(rows) : nil, plan: plan, kind: "delete"),
                &sql, flush)
        }
    }

    /// Appends one row's key to a list: `` `id` IN (1,2 `` or `(a=1 AND b=2) OR (..)`.
    private mutating func writeKey(
        _ plan: TablePlan, _ image: BatchImage, _ row: Int, _ sql: inout ByteBuffer
    ) throws {
        let source = sources[Int(image.source)]
        let event = source.bytes
        try source.map.locate(
            imageAt: image.offset, columns: source.before, in: event, into: &values)
        if plan.identity.count == 1 {
            let column = plan.identity[0]
            if row == 0 {
                sql.append(plan.constantCondition)
                sql.append(plan.columns[column].name)
                sql.append(" IN (")
            } else {
                sql.append(UInt8(ascii: ","))
            }
            try plan.columns[column].append(
                event, values[column], source.map.columns[column], to: &sql)
            return
        }
        sql.append(row == 0 ? "(" : " OR (")
        try writeKeyCondition(plan, event, source, &sql)
        sql.append(UInt8(ascii: ")"))
    }

    /// Appends `a=1 AND b=2` of the located image.
    func writeKeyCondition(
        _ plan: TablePlan, _ event: RawSpan, _ source: borrowing RowSource,
        _ sql: inout ByteBuffer
    ) throws {
        sql.append(plan.constantCondition)
        for (n, column) in plan.identity.enumerated() {
            if n > 0 { sql.append(" AND ") }
            sql.append(plan.columns[column].name)
            sql.append(UInt8(ascii: "="))
            try plan.columns[column].append(
                event, values[column], source.map.columns[column], to: &sql)
        }
    }

    // MARK: statements

    mutating func endStatement(
        _ expectation: Expectation, _ sql: inout ByteBuffer, _ flush: Flush
    ) throws {
        sql.append(UInt8(ascii: ";"))
        expectations.append(expectation)
        if writesGuards, let count = expectation.count {
            Self.appendGuard(count, proof: fenceProof.take(), &sql)
            expectations.append(Expectation(count: nil, plan: nil, kind: "guard"))
        }
        if sql.count >= packetBytes { try flush(&sql, &expectations) }
    }

    mutating func setForeignKeyChecks(_ on: Bool, _ sql: inout ByteBuffer) {
        guard on != checksForeignKeys else { return }
        checksForeignKeys = on
        sql.append(on ? "SET foreign_key_checks=1;" : "SET foreign_key_checks=0;")
        expectations.append(Expectation(count: nil, plan: nil, kind: "set"))
    }

    /// The session is as it was made: for the first statement of a transaction.
    mutating func resetSession() { checksForeignKeys = true }
}
