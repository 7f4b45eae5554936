internal import MySQLClient
internal import MySQLCore

extension Prechecks {
    /// What the two servers are.
    static let serverChecks: [Check] = [
        Check("source-version") { context in
            let server = context.source
            if server.isTiDB {
                return .error(
                    "the source is TiDB, which writes no MySQL binlog",
                    remedy: "use a MySQL or MariaDB server as source")
            }
            return supported(server)
        },
        Check("target-version") { context in
            let server = context.target
            if server.isTiDB {
                return .warning(
                    "the target is \(server.title), which is not tested yet",
                    remedy: "verify with skein verify before relying on it")
            }
            return supported(server)
        },
        Check("same-server") { context in
            let (a, b) = (context.source, context.target)
            let identity = ["server_uuid", "server_uid", "hostname", "port", "datadir"]
            let isSame =
                if let one = a.variable("server_uuid"), let other = b.variable("server_uuid") {
                    one == other
                } else {
                    a.version == b.version
                        && identity.allSatisfy { a.variables[$0] == b.variables[$0] }
                }
            guard isSame else { return .ok("source and target are two servers") }
            return .error(
                "source and target are the same server: it would read its own writes",
                remedy: "point --target to another server")
        },
    ]

    private static func supported(_ server: ServerFacts) -> Check.Finding {
        let v = server.version
        let isOldEnough = server.isMariaDB ? v.isAtLeast(10, 4) : v.isAtLeast(5, 7)
        let range = server.isMariaDB ? "MariaDB 10.4 to 12" : "MySQL 5.7 to 9"
        guard isOldEnough else {
            return .error(
                "\(server.title) is older than what is supported (\(range))",
                remedy: "upgrade the server, or migrate from a newer replica of it")
        }
        guard v.major <= (server.isMariaDB ? 12 : 9) else {
            return .warning(
                "\(server.title) is newer than what was tested (\(range))",
                remedy: "look for a newer version of skein; verify with skein verify")
        }
        return .ok(server.title)
    }
}
