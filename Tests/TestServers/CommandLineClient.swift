/// The servers' own command line client, `mariadb`.
public enum CommandLineClient {
    /// What it left behind.
    public struct Outcome: Sendable {
        /// Its exit code: 0 when all statements succeeded.
        public let status: Int32
        /// One line per row, columns separated by tabs, no headings.
        public let output: String
        /// Its messages, such as `ERROR 1064 (42000) ...`.
        public let errors: String
    }

    /// Runs statements as the user `skein` through a TCP port, such as a proxy's, in plain text.
    /// Blocks its thread.
    public static func run(_ statements: String, port: UInt16) throws -> Outcome {
        try run(
            statements,
            connection: [
                "--host=127.0.0.1", "--protocol=tcp", "--port=\(port)", "--skip-ssl",
                "--user=\(TestServer.user)", "--password=\(TestServer.password)",
            ], database: nil)
    }

    static func run(
        _ statements: String, connection: [String], database: String?
    ) throws -> Outcome {
        var command = ["mariadb", "--no-defaults"] + connection
        command += [
            "--batch", "--raw", "--skip-column-names", "--default-character-set=utf8mb4",
            "--local-infile=1", "--max-allowed-packet=1G", "--binary-mode",
        ]
        if let database { command.append("--database=\(database)") }
        let outcome = try ChildProcess.run(command, input: statements)
        return Outcome(
            status: outcome.status, output: outcome.outputText, errors: outcome.errorText)
    }
}
