/// The text of one file, as much of it as is looked at: bytes are read on demand, and forgotten
/// once they are used.
struct DumpText {
    private(set) var bytes: [UInt8] = []
    /// The next byte.
    var at = 0
    /// How many bytes were forgotten.
    private var forgotten: UInt64 = 0
    private(set) var isAtEnd = false
    private let more: (inout [UInt8]) throws -> Bool

    /// - Parameter more: appends the next bytes; false at the end.
    init(_ more: @escaping (inout [UInt8]) throws -> Bool) { self.more = more }

    /// The offset of the next byte in the file's text.
    var offset: UInt64 { forgotten + UInt64(at) }

    /// Reads on. False at the end.
    mutating func fill() throws -> Bool {
        guard !isAtEnd else { return false }
        if try !more(&bytes) { isAtEnd = true }
        return !isAtEnd
    }

    /// Forgets what lies before the next byte. Places in ``bytes`` are others afterwards.
    mutating func forget() {
        guard at >= 1 << 16, at * 2 >= bytes.count else { return }
        bytes.removeFirst(at)
        forgotten += UInt64(at)
        at = 0
    }

    /// Reads until `count` bytes are there from the next one on, or the text ends.
    mutating func require(_ count: Int) throws {
        while bytes.count - at < count, try fill() {}
    }

    /// A byte behind the next one; 0 where there is none.
    mutating func peek(_ ahead: Int) throws -> UInt8 {
        try require(ahead + 1)
        return at + ahead < bytes.count ? bytes[at + ahead] : 0
    }

    /// Whether nothing is left.
    mutating func isOver() throws -> Bool {
        try require(1)
        return at >= bytes.count
    }

    /// Passes over white space and comments that are not executable.
    mutating func skipSpace() throws {
        while try !isOver() {
            let c = bytes[at]
            switch c {
            case 0x09...0x0D, 0x20: at += 1
            case 0xEF where try offset == 0 && peek(1) == 0xBB && peek(2) == 0xBF: at += 3
            case UInt8(ascii: "#"): try skipLine()
            case UInt8(ascii: "-") where try peek(1) == c && peek(2) <= 0x20: try skipLine()
            case UInt8(ascii: "/"):
                guard try peek(1) == UInt8(ascii: "*"), try peek(2) != UInt8(ascii: "!"),
                    try !(peek(2) == UInt8(ascii: "M") && peek(3) == UInt8(ascii: "!"))
                else { return }
                try skipComment()
            default: return
            }
            forget()
        }
    }

    /// Passes over the rest of the line.
    mutating func skipLine() throws {
        while try !isOver() {
            at += 1
            if bytes[at - 1] == 0x0A { return }
            forget()
        }
    }

    private mutating func skipComment() throws {
        let start = offset
        at += 2
        while try !isOver() {
            if bytes[at] == UInt8(ascii: "*"), try peek(1) == UInt8(ascii: "/") {
                at += 2
                return
            }
            at += 1
            forget()
        }
        throw DumpFileError("a comment does not end", at: start)
    }

    /// Scans from the next byte to an end.
    ///
    /// - Parameters:
    ///   - limit: the most bytes that may lie before it.
    ///   - what: what is scanned, for errors.
    /// - Returns: the place behind it in ``bytes``; `nil` when the text ends before.
    mutating func scan(
        _ scan: TextScan, until stop: TextScan.Stop, limit: Int, _ what: String
    ) throws -> Int? {
        do {
            return try find(scan, until: stop, limit: limit)?.end
        } catch is RowTooLong {
            throw DumpFileError("\(what) is longer than \(limit) bytes", at: offset)
        }
    }

    /// A row that was found.
    struct Row {
        /// The place behind it.
        var end: Int
        /// Whether it has neither parentheses inside nor executable comments.
        var isPlain: Bool
        /// Whether it has executable comments.
        var hasExecutable: Bool
    }

    /// Scans a row from the parenthesis that opens it, which is the next byte.
    ///
    /// - Returns: `nil` when the text ends before.
    /// - Throws: ``RowTooLong``, and what reading throws.
    mutating func scanRow(_ scan: TextScan, limit: Int) throws -> Row? {
        try find(scan, until: .tuple, limit: limit)
    }

    private mutating func find(
        _ scan: TextScan, until stop: TextScan.Stop, limit: Int
    ) throws -> Row? {
        var scan = scan
        var i = at
        while true {
            if scan.run(bytes.span, &i, isEnd: isAtEnd, until: stop) {
                return Row(
                    end: i, isPlain: !scan.isNested && !scan.hasExecutable,
                    hasExecutable: scan.hasExecutable)
            }
            guard i - at <= limit else { throw RowTooLong(bytes: i - at) }
            if isAtEnd { return nil }
            _ = try fill()
        }
    }
}
