internal import API
internal import ArgumentParser

/// `skein worker`: the workers of the cluster.
struct WorkerCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "worker", abstract: "Look at workers, empty them, forget them.",
        subcommands: [
            WorkerListCommand.self, WorkerDrainCommand.self, WorkerRemoveCommand.self,
        ])
}

/// `skein worker list`.
struct WorkerListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Show the workers, each asked whether it answers.")

    @OptionGroup var endpoints: EndpointFlags
    @OptionGroup var answers: AnswerFlags

    func run() async throws {
        try await endpoints.ask { client in
            let answer = try await client.send("GET", "/api/v1/cluster/workers?with_status=true")
            try answers.show(answer) { width in
                Self.table(try answer.value(ListAnswer<WorkerAnswer>.self).data).lines(width: width)
            }
        }
    }

    /// The workers in rows.
    static func table(_ workers: [WorkerAnswer]) -> TextTable {
        var table = TextTable(["WORKER", "STATE", "ADDRESS", "SOURCES", "RELAYS", "NOTE"])
        for worker in workers {
            var notes = worker.isLeader ? ["leads"] : []
            if let error = worker.errorMsg { notes.append(error) }
            table.add([
                worker.name, worker.state, worker.addr ?? "-",
                "\(worker.boundSourceNameList.count)", "\(worker.relaySourceNameList.count)",
                notes.joined(separator: "; "),
            ])
        }
        return table
    }
}

/// `skein worker drain`.
struct WorkerDrainCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "drain", abstract: "Move a worker's sources to others, and give it none.")

    @Argument(help: "The worker.")
    var worker: String

    @Flag(help: "Let it have sources again.")
    var end = false

    @OptionGroup var endpoints: EndpointFlags
    @OptionGroup var answers: AnswerFlags

    func run() async throws {
        try await endpoints.ask { client in
            try answers.showDone(
                await client.send(
                    end ? "DELETE" : "POST", "/api/v1/cluster/workers/\(pathPart(worker))/drain"))
        }
    }
}

/// `skein worker remove`.
struct WorkerRemoveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove", abstract: "Forget a worker that is gone for good.",
        discussion: "Its vote goes to another worker at once, not after the voter timeout.")

    @Argument(help: "The worker.")
    var worker: String

    @OptionGroup var endpoints: EndpointFlags
    @OptionGroup var answers: AnswerFlags

    func run() async throws {
        try await endpoints.ask { client in
            try answers.showDone(
                await client.send("DELETE", "/api/v1/cluster/workers/\(pathPart(worker))"))
        }
    }
}
