internal import API
internal import Checkpoint
internal import Cluster
internal import DumpFiles
internal import Metadata
internal import MySQLClient
internal import Settings
internal import Worker

extension OperatorError {
    /// What an operator is told about an error.
    init(_ error: any Error) {
        switch error {
        case let error as OperatorError: self = error
        case let error as MySQLError: self.init(server: error)
        case let error as CheckpointError: self.init(checkpoint: error)
        case let error as UndecidableStatement:
            self.init(
                code: "ddl.decision", message: error.description, recovery: .never,
                action: "skein task ddl list shows the statement that a subtask has stopped at")
        case let error as UnsettableShape:
            self.init(
                code: "schema.shape", message: error.description, recovery: .never,
                action: error.remedy)
        case let error as CheckpointRefusal:
            self.init(
                code: "request.invalid", message: error.message, recovery: .never,
                action: error.remedy ?? "", status: .usage)
        case let error as DumpFileError:
            self.init(
                code: "dump.files", message: error.reason, place: error.place, recovery: .never,
                action: "what was loaded stays; docs/dump.md says which dumps are read")
        case let error as PrecheckFailure: self.init(precheck: error)
        case let error as SettingsError:
            self.init(
                code: "settings.invalid", message: error.message, place: error.place,
                recovery: .never, action: "correct the setting; nothing was touched",
                status: .usage)
        case let error as URLError:
            self.init(
                code: "settings.url", message: error.description, recovery: .never,
                action: "write it as mysql://user@host:port", status: .usage)
        case let error as UnknownColumnType:
            self.init(
                code: "schema.unknown-type",
                message: "a column has the type \(error.type), which is not known here",
                place: "\(error.table), column \(error.column)", recovery: .never,
                action: "exclude the table (--exclude), or change the column's type")
        case let error as ClusterError:
            self.init(
                code: error.code, message: error.description, recovery: .never,
                action: Self.action(error))
        case let error as MetadataError:
            self.init(
                code: "cluster.store", message: error.description,
                recovery: error.isTransient ? .later : .never,
                action: error.code == .process
                    ? "install etcd-server 3.4 or later"
                    : "see that most of the workers that keep the store run and reach each other "
                        + "(skein cluster status), or the etcd that --etcd-endpoints names")
        case let error as APIProblem: self.init(api: error)
        case let error as APIClientError: self.init(client: error)
        case is CancellationError:
            self.init(
                code: "interrupted", message: "it was interrupted", recovery: .restart, action: "")
        default:
            if let known = OperatorError(engine: error) {
                self = known
                return
            }
            self.init(
                code: "migration.stopped", message: "\(error)", recovery: .never,
                action: "see the message; started again, the same command goes on from its "
                    + "checkpoint")
        }
    }

    /// What to do, where the error's own words don't say it.
    private static func action(_ error: ClusterError) -> String {
        switch error {
        case .nameInUse, .otherCluster, .storeIsEmpty, .otherKey, .nobodyToJoin: ""
        case .folderInUse: "end the other process, or give this worker a folder of its own"
        case .otherName: "start it under that name, or give an empty data folder"
        case .folder: "give it room and rights there, or another data folder"
        case .unreadable:
            "run a version of Skein that is at least as new as the newest that was in the cluster"
        case .address: "choose another address by --listen, or end who listens there"
        }
    }

    private init(precheck error: PrecheckFailure) {
        let refusing = error.results.filter(\.refuses)
        self.init(
            code: "precheck.refused",
            message: refusing.count == 1
                ? "the pre-check \(refusing[0].name) refuses the migration"
                : "\(refusing.count) pre-checks refuse the migration: "
                    + refusing.map(\.name).joined(separator: ", "),
            recovery: .never,
            action: "follow the remedies above, or accept the risk with "
                + refusing.map { "--ignore-check \($0.name)" }.joined(separator: " "),
            status: .refused)
    }

    private init(checkpoint error: CheckpointError) {
        switch error {
        case .fenced(let detail):
            self.init(
                code: "checkpoint.fenced",
                message: "another run has taken this migration over (\(detail)); nothing of this "
                    + "one takes effect any more",
                recovery: .never,
                action: "if nobody else should run it, look for a second skein with the same "
                    + "target, name and source", status: .fenced)
        case .missing(let detail):
            self.init(
                code: "checkpoint.missing",
                message: "the target holds no checkpoint of this migration: \(detail)",
                recovery: .never,
                action: "check --target, --name, --source-id and --meta-schema; to begin anew, "
                    + "use --fresh")
        case .unusable(let detail):
            self.init(
                code: "checkpoint.unusable", message: "the meta schema can't be used: \(detail)",
                recovery: .never, action: "choose another schema by --meta-schema, or repair it")
        case .differentServers(let detail):
            self.init(
                code: "checkpoint.servers",
                message: "connections of one run have reached different servers (\(detail)); one "
                    + "run writes to one server",
                recovery: .later,
                action: "name one server as the target, not an address that leads to several; if "
                    + "that is settled, or was a restart, begin again")
        case .inconsistent(let detail):
            self.init(
                code: "checkpoint.inconsistent",
                message: "the stored checkpoint contradicts itself: \(detail)", recovery: .never,
                action: "restore the meta schema together with the data, or begin anew with "
                    + "--fresh; please report how it came to this")
        }
    }
}
