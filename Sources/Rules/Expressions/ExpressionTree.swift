/// What is wrong with a filter's expression, or what of it is not known here.
public struct ExpressionError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What kind of trouble it is.
    public enum Kind: Sendable, Hashable {
        /// The text is not an expression.
        case syntax
        /// The table has no such column. DM takes the expression as false then.
        case unknownColumn(String)
        /// A function, operator, type, character set or collation that is not known here.
        case unsupported(String)
    }

    /// What kind of trouble it is.
    public var kind: Kind
    /// Where in the text, in bytes.
    public var offset: Int
    /// What is wrong, in words that go behind a colon.
    public var reason: String

    /// Makes an error.
    public init(_ kind: Kind, at offset: Int, _ reason: String) {
        self.kind = kind
        self.offset = offset
        self.reason = reason
    }

    /// One sentence.
    public var description: String { "\(reason) at character \(offset + 1)" }
}

/// Operators and functions. The number of arguments each takes is in ``ExpressionParser``.
enum Operation: UInt8, Sendable {
    case literal, column
    // Logic.
    case or, xor, and, not
    case isNull, isTrue, isFalse
    // Comparison.
    case equal, notEqual, less, lessOrEqual, greater, greaterOrEqual, nullSafeEqual
    case isIn, between, like, regexp
    // Numbers.
    case add, subtract, multiply, divide, integerDivide, modulo, negate
    case bitOr, bitAnd, bitXor, bitNot, shiftLeft, shiftRight
    case abs, sign, floor, ceiling, round, truncate, squareRoot
    // Control.
    case iff, ifNull, coalesce, nullIf, caseWhen, greatest, least
    // Text.
    case concat, concatWithSeparator, length, charLength, lower, upper, substring, left, right
    case trim, trimLeft, trimRight, replace, locate, inString, reverse, ascii, compareText
    case repeated, padLeft, padRight, findInSet, field, hex
    // Dates and times.
    case date, time, year, quarter, month, day, hour, minute, second, microsecond
    case dayOfWeek, weekday, dayOfYear, toDays, dateDifference, lastDay
    case unixTimestamp, fromUnixTime, addInterval, subtractInterval
    // Conversions.
    case castSigned, castUnsigned, castChar, castDecimal, castDouble, castDate, castDatetime
    case castBinary
}

/// A unit of INTERVAL.
enum IntervalUnit: String, Sendable {
    case microsecond, second, minute, hour, day, week, month, quarter, year
}

/// A parsed expression.
struct ExpressionNode: Sendable {
    enum Form: Sendable {
        case column(String)
        case null
        case integer(UInt64)
        case decimal(FixedDecimal)
        case double(Double)
        case text([UInt8])
        case bytes([UInt8])
        case temporal(TemporalValue)
        case operation(Operation)
        /// INTERVAL arithmetic: date and number are the arguments.
        case interval(Operation, IntervalUnit)
        /// LIKE with its escape character, 0 for none.
        case like(escape: UInt8)
        /// CAST to DECIMAL, CHAR(n) and the like.
        case cast(Operation, Int?, Int)
        /// CASE: `[operand] (condition, value)* [else]`.
        case cases(hasOperand: Bool, hasElse: Bool)
        /// `expression COLLATE name`.
        case collate(String)
    }

    var form: Form
    /// Where it is in the text.
    var offset: Int
    var arguments: [ExpressionNode] = []
    /// Where it ends in the text; of columns alone.
    var end = 0
}
