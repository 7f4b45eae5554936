import Testing

@testable import Snapshot

/// Which conditions of a dump mean the same for a row at any time.
struct DumpConditionTests {
    private static let ofTheRow = [
        "id > 5", "id IN (1, 2) AND (name LIKE 'now(%' OR NOT (a BETWEEN 1 AND 2))",
        "((a)) = (b + (c))", "`select` = \"SYSDATE()\"", "d < '2026-01-01' -- the old ones",
        "a <=> NULL", "a DIV (b) > 1.5e3", "`a``b` = 'it''s'",
    ]
    private static let others = [
        "d < NOW()", "d < now ()", "d < CURRENT_DATE", "d < LOCALTIMESTAMP - INTERVAL 1 DAY",
        "id IN (SELECT id FROM crm.chosen)", "EXISTS (TABLE x)", "u = CURRENT_USER", "a > @x",
        "a > @@server_id", "mine(a)", "crm.mine (a)", "a > 1 /* b */", "a = 'x\\' OR NOW() > b '",
        "NEXT VALUE FOR s > 1", "a = 'open", "`mine`(a)", "a > 1 # b",
    ]

    @Test("what a row decides by itself", arguments: ofTheRow)
    func isOfTheRow(_ condition: String) { #expect(DumpCondition.isOfTheRow(condition)) }

    @Test("what something else may decide", arguments: others)
    func isNot(_ condition: String) { #expect(!DumpCondition.isOfTheRow(condition)) }
}
