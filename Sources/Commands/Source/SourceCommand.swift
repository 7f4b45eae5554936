internal import API
internal import ArgumentParser
internal import Settings

/// `skein source`: the sources of the cluster.
struct SourceCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "source", abstract: "Add, look at, change, move and remove sources.",
        subcommands: [
            SourceAddCommand.self, SourceListCommand.self, SourceShowCommand.self,
            SourceUpdateCommand.self, SourceRemoveCommand.self, SourceTransferCommand.self,
            SourceEnableCommand.self, SourceDisableCommand.self,
        ])
}

/// `skein source list`.
struct SourceListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Show the sources, and where they run.")

    @OptionGroup var endpoints: EndpointFlags
    @OptionGroup var answers: AnswerFlags
    @OptionGroup var watching: WatchFlags

    func run() async throws {
        try await endpoints.ask { client in
            try await watching.run(answers) {
                try await client.send("GET", "/api/v1/sources")
            } _: { answer, width in
                var table = TextTable(["SOURCE", "ENABLED", "WORKER", "EPOCH", "RELAY", "TASKS"])
                for source in try answer.value(ListAnswer<SourceAnswer>.self).data {
                    table.add([
                        source.sourceName, source.enable ? "yes" : "no", source.worker ?? "-",
                        source.epoch.map { "\($0)" } ?? "-",
                        source.relayWorkers.isEmpty
                            ? "-" : source.relayWorkers.joined(separator: ","),
                        source.taskNameList.joined(separator: ","),
                    ])
                }
                return table.lines(width: width)
            }
        }
    }
}

/// `skein source show`.
struct SourceShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Show a source's settings as a file that `source update` takes.",
        discussion: "The password is not in it; an update without one leaves it as it is.")

    @Argument(help: "The source.")
    var source: String

    @OptionGroup var endpoints: EndpointFlags
    @OptionGroup var answers: AnswerFlags

    func run() async throws {
        try await endpoints.ask { client in
            let answer = try await client.send("GET", "/api/v1/sources/\(pathPart(source))")
            try answers.show(answer) { _ in
                let source = try answer.value(SourceAnswer.self)
                let place = source.worker.map { "bound to \($0), epoch \(source.epoch ?? 0)" }
                return ["# \(place ?? "without a worker"); revision \(source.revision)"]
                    + (source.settings?.yamlLines ?? [])
            }
        }
    }
}
