internal import MySQLClient

extension OperatorError {
    /// What an operator is told about an error of a server or of the connection to it. The codes
    /// group the servers' numbers by what a person does about them.
    init(server error: MySQLError) {
        let place = "\(error.server), ERROR \(error.code) (\(error.sqlState))"
        func make(
            _ code: String, _ message: String, _ recovery: Recovery, _ action: String
        ) -> OperatorError {
            OperatorError(
                code: code, message: "\(message): \(error.message)", place: place,
                recovery: recovery, action: action)
        }
        switch error.code {
        case 1045, 1698, 1251, 1130, 3118, 3879, 1862, 1820:
            self = make(
                "server.denied", "the server refuses the login", .never,
                "check user, host and password (SKEIN_SOURCE_PASSWORD, SKEIN_TARGET_PASSWORD, "
                    + "--source-password-file, --target-password-file)")
        case 1044, 1142, 1143, 1227, 1370, 1410:
            self = make(
                "server.privilege", "a privilege is missing", .never,
                "grant it; --dry-run lists every privilege that is needed")
        case 2026:
            self = make(
                "server.tls", "no TLS connection could be made", .never,
                "check the TLS mode and the CA file (--source-tls, --source-tls-ca, ..)")
        case 2005:
            self = make(
                "server.unknown-host", "the host name can't be resolved", .later,
                "check the host name")
        case 2002, 2003:
            self = make(
                "server.unreachable", "the server can't be reached", .later,
                "check host, port, firewall, and that the server runs")
        case 2049, 2054, 2058, 2059, 2061:
            self = make(
                "server.authentication", "the authentication method can't be used", .never,
                "give the user another authentication plugin, or use TLS")
        case 1236, 1373:
            self = make(
                "source.binlog", "the source can't send its binlog from the checkpoint", .never,
                "if the binlog was purged, what it held is lost for this migration: begin anew "
                    + "with --fresh, after a longer retention is set")
        case 1040, 1203, 1226, 1129:
            self = make(
                "server.busy", "the server takes no more connections", .later,
                "raise max_connections, or use fewer --lanes and --readers")
        case 1021, 1041, 1037, 1038, 1114, 1878, 1030:
            self = make(
                "server.full", "disk or memory of the server is full", .later,
                "make room; it then goes on")
        case 1290, 1792, 1836, 3100, 1047:
            self = make(
                "server.read-only", "the server accepts no writes now", .later,
                "make it writable, or point --target to the writable server")
        case 1153:
            self = make(
                "server.packet", "a row is larger than the server accepts", .never,
                "raise max_allowed_packet of the target at least to the source's")
        case 1205, 1213:
            self = make(
                "server.lock", "locks of other sessions stand in the way", .restart,
                "look for long transactions on that server")
        case _ where error.isConnectionLost:
            self = make("server.lost", "the connection was lost", .restart, "see the server's log")
        default:
            self = make(
                "server.error", "a statement failed", error.retry == .no ? .never : .restart,
                "see the server's message")
        }
    }
}
