import Cluster

/// One input of placement, small enough to try every assignment.
struct PlacementCase: CustomStringConvertible {
    var sources: [PlacedSource] = []
    var workers: [PlacedWorker] = []
    var bindings: [String: String] = [:]
    var relays: [String: Set<String>] = [:]

    func placed(balancing: Bool = true) -> [String: String] {
        place(
            sources: sources, workers: workers, bindings: bindings, relays: relays,
            balancing: balancing)
    }

    /// The workers that may run a source, by the definition.
    func qualified(_ source: PlacedSource) -> [String] {
        workers.filter { !$0.isDraining && source.allowedWorkers?.contains($0.name) != false }
            .map { $0.name }.sorted()
    }

    func holders(_ source: PlacedSource) -> [String] {
        qualified(source).filter { relays[source.name]?.contains($0) == true }
    }

    func loads(_ assignment: [String: String]) -> [String: Int] {
        var loads = Dictionary(
            uniqueKeysWithValues: workers.filter { !$0.isDraining }.map { ($0.name, 0) })
        for worker in assignment.values { loads[worker, default: 0] += 1 }
        return loads
    }

    /// How uneven an assignment is.
    func unevenness(_ assignment: [String: String]) -> Int {
        loads(assignment).values.reduce(0) { $0 + $1 * $1 }
    }

    /// How many sources leave a worker that could keep them.
    func moves(_ assignment: [String: String]) -> Int {
        sources.count { source in
            guard let now = bindings[source.name], qualified(source).contains(now) else {
                return false
            }
            return assignment[source.name] != now
        }
    }

    /// Sources that are where they may not be, or nowhere though they could be somewhere.
    func misplaced(_ assignment: [String: String]) -> [String] {
        let wrong = sources.filter { source in
            let qualified = qualified(source)
            guard let worker = assignment[source.name] else { return !qualified.isEmpty }
            return !qualified.contains(worker)
        }
        let known = Set(sources.map { $0.name })
        return wrong.map { $0.name } + assignment.keys.filter { !known.contains($0) }
    }

    /// Sources that got a new worker without their relay log while another has it.
    func missedHolders(_ assignment: [String: String]) -> [String] {
        sources.filter { source in
            guard let worker = assignment[source.name], worker != bindings[source.name] else {
                return false
            }
            let holders = holders(source)
            return !holders.isEmpty && !holders.contains(worker)
        }.map { $0.name }
    }

    /// A single move that would even the loads, if there is one.
    func improvingMove(_ assignment: [String: String]) -> String? {
        let loads = loads(assignment)
        for source in sources {
            guard let worker = assignment[source.name] else { continue }
            let holders = holders(source)
            for other in qualified(source) where other != worker {
                let isFree = holders.isEmpty || holders.contains(other)
                let difference = loads[worker, default: 0] - loads[other, default: 0]
                if difference >= (isFree ? 2 : 3) {
                    return "\(source.name) to \(other) in \(assignment)"
                }
            }
        }
        return nil
    }

    /// Every assignment that places each source that can be placed.
    func assignments() -> [[String: String]] {
        var all: [[String: String]] = [[:]]
        for source in sources {
            let workers = qualified(source)
            if workers.isEmpty { continue }
            all = all.flatMap { known in
                workers.map { worker in
                    known.merging([source.name: worker]) { _, new in new }
                }
            }
        }
        return all
    }

    var description: String {
        let sources = sources.map { source in
            "\(source.name):\(source.allowedWorkers.map { "\($0.sorted())" } ?? "*")"
        }
        let workers = workers.map { $0.name + ($0.isDraining ? "(draining)" : "") }
        return "sources \(sources) workers \(workers) bindings \(bindings) relays \(relays)"
    }
}

/// Random numbers that can be had again.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}

extension PlacementCase {
    /// What random cases contain.
    struct Make {
        var sources = 0...5
        var workers = 0...4
        var restricted = true
        var relayed = true
    }

    static func random(_ make: Make, seed: UInt64) -> PlacementCase {
        var random = SplitMix(state: seed)
        var it = PlacementCase()
        let all = (0..<Int.random(in: make.workers, using: &random)).map { "w\($0)" }
        // One name that is not alive appears in sets and bindings.
        let known = all + ["gone"]
        it.workers = all.map {
            PlacedWorker(name: $0, isDraining: Int.random(in: 0..<6, using: &random) == 0)
        }
        for n in 0..<Int.random(in: make.sources, using: &random) {
            var allowed: Set<String>?
            if make.restricted, Bool.random(using: &random) {
                allowed = Set(known.filter { _ in Bool.random(using: &random) })
            }
            it.sources.append(PlacedSource(name: "s\(n)", allowedWorkers: allowed))
            if Int.random(in: 0..<3, using: &random) > 0 {
                // Mostly on few workers, so that there is something to balance.
                let few = Bool.random(using: &random) ? Array(known.prefix(1)) : known
                it.bindings["s\(n)"] = few.randomElement(using: &random)
            }
            if make.relayed, Bool.random(using: &random) {
                it.relays["s\(n)"] = Set(
                    known.filter { _ in Int.random(in: 0..<3, using: &random) == 0 })
            }
        }
        return it
    }
}
