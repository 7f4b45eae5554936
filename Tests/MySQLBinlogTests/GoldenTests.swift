import MySQLBinlog
import MySQLCore
import Testing

extension ByteBuffer {
    fileprivate mutating func appendMariaDBValue(_ type: String, _ bytes: RawSpan) {
        switch type {
        case "uuid": appendUUID(bytes)
        case "inet6": appendINET6(bytes)
        default: appendINET4(bytes)
        }
    }
}

/// What the module makes of real binlogs is what SELECT says on the servers that wrote them.
@Suite struct GoldenTests {
    /// Applies all rows of a golden file to tables in memory.
    final class Replay {
        var tables: [String: [[UInt8]: [Int: [UInt8]?]]] = [:]
        var problems: [String] = []
    }

    static func replay(_ golden: Golden) throws -> (Replay, Walker) {
        let expected = try golden.expected()
        let replay = Replay()
        var walker = Walker()
        walker.isUnsigned = { map, i in
            let declared = expected[map.table].flatMap { table in
                table.columns.indices.contains(i)
                    ? table.columns[i].type.contains("unsigned") : nil
            }
            if let told = map.metadata.isUnsigned?[i], let declared, told != declared {
                replay.problems.append("\(map.table) column \(i): signedness \(told)")
            }
            return declared ?? map.metadata.isUnsigned?[i] ?? false
        }
        walker.onRow = { map, event, before, after in
            guard let table = expected[map.table] else { return }
            let id = table.columns.firstIndex { $0.name == "id" }!
            var rows = replay.tables[map.table] ?? [:]
            var row: [Int: [UInt8]?] = [:]
            if let before {
                guard let old = rows.removeValue(forKey: (before[id] ?? nil) ?? []) else {
                    replay.problems.append("\(map.table): no row for a before image")
                    return
                }
                row = old
                for (i, value) in before where row[i].map({ $0 != value }) ?? false {
                    replay.problems.append("\(map.table) column \(i): before image differs")
                }
            }
            if let after {
                for (i, value) in after { row[i] = value }
                rows[(row[id] ?? nil) ?? []] = row
            }
            replay.tables[map.table] = rows
        }
        for event in golden.events { try walker.walk(raw: event) }
        return (replay, walker)
    }

    @Test(arguments: Golden.all)
    func rowsComeOutAsTheServerSelectsThem(golden: Golden) throws {
        #expect(!golden.files.isEmpty)
        let (replay, _) = try Self.replay(golden)
        #expect(replay.problems == [])
        for (name, table) in try golden.expected() {
            let rows = replay.tables[name] ?? [:]
            // Their differences need the value before, which minimal images do not have.
            if name == "minimal" { continue }
            // Statements and defaults of columns that were added leave no rows.
            let hasMore = golden.name.hasSuffix("control")
            #expect(hasMore || rows.count == table.rows.count, "rows of \(name)")
            for (id, fields) in table.rows {
                guard let row = rows[id] else {
                    if hasMore { continue }
                    Issue.record("\(name): no row \(String(decoding: id, as: UTF8.self))")
                    continue
                }
                for (i, column) in table.columns.enumerated() where row[i] != nil || !hasMore {
                    let context =
                        "\(name).\(column.name) row \(String(decoding: id, as: UTF8.self))"
                    Self.compare(row[i] ?? nil, fields[i], column.type, context)
                }
            }
        }
    }

    static func compare(_ found: [UInt8]?, _ expected: String, _ type: String, _ context: String) {
        guard var found else {
            #expect(expected == "NULL", "\(context): NULL")
            return
        }
        if type.hasPrefix("binary("), let length = Int(type.dropFirst(7).dropLast()) {
            found += [UInt8](repeating: 0, count: max(length - found.count, 0))
        }
        if ["uuid", "inet4", "inet6"].contains(type) {
            var text = ByteBuffer()
            let bytes = found
            text.appendMariaDBValue(type, bytes.span.bytes)
            found = text.array()
        }
        if expected.hasPrefix("~") {
            #expect("~\(found.count):\(slowCRC32(found))" == expected, "\(context)")
            return
        }
        let wanted =
            expected == "NULL" ? nil : type == "double" ? Array(expected.utf8) : fromHex(expected)
        if type == "float", let wanted {
            // SELECT rounds FLOAT to six digits; as DOUBLE it prints all of them.
            let text = Float(String(decoding: found, as: UTF8.self))
            let server = Double(String(decoding: wanted, as: UTF8.self)).map { Float($0) }
            #expect(text == server, "\(context)")
            return
        }
        let server = wanted.map { String(decoding: $0, as: UTF8.self) } ?? "NULL"
        let ours = String(decoding: found, as: UTF8.self)
        #expect(wanted == found, "\(context): \(ours), not \(server)")
    }

    static func holds(_ event: [UInt8]) -> Bool { EventHeader.verifyChecksum(event.span.bytes) }

    @Test(arguments: Golden.all)
    func everyChecksumHolds(golden: Golden) throws {
        for file in golden.files {
            let first = file[0]
            let format = try FormatDescription(first.span.bytes)
            #expect(format.checksum == (golden.name.hasSuffix("nochecksum") ? .none : .crc32))
            #expect(format.family.rawValue == golden.name.prefix { $0 != "-" })
            #expect(format.postHeaderLength(.tableMap) == 8)
            for event in file {
                let isFormat = try EventHeader(event.span.bytes).type == .formatDescription
                guard isFormat || format.checksum == .crc32 else { continue }
                #expect(Self.holds(event))
                // A bit anywhere makes a difference, but for the in-use flag of format events.
                for i in stride(from: 0, to: event.count, by: 1 + event.count / 50) {
                    if isFormat && i == 17 { continue }
                    var damaged = event
                    damaged[i] ^= 1
                    #expect(!Self.holds(damaged))
                }
                var inUse = event
                inUse[17] |= 1
                #expect(Self.holds(inUse) == isFormat)
            }
        }
    }
}
