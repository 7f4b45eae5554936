internal import MySQLCore

/// Which of the two servers.
enum Side: Sendable { case source, target }

/// How one pair of columns is compared: the form into which both servers bring their value, so
/// that equal values give equal bytes, and different values different ones.
///
/// Some values have no common text that both families produce (JSON across families, FLOAT and
/// DOUBLE in exponent notation). Those have a ``client`` form too: the checksum uses the servers'
/// text, which is equal nearly always, and where it is not, rows are compared by the value that
/// this process parses from the text.
struct ColumnForm: Sendable, Equatable {
    /// The common form.
    enum Value: Sendable, Equatable {
        /// Whole numbers, BIT and YEAR.
        case number
        /// DECIMAL, brought to one scale.
        case decimal(scale: Int)
        /// FLOAT and DOUBLE, always as DOUBLE: as FLOAT, servers print six digits only.
        case real(onlyMySQL: Bool)
        /// Dates and times as text, with so many fractional digits.
        case temporal(decimals: Int)
        /// Text by its bytes, in the charset that both sides share, or converted to utf8mb4.
        case text(charset: String?, isShort: Bool)
        /// Plain bytes, geometries (SRID and WKB) and vectors.
        case bytes(isShort: Bool)
        /// ENUM and SET with the same members: the number, which tells the invalid value from ''.
        case index
        /// ENUM and SET with other members on the other side: whether the number is 0, and text.
        case member
        /// Types of MariaDB that print as short ASCII: UUID, INET4, INET6.
        case address
        /// JSON of MySQL on both sides: the server's own text.
        case json
        /// JSON of MySQL against text: by value. `rounds`: the target keeps numbers as DOUBLE.
        case jsonByValue(rounds: Bool)
        /// Anything else against anything else: the text that the server prints.
        case printed
    }

    /// The common form.
    let value: Value
    /// Whether NULL must be provided for.
    let isNullable: Bool
    /// Whether texts are converted to utf8mb4 from a charset of which several characters become
    /// the same one there: as literals they would find other rows.
    private let mergesCharacters: Bool

    /// How values are brought into one form on this side of the connections, `nil` when the
    /// servers' bytes are compared as they are.
    var client: ClientForm? {
        switch value {
        case .real(let onlyMySQL): .real(keepsSign: onlyMySQL)
        case .jsonByValue(let rounds): .json(rounds: rounds)
        default: nil
        }
    }

    /// How a value of a key is written as SQL literal, `nil` when the column can't be in a key.
    var literal: KeyLiteral? {
        switch value {
        case .number, .decimal, .index: .bare
        case .real: .real
        case .temporal, .address: .quoted
        case .text(let charset, _):
            mergesCharacters ? nil : .text(charset: charset ?? "utf8mb4")
        case .bytes: .bytes
        case .member, .json, .jsonByValue, .printed: nil
        }
    }

    /// Chooses the form for a source column and a target column.
    init(
        _ source: ColumnShape, _ sourceFamily: ServerFamily, _ target: ColumnShape,
        _ targetFamily: ServerFamily
    ) {
        isNullable = source.isNullable || target.isNullable
        value = Self.value(source, sourceFamily, target, targetFamily)
        mergesCharacters =
            if case .text(charset: nil, _) = value {
                [source.charset, target.charset].contains {
                    Self.mergingCharsets.contains(charsetName($0))
                }
            } else { false }
    }

    /// The charsets of several bytes that were made by joining older ones. In cp932 x'81CA' and
    /// x'EEF9' are both U+FFE2, and only the first one comes back from there.
    private static let mergingCharsets: Set<String> = [
        "big5", "cp932", "eucjpms", "euckr", "gb2312", "gbk", "sjis", "ujis",
    ]

    private static func value(
        _ source: ColumnShape, _ sourceFamily: ServerFamily, _ target: ColumnShape,
        _ targetFamily: ServerFamily
    ) -> Value {
        let (a, b) = (source.type, target.type)
        func both(_ test: (ColumnType) -> Bool) -> Bool { test(a) && test(b) }
        if both(\.isCounting) { return .number }
        if both({ $0.isCounting || $0.kind == .decimal }) {
            return .decimal(scale: max(a.decimalScale, b.decimalScale))
        }
        if both({ $0.isCounting || $0.kind == .decimal || $0.isReal }) {
            return .real(onlyMySQL: sourceFamily == .mysql && targetFamily == .mysql)
        }
        if both(\.isTemporal) {
            let clocks = [a, b].filter { $0.kind != .date }
            return .temporal(decimals: clocks.map(\.decimals).max() ?? 0)
        }
        if both({ $0.kind == .json }) { return .json }
        if a.kind == .json && b.isText { return .jsonByValue(rounds: false) }
        if a.isText && b.kind == .json { return .jsonByValue(rounds: true) }
        if both(\.isText) {
            let (x, y) = (charsetName(source.charset), charsetName(target.charset))
            return .text(
                charset: x == y ? x : nil, isShort: a.isShortString && b.isShortString)
        }
        if both({ $0.kind == .enum }) || both({ $0.kind == .set }) {
            // By bytes: Swift's == takes composed and decomposed letters for the same.
            let same = a.elements.map { Array($0.utf8) } == b.elements.map { Array($0.utf8) }
            return same ? .index : .member
        }
        if both({ $0.isBinary || $0.isText || $0.isGeometry || $0.kind == .vector }) {
            return .bytes(isShort: a.isShortString && b.isShortString)
        }
        if a.kind == b.kind, a.isAddress { return .address }
        return .printed
    }
}

/// The name of a charset, without the two spellings of utf8mb3.
func charsetName(_ name: String?) -> String {
    name == nil || name == "utf8" ? "utf8mb3" : name ?? ""
}

extension ColumnType {
    /// Whether values are whole numbers to the comparison.
    var isCounting: Bool { isInteger || kind == .bit || kind == .year }
    /// Whether values are floating-point numbers.
    var isReal: Bool { kind == .float || kind == .double }
    /// Whether values are UUIDs or network addresses of MariaDB.
    var isAddress: Bool { kind == .uuid || kind == .inet4 || kind == .inet6 }
    /// Whether values are dates or times.
    var isTemporal: Bool {
        switch kind {
        case .date, .time, .datetime, .timestamp: true
        default: false
        }
    }
    fileprivate var decimalScale: Int { kind == .decimal ? decimals : 0 }
    /// Strings that a row's concatenation can hold as they are; longer ones are hashed first, so
    /// that no packet limit is met.
    fileprivate var isShortString: Bool {
        switch kind {
        case .char, .varchar: (length ?? 65_535) <= 255
        case .binary, .varbinary: (length ?? 65_535) <= 1024
        default: false
        }
    }
}

/// How a key's value is written as SQL literal.
enum KeyLiteral: Sendable, Equatable {
    case bare, real, quoted
    case text(charset: String)
    case bytes

    /// The literal; the bytes come from a server and were read by ``ColumnForm``.
    func sql(_ bytes: [UInt8]) -> String {
        switch self {
        case .bare: String(decoding: bytes, as: UTF8.self)
        case .real:
            bytes.contains(UInt8(ascii: "e"))
                ? String(decoding: bytes, as: UTF8.self)
                : String(decoding: bytes, as: UTF8.self) + "e0"
        case .quoted: "'\(String(decoding: bytes, as: UTF8.self))'"
        case .text(let charset): "_\(charset) \(hexLiteral(bytes))"
        case .bytes: hexLiteral(bytes)
        }
    }
}
