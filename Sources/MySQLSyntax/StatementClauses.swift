/// A piece of an ALTER TABLE that is put together anew.
public enum AlterClause: Sendable, Hashable {
    /// An action of the statement, as it is written there, by its number.
    case action(Int)
    /// The action, which adds a column or gives it another type, with a default value for it.
    case actionWithDefault(Int, literal: String)
    /// An action that the statement does not have.
    case text(String)
}

extension Statement {
    /// Whether an ALTER TABLE's actions can be written one by one: each is known, and none is in a
    /// comment that the server runs.
    public var hasSeparableActions: Bool {
        guard case .alterTable(let alter) = ddl else { return false }
        guard actionRanges.count == alter.actions.count else { return false }
        let text = String(decoding: source, as: UTF8.self)
        return !text.contains("/*!") && !text.contains("/*M!")
    }

    /// The actions that one clause stands for, by the number of each: a list of new columns is
    /// one clause, and so is a column with a key.
    public func clause(of action: Int) -> Int { actionRanges[action].lowerBound }

    /// The text of an ALTER TABLE with some of its actions, each clause once, and perhaps others.
    /// The statement has ``hasSeparableActions``.
    ///
    /// - Parameter context: the one that the statement was parsed under.
    public func text(of clauses: [AlterClause], context: SyntaxContext) -> [UInt8] {
        guard let first = actionRanges.first, case .alterTable(let alter) = ddl else { return [] }
        var out = Array(source[..<first.lowerBound])
        var seen: Set<Int> = []
        var isFirst = true
        func separator(_ action: AlterAction? = nil) {
            defer { isFirst = false }
            guard !isFirst else { return }
            // Partitioning comes behind the other clauses without a comma.
            switch action {
            case .partition(.partitionBy), .partition(.remove): out += Array(" ".utf8)
            default: out += Array(", ".utf8)
            }
        }
        for clause in clauses {
            switch clause {
            case .action(let i):
                guard seen.insert(self.clause(of: i)).inserted else { continue }
                separator(alter.actions[i])
                out += source[actionRanges[i]]
            case .actionWithDefault(let i, let literal):
                guard seen.insert(self.clause(of: i)).inserted else { continue }
                separator(alter.actions[i])
                let range = actionRanges[i]
                let end = endOfAttributes(i, context)
                var attributes = source[range.lowerBound..<end]
                while let byte = attributes.last, byte <= UInt8(ascii: " ") {
                    attributes.removeLast()
                }
                out += attributes
                out += Array(" DEFAULT \(literal)".utf8)
                if end < range.upperBound { out.append(UInt8(ascii: " ")) }
                out += source[end..<range.upperBound]
            case .text(let text):
                separator()
                out += Array(text.utf8)
            }
        }
        return out
    }

    /// Where what a column is ends, and where it goes begins: FIRST, or AFTER and a name. A list of one
    /// column ends with a parenthesis.
    private func endOfAttributes(_ action: Int, _ context: SyntaxContext) -> Int {
        let range = actionRanges[action]
        guard case .alterTable(let alter) = ddl else { return range.upperBound }
        let words: Int
        switch alter.actions[action] {
        case .addColumn(_, let place, _), .modifyColumn(_, let place, _),
            .changeColumn(_, _, let place, _):
            switch place {
            case .unchanged: words = 0
            case .first: words = 1
            case .after: words = 2
            }
        default: return range.upperBound
        }
        let tokens = Lexer.tokens(source, context: context).filter {
            $0.range.lowerBound >= range.lowerBound && $0.range.upperBound <= range.upperBound
                && !$0.range.isEmpty
        }
        guard tokens.count > words else { return range.upperBound }
        if words == 0 {
            let before: Set<Keyword> = [.add, .column, .if, .not, .exists]
            let first = tokens.first { !before.contains($0.keyword) }
            guard let first, source[first.range] == [UInt8(ascii: "(")] else {
                return range.upperBound
            }
        }
        return tokens[tokens.count - max(words, 1)].range.lowerBound
    }
}
