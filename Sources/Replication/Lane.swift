internal import Checkpoint
internal import MySQLClient
internal import MySQLCore
internal import Runtime
internal import Stream
internal import Synchronization

/// One target connection that applies batches. Lives on a thread of its own.
final class Lane {
    private let number: Int
    private let session: TargetSession
    private let fence: Fence
    private let scheduler: Scheduler
    private let shared: MarkBoard
    private let progress: ReplicationProgress
    private let didCommit: (Int) -> Void
    private var renderer: BatchRenderer
    private var sql = ByteBuffer(capacity: 1 << 18)
    private var expectations: [Expectation] = []
    private var done = IdentitySet()
    /// Of all that the lane has committed, also of what `done` has forgotten.
    private var digest: AppliedDigest? = AppliedDigest()
    private var knownMark: UInt64 = 0
    /// Number of the newest packet that was fenced by ``Fence/append(to:done:proof:)``.
    private var proof: UInt64 = 0

    init(
        number: Int, session: TargetSession, fence: Fence, scheduler: Scheduler,
        shared: MarkBoard, progress: ReplicationProgress, didCommit: @escaping (Int) -> Void
    ) {
        self.didCommit = didCommit
        self.number = number
        self.session = session
        self.fence = fence
        self.scheduler = scheduler
        self.shared = shared
        self.progress = progress
        let packet = min(1 << 20, session.maxPacket / 2)
        renderer = BatchRenderer(statementBytes: packet / 2, packetBytes: packet)
    }

    /// Applies batches until the scheduler ends.
    func run() async throws {
        while true {
            switch try await scheduler.next(lane: number) {
            case .end: return
            case .ping: try session.connection.ping()
            case .part(let part):
                try apply(part)
                scheduler.partDone()
            case .batch(let batch): try complete(batch)
            }
        }
    }

    /// Applies a batch, and tells everybody. Called by the lane's own task, or by the reader while
    /// it has borrowed the lane.
    func complete(_ batch: Batch) throws {
        try apply(batch)
        let count = batch.transactions.count
        scheduler.committed(batch)
        let isIdle = scheduler.pendingTransactions == 0
        progress.update { $0.isIdle = isIdle }
        didCommit(count)
    }

    private func apply(_ batch: Batch) throws {
        var backoff = Backoff(first: .milliseconds(2), limit: .milliseconds(500))
        let start = ContinuousClock.now
        forgetMarked()
        var now = AppliedSet(done, digest: digest)
        for transaction in batch.transactions { now.insert(transaction) }
        let encoded = now.encoded
        while true {
            do {
                try attempt(batch, done: encoded)
                break
            } catch let error as MySQLError where error.retry == .transaction {
                // 1205 rolls back only the statement: the rest must never be committed.
                try rollBack()
                progress.update { $0.retries += 1 }
                try sleepNow(backoff.delay())
            } catch let error as MySQLError where error.isConnectionLost {
                throw error
            } catch {
                try session.connection.execute("ROLLBACK")
                throw error
            }
        }
        done = now.identities
        digest = now.digest
        progress.measures.commit.record(since: start)
        report(batch.transactions)
    }

    /// Applies part of a streamed transaction. Nothing is tried again here: what went before is
    /// gone, so any error ends the run, and the transaction begins anew from its first event.
    private func apply(_ part: StreamedPart) throws {
        if part.isFirst {
            forgetMarked()
            done.insert(part.transaction.identity)
        }
        sql.removeAll()
        expectations.removeAll(keepingCapacity: true)
        var isFirst = part.isFirst
        if isFirst { begin(AppliedSet(done, digest: digest).encoded) }
        // What went before can't be written again in another form.
        renderer.toleratesInvalidEnums = true
        renderer.plainUpdates = .json
        defer {
            renderer.toleratesInvalidEnums = false
            renderer.plainUpdates = .none
        }
        do {
            try renderer.render(
                [part.transaction], into: &sql, expecting: &expectations
            ) { sql, expectations in
                try send(&sql, &expectations, &isFirst)
            }
            if sql.count > 0 { try send(&sql, &expectations, &isFirst) }
            switch part.end {
            case .none: break
            case .commit:
                // What its events are together is known only now.
                var now = AppliedSet(done, digest: digest)
                now.insert(part.transaction)
                try fence.run(session.connection, done: now.encoded)
                try session.connection.execute("COMMIT")
                digest = now.digest
                report([part.transaction])
            case .rollback:
                try session.connection.execute("ROLLBACK")
                done.remove(part.transaction.identity)
            }
        } catch let error as MySQLError where error.isConnectionLost {
            throw error
        } catch {
            try session.connection.execute("ROLLBACK")
            throw error
        }
        sql.shrink(to: Self.keptBytes)
    }

    private func begin(_ done: [UInt8]) {
        renderer.resetSession()
        sql.append("START TRANSACTION;")
        expectations.append(Expectation(count: nil, plan: nil, kind: "start"))
        fence.append(to: &sql, done: done)
        sql.append(UInt8(ascii: ";"))
        expectations.append(Expectation(count: 1, plan: nil, kind: "fence"))
    }

    /// The lane's thread has nothing else to do than to wait.
    private func sleepNow(_ time: Duration) throws {
        try Task.checkCancellation()
        sleepBlocking(time)
    }

    /// Batches of at most this many rows go out in one packet, COMMIT included.
    private static let onePacketRows = 32

    private func attempt(_ batch: Batch, done: [UInt8]) throws {
        let rows = batch.transactions.reduce(0) { $0 + $1.rows.count }
        if rows <= Self.onePacketRows {
            do {
                try attemptInOnePacket(batch, done: done)
                return
            } catch let error as MySQLError where error.retry == .no && !error.isConnectionLost {
                // Nothing is committed. Statement by statement it shows what was not as expected:
                // a guard tells no more than that, and a row may be refused only because the
                // fence, whose guard stands behind it, did not match.
                try rollBack()
            }
        }
        do {
            try attemptByStatement(batch, done: done)
        } catch let form as OtherForm {
            try rollBack()
            defer {
                renderer.toleratesInvalidEnums = false
                renderer.plainUpdates = .none
            }
            try attempt(batch, done: done, in: form)
        }
    }

    /// Writes the batch in another form, or in both others.
    private func attempt(_ batch: Batch, done: [UInt8], in form: OtherForm) throws {
        switch form {
        case .invalidEnums: renderer.toleratesInvalidEnums = true
        case .plainUpdates: renderer.plainUpdates = .all
        }
        do {
            try attemptByStatement(batch, done: done)
        } catch let other as OtherForm {
            try rollBack()
            try attempt(batch, done: done, in: other)
        }
    }

    /// Ends a transaction that went wrong; the session is as it was made.
    private func rollBack() throws(MySQLError) {
        try session.connection.execute(
            "ROLLBACK;SET foreign_key_checks=1,sql_mode='\(TargetSession.strictMode)'")
    }

    private func attemptByStatement(_ batch: Batch, done: [UInt8]) throws {
        sql.removeAll()
        expectations.removeAll(keepingCapacity: true)
        begin(done)
        var isFirst = true
        try renderer.render(batch.transactions, into: &sql, expecting: &expectations) {
            sql, expectations in
            try send(&sql, &expectations, &isFirst)
        }
        if sql.count > 0 { try send(&sql, &expectations, &isFirst) }
        // Alone, and only now that every reply was read: a packet that went wrong in the middle
        // must never be followed by a COMMIT.
        try session.connection.execute("COMMIT")
        sql.shrink(to: Self.keptBytes)
    }

    /// One round trip instead of two, for light load: every statement is followed by a guard, so
    /// that the server does not reach COMMIT unless the fence matched and every count is right.
    private func attemptInOnePacket(_ batch: Batch, done: [UInt8]) throws {
        sql.removeAll()
        expectations.removeAll(keepingCapacity: true)
        renderer.resetSession()
        renderer.writesGuards = true
        defer {
            renderer.writesGuards = false
            renderer.fenceProof = nil
        }
        if session.connection.family == .mariadb {
            // One statement less: the first guard checks the fence, too.
            proof += 1
            fence.append(to: &sql, done: done, proof: proof)
            sql.append(UInt8(ascii: ";"))
            renderer.fenceProof = proof
        } else {
            fence.append(to: &sql, done: done)
            sql.append(UInt8(ascii: ";"))
            BatchRenderer.appendGuard(1, proof: nil, &sql)
        }
        try renderer.render(batch.transactions, into: &sql, expecting: &expectations) {
            sql, expectations in
            // A wide row: what went before is guarded, and its replies are read.
            try checkSize(sql, expectations.last?.plan?.target)
            try session.connection.execute(sql) { _ in }
            sql.removeAll()
            expectations.removeAll(keepingCapacity: true)
        }
        if let proof = renderer.fenceProof.take() {
            BatchRenderer.appendGuard(nil, proof: proof, &sql)
        }
        sql.append("COMMIT")
        try session.connection.execute(sql) { _ in }
        sql.shrink(to: Self.keptBytes)
    }

    /// Sends a packet and checks what each of its statements reports.
    private func send(
        _ sql: inout ByteBuffer, _ expectations: inout [Expectation], _ isFirst: inout Bool
    ) throws {
        try checkSize(sql, expectations.last?.plan?.target)
        var n = 0
        var failure: (any Error)?
        let expected = expectations
        let checksFence = isFirst
        do {
            try session.connection.execute(sql) { reply in
                defer { n += 1 }
                guard failure == nil, n < expected.count else { return }
                if checksFence, n == 1 {
                    if reply.affectedRows != 1 {
                        failure = CheckpointError.fenced(detail: "the lane's token is gone")
                    }
                    return
                }
                if let warnings = expected[n].warnings, reply.warnings != warnings {
                    failure = ReplicationError.refused(
                        expected[n].plan?.target,
                        detail: "\(reply.warnings) warnings instead of \(warnings), one for each "
                            + "ENUM value that is no member")
                    return
                }
                guard let count = expected[n].count, reply.affectedRows != count else { return }
                if expected[n].isUpsert, reply.affectedRows >= count / 2,
                    reply.affectedRows < count, renderer.plainUpdates == .none
                {
                    failure = OtherForm.plainUpdates
                    return
                }
                failure = ReplicationError.unexpectedCount(
                    expected[n].plan?.target ?? TableName(schema: "", name: ""), expected: count,
                    actual: reply.affectedRows, detail: "\(expected[n].kind)")
            }
        } catch {
            // A fence that matched nothing comes first: what follows it proves nothing.
            if let failure { throw failure }
            if error.code == Self.dataTruncated, !renderer.toleratesInvalidEnums {
                throw OtherForm.invalidEnums
            }
            guard error.retry == .no, !error.isConnectionLost, !checksFence || n > 1 else {
                throw error
            }
            let plan = n < expected.count ? expected[n].plan : nil
            throw ReplicationError.refused(plan?.target, detail: error.description)
        }
        if let failure { throw failure }
        guard n == expected.count else {
            throw ReplicationError.refused(
                nil, detail: "\(n) replies to \(expected.count) statements")
        }
        isFirst = false
        sql.removeAll()
        expectations.removeAll(keepingCapacity: true)
    }

    /// What a lane keeps of its text's memory: to give it back after every batch of wide rows costs
    /// more, in pages that the kernel clears again, than to write them.
    private static let keptBytes = 4 << 20

    /// `WARN_DATA_TRUNCATED`: among others, strict mode's answer to ENUM's invalid member.
    private static let dataTruncated: UInt32 = 1265

    /// A packet that exceeds the target's limit would be answered by a lost connection, again and
    /// again.
    private func checkSize(_ sql: borrowing ByteBuffer, _ table: TableName?) throws {
        guard sql.count + 64 > session.maxPacket else { return }
        throw ReplicationError.refused(
            table,
            detail: "a row needs a packet of \(sql.count) bytes, and the target's "
                + "max_allowed_packet is \(session.maxPacket)")
    }

    /// Leaves out of `done` what a durable mark holds.
    private func forgetMarked() {
        guard let mark = shared.newer(than: &knownMark) else { return }
        done.subtract(heldBy: mark)
    }

    private func report(_ transactions: ContiguousArray<SourceTransaction>) {
        var rows = 0
        var last: Int64 = 0
        let now = wallClockMicroseconds()
        for transaction in transactions {
            rows += transaction.rows.count
            let committed = transaction.committedMicroseconds
            last = max(last, committed)
            if committed > 0 {
                progress.measures.lag.record(seconds: Double(now &- committed) / 1e6)
            }
        }
        let count = UInt64(transactions.count)
        progress.update {
            $0.transactions += count
            $0.rowChanges += UInt64(rows)
            $0.lastCommitMicroseconds = max($0.lastCommitMicroseconds, last)
            $0.lastAppliedMicroseconds = now
        }
    }
}

extension AppliedSet {
    /// Adds a transaction, and its digest.
    fileprivate mutating func insert(_ transaction: SourceTransaction) {
        identities.insert(transaction.identity)
        digest = digest.flatMap { $0.adding(transaction.digest) }
    }
}

/// Why a batch must be written in another form.
private enum OtherForm: Error {
    /// The target refused a value that may be ENUM's invalid member, which strict mode does not
    /// take.
    case invalidEnums
    /// An upsert may have left a row as it was.
    case plainUpdates
}

/// A lane, for a thread other than its own.
final class LaneHandle: @unchecked Sendable {
    // SAFETY: its lane is used only by who got a batch from `Scheduler.borrowLane()`, while the
    // lane's own task waits until it is given back; the scheduler's lock orders the two.

    private let lane: Lane

    init(_ lane: Lane) { self.lane = lane }

    /// Applies the batch that came with the lane.
    func complete(_ batch: Batch) throws { try lane.complete(batch) }
}

/// The newest durable mark, for lanes.
final class MarkBoard: Sendable {
    private let state = Mutex<(version: UInt64, mark: SourcePosition?)>((0, nil))

    /// Publishes a mark that is durable.
    func publish(_ mark: SourcePosition) {
        state.withLock {
            $0.version += 1
            $0.mark = mark
        }
    }

    /// The mark, if there is one newer than `version`, which is brought up to date.
    func newer(than version: inout UInt64) -> SourcePosition? {
        let known = version
        let (now, mark) = state.withLock { ($0.version, $0.version > known ? $0.mark : nil) }
        version = now
        return mark
    }
}
