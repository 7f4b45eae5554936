extension PlacementBoard {
    /// Moves sources until no chain evens the loads out any more. Every step makes the sum of the
    /// squares of the loads smaller, so that it ends.
    mutating func balance() {
        repeat { balanceByChains() } while balanceOffHolders()
    }

    /// A worker that a search has reached: by moving which source from which worker.
    private struct Step {
        let source: Int
        let from: Int
    }

    private struct Search {
        /// By worker: how it was reached; of the start and of unreached ones nil.
        var steps: [Step?]
        var reached: [Bool]
        var expanded: [Bool]
    }

    /// Chains within the free sets.
    ///
    /// From the most loaded worker downwards: when no worker that can be reached from it has two
    /// sources less, the same is true of every worker reached, as their loads are no higher. Nor will
    /// a later chain touch them: its last worker would be one that the first search had taken. So
    /// they are `done`, and each worker is searched in vain only once.
    private mutating func balanceByChains() {
        var done = Array(repeating: false, count: loads.count)
        while let start = mostLoaded(except: done) {
            let (search, end) = search(from: start, except: done)
            if let end {
                follow(search, to: end)
            } else {
                for worker in loads.indices where search.reached[worker] { done[worker] = true }
            }
        }
    }

    private func mostLoaded(except done: [Bool]) -> Int? {
        var best: Int?
        for worker in loads.indices where !done[worker] {
            if let known = best, loads[worker] <= loads[known] { continue }
            best = worker
        }
        return best
    }

    /// Looks, the nearest first, for a worker with at least two sources less than the start; of
    /// those equally near for the least loaded. A worker's sources that have just come are moved
    /// on before those that have been there.
    private func search(from start: Int, except done: [Bool]) -> (Search, end: Int?) {
        var search = Search(
            steps: Array(repeating: nil, count: loads.count),
            reached: Array(repeating: false, count: loads.count),
            expanded: Array(repeating: false, count: sets.count))
        search.reached[start] = true
        let least = loads.min()
        var level = [start]
        while !level.isEmpty {
            var next: [Int] = []
            var best: Int?
            for worker in level {
                let (first, then) = (guests[worker], residents[worker])
                for place in 0..<(first.count + then.count) {
                    let isFirst = place < first.count
                    let source = isFirst ? first[place] : then[place - first.count]
                    let set = sources[source].free
                    if search.expanded[set] { continue }
                    search.expanded[set] = true
                    for other in sets[set] where !search.reached[other] && !done[other] {
                        search.reached[other] = true
                        search.steps[other] = Step(source: source, from: worker)
                        next.append(other)
                        if !isEnd(other, from: start, betterThan: best) { continue }
                        // There is no better one: the rest need not be looked at.
                        if loads[other] == least { return (search, other) }
                        best = other
                    }
                    // Everybody is reached.
                    if set == 0 { break }
                }
            }
            if let best { return (search, best) }
            level = next
        }
        return (search, nil)
    }

    /// Whether a chain may end at a worker, and does so better than at a known end.
    private func isEnd(_ worker: Int, from start: Int, betterThan known: Int?) -> Bool {
        if loads[worker] > loads[start] - 2 { return false }
        guard let known else { return true }
        return (loads[worker], worker) < (loads[known], known)
    }

    private mutating func follow(_ search: Search, to end: Int) {
        var worker = end
        while let step = search.steps[worker] {
            move(step.source, to: worker)
            worker = step.from
        }
    }

    /// Moves sources off their relay holders, one by one, where the difference is three or more.
    ///
    /// - Returns: whether any was moved.
    private mutating func balanceOffHolders() -> Bool {
        var least: [Int: Int] = [:]
        var any = false
        for start in loads.indices.sorted(by: { (loads[$1], $0) < (loads[$0], $1) }) {
            for source in guests[start] + residents[start] where sources[source].hasHolders {
                let set = sources[source].qualified
                guard let end = least[set] ?? leastLoaded(ofSet: set) else { continue }
                least[set] = end
                if loads[start] - loads[end] < 3 { continue }
                move(source, to: end)
                least = [:]
                any = true
            }
        }
        return any
    }
}
