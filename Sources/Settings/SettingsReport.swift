/// What the reading of a person's file has brought.
public struct SettingsReport<Value: Sendable>: Sendable {
    /// The settings.
    public let value: Value
    /// What works, but not as its writer may believe.
    public let warnings: [SettingsWarning]
    /// What the engines can't act on, with its place: nothing that has any is to begin.
    public let unsupported: [SettingsError]

    init(_ value: Value, _ reading: SettingsReading, _ unsupported: [UnsupportedSetting]) {
        self.value = value
        warnings = reading.warnings.sorted {
            ($0.line ?? 0, $0.column ?? 0) < ($1.line ?? 0, $1.column ?? 0)
        }
        self.unsupported = unsupported.map { reading.error(at: $0.path, $0.description) }
    }

    /// The value, when everything in it can be acted on.
    public func supported() throws(SettingsError) -> Value {
        if let first = unsupported.first { throw first }
        return value
    }
}
