internal import ArgumentParser
internal import Cluster

/// `skein cluster place`: how long placement takes, for `make bench`. Nothing is asked or changed.
struct ClusterPlaceCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "place", abstract: "Measure placement.", shouldDisplay: false)

    @Option(help: "How many workers there are.")
    var workers = 1000

    @Option(help: "How many sources there are.")
    var sources = 10_000

    /// Prints, in milliseconds, what it takes to place all, to balance after workers have come, and to
    /// see that nothing is to be done.
    func run() throws {
        let all = (0..<workers).map { PlacedWorker(name: "worker-\($0)") }
        let wanted = (0..<sources).map { PlacedSource(name: "source-\($0)") }
        var bindings: [String: String] = [:]
        for present in [all.dropLast(workers / 10), all[...], all[...]] {
            let begun = ContinuousClock.now
            bindings = place(sources: wanted, workers: Array(present), bindings: bindings)
            let took = begun.duration(to: .now)
            printData(
                "\(Double(took.components.attoseconds) / 1e15 + Double(took.components.seconds) * 1e3)"
            )
        }
    }
}
