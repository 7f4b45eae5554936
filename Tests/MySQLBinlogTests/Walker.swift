import MySQLBinlog
import MySQLCore

/// Follows a stream as a replica does and decodes everything in it, down to the text of every
/// value. Rows go to `onRow`.
struct Walker {
    /// One image's columns: NULL is an empty array, a missing column no entry.
    typealias Image = [Int: [UInt8]?]

    var format: FormatDescription?
    var maps: [UInt64: TableMap] = [:]
    var eventCount = 0
    var rowCount = 0
    var types: Set<UInt8> = []
    var queries: [QueryEvent] = []
    var gtids: [GTIDEvent] = []
    var mariadbGTIDs: [MariaDBGTIDEvent] = []
    var contexts: [StatementContextEvent] = []
    var xaPrepares: [XAPrepareEvent] = []
    var isUnsigned: (TableMap, Int) -> Bool = { map, column in
        map.metadata.isUnsigned?[column] ?? false
    }
    var onRow: (TableMap, RowsEvent, Image?, Image?) -> Void = { _, _, _, _ in }

    static let limit = 64 << 20
    var values: [ColumnValue] = []
    var before: [ColumnValue] = []

    /// A raw event, checksum included.
    mutating func walk(raw event: [UInt8]) throws(BinlogError) {
        let span = event.span.bytes
        let header = try EventHeader(span)
        try header.checkSize(of: span)
        try header.type.checkSupported(flags: header.flags)
        if header.type == .formatDescription {
            format = try FormatDescription(span)
            types.insert(15)
            return
        }
        try walk(body: FormatDescription.body(of: span, checksum: format?.checksum ?? .crc32))
    }

    /// An event without checksum.
    mutating func walk(body event: RawSpan) throws(BinlogError) {
        let header = try EventHeader(event)
        eventCount += 1
        types.insert(header.type.rawValue)
        try header.type.checkSupported(flags: header.flags)
        switch header.type {
        case .rotate: _ = try RotateEvent(event)
        case .query: queries.append(try QueryEvent(event))
        case .xid: _ = try XIDEvent(event)
        case .xaPrepare: xaPrepares.append(try XAPrepareEvent(event))
        case .heartbeat, .heartbeatV2: _ = try HeartbeatEvent(event)
        case .gtid, .anonymousGTID, .taggedGTID: gtids.append(try GTIDEvent(event))
        case .mariadbGTID: mariadbGTIDs.append(try MariaDBGTIDEvent(event))
        case .gtidList: _ = try GTIDListEvent(event).position
        case .previousGTIDs: _ = try PreviousGTIDsEvent(event)
        case .rowsQuery, .annotateRows: _ = try RowsQueryEvent(event)
        case .intvar, .rand, .userVariable:
            if let context = try StatementContextEvent(event) { contexts.append(context) }
        case .tableMap:
            let map = try TableMap(event, family: format?.family ?? .mysql)
            maps[map.tableID] = map
        case .transactionPayload:
            var reader = try PayloadReader(event, limit: Self.limit)
            while let inner = try reader.next(in: event) { try walk(body: inner.span.bytes) }
        default:
            if header.type.isCompressed {
                let plain = try EventType.decompressed(event, limit: Self.limit)
                try walk(body: plain.span.bytes)
            } else if header.type.isRows {
                try walkRows(event)
            }
        }
    }

    private mutating func walkRows(_ event: RawSpan) throws(BinlogError) {
        var rows = try RowsEvent(event)
        guard let map = maps[rows.tableID] else { return }
        while let images = try rows.next(in: event, map: map) {
            rowCount += 1
            var old: Image?
            var new: Image?
            if rows.kind.hasBefore {
                try map.locate(
                    imageAt: images.beforeOffset, columns: rows.before, in: event, into: &before)
                old = try image(event, map, before, nil)
            }
            if rows.kind.hasAfter {
                try map.locate(
                    imageAt: images.afterOffset, columns: rows.after, in: event, into: &values)
                new = try image(event, map, values, images)
            }
            onRow(map, rows, old, new)
        }
    }

    private mutating func image(
        _ event: RawSpan, _ map: TableMap, _ values: [ColumnValue], _ images: RowImages?
    ) throws(BinlogError) -> Image {
        var out: Image = [:]
        var json = 0
        for (i, value) in values.enumerated() {
            let column = map.columns[i]
            defer { if column.type == .json { json += 1 } }
            if value.isAbsent { continue }
            if value.isNull {
                out[i] = .some(nil)
                continue
            }
            var buffer = ByteBuffer()
            let isDifference =
                column.type == .json
                && images?.isDifference(jsonColumn: json, in: event) ?? false
            if isDifference {
                guard before.indices.contains(i), before[i].hasValue else {
                    for difference in try JSONDifference.all(event, value) {
                        try difference.appendValueIfAny(event, into: &buffer)
                    }
                    continue
                }
                try column.appendUpdatedJSON(
                    event, before: before[i], differences: value, into: &buffer)
            } else {
                try column.appendText(
                    event, value, isUnsigned: isUnsigned(map, i), into: &buffer)
            }
            out[i] = buffer.array()
        }
        return out
    }
}

extension JSONDifference {
    func appendValueIfAny(_ event: RawSpan, into out: inout ByteBuffer) throws(BinlogError) {
        if operation != .remove { try appendValue(event, into: &out) }
    }
}
