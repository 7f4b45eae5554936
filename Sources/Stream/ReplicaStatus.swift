internal import MySQLClient
internal import MySQLCore

/// What a server that replicates from others has got from them, and applied.
///
/// What it can't tell is what another server has that never came to it: it is not behind only as far
/// as it is connected.
public struct ReplicaStatus: Sendable, Hashable {
    /// A place in what is replicated.
    enum Place: Sendable, Hashable {
        case gtids(GTIDState)
        case position(BinlogPosition)
    }

    /// One server that it replicates from.
    struct Channel: Sendable, Hashable {
        /// The channel's name, or the connection's on MariaDB; empty for the usual one.
        var name: String
        /// Whether it is connected, and applies what comes.
        var isRunning: Bool
        /// Up to where transactions have come.
        var received: Place
        /// Up to where they are applied.
        var applied: Place
    }

    var channels: [Channel]

    /// Whether it replicates from nobody.
    public var isNone: Bool { channels.isEmpty }

    /// Whether it gets everything from all that it replicates from, sooner or later.
    public var isRunning: Bool { channels.allSatisfy(\.isRunning) }

    /// Why it may lack transactions that were to be had when it looked like `earlier`; `nil` when it
    /// has applied all that had come to it by then, and more was to come.
    public func doubt(since earlier: ReplicaStatus) -> String? {
        for channel in channels {
            let name = channel.name.isEmpty ? "its replication" : "its channel \(channel.name)"
            guard channel.isRunning else { return "\(name) does not run" }
            let before = earlier.channels.first { $0.name == channel.name } ?? channel
            guard channel.applied.holds(before.received) else {
                return "\(name) has received \(before.received) and applied \(channel.applied)"
            }
        }
        return nil
    }
}

extension ReplicaStatus.Place: CustomStringConvertible {
    var description: String {
        switch self {
        case .gtids(let state): "\(state)"
        case .position(let position): "\(position)"
        }
    }

    /// Whether everything before the other place is before this one.
    func holds(_ other: Self) -> Bool {
        switch (self, other) {
        case (.gtids(let mine), .gtids(let other)): mine.holds(other)
        case (.position(let mine), .position(let other)): mine >= other
        default: false
        }
    }
}

extension SourceSession {
    /// What the server has received as a replica of others, and applied; `nil` when it does not say.
    public func replicaStatus() throws -> ReplicaStatus? {
        guard let rows = try replicaRows() else {
            // Without the right to see more: a server that has never applied what others have
            // written has nothing of theirs in its binlog.
            let isUntouched =
                try connection.family == .mariadb
                && connection.value("SELECT @@global.gtid_slave_pos") == ""
            return isUntouched ? ReplicaStatus(channels: []) : nil
        }
        guard !rows.isEmpty else { return ReplicaStatus(channels: []) }
        let usesGTIDs = try connection.family == .mysql && self.usesGTIDs()
        // Behind the status: what was received until then may have been applied since.
        let executed = try connection.value(
            connection.family == .mysql
                ? "SELECT @@global.gtid_executed" : "SELECT @@global.gtid_slave_pos")
        var channels: [ReplicaStatus.Channel] = []
        for row in rows {
            func value(_ names: String...) -> String? { names.lazy.compactMap { row[$0] }.first }
            let name = value("Channel_Name", "Connection_name") ?? ""
            // A group's own: what they have applied they are told to apply by the group.
            if name.hasPrefix("group_replication_") { continue }
            func places() throws -> (ReplicaStatus.Place, ReplicaStatus.Place)? {
                if usesGTIDs {
                    guard let received = MySQLGTIDSet(value("Retrieved_Gtid_Set") ?? ""),
                        let executed = MySQLGTIDSet(executed ?? "")
                    else { return nil }
                    return (.gtids(.mysql(received)), .gtids(.mysql(executed)))
                }
                if let mode = value("Using_Gtid"), mode != "No" {
                    guard let received = MariaDBGTIDPosition(value("Gtid_IO_Pos") ?? ""),
                        let executed = MariaDBGTIDPosition(executed ?? "")
                    else { return nil }
                    return (.gtids(.mariadb(received)), .gtids(.mariadb(executed)))
                }
                func position(_ file: String?, _ offset: String?) -> BinlogPosition? {
                    guard let file, let offset = offset.flatMap({ UInt64($0) }) else { return nil }
                    return BinlogPosition(file: file, offset: offset)
                }
                guard
                    let received = position(
                        value("Source_Log_File", "Master_Log_File"),
                        value("Read_Source_Log_Pos", "Read_Master_Log_Pos")),
                    let applied = position(
                        value("Relay_Source_Log_File", "Relay_Master_Log_File"),
                        value("Exec_Source_Log_Pos", "Exec_Master_Log_Pos"))
                else { return nil }
                return (.position(received), .position(applied))
            }
            guard let (received, applied) = try places() else { return nil }
            let threads = row.filter {
                $0.key.hasSuffix("_IO_Running") || $0.key.hasSuffix("_SQL_Running")
            }
            channels.append(
                ReplicaStatus.Channel(
                    name: name,
                    isRunning: threads.count == 2 && threads.values.allSatisfy { $0 == "Yes" },
                    received: received, applied: applied))
        }
        return ReplicaStatus(channels: channels)
    }

    /// The server's status as a replica, a row for each that it replicates from; `nil` when it does
    /// not say.
    func replicaRows() throws -> [[String: String]]? {
        let statements =
            connection.family == .mariadb
            ? ["SHOW ALL SLAVES STATUS"] : ["SHOW REPLICA STATUS", "SHOW SLAVE STATUS"]
        for statement in statements {
            do {
                let cursor = try connection.open(statement)
                let names = cursor.columnNames
                var rows: [[String: String]] = []
                while try cursor.next({ row in
                    var values: [String: String] = [:]
                    for n in names.indices { values[names[n]] = row.string(n) }
                    rows.append(values)
                }) {}
                cursor.finish()
                return rows
            } catch let error where error.code == 1064 {
                continue  // another version's name of the statement
            } catch let error where error.isConnectionLost {
                throw error
            } catch {
                return nil
            }
        }
        return nil
    }
}
