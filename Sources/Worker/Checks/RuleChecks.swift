internal import Settings
internal import MySQLClient
internal import MySQLCore
internal import Rules

extension Prechecks {
    /// What a task's rules mean for the tables that there are.
    static let ruleChecks: [Check] = [
        Check("event-filters") { context in
            let displaced = context.settings.mapping.displacedFilters
            guard !displaced.isEmpty else { return .ok("no filter of events displaces another") }
            return .warning(
                "filters that every task of the source has do not act in this one, since others "
                    + "have the same patterns: "
                    + someNames(displaced.map { "\($0.rule) (instead, \($0.by))" }),
                remedy: "give the task's filter the other's events too, if they are to be left out")
        },
        Check("expression-filters") { context in
            var wrong: [String] = []
            var dormant: [String] = []
            let isCopied = context.settings.mode != .incremental && !context.isResuming
            let shapes = context.sourceTables.shapes.values.sorted { $0.name < $1.name }
            for shape in shapes {
                do throws(RuleError) {
                    let filter = try context.settings.mapping.expressions(
                        for: shape, source: context.source.version)
                    dormant += filter?.dormant.map { "\($0)" } ?? []
                    guard isCopied else { continue }
                    _ = try context.settings.mapping.copyCondition(
                        of: shape, source: context.source.version)
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
        },
    ]
}
