import MySQLCore
import Testing

@testable import Snapshot

/// Names that are too long for files.
@Suite struct DumpNameTests {
    /// Of 255 bytes a table's rows need 15 beside both names (`.`, `.000000000.sql`), and a file that
    /// is not whole 17.
    private func catalog(_ bytes: Int) -> DumpCatalog {
        let schema = String(repeating: "s", count: 100)
        var out = DumpCatalog()
        out.tables[
            TableName(schema: schema, name: String(repeating: "t", count: bytes - 100))] = []
        return out
    }

    @Test func longest() throws {
        try catalog(223).checkNames(suffix: "")
        #expect(throws: SnapshotError.self) { try catalog(224).checkNames(suffix: "") }
        try catalog(219).checkNames(suffix: ".zst")
        #expect(throws: SnapshotError.self) { try catalog(220).checkNames(suffix: ".zst") }
    }

    @Test func triggers() throws {
        var made = DumpCatalog()
        let table = TableName(
            schema: "s", name: String(repeating: "\u{4E00}", count: 64))
        made.tables[table] = []
        try made.checkNames(suffix: "")
        let long = TableName(schema: String(repeating: "ä", count: 20), name: table.name)
        made.objects = [
            DumpObject(
                kind: .trigger, name: TableName(schema: long.schema, name: "x"), statement: "",
                table: long)
        ]
        let error = #expect(throws: SnapshotError.self) { try made.checkNames(suffix: "") }
        #expect(error?.description.contains("trigger") == true)
    }

    @Test(
        "files of names whose marks join the dot are a dump's own",
        arguments: ["\u{301}t", "t\u{600}", "a%2Eb"])
    func marks(_ name: String) {
        let files = [
            "\(name)-schema-create.sql", "\(name)-schema-post.sql", "\(name).\(name)-schema.sql",
            "\(name).\(name)-schema-view.sql", "\(name).\(name)-schema-triggers.sql",
            "\(name).\(name).000000000.sql",
        ]
        for file in files {
            #expect(DumpFolder.isOwn(file) && DumpFolder.isOwn(file + ".zst"), "\(file)")
            #expect(DumpFolder.isOwn("\(file).0a1b2c3d.partial"), "\(file)")
        }
        #expect(!DumpFolder.isOwn("\(name).sql") && !DumpFolder.isOwn("\(name).t.sql"))
    }
}
