/// One step of a program.
enum RegexInstruction: Sendable {
    /// Takes one scalar.
    case scalar(UInt32)
    /// Takes one scalar that folds to this one.
    case folded(UInt32)
    case any
    case anyButNewline
    case set(Int)
    case foldedSet(Int)
    /// Goes on at both places, rather at the first.
    case split(Int, Int)
    case jump(Int)
    /// Remembers the place in the text.
    case save(Int)
    case condition(RegexCondition)
    case match
}

/// An expression as instructions.
struct RegexProgram: Sendable {
    var instructions: [RegexInstruction] = []
    var sets: [ScalarSet] = []

    /// Whether an instruction that takes a scalar takes this one.
    @inline(__always)
    func accepts(_ index: Int, _ c: UInt32) -> Bool {
        switch instructions[index] {
        case .scalar(let value): c == value
        case .folded(let value): foldCase(c) == value
        case .any: true
        case .anyButNewline: c != 10
        case .set(let set): sets[set].contains(c)
        case .foldedSet(let set): sets[set].containsFolded(c)
        default: false
        }
    }
}

/// Makes programs of trees.
struct RegexCompiler {
    private var program = RegexProgram()
    /// Parts that were looked at: those without instructions, too, can be repeated without end.
    private var work = 0

    mutating func compile(_ tree: RegexTree) throws(RegularExpression.Failure) -> RegexProgram {
        try emit(.save(0))
        try add(tree)
        try emit(.save(1))
        try emit(.match)
        return program
    }

    private var here: Int { program.instructions.count }

    private mutating func emit(_ i: RegexInstruction) throws(RegularExpression.Failure) {
        guard here < RegularExpression.programLimit else {
            throw .init(offset: 0, reason: "the regular expression's repetitions are too large")
        }
        program.instructions.append(i)
    }

    private mutating func add(_ tree: RegexTree) throws(RegularExpression.Failure) {
        work += 1
        guard work < RegularExpression.workLimit else {
            throw .init(offset: 0, reason: "the regular expression's repetitions are too large")
        }
        switch tree {
        case .empty: break
        case .scalar(let c, let folded): try emit(folded ? .folded(c) : .scalar(c))
        case .any(let withNewline): try emit(withNewline ? .any : .anyButNewline)
        case .set(let set, let folded):
            program.sets.append(set)
            let index = program.sets.count - 1
            try emit(folded ? .foldedSet(index) : .set(index))
        case .condition(let condition): try emit(.condition(condition))
        case .sequence(let parts):
            for part in parts { try add(part) }
        case .alternatives(let parts): try addAlternatives(parts)
        case .repetition(let inner, let least, let most, let isGreedy):
            try addRepetition(inner, least, most, isGreedy)
        case .group(let inner, let index):
            try emit(.save(2 * index))
            try add(inner)
            try emit(.save(2 * index + 1))
        }
    }

    private mutating func addAlternatives(
        _ parts: [RegexTree]
    ) throws(RegularExpression.Failure) {
        var jumps: [Int] = []
        for (i, part) in parts.enumerated() {
            guard i < parts.count - 1 else {
                try add(part)
                break
            }
            let split = here
            try emit(.split(split + 1, 0))
            try add(part)
            jumps.append(here)
            try emit(.jump(0))
            program.instructions[split] = .split(split + 1, here)
        }
        for jump in jumps { program.instructions[jump] = .jump(here) }
    }

    private mutating func addRepetition(
        _ inner: RegexTree, _ least: Int, _ most: Int?, _ isGreedy: Bool
    ) throws(RegularExpression.Failure) {
        for _ in 0..<least { try add(inner) }
        func split(_ inside: Int, _ behind: Int) -> RegexInstruction {
            isGreedy ? .split(inside, behind) : .split(behind, inside)
        }
        if let most {
            // `x{0,2}` is `(x(x)?)?`.
            var splits: [Int] = []
            for _ in least..<max(most, least) {
                splits.append(here)
                try emit(.jump(0))
                try add(inner)
            }
            for i in splits { program.instructions[i] = split(i + 1, here) }
        } else {
            let loop = here
            try emit(.jump(0))
            try add(inner)
            try emit(.jump(loop))
            program.instructions[loop] = split(loop + 1, here)
        }
    }
}
