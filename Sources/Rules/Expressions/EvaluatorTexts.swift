internal import MySQLCore

/// Functions of texts.
extension RowEvaluator {
    /// Bytes that a function may make; the servers have `max_allowed_packet`.
    private static let sizeLimit = 1 << 26

    mutating func text(
        _ step: ExpressionStep, _ event: RawSpan, _ row: RowView
    ) throws(ExpressionFailure) -> ExpressionValue {
        switch step.operation {
        case .concat, .concatWithSeparator: return try concatenate(step, event, row)
        case .findInSet, .locate, .inString, .compareText:
            return try search(step, event, row)
        case .replace, .trim, .trimLeft, .trimRight: return try cut(step, event, row)
        case .hex: return hex(try value(row.argument(step, 0), event, row), event)
        case .repeated, .padLeft, .padRight: return try pad(step, event, row)
        default: break
        }
        guard let text = toText(try value(row.argument(step, 0), event, row)) else { return .null }
        switch step.operation {
        case .length: return .signed(Int64(text.length))
        case .charLength: return .signed(Int64(characters(text, step.order, event)))
        case .ascii: return .signed(text.length > 0 ? Int64(byte(text, 0, event)) : 0)
        case .castChar:
            guard step.index >= 0 else { return .text(text) }
            return .text(slice(text, from: 0, count: Int(step.index), step.order, event))
        case .lower, .upper: return .text(changeCase(text, step, event))
        case .reverse:
            let start = buffer.count
            for c in scalars(text, step.order, event).reversed() {
                if step.order.folding == .bytes {
                    buffer.append(UInt8(truncatingIfNeeded: c))
                } else {
                    append(scalar: c)
                }
            }
            return .text(made(from: start))
        default: return try part(step, text, event, row)
        }
    }

    private func characters(_ text: TextPlace, _ order: TextOrder, _ event: RawSpan) -> Int {
        if order.folding == .bytes { return text.length }
        var count = 0
        var i = 0
        while i < text.length {
            _ = scalar(text, &i, false, event)
            count += 1
        }
        return count
    }

    /// Characters from one on, counted from 0; no copy is made.
    private func slice(
        _ text: TextPlace, from: Int, count: Int, _ order: TextOrder, _ event: RawSpan
    ) -> TextPlace {
        let isBytes = order.folding == .bytes
        var i = 0
        var n = 0
        while n < from, i < text.length {
            _ = scalar(text, &i, isBytes, event)
            n += 1
        }
        let start = i
        n = 0
        while n < count, i < text.length {
            _ = scalar(text, &i, isBytes, event)
            n += 1
        }
        return TextPlace(
            isInEvent: text.isInEvent, offset: text.offset + start, length: i - start)
    }

    /// LEFT, RIGHT, SUBSTRING.
    private mutating func part(
        _ step: ExpressionStep, _ text: TextPlace, _ event: RawSpan, _ row: RowView
    ) throws(ExpressionFailure) -> ExpressionValue {
        let second = try value(row.argument(step, 1), event, row)
        if second.isNull { return .null }
        let limit: Int128 = 1 << 40
        let n = Int(max(-limit, min(toInteger(second, event), limit)))
        switch step.operation {
        case .left: return .text(slice(text, from: 0, count: max(n, 0), step.order, event))
        case .right:
            let total = characters(text, step.order, event)
            return .text(
                slice(text, from: max(0, total - max(n, 0)), count: total, step.order, event))
        default: break
        }
        var count = Int(limit)
        if step.count > 2 {
            let third = try value(row.argument(step, 2), event, row)
            if third.isNull { return .null }
            count = Int(max(0, min(toInteger(third, event), limit)))
        }
        var from = n - 1
        if n <= 0 {
            let total = characters(text, step.order, event)
            guard n < 0, -n <= total else {
                return .text(TextPlace(isInEvent: false, offset: 0, length: 0))
            }
            from = total + n
        }
        return .text(slice(text, from: from, count: count, step.order, event))
    }

    private mutating func changeCase(
        _ text: TextPlace, _ step: ExpressionStep, _ event: RawSpan
    ) -> TextPlace {
        if step.order.folding == .bytes { return text }
        let start = buffer.count
        var i = 0
        while i < text.length {
            let c = scalar(text, &i, false, event)
            if c < 128 {
                let isLetter = step.operation == .upper ? c &- 97 < 26 : c &- 65 < 26
                buffer.append(UInt8(isLetter ? c ^ 32 : c))
                continue
            }
            guard let scalar = Unicode.Scalar(c) else {
                append(scalar: c)
                continue
            }
            let mapped =
                step.operation == .upper
                ? scalar.properties.uppercaseMapping : scalar.properties.lowercaseMapping
            let scalars = mapped.unicodeScalars
            append(scalar: scalars.count == 1 ? scalars.first?.value ?? c : c)
        }
        return made(from: start)
    }

    private mutating func concatenate(
        _ step: ExpressionStep, _ event: RawSpan, _ row: RowView
    ) throws(ExpressionFailure) -> ExpressionValue {
        // Arguments may print into the buffer: all places first, then one copy.
        var places: [TextPlace] = []
        for i in 0..<Int(step.count) {
            guard let text = toText(try value(row.argument(step, i), event, row)) else {
                if step.operation == .concatWithSeparator, i > 0 { continue }
                return .null
            }
            places.append(text)
        }
        let start = buffer.count
        for (i, place) in places.enumerated() {
            if step.operation == .concatWithSeparator {
                if i == 0 { continue }
                if i > 1 { append(places[0], event) }
            }
            append(place, event)
        }
        return .text(made(from: start))
    }

    /// Where one text is in another, in bytes, from a place on; -1 when it is not.
    private func find(
        _ needle: TextPlace, in text: TextPlace, from: Int, _ order: TextOrder, _ event: RawSpan,
        isWindowed: Bool = true
    ) -> Int {
        let isBytes = order.folding == .bytes
        var start = from
        while start <= text.length {
            var i = start
            var j = 0
            var isSame = true
            while j < needle.length {
                guard i < text.length else {
                    isSame = false
                    break
                }
                let c = scalar(text, &i, isBytes, event)
                let d = scalar(needle, &j, isBytes, event)
                guard c == d || self.isSame(c, d, order) else {
                    isSame = false
                    break
                }
            }
            if isSame, !isWindowed || i - start == needle.length { return start }
            guard start < text.length else { break }
            _ = scalar(text, &start, isBytes, event)
        }
        return -1
    }

    private mutating func search(
        _ step: ExpressionStep, _ event: RawSpan, _ row: RowView
    ) throws(ExpressionFailure) -> ExpressionValue {
        guard let a = toText(try value(row.argument(step, 0), event, row)),
            let b = toText(try value(row.argument(step, 1), event, row))
        else { return .null }
        switch step.operation {
        case .compareText: return .signed(Int64(compareTexts(a, b, step.order, event)))
        case .findInSet: return .signed(Int64(member(a, of: b, step.order, event)))
        default: break
        }
        let (needle, text) = step.operation == .inString ? (b, a) : (a, b)
        var from = 0
        if step.count > 2 {
            let third = try value(row.argument(step, 2), event, row)
            if third.isNull { return .null }
            let n = toInteger(third, event)
            let total = characters(text, step.order, event)
            guard n >= 1, n <= total + 1 else { return .signed(0) }
            from = slice(text, from: 0, count: Int(n) - 1, step.order, event).length
        }
        let found = find(
            needle, in: text, from: from, step.order, event, isWindowed: step.extra == 1)
        guard found >= 0 else { return .signed(0) }
        let front = TextPlace(isInEvent: text.isInEvent, offset: text.offset, length: found)
        return .signed(Int64(characters(front, step.order, event) + 1))
    }

    private func member(
        _ needle: TextPlace, of set: TextPlace, _ order: TextOrder, _ event: RawSpan
    ) -> Int {
        for i in 0..<needle.length where byte(needle, i, event) == UInt8(ascii: ",") { return 0 }
        if set.length == 0 { return 0 }
        var start = 0
        var number = 1
        for i in 0...set.length where i == set.length || byte(set, i, event) == UInt8(ascii: ",") {
            let one = TextPlace(
                isInEvent: set.isInEvent, offset: set.offset + start, length: i - start)
            if compareTexts(one, needle, order, event) == 0 { return number }
            start = i + 1
            number += 1
        }
        return 0
    }

    /// TRIM and REPLACE compare bytes.
    private mutating func cut(
        _ step: ExpressionStep, _ event: RawSpan, _ row: RowView
    ) throws(ExpressionFailure) -> ExpressionValue {
        guard var text = toText(try value(row.argument(step, 0), event, row)) else { return .null }
        if step.operation == .replace {
            guard let old = toText(try value(row.argument(step, 1), event, row)) else {
                return .null
            }
            let isMissing = old.length == 0 || find(old, in: text, from: 0, .binary, event) < 0
            if isMissing, step.index == 1 { return .text(text) }
            guard let new = toText(try value(row.argument(step, 2), event, row)) else {
                return .null
            }
            if isMissing { return .text(text) }
            let start = buffer.count
            var from = 0
            while true {
                let found = find(old, in: text, from: from, .binary, event)
                let end = found < 0 ? text.length : found
                append(
                    TextPlace(
                        isInEvent: text.isInEvent, offset: text.offset + from, length: end - from),
                    event)
                guard found >= 0 else { break }
                append(new, event)
                guard buffer.count < Self.sizeLimit else { throw .outOfRange("REPLACE()") }
                from = found + old.length
            }
            return .text(made(from: start))
        }
        var pad: TextPlace?
        if step.count > 1 {
            guard let found = toText(try value(row.argument(step, 1), event, row)) else {
                return .null
            }
            if found.length == 0 { return .text(text) }
            pad = found
        }
        let n = pad?.length ?? 1
        func isPad(at start: Int) -> Bool {
            for i in 0..<n {
                let c = pad.map { byte($0, i, event) } ?? 32
                if byte(text, start + i, event) != c { return false }
            }
            return true
        }
        if step.operation != .trimRight {
            while text.length >= n, isPad(at: 0) {
                text.offset += n
                text.length -= n
            }
        }
        if step.operation != .trimLeft {
            while text.length >= n, isPad(at: text.length - n) { text.length -= n }
        }
        return .text(text)
    }

    private mutating func hex(_ value: ExpressionValue, _ event: RawSpan) -> ExpressionValue {
        let digits = Array("0123456789ABCDEF".utf8)
        let start: Int
        switch value {
        case .null: return .null
        case .signed, .unsigned:
            start = buffer.count
            let number = UInt64(truncatingIfNeeded: toInteger(value, event))
            buffer.append(String(number, radix: 16, uppercase: true))
        default:
            guard let text = toText(value) else { return .null }
            start = buffer.count
            for i in 0..<text.length {
                let c = byte(text, i, event)
                buffer.append(digits[Int(c >> 4)])
                buffer.append(digits[Int(c & 15)])
            }
        }
        return .text(made(from: start))
    }

    private mutating func pad(
        _ step: ExpressionStep, _ event: RawSpan, _ row: RowView
    ) throws(ExpressionFailure) -> ExpressionValue {
        guard let text = toText(try value(row.argument(step, 0), event, row)) else { return .null }
        let second = try value(row.argument(step, 1), event, row)
        if second.isNull { return .null }
        let n = Int(max(-1, min(toInteger(second, event), Int128(Self.sizeLimit))))
        if step.operation == .repeated {
            guard n * text.length < Self.sizeLimit else { throw .outOfRange("REPEAT()") }
            let start = buffer.count
            for _ in 0..<max(n, 0) { append(text, event) }
            return .text(made(from: start))
        }
        guard let filler = toText(try value(row.argument(step, 2), event, row)) else {
            return .null
        }
        if n < 0 { return .null }
        let have = characters(text, step.order, event)
        if have >= n { return .text(slice(text, from: 0, count: n, step.order, event)) }
        let fill = scalars(filler, step.order, event)
        // MySQL gives NULL, MariaDB an empty text.
        guard !fill.isEmpty else { return .null }
        guard n < Self.sizeLimit / 4 else { throw .outOfRange("LPAD()") }
        let start = buffer.count
        if step.operation == .padRight { append(text, event) }
        for i in 0..<(n - have) {
            let c = fill[i % fill.count]
            if step.order.folding == .bytes {
                buffer.append(UInt8(truncatingIfNeeded: c))
            } else {
                append(scalar: c)
            }
        }
        if step.operation == .padLeft { append(text, event) }
        return .text(made(from: start))
    }
}
