internal import ArgumentParser
internal import Settings

/// `skein verify`: compares the tables of two servers exactly.
struct VerifyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Compare tables of two servers row by row, also while a migration runs.")

    @OptionGroup(title: "Servers") var servers: ServerFlags
    @OptionGroup(title: "Tables") var selection: SelectionFlags
    @OptionGroup(title: "Output") var output: OutputFlags

    func run() async throws {
        throw SettingsError("not yet")
    }
}
