internal import Cluster
internal import Settings

extension MigrationSettings {
    /// What a subtask runs with: both records as the store keeps them.
    init(_ records: SubtaskRecords, _ secrets: SecretCipher) throws(SettingsError) {
        let source = try SourceSettings(
            stored: records.sourceSettings, secrets, key: KeyLayout.source(records.source))
        let task = try TaskSettings(
            stored: records.taskSettings, secrets, key: KeyLayout.task(records.task))
        self = try task.migrationSettings(source)
    }
}
