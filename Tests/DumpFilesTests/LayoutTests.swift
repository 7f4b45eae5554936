import DumpFiles
import MySQLCore
import Testing

@Suite("Names of a dump's files")
struct LayoutTests {
    private func layout(_ files: [String], created: [String: String] = [:]) throws -> DumpLayout {
        try DumpLayout(files: files) { created[$0.text] }
    }

    @Test(
        "names survive being written",
        arguments: [
            "a", "a.b", "a/b", "50%", "%41", "x-schema", "x-SCHEMA-create", "ä ö", "a:b\"*",
            // One character with the dot before it, or with what comes behind it.
            "\u{301}t", "t\u{600}", "\u{200D}",
        ])
    func encoding(_ name: String) throws {
        let file = DumpFileName.rows(name, name, part: 3)
        #expect(file.utf8.reversed().starts(with: ".000000003.sql".utf8.reversed()))
        #expect(!file.contains("/"))
        let made = try layout(
            [DumpFileName.database(name), DumpFileName.table(name, name), file + ".zst"],
            created: [
                DumpFileName.database(name): name, DumpFileName.table(name, name): name,
            ])
        let table = made.tables[TableName(schema: name, name: name)]
        #expect(table?.definition != nil)
        #expect(table?.rows.map(\.compression) == [.zstd])
        #expect(made.schemas.map(\.name) == [name])
    }

    @Test("names that differ in their bytes alone are two databases, and two tables")
    func bytes() throws {
        // An e with an accent of one scalar, and of two.
        let (one, two) = ("\u{E9}", "e\u{301}")
        let schemas = [one, two].map { DumpFileName.database($0) }
        var tables: [String] = []
        for schema in [one, two] {
            for table in [one, two] {
                tables.append(DumpFileName.table(schema, table))
                tables.append(DumpFileName.rows(schema, table, part: 0))
            }
        }
        let made = try layout(schemas + tables)
        #expect(made.schemas.map { Array($0.name.utf8) } == [two, one].map { Array($0.utf8) })
        #expect(made.tables.count == 4)
        for (name, table) in made.tables {
            let rows = DumpFileName.rows(name.schema, name.name, part: 0)
            #expect(table.rows.map { Array($0.text.utf8) } == [Array(rows.utf8)])
            let definition = DumpFileName.table(name.schema, name.name)
            #expect(table.definition.map { Array($0.text.utf8) } == Array(definition.utf8))
        }
    }

    @Test("files of mydumper 0.10 find their tables")
    func mydumper() throws {
        let made = try layout([
            "d1-schema-create.sql", "d1-schema-post.sql", "d1.a-schema.sql", "d1.a.sql",
            "d1.b-schema.sql.gz", "d1.b.00001.sql.gz", "d1.b.00000.sql.gz",
            "d1.b-schema-triggers.sql.gz", "d1.v-schema-view.sql", "d1.v-schema.sql", "metadata",
            "notes.txt", ".skein-dump", ".skein-dump.lock", "sql.txt", "d1.database.txt",
        ])
        #expect(made.schemas.map(\.definition?.text) == ["d1-schema-create.sql"])
        #expect(made.schemas.first?.routines.map(\.text) == ["d1-schema-post.sql"])
        let b = made.tables[TableName(schema: "d1", name: "b")]
        #expect(b?.rows.map(\.text) == ["d1.b.00000.sql.gz", "d1.b.00001.sql.gz"])
        #expect(b?.triggers.count == 1)
        let v = made.tables[TableName(schema: "d1", name: "v")]
        #expect(v?.view != nil && v?.definition != nil)
        #expect(made.tables.count == 3)
    }

    @Test("names that mydumper wrote as they are, with dots and per cent signs, are understood")
    func dots() throws {
        let made = try layout(
            [
                "we.ird-x-schema-create.sql", "we.ird-x.sq-schema.sql", "we.ird-x.sq.sql",
                "we.ird-x.t.1-schema.sql", "we.ird-x.t.1.00000.sql", "we.ird-x.a%41-schema.sql",
                "we.ird-x.a%41.sql",
            ], created: ["we.ird-x.a%41-schema.sql": "a%41"])
        let names = made.tables.keys.map(\.name).sorted()
        #expect(names == ["a%41", "sq", "t.1"])
        #expect(made.tables.keys.allSatisfy { $0.schema == "we.ird-x" })
        #expect(made.tables.values.allSatisfy { $0.rows.count == 1 })
    }

    @Test("without definitions the name alone counts")
    func rowsAlone() throws {
        let made = try layout(["db.t.000000000.sql", "db.t.000000001.sql", "db.123.sql"])
        #expect(made.tables[TableName(schema: "db", name: "t")]?.rows.count == 2)
        #expect(made.tables[TableName(schema: "db", name: "123")]?.rows.count == 1)
    }

    @Test(
        "what can be read in two ways, or not at all, is refused",
        arguments: [
            (
                ["a-schema-create.sql", "a.b-schema-create.sql", "a.b.c-schema.sql"],
                "more than one"
            ),
            (
                ["d-schema-create.sql", "d.t-schema.sql", "d.t.1-schema.sql", "d.t.1.sql"],
                "more than"
            ),
            (["d-schema-create.sql", "x.t-schema.sql"], "no database"),
            (["d.t.sql", "d.t.sql.gz"], "too many"),
            (["d.t.csv"], "CSV"),
            (["d.t.sql.lz4"], "lz4"),
            (["d.t.00000.dat"], "LOAD DATA"),
            (["d.t.sql", "d.t.00001.sql.gz.partial"], "part of a dump"),
            (["d.t.sql", ".d.t.00001.sql.zst.x7Qa"], "part of a dump"),
            (["d.t.sql", ".d.t.00001.sql"], "part of a dump"),
            (["d.t.sql", "d.t.00001.sql~"], "part of a dump"),
            (["d.t.sql", "d.t.00001.SQL"], "part of a dump"),
            (["d.t.00000.tsv"], "part of a dump"),
        ])
    func refused(_ files: [String], _ words: String) throws {
        let error = #expect(throws: DumpFileError.self) { try layout(files) }
        #expect(error?.description.contains(words) == true, "\(error as Any)")
    }

    @Test("a file that creates something else than its name says is refused")
    func otherName() throws {
        #expect(throws: DumpFileError.self) {
            try layout(["d.a%2Eb-schema.sql"], created: ["d.a%2Eb-schema.sql": "c"])
        }
    }

    @Test("metadata of mydumper 0.10 and Dumpling")
    func oldMetadata() throws {
        let text = """
            Started dump at: 2026-11-22 10:29:33
            SHOW MASTER STATUS:
            \tLog: bin.000001
            \tPos: 4807
            \tGTID:3E11FA47-71CA-11E1-9E33-C80AA9429562:1-5,
            4E11FA47-71CA-11E1-9E33-C80AA9429562:1-7

            SHOW SLAVE STATUS:
            \tHost: 10.0.0.1
            \tLog: other.000009
            \tPos: 1
            \tGTID:9

            Finished dump at: 2026-11-22 10:29:34
            """
        let read = try DumpMetadata(text)
        #expect(read.binlogFile == "bin.000001")
        #expect(read.binlogOffset == 4807)
        #expect(
            read.gtids
                == "3E11FA47-71CA-11E1-9E33-C80AA9429562:1-5,4E11FA47-71CA-11E1-9E33-C80AA9429562:1-7"
        )
        #expect(read.finished == "2026-11-22 10:29:34")
        let again = try DumpMetadata(read.text)
        #expect(again == read)
    }

    @Test("metadata of later versions of mydumper")
    func newMetadata() throws {
        let text = """
            # Started dump at: 2024-03-01 10:00:00
            [config]
            quote-character = BACKTICK
            [myloader_session_variables]
            SQL_MODE='NO_AUTO_VALUE_ON_ZERO' /*!40101
            TIME_ZONE='+00:00' /*!40103

            [source]
            # Channel_Name = '' # It can be use to setup replication FOR CHANNEL
            File = "binlog.000003"
            Position = 157
            Executed_Gtid_Set = "a:1-3"

            [`d`.`t`]
            real_table_name=t
            rows = 3

            [`d`.`None`]
            real_table_name=None
            rows = 0
            # Finished dump at: 2024-03-01 10:00:01
            """
        let read = try DumpMetadata(text)
        #expect(read.binlogFile == "binlog.000003")
        #expect(read.binlogOffset == 157)
        #expect(read.gtids == "a:1-3")
        #expect(read.timeZone == "+00:00")
        #expect(read.saysFilled(TableName(schema: "d", name: "t")))
        #expect(!read.saysFilled(TableName(schema: "d", name: "None")))
        #expect(read.finished != nil)
        #expect(throws: DumpFileError.self) {
            try DumpMetadata(text.replacing("real_table_name=t", with: "real_table_name=u.v"))
        }
    }

    @Test("an unfinished dump says so, and other texts are no metadata")
    func unfinished() throws {
        #expect(try DumpMetadata("Started dump at: now\n").finished == nil)
        #expect(throws: DumpFileError.self) { try DumpMetadata("") }
        #expect(throws: DumpFileError.self) { try DumpMetadata("hello\nworld") }
    }
}
