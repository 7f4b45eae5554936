import MySQLCore

/// Character sets and their default collations, in both families.
public enum Charsets {
    /// Lower case, with `utf8` under its full name `utf8mb3`.
    public static func canonical(charset: String) -> String {
        let name = charset.lowercased()
        return name == "utf8" ? "utf8mb3" : name
    }

    /// Lower case, with `utf8_..` under its full name `utf8mb3_..`.
    public static func canonical(collation: String) -> String {
        let name = collation.lowercased()
        return name.hasPrefix("utf8_") ? "utf8mb3_" + name.dropFirst(5) : name
    }

    /// The charset that a collation belongs to; `nil` for MariaDB's short names
    /// (`uca1400_ai_ci`), which fit several.
    public static func charset(ofCollation collation: String) -> String? {
        if collation == "binary" { return "binary" }
        let name = collation.prefix { $0 != "_" }
        if name == "uca1400" { return nil }
        return canonical(charset: String(name))
    }

    /// A collation's full name for text of a charset: `uca1400_ai_ci` of utf8mb4 is
    /// `utf8mb4_uca1400_ai_ci`.
    public static func full(collation: String, charset: String) -> String {
        collation.hasPrefix("uca1400") ? "\(charset)_\(collation)" : collation
    }

    /// A charset's collation where none is said.
    public static func defaultCollation(of charset: String, _ context: SyntaxContext) -> String {
        if let chosen = context.defaultCollations[charset] {
            return full(collation: canonical(collation: chosen), charset: charset)
        }
        let isMariaDB = context.isMariaDB
        switch charset {
        case "binary": return "binary"
        case "utf8mb4" where !isMariaDB && context.version.isAtLeast(8): return "utf8mb4_0900_ai_ci"
        // MariaDB 11.5 changed the defaults of all Unicode charsets (character_set_collations).
        case "utf8mb3", "utf8mb4", "ucs2", "utf16", "utf32":
            return isMariaDB && context.version.isAtLeast(11, 5)
                ? "\(charset)_uca1400_ai_ci" : "\(charset)_general_ci"
        default: return exceptions[charset] ?? "\(charset)_general_ci"
        }
    }

    /// The `_bin` collation of a charset.
    public static func binaryCollation(of charset: String) -> String {
        charset == "binary" ? "binary" : "\(charset)_bin"
    }

    private static let exceptions: [String: String] = [
        "big5": "big5_chinese_ci", "dec8": "dec8_swedish_ci", "hp8": "hp8_english_ci",
        "latin1": "latin1_swedish_ci", "swe7": "swe7_swedish_ci", "ujis": "ujis_japanese_ci",
        "sjis": "sjis_japanese_ci", "tis620": "tis620_thai_ci", "euckr": "euckr_korean_ci",
        "gb2312": "gb2312_chinese_ci", "gbk": "gbk_chinese_ci", "latin5": "latin5_turkish_ci",
        "cp932": "cp932_japanese_ci", "eucjpms": "eucjpms_japanese_ci",
        "gb18030": "gb18030_chinese_ci",
    ]

    /// Bytes of a charset's longest character.
    public static func longestCharacter(of charset: String) -> Int {
        switch charset {
        case "utf8mb4", "utf16", "utf16le", "utf32", "gb18030": 4
        case "utf8mb3", "ujis", "eucjpms": 3
        case "ucs2", "big5", "sjis", "euckr", "gb2312", "gbk", "cp932": 2
        default: 1
        }
    }
}
