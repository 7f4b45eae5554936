internal import MySQLCore

/// One side's SQL for a column that is compared in a given form. Every expression works on
/// MariaDB 10.4 to 12 and on MySQL 5.7 to 9: no MD5 (MySQL 9.6 took it out), no CAST AS DOUBLE.
struct ColumnExpression: Sendable {
    let column: ColumnShape
    let form: ColumnForm

    private var name: String { quoteIdentifier(column.name) }

    /// The value in its common form, as ASCII text or plain bytes; NULL stays NULL.
    var value: String {
        switch form.value {
        case .number: "\(name)+0"  // + 0 takes ZEROFILL away, and gives BIT and YEAR a number
        case .decimal(let scale): "CAST(CAST(\(name) AS DECIMAL(65,\(scale))) AS CHAR)"
        case .real: exactReal
        case .temporal(let decimals): temporal(decimals)
        case .text(let charset, _):
            charset != nil
                ? "CAST(\(name) AS BINARY)" : "CAST(CONVERT(\(name) USING utf8mb4) AS BINARY)"
        case .bytes: "CAST(\(name) AS BINARY)"
        case .index: "CAST(\(name) AS UNSIGNED)"
        case .member: "CAST(CONVERT(\(name) USING utf8mb4) AS BINARY)"
        case .address: "CAST(\(name) AS CHAR)"
        case .json, .jsonByValue, .printed:
            "CAST(\(printed) AS BINARY)"
        }
    }

    /// The value as part of a row's concatenation: parts are joined by commas, no part without
    /// a length in front can contain a comma, and `N` stands for NULL. So different rows give
    /// different concatenations.
    var part: String {
        switch form.value {
        case .number, .decimal, .real, .temporal, .index, .address: orNull(value)
        case .text(let charset, true):
            orNull("CONCAT(LENGTH(\(charset != nil ? name : value)),':',\(value))")
        case .text(let charset, false):
            orNull(
                "SHA2(\(charset != nil ? name : "CONVERT(\(name) USING utf8mb4)"),256)")
        case .bytes(true): orNull("CONCAT(LENGTH(\(name)),':',\(value))")
        case .bytes(false): orNull("SHA2(\(name),256)")
        case .member:
            orNull(
                "CONCAT(CAST(\(name) AS UNSIGNED)=0,LENGTH(\(value)),':',\(value))")
        case .json, .jsonByValue, .printed: orNull("SHA2(\(printed),256)")
        }
    }

    private func orNull(_ expression: String) -> String {
        form.isNullable ? "IFNULL(\(expression),'N')" : expression
    }

    /// As DOUBLE. A product, since a sum would lose the sign of -0.
    private var real: String { "\(name)*1e0" }

    /// A text from which ``realNumber(_:)`` has the number exactly. The servers' own text has
    /// not: MySQL cuts it at 22 characters, MariaDB at 30 decimals. Between 10^-3 and the largest
    /// number both print 17 digits without a sign in that space; smaller numbers are multiplied
    /// by a power of 2, which is exact, and marked.
    private var exactReal: String {
        let size = "ABS(\(name))*1e0"
        return """
            IF(\(name)=0,CONCAT(\(real)),CONCAT(IF(\(name)<0,'-',''),\
            CASE WHEN \(size)>=1e-3 THEN CONCAT(\(size)) \
            WHEN \(size)>=1e-33 THEN CONCAT(\(size)*1.2676506002282294e30,'a') \
            WHEN \(size)>=1e-150 THEN CONCAT(\(size)*3.273390607896142e150,'b') \
            ELSE CONCAT(\(size)*1.0715086071862673e301*1.8889465931478581e22,'c') END))
            """
    }

    private func temporal(_ decimals: Int) -> String {
        let text = "CAST(\(name) AS CHAR)"
        let missing = decimals - column.type.decimals
        guard missing > 0, column.type.kind != .date else { return text }
        let zeros = String(repeating: "0", count: missing)
        return "CONCAT(\(text),'\(column.type.decimals == 0 ? "." : "")\(zeros)')"
    }

    private var printed: String {
        column.type.isBinary || column.type.isGeometry
            ? name
            : column.type.isText && column.charset == "utf8mb4"
                ? name : "CAST(\(name) AS CHAR CHARACTER SET utf8mb4)"
    }

    /// The value as a person reads it; at most so many characters.
    func display(_ limit: Int) -> String {
        if column.type.isBinary || column.type.isGeometry || column.type.kind == .vector {
            return "CONCAT('0x',HEX(LEFT(CAST(\(name) AS BINARY),\(limit / 2))))"
        }
        if column.type.isReal { return "CONCAT(\(real))" }
        if case .number = form.value { return value }
        return "LEFT(CAST(\(name) AS CHAR CHARACTER SET utf8mb4),\(limit))"
    }

    /// The value for ``literal(_:)``.
    var exact: String {
        let type = column.type
        if type.isCounting { return "\(name)+0" }
        if type.isReal { return exactReal }
        if type.kind == .enum || type.kind == .set { return "CAST(\(name) AS UNSIGNED)" }
        if type.kind == .json { return "CAST(\(name) AS CHAR CHARACTER SET utf8mb4)" }
        if type.isText || type.isBinary || type.isGeometry || type.kind == .vector {
            return "CAST(\(name) AS BINARY)"
        }
        return "CAST(\(name) AS CHAR)"
    }

    /// A literal that gives `other`, the target's column, the value read by ``exact`` here.
    func literal(_ bytes: [UInt8]?, into other: ColumnShape) -> String {
        guard let bytes else { return "NULL" }
        let type = column.type
        let text = String(decoding: bytes, as: UTF8.self)
        if type.kind == .enum || type.kind == .set {
            let same = form.value == .index
            return same ? text : utf8Literal(memberText(UInt64(text) ?? 0))
        }
        if type.isCounting || type.kind == .decimal { return text }
        if type.isReal { return KeyLiteral.real.sql(realText(bytes, keepsSign: true)) }
        if type.kind == .json { return "CONVERT(\(hexLiteral(bytes)) USING utf8mb4)" }
        if type.isText {
            if other.type.kind == .json {
                let utf8 = charsetName(column.charset) == "utf8mb4"
                return utf8
                    ? "CONVERT(\(hexLiteral(bytes)) USING utf8mb4)"
                    : "CONVERT(_\(charsetName(column.charset)) \(hexLiteral(bytes)) USING utf8mb4)"
            }
            return "_\(charsetName(column.charset)) \(hexLiteral(bytes))"
        }
        if type.isBinary || type.isGeometry || type.kind == .vector { return hexLiteral(bytes) }
        return "'\(text)'"
    }

    private func memberText(_ number: UInt64) -> String {
        let members = column.type.elements
        if column.type.kind == .enum {
            return number >= 1 && number <= members.count ? members[Int(number) - 1] : ""
        }
        return members.indices.filter { number >> UInt64($0) & 1 == 1 }.map { members[$0] }
            .joined(separator: ",")
    }
}
