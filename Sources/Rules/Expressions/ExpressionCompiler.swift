internal import MySQLCore
internal import MySQLSyntax

/// A column as an expression reads it. Nothing of it is on the heap: it is looked up for each row.
struct ExpressionColumn: Sendable {
    /// How bytes become a value.
    enum Reading: Sendable {
        case integer, bit, float, double, decimal, temporal(TemporalValue.Kind), timestamp
        /// UTF-8 or bytes, as they are.
        case plain
        /// The same, with zero bytes that the source left out.
        case padded(Int)
        case latin1
        /// Compressed columns of MariaDB.
        case rendered
        /// Members' texts are at this index of the program's members.
        case enumeration(Int)
        case set(Int)
        case opaque
    }

    var index: Int
    var isUnsigned: Bool
    var reading: Reading
    var decimals: UInt8
}

/// Seconds since 1970 as a server counts them, which UNIX_TIMESTAMP() makes and FROM_UNIXTIME()
/// takes.
struct UnixSeconds: Sendable {
    /// The last one.
    let last: Int64
    /// Whether a date that has none gives NULL, in the place of 0.
    let isNullOutside: Bool

    /// Those of a version.
    init(_ version: ServerVersion) {
        switch version.family {
        case .mariadb:
            last = version.isAtLeast(11, 5) ? 4_294_967_295 : 2_147_483_647
            isNullOutside = true
        case .mysql:
            // Of 3001-01-18 23:59:59.
            last = version.isAtLeast(8, 0, 28) ? 32_536_771_199 : 2_147_483_647
            isNullOutside = false
        }
    }
}

/// An expression, bound to a table's shape.
struct ExpressionProgram: Sendable {
    var steps: [ExpressionStep] = []
    var arguments: [Int32] = []
    var literals: [ExpressionValue] = []
    /// The literals' bytes, which every evaluator has at the beginning of its buffer.
    var bytes: [UInt8] = []
    var columns: [ExpressionColumn] = []
    /// Names of the columns.
    var names: [String] = []
    /// Members' texts of ENUM and SET columns.
    var members: [[TextPlace]] = []
    var patterns: [RegularExpression] = []
    /// That of the session's time zone.
    var clock = ZoneClock.utc
    /// What the server takes for seconds since 1970.
    var seconds = UnixSeconds(ServerVersion("8.0.28"))
    /// Where TIMESTAMP columns stand in the text, but for those that UNIX_TIMESTAMP() looks at
    /// itself.
    var zonedPlaces: Set<Range<Int>> = []
    /// Whether it makes dates of seconds, or seconds of anything but TIMESTAMP columns.
    var hasZonedFunctions = false
    var root = 0
}

/// What is known of a part of an expression.
struct CompiledPart {
    var step: Int32
    var type: ValueType
    var order: TextOrder?
    /// The collation's name, for messages.
    var collation = ""
    /// How strongly the collation is meant: 0 for COLLATE, 2 for columns, 4 for literals, 5 for
    /// numbers as text.
    var coercibility = 4
    var literal: ExpressionValue?
    /// Whether it is a YEAR column, which the servers compare with constants of two digits as with
    /// years of this century or the last.
    var isYear = false
    /// Whether no column is in it.
    var isConstant = false
}

/// Makes programs of expressions.
struct ExpressionCompiler {
    var program = ExpressionProgram()
    let shape: TableShape
    /// Collation of literals and of numbers as text.
    let literalCollation: String
    let isMariaDB: Bool
    var columns: [Int: Int32] = [:]

    init(
        shape: TableShape, clock: ZoneClock, literalCollation: String, version: ServerVersion
    ) {
        self.shape = shape
        isMariaDB = version.family == .mariadb
        program.seconds = UnixSeconds(version)
        self.literalCollation = literalCollation
        program.clock = clock
    }

    mutating func compile(_ node: ExpressionNode) throws(ExpressionError) -> ExpressionProgram {
        let part = try add(node)
        if case .opaque(let type) = part.type { throw opaque(type, node) }
        program.root = Int(part.step)
        return program
    }

    func opaque(_ type: String, _ node: ExpressionNode) -> ExpressionError {
        ExpressionError(
            .unsupported(type), at: node.offset, "values of the type \(type) can't be evaluated")
    }

    // MARK: Steps

    mutating func emit(
        _ step: ExpressionStep, _ arguments: [CompiledPart], _ type: ValueType,
        like text: CompiledPart? = nil
    ) -> CompiledPart {
        var step = step
        step.start = Int32(program.arguments.count)
        step.count = Int32(arguments.count)
        program.arguments += arguments.map(\.step)
        program.steps.append(step)
        var out = CompiledPart(step: Int32(program.steps.count - 1), type: type)
        out.isConstant = step.operation != .column && arguments.allSatisfy(\.isConstant)
        if let text {
            out.order = text.order
            out.collation = text.collation
            out.coercibility = text.coercibility
        } else {
            out.order = TextOrder(collation: literalCollation)
            out.collation = literalCollation
            out.coercibility = type.isText ? 4 : 5
        }
        return out
    }

    mutating func literal(_ value: ExpressionValue, _ type: ValueType) -> CompiledPart {
        program.literals.append(value)
        var out = emit(
            ExpressionStep(operation: .literal, index: Int32(program.literals.count - 1)), [],
            type)
        out.literal = value
        return out
    }

    mutating func place(_ bytes: [UInt8]) -> TextPlace {
        let place = TextPlace(
            isInEvent: false, offset: program.bytes.count, length: bytes.count)
        program.bytes += bytes
        return place
    }

    mutating func add(_ node: ExpressionNode) throws(ExpressionError) -> CompiledPart {
        switch node.form {
        case .null: return literal(.null, .null)
        case .integer(let value):
            return value <= UInt64(Int64.max)
                ? literal(.signed(Int64(value)), .signed) : literal(.unsigned(value), .unsigned)
        case .decimal(let value): return literal(.decimal(value), .decimal)
        case .double(let value): return literal(.double(value), .double)
        case .text(let bytes): return literal(.text(place(bytes)), .text)
        case .bytes(let bytes):
            var out = literal(.text(place(bytes)), .text)
            out.order = .binary
            out.collation = "binary"
            return out
        case .temporal(let value): return literal(.temporal(value), .temporal(value.kind))
        case .column(let name): return try column(name, node)
        case .collate(let name): return try collate(name, node)
        default: break
        }
        var parts: [CompiledPart] = []
        for argument in node.arguments { parts.append(try add(argument)) }
        noteZone(node)
        switch node.form {
        case .interval(let operation, let unit):
            return try interval(operation, unit, parts, node)
        case .like(let escape):
            var step = ExpressionStep(operation: .like, index: Int32(escape))
            let texts = try parts.enumerated().mapText { (i, part) throws(ExpressionError) in
                try asText(part, node.arguments[i])
            }
            step.order = try order(texts[0], texts[1], node)
            return emit(step, texts, .signed)
        case .cast(let operation, let first, let second):
            return try cast(operation, first, second, parts[0], node)
        case .cases(let hasOperand, let hasElse):
            return try cases(parts, hasOperand: hasOperand, hasElse: hasElse, node)
        case .operation(let operation): return try apply(operation, parts, node)
        default: throw ExpressionError(.syntax, at: node.offset, "this was not expected")
        }
    }

    private mutating func collate(
        _ name: String, _ node: ExpressionNode
    ) throws(ExpressionError) -> CompiledPart {
        var part = try asText(try add(node.arguments[0]), node.arguments[0])
        guard let order = TextOrder(collation: Charsets.canonical(collation: name)) else {
            throw unknownCollation(name, node)
        }
        part.order = order
        part.collation = name
        part.coercibility = 0
        return part
    }

    func unknownCollation(_ name: String, _ node: ExpressionNode) -> ExpressionError {
        ExpressionError(
            .unsupported(name), at: node.offset, "the collation '\(name)' is not known here")
    }

    // MARK: Columns

    private mutating func column(
        _ name: String, _ node: ExpressionNode
    ) throws(ExpressionError) -> CompiledPart {
        guard let index = shape.columnIndex(name) else {
            throw ExpressionError(
                .unknownColumn(name), at: node.offset,
                "the table \(shape.name) has no column '\(name)'")
        }
        let column = shape.columns[index]
        var place = columns[index]
        let (type, reading) = try reading(of: column, node)
        if case .timestamp = reading { program.zonedPlaces.insert(node.offset..<node.end) }
        if place == nil {
            program.columns.append(
                ExpressionColumn(
                    index: index, isUnsigned: column.type.isUnsigned,
                    reading: reading, decimals: UInt8(clamping: column.type.decimals)))
            program.names.append(column.name)
            place = Int32(program.columns.count - 1)
            columns[index] = place
        }
        var out = emit(ExpressionStep(operation: .column, index: place ?? 0), [], type)
        if type.isText {
            let collation =
                column.type.isBinary
                ? "binary" : Charsets.canonical(collation: column.collation ?? "binary")
            out.collation = collation
            out.order = TextOrder(collation: collation)
        }
        out.coercibility = 2
        out.isYear = column.type.kind == .year
        return out
    }

    /// Notes what depends on the zone; a function's arguments have been added.
    private mutating func noteZone(_ node: ExpressionNode) {
        switch node.form {
        case .operation(.fromUnixTime): program.hasZonedFunctions = true
        case .operation(.unixTimestamp):
            // Such a column's seconds are the same in every zone.
            guard let argument = node.arguments.first, case .column = argument.form,
                program.zonedPlaces.remove(argument.offset..<argument.end) != nil
            else {
                program.hasZonedFunctions = true
                return
            }
        default: break
        }
    }

    private mutating func reading(
        of column: ColumnShape, _ node: ExpressionNode
    ) throws(ExpressionError) -> (ValueType, ExpressionColumn.Reading) {
        let type = column.type
        switch type.kind {
        case .tinyint, .smallint, .mediumint, .int, .bigint:
            return (type.isUnsigned ? .unsigned : .signed, .integer)
        case .year: return (.unsigned, .integer)
        case .bit: return (.unsigned, .bit)
        case .float: return (.double, .float)
        case .double: return (.double, .double)
        case .decimal:
            guard type.length ?? 10 <= 38 else {
                return (.opaque("DECIMAL of more than 38 digits"), .opaque)
            }
            return (.decimal, .decimal)
        case .date: return (.temporal(.date), .temporal(.date))
        case .datetime: return (.temporal(.datetime), .temporal(.datetime))
        case .time: return (.temporal(.time), .temporal(.time))
        case .timestamp: return (.temporal(.datetime), .timestamp)
        case .binary: return (.text, .padded(type.length ?? 1))
        case .varbinary, .tinyblob, .blob, .mediumblob, .longblob: return (.text, .plain)
        case .char, .varchar, .tinytext, .text, .mediumtext, .longtext:
            switch Charsets.canonical(charset: column.charset ?? "utf8mb4") {
            case "utf8mb4", "utf8mb3", "ascii", "binary": return (.text, .plain)
            case "latin1": return (.text, .latin1)
            case let other: return (.opaque("text in the character set \(other)"), .opaque)
            }
        case .enum:
            program.members.append(type.elements.map { place(Array($0.utf8)) })
            return (.member, .enumeration(program.members.count - 1))
        case .set:
            program.members.append(type.elements.map { place(Array($0.utf8)) })
            return (.member, .set(program.members.count - 1))
        default: return (.opaque(type.kind.rawValue.uppercased()), .opaque)
        }
    }

    // MARK: Texts

    /// The part as text; numbers and times are printed.
    mutating func asText(
        _ part: CompiledPart, _ node: ExpressionNode
    ) throws(ExpressionError) -> CompiledPart {
        switch part.type {
        case .text, .member, .null: return part
        case .quotient:
            throw ExpressionError(
                .unsupported("quotient"), at: node.offset,
                "a quotient as text is not supported; ROUND() it first")
        case .opaque(let type): throw opaque(type, node)
        default:
            return emit(ExpressionStep(operation: .castChar, index: -1), [part], .text)
        }
    }

    /// The order that two texts are compared in.
    func order(
        _ a: CompiledPart, _ b: CompiledPart, _ node: ExpressionNode
    ) throws(ExpressionError) -> TextOrder {
        try order([a, b], node)
    }

    /// The order that several texts are compared in.
    func order(
        _ parts: [CompiledPart], _ node: ExpressionNode
    ) throws(ExpressionError) -> TextOrder {
        let texts = parts.filter { $0.type != .null }
        guard var chosen = texts.first, texts.count > 1 else { return .binary }
        for text in texts.dropFirst() { chosen = try stronger(chosen, text, node) }
        guard let order = chosen.order else { throw unknownCollation(chosen.collation, node) }
        return order
    }

    /// The text of several whose collation the result of a function has.
    func strongest(
        _ parts: [CompiledPart], _ node: ExpressionNode
    ) throws(ExpressionError) -> CompiledPart? {
        let texts = parts.filter(\.type.isText)
        guard var chosen = texts.first else { return nil }
        for text in texts.dropFirst() { chosen = try stronger(chosen, text, node) }
        return chosen
    }

    /// The one of two texts whose collation counts.
    private func stronger(
        _ a: CompiledPart, _ b: CompiledPart, _ node: ExpressionNode
    ) throws(ExpressionError) -> CompiledPart {
        let chosen: CompiledPart
        if a.coercibility != b.coercibility {
            chosen = a.coercibility < b.coercibility ? a : b
        } else if a.collation == b.collation || a.collation.hasSuffix("bin")
            || a.collation == "binary"
        {
            chosen = a
        } else if b.collation.hasSuffix("bin") || b.collation == "binary" || a.coercibility >= 4 {
            chosen = b
        } else {
            throw ExpressionError(
                .unsupported("mix of collations"), at: node.offset,
                "texts of the collations '\(a.collation)' and '\(b.collation)' can't be compared")
        }
        return chosen
    }
}

extension Sequence {
    /// `map` that throws a type.
    func mapText<T>(
        _ body: (Element) throws(ExpressionError) -> T
    ) throws(ExpressionError) -> [T] {
        var out: [T] = []
        for element in self { out.append(try body(element)) }
        return out
    }
}
