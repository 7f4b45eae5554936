/// The arguments of `extra-args`, which DM passes to its dump program.
struct DumpArguments {
    /// One flag.
    struct Flag: Hashable {
        /// The long name, `--consistency`.
        let name: String
        /// Its value; empty for a flag that has none.
        let value: String

        /// Whether it decides which rows are read, not only how.
        var changesRows: Bool {
            ["--database", "--tables-list", "--filter", "--where", "--snapshot"].contains(name)
        }
    }

    /// The flags in their order.
    let flags: [Flag]

    /// The flags that DM takes: long name, short name, whether a value follows.
    private static let known: [(name: String, short: String?, hasValue: Bool)] = [
        ("--database", "-B", true), ("--tables-list", "-T", true), ("--threads", "-t", true),
        ("--filesize", "-F", true), ("--statement-size", "-s", true), ("--consistency", nil, true),
        ("--snapshot", nil, true), ("--no-views", "-W", false), ("--rows", "-r", true),
        ("--where", nil, true), ("--escape-backslash", nil, false), ("--filter", "-f", true),
        ("--ca", nil, true), ("--cert", nil, true), ("--key", nil, true),
        ("--no-locks", nil, false), ("--transactional-consistency", nil, false),
    ]

    /// Reads the arguments as a shell would split them.
    init(_ text: String) throws(SettingsError) {
        var words = try Self.words(text)[...]
        var flags: [Flag] = []
        while let word = words.popFirst() {
            let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let spelled = String(parts[0])
            guard let flag = Self.known.first(where: { $0.name == spelled || $0.short == spelled })
            else {
                throw SettingsError(
                    "has the unknown argument \"\(shortened(spelled))\""
                        + suggestion(for: spelled, among: Self.known.map(\.name)))
            }
            var value = parts.count == 2 ? String(parts[1]) : ""
            if flag.hasValue, parts.count == 1 {
                guard let next = words.popFirst() else {
                    throw SettingsError("has \"\(spelled)\" without a value")
                }
                value = next
            }
            flags.append(Flag(name: flag.name, value: value))
        }
        self.flags = flags
    }

    private static func words(_ text: String) throws(SettingsError) -> [String] {
        var words: [String] = []
        var word: String?
        var quote: Character?
        for c in text {
            if let open = quote {
                if c == open { quote = nil } else { word = (word ?? "") + String(c) }
            } else if c == "'" || c == "\"" {
                quote = c
                word = word ?? ""
            } else if c == " " || c == "\t" || c == "\n" {
                if let done = word { words.append(done) }
                word = nil
            } else {
                word = (word ?? "") + String(c)
            }
        }
        if quote != nil { throw SettingsError("has a quote that does not end") }
        if let word { words.append(word) }
        return words
    }
}
