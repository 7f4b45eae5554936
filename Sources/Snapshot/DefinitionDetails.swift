internal import Checkpoint
internal import MySQLClient
internal import MySQLCore
internal import Rules

// A table's shape is what its rows are read and written by. It does not tell how a generated column is
// computed, what a column gets that a statement leaves out, what a CHECK refuses, and how the table is
// partitioned. A table that starts over, and is emptied without being made anew, keeps all that as the
// stream has left it at the mark; statements between the mark and the view it is read in are passed
// over, since the copy has what they did. So what the source has by then is compared with what is
// there.
//
// Comments and options are not compared: they change no row and refuse none.

/// What decides on rows of a table, and its shape does not show.
struct DefinitionDetails: Sendable, Equatable {
    /// Its columns, in lower case, in backticks.
    private var columns: Set<String> = []
    /// How generated columns are computed.
    private var computed: [String: String] = [:]
    /// What columns get without being named.
    private var defaults: [String: String] = [:]
    private var checks: Set<String> = []
    private var partitions = ""
    /// Whether parentheses count: families write more or fewer of them.
    private let isExact: Bool

    /// - Parameter isExact: both definitions that are compared are of one family.
    init(_ text: CreateTableText, isExact: Bool) {
        self.isExact = isExact
        for item in text.items {
            let tokens = DefinitionToken.parse(item)
            if tokens.first?.kind == .identifier {
                addColumn(tokens)
            } else if let at = tokens.firstIndex(where: { $0.word == "CHECK" }) {
                addCheck(Array(tokens[(at + 1)...]))
            }
        }
        let options = DefinitionToken.parse(text.options)
        for i in options.indices {
            let isComment = options[i].commentBody.uppercased().hasPrefix("PARTITION")
            guard isComment || options[i].word == "PARTITION" else { continue }
            // One family quotes names of partitions.
            partitions = plain(
                isComment ? DefinitionToken.parse(options[i].commentBody) : Array(options[i...])
            ).filter { $0 != "`" }
            break
        }
    }

    private mutating func addColumn(_ tokens: [DefinitionToken]) {
        let name = tokens[0].text.lowercased()
        columns.insert(name)
        var i = 1
        while i < tokens.count {
            let next = i + 1 < tokens.count ? tokens[i + 1] : nil
            switch tokens[i].word {
            case "AS" where next?.kind == .group:
                computed[name] = plain([tokens[i + 1]])
                i += 2
            case "CHECK" where next?.kind == .group:
                addCheck([tokens[i + 1]])
                i += 2
            case "DEFAULT":
                let end = Self.valueEnd(tokens, from: i + 1)
                let value = plain(Array(tokens[(i + 1)..<end]))
                if value != "null" { defaults[name, default: ""] += value }
                i = end
            case "ON" where next?.word == "UPDATE":
                let end = Self.valueEnd(tokens, from: i + 2)
                let value = plain(Array(tokens[(i + 2)..<end]))
                defaults[name, default: ""] += " on update " + value
                i = end
            default:
                i += 1
            }
        }
    }

    private mutating func addCheck(_ tokens: [DefinitionToken]) {
        let check = plain(tokens)
        // What MariaDB makes of type JSON.
        if !isExact, check.hasPrefix("json_valid ") { return }
        checks.insert(check)
    }

    /// Where a default ends: words, and parentheses with arguments, are parts of it.
    private static func valueEnd(_ tokens: [DefinitionToken], from start: Int) -> Int {
        let others: Set<String> = [
            "ON", "COMMENT", "CHECK", "AUTO_INCREMENT", "NOT", "INVISIBLE", "COLUMN_FORMAT",
            "STORAGE", "REFERENCES",
        ]
        return tokens[start...].firstIndex { $0.kind == .comment || others.contains($0.word) }
            ?? tokens.count
    }

    /// A text as it compares: families and versions differ in case, in space, in introducers, and in
    /// whether numbers are written as text.
    private func plain(_ tokens: [DefinitionToken]) -> String {
        var out: [String] = []
        for (i, token) in tokens.enumerated() {
            switch token.kind {
            case .group:
                let inner = plain(DefinitionToken.parse(String(token.text.dropFirst().dropLast())))
                // A function without arguments is written with and without them.
                if !inner.isEmpty { out.append(isExact ? "(\(inner))" : inner) }
            case .word:
                let isIntroducer =
                    token.text.hasPrefix("_") && i + 1 < tokens.count
                    && tokens[i + 1].kind == .string
                if !isIntroducer { out.append(token.text.lowercased()) }
            case .string:
                let inner = String(token.text.dropFirst().dropLast())
                let isNumber =
                    !inner.isEmpty
                    && inner.utf8.allSatisfy { byte in
                        byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9")
                            || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "-")
                    }
                out.append(isNumber ? plain(DefinitionToken.parse(inner)) : token.text)
            case .comment:
                out.append(token.commentBody.lowercased())
            case .identifier:
                out.append(token.text.lowercased())
            case .symbol:
                out.append(token.text)
            }
        }
        return out.joined(separator: " ")
    }

    /// What the source has otherwise, for a message; `nil` for nothing.
    ///
    /// - Parameters:
    ///   - source: the same of the source's table, as it would be on the target.
    ///   - hasChecks: the target's version keeps CHECKs.
    ///   - isOwn: it was created here, so that partitions which the source does not have are nobody's
    ///     wish.
    ///   - isShared: others may write to it, so that it can't be made anew.
    func difference(
        from source: DefinitionDetails, hasChecks: Bool, isOwn: Bool, isShared: Bool
    ) -> String? {
        if let computed = computedDifference(from: source) { return computed }
        for column in source.columns.intersection(columns).sorted()
        where source.defaults[column] != defaults[column] {
            return "the default of its column \(column) is another one there"
        }
        if hasChecks, source.checks != checks { return "its CHECKs are others there" }
        // Where nobody has made any for all who write to it, none refuses a row.
        let isWanted = !source.partitions.isEmpty && !(isShared && partitions.isEmpty)
        if source.partitions != partitions, isOwn || isWanted {
            return "its partitions are others there"
        }
        return nil
    }

    /// The same of generated columns alone.
    func computedDifference(from source: DefinitionDetails) -> String? {
        for (column, expression) in source.computed.sorted(by: { $0.key < $1.key }) {
            // Whether it is generated at all its shape tells.
            guard let there = computed[column], there != expression else { continue }
            return "its column \(column) is computed in another way there"
        }
        return nil
    }
}

extension SchemaCopier {
    /// Those of some tables that are there by another definition than the source's is now, and so are
    /// created again.
    ///
    /// - Parameters:
    ///   - owned: tables that this subtask has created.
    ///   - mark: tables as they are at the mark, where the target has what the stream made of them.
    /// - Throws: ``SnapshotError/targetExists(_:detail:)`` for one that can't be created here, and
    ///   has to be another one.
    func remade(
        _ plan: SnapshotPlan, _ tables: Set<TableName>, owned: Set<TableName>, at mark: [TableShape]
    ) throws -> [TableName] {
        let found = try outdated(plan, tables, owned: owned, at: mark)
        let others = try altered(plan, tables.subtracting(found), owned: owned)
        return found + others
    }

    /// Those of some tables, whose shapes are what they are to be, that the source has by another
    /// definition in what shapes do not show.
    private func altered(
        _ plan: SnapshotPlan, _ tables: Set<TableName>, owned: Set<TableName>
    ) throws -> [TableName] {
        let (source, target) = try connections()
        let planned = plan.tables.filter { tables.contains($0.name) }
        guard !planned.isEmpty else { return [] }
        let there = try SchemaReader(target).shapes(of: planned.map(\.target))
        try target.execute("COMMIT")
        // Quotes, and a TIMESTAMP's default, are as the session has them.
        try applyDDLSettings(target, from: source.family)
        var found: [TableName] = []
        let hasChecks =
            target.family == .mariadb
            ? target.serverVersion.isAtLeast(10, 2, 1) : target.serverVersion.isAtLeast(8, 0, 16)
        for table in planned.sorted(by: { $0.name < $1.name }) where there[table.target] != nil {
            let has = try text(table.target, target)
            let isFilled = !table.route.extracted.isEmpty
            let group = plan.byTarget[table.target] ?? [table]
            let isOwn = group.contains { owned.contains($0.name) }
            let isShared = plan.mapping.mayBeShared(target: table.target)
            func compare(_ other: PlannedTable) throws -> String? {
                let (now, isExact) = try details(of: other)
                let present = DefinitionDetails(has, isExact: isExact)
                // Its users may leave out what only refuses rows.
                return isFilled
                    ? present.computedDifference(from: now)
                    : present.difference(
                        from: now, hasChecks: hasChecks, isOwn: isOwn, isShared: isShared)
            }
            guard let difference = try compare(table) else { continue }
            guard !isFilled, !isShared else {
                // Of tables that go to one, which has one definition, each may have had its own.
                if try group.contains(where: { try compare($0) == nil }) { continue }
                throw SnapshotError.targetExists(
                    table.target,
                    detail: "\(table.name) must be copied again, and \(difference) than on the "
                        + "source: give it what the source has by hand")
            }
            found.append(table.name)
        }
        try target.execute("COMMIT")
        return found
    }

    private func text(_ table: TableName, _ server: Connection) throws -> CreateTableText {
        guard let text = CreateTableText(try definition(table, server)) else {
            throw SnapshotError.unsupported(
                object: "table \(table)", detail: "its definition has an unknown form")
        }
        return text
    }

    /// What the source has, as the target would write it, and whether that is known to the letter:
    /// servers of different kinds have different names for a function, and write other parentheses.
    private func details(
        of table: PlannedTable
    ) throws -> (details: DefinitionDetails, isExact: Bool) {
        let (source, target) = try connections()
        let wanted = try text(table.name, source)
        // What can't be rewritten its users have made, and types are not compared here.
        let adapted = (try? definitionAdapter().adapt(wanted, of: table.shape)) ?? wanted
        let (one, other) = (source.serverVersion, target.serverVersion)
        if source.family == target.family, one.major == other.major, one.minor == other.minor {
            return (DefinitionDetails(adapted, isExact: true), true)
        }
        guard let written = try rewritten(adapted, target) else {
            return (
                DefinitionDetails(adapted, isExact: source.family == target.family),
                source.family == target.family
            )
        }
        return (DefinitionDetails(written, isExact: true), true)
    }

    /// A definition as a server writes it: that of a table made by it for the moment, in the meta
    /// schema; `nil` where the server refuses it there.
    private func rewritten(
        _ text: CreateTableText, _ target: Connection
    ) throws -> CreateTableText? {
        let key = configuration.key
        let owner = Digest.digest(text: "\(key.task)\u{0}\(key.source)").prefix(6)
        let stem = "look_" + owner.map { String($0, radix: 16) }.joined() + "_"
        let schema = configuration.meta.name
        // What a killed run has left.
        let left = try target.rows(
            "SELECT TABLE_NAME FROM information_schema.TABLES WHERE "
                + "TABLE_SCHEMA=\(utf8Literal(schema)) AND LEFT(TABLE_NAME, \(stem.utf8.count))="
                + utf8Literal(stem))
        for name in left.compactMap(\.[0]) {
            try target.execute(
                "DROP TABLE IF EXISTS \(TableName(schema: schema, name: name).quoted)")
        }
        let suffix = UInt64.random(in: 0...(.max))
        let name = TableName(schema: schema, name: stem + String(suffix, radix: 16))
        var made = text
        made.items.removeAll { item in
            DefinitionToken.parse(item).contains { $0.word == "FOREIGN" }
        }
        do throws(MySQLError) {
            try target.execute(made.statement(for: name))
        } catch {
            guard error.retry == .no else { throw error }
            return nil
        }
        defer { _ = try? target.execute("DROP TABLE IF EXISTS \(name.quoted)") }
        return try self.text(name, target)
    }
}
