internal import ArgumentParser
internal import Glibc
internal import MySQLClient
internal import MySQLCore
internal import Peer
internal import Relay
internal import Runtime
internal import Settings
internal import Stream

/// `skein relay pull`: fetches a source's binlog up to where it is now. For benchmarks: it shows
/// what the writer costs by itself, and what more readers add.
struct RelayPullCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pull", abstract: "Fetch a source's binlog into a relay log, and end.",
        shouldDisplay: false)

    @Argument(help: "The relay log's folder.")
    var folder: String

    @Option(help: ArgumentHelp("The source server.", valueName: "mysql://user@host:port"))
    var source: String

    @Option(help: ArgumentHelp("The file to begin with.", valueName: "file"))
    var from: String

    @Option(help: ArgumentHelp("Readers of all events beside the writer.", valueName: "n"))
    var readers = 0

    @Flag(help: "Readers only, over a direct connection: write no files.")
    var noFiles = false

    @Option(help: ArgumentHelp("Serve it to other processes, for ever.", valueName: "address"))
    var serve: String?

    @Option(help: ArgumentHelp("Readers only, of a log served there.", valueName: "address"))
    var peer: String?

    private func address(_ text: String) throws -> PeerAddress {
        guard let address = PeerAddress(text) else {
            throw SettingsError("an address must look like 127.0.0.1:port")
        }
        return address
    }

    func run() async throws {
        guard var options = try? ConnectionOptions(url: source) else {
            throw SettingsError("--source must look like mysql://user@host:port")
        }
        options.password = try PasswordSource.standard.password(.source, options, nil)
        let server = options
        let (end, name) = try await withThread("control") {
            let session = SourceSession(try Connection(server))
            return (try session.currentPosition(), try session.serverName())
        }
        let start = BinlogPosition(file: from, offset: 4)
        let began = monotonicNanoseconds()
        try await withThrowingTaskGroup(of: Bool.self) { group in
            let events: any EventSource
            if let peer {
                let remote = try RemoteSource(
                    try address(peer), source: "pull", server: name, security: .plaintext)
                group.addTask {
                    try await remote.run()
                    return false
                }
                events = remote
            } else if noFiles {
                let direct = DirectSource(options, serverID: .random(in: 1...0x3FFF_FFFF))
                group.addTask {
                    try await direct.run()
                    return false
                }
                events = direct
            } else {
                var relay = RelayOptions(
                    path: folder, source: options, serverID: .random(in: 1...0x0FFF_FFFF))
                relay.start = .from(start, of: name, gtids: .none)
                let log = try RelayLog(relay)
                group.addTask {
                    try await log.run()
                    return false
                }
                if let serve {
                    let server = try PeerServer(try address(serve), security: .plaintext)
                    server.serve(log, as: "pull")
                    group.addTask {
                        try await log.ready()
                        try await server.run()
                        return false
                    }
                } else if readers == 0 {
                    group.addTask {
                        try await log.ready()
                        while log.status.position.map({ $0 < end }) ?? true {
                            try await Task.sleep(for: .milliseconds(20))
                        }
                        return true
                    }
                }
                events = log
            }
            for _ in 0..<readers {
                let thread = ThreadExecutor(name: "reader")
                group.addTask(executorPreference: thread) {
                    let reader = try await events.reader(from: .position(start, of: name))
                    defer { reader.close() }
                    while true {
                        let chunk = try await reader.next()
                        let at = BinlogPosition(file: chunk.file, offset: chunk.range.end)
                        if at >= end { return true }
                    }
                }
            }
            var left = max(readers, 1)
            while left > 0, let isDone = try await group.next() { left -= isDone ? 1 : 0 }
            group.cancelAll()
            while let _ = try? await group.next() {}
        }
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        func seconds(_ time: timeval) -> Double {
            Double(time.tv_sec) + Double(time.tv_usec) / 1_000_000
        }
        let cpu = seconds(usage.ru_utime) + seconds(usage.ru_stime)
        let wall = Double(monotonicNanoseconds() - began) / 1_000_000_000
        printData("cpu \(cpu) wall \(wall)")
    }
}
