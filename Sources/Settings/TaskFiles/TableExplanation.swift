public import MySQLCore
internal import Rules

/// Which rule of a task does what to one table of one source.
public struct TableExplanation: Sendable, Hashable {
    /// One thing that a rule decides.
    public struct Line: Sendable, Hashable {
        /// What is decided: `taken`, `target`, `insert`, `drop table`.
        public let subject: String
        /// How: `yes`, `` `shop`.`orders` ``, `Ignore`.
        public let verdict: String
        /// By what: `routes.orders`; empty where no rule says anything.
        public let reason: String
    }

    /// The source.
    public let source: String
    /// What is decided, in the order in which it is looked at.
    public let lines: [Line]

    /// For programs.
    public var value: JSONValue {
        .object([
            "source": .text(source),
            "decisions": .list(
                lines.map {
                    .object([
                        "subject": .text($0.subject), "verdict": .text($0.verdict),
                        "reason": .text($0.reason),
                    ])
                }),
        ])
    }
}

extension TaskSettings {
    /// Which rules do what to a table.
    ///
    /// - Parameters:
    ///   - source: the source, as far as it is known: its own filters count too.
    /// - Throws: when a rule can't be read.
    public func explanation(
        of table: TableName, _ source: SourceSettings
    ) throws(SettingsError) -> TableExplanation {
        do throws(RuleError) {
            guard let rules = rules(source) else {
                let selects = TableFilter(
                    TableSelection(tables: shortTables, excluded: shortExcluded)
                ).selects(table)
                return TableExplanation(
                    source: source.name,
                    lines: [
                        .init(
                            subject: "taken", verdict: selects ? "yes" : "no",
                            reason: "\"tables\" and \"exclude\"")
                    ])
            }
            let listName = file?.instances.first { $0.source == source.name }?.listName ?? ""
            var lines = try rules.comparing(lowerCaseTableNames: 0)
                .explanation(of: table, list: listName)
            // Case counts on most servers; where it need not, somebody has set it so.
            if !rules.isCaseSensitive,
                (try? rules.explanation(of: table, list: listName)) != lines
            {
                lines.append(
                    .init(
                        subject: "in any case", verdict: "other decisions",
                        reason: "where the source has lower_case_table_names 1 or 2"))
            }
            return TableExplanation(source: source.name, lines: lines)
        } catch {
            throw SettingsError(oneLine(error.description))
        }
    }
}

extension SourceRules {
    /// Kinds of DDL that a table's owner thinks of; the others are looked at with their statements.
    private static let ddl: [EventSelector] = [
        .createTable, .alterTable, .addColumn, .modifyColumn, .renameColumn, .dropColumn,
        .createIndex, .dropIndex, .renameTable, .truncateTable, .dropTable,
    ]

    fileprivate func explanation(
        of table: TableName, list: String
    ) throws(RuleError) -> [TableExplanation.Line] {
        typealias Line = TableExplanation.Line
        var lines: [Line] = []
        var real = table
        if let onlineSchemaChange {
            let names = try OnlineSchemaChangeNames(onlineSchemaChange)
            real = names.realName(of: table)
            switch names.kind(of: table) {
            case .real: break
            case .shadow(let of):
                lines.append(
                    Line(
                        subject: "kind", verdict: "shadow table of \(of)",
                        reason: "shadow-table-rules"))
            case .trash:
                lines.append(
                    Line(subject: "kind", verdict: "trash table", reason: "trash-table-rules"))
            }
        }
        let filter = try TableFilter(tables, isCaseSensitive: isCaseSensitive)
        let decision = filter.decision(for: real)
        lines.append(
            Line(
                subject: "taken", verdict: decision.isSelected ? "yes" : "no",
                reason: Self.words(decision.reason, list)))
        guard decision.isSelected else { return lines }
        let router = try Router(routes, source: source, isCaseSensitive: isCaseSensitive)
        do throws(RouteConflict) {
            let route = try router.route(real)
            let rule = route.rule.map { "routes.\($0)" } ?? ""
            lines.append(Line(subject: "target", verdict: "\(route.target)", reason: rule))
            for column in route.extracted {
                lines.append(
                    Line(
                        subject: "column \(column.name)", verdict: "'\(column.value)'",
                        reason: rule))
            }
        } catch {
            lines.append(
                Line(
                    subject: "target", verdict: "error: more than one route matches",
                    reason: error.rules.map { "routes.\($0)" }.joined(separator: ", ")))
        }
        let acting = try chosenFilters().acting
        let events = try EventFilter(acting, isCaseSensitive: isCaseSensitive)
        for kind in [EventSelector.insert, .update, .delete] {
            lines.append(Self.line(kind, events.decision(for: kind, on: real)))
        }
        for kind in Self.ddl {
            // Rules name groups, of which a statement is a member: every ALTER TABLE is one.
            let kinds: Set<EventSelector> =
                [.addColumn, .modifyColumn, .renameColumn, .dropColumn].contains(kind)
                ? [kind, .alterTable] : [kind]
            lines.append(Self.line(kind, events.decision(forDDL: kinds, on: real, sql: "")))
        }
        return lines
            + acting.filter { !$0.sqlPatterns.isEmpty }.map {
                Line(
                    subject: "DDL like \($0.sqlPatterns.joined(separator: " or "))",
                    verdict: $0.action.rawValue,
                    reason: "filters.\($0.name), where its pattern is found")
            } + expressions(real)
    }

    private static func line(
        _ kind: EventSelector, _ decision: EventFilter.Decision
    ) -> TableExplanation.Line {
        .init(
            subject: kind.rawValue, verdict: decision.action.rawValue,
            reason: decision.rule.map { $0.hasPrefix("filters[") ? $0 : "filters.\($0)" } ?? "")
    }

    private func expressions(_ table: TableName) -> [TableExplanation.Line] {
        func same(_ a: String, _ b: String) -> Bool {
            isCaseSensitive ? a == b : a.lowercased() == b.lowercased()
        }
        return expressionFilters.filter {
            same($0.schema, table.schema) && same($0.table, table.name)
        }
        .flatMap { rule in
            [
                ("inserted", rule.insertExpression),
                ("updated, before", rule.updateOldExpression),
                ("updated, after", rule.updateNewExpression),
                ("deleted", rule.deleteExpression),
            ].compactMap { kind, text in
                text.map {
                    .init(
                        subject: "row \(kind)", verdict: "Ignore where \($0)",
                        reason: "expression-filter.\(rule.name)")
                }
            }
        }
    }

    private static func words(_ reason: TableFilter.Reason, _ list: String) -> String {
        let list = "block-allow-list.\(list)"
        return switch reason {
        case .systemSchema: "the schema is the server's own"
        case .notInDoSchemas: "no entry of \(list).do-dbs has the schema"
        case .ignoreSchemas(let i): "\(list).ignore-dbs[\(i)]"
        case .doTables(let i): "\(list).do-tables[\(i)]"
        case .ignoreTables(let i): "\(list).ignore-tables[\(i)]"
        case .notInDoTables: "no entry of \(list).do-tables has it"
        case .unlisted: ""
        case .selection: "the selection"
        }
    }
}
