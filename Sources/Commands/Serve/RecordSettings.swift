internal import Cluster
internal import Glibc
internal import Settings

extension MigrationSettings {
    /// What a subtask runs with: both records are settings as `skein migrate` reads them, the
    /// source's with `source` and what is about its relay log, the task's with the rest.
    ///
    /// Passwords come from files that the records name, or from the environment.
    init(_ records: SubtaskRecords) throws(SettingsError) {
        var draft = try SettingsDraft(
            bytes: Array(records.sourceSettings.utf8), file: "source \(records.source)")
        draft.override(
            with: try SettingsDraft(
                bytes: Array(records.taskSettings.utf8), file: "task \(records.task)"))
        draft.name = records.task
        draft.sourceID = records.source
        self = try draft.migrationSettings(
            PasswordSource(
                environment: { name in getenv(name).map { String(cString: $0) } }, prompt: nil))
    }
}
