internal import MySQLBinlog
internal import MySQLCore
internal import Stream

/// Puts events into words, and remembers the tables that row events refer to.
struct EventWords {
    /// One event, for people and for programs.
    struct Record {
        var line: String
        var object: JSONObject
    }

    /// Of the server that wrote the file.
    var family = ServerFamily.mariadb
    private var maps: [UInt64: TableMap] = [:]

    /// What an event says.
    mutating func record(_ chunk: EventChunk, _ entry: EventChunk.Entry) -> Record {
        let type = EventType(rawValue: entry.type)
        let event = chunk.event(entry)
        let header = try? EventHeader(event)
        // Its checksum says how others end, and is a part of it.
        let detail =
            type == .formatDescription
            ? detail(type, chunk.wholeEvent(entry)) : detail(type, event)
        let time = Int64(header?.timestamp ?? 0) * 1_000_000
        var object = StatusRecord.begin("event", time)
        object.set("file", chunk.file)
        object.set("position", entry.position)
        object.set("end_position", entry.endPosition)
        object.set("event", type.description)
        object.set("server_id", header?.serverID)
        object.set("bytes", entry.size)
        object.set("gtid", detail.gtid)
        object.set("schema", detail.schema)
        object.set("table", detail.table)
        object.set("rows", detail.rows)
        object.set("sql", detail.sql)
        object.set("next_file", detail.nextFile)
        var words = [detail.gtid, detail.nextFile].compactMap { $0 }
        if let table = detail.table { words.append("\(detail.schema ?? "").\(table)") }
        if let rows = detail.rows { words.append(rows == 1 ? "1 row" : "\(rows) rows") }
        if let sql = detail.sql {
            if let schema = detail.schema, !schema.isEmpty { words.append("[\(schema)]") }
            words.append(sql)
        }
        if let note = detail.note { words.append(note) }
        let place = TextFitting.padded("\(chunk.file):\(entry.position)", 22)
        let name = TextFitting.padded(type.description, 20)
        let clock = time == 0 ? "-" : Wording.utc(microseconds: time)
        let line = "\(place)  \(TextFitting.padded(clock, 24))  \(name)  \(entry.size) bytes"
        return Record(
            line: TextFitting.printable(
                words.isEmpty ? line : line + "  " + words.joined(separator: "  ")),
            object: object)
    }

    private struct Detail {
        var gtid: String?
        var schema: String?
        var table: String?
        var rows: Int?
        var sql: String?
        var nextFile: String?
        var note: String?
    }

    private mutating func detail(_ type: EventType, _ event: RawSpan) -> Detail {
        do {
            if type.isCompressed {
                let plain = try EventType.decompressed(event, limit: 1 << 30)
                let inner = try EventHeader(plain.span.bytes).type
                var out = try read(inner, plain.span.bytes)
                out.note = "compressed"
                return out
            }
            return try read(type, event)
        } catch {
            return Detail(note: "not readable: \(error)")
        }
    }

    private mutating func read(_ type: EventType, _ event: RawSpan) throws -> Detail {
        var out = Detail()
        switch type {
        case .mariadbGTID: out.gtid = "\(try MariaDBGTIDEvent(event).gtid)"
        case .gtid, .taggedGTID: out.gtid = try GTIDEvent(event).identity?.description
        case .previousGTIDs: out.gtid = "\(try PreviousGTIDsEvent(event).gtids)"
        case .gtidList: out.gtid = "\(try GTIDListEvent(event).position)"
        case .rotate: out.nextFile = try RotateEvent(event).file
        case .formatDescription: out.note = "\(try FormatDescription(event).serverVersion)"
        case .query:
            let query = try QueryEvent(event)
            out.schema = String(decoding: query.schema, as: UTF8.self)
            out.sql = withoutSecrets(String(decoding: query.sql, as: UTF8.self))
        case .tableMap:
            let map = try TableMap(event, family: family)
            maps[map.tableID] = map
            out.schema = map.schema
            out.table = map.table
        case .transactionPayload:
            out.note = "compressed transaction"
        case _ where type.isRows: try rows(event, &out)
        default: break
        }
        return out
    }

    private func rows(_ event: RawSpan, _ out: inout Detail) throws {
        var rows = try RowsEvent(event)
        guard let map = maps[rows.tableID] else {
            out.note = "of a table that was named before the first event shown"
            return
        }
        out.schema = map.schema
        out.table = map.table
        var count = 0
        while try rows.next(in: event, map: map) != nil { count += 1 }
        out.rows = count
    }
}
