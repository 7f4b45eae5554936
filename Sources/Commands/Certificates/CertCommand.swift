internal import API
internal import ArgumentParser
internal import Settings

/// `skein cert`: certificates for workers.
struct CertCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cert", abstract: "Make an authority and certificates for workers.",
        discussion: """
            Keep ca.key away from the workers: whoever has it can make more of them. Give each worker \
            its own certificate and key, and ca.pem.
            """,
        subcommands: [CertAuthorityCommand.self, CertNodeCommand.self])
}

/// `skein cert ca`.
struct CertAuthorityCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ca", abstract: "Make an authority: ca.pem and ca.key.")

    @Option(help: ArgumentHelp("The folder, made if need be.", valueName: "folder"))
    var folder = "certs"

    @Option(help: "For how many days it is valid.")
    var days = 3650

    func validate() throws { try checkDays(days) }

    func run() throws {
        let files = try CertificateAuthority.create(in: folder, days: days)
        printData(files.certificate)
        printData(files.key)
    }
}

/// `skein cert node`.
struct CertNodeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "node", abstract: "Make a worker's certificate: NAME.pem and NAME.key.")

    @Argument(help: "The worker's name.")
    var name: String

    @Option(
        help: ArgumentHelp(
            "A name or address by which others reach it; repeats.", valueName: "host"))
    var host: [String]

    @Option(help: ArgumentHelp("The folder with the authority.", valueName: "folder"))
    var folder = "certs"

    @Option(help: "For how many days it is valid.")
    var days = 825

    func validate() throws { try checkDays(days) }

    func run() throws {
        let files = try CertificateAuthority(folder: folder).issue(
            name: name, hosts: host, days: days)
        if let end = files.earlierEnd {
            warnLine("warning: the certificate ends at \(end) already, with its authority")
        }
        printData(files.certificate)
        printData(files.key)
    }
}

private func checkDays(_ days: Int) throws {
    guard (1...36_500).contains(days) else {
        throw ValidationError("--days must be from 1 to 36500")
    }
}
