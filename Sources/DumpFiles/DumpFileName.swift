/// How a dump's file is packed.
public enum DumpCompression: String, Sendable, Hashable, CaseIterable {
    /// Not at all.
    case none
    /// gzip, `.gz`.
    case gzip
    /// Zstandard, `.zst`.
    case zstd

    /// What the names of such files end with.
    public var suffix: String {
        switch self {
        case .none: ""
        case .gzip: ".gz"
        case .zstd: ".zst"
        }
    }
}

/// A file of a dump, as far as its name alone says what it is: what its names mean is for
/// ``DumpLayout``, which sees all files.
///
///     db-schema-create.sql          CREATE DATABASE
///     db.table-schema.sql           CREATE TABLE
///     db.view-schema-view.sql       CREATE VIEW
///     db.table-schema-triggers.sql  triggers (mydumper)
///     db-schema-triggers.sql        the same for a whole database (mydumper, later versions)
///     db-schema-post.sql            routines and events (mydumper)
///     db.table.sql                  rows (mydumper)
///     db.table.00000.sql            the same in parts (mydumper: five digits, Dumpling: nine)
///
/// each with `.gz` or `.zst` behind it where it is compressed.
public struct DumpFileName: Sendable, Hashable, Comparable {
    /// What a file holds.
    public enum Kind: Sendable, Hashable {
        /// The statement that creates a database.
        case database
        /// The statement that creates a table, or a view's stand-in.
        case table
        /// The statement that creates a view.
        case view
        /// Triggers of a table or of a database.
        case triggers
        /// Routines and events of a database.
        case routines
        /// Rows of a table as INSERT statements.
        case rows
        /// Nothing that is loaded: checksums, counts of rows.
        case ignored
        /// Something that can't be loaded, with the reason.
        case unreadable(String)
    }

    /// The whole name.
    public let text: String
    /// What it holds.
    public let kind: Kind
    /// The part of the name that says whose it is: `db`, or `db.table`, and for rows also the
    /// part's number; still encoded.
    public let stem: String
    /// How it is packed.
    public let compression: DumpCompression

    /// Reads a file's name; `nil` when it is none of a dump.
    public init?(_ text: String) {
        var rest = Substring(text)
        var compression = DumpCompression.none
        var packing: String?
        if Self.cut(".gz", from: &rest) {
            compression = .gzip
        } else if Self.cut(".zst", from: &rest) {
            compression = .zstd
        } else {
            packing = ["snappy", "lz4", "xz", "lz", "bz2"].first {
                Self.cut(".\($0)", from: &rest)
            }
        }
        let kinds: [(String, Kind)] = [
            ("-schema-create.sql", .database), ("-schema-post.sql", .routines),
            ("-schema-triggers.sql", .triggers), ("-schema-view.sql", .view),
            ("-schema-sequence.sql", .unreadable("its sequences are in a form of their own")),
            ("-schema.sql", .table), ("-checksum", .ignored), ("-metadata", .ignored),
            (".sql", .rows),
            (".csv", .unreadable("its rows are CSV; dump them as SQL")),
            (".dat", .unreadable("its rows are for LOAD DATA; dump them as INSERT statements")),
            (".parquet", .unreadable("its rows are Parquet; dump them as SQL")),
        ]
        guard let found = kinds.first(where: { Self.cut($0.0, from: &rest) }), !rest.isEmpty
        else { return nil }
        self.text = text
        self.compression = compression
        if let packing {
            self.kind = .unreadable("it is packed with \(packing); gzip and zstd are read")
        } else {
            self.kind = found.1
        }
        stem = String(rest)
    }

    /// Takes an ending away where a name has it. Bytes tell: a dot or a hyphen can be one character
    /// with what stands beside it in the name of a table.
    private static func cut(_ ending: String, from name: inout Substring) -> Bool {
        let (bytes, count) = (name.utf8, ending.utf8.count)
        guard bytes.suffix(count).elementsEqual(ending.utf8) else { return false }
        name = name[..<bytes.index(bytes.endIndex, offsetBy: -count)]
        return true
    }

    /// Whether a file looks like one of a dump whose name tools have changed (`d.t.sql.partial`,
    /// `.d.t.sql.gz.x7Q`, `d.t.sql~`): what it holds would be missed.
    static func isDoubtful(_ text: String) -> Bool {
        // No tool gives a whole file a name with a dot at its start: a copy that is under way.
        guard text.hasPrefix(".") || DumpFileName(text) == nil else { return false }
        return text.lowercased().split(separator: ".").dropFirst(text.hasPrefix(".") ? 0 : 1)
            .contains { part in
                let word = part.prefix { ("a"..."z").contains($0) }
                return ["sql", "csv", "tsv", "dat"].contains(word)
            }
    }

    /// By name, whose bytes count: file systems tell names apart that Swift's strings do not.
    public static func == (a: DumpFileName, b: DumpFileName) -> Bool {
        a.text.utf8.elementsEqual(b.text.utf8)
    }

    /// By name.
    public static func < (a: DumpFileName, b: DumpFileName) -> Bool {
        a.text.utf8.lexicographicallyPrecedes(b.text.utf8)
    }

    // MARK: Writing

    /// The name of the file that creates a database.
    public static func database(_ name: String) -> String { "\(encode(name))-schema-create.sql" }

    /// The name of the file with a database's routines and events.
    public static func routines(_ name: String) -> String { "\(encode(name))-schema-post.sql" }

    /// The name of the file that creates a table, or a view's stand-in.
    public static func table(_ schema: String, _ name: String) -> String {
        "\(encode(schema)).\(encode(name))-schema.sql"
    }

    /// The name of the file that creates a view.
    public static func view(_ schema: String, _ name: String) -> String {
        "\(encode(schema)).\(encode(name))-schema-view.sql"
    }

    /// The name of the file with a table's triggers.
    public static func triggers(_ schema: String, _ name: String) -> String {
        "\(encode(schema)).\(encode(name))-schema-triggers.sql"
    }

    /// The name of a part of a table's rows.
    public static func rows(_ schema: String, _ name: String, part: Int) -> String {
        let digits = String(part)
        let zeros = String(repeating: "0", count: max(0, 9 - digits.utf8.count))
        return "\(encode(schema)).\(encode(name)).\(zeros)\(digits).sql"
    }

    /// A name as Dumpling writes it: characters that file systems or the layout mean something by
    /// are `%` and two hexadecimal digits, and so is the hyphen of `-schema`.
    public static func encode(_ name: String) -> String {
        let bytes = Array(name.utf8)
        let special = Set("\"%*./:<>?\\|".utf8)
        var out: [UInt8] = []
        for (i, c) in bytes.enumerated() {
            let beginsSuffix =
                c == UInt8(ascii: "-")
                && bytes[(i + 1)...].prefix(6).map { $0 | 0x20 } == Array("schema".utf8)
            if c < 0x20 || special.contains(c) || beginsSuffix {
                out.append(UInt8(ascii: "%"))
                for digit in [c >> 4, c & 15] {
                    out.append(digit < 10 ? digit + UInt8(ascii: "0") : digit + 55)
                }
            } else {
                out.append(c)
            }
        }
        return String(decoding: out, as: UTF8.self)
    }

    /// Undoes ``encode(_:)``; what is no encoding stays as it is.
    public static func decode(_ name: some StringProtocol) -> String {
        let bytes = Array(name.utf8)
        var out: [UInt8] = []
        var i = 0
        while i < bytes.count {
            if bytes[i] == UInt8(ascii: "%"), i + 2 < bytes.count, let high = hex(bytes[i + 1]),
                let low = hex(bytes[i + 2])
            {
                out.append(high << 4 | low)
                i += 3
            } else {
                out.append(bytes[i])
                i += 1
            }
        }
        return String(decoding: out, as: UTF8.self)
    }

    private static func hex(_ c: UInt8) -> UInt8? {
        switch c {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): c - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): c - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): c - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
