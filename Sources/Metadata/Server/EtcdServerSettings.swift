/// How a worker's own member of the store runs.
public struct EtcdServerSettings: Sendable {
    /// The member's name: the worker's.
    public var name: String
    /// The folder of the member's data and log; made when it does not exist.
    public var folder: String
    /// Where it accepts clients, and what clients are told.
    public var clientEndpoint: EtcdEndpoint
    /// Where it talks to other members, and what these are told.
    public var peerEndpoint: EtcdEndpoint
    /// The addresses to listen on for clients, where they differ from what is told to others.
    public var clientListeners: [EtcdEndpoint]
    /// The same for other members.
    public var peerListeners: [EtcdEndpoint]
    /// The certificates for clients and for members; nil: neither is encrypted.
    public var tls: EtcdTLS?
    /// Tells clusters apart that might reach each other by mistake.
    public var token = "skein"
    /// The program.
    public var program = debianProgram
    static let debianProgram = "/usr/bin/etcd"
    /// Milliseconds between the leader's heartbeats.
    public var heartbeatMilliseconds = 100
    /// Milliseconds without a heartbeat until members elect another leader.
    public var electionMilliseconds = 1000
    /// How much the store may hold. Desired state and positions take a few megabytes.
    public var quotaBytes: Int64 = 2 << 30
    /// How long changes are kept for watches that resume, as etcd writes durations.
    public var historyRetention = "1h"
    /// How many entries the log keeps in memory until it is folded into a snapshot.
    public var snapshotCount = 10_000
    /// Further options of the program; they win.
    public var options: [String] = []

    /// How often it is looked at.
    public var probeInterval: Duration = .seconds(1)
    /// How long it may take to answer.
    public var probeTimeout: Duration = .seconds(2)
    /// How many times in a row it may not answer before it is killed and started again.
    public var probeMisses = 3
    /// How long it may take from its start to its first answer: reading the log of a long absence.
    public var startTimeout: Duration = .seconds(120)
    /// How long it may take to end when it is asked to.
    public var stopTimeout: Duration = .seconds(5)

    /// Describes a member that listens where it says that it does.
    public init(
        name: String, folder: String, clientEndpoint: EtcdEndpoint, peerEndpoint: EtcdEndpoint
    ) {
        self.name = name
        self.folder = folder
        self.clientEndpoint = clientEndpoint
        self.peerEndpoint = peerEndpoint
        clientListeners = [clientEndpoint]
        peerListeners = [peerEndpoint]
    }

    /// Where the store keeps its data. It is made by us, as etcd wants it: for its user alone.
    var dataFolder: String { folder + "/data" }
    /// What the program writes.
    var logFile: String { folder + "/etcd.log" }
    /// What other members are told.
    public var peerURL: String { peerEndpoint.url(tls: tls != nil) }

    /// The program's options.
    ///
    /// - Parameter members: who is in the cluster, this one included. Both are only used by a member
    ///   without data.
    func arguments(_ formation: EtcdFormation) -> [String] {
        let isEncrypted = tls != nil
        func urls(_ endpoints: [EtcdEndpoint]) -> String {
            endpoints.map { $0.url(tls: isEncrypted) }.joined(separator: ",")
        }
        var arguments = [
            "--name=\(name)", "--data-dir=\(dataFolder)",
            "--listen-client-urls=\(urls(clientListeners))",
            "--advertise-client-urls=\(urls([clientEndpoint]))",
            "--listen-peer-urls=\(urls(peerListeners))",
            "--initial-advertise-peer-urls=\(peerURL)",
            "--initial-cluster-token=\(token)",
            "--heartbeat-interval=\(heartbeatMilliseconds)",
            "--election-timeout=\(electionMilliseconds)",
            // A member that comes back from a cut network does not depose the leader.
            "--pre-vote=true",
            "--auto-compaction-mode=periodic", "--auto-compaction-retention=\(historyRetention)",
            "--quota-backend-bytes=\(quotaBytes)", "--snapshot-count=\(snapshotCount)",
            "--logger=zap", "--log-outputs=stderr", "--log-level=warn",
        ]
        switch formation {
        case .alone:
            arguments += ["--initial-cluster-state=new", "--initial-cluster=\(name)=\(peerURL)"]
        case .joining(let members):
            arguments += [
                "--initial-cluster-state=existing", "--initial-cluster=\(initialCluster(members))",
            ]
        case .existing:
            // Without its data it finds nobody to join, and ends; else these are not looked at.
            arguments += [
                "--initial-cluster-state=existing", "--initial-cluster=\(name)=\(peerURL)",
            ]
        }
        if let tls {
            for prefix in ["", "peer-"] {
                arguments += [
                    "--\(prefix)cert-file=\(tls.certificateFile)",
                    "--\(prefix)key-file=\(tls.keyFile)",
                    "--\(prefix)trusted-ca-file=\(tls.authorityFile)",
                    "--\(prefix)client-cert-auth=true",
                ]
            }
        }
        return arguments + options
    }

    /// The members as etcd wants them: one that has not started has no name yet, and that is us.
    private func initialCluster(_ members: [Member]) -> String {
        members.flatMap { member in
            member.peerURLs.map { url in
                let isOurs = url == peerURL
                return "\(isOurs ? name : member.name)=\(url)"
            }
        }.joined(separator: ",")
    }
}

/// What a member does that is started.
public enum EtcdFormation: Sendable {
    /// Makes a new cluster of its own.
    case alone
    /// Joins a cluster that has added it: these are its members, this one included.
    case joining([Member])
    /// Goes on with the data that it has.
    case existing
}
