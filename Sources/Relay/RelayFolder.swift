public import MySQLCore

/// One folder of a relay log: the files of one server, from the time when it became the upstream
/// until another did. Its name is `<server>.<6 digits>`; the digits count up.
public struct RelayFolder: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The server: MySQL's UUID, or `domain-id` for MariaDB, which has none.
    public var server: String
    /// The number, from 1.
    public var number: Int

    /// Makes a name.
    public init(server: String, number: Int) {
        self.server = server
        self.number = number
    }

    /// Reads a folder's name.
    public init?(_ name: some StringProtocol) {
        guard let dot = name.lastIndex(of: "."), dot != name.startIndex,
            name.distance(from: dot, to: name.endIndex) >= 7,
            let number = Int(name[name.index(after: dot)...]), number > 0,
            // Peers send names too: none may lead out of the log's folder.
            name.first != ".", name.utf8.count <= 255,
            !name.utf8.contains(where: { $0 == UInt8(ascii: "/") || $0 < 32 })
        else { return nil }
        self.init(server: String(name[..<dot]), number: number)
    }

    /// The folder's name.
    public var description: String {
        let digits = String(number)
        return server + "." + String(repeating: "0", count: max(0, 6 - digits.count)) + digits
    }

    /// The server as streams name it.
    public var serverName: ServerUUID? {
        let parts = server.split(separator: "-", omittingEmptySubsequences: false)
        if parts.count == 2, UInt32(parts[0]) != nil, let id = UInt64(parts[1]) {
            return ServerUUID(high: 0, low: id)
        }
        return ServerUUID(server)
    }

    /// Orders by number.
    public static func < (a: RelayFolder, b: RelayFolder) -> Bool { a.number < b.number }
}

/// What `relay.meta` says: how far a folder was written when it was last saved. It is for people
/// and for readers in other processes; after a crash the files themselves tell.
///
///     binlog-name = "bin.000007"
///     binlog-pos = 1234
///     binlog-gtid = "0-1-100"
///     synced-pos = 1200          (Skein's own: the part that is on the disk for certain)
///     boot-id = "..."            (Skein's own: of the machine when that was so)
///     upstream = "..."           (Skein's own: who was read then)
public struct RelayMeta: Sendable, Hashable {
    /// The file that is being written.
    public var file: String
    /// Its length.
    public var position: UInt64
    /// The GTIDs up to there.
    public var gtids: String
    /// The part of the file that survives a crash of the machine.
    public var synced: UInt64?
    /// The machine's boot in which this was written.
    public var boot: String?
    /// Who was read: the source, or the worker whose relay log was copied, as `host:port`.
    public var upstream: String?

    /// Makes it of its fields.
    public init(
        file: String, position: UInt64, gtids: String, synced: UInt64? = nil, boot: String? = nil,
        upstream: String? = nil
    ) {
        self.file = file
        self.position = position
        self.gtids = gtids
        self.synced = synced
        self.boot = boot
        self.upstream = upstream
    }

    /// Reads the file's text; unknown keys are for others.
    public init?(text: String) {
        var values: [Substring: String] = [:]
        for line in text.split(separator: "\n") {
            guard let equals = line.firstIndex(of: "=") else { continue }
            let key = line[..<equals].trimmed
            var value = line[line.index(after: equals)...].trimmed
            if value.count >= 2, value.first == "\"", value.last == "\"" {
                value = value.dropFirst().dropLast()
            }
            values[key] = String(value)
        }
        guard let file = values["binlog-name"],
            let position = values["binlog-pos"].flatMap({ UInt64($0) })
        else { return nil }
        self.init(
            file: file, position: position, gtids: values["binlog-gtid"] ?? "",
            synced: values["synced-pos"].flatMap { UInt64($0) }, boot: values["boot-id"],
            upstream: values["upstream"])
    }

    /// The file's text.
    public var text: String {
        var out = """
            binlog-name = "\(file)"
            binlog-pos = \(position)
            binlog-gtid = "\(gtids)"

            """
        if let synced { out += "synced-pos = \(synced)\n" }
        if let boot { out += "boot-id = \"\(boot)\"\n" }
        if let upstream { out += "upstream = \"\(upstream)\"\n" }
        return out
    }
}

extension Substring {
    fileprivate var trimmed: Substring {
        var out = self
        while let c = out.first, c == " " || c == "\t" || c == "\r" { out.removeFirst() }
        while let c = out.last, c == " " || c == "\t" || c == "\r" { out.removeLast() }
        return out
    }
}
