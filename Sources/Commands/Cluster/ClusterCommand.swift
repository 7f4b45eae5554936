internal import API
internal import ArgumentParser

/// `skein cluster`: the cluster as a whole.
struct ClusterCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cluster", abstract: "Look at the cluster, and make tokens for it.",
        subcommands: [
            ClusterStatusCommand.self, ClusterTokenCommand.self, ClusterPlaceCommand.self,
            ClusterRehearseCommand.self,
        ])
}

/// `skein cluster status`.
struct ClusterStatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Show the leader, the workers and the store.")

    @OptionGroup var endpoints: EndpointFlags
    @OptionGroup var answers: AnswerFlags
    @OptionGroup var watching: WatchFlags

    func run() async throws {
        try await endpoints.ask { client in
            try await watching.run(answers) {
                try await client.send("GET", "/api/v1/cluster/info")
            } _: { answer, width in
                Self.lines(try answer.value(ClusterAnswer.self), width)
            }
        }
    }

    private static func lines(_ cluster: ClusterAnswer, _ width: Int?) -> [String] {
        let bound = cluster.sourceCount - cluster.unboundSourceCount
        let voters = cluster.voters.map { $0.name + ($0.isLearner ? " (no vote yet)" : "") }
        var lines = [
            "leader   \(cluster.leader ?? "none")",
            "store    "
                + (cluster.isStoreAvailable
                    ? "accepts changes; members: \(voters.joined(separator: ", "))"
                    : "has no majority or does not answer: nothing can be changed, and "
                        + "replication goes on"),
            "sources  \(cluster.sourceCount), \(bound) with a worker",
            "tasks    \(cluster.taskCount)",
            "asked    \(cluster.answeredBy), version \(cluster.version)",
        ]
        if !cluster.unreadableKeys.isEmpty {
            let keys = cluster.unreadableKeys
            let named = keys.prefix(5).joined(separator: ", ") + (keys.count > 5 ? ", .." : "")
            lines.append(
                "warning  what the store says can't be read, since a newer version wrote it or it "
                    + "is damaged: \(keys.count == 1 ? "1 key" : "\(keys.count) keys") (\(named))")
        }
        return lines.map { TextFitting.printable($0) } + [""]
            + WorkerListCommand.table(cluster.workers).lines(width: width)
    }
}

/// `skein cluster token`.
struct ClusterTokenCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "token", abstract: "Make a token for the API.",
        discussion: """
            Prints a new token on standard output, and on standard error the line for the workers' \
            file of tokens: it holds the token's hash only. All workers need the same file.
            """)

    @Option(help: ArgumentHelp("What it may do: read or admin.", valueName: "role"))
    var role: TokenRole

    func run() {
        let token = AccessTokens.random()
        printData(token)
        writeAll(AccessTokens.line(token, role.role) + "\n", to: 2)
    }
}

/// `--role`.
enum TokenRole: String, ExpressibleByArgument, CaseIterable {
    case read, admin

    var role: AccessRole { self == .read ? .read : .admin }
}
