import MySQLCore
import Testing

@Suite struct ColumnTypeTextTests {
    @Test(arguments: [
        ("int(11)", ColumnType(.int)),
        ("int", ColumnType(.int)),
        ("tinyint(1)", ColumnType(.tinyint)),
        ("bigint(20) unsigned", ColumnType(.bigint, isUnsigned: true)),
        ("int(5) unsigned zerofill", ColumnType(.int, isUnsigned: true)),
        (
            "decimal(10,2) unsigned zerofill",
            ColumnType(.decimal, isUnsigned: true, length: 10, decimals: 2)
        ),
        ("decimal(65,0)", ColumnType(.decimal, length: 65)),
        ("float", ColumnType(.float)),
        ("float(7,3)", ColumnType(.float, length: 7, decimals: 3)),
        (
            "double(30,0) unsigned",
            ColumnType(.double, isUnsigned: true, length: 30, decimals: 0)
        ),
        ("double unsigned", ColumnType(.double, isUnsigned: true)),
        ("bit(1)", ColumnType(.bit, length: 1)),
        ("year(4)", ColumnType(.year)),
        ("timestamp(6)", ColumnType(.timestamp, decimals: 6)),
        ("datetime /* mariadb-5.3 */", ColumnType(.datetime)),
        ("time", ColumnType(.time)),
        ("char(0)", ColumnType(.char, length: 0)),
        ("varchar(255)", ColumnType(.varchar, length: 255)),
        ("varchar(100) /*M!100301 COMPRESSED*/", ColumnType(.varchar, length: 100)),
        ("text /*M!100301 COMPRESSED*/", ColumnType(.text)),
        ("varbinary(16)", ColumnType(.varbinary, length: 16)),
        ("geomcollection", ColumnType(.geometrycollection)),
        ("vector(2048)", ColumnType(.vector, length: 2048)),
        ("inet6", ColumnType(.inet6)),
        ("uuid", ColumnType(.uuid)),
        ("enum('a','b''c')", ColumnType(.enum, elements: ["a", "b'c"])),
        ("enum('','x,y)','\\\\','\\n')", ColumnType(.enum, elements: ["", "x,y)", "\\", "\n"])),
        ("set('ä','日本')", ColumnType(.set, elements: ["ä", "日本"])),
    ])
    func readsWhatServersWrite(text: String, expected: ColumnType) {
        #expect(ColumnType(columnTypeText: text) == expected)
    }

    @Test(arguments: [
        "", " ", "(",
        "int(", "int(1", "int(1,", "int(1,2,3)", "enum", "enum(", "enum('a", "enum('a'",
        "enum('a',)", "varchar", "varchar()", "varchar(99999999999)", "nosuchtype", "int nonsense",
        "timestamp(7)", "enum('\\", "int /*", "date(3)",
    ])
    func refusesTheRest(text: String) {
        let isUnclosedComment = text.hasSuffix("/*")
        #expect((ColumnType(columnTypeText: text) == nil) != isUnclosedComment)
    }
}
