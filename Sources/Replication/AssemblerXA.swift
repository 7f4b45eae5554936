internal import MySQLBinlog
internal import MySQLCore
internal import MySQLSyntax
internal import Stream

// XA transactions: rows come with the prepare, and count where that is decided.

extension TransactionAssembler {
    /// Nobody knows yet whether it counts: its rows are read again when that is decided.
    mutating func dropPrepared() {
        guard let open = group?.transaction else { return }
        group!.isDropped = true
        group!.isApplied = true
        group!.transaction = SourceTransaction(ordinal: open.ordinal, identity: open.identity)
    }

    mutating func xa(
        _ control: TransactionControl, _ entry: EventChunk.Entry
    ) throws -> Output {
        switch control {
        case .xaStart(let xid):
            group!.isOpen = true
            beginXA(XATransactionID(xid))
            return .none
        case .xaEnd: return .none
        case .xaPrepare(let xid): return try endXA(XATransactionID(xid), entry)
        case .xaCommit(_, onePhase: true): return try endOnePhase(entry)
        case .xaCommit(let xid, onePhase: false):
            return decide(XATransactionID(xid), commits: true, entry)
        case .xaRollback(let xid): return decide(XATransactionID(xid), commits: false, entry)
        default:
            throw ReplicationError.unsupported(
                position(entry.position), detail: "an XA statement that no source writes")
        }
    }

    mutating func beginXA(_ xid: XATransactionID) {
        group!.xid = xid
        // Whether its rows count is decided later, whatever the mark says of its prepare.
        group!.isApplied = recalling.map { $0.xid != xid } ?? false
    }

    /// XA PREPARE: the rows are complete, and wait.
    mutating func endXA(
        _ xid: XATransactionID, _ entry: EventChunk.Entry
    ) throws -> Output {
        guard recalling == nil else { return try end(entry) }
        guard let group = group.take() else {
            throw ReplicationError.unsupported(
                position(entry.position), detail: "an XA PREPARE without a transaction")
        }
        prepared.prepare(
            xid, group.isDropped ? nil : group.transaction.detached(), start: group.start)
        return .passed(groupEnd(group, entry))
    }

    /// XA COMMIT .. ONE PHASE: what was prepared is decided in the same group.
    mutating func endOnePhase(_ entry: EventChunk.Entry) throws -> Output {
        let named = recalling == nil ? group?.xid : nil
        guard let xid = named, let ended = group.take() else { return try end(entry) }
        let end = groupEnd(ended, entry)
        if ended.isHeld { return .passed(end) }
        // Rows of tables that were copied behind it were taken along, as for a later decision.
        guard !ended.isDropped, let kept = ended.transaction.decided(by: end, catalog) else {
            return .recall(xid, start: ended.start, end)
        }
        return handOut(kept, end)
    }

    /// What was prepared before an image lacked values of a key does not read that as a whole.
    private func handOut(_ kept: SourceTransaction, _ end: GroupEnd) -> Output {
        if !partialKeys.isEmpty { kept.isAlone = true }
        return kept.rows.isEmpty ? .passed(end) : .transaction(kept, end)
    }

    private mutating func decide(
        _ xid: XATransactionID, commits: Bool, _ entry: EventChunk.Entry
    ) -> Output {
        let group = group.take()!
        let end = groupEnd(group, entry)
        let known = recalling == nil ? prepared.decide(xid, end: end.end) : nil
        guard commits, recalling == nil, !group.isApplied else { return .passed(end) }
        guard let kept = known?.transaction?.decided(by: end, catalog) else {
            return .recall(xid, start: known?.start, end)
        }
        kept.committedMicroseconds = group.transaction.committedMicroseconds
        return handOut(kept, end)
    }
}
