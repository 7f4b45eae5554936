import Metadata
import Testing

@Suite("Which workers vote in the store")
struct VoterPlanTests {
    /// Carries out plans on a model of the store, until there is nothing to do.
    private struct Model {
        var members: [Member] = []
        var next: UInt64 = 1
        var workers: [String: VoterCandidate] = [:]
        var fewestVoters = Int.max

        init(_ names: String...) {
            for name in names { add(name) }
            members = [member(names[0], isLearner: false)]
        }

        mutating func add(_ name: String) {
            workers[name] = VoterCandidate(name: name, peerURL: "http://\(name)", isAlive: true)
        }

        mutating func lose(_ name: String, forGood: Bool) {
            workers[name] = VoterCandidate(
                name: name, peerURL: "http://\(name)", isAlive: false, isGivenUp: forGood)
        }

        mutating func fail(_ name: String, failures: Int = 0, for good: Bool = true) {
            workers[name] = VoterCandidate(
                name: name, peerURL: "http://\(name)", isAlive: true, isFailing: good,
                failures: failures)
        }

        private mutating func member(_ name: String, isLearner: Bool) -> Member {
            next += 1
            return Member(
                id: MemberID(next), name: name, peerURLs: ["http://\(name)"], clientURLs: [],
                isLearner: isLearner)
        }

        var voters: [String] { members.filter { !$0.isLearner }.map { $0.name }.sorted() }
        var learners: [String] { members.filter { $0.isLearner }.map { $0.name } }

        mutating func settle(wanted: Int = 3) -> [VoterPlan] {
            var plans: [VoterPlan] = []
            while plans.count < 100 {
                let plan = VoterPlan.next(
                    wanted: wanted, members: members, workers: Array(workers.values))
                plans.append(plan)
                switch plan {
                case .nothing: return plans
                case .remove(let id):
                    if let name = members.first(where: { $0.id == id })?.name,
                        let worker = workers[name], worker.isFailing
                    {
                        fail(name, failures: worker.failures + 1, for: false)
                    }
                    members.removeAll { $0.id == id }
                case .join(let name): members.append(member(name, isLearner: true))
                case .promote(let id):
                    members = members.map {
                        $0.id != id
                            ? $0
                            : Member(
                                id: id, name: $0.name, peerURLs: $0.peerURLs, clientURLs: [],
                                isLearner: false)
                    }
                }
                fewestVoters = min(fewestVoters, voters.count)
            }
            Issue.record("it never ends: \(plans.suffix(6))")
            return plans
        }
    }

    @Test("one votes alone; a second copies without a vote; with the third, three vote")
    func grows() {
        var model = Model("a")
        #expect(model.settle() == [.nothing])
        model.add("b")
        _ = model.settle()
        #expect(model.voters == ["a"] && model.learners == ["b"])
        model.add("c")
        _ = model.settle()
        #expect(model.voters == ["a", "b", "c"] && model.learners == [])
        model.add("d")
        #expect(model.settle() == [.nothing])
        _ = model.settle(wanted: 5)
        #expect(model.voters == ["a", "b", "c"] && model.learners == ["d"])
        model.add("e")
        _ = model.settle(wanted: 5)
        #expect(model.voters == ["a", "b", "c", "d", "e"])
    }

    @Test("a voter that is away is waited for; one that is given up is replaced")
    func replaces() {
        var model = Model("a", "b", "c", "d")
        _ = model.settle()
        #expect(model.voters == ["a", "b", "c"])
        model.lose("b", forGood: false)
        #expect(model.settle() == [.nothing])
        model.lose("b", forGood: true)
        _ = model.settle()
        #expect(model.voters == ["a", "c", "d"])
        #expect(model.fewestVoters >= 1)
    }

    @Test("a learner that dies is given up too; the only voter never is")
    func learners() {
        var model = Model("a", "b")
        _ = model.settle()
        #expect(model.learners == ["b"])
        model.lose("b", forGood: true)
        _ = model.settle()
        #expect(model.learners == [] && model.voters == ["a"])
        model.lose("a", forGood: true)
        #expect(model.settle() == [.nothing])
    }

    @Test("a voter that does not work is replaced when another worker can take its place")
    func brokenVoter() {
        var model = Model("a", "b", "c")
        _ = model.settle()
        model.fail("b")
        #expect(model.settle() == [.nothing])
        #expect(model.voters == ["a", "b", "c"])
        model.add("d")
        _ = model.settle()
        #expect(model.voters == ["a", "c", "d"])
        // The only voter stays, whatever it is.
        var alone = Model("a", "b")
        alone.fail("a")
        _ = alone.settle(wanted: 1)
        #expect(alone.voters == ["a"])
    }

    @Test("a learner that never starts makes room for others, and is asked again after them")
    func brokenLearner() throws {
        var model = Model("a", "b")
        _ = model.settle()
        #expect(model.learners == ["b"])
        model.fail("b")
        // Nobody else is there.
        #expect(model.settle() == [.nothing])
        model.add("c")
        let plans = model.settle()
        #expect(plans.contains(.join("c")) && plans.last == .nothing)
        // "b" was asked again, since there is nobody else.
        #expect(model.voters == ["a", "b", "c"])
    }

    @Test("fewer voters than there are: the rest lose their vote")
    func shrinks() {
        var model = Model("a", "b", "c", "d", "e")
        _ = model.settle(wanted: 5)
        #expect(model.voters.count == 5)
        _ = model.settle(wanted: 3)
        #expect(model.voters == ["a", "b", "c"])
        _ = model.settle(wanted: 1)
        #expect(model.voters == ["a"])
    }
}
