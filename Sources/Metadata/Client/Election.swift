/// The proof that this process leads.
public struct Leadership: Sendable, Hashable {
    /// The candidate's key, which goes with its lease.
    public let key: String
    /// The revision at which it was created.
    public let revision: Revision

    /// What every write of a leader is tied to: a transaction with this condition fails from the
    /// moment on at which another process can lead.
    public var condition: Condition { .createRevision(key, revision) }
}

extension EtcdClient {
    /// Returns when this candidate leads: when of all keys with the prefix its own is the oldest.
    ///
    /// Candidates lead in the order in which they came. Each waits for the one before it only, so a
    /// change of leaders wakes one.
    ///
    /// - Parameters:
    ///   - prefix: what the election is about; ends in a slash.
    ///   - lease: the candidate's; its end takes the candidate out, or deposes it.
    ///   - value: what others read of the leader.
    /// - Throws: `MetadataError` with code `leaseNotFound` when the lease is gone.
    public func campaign(
        _ prefix: String, lease: LeaseID, value: [UInt8]
    ) async throws -> Leadership {
        let key = prefix + lease.description
        let own = try await enter(key, lease: lease, value: value)
        let leadership = Leadership(key: key, revision: own)
        while true {
            do {
                // Everything is read at one revision: whoever is not there will not come back.
                guard let before = try await newest(of: .prefix(prefix), createdBefore: own) else {
                    let check = try await transaction(if: [leadership.condition], then: [])
                    guard check.succeeded else {
                        throw MetadataError(.leaseNotFound, "lease \(lease) has ended")
                    }
                    return leadership
                }
                try await end(of: before)
            } catch let error as MetadataError where error.isTransient {
                try await Task.sleep(for: .milliseconds(50))
            }
        }
    }

    /// The process that leads now: the oldest candidate.
    public func leader(of prefix: String) async throws -> KeyValue? {
        try await list(.prefix(prefix)).values.min { $0.createRevision < $1.createRevision }
    }

    /// Returns when the leadership has ended, by whatever way.
    public func endOfLeadership(_ leadership: Leadership) async throws {
        var seen = leadership.revision
        while true {
            do {
                return try await watch(.key(leadership.key), after: seen) { changes in
                    !changes.contains { if case .delete = $0 { true } else { false } }
                }
            } catch let error as MetadataError where error.code == .compacted {
                // Who was elected long ago, and whose watch is interrupted now, still leads.
                guard let now = try await revision(of: leadership) else { return }
                seen = now
            }
        }
    }

    /// A revision at which the leader's key is there; `nil` when it has gone.
    private func revision(of leadership: Leadership) async throws -> Revision? {
        while true {
            do {
                let (values, revision) = try await list(.key(leadership.key))
                return values.first?.createRevision == leadership.revision ? revision : nil
            } catch let error as MetadataError where error.isTransient {
                try await Task.sleep(for: .milliseconds(50))
            }
        }
    }

    /// Gives the leadership, or the candidacy, up.
    public func resign(_ leadership: Leadership) async throws {
        try await transaction(
            if: [leadership.condition], then: [.delete(.key(leadership.key))],
            within: .seconds(2))
    }

    /// Creates the candidate's key, or finds it: the answer to an earlier try may have been lost.
    private func enter(_ key: String, lease: LeaseID, value: [UInt8]) async throws -> Revision {
        while true {
            do {
                let entered = try await transaction(
                    if: [.missing(key)], then: [.put(key, value, lease: lease)],
                    otherwise: [.get(.key(key))])
                if entered.succeeded { return entered.revision }
                if case .values(let found) = entered.results.first, let own = found.first {
                    return own.createRevision
                }
            } catch let error as MetadataError where error.isTransient {
                try await Task.sleep(for: .milliseconds(50))
            }
        }
    }

    /// Returns when a key that was read has been deleted.
    private func end(of candidate: KeyValue) async throws {
        do {
            try await watch(.key(candidate.key), after: candidate.modRevision) { changes in
                !changes.contains { if case .delete = $0 { true } else { false } }
            }
        } catch let error as MetadataError where error.code == .compacted {
            // Nothing has happened to it for long: look whether it is still there.
            if try await get(candidate.key)?.createRevision == candidate.createRevision {
                try await Task.sleep(for: .seconds(1))
            }
        }
    }
}
