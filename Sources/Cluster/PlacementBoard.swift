/// The state of one placement: sources and workers as numbers in the order of their names.
struct PlacementBoard {
    /// One source. Sets of workers are numbers in `sets`.
    struct Source {
        let name: String
        /// Alive, allowed and not draining.
        let qualified: Int
        /// Where it may go at no cost: qualified holders of its relay log and the worker it has,
        /// or, when no holder qualifies, all that qualify.
        let free: Int
        /// The worker it has now, if it qualifies.
        let current: Int?
        let hasHolders: Bool
    }

    private let names: [String]
    let sources: [Source]
    /// Each different set of workers once: sorted numbers.
    let sets: [[Int]]
    /// The worker of each source, -1 for none.
    private(set) var position: [Int]
    /// By worker: the sources that it has and had before.
    private(set) var residents: [[Int]]
    /// By worker: the sources that it gets.
    private(set) var guests: [[Int]]
    /// How many sources each worker has.
    private(set) var loads: [Int]

    init(
        sources given: [PlacedSource], workers: [PlacedWorker], bindings: [String: String],
        relays: [String: Set<String>]
    ) {
        let draining = Set(workers.filter { $0.isDraining }.map { $0.name })
        names = Set(workers.map { $0.name }).subtracting(draining).sorted()
        let number = Dictionary(uniqueKeysWithValues: names.enumerated().map { ($1, $0) })
        var interned = InternedSets(everyone: Array(names.indices))
        let unique = Dictionary(given.map { ($0.name, $0) }) { first, _ in first }
        sources = unique.values.sorted { $0.name < $1.name }.map { source in
            let allowed = source.allowedWorkers.map { $0.compactMap { number[$0] }.sorted() }
            let qualified = allowed.map { interned.number(of: $0) } ?? 0
            let mayRun = allowed.map { Set($0) }
            let current = bindings[source.name].flatMap { number[$0] }
                .flatMap { mayRun?.contains($0) == false ? nil : $0 }
            var holders = (relays[source.name] ?? []).compactMap { number[$0] }
                .filter { mayRun?.contains($0) != false }
            let hasHolders = !holders.isEmpty
            if hasHolders, let current, !holders.contains(current) { holders.append(current) }
            let free = hasHolders ? interned.number(of: holders.sorted()) : qualified
            return Source(
                name: source.name, qualified: qualified, free: free, current: current,
                hasHolders: hasHolders)
        }
        sets = interned.sets
        position = Array(repeating: -1, count: sources.count)
        residents = Array(repeating: [], count: names.count)
        guests = residents
        loads = Array(repeating: 0, count: names.count)
    }

    /// The outcome in names.
    var bindings: [String: String] {
        var result: [String: String] = [:]
        result.reserveCapacity(sources.count)
        for (source, worker) in zip(sources, position) where worker >= 0 {
            result[source.name] = names[worker]
        }
        return result
    }

    /// Lets sources keep their workers, and gives those without one the least loaded.
    mutating func settle() {
        var homeless: [Int] = []
        for (source, it) in sources.enumerated() {
            if let worker = it.current { put(source, on: worker) } else { homeless.append(source) }
        }
        // Those with the least choice first: others can make room for them.
        homeless.sort { left, right in
            let (l, r) = (sets[sources[left].free].count, sets[sources[right].free].count)
            return l == r ? left < right : l < r
        }
        var queues: [Int: LoadQueue] = [:]
        for source in homeless {
            let set = sources[source].free
            guard !sets[set].isEmpty else { continue }
            var queue = queues[set] ?? LoadQueue(sets[set], loads: loads)
            let worker = queue.least(loads)
            put(source, on: worker)
            queue.grew()
            queues[set] = queue
        }
    }

    private mutating func put(_ source: Int, on worker: Int) {
        position[source] = worker
        if sources[source].current == worker {
            residents[worker].append(source)
        } else {
            guests[worker].append(source)
        }
        loads[worker] += 1
    }

    /// Moves a placed source.
    mutating func move(_ source: Int, to worker: Int) {
        let old = position[source]
        if sources[source].current == old {
            residents[old].removeQuickly(source)
        } else {
            guests[old].removeQuickly(source)
        }
        loads[old] -= 1
        put(source, on: worker)
    }

    /// The least loaded worker of a set; of equals the first.
    func leastLoaded(ofSet set: Int) -> Int? {
        sets[set].min { (loads[$0], $0) < (loads[$1], $1) }
    }
}

extension [Int] {
    /// Removes an element; the last one takes its place.
    fileprivate mutating func removeQuickly(_ element: Int) {
        guard let place = firstIndex(of: element) else { return }
        swapAt(place, count - 1)
        removeLast()
    }
}

/// Numbers for sets of workers; 0 is the set of all.
private struct InternedSets {
    private(set) var sets: [[Int]]
    private var numbers: [[Int]: Int]

    init(everyone: [Int]) {
        sets = [everyone]
        numbers = [everyone: 0]
    }

    mutating func number(of set: [Int]) -> Int {
        if let number = numbers[set] { return number }
        sets.append(set)
        numbers[set] = sets.count - 1
        return sets.count - 1
    }
}

/// The workers of one set as a heap by load. Loads only grow while it lives, and others may have
/// made them grow: what is at the top is sifted down until the top is up to date.
private struct LoadQueue {
    private struct Entry {
        let worker: Int
        var load: Int
        static func < (left: Entry, right: Entry) -> Bool {
            (left.load, left.worker) < (right.load, right.worker)
        }
    }
    private var heap: [Entry]

    init(_ workers: [Int], loads: [Int]) {
        heap = workers.map { Entry(worker: $0, load: loads[$0]) }.sorted { $0 < $1 }
    }

    mutating func least(_ loads: [Int]) -> Int {
        while heap[0].load != loads[heap[0].worker] {
            heap[0].load = loads[heap[0].worker]
            siftDown()
        }
        return heap[0].worker
    }

    /// The worker that ``least(_:)`` gave has one more.
    mutating func grew() {
        heap[0].load += 1
        siftDown()
    }

    private mutating func siftDown() {
        var place = 0
        while true {
            var least = place
            for child in [2 * place + 1, 2 * place + 2]
            where child < heap.count && heap[child] < heap[least] {
                least = child
            }
            if least == place { return }
            heap.swapAt(place, least)
            place = least
        }
    }
}
