internal import Rules

// The blocks of rules, in DM's words. What their patterns and expressions mean is the business of
// the rules themselves; here only what a file can get wrong.

extension BlockAllowList: SettingsBlock {
    init() { self.init(doSchemas: []) }

    static let keys: [SettingsKey<Self>] = [
        .texts("do-dbs", \.doSchemas, "a schema's name or pattern"),
        .blocks("do-tables", \.doTables),
        .texts("ignore-dbs", \.ignoreSchemas, "a schema's name or pattern"),
        .blocks("ignore-tables", \.ignoreTables),
    ]
}

extension BlockAllowList.Table: SettingsBlock {
    init() { self.init(schema: "", name: "") }

    static let keys: [SettingsKey<Self>] = [
        .text("db-name", \.schema), .text("tbl-name", \.name),
    ]

    func check(_ map: SettingsMapping) throws(SettingsError) {
        if schema.isEmpty { throw map.error("has no \"db-name\"") }
        if name.isEmpty { throw map.error("has no \"tbl-name\"") }
    }
}

/// `block-allow-list` has names for its blocks, and the list itself has none.
struct NamedBlockAllowList: NamedSettingsBlock {
    var name = ""
    var list = BlockAllowList()

    static let keys: [SettingsKey<Self>] = BlockAllowList.keys.map { key in
        SettingsKey(
            key.name,
            read: { map, name, block throws(SettingsError) in
                try key.read(map, name, &block.list)
            }, write: { block, form in key.write(block.list, form) }
        ).with(key.innerPaths, "")
    }
}

extension RouteRule: NamedSettingsBlock {
    init() { self.init(name: "", schemaPattern: "", targetSchema: "") }

    static let keys: [SettingsKey<Self>] = [
        .text("schema-pattern", \.schemaPattern), .text("table-pattern", \.tablePattern),
        .text("target-schema", \.targetSchema), .text("target-table", \.targetTable),
        extraction("extract-table", "table-regexp", \.extractTable),
        extraction("extract-schema", "schema-regexp", \.extractSchema),
        extraction("extract-source", "source-regexp", \.extractSource),
    ]

    func check(_ map: SettingsMapping) throws(SettingsError) {
        if schemaPattern.isEmpty { throw map.error("has no \"schema-pattern\"") }
        if targetSchema.isEmpty { throw map.error("has no \"target-schema\"") }
    }

    /// The regular expression's key has another name in each of the three blocks.
    private static func extraction(
        _ name: String, _ pattern: String, _ path: SettingsKey<Self>.Path<Extraction?>
    ) -> SettingsKey<Self> {
        SettingsKey(
            name,
            read: { map, name, rule throws(SettingsError) in
                guard let node = map.node(name) else { return }
                let inner = try SettingsMapping(
                    node, map.reading, path: "\(map.path)\(name).",
                    known: [pattern, "target-column"])
                guard let expression = try inner.text(pattern) else {
                    throw inner.error("has no \"\(pattern)\"")
                }
                guard let column = try inner.text("target-column") else {
                    throw inner.error("has no \"target-column\"")
                }
                rule[keyPath: path] = Extraction(pattern: expression, column: column)
            },
            write: { rule, _ in
                rule[keyPath: path].map {
                    .object([pattern: .text($0.pattern), "target-column": .text($0.column)])
                }
            }
        ).with([pattern, "target-column"], ".")
    }
}

extension EventFilterRule: NamedSettingsBlock {
    init() { self.init(name: "", schemaPattern: "", action: .do) }

    static let keys: [SettingsKey<Self>] = [
        .text("schema-pattern", \.schemaPattern), .text("table-pattern", \.tablePattern), events,
        .texts("sql-pattern", \.sqlPatterns, "a regular expression"),
        SettingsKey.parsed(
            "action", \.action, "Do, Ignore or Error", { EventAction(text: $0) },
            { .text($0.rawValue) }
        ).required,
    ]

    private static let events = SettingsKey<Self>(
        "events",
        read: { map, name, rule throws(SettingsError) in
            let words = try map.list(name, "an event's name") { $0 } ?? []
            var events: [EventSelector] = []
            for word in words {
                guard let event = EventSelector(text: word) else {
                    throw map.reading.error(
                        at: "\(map.path)\(name)[\(events.count)]",
                        "\"\(map.reading.shown(word))\" is no event"
                            + suggestion(for: word, among: EventSelector.allCases.map(\.rawValue)))
                }
                events.append(event)
            }
            rule.events = events
        }, write: { rule, _ in .list(rule.events.map { .text($0.rawValue) }) })

    func check(_ map: SettingsMapping) throws(SettingsError) {
        if schemaPattern.isEmpty { throw map.error("has no \"schema-pattern\"") }
        if !map.has("action") { throw map.error("has no \"action\": Do, Ignore or Error") }
    }
}

extension ExpressionFilterRule: NamedSettingsBlock {
    init() { self.init(name: "", schema: "", table: "") }

    static let keys: [SettingsKey<Self>] = [
        .text("schema", \.schema), .text("table", \.table),
        .text("insert-value-expr", \.insertExpression),
        .text("update-old-value-expr", \.updateOldExpression),
        .text("update-new-value-expr", \.updateNewExpression),
        .text("delete-value-expr", \.deleteExpression),
    ]

    func check(_ map: SettingsMapping) throws(SettingsError) {
        if schema.isEmpty { throw map.error("has no \"schema\"") }
        if table.isEmpty { throw map.error("has no \"table\"") }
        let isUpdate = updateOldExpression != nil || updateNewExpression != nil
        switch [insertExpression != nil, isUpdate, deleteExpression != nil].count(where: { $0 }) {
        case 0:
            throw map.error(
                "has no expression: insert-value-expr, update-old-value-expr, "
                    + "update-new-value-expr or delete-value-expr")
        case 1: break
        default:
            throw map.error(
                "has expressions for more than one kind of change: give each an entry of its own")
        }
    }
}
