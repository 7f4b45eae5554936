import DumpFiles
import MySQLCore
import MySQLSyntax
import Testing

/// Hands out a text in pieces of a size.
private func pieces(_ bytes: [UInt8], _ size: Int) -> (inout [UInt8]) throws -> Bool {
    var at = 0
    return { out in
        guard at < bytes.count else { return false }
        let end = min(at + size, bytes.count)
        out += bytes[at..<end]
        at = end
        return true
    }
}

private let context = SyntaxContext(version: ServerVersion("10.11.14-MariaDB"))

private func rows(
    _ text: [UInt8], table: String = "t", piece: Int = 7
) throws -> (rows: [String], reader: RowFileReader) {
    let reader = RowFileReader(table: table, context: context, more: pieces(text, piece))
    var out: [String] = []
    while try reader.next() {
        var row = ByteBuffer()
        reader.appendRow(to: &row)
        out.append(row.string())
    }
    return (out, reader)
}

private func rows(_ text: String) throws -> [String] { try rows(Array(text.utf8)).rows }

private func statements(
    _ text: String, hasBodies: Bool = false, piece: Int = 5
) throws -> [String] {
    let reader = StatementFileReader(
        hasBodies: hasBodies, context: context, more: pieces(Array(text.utf8), piece))
    var out: [String] = []
    while let statement = try reader.next() {
        out.append(String(decoding: statement, as: UTF8.self))
    }
    return out
}

@Suite("Rows of a dump's file")
struct RowFileTests {
    private static let mydumper = #"""
        /*!40101 SET NAMES binary*/;
        /*!40014 SET FOREIGN_KEY_CHECKS=0*/;
        /*!40103 SET TIME_ZONE='+00:00' */;
        INSERT INTO `t` (`id`,`s`) VALUES
        (1,"it\'s \\ \"q\" ),(;"),
        (2,NULL);
        INSERT INTO `t` (`id`,`s`) VALUES
        (3,'x''y(');
        """#

    @Test("rows are taken apart whatever the size of the pieces", arguments: 1...40)
    func sizes(_ piece: Int) throws {
        let (found, reader) = try rows(Array(Self.mydumper.utf8), piece: piece)
        #expect(found == [#"(1,"it\'s \\ \"q\" ),(;")"#, "(2,NULL)", "(3,'x''y(')"])
        #expect(reader.settings.charset == "binary")
        #expect(reader.settings.timeZone == "+00:00")
        #expect(String(decoding: reader.columns, as: UTF8.self) == "(`id`,`s`)")
        #expect(reader.offset == UInt64(Self.mydumper.utf8.count))
    }

    @Test("every shorter text is an error, or ends between statements")
    func truncated() throws {
        let bytes = Array(Self.mydumper.utf8)
        let complete: [Int] = bytes.indices.filter { bytes[$0] == UInt8(ascii: ";") }
        for end in 0..<bytes.count {
            let text = Array(bytes[..<end])
            guard let found = try? rows(text, piece: 64).rows else { continue }
            // What is left behind the last semicolon is white space or a comment.
            let last = complete.last { $0 < end } ?? -1
            #expect(!text[(last + 1)...].contains(UInt8(ascii: "(")))
            #expect(found.count <= 3)
        }
    }

    @Test("texts with changed bytes never end the process")
    func mutated() {
        var generator = SystemRandomNumberGenerator()
        let seed = UInt64.random(in: .min ... .max, using: &generator)
        var state = seed
        func random(_ limit: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int((state >> 33) % UInt64(limit))
        }
        let alphabet = Array("'\"`\\;(),-#/*! \nASETINR0@=\0\u{ff}".utf8)
        let original = Array(Self.mydumper.utf8)
        for _ in 0..<4000 {
            var text = original
            for _ in 0...random(6) {
                switch random(3) {
                case 0: text[random(text.count)] = alphabet[random(alphabet.count)]
                case 1: text.remove(at: random(text.count))
                default: text.insert(alphabet[random(alphabet.count)], at: random(text.count))
                }
            }
            let once = try? rows(text, piece: 1 + random(50)).rows
            let again = try? rows(text, piece: text.count).rows
            #expect(once == again, "seed \(seed)")
            _ = try? statements(String(decoding: text, as: UTF8.self), hasBodies: random(2) == 0)
        }
    }

    @Test("backslashes mean what the file's mode says")
    func backslashes() throws {
        #expect(
            try rows(
                #"SET SQL_MODE='NO_BACKSLASH_ESCAPES'; INSERT INTO t VALUES ('a\'),('b'';');"#)
                == [#"('a\')"#, "('b'';')"])
        #expect(try rows(#"INSERT INTO t VALUES ('a\'),(');"#) == [#"('a\'),(')"#])
    }

    @Test("settings can be put aside and taken back, as mysqldump does")
    func saved() throws {
        let text = """
            /*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_BACKSLASH_ESCAPES' */;
            INSERT INTO t VALUES ('\\');
            /*!40101 SET SQL_MODE=@OLD_SQL_MODE */;
            INSERT INTO t VALUES ('\\'');
            """
        #expect(try rows(text) == [#"('\')"#, #"('\'')"#])
    }

    @Test("words of INSERT that change nothing, schema names and comments are read over")
    func forms() throws {
        let text = """
            -- a comment ; (
            # another
            /* ( */ LOCK TABLES `t` WRITE;
            /*!40000 ALTER TABLE `t` DISABLE KEYS */;
            START TRANSACTION;
            insert ignore into `d`.`t` values (1) , /* x */ (2);
            REPLACE INTO t(`a)`,b) VALUES(unhex((3)),(4));
            COMMIT; UNLOCK TABLES;
            """
        #expect(try rows(text) == ["(1)", "(2)", "(unhex((3)),(4))"])
    }

    @Test("what tools write around literals is a value")
    func conversions() throws {
        let found = [
            "(1,CONVERT('{\"a\": \"(select 1)\"}' USING UTF8MB4),_binary 'x''(')",
            "(NULL,_utf8mb4 0x41,b'1',-1.5e3,ST_GeomFromText('POINT(1 2)'),(x'41'))",
            "(CAST('1' AS CHAR(5)),DEFAULT /* plain */)",
        ]
        #expect(
            try rows("INSERT INTO t VALUES \(found.joined(separator: ","));") == found)
    }

    @Test("of a row that is too long no more is held than was allowed")
    func tooLong() throws {
        let text = "INSERT INTO t VALUES (1),('\(String(repeating: "x", count: 1 << 20))');"
        var handed = 0
        let next = pieces(Array(text.utf8), 1 << 10)
        let reader = RowFileReader(table: "t", context: context, rowLimit: 1 << 16) { out in
            handed += 1 << 10
            return try next(&out)
        }
        #expect(try reader.next())
        #expect(throws: RowTooLong.self) { try reader.next() }
        #expect(handed < 1 << 17)
    }

    @Test("a row of many mebibytes is one row")
    func large() throws {
        let value = String(repeating: "x(;'", count: 1 << 20).replacing("'", with: "''")
        let text = "INSERT INTO t VALUES (1,'\(value)'),(2,'');"
        let found = try rows(Array(text.utf8), piece: 1 << 16).rows
        #expect(found.map(\.utf8.count) == [value.utf8.count + 6, 6])
    }

    @Test(
        "what has no place among rows is refused",
        arguments: [
            ("DROP TABLE t;", "DROP"), ("CREATE TABLE t (a int);", "CREATE"),
            ("SET autocommit=1;", "autocommit"), ("SET NAMES gbk;", "gbk"),
            ("SET SQL_MODE=@x;", "variable"), ("SET sql_mode=concat('a','b');", "expression"),
            ("INSERT INTO u VALUES (1);", "another table"),
            ("INSERT INTO t SELECT 1;", "not understood"),
            ("INSERT INTO t VALUES (1) ON DUPLICATE KEY UPDATE a=1;", "not understood"),
            ("INSERT INTO t VALUES (1)", "ends in a statement"),
            ("INSERT INTO t VALUES (1,'a", "ends in a row"),
            ("INSERT INTO t VALUES ", "not understood"),
            ("/*!40101 SET NAMES binary", "ends in a statement"),
            ("LOAD DATA INFILE 'x' INTO TABLE t;", "LOAD"),
            ("INSERT INTO t VALUES (1,(SELECT 1));", "query"),
            ("INSERT INTO t VALUES (1,(/* x */ select 1));", "query"),
            ("INSERT INTO t VALUES (LOAD_FILE('/etc/passwd'));", "LOAD_FILE"),
            ("INSERT INTO t VALUES (x.`convert`(1));", "convert"),
            ("INSERT INTO t VALUES (1,/*!50000 2*/);", "executable"),
            ("INSERT INTO t VALUES (1,/*M!100000 2*/);", "executable"),
        ])
    func refused(_ text: String, _ words: String) {
        let error = #expect(throws: DumpFileError.self) { try rows(text) }
        #expect(error?.reason.contains(words) == true, "\(error as Any)")
    }
}

@Suite("Statements of a dump's file")
struct StatementFileTests {
    @Test("a table's definition", arguments: [1, 3, 1000])
    func table(_ piece: Int) throws {
        let text = """
            /*!40101 SET NAMES binary*/;
            /*!40014 SET FOREIGN_KEY_CHECKS=0*/;

            /*!40103 SET TIME_ZONE='+00:00' */;
            CREATE TABLE `a;b` (
              `id` int COMMENT 'x;\\'' -- ;
            ) ENGINE=InnoDB;

            """
        let found = try statements(text, piece: piece)
        #expect(found.count == 1)
        #expect(found[0].hasPrefix("CREATE TABLE") && found[0].hasSuffix("InnoDB"))
        let object = CreatedObject(Array(found[0].utf8), context)
        #expect(object?.kind == .table)
        #expect(object?.name == "a;b")
    }

    @Test("mydumper's routines: a semicolon at a line's end, and there alone, is the end")
    func mydumper() throws {
        let text = """
            SET @PREV_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT;
            SET character_set_client = utf8mb3;
            SET collation_connection = utf8mb3_general_ci;
            DROP FUNCTION IF EXISTS `f`;
            CREATE DEFINER=`root`@`localhost` FUNCTION `f`(i int) RETURNS int(11)
            begin return i; end;
            CREATE DEFINER=`ro'ot`@`%` PROCEDURE `p`()
            begin -- don't;
              select 1;\u{20}
              select ';'; end;
            CREATE DEFINER=`root`@`localhost` trigger tr before insert on nk for each row begin \
            set new.y=concat(new.y,';'); end;
            SET character_set_client = @PREV_CHARACTER_SET_CLIENT;

            """
        let found = try statements(text.replacing("don't;\n", with: "don't; \n"), hasBodies: true)
        #expect(found.count == 4)
        let objects = found.map { CreatedObject(Array($0.utf8), context) }
        #expect(objects.map(\.?.kind) == [.function, .function, .procedure, .trigger])
        #expect(objects.map(\.?.name) == ["f", "f", "p", "tr"])
        #expect(objects.map(\.?.isDrop) == [true, false, false, false])
        #expect(objects[3]?.table == "nk")
        #expect(found[2].hasSuffix("end"))
    }

    @Test("a body with lines that end with a carriage return comes back as it is", arguments: 1...9)
    func carriageReturns(_ piece: Int) throws {
        let body =
            "CREATE PROCEDURE `p`()\r\nBEGIN\r\n SELECT 1;\r\n"
            + " SELECT ';\r\n' AS `;\r\n`;\r\nEND"
        let line = try #require(StatementText.inLines(Array(body.utf8), escapes: true))
        let text =
            "SET character_set_client = utf8mb4;\n\(String(decoding: line, as: UTF8.self));\n"
        #expect(
            try statements(text + "DROP PROCEDURE `q`;\n", hasBodies: true, piece: piece)
                == [body, "DROP PROCEDURE `q`"])
        // All of the file in that form: nothing ends it, and nothing is cut.
        #expect(throws: DumpFileError.self) {
            try statements("CREATE PROCEDURE p() SELECT 1;\r\n", hasBodies: true)
        }
        #expect(throws: DumpFileError.self) {
            try statements("SET NAMES utf8;\r\nCREATE PROCEDURE p() SELECT 1;", hasBodies: true)
        }
    }

    @Test("a delimiter of the file's own")
    func delimiter() throws {
        let text = """
            DELIMITER ;;
            /*!50003 CREATE*/ /*!50017 DEFINER=`a`@`b`*/ /*!50003 TRIGGER tr AFTER INSERT ON t
            FOR EACH ROW BEGIN
            SET @a = 1;
            END */;;
            DELIMITER ;
            CREATE VIEW v AS SELECT 1;
            """
        let found = try statements(text, hasBodies: true)
        #expect(found.count == 2)
        #expect(CreatedObject(Array(found[0].utf8), context)?.kind == .trigger)
        #expect(CreatedObject(Array(found[1].utf8), context)?.name == "v")
    }

    @Test("the database that a statement names is known")
    func databases() {
        func object(_ text: String) -> CreatedObject? {
            CreatedObject(Array(text.utf8), context)
        }
        #expect(object("CREATE TABLE t (a int)")?.schema == nil)
        #expect(object("CREATE TABLE `o``x`.`t` (a int)")?.schema == "o`x")
        #expect(object("CREATE TABLE o . t (a int)")?.name == "t")
        let trigger = object("CREATE TRIGGER d.tr AFTER INSERT ON o.t FOR EACH ROW SET @a=1")
        #expect(trigger?.schema == "d" && trigger?.name == "tr")
        #expect(trigger?.tableSchema == "o" && trigger?.table == "t")
        #expect(object("CREATE TRIGGER tr AFTER INSERT ON t FOR EACH ROW SET @a=1")?.table == "t")
    }

    @Test("a file that ends in its middle is refused")
    func truncated() {
        #expect(throws: DumpFileError.self) { try statements("CREATE TABLE t (a int") }
        #expect(throws: DumpFileError.self) { try statements("CREATE TABLE t (a int)") }
        #expect(throws: DumpFileError.self) { try statements("/* no end") }
    }

    @Test(
        "what a statement creates",
        arguments: [
            ("CREATE DATABASE `x` /*!40100 DEFAULT CHARACTER SET latin1 */", "database", "x"),
            (
                "CREATE ALGORITHM=UNDEFINED DEFINER=`table`@`view` SQL SECURITY DEFINER VIEW `d`.`v` AS select 1",
                "view", "v"
            ),
            ("CREATE OR REPLACE TABLE IF NOT EXISTS t (a int)", "table", "t"),
            ("CREATE EVENT `e``v` ON SCHEDULE EVERY 1 DAY DO SELECT 1", "event", "e`v"),
            ("CREATE SEQUENCE s START WITH 1", "sequence", "s"),
        ])
    func created(_ text: String, _ kind: String, _ name: String) {
        let object = CreatedObject(Array(text.utf8), context)
        #expect(object?.kind.rawValue == kind)
        #expect(object?.name == name)
    }
}

@Suite("Packed files of a dump")
struct PackingTests {
    private func pack(_ parts: [[UInt8]], _ compression: DumpCompression) throws -> [UInt8] {
        let packer = try Compressor(compression)
        var out = ByteBuffer()
        for part in parts {
            var bytes = ByteBuffer()
            bytes.append(part)
            try packer.append(bytes.bytes, to: &out)
        }
        try packer.finish(&out)
        return out.withBytes { Array($0) }
    }

    private func unpack(
        _ bytes: [UInt8], _ compression: DumpCompression, piece: Int
    ) throws -> [UInt8] {
        var at = 0
        let unpacker = try Decompressor(compression) {
            guard at < bytes.count else { return nil }
            defer { at = min(at + piece, bytes.count) }
            return Array(bytes[at..<min(at + piece, bytes.count)])
        }
        var out: [UInt8] = []
        while try unpacker.fill(&out) {}
        return out
    }

    private let text = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* $0 >> 7) }

    @Test("what was packed unpacks", arguments: DumpCompression.allCases, [1, 1000, 1 << 20])
    func roundTrip(_ compression: DumpCompression, _ piece: Int) throws {
        let parts = [Array(text[..<7]), [], Array(text[7..<200_000]), Array(text[200_000...])]
        let packed = try pack(parts, compression)
        #expect(compression == .none || packed.count < text.count)
        #expect(try unpack(packed, compression, piece: piece) == text)
        // Tools append members to one file.
        #expect(try unpack(packed + packed, compression, piece: piece) == text + text)
        let zeros = [UInt8](repeating: 0, count: 5 << 20)
        #expect(try unpack(pack([zeros], compression), compression, piece: 1 << 16) == zeros)
    }

    @Test("files that end early are errors", arguments: [DumpCompression.gzip, .zstd])
    func truncated(_ compression: DumpCompression) throws {
        let packed = try pack([text], compression)
        for end in stride(from: 0, to: packed.count, by: packed.count / 97) {
            #expect(throws: DumpFileError.self) {
                try unpack(Array(packed[..<end]), compression, piece: 1 << 16)
            }
        }
    }

    @Test("damaged files are errors", arguments: [DumpCompression.gzip, .zstd])
    func damaged(_ compression: DumpCompression) throws {
        let packed = try pack([text], compression)
        for place in stride(from: 20, to: packed.count, by: packed.count / 97) {
            var bytes = packed
            bytes[place] ^= 0x55
            #expect(throws: DumpFileError.self) {
                try unpack(bytes, compression, piece: 1 << 16)
            }
        }
    }
}
