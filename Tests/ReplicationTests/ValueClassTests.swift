import MySQLBinlog
import MySQLCore
import Testing

@testable import Replication

/// What a column may be logged as.
struct ValueClassTests {
    /// By the servers' sources, the codes of table maps that each kind of column has there.
    private static let logged: [(kinds: [ColumnType.Kind], codes: [WireType])] = [
        (
            [.tinyint, .smallint, .mediumint, .int, .bigint, .float, .double, .decimal, .year],
            [.tiny, .short, .int24, .long, .longlong, .float, .double, .newdecimal, .year]
        ),
        ([.enum, .set], [.enum, .set]),
        ([.bit], [.bit]),
        (
            [.date, .time, .datetime, .timestamp],
            [.date, .newdate, .time, .time2, .datetime, .datetime2, .timestamp, .timestamp2]
        ),
        (
            [
                .char, .varchar, .binary, .varbinary, .tinytext, .text, .mediumtext, .longtext,
                .tinyblob, .blob, .mediumblob, .longblob, .geometry, .point, .vector, .uuid,
                .inet4, .inet6,
            ],
            [
                .string, .varchar, .varString, .tinyBlob, .blob, .mediumBlob, .longBlob,
                .geometry, .vector, .blobCompressed, .varcharCompressed,
            ]
        ),
        ([.json], [.json]),
    ]

    @Test("values of one class, and no others, are read as such")
    func classes() {
        for (number, row) in Self.logged.enumerated() {
            for kind in row.kinds {
                for (other, codes) in Self.logged.map(\.codes).enumerated() {
                    // Members of ENUM and SET are numbers.
                    let isSame = number == other || max(number, other) == 1
                    for code in codes {
                        #expect((ValueClass(code) == ValueClass(kind)) == isSame, "\(kind) \(code)")
                    }
                }
            }
        }
        #expect(ValueClass(WireType.null) == nil)
    }
}
