import MySQLCore
import Testing

@testable import Snapshot

/// Which tables foreign keys can have changed.
@Suite struct ChildChangeTests {
    private func table(_ name: String, in schema: String = "shop") -> TableName {
        TableName(schema: schema, name: name)
    }

    private func definition(_ keys: String...) -> String {
        "CREATE TABLE `t` (\n  `id` int(11) DEFAULT NULL,\n  "
            + keys.map { "CONSTRAINT `k` FOREIGN KEY (`id`) REFERENCES \($0)" }
            .joined(separator: ",\n  ") + "\n) ENGINE=InnoDB"
    }

    @Test func chain() {
        var changes = ChildChanges()
        changes.add(table("p"), "CREATE TABLE `p` (\n  `id` int(11)\n) ENGINE=InnoDB")
        changes.add(table("c"), definition("`p` (`id`) ON DELETE CASCADE"))
        changes.add(table("d"), definition("`c` (`id`) ON UPDATE SET NULL"))
        changes.add(table("plain"), definition("`p` (`id`)"))
        changes.add(table("own"), definition("`own` (`id`) ON DELETE CASCADE"))
        let all = Set(["p", "c", "d", "plain", "own"].map { table($0) })
        #expect(changes.unchanged(all) == all)
        #expect(changes.unchanged(all.subtracting([table("p")])) == [table("plain"), table("own")])
        #expect(changes.unchanged(all.subtracting([table("c")])).contains(table("d")) == false)
    }

    @Test func otherSchema() {
        var changes = ChildChanges()
        changes.add(
            table("c"),
            definition("`p` (`id`)", "`other`.`a``b` (`id`) ON DELETE SET NULL ON UPDATE CASCADE"))
        #expect(changes.unchanged([table("c"), table("p")]) == [table("p")])
        let parent = table("a`b", in: "other")
        #expect(changes.unchanged([table("c"), parent]) == [table("c"), parent])
    }

    @Test func unknown() {
        var changes = ChildChanges()
        changes.add(table("c"), "no definition")
        #expect(changes.unchanged([table("c")]) == [])
    }
}
