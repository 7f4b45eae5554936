internal import MySQLClient
internal import MySQLCore
internal import Runtime
internal import Settings
internal import Verification
internal import Worker

/// A task's tables on one source, as a verification compares them: by the task's rules.
struct VerifiedTask: Sendable {
    /// What the task's subtask on the source runs with.
    let settings: MigrationSettings

    /// Reads the task's file and the source's.
    ///
    /// - Throws: ``SettingsError``, also when the task does not have the source.
    init(file: String, sourceFile: String) throws {
        let task = try TaskSettings.reported(
            InputFile.bytes(file, "task's file"), InputFile.format(file), file: file,
            passwords: PasswordSource.standard)
        let source = try SourceSettings.reported(
            InputFile.bytes(sourceFile, "source's file"), InputFile.format(sourceFile),
            file: sourceFile, passwords: PasswordSource.standard)
        guard task.value.sources.contains(source.value.name) else {
            throw SettingsError(
                "the source \"\(source.value.name)\" is none of the task's: "
                    + task.value.sources.joined(separator: ", "), file: sourceFile)
        }
        show(task.warnings + source.warnings)
        settings = try task.supported().migrationSettings(source.supported())
    }

    /// Reads the names of its tables from the source.
    ///
    /// - Throws: an ``OperatorError`` when none can be compared, and the server's errors.
    func tables() async throws -> ComparableTables {
        let settings = settings
        let found = try await withThread("tables") { try ComparableTables.read(settings) }
        guard !found.tables.isEmpty else {
            throw OperatorError(
                code: "verify.nothing",
                message: "filters may leave out rows of every table of the task, or changes",
                place: settings.source.server, recovery: .never,
                action: "compare the tables in another way: the source's rows are not the target's")
        }
        return found
    }
}
