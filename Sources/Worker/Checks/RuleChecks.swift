internal import Settings
internal import MySQLClient
internal import MySQLCore
internal import Rules

extension Prechecks {
    /// What a task's rules mean for the tables that there are.
    static let ruleChecks: [Check] = [
        Check("expression-filters") { context in
            var wrong: [String] = []
            var dormant: [String] = []
            let shapes = context.sourceTables.shapes.values.sorted { $0.name < $1.name }
            for shape in shapes {
                do throws(RuleError) {
                    let filter = try context.settings.mapping.expressions(
                        for: shape, source: context.source.version)
                    dormant += filter?.dormant.map { "\($0)" } ?? []
                } catch {
                    wrong.append("\(error)")
                }
            }
            if !wrong.isEmpty {
                return .error(
                    "expressions can't be evaluated over their tables: \(someNames(wrong))",
                    remedy: "write them in another way; docs/rules.md says what is known")
            }
            return dormant.isEmpty
                ? .ok("every expression has its columns")
                : .warning(
                    "expressions name columns that their tables do not have, and leave nothing "
                        + "out: \(someNames(dormant))",
                    remedy: "check the spelling, unless the columns come later")
        }
    ]
}
