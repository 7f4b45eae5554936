internal import MySQLCore
public import MySQLBinlog

/// A filter's expression, read and bound to the shape of its table; made again after DDL.
public struct RowExpression: Sendable {
    let program: ExpressionProgram
    /// The expression as it was written.
    public let text: String

    /// How many of the table's columns it needs, from the first on.
    public var columnLimit: Int { program.columns.reduce(0) { max($0, $1.index + 1) } }
}

/// Looks at rows with one expression. It keeps a buffer, so that a row takes no memory; each task
/// that evaluates has its own.
public struct RowEvaluator: ~Copyable {
    let program: ExpressionProgram
    private let lists: ProgramLists
    /// Where the expression is nothing but such.
    private let comparisons: WholeComparisons?
    /// Length of the literals' bytes.
    private let literalLength: Int
    /// The literals' bytes, then what is made while a row is looked at.
    var buffer: ByteBuffer
    var matchers: [RegexMatcher]

    /// Makes one for an expression.
    public init(_ expression: RowExpression) {
        program = expression.program
        lists = ProgramLists(expression.program)
        comparisons = WholeComparisons(expression.program)
        literalLength = expression.program.bytes.count
        buffer = ByteBuffer(capacity: expression.program.bytes.count + 512)
        buffer.append(expression.program.bytes)
        matchers = expression.program.patterns.map { RegexMatcher($0.program) }
    }

    /// Whether the expression is true for a row: neither false nor NULL.
    ///
    /// - Parameters:
    ///   - event: the row event.
    ///   - values: where the row's values are, from
    ///     ``TableMap/locate(imageAt:columns:in:into:upTo:)``: at least those of the first
    ///     ``RowExpression/columnLimit`` columns.
    ///   - map: the table map that the event refers to.
    public mutating func isTrue(
        _ event: RawSpan, _ values: [ColumnValue], _ map: TableMap
    ) throws(ExpressionFailure) -> Bool {
        switch comparisons?.answer(event, values.span, map.layouts) {
        case .isTrue: return true
        case .isNotTrue: return false
        case .unknown, nil: break
        }
        buffer.truncate(to: literalLength)
        let lists = self.lists
        let row = RowView(
            steps: lists.steps, arguments: lists.arguments, literals: lists.literals,
            columns: lists.columns, values: values.span, layouts: map.layouts)
        return truth(try value(program.root, event, row), event) == true
    }

    /// The expression's value as the server prints it; `nil` for NULL. For `task explain` and
    /// tests.
    public mutating func text(
        _ event: RawSpan, _ values: [ColumnValue], _ map: TableMap
    ) throws(ExpressionFailure) -> String? {
        buffer.truncate(to: literalLength)
        let lists = self.lists
        let row = RowView(
            steps: lists.steps, arguments: lists.arguments, literals: lists.literals,
            columns: lists.columns, values: values.span, layouts: map.layouts)
        guard let place = toText(try value(program.root, event, row)) else { return nil }
        return String(decoding: bytes(place, event), as: UTF8.self)
    }
}

extension RowEvaluator {
    /// The value of a part.
    mutating func value(
        _ index: Int, _ event: RawSpan, _ row: RowView
    ) throws(ExpressionFailure) -> ExpressionValue {
        let step = row.steps[index]
        switch step.operation {
        case .literal: return row.literals[Int(step.index)]
        case .column: return try column(Int(step.index), event, row)
        case .and, .or: return try logic(step, event, row)
        case .xor:
            let a = truth(try value(row.argument(step, 0), event, row), event)
            let b = truth(try value(row.argument(step, 1), event, row), event)
            guard let a, let b else { return .null }
            return .bool(a != b)
        case .not:
            guard let a = truth(try value(row.argument(step, 0), event, row), event) else {
                return .null
            }
            return .bool(!a)
        case .isNull:
            let inner = row.steps[row.argument(step, 0)]
            if inner.operation == .column {
                return .bool(try isNull(column: Int(inner.index), row))
            }
            return .bool(try value(row.argument(step, 0), event, row).isNull)
        case .isTrue:
            return .bool(truth(try value(row.argument(step, 0), event, row), event) == true)
        case .isFalse:
            return .bool(truth(try value(row.argument(step, 0), event, row), event) == false)
        case .equal, .notEqual, .less, .lessOrEqual, .greater, .greaterOrEqual, .nullSafeEqual:
            let a = try operand(row.argument(step, 0), event, row)
            let b = try operand(row.argument(step, 1), event, row)
            return comparison(step, a, b, event)
        case .isIn:
            var sawNull = false
            for i in 0..<Int(step.count) {
                switch truth(try value(row.argument(step, i), event, row), event) {
                case true: return .bool(true)
                case nil: sawNull = true
                default: break
                }
            }
            return sawNull ? .null : .bool(false)
        case .like:
            let a = try value(row.argument(step, 0), event, row)
            let b = try value(row.argument(step, 1), event, row)
            guard let text = toText(a), let pattern = toText(b) else { return .null }
            return .bool(
                like(text, pattern, UInt32(step.index), step.order, event))
        case .regexp:
            guard let text = toText(try value(row.argument(step, 0), event, row)) else {
                return .null
            }
            return .bool(isFound(Int(step.index), text, event))
        case .iff, .ifNull, .coalesce, .nullIf, .caseWhen, .greatest, .least, .field:
            return try choice(step, event, row)
        case .add, .subtract, .multiply, .divide, .integerDivide, .modulo, .negate, .bitOr,
            .bitAnd, .bitXor, .bitNot, .shiftLeft, .shiftRight, .abs, .sign, .floor, .ceiling,
            .round, .truncate, .squareRoot, .castSigned, .castUnsigned, .castDecimal, .castDouble:
            return try number(step, event, row)
        case .concat, .concatWithSeparator, .length, .charLength, .lower, .upper, .substring,
            .left, .right, .trim, .trimLeft, .trimRight, .replace, .locate, .inString, .reverse,
            .ascii, .compareText, .repeated, .padLeft, .padRight, .findInSet, .hex, .castChar,
            .castBinary:
            return try text(step, event, row)
        case .date, .time, .year, .quarter, .month, .day, .hour, .minute, .second, .microsecond,
            .dayOfWeek, .weekday, .dayOfYear, .toDays, .dateDifference, .lastDay, .unixTimestamp,
            .fromUnixTime, .addInterval, .subtractInterval, .castDate, .castDatetime:
            return try temporal(step, event, row)
        case .between: return .null
        }
    }

    /// The value of a part that is most often a column or a literal: these take no call of
    /// ``value(_:_:_:)``.
    @inline(__always)
    private mutating func operand(
        _ index: Int, _ event: RawSpan, _ row: RowView
    ) throws(ExpressionFailure) -> ExpressionValue {
        let step = row.steps[index]
        switch step.operation {
        case .literal: return row.literals[Int(step.index)]
        case .column: return try column(Int(step.index), event, row)
        default: return try value(index, event, row)
        }
    }

    // MARK: Logic

    private mutating func logic(
        _ step: ExpressionStep, _ event: RawSpan, _ row: RowView
    ) throws(ExpressionFailure) -> ExpressionValue {
        let decisive = step.operation == .or
        let a = truth(try value(row.argument(step, 0), event, row), event)
        if a == decisive { return .bool(decisive) }
        let b = truth(try value(row.argument(step, 1), event, row), event)
        if b == decisive { return .bool(decisive) }
        return a == nil || b == nil ? .null : .bool(!decisive)
    }

    /// Whether a value counts as true; `nil` for NULL.
    func truth(_ value: ExpressionValue, _ event: RawSpan) -> Bool? {
        switch value {
        case .null: nil
        case .signed(let v): v != 0
        case .unsigned(let v): v != 0
        case .decimal(let v): !v.isZero
        case .double(let v): v != 0
        case .temporal(let v): v.packed != 0
        case .member(let number, _): number != 0
        case .text: toDouble(value, event) != 0
        }
    }

    // MARK: Comparison

    func comparison(
        _ step: ExpressionStep, _ a: ExpressionValue, _ b: ExpressionValue, _ event: RawSpan
    ) -> ExpressionValue {
        if a.isNull || b.isNull {
            guard step.operation == .nullSafeEqual else { return .null }
            return .bool(a.isNull && b.isNull)
        }
        let order = compare(a, b, step, event)
        switch step.operation {
        case .equal, .nullSafeEqual: return .bool(order == 0)
        case .notEqual: return .bool(order != 0)
        case .less: return .bool(order < 0)
        case .lessOrEqual: return .bool(order <= 0)
        case .greater: return .bool(order > 0)
        default: return .bool(order >= 0)
        }
    }

    /// -1, 0 or 1; neither is NULL.
    func compare(
        _ a: ExpressionValue, _ b: ExpressionValue, _ step: ExpressionStep, _ event: RawSpan
    ) -> Int {
        switch step.mode {
        case .text:
            guard let a = place(a), let b = place(b) else { return 0 }
            return compareTexts(a, b, step.order, event)
        case .temporal:
            guard case .temporal(let a) = a, case .temporal(let b) = b else { return 0 }
            return a.packed < b.packed ? -1 : a.packed == b.packed ? 0 : 1
        case .double:
            let a = toDouble(a, event)
            let b = toDouble(b, event)
            return a < b ? -1 : a == b ? 0 : 1
        case .number: return Self.compareNumbers(toNumber(a, event), toNumber(b, event))
        }
    }

    /// Compares whole and decimal numbers exactly.
    @inline(__always)
    static func compareNumbers(_ a: ExpressionValue, _ b: ExpressionValue) -> Int {
        switch (a, b) {
        case (.signed(let a), .signed(let b)): return a < b ? -1 : a == b ? 0 : 1
        case (.unsigned(let a), .unsigned(let b)): return a < b ? -1 : a == b ? 0 : 1
        case (.signed(let a), .unsigned(let b)):
            return a < 0 ? -1 : UInt64(a) < b ? -1 : UInt64(a) == b ? 0 : 1
        case (.unsigned(let a), .signed(let b)):
            return b < 0 ? 1 : a < UInt64(b) ? -1 : a == UInt64(b) ? 0 : 1
        default: return compareFractions(a, b)
        }
    }

    /// The same where one of them is no whole number.
    @inline(never)
    private static func compareFractions(_ a: ExpressionValue, _ b: ExpressionValue) -> Int {
        switch (a, b) {
        case (.double, _), (_, .double):
            let a = numberAsDouble(a)
            let b = numberAsDouble(b)
            return a < b ? -1 : a == b ? 0 : 1
        default:
            guard let a = numberAsDecimal(a), let b = numberAsDecimal(b) else { return 0 }
            return FixedDecimal.compare(a, b)
        }
    }

    // MARK: Choices

    private mutating func choice(
        _ step: ExpressionStep, _ event: RawSpan, _ row: RowView
    ) throws(ExpressionFailure) -> ExpressionValue {
        let count = Int(step.count)
        switch step.operation {
        case .iff:
            let condition = truth(try value(row.argument(step, 0), event, row), event)
            return try value(row.argument(step, condition == true ? 1 : 2), event, row)
        case .ifNull, .coalesce:
            for i in 0..<count {
                let found = try value(row.argument(step, i), event, row)
                if !found.isNull { return found }
            }
            return .null
        case .nullIf:
            let isEqual = truth(try value(row.argument(step, 0), event, row), event)
            return isEqual == true ? .null : try value(row.argument(step, 1), event, row)
        case .caseWhen:
            for i in stride(from: 0, to: count - 1, by: 2) {
                if truth(try value(row.argument(step, i), event, row), event) == true {
                    return try value(row.argument(step, i + 1), event, row)
                }
            }
            return try value(row.argument(step, count - 1), event, row)
        case .field:
            let needle = try value(row.argument(step, 0), event, row)
            if needle.isNull { return .signed(0) }
            for i in 1..<count {
                let other = try value(row.argument(step, i), event, row)
                if !other.isNull, compare(needle, other, step, event) == 0 {
                    return .signed(Int64(i))
                }
            }
            return .signed(0)
        default:
            var best = try value(row.argument(step, 0), event, row)
            if best.isNull { return .null }
            for i in 1..<count {
                let other = try value(row.argument(step, i), event, row)
                if other.isNull { return .null }
                let order = compare(other, best, step, event)
                if step.operation == .greatest ? order > 0 : order < 0 { best = other }
            }
            return best
        }
    }
}
