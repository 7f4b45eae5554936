internal import MySQLBinlog
internal import MySQLClient
internal import MySQLCore
internal import Stream

/// Finds the rows of an XA transaction whose XA COMMIT was met without them: they were prepared
/// before the stream began (before the copy, in an earlier run, on a server that has failed
/// since), or were too large to be kept.
///
/// It reads the source's binlog over a connection of its own, backwards file by file from the
/// decision, to the last XA PREPARE of that name: a name is free again only after its decision.
struct PreparedSearch {
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
    /// - Throws: ``ReplicationError/unsupported(_:detail:)`` when the source's binlog no longer
    ///   has it.
    func run(
        from known: BinlogPosition?,
        _ take: (consuming TransactionAssembler.Output) async throws -> Void
    ) async throws {
        let start = try known ?? find()
        // Table ids of another place in the binlog mean nothing here, nor these there.
        catalog.forgetMaps()
        defer { catalog.forgetMaps() }
        let stream = try open(start)
        var assembler = TransactionAssembler(
            catalog: catalog,
            applied: AppliedState(
                lowWater: SourcePosition(origin: origin, binlog: start, gtids: .none),
                carried: IdentitySet()),
            origin: origin, bytesLimit: bytesLimit, recalling: (xid, decision))
        while true {
            let chunk = try stream.next()
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
    private func find() throws -> BinlogPosition {
        let session = SourceSession(try Connection(source))
        let files = try session.files().map(\.name)
        guard let last = files.firstIndex(of: decision.start.file) else {
            throw lost(decision.start)
        }
        for file in files[...last].reversed() {
            if let start = try find(in: file) { return start }
            try Task.checkCancellation()
        }
        throw lost(BinlogPosition(file: files.first ?? "", offset: 4))
    }

    private func find(in file: String) throws -> BinlogPosition? {
        let stream = try open(BinlogPosition(file: file, offset: 4))
        var found: BinlogPosition?
        var group = BinlogPosition(file: file, offset: 4)
        while true {
            let chunk = try stream.next()
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

    private func open(_ start: BinlogPosition) throws -> DirectStream {
        // An id of its own: the server ends the older of two readers with the same.
        try DirectStream(
            source, from: .position(start),
            serverID: UInt32.random(in: 0x8000_0000...0xFFFF_FFF0))
    }

    private func lost(_ position: BinlogPosition) -> ReplicationError {
        .unsupported(
            SourcePosition(origin: origin, binlog: decision.start, gtids: .none),
            detail: "XA transaction \(xid.text) is committed, and the source's binlog does not "
                + "have its prepare any more (searched back to \(position)). Its rows are missing: "
                + "start over with --fresh")
    }
}
