import Foundation
import MySQLCore
import MySQLSyntax

/// A golden file of scripts/golden/ddl-shapes.py: statements, and what a real server's
/// information_schema said of the tables after each.
struct GoldenShapes {
    struct Step {
        var statement: String
        var gone: [String] = []
        var changed: [TableShape] = []
    }

    struct Scenario {
        var sqlMode: String
        var charset: String
        var defaultSchema = "g"
        var steps: [Step] = []
    }

    var version = ServerVersion("")
    var scenarios: [Scenario] = []

    init(named name: String) throws {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent()
        let file = folder.appendingPathComponent("Golden/ddl-shapes/\(name)")
        let text = try String(contentsOf: file, encoding: .utf8)
        for line in text.split(separator: "\n") {
            read(line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init))
        }
    }

    private mutating func read(_ fields: [String]) {
        switch fields[0] {
        case "V": version = ServerVersion(fields[1])
        case "S":
            scenarios.append(Scenario(sqlMode: fields[1], charset: fields[2]))
            if fields.count > 3 { scenarios[scenarios.count - 1].defaultSchema = fields[3] }
        case "Q":
            let statement = Self.unescaped(fields[1])
            scenarios[scenarios.count - 1].steps.append(Step(statement: statement))
        default:
            let last = scenarios.count - 1
            let step = scenarios[last].steps.count - 1
            Self.read(fields, into: &scenarios[last].steps[step])
        }
    }

    private static func read(_ fields: [String], into step: inout Step) {
        let last = step.changed.count - 1
        switch fields[0] {
        case "-": step.gone.append(fields[1])
        case "T":
            let collation = fields[3]
            step.changed.append(
                TableShape(
                    name: TableName(schema: "g", name: fields[1]), columns: [], engine: fields[2],
                    charset: Charsets.charset(ofCollation: collation), collation: collation))
        case "C": step.changed[last].columns.append(column(fields))
        case "K":
            let parts = fields[3].split(separator: ",").map { text in
                if text == "()" { return KeyPart(column: nil) }
                guard text.hasSuffix(")"), let open = text.lastIndex(of: "("),
                    let length = Int(text[text.index(after: open)...].dropLast())
                else { return KeyPart(column: String(text)) }
                return KeyPart(column: String(text[..<open]), prefixLength: length)
            }
            step.changed[last].keys.append(
                KeyShape(name: fields[1], parts: parts, isUnique: fields[2] == "1"))
        case "F":
            step.changed[last].foreignKeys.append(
                ForeignKeyShape(
                    name: fields[1], columns: fields[2].split(separator: ",").map(String.init),
                    parent: TableName(schema: "g", name: fields[3]),
                    parentColumns: fields[4].split(separator: ",").map(String.init),
                    onDelete: action(fields[5]), onUpdate: action(fields[6])))
        default: preconditionFailure("unknown line \(fields)")
        }
    }

    private static func column(_ fields: [String]) -> ColumnShape {
        let text = unescaped(fields[2])
        guard let type = ColumnType(columnTypeText: text) else {
            preconditionFailure("type \(text)")
        }
        let extra = fields[6].uppercased()
        return ColumnShape(
            name: unescaped(fields[1]), type: type, isNullable: fields[3] == "YES",
            charset: fields[4] == "~" ? nil : fields[4],
            collation: fields[5] == "~" ? nil : fields[5],
            generation: extra.contains("VIRTUAL GENERATED")
                ? .virtual : extra.contains("STORED GENERATED") ? .stored : nil,
            isInvisible: extra.contains("INVISIBLE"),
            isAutoIncrement: extra.contains("AUTO_INCREMENT"))
    }

    private static func action(_ text: String) -> ForeignKeyShape.Action {
        switch text {
        case "CASCADE": .cascade
        case "SET NULL": .setNull
        case "SET DEFAULT": .setDefault
        case "NO ACTION": .noAction
        default: .restrict
        }
    }

    private static func unescaped(_ text: String) -> String {
        var out = ""
        var isEscape = false
        for c in text {
            if isEscape {
                out.append(c == "n" ? "\n" : c == "t" ? "\t" : c)
                isEscape = false
            } else if c == "\\" {
                isEscape = true
            } else {
                out.append(c)
            }
        }
        return out
    }
}
