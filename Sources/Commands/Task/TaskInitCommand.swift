internal import ArgumentParser
internal import Glibc
internal import MySQLClient
internal import Settings

/// `skein task init`.
struct TaskInitCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "init", abstract: "Write a task's first file, with comments.",
        discussion: """
            What no flag says is asked for on a terminal. Without --file the text goes to standard \
            output. A file that exists is left alone.
            """)

    @Option(help: ArgumentHelp("The task's name.", valueName: "name"))
    var name: String?

    @Option(help: ArgumentHelp("The target server.", valueName: "mysql://user@host:port"))
    var target: String?

    @Option(help: ArgumentHelp("A source, as the cluster knows it; repeats.", valueName: "name"))
    var source: [String] = []

    @Option(help: ArgumentHelp("Tables to take; repeats.", valueName: "schema.table"))
    var tables: [String] = []

    @Option(help: ArgumentHelp("Where the text goes.", valueName: "path"))
    var file: String?

    func run() throws {
        let target = try answer(target, "--target", "The target, as mysql://user@host:port")
        let options: ConnectionOptions
        do throws(URLError) {
            options = try ConnectionOptions(url: target)
        } catch {
            throw SettingsError("--target: \(error)")
        }
        let template = try TaskTemplate(
            name: answer(name, "--name", "The task's name"), target: options,
            sources: answers(source, "--source", "The sources' names"),
            tables: answers(tables, "--tables", "The tables, as shop.* or shop.orders"))
        guard let file else {
            writeAll(template.text, to: STDOUT_FILENO)
            return
        }
        try write(template.text, file)
    }

    private func answer(_ given: String?, _ flag: String, _ question: String) throws -> String {
        if let given { return given }
        guard Prompt.isPossible else { throw ValidationError("\(flag) is missing") }
        guard let text = Prompt.line("\(question): "), !text.isEmpty else {
            throw SettingsError("\(flag) is missing")
        }
        return text
    }

    private func answers(_ given: [String], _ flag: String, _ question: String) throws -> [String] {
        if !given.isEmpty { return given }
        return try answer(nil, flag, "\(question), separated by spaces").split(separator: " ")
            .map { String($0) }
    }

    private func write(_ text: String, _ path: String) throws {
        func failed() -> SettingsError {
            SettingsError("can't be written: \(String(cString: strerror(errno)))", file: path)
        }
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw failed() }
        defer { close(descriptor) }
        let bytes = Array(text.utf8)
        guard Glibc.write(descriptor, bytes, bytes.count) == bytes.count else { throw failed() }
    }
}
