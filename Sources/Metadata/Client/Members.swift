internal import SwiftProtobuf

/// The number of a member of the store.
public struct MemberID: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The store's number.
    public let number: UInt64

    /// Names a member.
    public init(_ number: UInt64) { self.number = number }

    /// In hexadecimal, as the store's own tools show it.
    public var description: String { String(number, radix: 16) }

    /// By number.
    public static func < (left: MemberID, right: MemberID) -> Bool { left.number < right.number }
}

/// A member of the store.
public struct Member: Sendable, Hashable {
    /// Its number; a member that joins again gets another one.
    public let id: MemberID
    /// Its name; empty until it has started.
    public let name: String
    /// Where it talks to other members.
    public let peerURLs: [String]
    /// Where it accepts clients.
    public let clientURLs: [String]
    /// Whether it only copies, without a vote.
    public let isLearner: Bool

    /// Describes a member.
    public init(
        id: MemberID, name: String, peerURLs: [String], clientURLs: [String], isLearner: Bool
    ) {
        self.id = id
        self.name = name
        self.peerURLs = peerURLs
        self.clientURLs = clientURLs
        self.isLearner = isLearner
    }

    init(_ message: EtcdMember) {
        self.init(
            id: MemberID(message.id), name: message.name, peerURLs: message.peerUrls,
            clientURLs: message.clientUrls, isLearner: message.isLearner)
    }

    /// Whether it has started once.
    public var hasStarted: Bool { !name.isEmpty }
}

/// How one member says that it is.
public struct MemberStatus: Sendable, Hashable {
    /// The member's number.
    public let id: MemberID
    /// The number of the cluster that it belongs to.
    public let cluster: UInt64
    /// etcd's version.
    public let version: String
    /// The member that leads, nil when it knows none.
    public let leader: MemberID?
    /// Whether it only copies, without a vote.
    public let isLearner: Bool
    /// The size of its file in bytes.
    public let fileBytes: Int64
    /// How much of its file is used, in bytes.
    public let usedBytes: Int64
    /// The newest change that it has applied.
    public let revision: Revision
    /// How far it is in the log of the members.
    public let appliedIndex: UInt64
    /// What it complains about.
    public let errors: [String]

    /// Whether the store takes no writes, since some member has reached its quota.
    public var isFull: Bool { errors.contains { $0.contains("NOSPACE") } }
}

extension EtcdClient {
    /// The members, as a member knows them; it may be a little behind.
    public func members(within limit: Duration? = nil) async throws -> [Member] {
        try await membership(within: limit).members
    }

    /// The members, and the number of the cluster that has answered.
    public func membership(
        within limit: Duration? = nil
    ) async throws -> (cluster: UInt64, members: [Member]) {
        let answer = try await call(
            EtcdMethods.members, EtcdMemberListRequest(), within: limit)
        return (answer.header.clusterID, answer.members.map { Member($0) })
    }

    /// How the member at one endpoint says that it is.
    ///
    /// - Throws: `MetadataError` with code `unavailable` when it does not answer in time.
    public func status(
        of endpoint: EtcdEndpoint, within limit: Duration? = nil
    ) async throws -> MemberStatus {
        let status = try await callOnly(
            endpoint, EtcdMethods.status, EtcdStatusRequest(), within: limit ?? patience.attempt)
        return MemberStatus(
            id: MemberID(status.header.memberID), cluster: status.header.clusterID,
            version: status.version, leader: status.leader == 0 ? nil : MemberID(status.leader),
            isLearner: status.isLearner, fileBytes: status.dbSize, usedBytes: status.dbSizeInUse,
            revision: status.header.revision, appliedIndex: status.raftAppliedIndex,
            errors: status.errors)
    }

    /// Adds a member without a vote. It must be started next, with the members that are returned.
    ///
    /// - Throws: `MetadataError` with code `membersNotReady` while the members are not all connected
    ///   with each other, or another one is without a vote.
    public func addLearner(
        peerURL: String
    ) async throws -> (member: Member, members: [Member]) {
        let answer = try await call(
            EtcdMethods.addMember,
            .with {
                $0.peerUrls = [peerURL]
                $0.isLearner = true
            })
        return (Member(answer.member), answer.members.map { Member($0) })
    }

    /// Gives a learner a vote.
    ///
    /// - Throws: `MetadataError` with code `membersNotReady` while it has not caught up.
    public func promote(_ member: MemberID) async throws {
        _ = try await call(EtcdMethods.promoteMember, .with { $0.id = member.number })
    }

    /// Removes a member. That there is no such member is no error.
    public func remove(_ member: MemberID) async throws {
        do {
            _ = try await call(EtcdMethods.removeMember, .with { $0.id = member.number })
        } catch let error as MetadataError where error.code == .memberNotFound {}
    }

    /// Tells the members that one of them has moved.
    public func move(_ member: MemberID, toPeerURL url: String) async throws {
        _ = try await call(
            EtcdMethods.updateMember,
            .with {
                $0.id = member.number
                $0.peerUrls = [url]
            })
    }

    // MARK: Space

    /// Forgets all changes before a revision; what is there stays.
    public func compact(before revision: Revision) async throws {
        _ = try await call(
            EtcdMethods.compact,
            .with {
                $0.revision = revision
                $0.physical = true
            })
    }

    /// Gives the free space in a member's file back. The member does nothing else meanwhile: one
    /// member after the other, the leader last.
    public func defragment(
        _ endpoint: EtcdEndpoint, within limit: Duration = .seconds(30)
    ) async throws {
        _ = try await callOnly(
            endpoint, EtcdMethods.defragment, EtcdDefragmentRequest(), within: limit)
    }

    /// Allows writing again after ``MetadataError/Code/noSpace``, once there is space.
    public func endNoSpaceAlarms() async throws {
        let alarms = try await call(EtcdMethods.alarm, .with { $0.action = .get }).alarms
        for alarm in alarms where alarm.alarm == .nospace {
            _ = try await call(
                EtcdMethods.alarm,
                .with {
                    $0.action = .deactivate
                    $0.memberID = alarm.memberID
                    $0.alarm = .nospace
                })
        }
    }

    /// A call that only one endpoint can answer.
    private func callOnly<Request, Response>(
        _ endpoint: EtcdEndpoint, _ method: EtcdMethod<Request, Response>, _ request: Request,
        within limit: Duration
    ) async throws -> Response {
        do {
            return try await connection(to: endpoint).call(
                method, request, timeout: limit, needsLeader: false, tellsHealth: false)
        } catch let failure as EtcdConnection.Failure {
            throw MetadataError(failure, mayHaveActed: false)
        }
    }
}
