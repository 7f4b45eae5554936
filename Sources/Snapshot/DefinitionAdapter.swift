internal import MySQLCore

/// Rewrites a table's definition for the target's family and version.
///
/// Inside one family the text stays as it is. Between families each construct is either rewritten
/// to one of the same meaning, left out when it has none for the data, or refused by name.
struct DefinitionAdapter: Sendable {
    let from: ServerFamily
    let to: ServerVersion
    /// Full names of the target's collations, lower case.
    let collations: Set<String>

    /// - Throws: ``SnapshotError/unsupported(object:detail:)``.
    func adapt(_ definition: CreateTableText, of shape: TableShape) throws -> CreateTableText {
        var out = definition
        if out.options.uppercased().contains("SYSTEM VERSIONING") {
            throw SnapshotError.unsupported(
                object: "table \(shape.name)",
                detail: "it is system-versioned, and its history can't be written; "
                    + "leave it out or drop the versioning")
        }
        out.items = try definition.items.compactMap { item in
            var tokens = DefinitionToken.parse(item)
            try adaptCollations(&tokens, shape)
            guard from != to.family else { return tokens.text }
            if tokens.first?.kind == .identifier {
                try adaptColumn(&tokens, shape)
            } else if tokens.contains(where: { $0.word == "CHECK" }) {
                // A constraint that the source does not enforce would refuse its rows.
                if tokens.contains(where: { $0.commentBody == "NOT ENFORCED" }) { return nil }
            } else {
                try adaptKey(&tokens, shape)
            }
            return tokens.text
        }
        var options = DefinitionToken.parse(definition.options)
        try adaptCollations(&options, shape)
        if from != to.family { adaptOptions(&options) }
        out.options = options.text
        return out
    }

    // MARK: Collations

    /// Collations that sort and compare alike under two names. The Unicode versions differ (9.0
    /// and 14.0): characters that only the newer one knows compare differently.
    private static let twins: [String: String] = [
        "utf8mb4_0900_ai_ci": "utf8mb4_uca1400_nopad_ai_ci",
        "utf8mb4_0900_as_ci": "utf8mb4_uca1400_nopad_as_ci",
        "utf8mb4_0900_as_cs": "utf8mb4_uca1400_nopad_as_cs",
        "utf8mb4_0900_bin": "utf8mb4_nopad_bin",
    ]

    /// The target's name of a collation.
    func collation(_ name: String) -> String? {
        let name = name.lowercased()
        if collations.contains(name) { return name }
        let twin =
            to.family == .mariadb
            ? Self.twins[name] : Self.twins.first { $0.value == name }?.key
        return twin.flatMap { collations.contains($0) ? $0 : nil }
    }

    private func adaptCollations(_ tokens: inout [DefinitionToken], _ shape: TableShape) throws {
        let owner = tokens.first?.kind == .identifier ? ", column \(tokens[0].text)" : ""
        for i in tokens.indices where tokens[i].word == "COLLATE" {
            guard
                let at = tokens[(i + 1)...].firstIndex(where: { $0.kind == .word })
            else { continue }
            guard let name = collation(tokens[at].text) else {
                throw SnapshotError.unsupported(
                    object: "table \(shape.name)\(owner)",
                    detail: "the target has no collation \(tokens[at].text); change it on the "
                        + "source, or create the table on the target with one that suits")
            }
            if name != tokens[at].text.lowercased() { tokens[at].text = name }
        }
    }

    // MARK: Columns

    private func adaptColumn(_ tokens: inout [DefinitionToken], _ shape: TableShape) throws {
        let object = "table \(shape.name), column \(tokens[0].text)"
        guard tokens.count > 1 else { return }
        switch tokens[1].word {
        case "JSON":
            tokens[1].text = "longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
        case "UUID", "INET4", "INET6":
            throw SnapshotError.unsupported(
                object: object,
                detail: "MySQL has no type \(tokens[1].text); change the column to CHAR or BINARY "
                    + "on the source, or leave the table out")
        case "VECTOR" where to.family == .mariadb && !to.isAtLeast(11, 7):
            throw SnapshotError.unsupported(
                object: object, detail: "MariaDB has type vector from version 11.7 on")
        default: break
        }
        if to.family == .mariadb {
            for i in tokens.indices where tokens[i].kind == .comment {
                let body = tokens[i].commentBody
                tokens[i] = DefinitionToken(.word, body == "INVISIBLE" ? body : "")
            }
        } else {
            tokens.removeAll { $0.kind == .comment }
            wrapDefault(&tokens)
        }
    }

    /// MySQL takes expressions as default only in parentheses, and literals for large objects
    /// only as expressions.
    private func wrapDefault(_ tokens: inout [DefinitionToken]) {
        guard let at = tokens.firstIndex(where: { $0.word == "DEFAULT" }), at + 1 < tokens.count
        else { return }
        let first = tokens[at + 1]
        if first.kind == .group || first.word == "NULL" { return }
        if ["CURRENT_TIMESTAMP", "NOW", "LOCALTIME", "LOCALTIMESTAMP"].contains(first.word) {
            return
        }
        let isLarge = ["TEXT", "BLOB", "JSON", "GEOM", "POINT", "STRING", "POLYGON"].contains {
            tokens[1].word.contains($0)
        }
        var end = at + 2
        if first.kind == .word, !(first.text.first?.isNumber ?? false) {
            // A function with arguments, or a literal with its introducer.
            let isBit = ["B", "X"].contains(first.word)
            if end < tokens.count, tokens[end].kind == .group || tokens[end].kind == .string {
                end += 1
            }
            if isBit, !isLarge { return }
        } else if !isLarge {
            return
        }
        let expression = Array(tokens[(at + 1)..<end]).text
        tokens.replaceSubrange((at + 1)..<end, with: [DefinitionToken(.group, "(\(expression))")])
    }

    // MARK: Keys and options

    private func adaptKey(_ tokens: inout [DefinitionToken], _ shape: TableShape) throws {
        if to.family == .mariadb {
            let parts = tokens.first { $0.kind == .group }
            if let parts, parts.text.hasPrefix("((") || parts.text.contains(",(") {
                let name = tokens.first { $0.kind == .identifier }?.text ?? "?"
                throw SnapshotError.unsupported(
                    object: "table \(shape.name), index \(name)",
                    detail: "MariaDB has no indexes over expressions; drop it on the source, or "
                        + "index a generated column instead")
            }
            for i in tokens.indices where tokens[i].kind == .comment {
                let hides = tokens[i].commentBody == "INVISIBLE" && to.isAtLeast(10, 6)
                tokens[i] = DefinitionToken(.word, hides ? "IGNORED" : "")
            }
        } else {
            tokens.removeAll { $0.kind == .comment }
            for i in tokens.indices where tokens[i].word == "IGNORED" {
                tokens[i].text = "INVISIBLE"
            }
        }
    }

    /// Options that only one family knows, and that mean nothing for the data.
    private static let foreign: Set<String> = [
        "PAGE_CHECKSUM", "TRANSACTIONAL", "PAGE_COMPRESSED", "PAGE_COMPRESSION_LEVEL",
        "ENCRYPTED", "ENCRYPTION_KEY_ID", "COMPRESSION", "ENCRYPTION", "AUTOEXTEND_SIZE",
        "SECONDARY_ENGINE", "ENGINE_ATTRIBUTE", "SECONDARY_ENGINE_ATTRIBUTE",
    ]

    private func adaptOptions(_ tokens: inout [DefinitionToken]) {
        var out: [DefinitionToken] = []
        var i = 0
        while i < tokens.count {
            var token = tokens[i]
            let name =
                token.kind == .identifier ? String(token.text.dropFirst().dropLast()) : token.word
            let hasValue = i + 2 < tokens.count && tokens[i + 1].text == "="
            if hasValue, token.kind == .identifier || Self.foreign.contains(name.uppercased()) {
                i += 3
                continue
            }
            if token.kind == .comment {
                let body = token.commentBody.uppercased()
                if !body.hasPrefix("PARTITION") {
                    i += 1
                    continue
                }
                token = DefinitionToken(.word, token.commentBody, space: "\n")
            }
            if token.word == "ENGINE", hasValue, tokens[i + 2].word == "ARIA" {
                tokens[i + 2].text = "InnoDB"
            }
            out.append(token)
            i += 1
        }
        tokens = out
    }
}
