internal import MySQLBinlog
internal import MySQLCore

/// An expression that does nothing but compare whole columns with whole constants, joined by AND:
/// most filters are, and need none of the general way's steps for a row.
final class WholeComparisons: Sendable {
    /// One of them: a column's order against a constant.
    private struct Comparison {
        /// Among the program's columns.
        let column: Int
        /// Among the table's columns.
        let index: Int
        let isUnsigned: Bool
        /// The constant, of the column's signedness; what lies beyond its values is in `fixed`.
        let constant: UInt64
        /// How every value of the column compares with the constant, where that is always the same.
        let fixed: Int?
        /// Which orders make it true.
        let orders: Orders
    }

    private struct Orders: OptionSet {
        let rawValue: UInt8
        static let less = Orders(rawValue: 1)
        static let equal = Orders(rawValue: 2)
        static let greater = Orders(rawValue: 4)

        init(rawValue: UInt8) { self.rawValue = rawValue }

        init?(_ operation: Operation) {
            switch operation {
            // NULL is equal to no constant that is a number.
            case .equal, .nullSafeEqual: self = .equal
            case .notEqual: self = [.less, .greater]
            case .less: self = .less
            case .lessOrEqual: self = [.less, .equal]
            case .greater: self = .greater
            case .greaterOrEqual: self = [.greater, .equal]
            default: return nil
            }
        }

        /// Those with the sides changed.
        var mirrored: Orders {
            var out = intersection(.equal)
            if contains(.less) { out.insert(.greater) }
            if contains(.greater) { out.insert(.less) }
            return out
        }
    }

    /// What becomes of a row.
    enum Answer {
        case isTrue, isNotTrue
        /// It can't be said here: the general way says it, or what is wrong.
        case unknown
    }

    private let list: [Comparison]

    /// `nil` for an expression that is more than that.
    init?(_ program: ExpressionProgram) {
        var list: [Comparison] = []
        var open = [program.root]
        while let next = open.popLast() {
            let step = program.steps[next]
            let first = Int(step.start)
            switch step.operation {
            case .and:
                guard step.count == 2 else { return nil }
                open.append(Int(program.arguments[first + 1]))
                open.append(Int(program.arguments[first]))
            default:
                guard let one = Self.comparison(step, program) else { return nil }
                list.append(one)
            }
        }
        self.list = list
    }

    private static func comparison(
        _ step: ExpressionStep, _ program: ExpressionProgram
    ) -> Comparison? {
        guard let orders = Orders(step.operation), step.mode == .number, step.count == 2 else {
            return nil
        }
        let first = Int(step.start)
        let left = program.steps[Int(program.arguments[first])]
        let right = program.steps[Int(program.arguments[first + 1])]
        let isMirrored = left.operation == .literal
        let (column, literal) = isMirrored ? (right, left) : (left, right)
        guard column.operation == .column, literal.operation == .literal else { return nil }
        let its = program.columns[Int(column.index)]
        guard case .integer = its.reading else { return nil }
        let constant: UInt64
        var fixed: Int?
        switch program.literals[Int(literal.index)] {
        case .signed(let v):
            constant = UInt64(bitPattern: v)
            if its.isUnsigned, v < 0 { fixed = 1 }
        case .unsigned(let v):
            constant = v
            if !its.isUnsigned, v > UInt64(Int64.max) { fixed = -1 }
        default: return nil
        }
        return Comparison(
            column: Int(column.index), index: its.index, isUnsigned: its.isUnsigned,
            constant: constant, fixed: fixed, orders: isMirrored ? orders.mirrored : orders)
    }

    /// Looks at a row.
    func answer(
        _ event: RawSpan, _ values: Span<ColumnValue>, _ layouts: Span<ColumnLayout>
    ) -> Answer {
        let count = list.count
        for i in 0..<count {
            let one = list[i]
            guard one.index < values.count, one.index < layouts.count else { return .unknown }
            let place = values[one.index]
            if place.isAbsent { return .unknown }
            if place.isNull { return .isNotTrue }
            let value: UInt64
            do throws(BinlogError) {
                let layout = layouts[one.index]
                value = UInt64(
                    bitPattern: try layout.integer(event, place, isUnsigned: one.isUnsigned))
            } catch {
                return .unknown
            }
            let order: Orders
            if let fixed = one.fixed {
                order = fixed < 0 ? .less : .greater
            } else if value == one.constant {
                order = .equal
            } else if one.isUnsigned {
                order = value < one.constant ? .less : .greater
            } else {
                order =
                    Int64(bitPattern: value) < Int64(bitPattern: one.constant) ? .less : .greater
            }
            if !one.orders.contains(order) { return .isNotTrue }
        }
        return .isTrue
    }
}
