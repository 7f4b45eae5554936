internal import MySQLBinlog
internal import MySQLClient
internal import MySQLCore
internal import Stream

/// Finds the rows of an XA transaction whose XA COMMIT was met without them: they were prepared
/// before the stream began (before the copy, in an earlier run, on a server that has failed
/// since), or were too large to be kept.
///
/// It reads backwards file by file from the decision, to the last XA PREPARE of that name: a name is
/// free again only after its decision. Files are read where events come from (a relay log may hold
/// what the source has purged), and those that are not there from the source, over a connection of
/// its own.
struct PreparedSearch {
    /// Where the stream with the decision comes from; `nil`: the source only.
    let events: (any EventSource)?
    let source: ConnectionOptions
    let catalog: TableCatalog
    let origin: Origin
    /// The decision, whose identity and place the rows take.
    let decision: GroupEnd
    let xid: XATransactionID
    /// Transactions beyond it come in parts.
    let bytesLimit: Int

    /// The outputs that the rows make: parts, or one transaction, or nothing that counts here.
    ///
    /// - Parameter known: where the group starts, when the stream has met it.
    /// - Throws: ``ReplicationError/unsupported(_:detail:)`` when nobody has it any more.
    func run(
        from known: BinlogPosition?,
        _ take: (consuming TransactionAssembler.Output) async throws -> Void
    ) async throws {
        let start: BinlogPosition
        if let known { start = known } else { start = try await find() }
        // Table ids of another place in the binlog mean nothing here, nor these there.
        catalog.forgetMaps()
        defer { catalog.forgetMaps() }
        let stream = try await open(start)
        defer { stream.close() }
        var assembler = TransactionAssembler(
            catalog: catalog,
            applied: AppliedState(
                lowWater: SourcePosition(origin: origin, binlog: start, gtids: .none),
                carried: IdentitySet()),
            origin: origin, bytesLimit: bytesLimit, recalling: (xid, decision))
        while true {
            let chunk = try await stream.next()
            for entry in chunk.entries {
                var output = try assembler.consume(chunk, entry)
                while true {
                    switch output {
                    case .none: break
                    case .part: try await take(output)
                    case .transaction, .lastPart, .passed:
                        try await take(output)
                        return
                    case .abandoned, .statement, .opening, .recall: throw lost(start)
                    }
                    guard assembler.isUnpacking, let next = try assembler.resume() else { break }
                    output = next
                }
            }
            try Task.checkCancellation()
        }
    }

    /// Where the group starts that prepared it.
    private func find() async throws -> BinlogPosition {
        var file = decision.start.file
        while try isThere(file) {
            if let start = try await find(in: file) { return start }
            try Task.checkCancellation()
            guard let before = Self.file(before: file) else { break }
            file = before
        }
        throw lost(BinlogPosition(file: file, offset: 4))
    }

    private func isHeld(_ file: String) -> Bool {
        events?.holds(file, of: origin.server) ?? false
    }

    private func isThere(_ file: String) throws -> Bool {
        if isHeld(file) { return true }
        return try SourceSession(try Connection(source)).files().contains { $0.name == file }
    }

    /// The name of the file before another one: servers count up by one, in at least six digits.
    static func file(before name: String) -> String? {
        guard let dot = name.lastIndex(of: "."),
            let number = Int(name[name.index(after: dot)...]), number > 1
        else { return nil }
        let digits = String(number - 1)
        return name[...dot] + String(repeating: "0", count: max(0, 6 - digits.count)) + digits
    }

    private func find(in file: String) async throws -> BinlogPosition? {
        let stream = try await open(BinlogPosition(file: file, offset: 4))
        defer { stream.close() }
        var found: BinlogPosition?
        var group = BinlogPosition(file: file, offset: 4)
        while true {
            let chunk = try await stream.next()
            for entry in chunk.entries {
                let isBehind =
                    chunk.file != file && !chunk.file.isEmpty
                    || file == decision.start.file && entry.position >= decision.start.offset
                if isBehind { return found }
                switch EventType(rawValue: entry.type) {
                case .gtid, .taggedGTID, .anonymousGTID, .mariadbGTID:
                    group.offset = entry.position
                case .xaPrepare:
                    let event = try XAPrepareEvent(chunk.event(entry))
                    if event.xid == xid, !event.isOnePhase { found = group }
                case .rotate where entry.endPosition > entry.position: return found
                case .stop: return found
                default: break
                }
            }
            try Task.checkCancellation()
        }
    }

    private func open(_ start: BinlogPosition) async throws -> Past {
        if isHeld(start.file), let events {
            return .held(try await events.reader(from: .position(start, of: origin.server)))
        }
        // An id of its own: the server ends the older of two readers with the same.
        return .direct(
            try DirectStream(
                source, from: .position(start),
                serverID: UInt32.random(in: 0x8000_0000...0xFFFF_FFF0)))
    }

    /// Events that are behind the stream.
    private enum Past {
        case held(any EventReader)
        case direct(DirectStream)

        func next() async throws -> EventChunk {
            switch self {
            case .held(let reader): try await reader.next()
            case .direct(let stream): try stream.next()
            }
        }

        func close() {
            if case .held(let reader) = self { reader.close() }
        }
    }

    private func lost(_ position: BinlogPosition) -> ReplicationError {
        .unsupported(
            SourcePosition(origin: origin, binlog: decision.start, gtids: .none),
            detail: "XA transaction \(xid.text) is committed, and neither the source's binlog nor "
                + "the relay log has its prepare any more (searched back to \(position)). Its rows "
                + "are missing: start over with --fresh")
    }
}
