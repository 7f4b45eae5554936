import Glibc

extension TestServer {
    /// The two families of servers that Skein knows.
    public enum Family: String, Sendable, CaseIterable {
        /// The MariaDB server that the machine has installed.
        case mariadb
        /// MySQL 9, brought into the cache by `scripts/mysql9`.
        case mysql
    }

    /// Whether tests with servers of this family can run here. Brings MySQL 9 when that was not
    /// tried yet; where it cannot be had this says so on standard error, once.
    public static func isAvailable(_ family: Family) -> Bool {
        switch family.version {
        case .success: return true
        case .failure: return false
        }
    }

    /// The server's version, as it names itself.
    public static func version(of family: Family) throws -> String { try family.version.get() }
}

extension TestServer.Family {
    typealias Version = Result<String, TestServerError>

    private static let mariadbVersion: Version = attempt {
        let outcome = try ChildProcess.run(["mariadbd", "--no-defaults", "--version"])
        // mariadbd  Ver 10.11.19-MariaDB-0+deb12u1 for debian-linux-gnu on x86_64 (Debian 12)
        let words = outcome.outputText.split(separator: " ")
        guard outcome.status == 0, words.count > 2 else {
            throw TestServerError("no mariadbd: run scripts/setup test")
        }
        return String(words[2])
    }

    private static let mysqlVersion: Version = attempt {
        do {
            if let wanted = getenv("SKEIN_MYSQL9"), String(cString: wanted) == "unavailable" {
                throw TestServerError("SKEIN_MYSQL9=unavailable")
            }
            let folder = try Repository.cache.get() + "/mysql9"
            let fetch = try ChildProcess.run(
                [Repository.folder + "/scripts/mysql9", folder, "fetch"])
            guard fetch.status == 0 else { throw TestServerError(fetch.errorText) }
            let outcome = try ChildProcess.run([folder + "/mysqld", "--version"])
            // /path/to/mysqld  Ver 9.7.4-2 for Linux on x86_64 ((Debian))
            let words = outcome.outputText.split(separator: " ")
            guard let place = words.firstIndex(of: "Ver"), place + 1 < words.count else {
                throw TestServerError("mysqld --version: \(outcome.errorText)")
            }
            return String(words[place + 1])
        } catch {
            let message = "*** TESTS WITH MYSQL 9 ARE SKIPPED: \(error)\n"
            _ = write(STDERR_FILENO, message, message.utf8.count)
            throw error
        }
    }

    private static func attempt(_ body: () throws -> String) -> Version {
        do {
            return .success(try body())
        } catch let error as TestServerError {
            return .failure(error)
        } catch {
            return .failure(TestServerError("\(error)"))
        }
    }

    var version: Version {
        switch self {
        case .mariadb: Self.mariadbVersion
        case .mysql: Self.mysqlVersion
        }
    }

    /// The command that runs the server, up to the options.
    func command() throws -> [String] {
        switch self {
        case .mariadb: ["mariadbd", "--no-defaults"]
        case .mysql: [try Repository.cache.get() + "/mysql9/mysqld"]
        }
    }

    /// Options of every server: small, alone, with a binary log.
    func options(durable: Bool) -> [String] {
        var options = [
            "--bind-address=127.0.0.1", "--skip-name-resolve", "--character-set-server=utf8mb4",
            "--innodb-buffer-pool-size=64M", "--performance-schema=OFF",
            "--max-allowed-packet=256M", "--local-infile=ON", "--log-bin=bin",
            // A handshake may be held up for long on a busy machine.
            "--connect-timeout=600", "--max-connections=1000",
            "--innodb-flush-log-at-trx-commit=\(durable ? 1 : 2)",
            "--sync-binlog=\(durable ? 1 : 0)",
        ]
        switch self {
        case .mariadb:
            options += [
                "--binlog-format=ROW", "--binlog-row-image=FULL", "--gtid-strict-mode=ON",
                "--log-slave-updates=ON",
            ]
        case .mysql:
            options += ["--gtid-mode=ON", "--enforce-gtid-consistency=ON", "--mysqlx=OFF"]
        }
        return options
    }
}
