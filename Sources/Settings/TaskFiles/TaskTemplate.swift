public import MySQLClient

/// A task's first file: what is known in place, what can be added as comments.
public struct TaskTemplate: Sendable, Hashable {
    /// The task's name.
    public var name: String
    /// The target server.
    public var target: ConnectionOptions
    /// The sources' names.
    public var sources: [String]
    /// Tables to take: `schema.table` with `*` and `?`, or a schema alone.
    public var tables: [String]

    /// Takes what is known.
    ///
    /// - Throws: when a name or a pattern can't be used.
    public init(
        name: String, target: ConnectionOptions, sources: [String], tables: [String]
    ) throws(SettingsError) {
        self.name = name
        self.target = target
        self.sources = sources
        self.tables = tables
        for (what, name) in [("task", name)] + sources.map({ ("source", $0) })
        where !RecordName.isValid(name) {
            throw SettingsError(
                "the \(what)'s name must be \(RecordName.rule), not \"\(shortened(name))\"")
        }
        if sources.isEmpty { throw SettingsError("no source is named") }
        if tables.isEmpty { throw SettingsError("no tables are named: a pattern such as 'shop.*'") }
        for pattern in tables where Self.parts(pattern) == nil {
            throw SettingsError(
                "\"\(shortened(pattern))\" is no pattern such as 'shop.*' or 'shop.orders'")
        }
    }

    /// A schema and a table of it; `nil` for what is neither.
    private static func parts(_ pattern: String) -> (schema: String, table: String)? {
        let parts = pattern.split(separator: ".", omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count), parts.allSatisfy({ !$0.isEmpty }),
            !pattern.contains(where: { "~[]`\"'\\".contains($0) || $0.isNewline })
        else { return nil }
        return (String(parts[0]), parts.count == 2 ? String(parts[1]) : "*")
    }

    /// The file.
    public var text: String {
        var lines = [
            "# A task: which tables of which sources go into which target.",
            "# Every key is described in docs/task-files.md; `skein task check` looks at this file.",
            "", "name: \(Self.quoted(name))",
            "# Existing rows are copied, then every change is followed.", "task-mode: all", "",
            "target-database:",
        ]
        if let socket = target.socket {
            lines.append("  socket: \(Self.quoted(socket))")
        } else {
            lines += ["  host: \(Self.quoted(target.host))", "  port: \(target.port)"]
        }
        lines += [
            "  user: \(Self.quoted(target.user))",
            "  # The password comes from SKEIN_TARGET_PASSWORD or a prompt; or from one of these:",
            "  # password-file: /etc/skein/target-password", "  # password: ${TARGET_PASSWORD}",
        ]
        if target.tls.mode != TLSOptions().mode {
            lines.append("  tls: \(target.tls.mode.rawValue)")
        }
        let files = [
            ("ssl-ca", target.tls.caFile), ("ssl-cert", target.tls.certificateFile),
            ("ssl-key", target.tls.keyFile),
        ].compactMap { name, file in file.map { "    \(name): \(Self.quoted($0))" } }
        lines += files.isEmpty ? [] : ["  security:"] + files
        lines += ["", "# The sources, as `skein source add` has named them.", "mysql-instances:"]
        for source in sources {
            lines += [
                "  - source-id: \(Self.quoted(source))", "    block-allow-list: tables",
                "    # syncer-config-name: apply",
            ]
        }
        lines += [
            "", "# Which tables: * and ? stand for any characters and for one.",
            "block-allow-list:",
            "  tables:",
        ]
        let parts = tables.compactMap { Self.parts($0) }
        if parts.allSatisfy({ $0.table == "*" }) {
            lines.append("    do-dbs:")
            lines += parts.map { "      - \(Self.quoted($0.schema))" }
        } else {
            lines.append("    do-tables:")
            lines += parts.flatMap {
                [
                    "      - db-name: \(Self.quoted($0.schema))",
                    "        tbl-name: \(Self.quoted($0.table))",
                ]
            }
        }
        lines += [
            "    # ignore-tables:", "    #   - db-name: shop", "    #     tbl-name: 'tmp_*'", "",
            "# How many connections apply changes; to use it, name it above.", "# syncers:",
            "#   apply:", "#     worker-count: 16", "",
            "# Memory for rows and transactions in flight.", "# memory: 128MiB", "",
            "# Where Skein keeps its checkpoint on the target.", "# meta-schema: skein_meta",
        ]
        return lines.joined(separator: "\n") + "\n"
    }

    /// A text that means itself, whatever is in it.
    private static func quoted(_ text: String) -> String {
        let text = text.replacing("${", with: "$${")
        let isPlain =
            text.utf8.allSatisfy { c in
                (48...57).contains(c) || (97...122).contains(c | 32) || "._-/".utf8.contains(c)
            } && text.first?.isLetter == true
            && !["true", "false", "yes", "no", "on", "off", "null", "y", "n"]
                .contains(text.lowercased())
        if text.unicodeScalars.contains(where: { $0.value < 32 || (127...159).contains($0.value) })
        {
            return JSONValue.text(text).document
        }
        return isPlain ? text : "'" + text.replacing("'", with: "''") + "'"
    }
}
