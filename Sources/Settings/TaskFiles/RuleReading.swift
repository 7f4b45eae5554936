internal import MySQLCore
internal import MySQLSyntax
internal import Rules

extension TaskFile {
    /// Reads every pattern and expression of the file, each once, so that a mistake in one is told
    /// now and with its place.
    func checkRules(_ reading: SettingsReading) throws(SettingsError) {
        let isExact = isCaseSensitive ?? false
        for (name, named) in lists.sorted(by: { $0.key < $1.key }) {
            try reading.checked("block-allow-list.\(name).") { () throws(RuleError) in
                _ = try TableFilter(named.list, isCaseSensitive: isExact)
            }
        }
        for rule in routes.values.sorted(by: { $0.name < $1.name }) {
            try reading.checked { () throws(RuleError) in
                _ = try Router([rule], isCaseSensitive: isExact)
            }
        }
        for rule in filters.values.sorted(by: { $0.name < $1.name }) {
            try reading.checked { () throws(RuleError) in
                _ = try EventFilter([rule], isCaseSensitive: isExact)
            }
        }
        for instance in instances where instance.filterNames.count > 1 {
            try reading.checked { () throws(RuleError) in
                // Names that are alike in another case are so on some servers only.
                _ = try part(instance).rules.comparing(lowerCaseTableNames: 0).chosenFilters()
            }
        }
        for rule in expressionFilters.values.sorted(by: { $0.name < $1.name }) {
            try reading.checked { () throws(RuleError) in try rule.checkSyntax() }
        }
        try reading.checked { () throws(RuleError) in
            _ = try OnlineSchemaChangeNames(
                OnlineSchemaChangeRules(shadowPatterns: shadowRules, trashPatterns: trashRules))
        }
    }
}

extension SourceFile {
    /// Reads the patterns of the filters.
    func checkRules(_ reading: SettingsReading) throws(SettingsError) {
        for (index, filter) in filters.enumerated() {
            var filter = filter
            filter.name = "\(index)"
            // The rules spell the place as a named block, and here is a list.
            try reading.checked(renaming: ("filters.\(index)", "filters[\(index)]")) {
                () throws(RuleError) in _ = try EventFilter([filter])
            }
        }
    }
}

extension SettingsReading {
    /// Does something that may find a mistake in a rule, and gives the mistake its place.
    fileprivate func checked(
        _ prefix: String = "", renaming: (from: String, to: String)? = nil,
        _ look: () throws(RuleError) -> Void
    ) throws(SettingsError) {
        do throws(RuleError) {
            try look()
        } catch {
            var path = prefix + error.key
            if let renaming, path.hasPrefix(renaming.from) {
                path = renaming.to + path.dropFirst(renaming.from.count)
            }
            let place =
                error.text.isEmpty
                ? "" : " at character \(error.offset + 1) of \"\(shown(error.text))\""
            throw self.error(at: path, "\"\(path)\": \(error.reason)\(place)")
        }
    }
}

extension ExpressionFilterRule {
    /// Reads the expressions without a table: columns that are not known are no mistake here.
    fileprivate func checkSyntax() throws(RuleError) {
        let shape = TableShape(name: TableName(schema: schema, name: table), columns: [])
        // What one family alone understands is a mistake only on the other.
        do throws(RuleError) {
            _ = try ExpressionFilter(
                [self], shape: shape,
                context: SyntaxContext(version: ServerVersion("8.4.0")))
        } catch {
            let told = error
            do throws(RuleError) {
                _ = try ExpressionFilter(
                    [self], shape: shape,
                    context: SyntaxContext(version: ServerVersion("11.4.2-MariaDB")))
            } catch {
                throw told
            }
        }
    }
}
