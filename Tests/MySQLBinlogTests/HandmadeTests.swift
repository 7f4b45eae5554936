import MySQLBinlog
import MySQLCore
import Testing

/// Puts events together byte by byte, for servers that are not at hand.
struct EventBuilder {
    var bytes: [UInt8]

    init(_ type: UInt8, flags: UInt16 = 0, logPosition: UInt32 = 0, timestamp: UInt32 = 1) {
        bytes = []
        add(timestamp)
        bytes.append(type)
        add(UInt32(7))
        add(UInt32(0))
        add(logPosition)
        add(flags)
    }

    mutating func add<T: FixedWidthInteger>(_ value: T) {
        for i in 0..<T.bitWidth / 8 { bytes.append(UInt8(truncatingIfNeeded: value >> (8 * i))) }
    }

    mutating func add(_ more: [UInt8]) { bytes += more }

    var event: [UInt8] {
        var out = bytes
        for i in 0..<4 { out[9 + i] = UInt8(truncatingIfNeeded: out.count >> (8 * i)) }
        return out
    }
}

@Suite struct HandmadeTests {
    @Test func unknownEventsAreRefusedUnlessFlagged() throws {
        let unknown = EventType(rawValue: 99)
        #expect(unknown.treatment(flags: .ignorable) == .skip)
        let failure = #expect(throws: BinlogError.self) { try unknown.checkSupported(flags: []) }
        #expect(failure?.code == .unsupportedEvent)
        #expect(failure?.description.contains("99") == true)
        for (type, name) in [20: "PRE_GA_WRITE_ROWS", 21: "PRE_GA_UPDATE_ROWS", 172: "PARTIAL"] {
            let failure = #expect(throws: BinlogError.self) {
                try EventType(rawValue: UInt8(type)).checkSupported(flags: .ignorable)
            }
            #expect(failure?.description.contains(name) == true)
        }
        let incident = #expect(throws: BinlogError.self) {
            try EventType.incident.checkSupported(flags: [])
        }
        #expect(incident?.code == .incident)
        for type: UInt8 in [3, 28, 29, 36, 37, 160, 161, 164] {
            #expect(EventType(rawValue: type).treatment(flags: []) == .skip)
        }
        for type: UInt8 in 0...255 { _ = EventType(rawValue: type).description }
    }

    @Test func artificialRotateStartsAStream() throws {
        var builder = EventBuilder(4, flags: 0x20, timestamp: 0)
        builder.add(UInt64(5_000_000_000))
        builder.add(Array("mysql-bin.1000000".utf8))
        let plain = builder.event
        let rotate = try RotateEvent(plain.span.bytes)
        #expect(rotate.isArtificial)
        #expect(rotate.position == 5_000_000_000)
        #expect(rotate.file == "mysql-bin.1000000")
        builder.add([1, 2, 3, 4])
        let summed = builder.event
        let body = try FormatDescription.body(of: summed.span.bytes, checksum: .crc32)
        #expect(try RotateEvent(body).file == "mysql-bin.1000000")
    }

    @Test func heartbeatsOfEveryKind() throws {
        var first = EventBuilder(27, logPosition: 1234, timestamp: 0)
        first.add(Array("bin.000007".utf8))
        let v1 = first.event
        let old = try HeartbeatEvent(v1.span.bytes)
        #expect(old.file == "bin.000007" && old.position == 1234 && old.isPositionTruncated)

        var long = EventBuilder(27, timestamp: 0)
        long.add(UInt64(1 << 40))
        long.add(Array("bin.000007".utf8))
        let mariadb = long.event
        let big = try HeartbeatEvent(mariadb.span.bytes)
        #expect(big.file == "bin.000007" && big.position == 1 << 40 && !big.isPositionTruncated)

        var second = EventBuilder(41, timestamp: 0)
        second.add([1, 10] + Array("bin.000007".utf8))
        second.add([2, 9, 254])
        second.add(UInt64(1 << 33))
        second.add([9, 2, 0, 0])
        let cut = second.event
        #expect(throws: BinlogError.self) { try HeartbeatEvent(cut.span.bytes) }
        second.add([0])
        let v2 = second.event
        let new = try HeartbeatEvent(v2.span.bytes)
        #expect(new.file == "bin.000007" && new.position == 1 << 33 && !new.isPositionTruncated)
    }

    @Test func gtidsOfMySQL56And57AreShorter() throws {
        var builder = EventBuilder(33)
        builder.add([1] + [UInt8](0..<16))
        builder.add(Int64(42))
        let old = builder.event
        let first = try GTIDEvent(old.span.bytes)
        #expect(first.identity?.description == "00010203-0405-0607-0809-0a0b0c0d0e0f:42")
        #expect(first.mayHaveStatements && first.transactionLength == 0)
        builder.add([2])
        builder.add(Int64(5))
        builder.add(Int64(6))
        let newer = builder.event
        let second = try GTIDEvent(newer.span.bytes)
        #expect(second.lastCommitted == 5 && second.sequenceNumber == 6)
        // 8.0: both times, a long length, both versions.
        builder.add([UInt8](repeating: 1, count: 6) + [0x80])
        builder.add([UInt8](repeating: 2, count: 7))
        builder.add([252, 0x34, 0x12])
        builder.add(UInt32(80036) | 1 << 31)
        builder.add(UInt32(80011))
        let latest = builder.event
        let third = try GTIDEvent(latest.span.bytes)
        #expect(third.immediateCommitMicroseconds == 0x0001_0101_0101_01)
        #expect(third.originalCommitMicroseconds == 0x0202_0202_0202_02)
        #expect(third.transactionLength == 0x1234)
        #expect(third.immediateServerVersion == 80036 && third.originalServerVersion == 80011)
    }

    @Test func anonymousTransactionsHaveNoIdentity() throws {
        var builder = EventBuilder(34)
        builder.add([UInt8](repeating: 0, count: 25))
        let event = builder.event
        let gtid = try GTIDEvent(event.span.bytes)
        #expect(gtid.isAnonymous && gtid.identity == nil)
        var wrong = event
        wrong[4] = 33
        #expect(throws: BinlogError.self) { try GTIDEvent(wrong.span.bytes) }
    }

    @Test func mariadbGTIDsWithCommitAndThread() throws {
        var builder = EventBuilder(162)
        builder.add(UInt64(9))
        builder.add(UInt32(3))
        builder.add([2 | 4])
        builder.add(UInt64(77))
        builder.add([16])
        builder.add(UInt32(1001))
        let event = builder.event
        let gtid = try MariaDBGTIDEvent(event.span.bytes)
        #expect(gtid.gtid.description == "3-7-9")
        #expect(gtid.commitID == 77 && gtid.threadID == 1001)
    }

    @Test func uncompressedPayloadsAreRead() throws {
        var inner = EventBuilder(16)
        inner.add(UInt64(5))
        let events = inner.event + inner.event
        func payload(_ plain: Int, _ compression: UInt8) -> [UInt8] {
            var builder = EventBuilder(40)
            builder.add([1, 1, UInt8(events.count), 2, compression == 255 ? 3 : 1])
            builder.add(compression == 255 ? [252, 255, 0] : [compression])
            builder.add([3, 1, UInt8(plain), 0])
            builder.add(events)
            return builder.event
        }
        let event = payload(events.count, 255)
        var reader = try PayloadReader(event.span.bytes, limit: 100)
        #expect(try reader.next(in: event.span.bytes) == inner.event)
        #expect(try reader.next(in: event.span.bytes) == inner.event)
        #expect(try reader.next(in: event.span.bytes) == nil)
        #expect(throws: BinlogError.self) {
            var reader = try PayloadReader(event.span.bytes, limit: 20)
            _ = try reader.next(in: event.span.bytes)
        }
        for wrong in [
            payload(events.count - 1, 255), payload(events.count + 1, 255), payload(9, 7),
        ] {
            #expect(throws: BinlogError.self) {
                var reader = try PayloadReader(wrong.span.bytes, limit: 100)
                while try reader.next(in: wrong.span.bytes) != nil {}
            }
        }
    }

    @Test func statusVariablesOfLaterVersionsEndTheReading() throws {
        var builder = EventBuilder(2)
        builder.add(UInt32(1))
        builder.add(UInt32(0))
        builder.add([1, 0, 0])
        let status: [UInt8] =
            [131, 1, 33, 0, 45, 0, 1, 5, 0, 0, 0, 0, 0, 0, 0, 130, 4]
            + [UInt8](repeating: 1, count: 8) + [200, 1, 2, 3]
        builder.add(UInt16(status.count))
        builder.add(status + [0x64, 0] + Array("BEGIN".utf8))
        let event = builder.event
        let query = try QueryEvent(event.span.bytes)
        #expect(query.status.unknownCode == 200)
        #expect(query.status.sqlMode == 5)
        #expect(query.status.charsetCollations == [33 | 45 << 16])
        #expect(query.text == "BEGIN")
        #expect(try QueryEvent.isStatement(event.span.bytes, "BEGIN"))
        #expect(try !QueryEvent.isStatement(event.span.bytes, "COMMIT"))
    }

    @Test func tableMapsOfUnknownTypesAreRefusedByColumn() throws {
        func map(_ types: [UInt8], _ metadata: [UInt8]) -> [UInt8] {
            var builder = EventBuilder(19)
            builder.add([1, 0, 0, 0, 0, 0, 1, 0, 1, 0x64, 0, 1, 0x74, 0, UInt8(types.count)])
            builder.add(types + [UInt8(metadata.count)] + metadata + [0])
            return builder.event
        }
        let good = map([3, 254], [0xFE, 10])
        #expect(try TableMap(good.span.bytes, family: .mysql).columns[1].length == 10)
        for (types, metadata) in [
            ([3, 0], []), ([3, 20], [1]), ([246], [66, 0]), ([246], [10, 11]), ([17], [7]),
            ([16], [8, 0]), ([254], [0x01, 1]), ([252], [5]), ([3], [1]), ([4], [8]),
        ] as [([UInt8], [UInt8])] {
            let event = map(types, metadata)
            #expect(throws: BinlogError.self) { try TableMap(event.span.bytes, family: .mysql) }
        }
    }

    @Test func formatsOfOldServersAreRefused() throws {
        let golden = Golden.named("mysql-types").files[0][0]
        for (offset, value) in [(19, 3), (75, 13), (76 + 18, 6), (golden.count - 5, 2)] {
            var event = golden
            event[offset] = UInt8(value)
            let failure = #expect(throws: BinlogError.self) {
                try FormatDescription(event.span.bytes)
            }
            #expect(failure?.code == .unsupportedFormat)
        }
    }

    @Test func theFirstColumnsAreWhereAllOfThemAre() throws {
        // INT, VARCHAR(10), BIGINT, VARCHAR(300), TINYINT
        var builder = EventBuilder(19)
        builder.add([1, 0, 0, 0, 0, 0, 1, 0, 1, 0x64, 0, 1, 0x74, 0, 5])
        builder.add([3, 15, 8, 15, 1, 4, 10, 0, 0x2C, 1, 31])
        let table = builder.event
        let map = try TableMap(table.span.bytes, family: .mysql)
        // The third column is NULL, and then not in the image at all.
        for (present, nulls, third) in [(31, 4, -1), (27, 0, -2)] as [(UInt8, UInt8, Int32)] {
            var builder = EventBuilder(23)
            builder.add([1, 0, 0, 0, 0, 0, 1, 0, 5, present, nulls])
            builder.add([1, 0, 0, 0, 2, 0x61, 0x62, 3, 0, 0x78, 0x79, 0x7A, 9])
            let event = builder.event
            var rows = try RowsEvent(event.span.bytes)
            let found = try rows.next(in: event.span.bytes, map: map)
            let images = try #require(found)
            var all: [ColumnValue] = []
            try map.locate(
                imageAt: images.afterOffset, columns: rows.after, in: event.span.bytes, into: &all)
            #expect(all.map(\.length) == [4, 2, third, 3, 1])
            let old = ColumnValue(offset: 7, length: 77)
            for limit in 0...6 {
                var some = [ColumnValue](repeating: old, count: 5)
                try map.locate(
                    imageAt: images.afterOffset, columns: rows.after, in: event.span.bytes,
                    into: &some, upTo: limit)
                let expected = (0..<5).map { $0 < limit ? all[$0] : old }
                #expect(some == expected, "\(limit)")
            }
        }
    }

    @Test func rowsNeedTheirTableMap() throws {
        var builder = EventBuilder(30)
        builder.add([0xFF, 0xFF, 0xFF, 0, 0, 0, 1, 0, 2, 0, 0])
        let dummy = builder.event
        #expect(try RowsEvent(dummy.span.bytes).isDummy)
        builder.add([0])
        let event = builder.event
        let good = Golden.named("mysql-types").events.first { $0[4] == 19 }!
        let map = try TableMap(good.dropLast(4).array.span.bytes, family: .mysql)
        #expect(throws: BinlogError.self) {
            var rows = try RowsEvent(event.span.bytes)
            _ = try rows.next(in: event.span.bytes, map: map)
        }
    }
}

extension ArraySlice<UInt8> {
    var array: [UInt8] { Array(self) }
}
