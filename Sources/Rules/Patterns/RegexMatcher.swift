/// A set of states that is emptied in no time.
struct StateList {
    private(set) var states: [Int] = []
    private var marks: [UInt32]
    private var generation: UInt32 = 1

    init(_ count: Int) { marks = [UInt32](repeating: 0, count: count) }

    mutating func removeAll() {
        states.removeAll(keepingCapacity: true)
        if generation == .max {
            for i in marks.indices { marks[i] = 0 }
            generation = 0
        }
        generation += 1
    }

    /// Whether the state was not visited yet.
    mutating func visit(_ state: Int) -> Bool {
        if marks[state] == generation { return false }
        marks[state] = generation
        return true
    }

    mutating func append(_ state: Int) { states.append(state) }
}

/// Runs all states of a program side by side over a text.
struct RegexMatcher {
    private let program: RegexProgram
    private var current: StateList
    private var following: StateList
    private var stack: [Int] = []

    /// Makes one, to be used for any number of texts.
    init(_ program: RegexProgram) {
        self.program = program
        current = StateList(program.instructions.count)
        following = StateList(program.instructions.count)
    }

    /// Whether the expression matches anywhere in what `next` gives.
    mutating func isFound(_ next: () -> UInt32?) -> Bool {
        current.removeAll()
        var before: UInt32?
        var after = next()
        while true {
            // A match may begin at every place.
            if follow(0, before, after) { return true }
            guard let c = after else { return false }
            let behind = next()
            following.removeAll()
            swap(&current, &following)
            for state in following.states where program.accepts(state, c) {
                if follow(state + 1, c, behind) { return true }
            }
            before = c
            after = behind
        }
    }

    /// Adds a state and all that follow from it without taking a scalar; true at the match.
    private mutating func follow(_ start: Int, _ before: UInt32?, _ after: UInt32?) -> Bool {
        stack.removeAll(keepingCapacity: true)
        stack.append(start)
        while let state = stack.popLast() {
            guard current.visit(state) else { continue }
            switch program.instructions[state] {
            case .match: return true
            case .jump(let to): stack.append(to)
            case .split(let a, let b):
                stack.append(b)
                stack.append(a)
            case .save: stack.append(state + 1)
            case .condition(let condition):
                if condition.holds(before: before, after: after) { stack.append(state + 1) }
            default: current.append(state)
            }
        }
        return false
    }
}

extension RegexProgram {
    /// A state together with where its groups began and ended.
    private struct Thread {
        var state: Int
        var slots: [Int]
    }

    /// Start and end of the leftmost match and its groups, -1 where a group took no part.
    func captures(in text: [UInt32], groups: Int) -> [Int]? {
        var threads: [Thread] = []
        var visited = StateList(instructions.count)
        var found: [Int]?
        for i in 0...text.count {
            let before = i > 0 ? text[i - 1] : nil
            let after = i < text.count ? text[i] : nil
            var active: [Thread] = []
            visited.removeAll()
            var next = threads.map { Thread(state: $0.state, slots: $0.slots) }
            if found == nil {
                let slots = [Int](repeating: -1, count: 2 * groups + 2)
                next.append(Thread(state: 0, slots: slots))
            }
            search: for start in next {
                var stack = [start]
                while var thread = stack.popLast() {
                    guard visited.visit(thread.state) else { continue }
                    switch instructions[thread.state] {
                    case .match:
                        // Threads behind this one are less wanted.
                        found = thread.slots
                        break search
                    case .jump(let to):
                        thread.state = to
                        stack.append(thread)
                    case .split(let a, let b):
                        stack.append(Thread(state: b, slots: thread.slots))
                        thread.state = a
                        stack.append(thread)
                    case .save(let slot):
                        thread.slots[slot] = i
                        thread.state += 1
                        stack.append(thread)
                    case .condition(let condition):
                        guard condition.holds(before: before, after: after) else { continue }
                        thread.state += 1
                        stack.append(thread)
                    default: active.append(thread)
                    }
                }
            }
            guard let c = after else { break }
            threads = active.filter { accepts($0.state, c) }
                .map { Thread(state: $0.state + 1, slots: $0.slots) }
            if threads.isEmpty, found != nil { break }
        }
        return found
    }
}
