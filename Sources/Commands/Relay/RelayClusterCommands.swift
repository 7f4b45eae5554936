internal import API
internal import ArgumentParser
internal import Worker

/// `skein relay start`.
struct RelayStartCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "start",
        abstract: "Keep a source's binlog on its worker, or a copy of it on another.")

    @Argument(help: "The source.")
    var source: String

    @Option(help: "A worker that keeps a copy, beside the one that runs the source.")
    var worker: String?

    @OptionGroup var endpoints: EndpointFlags
    @OptionGroup var answers: AnswerFlags

    func run() async throws {
        try await endpoints.ask { client in
            try answers.showDone(
                await client.send(
                    "POST", "/api/v1/sources/\(pathPart(source))/relay/enable",
                    body: .json(RelayRequest(workerName: worker))))
        }
    }
}

/// `skein relay stop`.
struct RelayStopCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stop", abstract: "Keep no more of a source's binlog, or no copy on a worker.")

    @Argument(help: "The source.")
    var source: String

    @Option(help: "A worker that keeps a copy, beside the one that runs the source.")
    var worker: String?

    @OptionGroup var endpoints: EndpointFlags
    @OptionGroup var answers: AnswerFlags

    func run() async throws {
        try await endpoints.ask { client in
            try answers.showDone(
                await client.send(
                    "POST", "/api/v1/sources/\(pathPart(source))/relay/disable",
                    body: .json(RelayRequest(workerName: worker))))
        }
    }
}

/// Refuses a command that is for a folder and for the cluster, or for neither.
func checkRelayPlace(_ folder: String?, _ source: String?) throws {
    if (folder == nil) == (source == nil) {
        throw ValidationError("say where: the folder of a relay log, or --source NAME")
    }
}

extension RelayStatusCommand {
    /// Shows what the workers say of a source's relay logs.
    func showRelay(of source: String) async throws {
        try await endpoints.ask { client in
            let answer = try await client.send("GET", "/api/v1/sources/\(pathPart(source))/status")
            if output == .json { return printData(String(decoding: answer.body, as: UTF8.self)) }
            var table = TextTable(["WORKER", "RUNS IT", "STATE", "SIZE", "LIMIT", "POSITION"])
            for it in try answer.value(ListAnswer<SourceStatusAnswer>.self).data {
                let relay = it.relay
                table.add([
                    it.workerName, it.isBound ? "yes" : "no",
                    relay?.state ?? (it.errorMsg == nil ? "none" : "unknown"),
                    relay.map { Wording.bytes(Double($0.bytes)) } ?? "-",
                    relay?.limitBytes.map { Wording.bytes(Double($0)) } ?? "-",
                    it.errorMsg ?? relay?.reason ?? relay?.position ?? "-",
                ])
            }
            for line in table.lines(width: Terminal.outputWidth) { printData(line) }
        }
    }
}

extension RelayPurgeCommand {
    /// Lets a source's worker remove files.
    func purgeRelay(of source: String, before file: String) async throws {
        try await endpoints.ask { client in
            let answer = try await client.send(
                "POST", "/api/v1/sources/\(pathPart(source))/relay/purge",
                body: .json(RelayPurgeRequest(relayBinlogName: file, force: force)))
            if output == .json { return printData(String(decoding: answer.body, as: UTF8.self)) }
            let done = try answer.value(DoneAnswer.self)
            let freed = Wording.bytes(Double(done.freedBytes ?? 0))
            printData(TextFitting.printable("\(done.message); \(freed) freed"))
        }
    }
}
