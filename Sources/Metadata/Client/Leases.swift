internal import Runtime
internal import SwiftProtobuf

/// A lease as it was granted.
public struct Lease: Sendable {
    /// The store's number of it.
    public let id: LeaseID
    /// How long it lives after a renewal, in whole seconds; the store may give more than was asked.
    public let seconds: Int
    /// It is certainly alive up to here: counted from before the request was sent.
    public let deadline: ContinuousClock.Instant
}

extension EtcdClient {
    /// Makes a lease.
    ///
    /// - Parameter seconds: how long it lives without a renewal.
    public func grantLease(seconds: Int) async throws -> Lease {
        let start = ContinuousClock.now
        // With a number of our own choice a repeated request cannot make a second lease.
        let number = Int64.random(in: 1...Int64.max)
        do {
            let granted = try await call(
                EtcdMethods.grant,
                .with {
                    $0.id = number
                    $0.ttl = Int64(seconds)
                })
            return lease(number, seconds: Int(granted.ttl), start: start)
        } catch let error as MetadataError where error.message.contains("lease already exists") {
            // The answer to an earlier try was lost.
            return lease(number, seconds: seconds, start: start)
        }
    }

    private func lease(
        _ number: Int64, seconds: Int, start: ContinuousClock.Instant
    ) -> Lease {
        Lease(id: LeaseID(number), seconds: seconds, deadline: start + .seconds(seconds))
    }

    /// Ends a lease, and deletes the keys that go with it. That it is gone already is no error.
    public func revokeLease(_ lease: LeaseID, within limit: Duration? = nil) async throws {
        do {
            _ = try await call(
                EtcdMethods.revoke, .with { $0.id = lease.number }, within: limit)
        } catch let error as MetadataError where error.code == .leaseNotFound {}
    }

    /// How many seconds a lease still has, nil when it is gone.
    public func secondsLeft(of lease: LeaseID) async throws -> Int? {
        let answer = try await call(EtcdMethods.timeToLive, .with { $0.id = lease.number })
        return answer.ttl < 0 ? nil : Int(answer.ttl)
    }

    /// Renews a lease, three times in its life, for as long as that succeeds.
    ///
    /// - Parameter renewed: called after each renewal with the time up to which the lease is
    ///   certainly alive.
    /// - Throws: `MetadataError` with code `leaseNotFound` when the lease is gone, or has not been
    ///   renewed in time and so may be gone; `CancellationError`. It never returns otherwise.
    public func keepAlive(
        _ lease: Lease, renewed: @Sendable (ContinuousClock.Instant) -> Void = { _ in }
    ) async throws {
        var deadline = lease.deadline
        let interval = Duration.seconds(lease.seconds) / 3
        let request = EtcdLeaseKeepAliveRequest.with { $0.id = lease.id.number }
        while true {
            let start = ContinuousClock.now
            let left = start.duration(to: deadline)
            // Also after this process was stopped for a while: the clock has gone on.
            if left <= .zero {
                throw MetadataError(.leaseNotFound, "lease \(lease.id) was not renewed in time")
            }
            do {
                let answer = try await call(EtcdMethods.renew, request, within: left)
                if answer.ttl <= 0 {
                    throw MetadataError(.leaseNotFound, "lease \(lease.id) has ended")
                }
                deadline = start + .seconds(answer.ttl)
                renewed(deadline)
                try await Task.sleep(for: interval)
            } catch let error as MetadataError where error.isTransient {
                try await Task.sleep(for: min(.milliseconds(100), left))
            }
        }
    }
}
