import Foundation
import Glibc

/// A data folder with the users of tests in it, made once per machine and server version; every
/// server starts from a copy. Making one takes 2 to 5 seconds, copying it a third of one.
enum ServerTemplate {
    /// Grows when what `make` does changes.
    private static let format = 1

    private static let mariadb = Result { try prepare(.mariadb) }
    private static let mysql = Result { try prepare(.mysql) }

    /// Copies the template to a folder that does not exist yet.
    static func copy(_ family: TestServer.Family, to folder: String) throws {
        let template = try (family == .mariadb ? mariadb : mysql).get()
        // Logs are mostly zeros when they are new.
        let outcome = try ChildProcess.run(
            ["cp", "-a", "--reflink=auto", "--sparse=always", template, folder])
        guard outcome.status == 0 else { throw TestServerError("cp: \(outcome.errorText)") }
    }

    private static func prepare(_ family: TestServer.Family) throws -> String {
        let parent = try Repository.cache.get() + "/templates"
        try FileManager.default.createDirectory(
            atPath: parent, withIntermediateDirectories: true)
        let template = "\(parent)/\(family.rawValue)-\(try family.version.get())-\(format)"
        // Several test processes may want it at once.
        let lock = open(template + ".lock", O_CREAT | O_RDWR | O_CLOEXEC, 0o666)
        guard lock >= 0 else { throw TestServerError.system("open \(template).lock", errno) }
        defer { close(lock) }
        flock(lock, LOCK_EX)
        if access(template, F_OK) == 0 { return template }

        let folder = try RunFolder.shared.newFolder("template-\(family.rawValue)")
        let data = folder + "/data"
        try create(family, data: data)
        try addUsers(family, folder: folder, data: data)
        // Every copy makes itself an identity of its own.
        unlink(data + "/auto.cnf")
        let unfinished = template + ".partial"
        _ = try ChildProcess.run(["rm", "-rf", unfinished])
        let outcome = try ChildProcess.run(["cp", "-a", "--sparse=always", data, unfinished])
        guard outcome.status == 0 else { throw TestServerError("cp: \(outcome.errorText)") }
        guard rename(unfinished, template) == 0 else {
            throw TestServerError.system("rename \(unfinished)", errno)
        }
        _ = try ChildProcess.run(["rm", "-rf", folder])
        return template
    }

    private static func create(_ family: TestServer.Family, data: String) throws {
        let command: [String]
        switch family {
        case .mariadb:
            command = [
                "mariadb-install-db", "--no-defaults", "--datadir=\(data)",
                "--auth-root-authentication-method=normal", "--skip-test-db",
            ]
        case .mysql:
            command =
                try family.command() + [
                    "--initialize-insecure", "--datadir=\(data)", "--mysqlx=OFF",
                ]
        }
        let outcome = try ChildProcess.run(command, as: .serverUser)
        guard outcome.status == 0 else {
            throw TestServerError("\(command[0]): \(outcome.outputText)\(outcome.errorText)")
        }
    }

    /// Runs the server once, without a binary log: the users must not be a part of it.
    private static func addUsers(
        _ family: TestServer.Family, folder: String, data: String
    ) throws {
        var statements = [
            "CREATE USER IF NOT EXISTS 'root'@'127.0.0.1'",
            "GRANT ALL PRIVILEGES ON *.* TO 'root'@'127.0.0.1' WITH GRANT OPTION",
        ]
        for host in ["127.0.0.1", "localhost", "%"] {
            let user = "'\(TestServer.user)'@'\(host)'"
            statements += [
                "CREATE USER IF NOT EXISTS \(user) IDENTIFIED BY '\(TestServer.password)'",
                "GRANT ALL PRIVILEGES ON *.* TO \(user) WITH GRANT OPTION",
            ]
        }
        let file = folder + "/users.sql"
        let text = statements.map { $0 + ";\n" }.joined()
        try text.write(toFile: file, atomically: false, encoding: .utf8)
        let socket = folder + "/socket"
        let output = open(folder + "/output", O_CREAT | O_RDWR | O_CLOEXEC, 0o644)
        defer { close(output) }
        let pid = try ChildProcess.spawn(
            try family.command() + [
                "--datadir=\(data)", "--socket=\(socket)", "--skip-networking",
                "--skip-log-bin", "--init-file=\(file)", "--performance-schema=OFF",
            ], as: .serverUser, input: output, output: output, errors: output)
        RunFolder.shared.started(pid)
        defer { RunFolder.shared.ended(pid) }
        // It accepts connections once the init file is done.
        var ended: Int32?
        while ended == nil, !Loopback.greets(socket: socket) {
            usleep(20_000)
            ended = ChildProcess.ended(pid)
        }
        if ended == nil {
            kill(pid, SIGTERM)
            ended = ChildProcess.wait(for: pid)
        }
        // A statement that fails ends the file, not the server.
        let log = try String(contentsOfFile: folder + "/output", encoding: .utf8)
        guard ended == 0, !log.contains("ERROR") else {
            throw TestServerError("the template's server ended with \(ended ?? 0): \(log)")
        }
    }
}
