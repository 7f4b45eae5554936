internal import MySQLBinlog

/// What every row needs of a program, behind one reference: an evaluator changes while it looks at
/// a row, and would retain each list whenever it reads from it.
final class ProgramLists: Sendable {
    // SAFETY: the lists never change, and live as long as this object, from which the spans are
    // borrowed.

    private let allSteps: [ExpressionStep]
    private let allArguments: [Int32]
    private let allLiterals: [ExpressionValue]
    private let allColumns: [ExpressionColumn]

    init(_ program: ExpressionProgram) {
        allSteps = program.steps
        allArguments = program.arguments
        allLiterals = program.literals
        allColumns = program.columns
    }

    @inline(__always)
    var steps: Span<ExpressionStep> {
        @_lifetime(borrow self)
        get {
            let list = allSteps
            let span = list.span
            return unsafe _overrideLifetime(span, borrowing: self)
        }
    }

    @inline(__always)
    var arguments: Span<Int32> {
        @_lifetime(borrow self)
        get {
            let list = allArguments
            let span = list.span
            return unsafe _overrideLifetime(span, borrowing: self)
        }
    }

    @inline(__always)
    var literals: Span<ExpressionValue> {
        @_lifetime(borrow self)
        get {
            let list = allLiterals
            let span = list.span
            return unsafe _overrideLifetime(span, borrowing: self)
        }
    }

    @inline(__always)
    var columns: Span<ExpressionColumn> {
        @_lifetime(borrow self)
        get {
            let list = allColumns
            let span = list.span
            return unsafe _overrideLifetime(span, borrowing: self)
        }
    }
}

/// A row, and the program that looks at it. Nothing of it is counted, so that it is handed from
/// part to part of an expression for nothing.
struct RowView: ~Escapable {
    let steps: Span<ExpressionStep>
    let arguments: Span<Int32>
    let literals: Span<ExpressionValue>
    let columns: Span<ExpressionColumn>
    /// Where the row's values are.
    let values: Span<ColumnValue>
    let layouts: Span<ColumnLayout>

    @_lifetime(
        copy steps, copy arguments, copy literals, copy columns, copy values, copy layouts)
    init(
        steps: Span<ExpressionStep>, arguments: Span<Int32>, literals: Span<ExpressionValue>,
        columns: Span<ExpressionColumn>, values: Span<ColumnValue>, layouts: Span<ColumnLayout>
    ) {
        self.steps = steps
        self.arguments = arguments
        self.literals = literals
        self.columns = columns
        self.values = values
        self.layouts = layouts
    }

    /// The `i`-th argument of a step.
    @inline(__always)
    func argument(_ step: ExpressionStep, _ i: Int) -> Int {
        Int(arguments[Int(step.start) + i])
    }
}
