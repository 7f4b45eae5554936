/// What is known about a worker when voters are chosen.
public struct VoterCandidate: Sendable, Hashable {
    /// The worker's name: its member's name too.
    public let name: String
    /// Its member's peer address, which tells its member before that has started.
    public let peerURL: String
    /// Whether it is alive.
    public let isAlive: Bool
    /// Whether it has been gone for longer than voters are waited for, or was removed by hand.
    public let isGivenUp: Bool
    /// Whether its member has not worked for longer than voters are waited for, though the worker is
    /// alive: a voter does not answer, a learner has not started or not caught up.
    public let isFailing: Bool
    /// How often a member of it was taken back for that.
    public let failures: Int

    /// Describes a worker.
    public init(
        name: String, peerURL: String, isAlive: Bool, isGivenUp: Bool = false,
        isFailing: Bool = false, failures: Int = 0
    ) {
        self.name = name
        self.peerURL = peerURL
        self.isAlive = isAlive
        self.isGivenUp = isGivenUp
        self.isFailing = isFailing
        self.failures = failures
    }

    /// Whether the member is this worker's.
    public func isOf(_ member: Member) -> Bool {
        name == member.name || member.peerURLs.contains(peerURL)
    }
}

/// The next step towards the wanted number of voters: a pure function of members and workers, asked
/// again after every step.
public enum VoterPlan: Sendable, Hashable {
    /// All is as it should be, or has to be waited for.
    case nothing
    /// A member is to be removed: its worker is given up, it does not work, or more vote than are
    /// wanted.
    case remove(MemberID)
    /// A learner is to get a vote.
    case promote(MemberID)
    /// A worker is to join as a learner.
    case join(String)

    /// The next step.
    ///
    /// One at a time, each of which keeps the store available when it was:
    /// * what is given up goes first, as it counts for the majority without helping it;
    /// * what does not work though its worker lives goes when another one can take its place;
    /// * a learner is promoted when the number of voters becomes odd by it, or when another worker
    ///   stands ready to make it odd: two voters are worse than one, since either's loss stops both;
    /// * etcd takes one learner at a time;
    /// * of workers to join, those first that have not failed to; of these, or of those to take the
    ///   vote from, the first or last by name.
    ///
    /// - Parameters:
    ///   - wanted: how many voters there should be, an odd number.
    ///   - members: the store's members.
    ///   - workers: all workers that are alive, and those that have members.
    public static func next(
        wanted: Int, members: [Member], workers: [VoterCandidate]
    ) -> VoterPlan {
        func worker(of member: Member) -> VoterCandidate? {
            workers.first { $0.isOf(member) }
        }
        let members = members.sorted { $0.id < $1.id }
        let ready = workers.filter { candidate in
            candidate.isAlive && !candidate.isGivenUp
                && !members.contains { worker(of: $0)?.name == candidate.name }
        }.sorted { ($0.failures, $0.name) < ($1.failures, $1.name) }
        let voters = members.filter { !$0.isLearner }
        let learner = members.first { $0.isLearner }
        let isReplaceable = voters.count > 1
        if let lost = members.first(where: { worker(of: $0)?.isGivenUp ?? true }),
            lost.isLearner || isReplaceable
        {
            return .remove(lost.id)
        }
        let failing = members.filter { worker(of: $0)?.isFailing == true }
        if let broken = failing.first(where: \.isLearner) ?? failing.first {
            let isLearnerWell = learner.map { $0.hasStarted && $0.id != broken.id } ?? false
            if !ready.isEmpty || isLearnerWell, broken.isLearner || isReplaceable {
                return .remove(broken.id)
            }
        }
        if let learner {
            if voters.count >= wanted { return .remove(learner.id) }
            guard worker(of: learner)?.isAlive == true, learner.hasStarted else { return .nothing }
            let becomesOdd = voters.count % 2 == 0
            return becomesOdd || !ready.isEmpty ? .promote(learner.id) : .nothing
        }
        if voters.count > wanted, let last = voters.max(by: { $0.name < $1.name }) {
            return .remove(last.id)
        }
        if voters.count < wanted, let next = ready.first { return .join(next.name) }
        return .nothing
    }
}
