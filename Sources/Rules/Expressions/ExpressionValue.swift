/// A text's bytes: in the row event, or in the evaluator's buffer, which begins with literals.
struct TextPlace: Sendable {
    var isInEvent: Bool
    var offset: Int
    var length: Int
}

/// A value while a row is looked at. Nothing of it is on the heap.
enum ExpressionValue: Sendable {
    case null
    case signed(Int64)
    case unsigned(UInt64)
    case decimal(FixedDecimal)
    case double(Double)
    case text(TextPlace)
    case temporal(TemporalValue)
    /// An ENUM's or SET's value: its number and its text.
    case member(UInt64, TextPlace)

    static func bool(_ value: Bool) -> ExpressionValue { .signed(value ? 1 : 0) }

    var isNull: Bool { if case .null = self { true } else { false } }
}

/// What kind of values a part of an expression has, whatever the row.
enum ValueType: Sendable, Hashable {
    case null
    case signed, unsigned
    case decimal
    /// A quotient, which has more digits while it is calculated with than when it is printed.
    case quotient
    case double
    case text
    case member
    case temporal(TemporalValue.Kind)
    /// A type whose values are not read; only whether they are NULL.
    case opaque(String)

    var isInteger: Bool { self == .signed || self == .unsigned }

    var isNumber: Bool {
        switch self {
        case .signed, .unsigned, .decimal, .quotient, .double: true
        default: false
        }
    }

    var isText: Bool { self == .text || self == .member }

    var isTemporal: Bool { if case .temporal = self { true } else { false } }
}

/// How two values are compared.
enum ComparisonMode: UInt8, Sendable {
    /// As numbers, each as exactly as it can be.
    case number
    /// As doubles, texts read as numbers.
    case double
    case text
    /// As dates and times of day.
    case temporal
}

/// One part of a compiled expression.
struct ExpressionStep: Sendable {
    var operation: Operation
    var mode = ComparisonMode.number
    var order = TextOrder.binary
    /// Its arguments: `count` indexes from here on in the program's list.
    var start: Int32 = 0
    var count: Int32 = 0
    /// Index of a literal or column; a unit, a length or flags.
    var index: Int32 = 0
    var extra: Int32 = 0
}

/// Why a row could not be looked at.
public enum ExpressionFailure: Error, Sendable, Hashable, CustomStringConvertible {
    /// The row image does not have a column (`binlog_row_image` is not FULL).
    case absentColumn(String)
    /// A number does not fit its type; the servers refuse it as well.
    case outOfRange(String)
    /// The row can't be read.
    case malformed(String)
    /// A regular expression made of a row's values can't be read.
    case invalidPattern(String)

    /// One sentence.
    public var description: String {
        switch self {
        case .absentColumn(let name): "the row image does not have the column '\(name)'"
        case .outOfRange(let what): "a value of \(what) is out of range"
        case .malformed(let what): "the row can't be read: \(what)"
        case .invalidPattern(let what): "a regular expression can't be read: \(what)"
        }
    }
}
