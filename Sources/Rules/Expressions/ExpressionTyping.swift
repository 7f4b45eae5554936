internal import MySQLCore

/// What operators and functions make of their arguments' types.
extension ExpressionCompiler {
    mutating func apply(
        _ operation: Operation, _ parts: [CompiledPart], _ node: ExpressionNode
    ) throws(ExpressionError) -> CompiledPart {
        var step = ExpressionStep(operation: operation)
        if operation == .isNull { return emit(step, parts, .signed) }
        for (part, argument) in zip(parts, node.arguments) {
            if case .opaque(let type) = part.type { throw opaque(type, argument) }
        }
        switch operation {
        case .or, .xor, .and, .not, .isTrue, .isFalse: return emit(step, parts, .signed)
        case .equal, .notEqual, .less, .lessOrEqual, .greater, .greaterOrEqual, .nullSafeEqual:
            return try compare(operation, parts[0], parts[1], node)
        case .isIn: return try isIn(parts, node)
        case .between:
            let order = try common(order: parts, node)
            let low = try compare(.greaterOrEqual, parts[0], parts[1], node, order)
            let high = try compare(.lessOrEqual, parts[0], parts[2], node, order)
            return emit(ExpressionStep(operation: .and), [low, high], .signed)
        case .regexp: return try regexp(parts, node)
        case .add, .subtract, .multiply, .modulo, .divide, .negate, .integerDivide:
            return try arithmetic(operation, parts, node)
        case .bitOr, .bitAnd, .bitXor, .bitNot, .shiftLeft, .shiftRight:
            for part in parts where part.type.isText && part.collation == "binary" {
                throw ExpressionError(
                    .unsupported("bits"), at: node.offset,
                    "operations on the bits of binary strings are not supported")
            }
            return emit(step, parts, .unsigned)
        case .abs, .floor, .ceiling, .round, .truncate:
            return emit(step, parts, rounded(operation, parts[0].type))
        case .sign: return emit(step, parts, .signed)
        case .squareRoot: return emit(step, parts, .double)
        case .iff: return try choice(step, [parts[0]], [parts[1], parts[2]], node)
        case .ifNull, .coalesce: return try choice(step, [], parts, node)
        case .nullIf:
            let isEqual = try compare(.equal, parts[0], parts[1], node)
            return emit(step, [isEqual, parts[0]], parts[0].type, like: parts[0])
        case .greatest, .least:
            step.mode = try mode(parts, node)
            if step.mode == .double, parts.contains(where: { $0.type.isText }) {
                throw ExpressionError(
                    .unsupported("GREATEST"), at: node.offset,
                    "GREATEST() and LEAST() of numbers and texts are not supported")
            }
            if step.mode == .text { step.order = try order(parts, node) }
            return try choice(step, [], parts, node)
        default: return try applyFunction(step, parts, node)
        }
    }

    private mutating func applyFunction(
        _ step: ExpressionStep, _ parts: [CompiledPart], _ node: ExpressionNode
    ) throws(ExpressionError) -> CompiledPart {
        var step = step
        func text(_ i: Int) throws(ExpressionError) -> CompiledPart {
            try asText(parts[i], node.arguments[i])
        }
        switch step.operation {
        case .concat, .concatWithSeparator:
            var texts: [CompiledPart] = []
            for i in parts.indices { texts.append(try text(i)) }
            return emit(step, texts, .text, like: try strongest(texts, node))
        case .length, .charLength, .ascii:
            let text = try text(0)
            if let order = text.order { step.order = order }
            return emit(step, [text], .signed)
        case .lower, .upper, .reverse, .substring, .left, .right, .repeated, .padLeft, .padRight:
            var all = parts
            all[0] = try text(0)
            if step.operation == .padLeft || step.operation == .padRight { all[2] = try text(2) }
            if all[0].order?.folding == .bytes { step.order = .binary } else { step.order = .utf8 }
            return emit(step, all, .text, like: all[0])
        case .trim, .trimLeft, .trimRight, .replace:
            var texts: [CompiledPart] = []
            for i in parts.indices { texts.append(try text(i)) }
            // In MySQL what replaces has no say in the collation.
            let replaces = step.operation == .replace && !isMariaDB
            let strongest = try strongest(replaces ? Array(texts[..<2]) : texts, node)
            // Under a binary collation MariaDB looks at what replaces only when there is something
            // to replace.
            step.index = isMariaDB && strongest?.order?.isExact == true ? 1 : 0
            return emit(step, texts, .text, like: strongest)
        case .locate, .inString, .compareText, .findInSet:
            var texts = [try text(0), try text(1)]
            step.order = try order(texts[0], texts[1], node)
            if !isMariaDB, step.operation == .locate || step.operation == .inString {
                // MySQL goes by the collation of the text that is searched, as measured with 9.7.
                let text = texts[step.operation == .locate ? 1 : 0]
                guard let order = text.order else { throw unknownCollation(text.collation, node) }
                step.order = order
            }
            // MariaDB looks at windows of the needle's bytes, so that a letter is never found in
            // the place of one with an accent, which has more of them.
            step.extra = isMariaDB ? 1 : 0
            if parts.count > 2 { texts.append(parts[2]) }
            return emit(step, texts, .signed)
        case .field:
            let mode = try mode(parts, node)
            step.mode = mode
            if mode == .text { step.order = try order(parts, node) }
            return emit(step, parts, .signed)
        case .hex:
            guard parts[0].type.isInteger || parts[0].type.isText else {
                throw ExpressionError(
                    .unsupported("HEX"), at: node.offset,
                    "HEX() of other than whole numbers and texts is not supported")
            }
            return emit(step, parts, .text)
        case .date, .lastDay: return emit(step, parts, .temporal(.date))
        case .time: return emit(step, parts, .temporal(.time))
        case .year, .quarter, .month, .day, .hour, .minute, .second, .microsecond, .dayOfWeek,
            .weekday, .dayOfYear, .toDays, .dateDifference:
            return emit(step, parts, .signed)
        case .unixTimestamp: return emit(step, parts, .decimal)
        case .fromUnixTime: return emit(step, parts, .temporal(.datetime))
        default:
            throw ExpressionError(
                .unsupported("\(step.operation)"), at: node.offset, "this is not supported here")
        }
    }

    private func rounded(_ operation: Operation, _ type: ValueType) -> ValueType {
        switch type {
        case .signed, .unsigned, .double: type
        case .decimal, .quotient: operation == .abs ? type : .decimal
        default: .double
        }
    }

    // MARK: Numbers

    private mutating func arithmetic(
        _ operation: Operation, _ parts: [CompiledPart], _ node: ExpressionNode
    ) throws(ExpressionError) -> CompiledPart {
        var step = ExpressionStep(operation: operation)
        // MySQL rounds quotients to four more digits than the dividend has, MariaDB calculates on
        // with all it has.
        step.index = isMariaDB ? 0 : 1
        let isExact = parts.allSatisfy {
            $0.type.isNumber && $0.type != .double || $0.type.isTemporal || $0.type == .null
        }
        step.mode = isExact ? .number : .double
        let type: ValueType
        if operation == .integerDivide {
            type = parts.contains { $0.type == .unsigned } ? .unsigned : .signed
        } else if !isExact {
            type = .double
        } else if operation == .divide {
            type = .quotient
        } else if parts.contains(where: { $0.type == .quotient }) {
            type = .quotient
        } else if parts.contains(where: { $0.type == .decimal || $0.type.isTemporal }) {
            type = .decimal
        } else if operation == .negate {
            type = .signed
        } else {
            type = parts.contains { $0.type == .unsigned } ? .unsigned : .signed
        }
        if operation == .negate, let literal = parts[0].literal {
            // A negative literal is one, so that it can be compared with as constants are.
            switch literal {
            case .signed(.min):
                // Both servers go on with a DECIMAL.
                return self.literal(.decimal(FixedDecimal(1 << 63)), .decimal)
            case .signed(let value): return self.literal(.signed(-value), .signed)
            case .unsigned(1 << 63): return self.literal(.signed(.min), .signed)
            case .decimal(let value): return self.literal(.decimal(value.negated), .decimal)
            case .double(let value): return self.literal(.double(-value), .double)
            default: break
            }
        }
        return emit(step, parts, type)
    }

    // MARK: Comparison

    mutating func compare(
        _ operation: Operation, _ left: CompiledPart, _ right: CompiledPart,
        _ node: ExpressionNode, _ commonOrder: TextOrder? = nil
    ) throws(ExpressionError) -> CompiledPart {
        let left = try constant(left, against: right, node)
        let right = try constant(right, against: left, node)
        try checkYear(left, right, node)
        try checkYear(right, left, node)
        var step = ExpressionStep(operation: operation)
        step.mode = try mode([left, right], node)
        if step.mode == .text {
            if let commonOrder {
                step.order = commonOrder
            } else {
                step.order = try order(left, right, node)
            }
        }
        return emit(step, [left, right], .signed)
    }

    /// The order of a list of values that are compared with each other; `nil` when some are no
    /// texts.
    private func common(
        order parts: [CompiledPart], _ node: ExpressionNode
    ) throws(ExpressionError) -> TextOrder? {
        guard parts.allSatisfy({ $0.type.isText || $0.type == .null }) else { return nil }
        return try order(parts, node)
    }

    private func checkYear(
        _ year: CompiledPart, _ other: CompiledPart, _ node: ExpressionNode
    ) throws(ExpressionError) {
        guard year.isYear, other.isConstant, other.type != .null else { return }
        if case .signed(let value)? = other.literal, value >= 100 { return }
        throw ExpressionError(
            .unsupported("YEAR"), at: node.offset,
            "a column of the type YEAR is compared with whole numbers of four digits only")
    }

    /// A literal text that is compared with a date, time or whole number becomes one.
    private mutating func constant(
        _ part: CompiledPart, against other: CompiledPart, _ node: ExpressionNode
    ) throws(ExpressionError) -> CompiledPart {
        guard case .text(let place)? = part.literal else { return part }
        let bytes = Array(program.bytes[place.offset..<(place.offset + place.length)])
        switch other.type {
        case .temporal(let kind):
            let value =
                kind == .time ? TemporalValue(timeText: bytes) : TemporalValue(dateText: bytes)
            guard let value else {
                throw ExpressionError(
                    .syntax, at: node.offset,
                    "'\(String(decoding: bytes, as: UTF8.self))' is no date or time")
            }
            return literal(.temporal(value), .temporal(value.kind))
        case .signed, .unsigned:
            let text = String(decoding: bytes, as: UTF8.self)
            if let value = Int64(text) { return literal(.signed(value), .signed) }
            if let value = UInt64(text) { return literal(.unsigned(value), .unsigned) }
            return part
        default: return part
        }
    }

    /// How values of these types are compared with each other.
    func mode(
        _ parts: [CompiledPart], _ node: ExpressionNode
    ) throws(ExpressionError) -> ComparisonMode {
        let types = parts.map(\.type).filter { $0 != .null }
        if types.allSatisfy(\.isText) { return .text }
        if types.allSatisfy(\.isNumber) {
            return types.contains(.double) ? .double : .number
        }
        if types.allSatisfy(\.isTemporal) {
            let times = types.count { $0 == .temporal(.time) }
            guard times == 0 || times == types.count else {
                throw ExpressionError(
                    .unsupported("TIME"), at: node.offset,
                    "a time can't be compared with a date here")
            }
            return .temporal
        }
        if types.contains(where: \.isTemporal) {
            guard types.allSatisfy({ $0.isTemporal || $0.isNumber }) else {
                throw ExpressionError(
                    .unsupported("date"), at: node.offset,
                    "a date or time can't be compared with a column of text here")
            }
            return .number
        }
        return .double
    }

    private mutating func isIn(
        _ parts: [CompiledPart], _ node: ExpressionNode
    ) throws(ExpressionError) -> CompiledPart {
        var tests: [CompiledPart] = []
        let order = try common(order: parts, node)
        for part in parts.dropFirst() {
            tests.append(try compare(.equal, parts[0], part, node, order))
        }
        return emit(ExpressionStep(operation: .isIn), tests, .signed)
    }

    private mutating func regexp(
        _ parts: [CompiledPart], _ node: ExpressionNode
    ) throws(ExpressionError) -> CompiledPart {
        guard case .text(let place)? = parts[1].literal else {
            throw ExpressionError(
                .unsupported("REGEXP"), at: node.offset, "REGEXP takes a literal pattern here")
        }
        let text = try asText(parts[0], node.arguments[0])
        let order = try order(text, parts[1], node)
        let pattern = String(
            decoding: program.bytes[place.offset..<(place.offset + place.length)], as: UTF8.self)
        do throws(RegularExpression.Failure) {
            program.patterns.append(
                try RegularExpression(
                    pattern, isCaseInsensitive: !order.isExact && order.folding != .unicodeExact))
        } catch {
            throw ExpressionError(.syntax, at: node.arguments[1].offset, error.reason)
        }
        return emit(
            ExpressionStep(operation: .regexp, index: Int32(program.patterns.count - 1)), [text],
            .signed)
    }

    // MARK: Choices

    /// The type that several values have in common; those of another type become text.
    mutating func choice(
        _ step: ExpressionStep, _ first: [CompiledPart], _ values: [CompiledPart],
        _ node: ExpressionNode
    ) throws(ExpressionError) -> CompiledPart {
        let (converted, type) = try common(values, node)
        return emit(step, first + converted, type, like: try strongest(converted, node))
    }

    mutating func common(
        _ values: [CompiledPart], _ node: ExpressionNode
    ) throws(ExpressionError) -> ([CompiledPart], ValueType) {
        for value in values {
            if case .opaque(let type) = value.type { throw opaque(type, node) }
        }
        let types = values.map(\.type).filter { $0 != .null }
        guard let first = types.first else { return (values, .null) }
        if types.allSatisfy({ $0 == first }) { return (values, first == .member ? .text : first) }
        if types.allSatisfy(\.isNumber) {
            // What fits neither BIGINT nor BIGINT UNSIGNED is a decimal.
            let found = [ValueType.double, .quotient].first { types.contains($0) } ?? .decimal
            let converted = values.map { value in
                let isWanted = value.type == found || value.type == .null
                if isWanted || found != .double && !value.type.isInteger { return value }
                let step =
                    found == .double
                    ? ExpressionStep(operation: .castDouble)
                    : ExpressionStep(operation: .castDecimal, index: 20)
                return emit(step, [value], found == .double ? .double : .decimal)
            }
            return (converted, found)
        }
        if types.allSatisfy({ $0.isTemporal && $0 != .temporal(.time) }) {
            return (values, .temporal(.datetime))
        }
        var texts: [CompiledPart] = []
        for value in values { texts.append(try asText(value, node)) }
        return (texts, .text)
    }

    mutating func cases(
        _ parts: [CompiledPart], hasOperand: Bool, hasElse: Bool, _ node: ExpressionNode
    ) throws(ExpressionError) -> CompiledPart {
        var rest = parts[...]
        let operand = hasOperand ? rest.popFirst() : nil
        var otherwise = hasElse ? rest.popLast() : nil
        var conditions: [CompiledPart] = []
        var values: [CompiledPart] = []
        while let condition = rest.popFirst(), let value = rest.popFirst() {
            if let operand {
                conditions.append(try compare(.equal, operand, condition, node))
            } else {
                conditions.append(condition)
            }
            values.append(value)
        }
        if otherwise == nil { otherwise = literal(.null, .null) }
        if let otherwise { values.append(otherwise) }
        let (converted, type) = try common(values, node)
        var all: [CompiledPart] = []
        for (condition, value) in zip(conditions, converted) { all += [condition, value] }
        if let last = converted.last { all.append(last) }
        return emit(
            ExpressionStep(operation: .caseWhen), all, type, like: try strongest(converted, node))
    }

    // MARK: Conversions and intervals

    mutating func cast(
        _ operation: Operation, _ first: Int?, _ second: Int, _ part: CompiledPart,
        _ node: ExpressionNode
    ) throws(ExpressionError) -> CompiledPart {
        if case .opaque(let type) = part.type { throw opaque(type, node) }
        var step = ExpressionStep(
            operation: operation, index: Int32(first ?? -1), extra: Int32(second))
        switch operation {
        case .castSigned: return emit(step, [part], .signed)
        case .castUnsigned: return emit(step, [part], .unsigned)
        case .castDouble: return emit(step, [part], .double)
        case .castDecimal:
            guard first ?? 10 <= 38, second <= first ?? 10 else {
                throw ExpressionError(
                    .unsupported("DECIMAL"), at: node.offset,
                    "decimals have at most 38 digits here")
            }
            return emit(step, [part], .decimal)
        case .castDate: return emit(step, [part], .temporal(.date))
        case .castDatetime: return emit(step, [part], .temporal(.datetime))
        case .castBinary:
            step.operation = .castChar
            var out = emit(step, [try asText(part, node)], .text)
            out.order = .binary
            out.collation = "binary"
            out.coercibility = 2
            return out
        default:
            let text = try asText(part, node)
            step.order = .utf8
            return emit(step, [text], .text)
        }
    }

    mutating func interval(
        _ operation: Operation, _ unit: IntervalUnit, _ parts: [CompiledPart],
        _ node: ExpressionNode
    ) throws(ExpressionError) -> CompiledPart {
        var date = parts[0]
        if case .text(let place)? = date.literal {
            let bytes = Array(program.bytes[place.offset..<(place.offset + place.length)])
            guard let value = TemporalValue(dateText: bytes) else {
                throw ExpressionError(.syntax, at: node.offset, "this is no date")
            }
            date = literal(.temporal(value), .temporal(value.kind))
        }
        guard case .temporal(let kind) = date.type, kind != .time else {
            throw ExpressionError(
                .unsupported("INTERVAL"), at: node.offset,
                "INTERVAL is only supported with dates")
        }
        guard parts[1].type.isInteger else {
            throw ExpressionError(
                .unsupported("INTERVAL"), at: node.offset,
                "INTERVAL takes whole numbers here")
        }
        let isClock = [.hour, .minute, .second, .microsecond].contains(unit)
        let all: [IntervalUnit] = [
            .microsecond, .second, .minute, .hour, .day, .week, .month, .quarter, .year,
        ]
        let step = ExpressionStep(
            operation: operation, index: Int32(all.firstIndex(of: unit) ?? 0))
        return emit(step, [date, parts[1]], .temporal(isClock ? .datetime : kind))
    }
}

extension TextOrder {
    /// For functions to whom only characters matter.
    static let utf8 = TextOrder(folding: .codePoints, ignoresTrailingSpaces: false)
}
